"""From a staged batch to the lake: merge by key, keep one record of each, and make all tables change in one commit.

An event's day is rewritten as one sorted file when a batch adds to it; other days are not touched. Of two events with one id, in one
day or in two, the one with the smaller content stays, whichever came first: so the order of batches does not matter.

A replay brings files again that the ledger has: what is kept of them stays as it is, what is new is added, and their rows in quarantine
and ledger are replaced.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dawnlist import duck
from dawnlist.columns import CONSENTS, CUSTOMERS, EVENTS, INPUT_KEYS, ITEMS, KEY_LINKS, LEDGER, ORIGIN, QUARANTINE
from dawnlist.errors import GateError
from dawnlist.ingest import Batch
from dawnlist.lake import DataFile, Lake, Snapshot, in_groups
from dawnlist.staging import arrivals, content_order, day_of, events_with_origin

if TYPE_CHECKING:
    import duckdb

    from dawnlist.settings import Settings

DIMENSIONS = {"items": ITEMS, "customers": CUSTOMERS, "consents": CONSENTS}
GROUP_ROWS = 3_000_000  # of new events that are sorted into their days at a time: under 1 GB in memory
INPUT_TABLES = {"events": EVENTS, **DIMENSIONS}


def promote(
    settings: "Settings",
    batch: Batch,
    accepted: Mapping[str, Sequence[Path]],
    refused: Sequence[Path],
    *,
    run_id: str,
    is_replay: bool = False,
) -> dict[str, Any]:
    """Merge a batch that passed the gate. `accepted`: input -> Parquet files of staged rows; `refused`: files of rows for quarantine.

    The caller holds the lake's writer lock. Returns n_kept, n_quarantined, n_duplicates, n_read, n_ignored and changed_days.
    Files that the ledger has already, because another batch brought them meanwhile, count as nothing; those of a replay are counted anew.
    Raises GateError when a replay misses records that were read before: it would count them twice, or bring back what was removed.
    """
    lake = Lake(settings.lake_dir)
    before = lake.snapshot()
    with duck.connect(settings) as connection:
        is_new = _load(connection, batch, accepted, refused, before, is_replay=is_replay)
        changes: dict[str, list[DataFile]] = {}
        days: list[date] = []
        if accepted.get("events"):
            days = _merge_events(settings, connection, lake, before, batch, accepted["events"], changes, is_new=is_new)
        for kind, columns in DIMENSIONS.items():
            if accepted.get(kind):
                _merge_dimension(connection, lake, before, kind, columns, changes)
        _add_key_links(connection, lake, before, batch, changes)
        _add_quarantine(connection, lake, before, batch, changes, is_replay=is_replay)
        totals = _add_ledger(connection, lake, before, batch, run_id, changes)
    lake.commit(changes, run_id=run_id)
    return totals | {"changed_days": days}


def _load(
    connection: "duckdb.DuckDBPyConnection",
    batch: Batch,
    accepted: Mapping[str, Sequence[Path]],
    refused: Sequence[Path],
    before: Snapshot,
    *,
    is_replay: bool,
) -> bool:
    """`new_files`: the batch's files that the ledger lacks; `fresh_<input>`: their accepted rows; `refused`: their rows for quarantine.

    Of a replay: all files, and those of their accepted rows that the lake lacks. Returns whether all accepted rows are fresh.
    """
    connection.execute("CREATE TABLE batch_files (input VARCHAR, name VARCHAR, file_id VARCHAR, file_time TIMESTAMP, n_read BIGINT, n_ignored BIGINT)")
    rows = [(file["input"], file["name"], file["file_id"], file["file_time"], file["n_read"], file["n_ignored"]) for file in batch.files]
    connection.executemany("INSERT INTO batch_files VALUES (?, ?, ?, ?, ?, ?)", rows)
    known = f"(SELECT * FROM {duck.scan(before.files('ledger'), LEDGER)} WHERE source = {duck.literal(batch.source)})"
    connection.execute(f"CREATE TABLE earlier AS SELECT * FROM {known} SEMI JOIN batch_files USING (input, file_id)")
    connection.execute("CREATE TABLE new_files AS SELECT * FROM batch_files" + ("" if is_replay else " ANTI JOIN earlier USING (input, file_id)"))
    connection.execute("CREATE TABLE kept (input VARCHAR, file_id VARCHAR, n BIGINT)")
    connection.execute("CREATE TABLE arrived (file_id VARCHAR, event_date DATE, n BIGINT)")
    for kind, files in accepted.items():
        found = events_with_origin(list(files), _event_files(batch)) if kind == "events" else duck.scan(files, INPUT_TABLES[kind] | ORIGIN)
        connection.execute(f"CREATE VIEW accepted_{kind} AS SELECT * FROM {found}")
    if is_replay:
        _refuse_losses(connection, batch, accepted, before)
    are_all_new = connection.execute("SELECT (SELECT count(*) FROM new_files) = (SELECT count(*) FROM batch_files)").fetchall()[0][0]
    for kind in accepted:
        own = "" if are_all_new else f" SEMI JOIN (SELECT file_id FROM new_files WHERE input = {duck.literal(kind)}) USING (file_id)"
        lacking = f" ANTI JOIN {_stored_keys(kind, batch, before)} USING ({', '.join(INPUT_KEYS[kind])})" if is_replay else ""
        connection.execute(f"CREATE VIEW fresh_{kind} AS SELECT * FROM accepted_{kind}{own}{lacking}")
    connection.execute(f"CREATE TABLE refused AS SELECT * FROM {duck.scan(refused, QUARANTINE)} SEMI JOIN new_files USING (input, file_id)")
    return bool(are_all_new and not is_replay)


def _event_files(batch: Batch) -> list[str]:
    return [file["file_id"] for file in batch.files if file["input"] == "events"]


def _stored_keys(kind: str, batch: Batch, before: Snapshot) -> str:
    """The keys of `kind` that the lake has; a person's also under the key that came after."""
    keys = INPUT_KEYS[kind]
    stored = duck.scan(before.files(kind), INPUT_TABLES[kind])
    links = _links(batch, before)
    if "user_id" not in keys or not links:
        return f"(SELECT {', '.join(keys)} FROM {stored})"
    renamed = ", ".join("links.id AS user_id" if name == "user_id" else name for name in keys)
    return f"(SELECT {', '.join(keys)} FROM {stored} UNION SELECT {renamed} FROM {stored} AS known JOIN {duck.scan(links, KEY_LINKS)} AS links ON known.user_id = links.previous_id)"


