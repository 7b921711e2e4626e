"""The day's checks and the bot rules on five weeks of the simulated store: planted faults are found, ordinary days are not, bots are left out."""

import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from dawnlist import duck, identity, pipeline, privacy, simulate, sources, validation, warehouse
from dawnlist.columns import EVENTS
from dawnlist.errors import GateError
from dawnlist.lake import Lake, Snapshot
from dawnlist.settings import Settings, load
from dawnlist.stages import execute
from dawnlist.stages.base import Interval
from dawnlist.verdicts import NOTICE, Verdict
from tests.nights import ANN, BOB
from tests.published import MORNING, answer, publish_night, published, say

pytestmark = pytest.mark.usefixtures("one_dbt_parse")

RUN_DATE = simulate.DEFAULT_END_DATE  # a Sunday
ORDINARY = [RUN_DATE - timedelta(days=back) for back in range(12)]
SILENT = "FROM {day} LIMIT 20"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home with the store's lake: 600 visitors and six bots, of which two look like people."""
    home = load(home=tmp_path_factory.mktemp("store"))
    rates = simulate.Rates(bots_per_visitor=0.01, bot_sessions_per_day=0.7)
    simulate.run(users=600, items=120, days=36, seed=11, out=home.landing_dir("store"), rates=rates)
    for stage in ("ingest", "validate"):
        execute(home, stage, Interval.until(RUN_DATE), run_id="load")
    return home


@pytest.fixture(scope="module")
def lake(store: Settings) -> Snapshot:
    return Lake(store.lake_dir).snapshot()


def changed(store: Settings, lake: Snapshot, query: str) -> Snapshot:
    """The lake as it would be if the run date's events were those of `query`, in which {day} stands for them."""
    (file,) = lake.files("events", since=RUN_DATE)
    with duck.connect(store) as connection:
        written = Lake(store.lake_dir).write(connection, "events", query.format(day=duck.scan([file], EVENTS)), partition=RUN_DATE)
    others = [one for one in lake.data_files("events") if one.partition != RUN_DATE.isoformat()]
    return Lake(store.lake_dir).preview({"events": [*others, *([written] if written else [])]}, run_id="planted")


def judged(store: Settings, lake: Snapshot, day: date = RUN_DATE) -> Verdict:
    return validation.check_day(store, lake, "store", run_date=day, run_id="r1")


def told(verdict: Verdict) -> list[str]:
    """What somebody would be told: every failure that is more than a notice."""
    return [one.expectation.partition(": ")[2] for one in verdict.results if not one.is_success and one.severity != NOTICE]


def test_ordinary_days_raise_no_alarm(store: Settings, lake: Snapshot) -> None:
    assert {day: told(judged(store, lake, day)) for day in ORDINARY} == {day: [] for day in ORDINARY}


@pytest.mark.parametrize(
    ("query", "beginnings"),
    [
        ("SELECT * REPLACE (unit_price * 100 AS unit_price) FROM {day}", ["unit_price has not shifted"]),
        ("FROM {day} WHERE hour(occurred_at) <> 19", ["no hour is missing"]),
        ("FROM {day} WHERE device IS DISTINCT FROM 'mobile'", ["device has not shifted", "os has not shifted", "the volume is within"]),
        ("SELECT * REPLACE (if(event_type = 'view', 'click', event_type) AS event_type) FROM {day}", ["event_type has not shifted"]),
        ("SELECT * REPLACE (if(hash(event_id) % 4 = 0, 'new' || item_id, item_id) AS item_id) FROM {day}", ["the share of events that name an item"]),
        (
            "SELECT * REPLACE (if(hash(session_id) % 4 = 0, NULL, user_id) AS user_id, if(hash(session_id) % 4 = 0, NULL, anonymous_id) AS anonymous_id) FROM {day}",
            ["the share of events that have neither"],
        ),
    ],
    ids=["prices times 100", "a missing hour", "no mobile app", "views sent as clicks", "unknown items", "lost ids"],
)
def test_planted_fault_is_warned_about(query: str, beginnings: list[str], store: Settings, lake: Snapshot) -> None:
    verdict = judged(store, changed(store, lake, query))
    assert verdict.passed
    found = told(verdict)
    assert [beginning for beginning in beginnings if not any(one.startswith(beginning) for one in found)] == []
    assert len(found) == len(beginnings)


