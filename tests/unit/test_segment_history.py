from collections.abc import Iterable
from datetime import date
from pathlib import Path

import duckdb
import pytest

from dawnlist import duck, segment_history
from dawnlist.lake import Lake
from dawnlist.segment_history import Stability, adjusted_rand_index, last_night_before, ranges, record, relation, stability
from dawnlist.settings import Settings

DAYS = {n: date(2026, 3, n) for n in range(1, 10)}
NIGHT = ", ".join(f"NULL::{kind} AS {name}" for name, kind in segment_history.SEGMENT_NIGHTS.items() if name != "run_date")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


def night(settings: Settings, day: int, said: Iterable[tuple[str, str, str]]) -> None:
    """The record of a night that said (person, kind, segment); labels carry the day."""
    rows = ", ".join(f"('{person}', '{kind}', '{segment}')" for person, kind, segment in said) or "(NULL, NULL, NULL)"
    states = f"""SELECT DATE '{DAYS[day]}' AS run_date, person_id, kind, segment, segment || '/' || '{day}' AS segment_label
        FROM (VALUES {rows}) AS said(person_id, kind, segment) WHERE person_id IS NOT NULL ORDER BY ALL"""
    with duck.connect(settings) as connection:
        queries = {"user_segments": states, "segment_nights": f"SELECT DATE '{DAYS[day]}' AS run_date, {NIGHT}"}
        record(settings, connection, DAYS[day], queries, run_id=f"night-{day}")


def history(settings: Settings, day: int) -> list[tuple[str, str, str, str, int, int | None, bool]]:
    with duck.connect(settings) as connection:
        rows = connection.execute(ranges(Lake(settings.lake_dir).snapshot(), run_date=DAYS[day])).fetchall()
    return [(person, kind, segment, label, start.day, end and end.day, current) for person, kind, segment, label, start, end, current in rows]


def test_ranges_begin_and_end_with_the_nights(settings: Settings) -> None:
    night(settings, 1, [("ann", "cluster", "0"), ("bob", "cluster", "0")])
    night(settings, 2, [("ann", "cluster", "1"), ("bob", "cluster", "0"), ("bob", "tag", "owl")])
    night(settings, 4, [("ann", "cluster", "0"), ("bob", "cluster", "0"), ("bob", "tag", "owl"), ("bob", "tag", "loyal")])
    assert history(settings, 4) == [
        ("ann", "cluster", "0", "0/1", 1, 2, False),
        ("ann", "cluster", "0", "0/4", 4, None, True),
        ("ann", "cluster", "1", "1/2", 2, 4, False),  # no night was run on the 3rd: what the 2nd said held on
        ("bob", "cluster", "0", "0/4", 1, None, True),
        ("bob", "tag", "loyal", "loyal/4", 4, None, True),
        ("bob", "tag", "owl", "owl/4", 2, None, True),
    ]
    assert history(settings, 1) == [("ann", "cluster", "0", "0/1", 1, None, True), ("bob", "cluster", "0", "0/1", 1, None, True)]


def test_withdrawn_consent_ends_the_range_even_when_nobody_is_left(settings: Settings) -> None:
    night(settings, 1, [("ann", "cluster", "0")])
    night(settings, 2, [])
    assert history(settings, 2) == [("ann", "cluster", "0", "0/1", 1, 2, False)]


def test_repeated_nights_and_backfills_in_any_order_give_the_same_ranges(settings: Settings, tmp_path: Path) -> None:
    said = {1: [("ann", "cluster", "0")], 2: [("ann", "cluster", "1"), ("bob", "rfm", "lost")], 3: [("ann", "cluster", "1")]}
    for day, rows in said.items():
        night(settings, day, rows)
    other = Settings(home=tmp_path / "other")
    night(other, 3, said[3])
    night(other, 2, [("ann", "cluster", "7"), ("bob", "rfm", "champions")])  # what the night said before it ran again
    for day in (1, 2, 1):
        night(other, day, said[day])
    assert history(other, 3) == history(settings, 3)
    lake = Lake(other.lake_dir).snapshot()
    assert [file.partition for file in lake.data_files("user_segments")] == ["2026-03-01", "2026-03-02", "2026-03-03"]
    night(other, 1, said[1])
    assert Lake(other.lake_dir).snapshot().version == lake.version  # nothing new: no new version


