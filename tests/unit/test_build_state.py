"""What a build on kept rows finds stale."""

from datetime import date
from pathlib import Path

import duckdb

from dawnlist.build_state import Stale, note_stale
from dawnlist.columns import EVENTS

DAY = date(2026, 3, 1)


def events_file(path: Path, *rows: tuple[str, str | None, str, int]) -> Path:
    """A day's events as (event_id, user_id, anonymous_id, minute of the day)."""
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE events ({', '.join(f'{name} {kind}' for name, kind in EVENTS.items())})")
        for event_id, user_id, anonymous_id, minute in rows:
            connection.execute(
                "INSERT INTO events BY NAME SELECT ? AS event_id, ? AS user_id, ? AS anonymous_id, ?::DATE AS event_date, ?::DATE + to_minutes(?) AS occurred_at",
                [event_id, user_id, anonymous_id, DAY, DAY, minute],
            )
        connection.execute("COPY events TO ? (FORMAT parquet)", [str(path)])
    return path


def test_of_a_changed_day_those_are_stale_who_have_other_events(tmp_path: Path) -> None:
    """late gets an event, gone loses one, moved has one at another minute; of the two devices of one person one has changed; same has what it had."""
    former = events_file(
        tmp_path / "former.parquet",
        *(("e1", "late", "d1", 1), ("e2", "gone", "d2", 2), ("e3", "moved", "d3", 3), ("e4", "same", "d4", 4), ("e5", "same", "d4", 4)),
        *(("e6", None, "phone", 6), ("e7", None, "laptop", 7)),
    )
    present = events_file(
        tmp_path / "present.parquet",
        *(("e5", "same", "d4", 4), ("e4", "same", "d4", 4), ("e3", "moved", "d3", 33), ("e8", "late", "d1", 8), ("e1", "late", "d1", 1)),
        *(("e6", None, "phone", 6), ("e7", None, "laptop", 7), ("e9", None, "phone", 9)),
    )
    with duckdb.connect() as connection:
        connection.execute("CREATE SCHEMA lake; CREATE SCHEMA state")
        people = "('late', 'late'), ('gone', 'gone'), ('moved', 'moved'), ('same', 'same'), ('phone', 'p'), ('laptop', 'p')"
        connection.execute(f"CREATE TABLE lake.persons AS FROM (VALUES {people}) AS t (alias_id, person_id)")
        connection.execute("CREATE TABLE state.persons AS FROM lake.persons")
        note_stale(connection, Stale([DAY], [former], [present]))
        assert connection.execute("SELECT * FROM lake.changed_person_days ORDER BY ALL").fetchall() == [(who, DAY) for who in ("gone", "late", "moved", "p")]
        assert connection.execute("FROM lake.stale_persons").fetchall() == []


def test_an_id_with_another_person_makes_both_persons_stale(tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute("CREATE SCHEMA lake; CREATE SCHEMA state")
        connection.execute("CREATE TABLE state.persons AS FROM (VALUES ('d', 'd'), ('u', 'u'), ('x', 'x')) AS t (alias_id, person_id)")
        connection.execute("CREATE TABLE lake.persons AS FROM (VALUES ('d', 'u'), ('u', 'u'), ('x', 'x')) AS t (alias_id, person_id)")
        note_stale(connection, Stale([], [], []))
        assert connection.execute("FROM lake.stale_persons ORDER BY ALL").fetchall() == [("d",), ("u",)]
        assert connection.execute("FROM lake.changed_person_days").fetchall() == []
