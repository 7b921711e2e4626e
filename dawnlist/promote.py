"""From a staged batch to the lake: merge by key, keep one record of each, and make all tables change in one commit.

An event's day is rewritten as one sorted file when a batch adds to it; other days are not touched. Of two events with one id, in one
day or in two, the one with the smaller content stays, whichever came first: so the order of batches does not matter.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dawnlist import duck
from dawnlist.columns import CONSENTS, CUSTOMERS, EVENTS, INPUT_KEYS, ITEMS, LEDGER, QUARANTINE
from dawnlist.ingest import Batch
from dawnlist.lake import DataFile, Lake, Snapshot

if TYPE_CHECKING:
    import duckdb

    from dawnlist.settings import Settings

DIMENSIONS = {"items": ITEMS, "customers": CUSTOMERS, "consents": CONSENTS}


def promote(settings: "Settings", batch: Batch, accepted: Mapping[str, Sequence[Path]], refused: Sequence[Path], *, run_id: str) -> dict[str, Any]:
    """Merge a batch that passed the gate. `accepted`: input -> Parquet files of staged rows; `refused`: files of rows for quarantine.

    The caller holds the lake's writer lock. Returns n_kept, n_quarantined, n_duplicates, n_read, n_ignored and changed_days.
    Files that the ledger has already, because another batch brought them meanwhile, count as nothing.
    """
    lake = Lake(settings.lake_dir)
    before = lake.snapshot()
    with duck.connect(settings) as connection:
        _load(connection, batch, accepted, refused, before)
        changes: dict[str, list[DataFile]] = {}
        days = _merge_events(connection, lake, before, changes) if accepted.get("events") else []
        for kind, columns in DIMENSIONS.items():
            if accepted.get(kind):
                _merge_dimension(connection, lake, before, kind, columns, changes)
        _add_quarantine(connection, lake, before, changes)
        totals = _add_ledger(connection, lake, before, batch, run_id, changes)
    lake.commit(changes, run_id=run_id)
    return totals | {"changed_days": days}


def _load(connection: "duckdb.DuckDBPyConnection", batch: Batch, accepted: Mapping[str, Sequence[Path]], refused: Sequence[Path], before: Snapshot) -> None:
    """`new_files`: the batch's files that the ledger lacks; `fresh_<input>`: their accepted rows; `refused`: their rows for quarantine."""
    connection.execute("CREATE TEMP TABLE batch_files (input VARCHAR, name VARCHAR, file_id VARCHAR, file_time TIMESTAMP, n_read BIGINT, n_ignored BIGINT)")
    rows = [(file["input"], file["name"], file["file_id"], file["file_time"], file["n_read"], file["n_ignored"]) for file in batch.files]
    connection.executemany("INSERT INTO batch_files VALUES (?, ?, ?, ?, ?, ?)", rows)
    known = f"SELECT input, file_id FROM {duck.scan(before.files('ledger'), LEDGER)} WHERE source = {duck.literal(batch.source)}"
    connection.execute(f"CREATE TEMP TABLE new_files AS SELECT * FROM batch_files ANTI JOIN ({known}) USING (input, file_id)")
    connection.execute("CREATE TEMP TABLE kept (input VARCHAR, file_id VARCHAR, n BIGINT)")
    for kind, files in accepted.items():
        own = f"(SELECT file_id FROM new_files WHERE input = {duck.literal(kind)})"
        connection.execute(
            f"CREATE TEMP VIEW fresh_{kind} AS SELECT * FROM read_parquet({duck.path_list(files)}, hive_partitioning = false) SEMI JOIN {own} USING (file_id)"
        )
    connection.execute(f"CREATE TEMP TABLE refused AS SELECT * FROM {duck.scan(refused, QUARANTINE)} SEMI JOIN new_files USING (input, file_id)")


