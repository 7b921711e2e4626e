"""The scores of a source over a few events, ledger lines and gate results whose shares can be counted."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dawnlist import columns, scorecard
from dawnlist.lake import Lake
from dawnlist.settings import Settings, load
from dawnlist.verdicts import GateResult, Verdict
from tests.gate_tables import ANNA, EVENT, MIDNIGHT, write

RUN_DATE = date(2026, 3, 10)
FILE = {"source": "store", "input": "events", "file_time": datetime(2026, 3, 9), "changed_days": [date(2026, 3, 9)]}
RESULT = {"source": "store", "suite": "events", "severity": "critical", "checked_for": datetime(2026, 3, 10), "is_success": True}


@pytest.fixture
def settings() -> Settings:
    return load()


def fill(settings: Settings, folder: Path, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Put `tables` into the lake; events go into the partition of their day."""
    lake, changes = Lake(settings.lake_dir), {}
    for table, rows in tables.items():
        changes[table] = []
        for day in sorted({row.get("event_date") for row in rows}, key=str):
            own = [row for row in rows if row.get("event_date") == day]
            file = write(folder / f"{table}-{day}.parquet", own, columns.LAKE_TABLES[table])
            with duckdb.connect() as connection:
                changes[table].append(lake.write(connection, table, f"SELECT * FROM '{file}'", partition=day))
    lake.commit(changes, run_id="filled")


def event(number: int, **changes: Any) -> dict[str, Any]:
    return EVENT | {"event_id": f"{number:032}", "event_date": RUN_DATE, "session_id": "s", "device": "phone", "country": "NL"} | changes


def day(*successes: bool, severity: str = "warning") -> Verdict:
    results = [GateResult("r1", MIDNIGHT, "day", "store", f"expect_x: {number}", None, severity, ok, None, None, None) for number, ok in enumerate(successes)]
    return Verdict("day", "store", tuple(results))


def scores(settings: Settings, verdict: Verdict, run_date: date = RUN_DATE) -> dict[str, float | None]:
    return scorecard.keep(settings, [verdict], run_date=run_date, run_id="r1")["store"]


def details(settings: Settings) -> dict[str, str]:
    files = [str(path) for path in Lake(settings.lake_dir).snapshot().files("source_scores")]
    return dict(duckdb.read_parquet(files).project("dimension, detail").fetchall())


def test_reliability_is_the_mean_of_kept_records_and_passed_checks(settings: Settings, tmp_path: Path) -> None:
    """Kept: 90 of 100 - 10 (the ignored were never meant for us), and all 10 of 20 but the duplicates. Passed: 2 of 3 in the lake, 1 of 2 today."""
    ledger = [
        FILE | {"n_read": 110, "n_ignored": 10, "n_kept": 90, "n_quarantined": 10},
        FILE | {"n_read": 20, "n_ignored": 0, "n_kept": 10, "n_duplicates": 10, "file_time": None},
        FILE | {"n_read": 500, "n_ignored": 0, "n_kept": 0, "file_time": datetime(2026, 3, 3)},  # eight days back
        FILE | {"n_read": 500, "n_ignored": 0, "n_kept": 0, "source": "other"},
    ]
    results = [
        *(RESULT | {"is_success": ok} for ok in (True, True, False)),
        *(
            RESULT | {"is_success": False} | other
            for other in ({"severity": "notice"}, {"suite": "dim_users"}, {"checked_for": datetime(2026, 3, 3)}, {"source": "other"})
        ),
    ]
    fill(settings, tmp_path, {"ledger": ledger, "gate_results": results})
    found = scores(settings, day(True, False))
    assert found["reliability"] == pytest.approx((100 / 120 + 3 / 5) / 2, abs=1e-6)
    assert details(settings)["reliability"] == "100 of 120 records kept; 3 of 5 checks passed"


