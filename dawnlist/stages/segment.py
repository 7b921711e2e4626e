"""segment: k-means on what the persons do, numbered as the night before, and the triggers -> user_segments, segment_profiles, rule_firings and the history of all kinds of segments."""

import time
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from dawnlist import duck, segment_history, triggers
from dawnlist.lake import Lake
from dawnlist.segment_history import SEGMENT_CENTRES, SEGMENT_NIGHTS, Stability
from dawnlist.settings import Settings
from dawnlist.stages import trigger
from dawnlist.stages.base import Interval, Night, StageResult

if TYPE_CHECKING:
    import duckdb

    from dawnlist.lake import Snapshot
    from spark_jobs.segment_matching import Memory
    from spark_jobs.segments import Night as Found

STAGE = "segment"
# Consent, but no event to go by: registered only.
NEW, NEW_LABEL = -1, "new"
NEWCOMERS = f"""
    SELECT {NEW} AS segment, count(*) AS n_users, {duck.literal(NEW_LABEL)} AS segment_label, 'Who has consented and was not seen yet.' AS description
    FROM clusters WHERE segment = {NEW} HAVING count(*) > 0"""
TABLES = ("user_segments", "segment_profiles", "segment_centres", "segment_nights", "dim_user_segments", triggers.FIRINGS, triggers.NIGHTS)


def run(settings: Settings, interval: Interval, *, run_id: str) -> StageResult:
    """Give every person with consent to personalisation a segment: by k-means who has any event, -1 "new" who has none; judge the triggers; and keep the history.

    `rows_in` counts persons with consent, `rows_out` persons with a segment. Raises SettingsError for a mistake in the rules, MissingInputError before transform,
    and SystemRequirementError without Java.
    """
    from spark_jobs import segments
    from spark_jobs.session import session

    started = time.monotonic()
    night = Night.load(settings, interval.run_date)
    marts = night.tables.snapshot()
    activity, rfm = marts.require("feat_user_activity", stage="transform"), marts.require("feat_user_rfm", stage="transform")
    with duck.connect(settings) as connection:
        memory = _memory(connection, Lake(settings.lake_dir).snapshot(), night.run_date)
        with session(settings) as spark:
            found = segments.run(spark, settings, activity=activity, rfm=rfm, feature_date=night.run_date, memory=memory)
        snapshot, notes = _write(settings, connection, night, found, memory, run_id=run_id)
        metrics = _metrics(connection, snapshot, night.run_date)
    return StageResult(
        STAGE,
        interval.key,
        rows_in=snapshot.rows("user_segments"),
        rows_out=snapshot.rows("user_segments"),
        seconds=time.monotonic() - started,
        paths=[str(path) for table in TABLES for path in snapshot.files(table)],
        counts={
            "n_segments": found.profiles.num_rows,
            "n_new": snapshot.rows("user_segments") - found.users.num_rows,
            "n_fired": snapshot.rows(triggers.FIRINGS),
        },
        metrics=metrics | {"n_users": dict(zip(*(found.profiles.column(name).to_pylist() for name in ("segment_label", "n_users")), strict=True))},
        notes=notes,
    )


def _memory(connection: "duckdb.DuckDBPyConnection", lake: "Snapshot", run_date: date) -> "Memory":
    """What the night before `run_date` knows; and what this night, should it have run before, and later ones know beside it."""
    from spark_jobs.segment_matching import Known, Memory

    previous = segment_history.last_night_before(lake, run_date)
    centres = segment_history.relation(lake, "segment_centres", until=date.max)
    (highest,) = connection.execute(f"SELECT max(segment) FROM {centres}").fetchone() or (None,)
    rows = connection.execute(
        f"""SELECT run_date, segment, segment_label, list(centre ORDER BY position), last_seen FROM {centres}
        WHERE run_date = ? OR run_date >= ? GROUP BY ALL ORDER BY run_date, segment""",
        [previous, run_date],
    ).fetchall()
    known: dict[int, Known] = {}
    elsewhere: dict[int, Known] = {}
    for night, number, label, centre, last_seen in rows:
        if night == previous:
            known[number] = Known(number, label, tuple(centre), last_seen)
        elif number not in known:
            elsewhere.setdefault(number, Known(number, label, tuple(centre), last_seen))
    n_segments = sum(segment.last_seen == previous for segment in known.values())
    return Memory(tuple(known.values()), tuple(elsewhere.values()), 0 if highest is None else highest + 1, n_segments or None)


