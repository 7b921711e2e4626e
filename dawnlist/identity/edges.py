"""Who was seen with whom, day by day: a small lake table from which a night resolves its persons without reading all events again.

A day's edges say which file of events they were made from. They are made anew when the day has another file, and kept otherwise:
a night reads the events of the days that changed, whatever happened to the lake since the night before.
"""

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from dawnlist import duck
from dawnlist.columns import EVENTS, IDENTITY_EDGES
from dawnlist.lake import DataFile, Lake, Snapshot

if TYPE_CHECKING:
    import duckdb

TABLE = "identity_edges"
THREADS = 2  # days that are written side by side: each is sorted and written by one thread for most of its time

_QUERY = """
SELECT DATE '{day}' AS event_date, source, user_id, anonymous_id, count(*) AS n_events, min(occurred_at) AS first_seen_at, max(occurred_at) AS last_seen_at,
    '{made_from}' AS made_from
FROM {events}
WHERE NOT coalesce(is_bot, false) AND (user_id IS NOT NULL OR anonymous_id IS NOT NULL)
GROUP BY source, user_id, anonymous_id
ORDER BY user_id, anonymous_id, source
"""


def refresh(connection: "duckdb.DuckDBPyConnection", lake: Snapshot, end: date, *, run_id: str) -> tuple[list[Path], int]:
    """The files of the edges of all days of `lake` before `end`, and how many of them were made now. Bots are left out.

    They are committed at once: they depend on nothing but the events, whatever becomes of the night. Edges of later days stay as they are.
    """
    home = Lake(lake.root)
    days = _days(lake, end)
    there = home.snapshot().data_files(TABLE)
    made_from = _made_from(connection, home, there)
    kept = {file.partition: file for file in there if file.partition >= end.isoformat() or made_from.get(file.partition) == _mark(days.get(file.partition, []))}
    stale = {day: files for day, files in days.items() if made_from.get(day) != _mark(files)}
    if stale or len(kept) < len(there):
        kept |= {file.partition: file for file in _make(connection, home, stale)}
        home.commit({TABLE: kept.values()}, run_id=run_id)
    return [home.root / file.path for day, file in sorted(kept.items()) if day < end.isoformat()], len(stale)


def _days(lake: Snapshot, end: date) -> dict[str, list[DataFile]]:
    days: dict[str, list[DataFile]] = {}
    for file in lake.data_files("events"):
        if file.partition < end.isoformat():
            days.setdefault(file.partition, []).append(file)
    return days


def _mark(files: list[DataFile]) -> str:
    return " ".join(sorted(file.sha256 for file in files))


def _made_from(connection: "duckdb.DuckDBPyConnection", home: Lake, files: tuple[DataFile, ...]) -> dict[str, str]:
    """Day -> what its edges were made from."""
    edges = duck.scan([home.root / file.path for file in files], IDENTITY_EDGES)
    return dict(connection.execute(f"SELECT DISTINCT event_date::VARCHAR, made_from FROM {edges}").fetchall())


def _make(connection: "duckdb.DuckDBPyConnection", home: Lake, days: dict[str, list[DataFile]]) -> list[DataFile]:
    def write(day: str) -> DataFile | None:
        events = duck.scan([home.root / file.path for file in days[day]], EVENTS)
        with duck.cursor(connection) as cursor:
            return home.write(cursor, TABLE, _QUERY.format(events=events, made_from=_mark(days[day]), day=day), partition=date.fromisoformat(day))

    with ThreadPoolExecutor(THREADS) as pool:
        return [file for file in pool.map(write, days) if file]
