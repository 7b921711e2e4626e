"""One night of a shop with thirteen events, whose marts were worked out by hand.

The run date is 2026-03-31 and the horizon seven days. ann uses a phone before she logs in on it; bob withdraws his consent on the run
date; both have used the tablet; carla is a customer who never came; a robot calls, and a crawler that does not say so; and somebody
without any id looks at the lamp. The day after is in the lake as well: nothing of it may be seen.
"""

import logging
import re
import shutil
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import psutil
import pytest
import yaml

from dawnlist import build_state, columns, mart_files, settings, warehouse, warehouse_spark
from dawnlist.duck import connect
from dawnlist.errors import GateError, TransformError
from dawnlist.lake import Lake
from dawnlist.settings import Settings
from dawnlist.sources import of_site
from dawnlist.stages import transform
from dawnlist.stages.base import Interval, Night, StageResult
from tests.engines import differences

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.usefixtures("one_dbt_parse")

RUN_DATE = date(2026, 3, 31)
SOURCE = """
description: a small shop
user_namespace: "shop:"
consent_default: granted
horizon_days: 7
inputs:
  events:
    path: "*.csv"
    format: csv
    columns: {occurred_at: time}
    event_type: [{type: view}]
"""
ANN = {"user_id": "ann", "anonymous_id": "phone", "device": "mobile", "country": "NL"}
BOB = {"user_id": "bob", "anonymous_id": "laptop", "device": "desktop", "country": "BE"}
O1 = {"order_id": "o1", "unit_price": 10}
O2 = {"order_id": "o2", "unit_price": 30}
EVENTS: list[dict[str, Any]] = [
    {"event_id": "e01", "occurred_at": "2026-03-20 12:00:00", "event_type": "click", "item_id": "lamp", **ANN, "user_id": None},
    {"event_id": "e02", "occurred_at": "2026-03-30 23:50:00", "event_type": "view", "item_id": "rug", **ANN},
    {"event_id": "e03", "occurred_at": "2026-03-31 00:10:00", "event_type": "add_to_cart", "item_id": "rug", **ANN},
    {"event_id": "e04", "occurred_at": "2026-03-31 00:50:00", "event_type": "purchase", "item_id": "rug", "quantity": 2, **O1, **ANN},
    {"event_id": "e05", "occurred_at": "2026-03-31 10:00:00", "event_type": "refund", "item_id": "rug", "quantity": 1, **O1, **ANN},
    {"event_id": "e06", "occurred_at": "2026-03-29 09:00:00", "event_type": "view", "item_id": "lamp", **BOB},
    {"event_id": "e07", "occurred_at": "2026-03-29 09:05:00", "event_type": "purchase", "item_id": "lamp", "quantity": 1, **O2, **BOB},
    {"event_id": "e08", "occurred_at": "2026-03-30 09:00:00", "event_type": "refund", "item_id": "lamp", "quantity": -1, **O2, **BOB, "order_id": "C1"},
    {"event_id": "e09", "occurred_at": "2026-03-28 08:00:00", "event_type": "search", "user_id": "ann", "anonymous_id": "tablet"},
    {"event_id": "e10", "occurred_at": "2026-03-28 08:01:00", "event_type": "search", "user_id": "bob", "anonymous_id": "tablet"},
    {"event_id": "e11", "occurred_at": "2026-03-31 12:00:00", "event_type": "view", "item_id": "vase", "anonymous_id": "tablet"},
    {"event_id": "e12", "occurred_at": "2026-03-31 13:00:00", "event_type": "view", "item_id": "lamp", "user_id": "robot", "is_bot": True},
    {"event_id": "e13", "occurred_at": "2026-03-31 23:30:00", "event_type": "view", "item_id": "lamp", "country": "NL"},
]
# One view more in a minute than people make.
EVENTS += [
    {"event_id": f"f{number:02}", "occurred_at": f"2026-03-30 04:00:{number:02}", "event_type": "view", "item_id": "lamp", "anonymous_id": "crawler"}
    for number in range(21)
]
ITEMS: list[dict[str, Any]] = [
    {"item_id": "lamp", "updated_at": "2026-03-01", "title": "Lamp", "category": "light"},
    {"item_id": "lamp", "updated_at": "2026-03-31", "title": "Desk lamp", "category": "light"},
    {"item_id": "rug", "updated_at": "2026-03-01", "title": "Rug", "category": "textile", "is_blocked": True},
    {"item_id": "chair", "updated_at": "2026-03-01", "title": "Chair", "launched_at": "2026-04-05"},
]
CUSTOMERS: list[dict[str, Any]] = [
    {"user_id": "ann", "updated_at": "2026-03-20", "registered_at": "2026-03-20", "country": "DE"},
    {"user_id": "carla", "updated_at": "2026-03-25", "registered_at": "2026-03-25", "country": "FR"},
]
CONSENTS: list[dict[str, Any]] = [
    {"user_id": "bob", "purpose": "personalisation", "is_granted": True, "changed_at": "2026-03-01"},
    {"user_id": "bob", "purpose": "personalisation", "is_granted": False, "changed_at": "2026-03-31 18:00:00"},
]
# What the day after brings: a view, a second user of bob's laptop, another name for the vase, another country for carla, bob's consent.
NEXT_DAY = "2026-04-01 00:00:00"
LATER_EVENTS: list[dict[str, Any]] = [
    {"event_id": "e14", "occurred_at": NEXT_DAY, "event_type": "view", "item_id": "vase", **ANN},
    {"event_id": "e15", "occurred_at": NEXT_DAY, "event_type": "view", "item_id": "rug", **BOB, "user_id": "dora"},
]
LATER_ITEMS: list[dict[str, Any]] = [{"item_id": "vase", "updated_at": NEXT_DAY, "title": "Vase"}]
LATER_CUSTOMERS: list[dict[str, Any]] = [{"user_id": "carla", "updated_at": NEXT_DAY, "country": "XX"}]
LATER_CONSENTS: list[dict[str, Any]] = [{"user_id": "bob", "purpose": "personalisation", "is_granted": True, "changed_at": NEXT_DAY}]
IDS = ("event_id", "user_id", "anonymous_id")
Rows = list[dict[str, Any]]


