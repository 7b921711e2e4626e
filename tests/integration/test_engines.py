"""The same nights on DuckDB and on Spark, data tests included, through the command line: the marts are equal."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dawnlist.settings import load
from dawnlist.simulate import DEFAULT_END_DATE
from tests.engines import differences

pytestmark = [pytest.mark.long, pytest.mark.timeout(3_600)]


def dawnlist(home: Path, *arguments: str, engine: str = "duckdb") -> None:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("DAWNLIST_")}
    variables |= {"DAWNLIST_HOME": str(home), "DAWNLIST_WAREHOUSE__ENGINE": engine}
    result = subprocess.run([sys.executable, "-m", "dawnlist.cli", *arguments], capture_output=True, text=True, timeout=3_000, env=variables, check=False)
    assert result.returncode == 0, result.stderr


def differences_of_engines(home: Path, landing: Path, source: str, run_date: str) -> dict[str, str]:
    """What differs between the marts of the night of `run_date` made by DuckDB and then by Spark, of all files below `landing`."""
    for stage in ("ingest", "validate"):
        dawnlist(home, stage, "--source", source, "--until", run_date, *(("--landing", str(landing)) if stage == "ingest" else ()))
    for stage in ("open", "transform"):
        dawnlist(home, stage, "--source", source, "--run-date", run_date)
    warehouse = load(home=home).warehouse_file
    by_duckdb = shutil.copy(warehouse, home / "duckdb.duckdb")
    dawnlist(home, "transform", "--source", source, "--run-date", run_date, engine="spark")
    return differences(by_duckdb, warehouse)


def test_engines_agree_on_a_simulated_store(tmp_path: Path) -> None:
    landing = tmp_path / "landing"
    dawnlist(tmp_path, "simulate", "--users", "3000", "--items", "400", "--days", "45", "--out", str(landing))
    assert differences_of_engines(tmp_path, landing, "store", str(DEFAULT_END_DATE)) == {}


def test_engines_agree_on_online_retail(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    assert differences_of_engines(tmp_path, real_data("online_retail"), "online_retail", "2011-12-09") == {}
