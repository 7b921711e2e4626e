"""Real events through the command line: published totals come out, and a night completes."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from dawnlist.cli import app
from dawnlist.export import verify
from dawnlist.lake import Lake
from dawnlist.settings import load

pytestmark = pytest.mark.usefixtures("one_dbt_parse")
RealData = Callable[[str], Path]


def dawnlist(home: Path, *arguments: str) -> str:
    """The command in this process, which has imported what it needs."""
    result = CliRunner().invoke(app, [*arguments, "--home", str(home)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def dawnlist_alone(home: Path, *arguments: str) -> str:
    """The command in a process of its own, with the memory that the settings give it."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("DAWNLIST_")} | {"DAWNLIST_HOME": str(home)}
    result = subprocess.run([sys.executable, "-m", "dawnlist.cli", *arguments], capture_output=True, text=True, timeout=3_000, env=variables, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def table(home: Path, name: str) -> str:
    return f"read_parquet({[str(path) for path in Lake(load(home=home).lake_dir).snapshot().files(name)]})"


def load_online_retail(home: Path, landing: Path) -> None:
    dawnlist(home, "ingest", "--source", "online_retail", "--landing", str(landing), "--until", "2011-12-09")
    dawnlist(home, "validate", "--source", "online_retail", "--until", "2011-12-09")


def test_online_retail_keeps_every_line_and_its_published_totals(real_data: RealData, tmp_path: Path) -> None:
    """541,909 lines, 25,900 invoices, 9,288 lines of cancellations, 4,372 customers, 9,747,747.93 in all (UCI Machine Learning Repository, data set 352)."""
    load_online_retail(tmp_path, real_data("online_retail"))
    totals = (
        "count(*), count(DISTINCT order_id), count(*) FILTER (event_type = 'refund'), count(DISTINCT user_id), round(sum(quantity * unit_price), 2)::VARCHAR"
    )
    assert duckdb.sql(f"SELECT {totals} FROM {table(tmp_path, 'events')}").fetchall() == [(541_909, 25_900, 9_288, 4_372, "9747747.93")]


@pytest.mark.long
def test_the_orders_of_online_retail_have_its_published_totals(real_data: RealData, tmp_path: Path) -> None:
    load_online_retail(tmp_path, real_data("online_retail"))
    for stage in ("open", "transform"):
        dawnlist(tmp_path, stage, "--source", "online_retail", "--run-date", "2011-12-09")
    orders = [str(path) for path in Lake(load(home=tmp_path).night_dir("2011-12-09")).snapshot().files("fct_orders")]
    select = "count(*), round(sum(net_revenue), 2)::DECIMAL(18, 2)::VARCHAR, sum(n_refund_lines), sum(n_lines + n_refund_lines), min(currency), max(currency)"
    found = duckdb.sql(f"SELECT {select} FROM read_parquet({orders})").fetchall()
    assert found == [(25_900, "9747747.93", 9_288, 541_909, "GBP", "GBP")]


def test_globo_news_has_its_clicks_on_their_own_days(real_data: RealData, tmp_path: Path) -> None:
    """Files of 216 hours hold clicks of 27 days: the time of the click counts, not the file's name. A second ingest adds nothing."""
    arguments = ("--source", "globo_news", "--landing", str(real_data("globo_news")), "--until", "2017-10-10")
    dawnlist(tmp_path, "ingest", *arguments)
    dawnlist(tmp_path, "validate", "--source", "globo_news", "--until", "2017-10-10")
    assert "nothing new has landed" in " ".join(dawnlist(tmp_path, "ingest", *arguments).split())
    query = f"SELECT count(*), count(DISTINCT event_date), count(DISTINCT user_id), bool_and(event_date = occurred_at::DATE) FROM {table(tmp_path, 'events')}"
    assert duckdb.sql(query).fetchall() == [(1_796_624, 27, 255_628, True)]


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("spark")
def test_a_night_of_deskdrop_is_published_and_exported(real_data: RealData, tmp_path: Path) -> None:
    output = dawnlist(tmp_path, "run", "--source", "deskdrop", "--landing", str(real_data("deskdrop")))
    assert "The night of 2017-02-27" in output
    with duckdb.connect(str(load(home=tmp_path).serving_file), read_only=True) as connection:
        lists = connection.execute("SELECT count(DISTINCT user_id), count(*) FROM serving.recommendations").fetchall()
    people, rows = lists[0]
    assert people > 1_800
    assert rows == 20 * people
    verify(tmp_path / "exports" / "cms" / "latest")


@pytest.mark.long
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize(("name", "run_date"), [("online_retail", "2011-12-08"), ("online_retail", "2011-11-30"), ("globo_news", "2017-10-09")])
def test_a_night_of_the_large_sources(real_data: RealData, tmp_path: Path, name: str, run_date: str) -> None:
    output = dawnlist_alone(tmp_path, "run", "--source", name, "--landing", str(real_data(name)), "--run-date", run_date)
    assert f"The night of {run_date}" in output
    verify(tmp_path / "exports" / "cms" / "latest")