def _links(batch: Batch, before: Snapshot) -> list[Path]:
    return [*before.files("key_links"), *sorted(batch.folder.glob("key_links-*.parquet"))]


def _refuse_losses(connection: "duckdb.DuckDBPyConnection", batch: Batch, accepted: Mapping[str, Sequence[Path]], before: Snapshot) -> None:
    """Every record that was kept, or was a double of a kept one, must be found again: under its key in the lake, or as a double within the batch."""
    connection.execute("CREATE TABLE found (input VARCHAR, file_id VARCHAR, n BIGINT)")
    connection.executemany("INSERT INTO found VALUES (?, ?, ?)", [(file["input"], file["file_id"], file["n_duplicates"]) for file in batch.files])
    for kind in accepted:
        rows = f"accepted_{kind} SEMI JOIN {_stored_keys(kind, batch, before)} USING ({', '.join(INPUT_KEYS[kind])})"
        connection.execute(f"INSERT INTO found SELECT {duck.literal(kind)}, file_id, count(*) FROM {rows} GROUP BY file_id")
    lost = connection.execute("""
        SELECT file_name, n_kept + n_duplicates - coalesce(n_found, 0) AS n_lost
        FROM earlier LEFT JOIN (SELECT input, file_id, sum(n)::BIGINT AS n_found FROM found GROUP BY ALL) USING (input, file_id)
        WHERE n_lost > 0 ORDER BY file_name LIMIT 1
    """).fetchone()
    if lost:
        raise GateError(
            f"{lost[1]:,} records of {lost[0]} that were read before are not found again: the mapping now refuses them or gives them other ids, their people have ids of "
            "another key, or they were removed from the lake. A replay would count records twice, so nothing was changed. Mend the mapping, or leave this file out."
        )


