"""A night's marts that are renewed up to the end of the next day are those that dbt makes of that day: two formulas, one answer."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dawnlist import duck, warehouse
from dawnlist.settings import Settings
from dawnlist.stages import refresh, transform
from dawnlist.stages.base import Interval, Night
from dawnlist.stages.modelling import cut_of, hour_cut_of
from models import renewal
from models.forecast import create_forecast
from tests.integration.test_transform import RUN_DATE, name_of, shop

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

pytestmark = pytest.mark.usefixtures("one_dbt_parse")
EVE = RUN_DATE - timedelta(days=1)
END = datetime(2026, 4, 1)


@pytest.fixture(scope="module")
def renewed(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[tuple[duckdb.DuckDBPyConnection, Settings]]":
    """The shop's nights of the run date and of the day before; the latter is renewed up to the end of the run date, in the open connection."""
    settings = shop(tmp_path_factory.mktemp("shop"))
    settings = settings.with_(refresh=settings.refresh.model_copy(update={"active_hours": 24}))
    for day in (EVE, RUN_DATE):
        Night.open(settings, day, run_id="night")
        transform.run(settings, Interval.day(day), run_id="night")
    night_cut = cut_of(settings, EVE, horizons_back=0)
    with duck.connect(settings) as connection:
        cut = hour_cut_of(settings, END)
        inputs = refresh.inputs_until(connection, settings, Night.load(settings, EVE), night_cut, cut)
        renewal.with_forecast(connection, inputs, cut, seed=settings.seed)
        yield connection, settings


def rows(connection: "duckdb.DuckDBPyConnection", relation: str, columns: str, where: str = "true") -> list[tuple[Any, ...]]:
    found = connection.execute(f"SELECT {columns} FROM {relation} WHERE {where} ORDER BY ALL").fetchall()
    return [tuple(name_of(value) for value in row) for row in found]


@pytest.mark.parametrize(
    ("mart", "columns"),
    [
        ("feat_popular_items", "time_window, scope, scope_value, rank, item_id, score, feature_date"),
        ("dim_items", "item_id, category, brand, price, launched_at, first_seen_at, is_available, is_blocked"),
        ("fct_interactions", "person_id, item_id, event_type, occurred_at, weight, is_personal"),
    ],
)
def test_a_renewed_mart_is_dbts(renewed: "tuple[duckdb.DuckDBPyConnection, Settings]", mart: str, columns: str) -> None:
    connection, settings = renewed
    made = duck.scan(Night.load(settings, RUN_DATE).tables.snapshot().files(mart), {})
    expected = rows(connection, made, columns, f"feature_date = DATE '{RUN_DATE}'" if mart.startswith("feat_") else "true")
    assert len(expected) > 3
    assert rows(connection, f"renewed_{mart}", columns) == expected


def test_a_renewed_forecast_is_that_of_the_night_after(renewed: "tuple[duckdb.DuckDBPyConnection, Settings]") -> None:
    connection, settings = renewed
    made = duck.scan(Night.load(settings, RUN_DATE).tables.snapshot().files("fct_interactions"), {})
    create_forecast(connection, made, cut_of(settings, RUN_DATE, horizons_back=0), seed=settings.seed, table="expected")
    expected = rows(connection, "expected", "feature_date, rank, item_id, score")
    assert rows(connection, "renewed_forecast_items", "feature_date, rank, item_id, score") == expected


def test_the_activity_of_who_is_active_is_dbts(renewed: "tuple[duckdb.DuckDBPyConnection, Settings]") -> None:
    """Ann came on the run date; bob did not and has withdrawn; nobody in the room of the tablet was there on that day but once."""
    connection, settings = renewed
    columns = ", ".join(
        (
            "person_id",
            "feature_date",
            "n_events_1d",
            "n_events_7d",
            "n_events_28d",
            "n_items_28d",
            "n_purchases_28d",
            "n_active_days_28d",
            "days_since_last_event",
            "tenure_days",
            "country",
            "device",
        )
    )
    made = duck.scan(Night.load(settings, RUN_DATE).tables.snapshot().files("feat_user_activity"), {})
    expected = rows(connection, made, columns, f"feature_date = DATE '{RUN_DATE}'")
    found = rows(connection, "renewed_feat_user_activity", columns)
    assert [row[0] for row in found] == ["ann", "tablet"]
    assert found == [row for row in expected if row[0] in ("ann", "tablet")]


def test_who_has_withdrawn_since_the_night_is_not_active(renewed: "tuple[duckdb.DuckDBPyConnection, Settings]") -> None:
    connection, _ = renewed
    assert rows(connection, "consenting", "person_id", "NOT is_consenting") == [("bob",)]
    assert ("bob",) not in rows(connection, "active", "person_id")


def test_every_mart_that_is_renewed_is_one_that_dbt_makes() -> None:
    assert {"dim_users", "dim_items", "fct_interactions", "feat_user_activity", "feat_popular_items"} <= set(warehouse.MARTS)
    assert renewal.WINDOW_DAYS == 28