def pseudonym(name: str) -> str:
    """32 hex digits, as the gate wants ids; they sort as the names do."""
    return name.encode().hex().ljust(32, "0")


def name_of(value: Any) -> Any:
    """The name behind a pseudonym; any other value as it is."""
    return bytes.fromhex(value).rstrip(b"\0").decode() if isinstance(value, str) and re.fullmatch("[0-9a-f]{32}", value) else value


def land(home: Settings, table: str, kinds: Mapping[str, str], rows: Rows) -> None:
    """Replace the lake's `table` by `rows`; events go into the partitions of their days."""
    lake, names = Lake(home.lake_dir), list(kinds)
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE landed ({', '.join(f'{name} {kind}' for name, kind in kinds.items())})")
        for row in rows:
            full = {"source": "shop", "event_date": str(row.get("occurred_at", ""))[:10], **row}
            full |= {name: pseudonym(full[name]) for name in IDS if full.get(name)}
            connection.execute(f"INSERT INTO landed VALUES ({', '.join('?' * len(names))})", [full.get(name) for name in names])
        if table == "events":
            days = [day for (day,) in connection.execute("SELECT DISTINCT event_date FROM landed ORDER BY 1").fetchall()]
            files = [lake.write(connection, table, f"SELECT * FROM landed WHERE event_date = DATE '{day}' ORDER BY ALL", partition=day) for day in days]
        else:
            files = [lake.write(connection, table, "SELECT * FROM landed ORDER BY ALL")]
    lake.commit({table: [file for file in files if file]}, run_id="landed")


def shop(root: Path) -> Settings:
    """A home with the shop's lake as it stands at the end of the run date."""
    (root / "sources").mkdir(parents=True)
    (root / "sources" / "shop.yml").write_text(SOURCE, encoding="utf-8")
    home = settings.load(home=root / "home", sources_dir=root / "sources", site=settings.Site(sources=("shop",)))
    land(home, "events", columns.EVENTS, EVENTS)
    land(home, "items", columns.ITEMS, ITEMS)
    land(home, "customers", columns.CUSTOMERS, CUSTOMERS)
    land(home, "consents", columns.CONSENTS, CONSENTS)
    return home