def _merge_events(
    settings: "Settings",
    connection: "duckdb.DuckDBPyConnection",
    lake: Lake,
    before: Snapshot,
    batch: Batch,
    staged: Sequence[Path],
    changes: dict[str, list[DataFile]],
    *,
    is_new: bool,
) -> list[date]:
    """Bring the fresh events into their days. Returns the days that change."""
    stored = duck.scan(before.files("events"), EVENTS)
    files = {file.partition: file for file in before.data_files("events")}
    fresh = duck.scan(staged, EVENTS) if is_new else "fresh_events"
    connection.execute(f"CREATE TABLE rivals AS SELECT event_id FROM {stored} SEMI JOIN {fresh} USING (event_id)")
    arrived = arrivals(list(staged), _event_files(batch)) if is_new else "(SELECT file_id, event_date, count(*) AS n FROM fresh_events GROUP BY ALL)"
    connection.execute(f"INSERT INTO arrived SELECT file_id, event_date, n FROM {arrived}")
    if is_new and not connection.execute("SELECT 1 FROM rivals LIMIT 1").fetchall():
        connection.execute("INSERT INTO kept SELECT 'events', file_id, sum(n)::BIGINT FROM arrived GROUP BY file_id")
        written = _add_days(settings, connection, lake, staged, files)
        changes["events"] = list((files | {str(day): file for day, file in written.items()}).values())
        return list(written)
    rows = _decide(connection, stored)
    for days in in_groups(rows, GROUP_ROWS):
        for day, file in _write_days(settings, connection, lake, days, files).items():
            files.pop(str(day), None)
            if file:
                files[str(day)] = file
    if rows:
        changes["events"] = list(files.values())
    return list(rows)


def _add_days(
    settings: "Settings", connection: "duckdb.DuckDBPyConnection", lake: Lake, staged: Sequence[Path], files: Mapping[str, DataFile]
) -> dict[date, DataFile]:
    """Days to which only new events come: a staged file is taken as it is where it is the only one of a day that the lake lacks, else merged."""
    parts: dict[date, list[Path]] = {}
    for path in staged:
        parts.setdefault(day_of(path), []).append(path)
    counted = connection.execute(f"SELECT file_name, num_rows FROM parquet_file_metadata({duck.path_list(staged)})").fetchall()
    rows = {Path(name): n for name, n in counted}

    def bring(day: date) -> DataFile | None:
        own = parts[day]
        if len(own) == 1 and str(day) not in files:
            return lake.take("events", own[0], rows=rows[own[0]], partition=day)
        there = [lake.root / files[str(day)].path] if str(day) in files else []
        with duck.cursor(connection) as cursor:
            merged = f"SELECT {', '.join(EVENTS)} FROM {duck.scan([*there, *own], EVENTS)} ORDER BY occurred_at, event_id"
            return lake.write(cursor, "events", merged, partition=day)

    with ThreadPoolExecutor(duck.threads(settings)) as pool:
        days = sorted(parts)
        return {day: file for day, file in zip(days, pool.map(bring, days), strict=True) if file}