def test_the_night_before_is_the_latest_that_was_run(settings: Settings) -> None:
    night(settings, 2, [])
    night(settings, 5, [])
    lake = Lake(settings.lake_dir).snapshot()
    assert [last_night_before(lake, DAYS[day]) for day in (2, 3, 5, 6)] == [None, DAYS[2], DAYS[2], DAYS[5]]


def test_only_persons_with_consent_and_only_the_run_date_are_recorded() -> None:
    day, earlier = DAYS[2], DAYS[1]
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE clusters AS FROM (VALUES ('ann', 0, 'busy'), ('eve', -1, 'new')) AS t(person_id, segment, segment_label)")
        query = segment_history.states(
            run_date=day,
            clusters="clusters",
            rfm=f"(VALUES ('ann', DATE '{day}', 'lost'), ('refuser', DATE '{day}', 'lost')) AS rfm(person_id, feature_date, rfm_segment)",
            labels=f"(VALUES ('ann', DATE '{earlier}', 'tag', 'owl'), ('ann', DATE '{day}', 'segment', 'vip')) AS t(person_id, feature_date, kind, label)",
            firings="(VALUES ('eve', 'person', 'win-back', 'win_back'), (NULL, 'site', 'fell', 'done')) AS t(person_id, kind, rule, outcome)",
        )
        assert connection.execute(query).fetchall() == [
            (day, "ann", "cluster", "0", "busy"),
            (day, "ann", "rfm", "lost", "lost"),
            (day, "ann", "segment", "vip", "vip"),
            (day, "eve", "cluster", "-1", "new"),
            (day, "eve", "trigger", "win-back", "win_back"),
        ]


def test_stability_counts_who_is_in_both_nights() -> None:
    # a and b stay in 0, c moves from 0 to 1, d stays in 1; e is new, f has gone.
    tonight = "(VALUES ('a', 0), ('b', 0), ('c', 1), ('d', 1), ('e', 1)) AS t(person_id, segment)"
    before = "(VALUES ('a', 0), ('b', 0), ('c', 0), ('d', 1), ('f', 0)) AS t(person_id, segment)"
    with duckdb.connect() as connection:
        assert stability(connection, f"(FROM {tonight})", f"(FROM {before})") == Stability(4, 0.75, 0.0)
        assert stability(connection, f"(FROM {tonight})", f"(FROM {before} WHERE false)") == Stability(0, None, None)


def test_the_rand_index_sees_partitions_and_not_numbers() -> None:
    assert adjusted_rand_index([(0, 1, 3), (1, 0, 2)]) == 1.0
    # Pairs together in both: 1; tonight 1 + 1, before 3; by chance 2 * 3 / 6 = 1: (1 - 1) / (2.5 - 1).
    assert adjusted_rand_index([(0, 0, 2), (1, 0, 1), (1, 1, 1)]) == 0.0
    # Six persons, 3 and 3 tonight, 2, 2 and 2 before: together 1 + 1 = 2, by chance 6 * 3 / 15 = 1.2: (2 - 1.2) / (4.5 - 1.2) = 8 / 33.
    assert adjusted_rand_index([(0, 0, 2), (0, 1, 1), (1, 1, 1), (1, 2, 2)]) == pytest.approx(8 / 33)
    assert adjusted_rand_index([(0, 0, 5)]) == 1.0


def test_a_table_that_no_night_has_written_is_empty(settings: Settings) -> None:
    with duck.connect(settings) as connection:
        assert (
            connection.execute(f"SELECT run_date, segment FROM {relation(Lake(settings.lake_dir).snapshot(), 'user_segments', until=DAYS[9])}").fetchall() == []
        )