def test_dead_tracker_stops_the_night_before_anything_changes(store: Settings, lake: Snapshot, tmp_path: Path) -> None:
    home = store.with_(home=tmp_path / "home", landing=store.landing_dir("store"))
    shutil.copytree(store.lake_dir, home.lake_dir)
    Lake(home.lake_dir).commit({"events": changed(home, Lake(home.lake_dir).snapshot(), SILENT).data_files("events")}, run_id="dead")
    for file in (home.serving_file, home.analytics_file, home.exports_dir / "latest" / "manifest.json"):
        file.parent.mkdir(parents=True)
        file.write_bytes(b"of yesterday")
    before = contents(home)
    with pytest.raises(GateError, match="the volume is no more than 6 robust deviations below that of the same weekday"):
        pipeline.run(home, RUN_DATE, run_id="r1", report=lambda stage, result: None, stages=("open", "transform", "publish", "export"))
    assert contents(home) == before
    assert not (home.night_dir(RUN_DATE) / "night.json").exists()
    scores = duckdb.read_parquet([str(path) for path in Lake(home.lake_dir).snapshot().files("source_scores")])
    assert scores.filter("dimension = 'total'").aggregate("count(*)").fetchall() == [(1,)]  # a bad day is scored, too


def contents(home: Settings) -> dict[str, bytes]:
    """What is downstream of the gate."""
    kept = ("serving", "analytics", "exports", "warehouse", "nights")
    return {str(path): path.read_bytes() for name in kept for path in sorted((home.home / name).rglob("*")) if path.is_file() and path.suffix != ".lock"}


def test_a_night_that_stops_takes_out_of_the_published_lists_who_has_withdrawn(store: Settings, lake: Snapshot, tmp_path: Path) -> None:
    home = store.with_(home=tmp_path / "home", landing=store.landing_dir("store"))
    shutil.copytree(store.lake_dir, home.lake_dir)
    Lake(home.lake_dir).commit({"events": changed(home, Lake(home.lake_dir).snapshot(), SILENT).data_files("events")}, run_id="dead")
    publish_night(home)
    say(home, consents=[answer(BOB, False, MORNING)])
    reported: list[str] = []
    with pytest.raises(GateError):
        pipeline.run(home, RUN_DATE, run_id="r1", report=lambda stage, result: reported.append(stage), stages=("open", "transform"))
    assert reported == ["open", "suppress"]
    assert published(home, f"SELECT item_id FROM published.serving.recommendations WHERE user_id = '{BOB}'") == [("mug",)]
    assert published(home, f"SELECT count(*) FROM published.serving.recommendations WHERE user_id = '{ANN}'") == [(3,)]


@pytest.fixture(scope="module")
def flagged(store: Settings, lake: Snapshot) -> Iterator[duckdb.DuckDBPyConnection]:
    """The build database with the bots and what they depend on, and `truth`: one row per visitor and day that has events which are not known as a bot's."""
    database = store.warehouse_file
    database.parent.mkdir(parents=True, exist_ok=True)
    with duck.connect(store) as connection:
        tables = Lake(store.night_dir(RUN_DATE))
        persons = identity.resolve(connection, lake, RUN_DATE, tables).persons
    inputs = warehouse.plan(lake, persons, tables, RUN_DATE, sources.of_site(store))
    with duck.connect(store, database) as connection:
        warehouse.create_lake_views(connection, inputs)
    warehouse.run_dbt(store, database, inputs, ["run", "--select", "+int_visitors__bots"])
    ids = duckdb.sql(f"SELECT anonymous_id, bot FROM '{store.landing_dir('store')}/truth/anonymous_users.parquet'").fetchall()
    with duck.connect(store, database) as connection:
        key = privacy.load_key(store)
        connection.execute("CREATE TABLE ids (visitor_id VARCHAR, is_machine BOOLEAN)")
        connection.executemany("INSERT INTO ids VALUES (?, ?)", [(key.pseudonym("store:anonymous:", raw), bot > 0) for raw, bot in ids])
        connection.execute("""CREATE TABLE truth AS
            SELECT coalesce(user_id, anonymous_id) AS visitor_id, event_date, coalesce(bool_or(is_machine), false) AS is_machine, count(*) AS n_events
            FROM lake.events LEFT JOIN ids ON coalesce(user_id, anonymous_id) = visitor_id WHERE NOT is_bot GROUP BY ALL""")
        yield connection


def test_rules_find_the_bots_that_hide_and_no_person(flagged: duckdb.DuckDBPyConnection) -> None:
    found, machines, right = flagged.execute("""
        SELECT count(bot_rule), count(*) FILTER (is_machine), count(bot_rule) FILTER (is_machine)
        FROM truth LEFT JOIN intermediate.int_visitors__bots USING (visitor_id, event_date)
    """).fetchall()[0]
    assert machines > 20
    assert right / found >= 0.95  # precision
    assert right / machines >= 0.9  # recall: a session that began just before midnight may be missed