def _decide(connection: "duckdb.DuckDBPyConnection", stored: str) -> dict[date, int]:
    """Between fresh events and stored ones with the same id. Returns the days that change, each with the number of its new rows."""
    columns = ", ".join(EVENTS)
    connection.execute(
        f"CREATE TABLE decided AS SELECT * FROM (SELECT {columns}, NULL AS file_id, true AS is_stored FROM {stored} SEMI JOIN rivals USING (event_id) "
        f"UNION ALL SELECT {columns}, file_id, false FROM fresh_events SEMI JOIN rivals USING (event_id)) "
        f"QUALIFY row_number() OVER (PARTITION BY event_id ORDER BY {content_order('events')}, is_stored DESC) = 1"
    )
    # A stored event that lost its place leaves its day; the winner comes in with the new ones, and is no gain.
    connection.execute("CREATE TABLE replaced AS SELECT event_id FROM decided WHERE NOT is_stored")
    connection.execute("CREATE TABLE lost AS SELECT file_id, event_date, count(*) AS n FROM fresh_events SEMI JOIN rivals USING (event_id) GROUP BY ALL")
    connection.execute(
        "INSERT INTO kept SELECT 'events', file_id, sum(n)::BIGINT FROM (FROM arrived UNION ALL SELECT file_id, event_date, -n FROM lost) GROUP BY file_id"
    )
    found = connection.execute(f"""
        SELECT event_date, sum(n)::BIGINT FROM (
            SELECT event_date, n FROM arrived UNION ALL SELECT event_date, -n FROM lost
            UNION ALL SELECT event_date, 1 FROM decided WHERE NOT is_stored
        ) GROUP BY event_date HAVING sum(n) > 0
        UNION ALL SELECT DISTINCT event_date, 0 FROM {stored} SEMI JOIN replaced USING (event_id) ORDER BY 1
    """).fetchall()
    return {day: sum(n for other, n in found if other == day) for day in dict.fromkeys(day for day, _ in found)}


def _write_days(
    settings: "Settings", connection: "duckdb.DuckDBPyConnection", lake: Lake, days: Sequence[date], files: Mapping[str, DataFile]
) -> dict[date, DataFile | None]:
    """Write each of the days with its new rows, several at a time: one alone keeps one thread busy. `files`: those that the days have."""
    columns = ", ".join(EVENTS)
    span = f"event_date BETWEEN DATE '{days[0]}' AND DATE '{days[-1]}'"
    connection.execute(
        f"CREATE OR REPLACE TABLE incoming AS SELECT {columns} FROM fresh_events ANTI JOIN rivals USING (event_id) WHERE {span} "
        f"UNION ALL SELECT {columns} FROM decided WHERE NOT is_stored AND {span} ORDER BY event_date"
    )

    def write(day: date) -> DataFile | None:
        own = duck.scan([lake.root / files[str(day)].path] if str(day) in files else [], EVENTS)
        rows = f"SELECT {columns} FROM {own} ANTI JOIN replaced USING (event_id) UNION ALL SELECT {columns} FROM incoming WHERE event_date = DATE '{day}'"
        with duck.cursor(connection) as cursor:
            return lake.write(cursor, "events", f"SELECT * FROM ({rows}) ORDER BY occurred_at, event_id", partition=day)

    with ThreadPoolExecutor(duck.threads(settings)) as pool:
        return dict(zip(days, pool.map(write, days), strict=True))


def _merge_dimension(
    connection: "duckdb.DuckDBPyConnection", lake: Lake, before: Snapshot, kind: str, columns: dict[str, str], changes: dict[str, list[DataFile]]
) -> None:
    names, keys = ", ".join(columns), ", ".join(INPUT_KEYS[kind])
    stored = duck.scan(before.files(kind), columns)
    connection.execute(f"INSERT INTO kept SELECT '{kind}', file_id, count(*) FROM fresh_{kind} ANTI JOIN {stored} USING ({keys}) GROUP BY file_id")
    order = ", ".join(f"{name} NULLS LAST" for name in columns)
    rows = f"SELECT {names} FROM {stored} UNION ALL SELECT {names} FROM fresh_{kind}"
    query = f"SELECT * FROM ({rows}) QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {order}) = 1 ORDER BY {keys}"
    changes[kind] = _files(lake.write(connection, kind, query))


