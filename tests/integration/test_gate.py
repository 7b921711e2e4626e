"""The gate at the places where stages call it: opening a night, the marts, the lists."""

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dawnlist import validation
from dawnlist.columns import EVENTS
from dawnlist.errors import GateError, MissingInputError
from dawnlist.lake import Lake
from dawnlist.settings import Settings, load
from dawnlist.stages import open as open_stage
from dawnlist.stages.base import Interval, Night
from tests.gate_tables import ANNA, EVENT, write
from tests.unit.test_expectations import GOOD_MARTS, infer

RUN_DATE = date(2026, 3, 10)


@pytest.fixture
def settings() -> Settings:
    return load()


def fill(lake: Lake, table: str, file: Path, *, partition: date | None = None) -> None:
    with duckdb.connect() as connection:
        written = lake.write(connection, table, f"SELECT * FROM '{file}'", partition=partition)
    lake.append(table, written, run_id="r0")


def land(settings: Settings, folder: Path, *days: date) -> None:
    """One event a day, as promotion leaves it."""
    for day in days:
        file = write(folder / f"{day}.parquet", [EVENT | {"event_id": f"{day:%Y%m%d}".zfill(32), "event_date": day}], EVENTS)
        fill(Lake(settings.lake_dir), "events", file, partition=day)


def test_fresh_lake_opens_the_night_and_is_pinned(settings: Settings, tmp_path: Path) -> None:
    land(settings, tmp_path, *(RUN_DATE - timedelta(days=back) for back in range(3)), RUN_DATE + timedelta(days=1))
    result = open_stage.run(settings, Interval.day(RUN_DATE), run_id="r1")
    assert (result.stage, result.interval, result.rows_out, result.notes) == ("open", "2026-03-10", 4, ["this night trains: there is no model yet"])
    night = Night.load(settings, RUN_DATE)
    assert (night.run_id, night.lake_version) == ("r1", result.metrics["lake_version"])
    land(settings, tmp_path, RUN_DATE + timedelta(days=2))
    assert Night.load(settings, RUN_DATE).lake.rows("events") == 4
    results = duckdb.read_parquet([str(path) for path in night.lake.files("gate_results")])
    assert results.filter("suite = 'day' AND NOT is_success").aggregate("count(*)").fetchall() == [(0,)]


def test_quiet_day_is_noted(settings: Settings, tmp_path: Path) -> None:
    land(settings, tmp_path, RUN_DATE - timedelta(days=1))
    result = open_stage.run(settings, Interval.day(RUN_DATE), run_id="r1")
    assert ["there are events on 2026-03-10" in note for note in result.notes] == [True, False]


def test_stale_lake_leaves_an_opened_night_as_it_was(settings: Settings, tmp_path: Path) -> None:
    land(settings, tmp_path, RUN_DATE - timedelta(days=8))
    record = settings.night_dir(RUN_DATE) / "night.json"
    record.parent.mkdir(parents=True)
    before: dict[str, Any] = {"run_date": str(RUN_DATE), "run_id": "earlier", "lake_version": 1}
    record.write_text(json.dumps(before), encoding="utf-8")
    with pytest.raises(GateError, match="The night of 2026-03-10 did not pass the gate. Suite day of store, column event_date"):
        open_stage.run(settings, Interval.day(RUN_DATE), run_id="r1")
    assert json.loads(record.read_text(encoding="utf-8")) == before
    failed = duckdb.read_parquet([str(path) for path in Lake(settings.lake_dir).snapshot().files("gate_results")]).filter(
        "NOT is_success AND severity = 'critical'"
    )
    assert failed.aggregate("count(*)").fetchall() == [(1,)]


def test_source_without_any_event_stops_the_night(settings: Settings) -> None:
    with pytest.raises(GateError, match="there are days with events up to 2026-03-10"):
        open_stage.run(settings, Interval.day(RUN_DATE), run_id="r1")
    assert not (settings.night_dir(RUN_DATE) / "night.json").exists()


def test_marts_of_a_night_are_all_checked(settings: Settings, tmp_path: Path) -> None:
    night = Lake(settings.night_dir(RUN_DATE))
    with pytest.raises(MissingInputError, match="run `dawnlist transform`"):
        validation.check_marts(settings, night.snapshot(), run_date=RUN_DATE, run_id="r1")
    for mart, good in GOOD_MARTS.items():
        fill(night, mart, infer(tmp_path / f"{mart}.parquet", [good]))
    verdicts = validation.check_marts(settings, night.snapshot(), run_date=RUN_DATE, run_id="r1")
    assert [(verdict.suite, verdict.source, verdict.failures()) for verdict in verdicts] == [(mart, "store", []) for mart in validation.MARTS]


def test_lists_are_checked_as_of_the_run_date(settings: Settings, tmp_path: Path) -> None:
    night = Lake(settings.night_dir(RUN_DATE))
    for mart in ("dim_users", "dim_items", "fct_interactions"):
        fill(night, mart, infer(tmp_path / f"{mart}.parquet", [GOOD_MARTS[mart]]))
    shown = {"person_id": ANNA, "rank": 1, "item_id": "lamp", "score": 1.0, "source": "als", "propensity": 1.0}
    fill(night, "recommendations", infer(tmp_path / "recommendations.parquet", [shown]))
    fill(
        night, "popular_items", infer(tmp_path / "popular_items.parquet", [{"scope": "global", "scope_value": "", "rank": 1, "item_id": "lamp", "score": 1.0}])
    )
    selfish = [{"item_id": "lamp", "rank": 1, "similar_item_id": "lamp", "score": 1.0}]
    fill(night, "similar_items", infer(tmp_path / "similar_items.parquet", selfish), partition=RUN_DATE - timedelta(days=3))  # a training cut
    verdicts = validation.check_recommendations(settings, night.snapshot(), run_date=RUN_DATE, run_id="r1", exclude_bought=True)
    assert [(verdict.suite, verdict.failures()) for verdict in verdicts] == [("recommendations", []), ("similar_items", []), ("popular_items", [])]
    fill(night, "similar_items", infer(tmp_path / "similar_items.parquet", selfish), partition=RUN_DATE)
    verdicts = validation.check_recommendations(settings, night.snapshot(), run_date=RUN_DATE, run_id="r1")
    assert [verdict.passed for verdict in verdicts] == [True, False, True]
