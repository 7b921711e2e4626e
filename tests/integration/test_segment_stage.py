from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dawnlist import duck
from dawnlist.errors import MissingInputError
from dawnlist.lake import Lake
from dawnlist.settings import Segments, Settings
from dawnlist.stages import segment
from dawnlist.stages.base import Interval, Night

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

YESTERDAY, RUN_DATE = date(2026, 3, 9), date(2026, 3, 10)
# Ten persons with consent: 0 to 5 visit a lot, 6 to 8 hardly, 9 is registered only. Person 10 has not consented.
USERS = "SELECT 'person' || i AS person_id, i <> 10 AS has_personalisation_consent FROM range(11) t(i)"
ACTIVITY = f"""
    SELECT 'person' || i AS person_id, day AS feature_date,
           if(day = DATE '{RUN_DATE}', if(i < 6, 50 + i, 1), 7)::BIGINT AS n_events_28d, if(i < 6, 9, 1)::BIGINT AS n_active_days_28d,
           if(i < 6, 0, 25 + i)::BIGINT AS days_since_last_event, 30::BIGINT AS tenure_days, 1::BIGINT AS n_sessions_28d, 2::BIGINT AS n_categories_28d,
           0::BIGINT AS n_add_to_carts_28d, 0::BIGINT AS n_purchases_28d, NULL::DOUBLE AS avg_dwell_seconds_28d
    FROM range(9) t(i), (VALUES (DATE '{RUN_DATE}'), (DATE '2026-02-10')) dates(day)"""
RFM = f"SELECT 'person' || i AS person_id, DATE '{RUN_DATE}' AS feature_date, 3::BIGINT AS recency_days, 1::BIGINT AS frequency, 9.5::DOUBLE AS monetary, 'lost' AS rfm_segment FROM range(6) t(i)"
LABELS = f"SELECT 'person' || i AS person_id, DATE '{RUN_DATE}' AS feature_date, 'tag' AS kind, 'night_owl' AS label FROM range(2, 4) t(i)"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", segments=Segments(min_clusters=2, max_clusters=2))


TRIGGERS = """
triggers:
  - {id: away, when: {feature: days_since_last_event, above: 25}, for_days: 2, then: {tag: win_back}}
  - {id: fell, when: {metric: click_through, falls_by: 0.1}, then: {model: previous}}
"""


def _opened(settings: Settings, run_date: date) -> Night:
    Lake(settings.lake_dir).commit({}, run_id="test")
    return Night.open(settings, run_date, run_id="test")


def _night(settings: Settings, run_date: date = RUN_DATE, *, users: str = USERS, activity: str = ACTIVITY, rfm: str = RFM) -> Night:
    night = _opened(settings, run_date)
    queries = {"dim_users": users, "feat_user_activity": activity, "feat_user_rfm": rfm, "feat_user_labels": LABELS}
    with duck.connect(settings) as connection:
        texts = {table: query.replace(str(RUN_DATE), str(run_date)) for table, query in queries.items()}
        files = {table: night.tables.write(connection, table, f"{query} ORDER BY ALL") for table, query in texts.items()}
    night.tables.commit({table: [file] if file else [] for table, file in files.items()}, run_id="test")
    return night


def _rows(settings: Settings, night: Night, table: str, columns: str) -> list[tuple[object, ...]]:
    with duck.connect(settings) as connection:
        return connection.execute(f"SELECT {columns} FROM {duck.scan(night.tables.snapshot().files(table), {})}").fetchall()


def test_everybody_with_consent_gets_a_segment(spark: "SparkSession", settings: Settings) -> None:
    night = _night(settings)
    result = segment.run(settings, Interval.day(RUN_DATE), run_id="test")
    people = _rows(settings, night, "user_segments", "person_id, segment")
    assert people == [(f"person{n}", 0 if n < 6 else 1 if n < 9 else -1) for n in range(10)]
    assert (result.rows_in, result.rows_out, result.counts) == (10, 10, {"n_segments": 2, "n_new": 1, "n_fired": 0})
    profiles = _rows(settings, night, "segment_profiles", "segment, n_users, segment_label, n_events_28d, monetary")
    assert [row[:2] for row in profiles] == [(-1, 1), (0, 6), (1, 3)]
    assert profiles[0][2:] == ("new", None, None)
    assert profiles[1][3] == 52.5  # the mean of 50 to 55, at the run date only
    assert [row[4] for row in profiles[1:]] == [9.5, 0.0]


