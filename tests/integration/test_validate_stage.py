"""Landed hours through ingest and validate: what is no event, and hours without any."""

from datetime import datetime
from pathlib import Path

import duckdb
import pytest

from dawnlist import settings
from dawnlist.lake import Lake
from dawnlist.settings import Settings
from dawnlist.stages import ingest, validate
from dawnlist.stages.base import Interval

SOURCE = """
description: clicks by the hour
user_namespace: "site:"
inputs:
  events:
    path: "*.csv"
    format: csv
    file_time: "%Y-%m-%dT%H"
    period: hour
    columns: {occurred_at: time, user_id: who, item_id: what}
    event_type: [{type: ignore, when: {column: kind, equals: ping}}, {type: view}]
"""
SIX, SEVEN = Interval.hour(datetime(2026, 3, 10, 6)), Interval.hour(datetime(2026, 3, 10, 7))


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "site.yml").write_text(SOURCE, encoding="utf-8")
    landing = tmp_path / "landing"
    landing.mkdir()
    (landing / "2026-03-10T06.csv").write_text("time,who,what,kind\n2026-03-10 06:01:00,ann,lamp,view\n", encoding="utf-8")
    (landing / "2026-03-10T07.csv").write_text("time,who,what,kind\n2026-03-10 07:01:00,ann,,ping\n2026-03-10 07:02:00,bob,,ping\n", encoding="utf-8")
    return settings.load(home=tmp_path / "home", landing=landing, sources_dir=tmp_path / "sources", site=settings.Site(sources=("site",)))


def test_an_hour_of_nothing_but_ignored_lines_passes_and_is_in_the_ledger(home: Settings) -> None:
    for hour in (SIX, SEVEN):
        ingest.run(home, hour, run_id="r")
        result = validate.run(home, hour, run_id="r")
    assert (result.rows_in, result.rows_out, result.counts["n_ignored"]) == (2, 0, 2)
    lake = Lake(home.lake_dir).snapshot()
    assert lake.rows("events") == 1
    ledger = duckdb.read_parquet([str(path) for path in lake.files("ledger")])
    assert ledger.project("file_name, n_read, n_kept, n_ignored").order("file_name").fetchall() == [
        ("2026-03-10T06.csv", 1, 1, 0),
        ("2026-03-10T07.csv", 2, 0, 2),
    ]