def _merge_events(connection: "duckdb.DuckDBPyConnection", lake: Lake, before: Snapshot, changes: dict[str, list[DataFile]]) -> list[date]:
    columns = ", ".join(EVENTS)
    stored = duck.scan(before.files("events"), EVENTS)
    connection.execute(f"CREATE TEMP TABLE rivals AS SELECT event_id FROM fresh_events SEMI JOIN {stored} USING (event_id)")
    order = ", ".join(f"{name} NULLS LAST" for name in ("occurred_at", *EVENTS))
    connection.execute(
        f"CREATE TEMP TABLE decided AS SELECT * FROM (SELECT {columns}, NULL AS file_id, true AS is_stored FROM {stored} SEMI JOIN rivals USING (event_id) "
        f"UNION ALL SELECT {columns}, file_id, false FROM fresh_events SEMI JOIN rivals USING (event_id)) "
        f"QUALIFY row_number() OVER (PARTITION BY event_id ORDER BY {order}, is_stored DESC) = 1"
    )
    # A stored event that lost its place leaves its day; the winner comes in with the new ones, and is no gain.
    connection.execute("CREATE TEMP TABLE replaced AS SELECT event_id FROM decided WHERE NOT is_stored")
    connection.execute(
        f"CREATE TEMP TABLE incoming AS SELECT {columns} FROM fresh_events ANTI JOIN rivals USING (event_id) "
        f"UNION ALL SELECT {columns} FROM decided WHERE NOT is_stored ORDER BY event_date"
    )
    connection.execute("INSERT INTO kept SELECT 'events', file_id, count(*) FROM fresh_events ANTI JOIN rivals USING (event_id) GROUP BY file_id")
    found = connection.execute(
        f"SELECT DISTINCT event_date FROM (SELECT event_date FROM incoming UNION ALL SELECT event_date FROM {stored} SEMI JOIN replaced USING (event_id)) ORDER BY 1"
    ).fetchall()
    days: list[date] = [row[0] for row in found]
    files = {file.partition: file for file in before.data_files("events")}
    for day in days:
        own = duck.scan([lake.root / files[str(day)].path] if str(day) in files else [], EVENTS)
        rows = f"SELECT {columns} FROM {own} ANTI JOIN replaced USING (event_id) UNION ALL SELECT {columns} FROM incoming WHERE event_date = DATE '{day}'"
        written = lake.write(connection, "events", f"SELECT * FROM ({rows}) ORDER BY occurred_at, event_id", partition=day)
        files.pop(str(day), None)
        if written:
            files[str(day)] = written
    if days:
        changes["events"] = list(files.values())
    return days


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


def _add_quarantine(connection: "duckdb.DuckDBPyConnection", lake: Lake, before: Snapshot, changes: dict[str, list[DataFile]]) -> None:
    query = f"SELECT {', '.join(QUARANTINE)} FROM refused ORDER BY source, input, file_id, line, field, reason"
    changes["quarantine"] = [*before.data_files("quarantine"), *_files(lake.write(connection, "quarantine", query))]


def _add_ledger(
    connection: "duckdb.DuckDBPyConnection", lake: Lake, before: Snapshot, batch: Batch, run_id: str, changes: dict[str, list[DataFile]]
) -> dict[str, int]:
    days = "fresh_events" if _exists(connection, "fresh_events") else "(SELECT NULL::VARCHAR AS file_id, NULL::DATE AS event_date WHERE false)"
    connection.execute(f"""
        CREATE TEMP TABLE entries AS
        WITH quarantined AS (SELECT input, file_id, count(*) AS n FROM refused GROUP BY ALL),
        days AS (SELECT 'events' AS input, file_id, list_sort(list(DISTINCT event_date)) AS changed_days FROM {days} GROUP BY file_id)
        SELECT {duck.literal(batch.source)} AS source, input, file_id, name AS file_name, file_time, {duck.literal(batch.batch_id)} AS batch_id, n_read,
            coalesce(kept.n, 0) AS n_kept, coalesce(quarantined.n, 0) AS n_quarantined,
            n_read - n_ignored - coalesce(kept.n, 0) - coalesce(quarantined.n, 0) AS n_duplicates, n_ignored,
            coalesce(changed_days, []::DATE[]) AS changed_days, {duck.literal(run_id)} AS run_id
        FROM new_files LEFT JOIN kept USING (input, file_id) LEFT JOIN quarantined USING (input, file_id) LEFT JOIN days USING (input, file_id)
    """)
    stored = duck.scan(before.files("ledger"), LEDGER)
    names = ", ".join(LEDGER)
    query = f"SELECT {names} FROM {stored} UNION ALL SELECT {names} FROM entries ORDER BY source, input, file_name, file_id"
    changes["ledger"] = _files(lake.write(connection, "ledger", f"SELECT * FROM ({query})"))
    sums = ("n_read", "n_kept", "n_quarantined", "n_duplicates", "n_ignored")
    row = connection.execute(f"SELECT {', '.join(f'coalesce(sum({name}), 0)::BIGINT' for name in sums)} FROM entries").fetchone()
    return dict(zip(sums, row or (), strict=True))


def _exists(connection: "duckdb.DuckDBPyConnection", view: str) -> bool:
    return bool(connection.execute("SELECT count(*) FROM duckdb_views() WHERE view_name = ?", [view]).fetchall()[0][0])


def _files(file: DataFile | None) -> list[DataFile]:
    return [] if file is None else [file]