@pytest.mark.parametrize(("age", "score"), [(0, 1.0), (2, 0.5), (4, 0.25)])
def test_recency_halves_every_two_days(age: int, score: float, settings: Settings, tmp_path: Path) -> None:
    newest = RUN_DATE - timedelta(days=age)
    fill(settings, tmp_path, {"events": [event(1, event_date=newest), event(2, event_date=RUN_DATE + timedelta(days=1)), event(3, source="other")]})
    assert scores(settings, day(True))["recency"] == score


def test_completeness_weighs_the_fill_rates(settings: Settings, tmp_path: Path) -> None:
    """Of four events: visitor 3/4 (weight 3), item 2/3 of those of items (3), price 1/2 of the sales (2), quantity 2/2 (1), session 4/4, device 4/4, country 1/4 (1 each)."""
    events = [
        event(1, anonymous_id=None, unit_price=1),
        event(2, user_id=None, anonymous_id="b" * 32, unit_price=None, country=None),
        event(3, event_type="view", item_id=None, unit_price=None, quantity=None, country=None),
        event(4, event_type="search", item_id=None, user_id=None, unit_price=None, quantity=None, country=None),
    ]
    fill(settings, tmp_path, {"events": events})
    expected = (3 * 3 / 4 + 3 * 2 / 3 + 2 * 1 / 2 + 1 + 1 + 1 + 1 / 4) / 12
    assert scores(settings, day(True))["completeness"] == pytest.approx(expected, abs=1e-6)
    assert details(settings)["completeness"].startswith("visitor 75.0%; item 66.7%; price 50.0%")


def test_relevance_is_the_share_of_events_that_a_list_can_be_made_of(settings: Settings, tmp_path: Path) -> None:
    """One of five: the others are a bot's, nobody's, a search (weight 0), and of an item that the catalogue lacks."""
    events = [event(1), event(2, is_bot=True), event(3, user_id=None), event(4, event_type="search", item_id=None), event(5, item_id="ghost")]
    fill(settings, tmp_path, {"events": events})
    assert scores(settings, day(True))["relevance"] == pytest.approx(2 / 5)  # without a catalogue every item is as good as known
    fill(settings, tmp_path, {"items": [{"source": "store", "item_id": "lamp", "updated_at": MIDNIGHT}]})
    assert scores(settings, day(True))["relevance"] == pytest.approx(1 / 5)


def test_total_weighs_what_could_be_scored(settings: Settings, tmp_path: Path) -> None:
    fill(settings, tmp_path, {"events": [event(1, user_id=None, anonymous_id=None, session_id=None, device=None, country=None, unit_price=1)]})
    card = settings.scorecard.model_copy(update={"recency_weight": 3.0, "relevance_weight": 0.0})
    found = scores(settings.with_(scorecard=card), day(True, True, True, False))
    complete = 6 / 12  # item, price and quantity
    assert found == {
        "reliability": 0.75,
        "recency": 1.0,
        "completeness": complete,
        "relevance": 0.0,
        "total": pytest.approx((0.75 + 3 + complete) / 5, abs=1e-6),
    }
    assert scores(settings, day(True), run_date=date(2026, 4, 30)) | {"recency": None} == {  # nothing for weeks: only the checks and the age count
        "reliability": 1.0,
        "recency": None,
        "completeness": None,
        "relevance": None,
        "total": pytest.approx(0.5, abs=1e-6),
    }


def test_scores_of_a_date_are_replaced_and_others_kept(settings: Settings, tmp_path: Path) -> None:
    fill(settings, tmp_path, {"events": [event(1)]})
    for run_date in (RUN_DATE, RUN_DATE + timedelta(days=1), RUN_DATE):
        scores(settings, day(True), run_date=run_date)
    files = [str(path) for path in Lake(settings.lake_dir).snapshot().files("source_scores")]
    rows = duckdb.read_parquet(files)
    assert dict(zip(rows.columns, map(str, rows.types), strict=True)) == columns.SOURCE_SCORES
    assert rows.aggregate("run_date, count(*)", "run_date").order("run_date").fetchall() == [(RUN_DATE, 5), (RUN_DATE + timedelta(days=1), 5)]
    assert rows.filter("score NOT BETWEEN 0 AND 1").fetchall() == []
    assert ANNA not in str(rows.fetchall())