def _add_key_links(connection: "duckdb.DuckDBPyConnection", lake: Lake, before: Snapshot, batch: Batch, changes: dict[str, list[DataFile]]) -> None:
    found = sorted(batch.folder.glob("key_links-*.parquet"))
    if found:
        known = duck.scan(before.files("key_links"), KEY_LINKS)
        query = f"SELECT DISTINCT {', '.join(KEY_LINKS)} FROM {duck.scan(found, KEY_LINKS)} ANTI JOIN {known} AS known USING (id, previous_id) ORDER BY ALL"
        changes["key_links"] = [*before.data_files("key_links"), *_files(lake.write(connection, "key_links", query))]


def _add_quarantine(
    connection: "duckdb.DuckDBPyConnection", lake: Lake, before: Snapshot, batch: Batch, changes: dict[str, list[DataFile]], *, is_replay: bool
) -> None:
    names, order = ", ".join(QUARANTINE), "source, input, file_id, line, field, reason"
    query = f"SELECT {names} FROM refused ORDER BY {order}"
    there = before.data_files("quarantine")
    if is_replay:
        others = f"SELECT {names} FROM {duck.scan(before.files('quarantine'), QUARANTINE)} AS there ANTI JOIN {_own_files(batch)} AS own USING (source, input, file_id)"
        query, there = f"SELECT * FROM ({others} UNION ALL SELECT {names} FROM refused) ORDER BY {order}", ()
    changes["quarantine"] = [*there, *_files(lake.write(connection, "quarantine", query))]


def _own_files(batch: Batch) -> str:
    return f"(SELECT {duck.literal(batch.source)} AS source, input, file_id FROM new_files)"


def _add_ledger(
    connection: "duckdb.DuckDBPyConnection", lake: Lake, before: Snapshot, batch: Batch, run_id: str, changes: dict[str, list[DataFile]]
) -> dict[str, int]:
    connection.execute(f"""
        CREATE TABLE entries AS
        WITH quarantined AS (SELECT input, file_id, count(*) AS n FROM refused GROUP BY ALL),
        days AS (SELECT 'events' AS input, file_id, list_sort(list(DISTINCT event_date)) AS changed_days FROM arrived GROUP BY file_id)
        SELECT {duck.literal(batch.source)} AS source, input, file_id, name AS file_name, new_files.file_time, {duck.literal(batch.batch_id)} AS batch_id, new_files.n_read,
            coalesce(kept.n, 0) + coalesce(earlier.n_kept, 0) AS n_kept, coalesce(quarantined.n, 0) AS n_quarantined,
            new_files.n_read - new_files.n_ignored - coalesce(kept.n, 0) - coalesce(earlier.n_kept, 0) - coalesce(quarantined.n, 0) AS n_duplicates,
            new_files.n_ignored, list_sort(list_distinct(list_concat(coalesce(days.changed_days, []), coalesce(earlier.changed_days, [])))) AS changed_days,
            {duck.literal(run_id)} AS run_id
        FROM new_files LEFT JOIN kept USING (input, file_id) LEFT JOIN quarantined USING (input, file_id) LEFT JOIN days USING (input, file_id)
            LEFT JOIN earlier USING (input, file_id)
    """)
    stored = duck.scan(before.files("ledger"), LEDGER)
    names = ", ".join(LEDGER)
    others = f"SELECT {names} FROM {stored} AS stored ANTI JOIN {_own_files(batch)} AS own USING (source, input, file_id)"
    query = f"{others} UNION ALL SELECT {names} FROM entries ORDER BY source, input, file_name, file_id"
    changes["ledger"] = _files(lake.write(connection, "ledger", f"SELECT * FROM ({query})"))
    sums = ("n_read", "n_kept", "n_quarantined", "n_duplicates", "n_ignored")
    row = connection.execute(f"SELECT {', '.join(f'coalesce(sum({name}), 0)::BIGINT' for name in sums)} FROM entries").fetchone()
    return dict(zip(sums, row or (), strict=True))


def _files(file: DataFile | None) -> list[DataFile]:
    return [] if file is None else [file]