def night(home: Settings) -> StageResult:
    Night.open(home, RUN_DATE, run_id="night", training="it was asked for")
    return transform.run(home, Interval.day(RUN_DATE), run_id="night")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The shop after its night, which was late: the day after had begun to land."""
    built = shop(tmp_path_factory.mktemp("shop"))
    land(built, "events", columns.EVENTS, EVENTS + LATER_EVENTS)
    land(built, "items", columns.ITEMS, ITEMS + LATER_ITEMS)
    land(built, "customers", columns.CUSTOMERS, CUSTOMERS + LATER_CUSTOMERS)
    land(built, "consents", columns.CONSENTS, CONSENTS + LATER_CONSENTS)
    night(built)
    return built


def mart(home: Settings, name: str, select: str, *, where: str = "true") -> list[tuple[Any, ...]]:
    """The columns `select` of a table of the night, in the order of its files, with names for pseudonyms."""
    paths = [str(path) for path in Night.load(home, RUN_DATE).tables.snapshot().files(name)]
    with duckdb.connect() as connection:
        rows = connection.execute(f"SELECT {select} FROM read_parquet({paths}, hive_partitioning = false) WHERE {where}").fetchall()
    return [tuple(name_of(value) for value in row) for row in rows]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_a_device_belongs_to_its_only_user_and_a_shared_one_to_itself(home: Settings) -> None:
    assert mart(home, "persons", "alias_id, person_id, is_anonymous") == [
        ("ann", "ann", False),
        ("bob", "bob", False),
        ("carla", "carla", False),
        ("crawler", "crawler", True),
        ("laptop", "bob", False),
        ("phone", "ann", False),
        ("tablet", "tablet", True),
    ]


def test_users_without_consent_keep_nothing_personal(home: Settings) -> None:
    select = "person_id, has_personalisation_consent, first_seen_at, last_seen_at, registered_at, country, device, n_events"
    assert mart(home, "dim_users", select) == [
        ("ann", True, at("2026-03-20 12:00"), at("2026-03-31 10:00"), at("2026-03-20"), "NL", "mobile", 6),
        ("bob", False, None, None, None, None, None, None),
        ("carla", True, None, None, at("2026-03-25"), "FR", None, 0),
        ("tablet", True, at("2026-03-31 12:00"), at("2026-03-31 12:00"), None, None, None, 1),
    ]
    assert mart(home, "dim_users", "has_analytics_consent, has_marketing_consent", where=f"person_id = '{pseudonym('bob')}'") == [(True, True)]


def test_items_are_those_of_the_catalogue_and_of_the_events(home: Settings) -> None:
    select = "item_id, title, category, is_available, is_blocked, has_catalogue, first_seen_at, last_seen_at"
    assert mart(home, "dim_items", select) == [
        ("chair", "Chair", None, False, False, True, None, None),
        ("lamp", "Desk lamp", "light", True, False, True, at("2026-03-20 12:00"), at("2026-03-31 23:30")),
        ("rug", "Rug", "textile", True, True, True, at("2026-03-30 23:50"), at("2026-03-31 10:00")),
        ("vase", None, None, True, False, False, at("2026-03-31 12:00"), at("2026-03-31 12:00")),
    ]


def test_sessions_go_over_midnight_and_end_after_half_an_hour(home: Settings) -> None:
    assert mart(home, "fct_sessions", "person_id, started_at, duration_seconds, n_events, n_items, entry_item_id, is_bounce") == [
        ("ann", at("2026-03-20 12:00"), 0, 1, 1, "lamp", True),
        ("ann", at("2026-03-28 08:00"), 0, 1, 0, None, True),
        ("bob", at("2026-03-28 08:01"), 0, 1, 0, None, True),
        ("bob", at("2026-03-29 09:00"), 300, 2, 1, "lamp", False),
        ("bob", at("2026-03-30 09:00"), 0, 1, 1, "lamp", True),
        ("ann", at("2026-03-30 23:50"), 1200, 2, 1, "rug", False),
        ("ann", at("2026-03-31 00:50"), 0, 1, 1, "rug", True),
        ("ann", at("2026-03-31 10:00"), 0, 1, 1, "rug", True),
        ("tablet", at("2026-03-31 12:00"), 0, 1, 1, "vase", True),
    ]


def test_orders_know_what_was_sent_back(home: Settings) -> None:
    assert mart(home, "fct_orders", "order_id, person_id, ordered_at, n_lines, gross_revenue, refunds, net_revenue") == [
        ("C1", "bob", at("2026-03-30 09:00"), 0, Decimal(0), Decimal(30), Decimal(-30)),
        ("o1", "ann", at("2026-03-31 00:50"), 1, Decimal(20), Decimal(10), Decimal(10)),
        ("o2", "bob", at("2026-03-29 09:05"), 1, Decimal(30), Decimal(0), Decimal(30)),
    ]


def test_interactions_are_personal_with_a_person_and_consent(home: Settings) -> None:
    assert mart(home, "fct_interactions", "event_id, person_id, item_id, weight, is_personal") == [
        ("e01", "ann", "lamp", 1, True),
        ("e06", "bob", "lamp", 1, False),
        ("e07", "bob", "lamp", 5, False),
        ("e02", "ann", "rug", 1, True),
        ("e03", "ann", "rug", 3, True),
        ("e04", "ann", "rug", 5, True),
        ("e11", "tablet", "vase", 1, True),
        ("e13", None, "lamp", 1, False),
    ]


def test_rfm_has_the_consenting_buyers_of_each_date(home: Settings) -> None:
    select = "person_id, feature_date, recency_days, frequency, monetary, tenure_days, r_score, f_score, m_score, rfm_segment"
    assert mart(home, "feat_user_rfm", select) == [("ann", RUN_DATE, 0, 1, 10.0, 0, 1, 1, 1, "lost")]


def test_purchases_have_the_consenting_buyers_of_each_date(home: Settings) -> None:
    select = "person_id, feature_date, n_orders, n_purchase_days, recency_days, tenure_days, net_revenue, n_repeat_days, avg_days_between, avg_repeat_value"
    assert mart(home, "feat_user_purchases", select) == [("ann", RUN_DATE, 1, 1, 0, 0, 10.0, 0, None, None)]


def test_one_buyer_is_too_few_to_say_what_she_will_do(home: Settings) -> None:
    select = "person_id, feature_date, horizon_days, expected_purchases, p_alive, churn_risk, expected_purchase_value, lifetime_value"
    assert mart(home, "feat_user_value", select) == [("ann", RUN_DATE, 90, None, None, None, None, None)]
    assert mart(home, "customer_value_models", "feature_date, n_buyers, n_repeat_buyers, r, p") == [(RUN_DATE, 1, 0, None, None)]


def test_activity_counts_what_came_before_the_end_of_each_date(home: Settings) -> None:
    select = (
        "person_id, feature_date, n_events_1d, n_events_7d, n_events_28d, n_events_90d, n_sessions_28d, n_items_28d, n_categories_28d,"
        "n_active_days_28d, days_since_last_event, tenure_days, top_category, country, device"
    )
    assert mart(home, "feat_user_activity", select) == [
        ("ann", date(2026, 3, 24), 0, 1, 1, 1, 1, 1, 1, 1, 4, 4, "light", "NL", "mobile"),
        ("ann", RUN_DATE, 3, 5, 6, 6, 5, 2, 2, 4, 0, 11, "textile", "NL", "mobile"),
        ("tablet", RUN_DATE, 1, 1, 1, 1, 1, 1, 0, 1, 0, 0, None, None, None),
    ]


def test_machines_are_counted_where_they_are_left_out(home: Settings) -> None:
    assert mart(home, "fct_bots", "event_date, bot_rule, n_visitors, n_events, share_of_events") == [
        (date(2026, 3, 30), "events_per_minute", 1, 21, 0.913043),  # of 23
        (RUN_DATE, "user_agent", 1, 1, 0.166667),  # of 6
    ]


def test_popularity_counts_everybody_but_robots(home: Settings) -> None:
    select = "item_id, n_events_1h, n_events_1d, n_events_7d, n_events_28d, n_users_7d, n_users_28d, n_purchases_28d, days_since_first_event"
    assert mart(home, "feat_item_popularity", select, where=f"feature_date = DATE '{RUN_DATE}'") == [
        ("chair", 0, 0, 0, 0, 0, 0, 0, None),
        ("lamp", 1, 1, 3, 4, 1, 2, 1, 11),
        ("rug", 0, 2, 3, 3, 1, 1, 1, 1),
        ("vase", 0, 1, 1, 1, 1, 1, 0, 0),
    ]


def test_popular_items_of_a_week_break_ties_by_name(home: Settings) -> None:
    week = f"feature_date = DATE '{RUN_DATE}' AND time_window = '7d'"
    assert mart(home, "feat_popular_items", "scope, scope_value, rank, item_id, score", where=week) == [
        ("country", "BE", 1, "lamp", 2.0),
        ("country", "NL", 1, "rug", 3.0),
        ("country", "NL", 2, "lamp", 1.0),
        ("device", "desktop", 1, "lamp", 2.0),
        ("device", "mobile", 1, "rug", 3.0),
        ("global", "", 1, "lamp", 3.0),
        ("global", "", 2, "rug", 3.0),
        ("global", "", 3, "vase", 1.0),
    ]


def test_nothing_that_comes_after_the_run_date_changes_a_byte(home: Settings, tmp_path: Path) -> None:
    punctual = shop(tmp_path)
    night(punctual)
    assert contents(punctual) == contents(home)


def contents(home: Settings) -> dict[str, list[str]]:
    """The hashes of the files of every table of the night."""
    tables = Night.load(home, RUN_DATE).tables.snapshot().tables
    return {name: [file.sha256 for file in table.files] for name, table in tables.items()}


def test_a_failed_test_is_named_and_leaves_the_night_as_it_was(home: Settings, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(home.home, tmp_path / "copy")
    home = home.with_(home=tmp_path / "copy")
    before = contents(home)
    land(home, "events", columns.EVENTS, [*EVENTS, {**EVENTS[0], "occurred_at": "2026-03-31 20:00:00"}])
    Night.open(home, RUN_DATE, run_id="broken")
    capfd.readouterr()
    with pytest.raises(TransformError, match="unique_stg_lake__events_event_id"):
        transform.run(home, Interval.day(RUN_DATE), run_id="broken")
    assert capfd.readouterr() == ("", "")
    assert contents(home) == before
    assert build_state.read(home, home.warehouse_file) is None
    assert [path.name for path in home.warehouse_file.parent.iterdir() if path.name.startswith(".")] == []
    assert [file.path for file in psutil.Process().open_files() if file.path.startswith(str(home.home))] == []
    assert [logging.getLogger(name).handlers for name in ("stdout_log", "file_log")] == [[], []]


def test_a_night_after_a_killed_build_makes_the_same_again(home: Settings) -> None:
    left_behind = home.warehouse_file.parent / ".build-killed"
    left_behind.mkdir()
    (left_behind / "build.duckdb").write_bytes(b"half a database")
    before = contents(home)
    result = night(home)
    assert not left_behind.exists()
    assert contents(home) == before
    assert (result.rows_in, result.counts["persons"], result.counts["fct_orders"]) == (34, 7, 3)
    assert result.rows_out == sum(result.counts[name] for name in warehouse.MARTS)


def test_the_formulas_pass_their_dbt_unit_tests(home: Settings) -> None:
    opened = Night.load(home, RUN_DATE)
    inputs = warehouse.plan(opened.lake, None, opened.tables, RUN_DATE, of_site(home))
    result = warehouse.run_dbt(home, home.warehouse_file, inputs, ["test", "--select", "test_type:unit"])
    documents = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in (warehouse.DBT_PROJECT / "models").rglob("*.yml")]
    written = [test["name"] for document in documents for test in document.get("unit_tests", [])]
    assert len(written) > 20
    assert {node.node.name: str(node.status) for node in result.results} == dict.fromkeys(written, "pass")


def test_spark_makes_the_same_marts(home: Settings, tmp_path: Path, spark: "SparkSession", capfd: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(home.home, tmp_path / "a site's copy")
    copy = home.with_(home=tmp_path / "a site's copy")
    opened = Night.load(copy, RUN_DATE)
    (persons,) = opened.tables.snapshot().data_files("persons")
    capfd.readouterr()
    warehouse_spark.build(copy, warehouse.plan(opened.lake, persons, opened.tables, RUN_DATE, of_site(copy)), data_tests=False)
    assert capfd.readouterr() == ("", "")
    assert differences(copy.warehouse_file, home.warehouse_file) == {}
    with connect(copy, copy.warehouse_file) as connection:
        written = mart_files.write(connection, Lake(tmp_path / "written"), warehouse.MARTS, is_incremental=False)
    assert set(written) == set(warehouse.MARTS)
    assert [path.name for path in copy.warehouse_file.parent.iterdir() if path.name.startswith(".")] == []
    assert [row.namespace for row in spark.sql("SHOW SCHEMAS").collect()] == ["default"]
    assert spark.conf.get("spark.sql.ansi.enabled") == "true"


def test_a_night_without_anybody_stops_at_the_gate(tmp_path: Path) -> None:
    home = shop(tmp_path)
    for table in ("events", "items", "customers", "consents"):
        land(home, table, columns.LAKE_TABLES[table], [])
    with pytest.raises(GateError, match="Suite dim_users of shop: expected: there are rows; found: 0"):
        night(home)
    assert contents(home) == {}