def test_numbers_and_history_last_from_night_to_night(spark: "SparkSession", settings: Settings) -> None:
    _night(settings, YESTERDAY)
    segment.run(settings, Interval.day(YESTERDAY), run_id="first")
    # On the run date 3 to 5 are gone as well: the dormant are the larger segment now, and still number 1. Person 2 withdraws consent.
    gone = ACTIVITY.replace("i < 6", "i < 3")
    night = _night(settings, users=USERS.replace("i <> 10", "i NOT IN (2, 10)"), activity=f"SELECT * FROM ({gone}) WHERE person_id <> 'person2'")
    result = segment.run(settings, Interval.day(RUN_DATE), run_id="second")
    before = _hashes(night)
    assert _rows(settings, night, "segment_profiles", "segment, n_users") == [(-1, 1), (0, 2), (1, 6)]
    # In both nights: 0 and 1 stay in 0, 3 to 5 move from 0 to 1, 6 to 8 stay in 1: 5 of 8. Pairs together: 1 + 3 + 3 = 7, tonight 1 + 15, before 10 + 3,
    # by chance 16 * 13 / 28 = 52 / 7: (7 - 52 / 7) / (29 / 2 - 52 / 7) = -6 / 99.
    assert _rows(settings, night, "segment_nights", "run_date, n_users, n_segments, n_new_segments, n_gone_segments, share_kept, adjusted_rand_index") == [
        (YESTERDAY, 9, 2, None, None, None, None),
        (RUN_DATE, 8, 2, 0, 0, 0.625, -0.060606),
    ]
    assert result.metrics["share_kept"] == 0.625
    people = "person_id, kind, segment, valid_from, valid_to"
    history = [row for row in _rows(settings, night, "dim_user_segments", people) if row[0] in ("person2", "person3", "person6")]
    assert history == [
        ("person2", "cluster", "0", YESTERDAY, RUN_DATE),
        ("person2", "rfm", "lost", YESTERDAY, RUN_DATE),
        ("person2", "tag", "night_owl", YESTERDAY, RUN_DATE),
        ("person3", "cluster", "0", YESTERDAY, RUN_DATE),
        ("person3", "cluster", "1", RUN_DATE, None),
        ("person3", "rfm", "lost", YESTERDAY, None),
        ("person3", "tag", "night_owl", YESTERDAY, None),
        ("person6", "cluster", "1", YESTERDAY, None),
    ]
    for run_date in (YESTERDAY, RUN_DATE):  # a backfill gives the same bytes
        segment.run(settings, Interval.day(run_date), run_id="again")
    assert _hashes(night) == before


def _hashes(night: Night) -> dict[str, list[str]]:
    return {table: [file.sha256 for file in night.tables.snapshot().data_files(table)] for table in segment.TABLES}


def test_a_night_without_activity_has_newcomers_only(spark: "SparkSession", settings: Settings) -> None:
    night = _night(settings, activity=f"{ACTIVITY} WHERE false", rfm=f"{RFM} WHERE false")
    segment.run(settings, Interval.day(RUN_DATE), run_id="test")
    assert _rows(settings, night, "segment_profiles", "segment, n_users, segment_label") == [(-1, 10, "new")]


def test_before_transform_it_names_the_stage_to_run(settings: Settings) -> None:
    _opened(settings, RUN_DATE)
    with pytest.raises(MissingInputError, match="dawnlist transform"):
        segment.run(settings, Interval.day(RUN_DATE), run_id="test")
    assert "user_segments" not in Night.load(settings, RUN_DATE).tables.snapshot()


def test_a_trigger_tags_persons_from_the_night_on_in_which_it_has_held_long_enough(spark: "SparkSession", settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(TRIGGERS)
    settings = settings.with_(rules_file=tmp_path / "rules.yml")
    _night(settings, YESTERDAY)
    assert segment.run(settings, Interval.day(YESTERDAY), run_id="first").counts["n_fired"] == 0
    night = _night(settings)
    result = segment.run(settings, Interval.day(RUN_DATE), run_id="second")
    # 6 to 8 were last there 31 to 33 days ago, in both nights; 9 has no event.
    away = [f"person{n}" for n in (6, 7, 8)]
    assert _rows(settings, night, "rule_firings", "rule, kind, person_id, value, threshold, condition, outcome") == [
        ("away", "person", person, 31.0 + n, 25.0, "days_since_last_event above 25 for 2 days", "win_back") for n, person in enumerate(away)
    ]
    labels = "person_id, segment, segment_label, valid_from, is_current"
    assert [row for row in _rows(settings, night, "dim_user_segments", f"kind, {labels}") if row[0] == "trigger"] == [
        ("trigger", person, "away", "win_back", RUN_DATE, True) for person in away
    ]
    assert [row[:2] for row in _rows(settings, night, "trigger_nights", "run_date, trigger")] == [
        (day, name) for day in (YESTERDAY, RUN_DATE) for name in ("away", "fell")
    ]
    assert result.notes == [
        "trigger away (days_since_last_event above 25): 3 of 9 people, tag win_back",
        "trigger fell: cannot be judged: 0 listed items were shown on the run date, it takes 1,000; does a source send impressions?",
    ]
