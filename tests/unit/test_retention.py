"""Landed files are removed only when the lake has them, to the byte, and when they are old enough."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from dawnlist import retention
from dawnlist.columns import LEDGER
from dawnlist.errors import SettingsError
from dawnlist.files import sha256_of
from dawnlist.lake import Lake
from dawnlist.settings import Ingest, Settings, Site, load

NOW = datetime(2026, 3, 31, 12)
SHOP = """
description: a shop
user_namespace: "shop:"
inputs:
  events:
    path: "*.csv"
    format: csv
    file_time: "%Y-%m-%d"
    period: day
    columns: {occurred_at: at}
    event_type: [{type: view}]
"""
# name -> days since it arrived, rows in quarantine; None = not in the ledger
FILES = {
    "2026-03-01.csv": (29, 0),
    "2026-03-02.csv": (28, 3),  # has rows to replay
    "2026-03-03.csv": (28, None),  # not ingested yet
    "2026-03-04.csv": (2, 0),  # an old day that landed late
    "2026-03-29.csv": (40, 0),  # its day ended 1.5 days ago
    "2026-03-05.csv": (26, 0),  # changed after it was ingested
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "shop.yml").write_text(SHOP)
    folder = tmp_path / "landing"
    folder.mkdir()
    settings = load(home=tmp_path / "home", landing=str(folder), sources_dir=tmp_path, site=Site(sources=("shop",)))
    rows = []
    for name, (days, quarantined) in FILES.items():
        path = folder / name
        path.write_text(f"at\n{name}\n")
        if quarantined is not None:
            rows.append({"source": "shop", "input": "events", "file_id": sha256_of(path), "file_name": name, "n_quarantined": quarantined})
        if name == "2026-03-05.csv":
            path.write_text("at\nanother\n")
        moment = (NOW - timedelta(days=days)).replace(tzinfo=UTC).timestamp()
        os.utime(path, (moment, moment))
    lake = Lake(settings.lake_dir)
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE ledger ({', '.join(f'{name} {kind}' for name, kind in LEDGER.items())})")
        for row in rows:
            connection.execute(f"INSERT INTO ledger BY NAME SELECT {', '.join(f'? AS {name}' for name in row)}", list(row.values()))
        file = lake.write(connection, "ledger", "FROM ledger")
    lake.commit({"ledger": [file] if file else []}, run_id="test")
    return settings.with_(ingest=Ingest(landing_retention_days=20))


def left(settings: Settings) -> set[str]:
    return {path.name for path in settings.landing_dir("shop").iterdir()}


def test_only_old_files_that_the_lake_has_are_removed(settings: Settings) -> None:
    pruned = retention.prune(settings, now=NOW)
    assert pruned == retention.Pruned((("shop", "2026-03-01.csv"),), len("at\n2026-03-01.csv\n"))
    assert left(settings) == set(FILES) - {"2026-03-01.csv"}
    assert retention.prune(settings, now=NOW).files == ()


def test_a_dry_run_says_the_same_and_removes_nothing(settings: Settings) -> None:
    assert retention.prune(settings, now=NOW, is_dry_run=True).files == (("shop", "2026-03-01.csv"),)
    assert left(settings) == set(FILES)


def test_files_with_rows_in_quarantine_stay_unless_they_are_meant_too(settings: Settings) -> None:
    assert [name for _, name in retention.prune(settings, now=NOW, include_quarantined=True).files] == ["2026-03-01.csv", "2026-03-02.csv"]


def test_without_a_retention_landing_is_left_alone(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="No retention is set for landed files"):
        retention.prune(settings.with_(ingest=Ingest()), now=NOW)
    assert left(settings) == set(FILES)


def test_an_empty_landing_folder_is_no_error(settings: Settings) -> None:
    for path in settings.landing_dir("shop").iterdir():
        path.unlink()
    assert retention.prune(settings, now=NOW).files == ()