def _write(
    settings: Settings, connection: "duckdb.DuckDBPyConnection", night: Night, found: "Found", memory: "Memory", *, run_id: str
) -> "tuple[Snapshot, list[str]]":
    """The night's tables, and what is to be said of the triggers."""
    marts = night.tables.snapshot()
    _make_clusters(connection, found, marts.require("dim_users", stage="transform"))
    _make_record(connection, Lake(settings.lake_dir).snapshot(), night.run_date, found, memory)
    notes = trigger.judge(connection, settings, night, run_id=run_id)
    rfm = duck.scan(marts.files("feat_user_rfm"), {"person_id": "VARCHAR", "feature_date": "DATE", "rfm_segment": "VARCHAR"})
    labels = duck.scan(
        marts.require("feat_user_labels", stage="transform"), {"person_id": "VARCHAR", "feature_date": "DATE", "kind": "VARCHAR", "label": "VARCHAR"}
    )
    history = {
        "user_segments": segment_history.states(run_date=night.run_date, clusters="clusters", rfm=rfm, labels=labels, firings=triggers.FIRINGS),
        "segment_centres": "SELECT * FROM centres ORDER BY segment, position",
        "segment_nights": "FROM record",
        triggers.STATES: f"FROM {triggers.STATES} ORDER BY trigger, person_id",
        triggers.NIGHTS: f"FROM {triggers.NIGHTS} ORDER BY trigger",
    }
    lake = segment_history.record(settings, connection, night.run_date, history, run_id=run_id)
    queries = {
        "user_segments": "SELECT * FROM clusters ORDER BY person_id",
        "segment_profiles": f"SELECT * FROM profiles UNION ALL BY NAME ({NEWCOMERS}) ORDER BY segment",
        "segment_centres": history["segment_centres"],
        "segment_nights": f"SELECT * FROM {segment_history.relation(lake, 'segment_nights', until=night.run_date)} ORDER BY run_date",
        "dim_user_segments": segment_history.ranges(lake, run_date=night.run_date),
        triggers.FIRINGS: f"FROM {triggers.FIRINGS} ORDER BY rule, person_id",
        triggers.NIGHTS: f"FROM {triggers.relation(lake, until=night.run_date)} ORDER BY run_date, trigger",
    }
    files = {table: night.tables.write(connection, table, query) for table, query in queries.items()}
    return night.tables.commit({table: [file] if file else [] for table, file in files.items()}, run_id=run_id), notes


def _make_clusters(connection: "duckdb.DuckDBPyConnection", found: "Found", dim_users: list[Path]) -> None:
    """The tables `profiles` and `clusters`: everybody with consent and their segment."""
    connection.register("segmented", found.users)
    connection.register("profiles", found.profiles)
    connection.execute(f"""
        CREATE TABLE clusters AS
        SELECT person_id, coalesce(segment, {NEW}) AS segment, coalesce(segment_label, {duck.literal(NEW_LABEL)}) AS segment_label, distance
        FROM {duck.scan(dim_users, {"person_id": "VARCHAR", "has_personalisation_consent": "BOOLEAN"})} LEFT JOIN segmented USING (person_id)
        WHERE has_personalisation_consent ORDER BY person_id""")


def _make_record(connection: "duckdb.DuckDBPyConnection", lake: "Snapshot", run_date: date, found: "Found", memory: "Memory") -> None:
    """The tables `centres` (what later nights must know) and `record` (one row: sizes and stability of the night)."""
    from spark_jobs.segment_matching import remember
    from spark_jobs.segments import FEATURES

    previous = segment_history.last_night_before(lake, run_date)
    scales: list[tuple[float | None, ...]] = (
        list(zip(found.scale.means, found.scale.deviations, strict=True)) if found.scale else [(None, None)] * len(FEATURES)
    )
    rows: list[tuple[object, ...]] = [
        (run_date, one.number, one.label, one.last_seen, name, position, one.centre[position], *scales[position])
        for one in remember(memory, found.tonight)
        for position, name in enumerate(FEATURES)
    ]
    _fill(connection, "centres", SEGMENT_CENTRES, rows)
    tonight, last = {one.number for one in found.tonight}, {one.number for one in memory.known if one.last_seen == previous}
    changes = (None, None) if previous is None else (len(tonight - last), len(last - tonight))
    silhouettes = [value for value in found.profiles.column("silhouette").to_pylist() if value is not None]
    agreed = _stability(connection, lake, previous)
    record = (run_date, previous, found.users.num_rows, len(tonight), *changes, silhouettes[0] if silhouettes else None)
    _fill(connection, "record", SEGMENT_NIGHTS, [(*record, agreed.n_users_in_both, agreed.share_kept, agreed.adjusted_rand_index)])


def _stability(connection: "duckdb.DuckDBPyConnection", lake: "Snapshot", previous: date | None) -> Stability:
    if previous is None:
        return Stability(0, None, None)
    states = segment_history.relation(lake, "user_segments", until=previous)
    before = f"SELECT person_id, segment FROM {states} WHERE run_date = DATE '{previous}' AND kind = 'cluster' AND segment <> '{NEW}'"
    tonight = f"SELECT person_id, segment::VARCHAR AS segment FROM clusters WHERE segment <> {NEW}"
    return segment_history.stability(connection, f"({tonight})", f"({before})")


def _fill(connection: "duckdb.DuckDBPyConnection", table: str, columns: dict[str, str], rows: list[tuple[object, ...]]) -> None:
    connection.execute(f"CREATE TABLE {table} ({', '.join(f'{name} {kind}' for name, kind in columns.items())})")
    if rows:
        connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})", rows)


def _metrics(connection: "duckdb.DuckDBPyConnection", snapshot: "Snapshot", run_date: date) -> dict[str, object]:
    """The night's record without its counts of persons."""
    names = ("silhouette", "n_new_segments", "n_gone_segments", "share_kept", "adjusted_rand_index")
    found = duck.scan(snapshot.files("segment_nights"), SEGMENT_NIGHTS)
    row = connection.execute(f"SELECT {', '.join(names)} FROM {found} WHERE run_date = ?", [run_date]).fetchone()
    return dict(zip(names, row or (), strict=True))
