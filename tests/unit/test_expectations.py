"""Each suite lets a good table through, and names everything that is wrong with a rotten one."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dawnlist import columns, validation
from dawnlist.columns import EVENTS
from dawnlist.settings import Settings, load
from dawnlist.verdicts import Verdict
from expectations.marts import MARTS
from tests.gate_tables import ANNA, BERTA, CARLA, EVENT, MIDNIGHT, NOON, STAGED, batch, infer, write

RUN_DATE = date(2026, 3, 10)
LATER = MIDNIGHT + timedelta(days=2)


@pytest.fixture
def settings() -> Settings:
    return load()


def checked(settings: Settings, suite: str, tables: Mapping[str, Sequence[Path]], **parameters: Any) -> Verdict:
    return validation.check(settings, suite, tables, source="store", checked_for=MIDNIGHT, run_id="r1", parameters=parameters)


def words(verdict: Verdict, *, is_success: bool) -> set[tuple[str | None, str]]:
    """(column, what is expected) of the results with that outcome."""
    return {(one.column_name, one.expectation.partition(": ")[2]) for one in verdict.results if one.is_success is is_success}


@pytest.mark.parametrize("kind", list(STAGED))
def test_good_batch_passes_without_a_warning(kind: str, settings: Settings, tmp_path: Path) -> None:
    verdict = checked(settings, kind, {kind: [batch(tmp_path, kind, {})]})
    assert (verdict.passed, verdict.failures(), verdict.warnings()) == (True, [], [])


ROTTEN_EVENTS = (
    {"event_id": None, "source": None, "occurred_at": None, "event_type": None, "key_id": None, "is_bot": None, "event_date": None},
    {"event_id": "raw-1", "occurred_at": datetime(1970, 1, 1), "event_type": "teleport", "source": "shop", "user_id": "anna", "anonymous_id": "cookie"},
    {"item_id": None, "unit_price": -0.01, "dwell_seconds": -1.0, "is_bot": True, "user_id": None},
    {"quantity": 0, "occurred_at": LATER, "item_id": "ghost", "is_bot": True, "user_id": None},
    {"user_id": None},
)


def test_rotten_events_fail_in_everything_but_their_form(settings: Settings, tmp_path: Path) -> None:
    catalogue = batch(tmp_path, "items", {"item_id": "chair"})
    verdict = checked(settings, "events", {"events": [batch(tmp_path, "events", *ROTTEN_EVENTS)], "items": [catalogue]})
    assert words(verdict, is_success=True) == {
        (None, "there are rows"),
        (None, "the columns are those of dawnlist.columns"),
        (None, "the types of the columns are those of dawnlist.columns"),
    }


def test_the_counts_of_a_failure_are_those_of_its_rows(settings: Settings, tmp_path: Path) -> None:
    verdict = checked(settings, "events", {"events": [batch(tmp_path, "events", *ROTTEN_EVENTS)]})
    price = next(one for one in verdict.results if one.column_name == "unit_price")
    assert (price.severity, price.n_unexpected, price.n_checked, price.observed) == ("warning", 1, 5, "1 of 5 rows against it")
    quantity = next(one for one in verdict.results if one.column_name == "quantity")
    assert (quantity.n_unexpected, quantity.n_checked) == (1, 3)  # three of the five are purchases


def test_refund_may_be_negative_and_an_item_may_be_free(settings: Settings, tmp_path: Path) -> None:
    rows = ({"event_type": "refund", "quantity": -1}, {"event_id": "2" * 32, "unit_price": 0}, {"event_id": "3" * 32, "event_type": "search", "item_id": None})
    assert checked(settings, "events", {"events": [batch(tmp_path, "events", *rows)]}).failures() == []


def test_without_a_catalogue_nobody_asks_for_known_items(settings: Settings, tmp_path: Path) -> None:
    verdict = checked(settings, "events", {"events": [batch(tmp_path, "events", {})], "items": []})
    assert not [one for one in verdict.results if "catalogue" in one.expectation]


def test_missing_and_strange_columns_are_named_first(settings: Settings, tmp_path: Path) -> None:
    columns = {name: kind for name, kind in EVENTS.items() if name != "unit_price"} | {"cost": "DOUBLE"}
    verdict = checked(settings, "events", {"events": [write(tmp_path / "events.parquet", [EVENT], columns)]})
    assert verdict.failures()[0].endswith("found: missing: unit_price; unexpected: cost.")
    price = next(one for one in verdict.results if one.column_name == "unit_price")
    assert (price.severity, price.is_success) == ("critical", False)


def test_column_of_another_type_fails(settings: Settings, tmp_path: Path) -> None:
    file = write(tmp_path / "events.parquet", [EVENT], EVENTS | {"quantity": "DOUBLE"})
    verdict = checked(settings, "events", {"events": [file]})
    assert words(verdict, is_success=False) == {(None, "the types of the columns are those of dawnlist.columns")}


def test_batch_without_a_row_fails(settings: Settings, tmp_path: Path) -> None:
    verdict = checked(settings, "events", {"events": [batch(tmp_path, "events")]})
    assert [(one.expectation, one.is_success) for one in verdict.results] == [("expect_table_row_count_to_be_between: there are rows", False)]


def test_rotten_items_customers_and_consents_fail_in_everything_but_their_form(settings: Settings, tmp_path: Path) -> None:
    form = {(None, "there are rows"), (None, "the columns are those of dawnlist.columns"), (None, "the types of the columns are those of dawnlist.columns")}
    early = {"updated_at": datetime(1970, 1, 1)}
    items = [{"item_id": None, "updated_at": None, "title": None, "category": None}, {"item_id": "", "source": None, "category": None} | early]
    items += [{"source": "shop", "price": -1, "category": None}] * 2
    assert words(checked(settings, "items", {"items": [batch(tmp_path, "items", *items)]}), is_success=True) == form
    customers = [{"user_id": None, "updated_at": None, "key_id": None}, {"user_id": "anna@example.com", "source": None} | early]
    customers += [{"birth_year": 1066, "registered_at": LATER, "source": "shop"}] * 2
    assert words(checked(settings, "customers", {"customers": [batch(tmp_path, "customers", *customers)]}), is_success=True) == form
    consents = [
        {"user_id": None, "changed_at": None, "key_id": None, "is_granted": None},
        {"user_id": "anna", "source": None, "changed_at": datetime(1970, 1, 1)},
    ]
    consents += [{"purpose": None}, {"purpose": "fun", "source": "shop"}, {}, {}]
    assert words(checked(settings, "consents", {"consents": [batch(tmp_path, "consents", *consents)]}), is_success=True) == form


def day(settings: Settings, tmp_path: Path, volumes: Mapping[date, int], run_date: date = RUN_DATE) -> Verdict:
    """The day suite over as many events a day as `volumes` says."""
    dates = [at for at, n in volumes.items() for _ in range(n)]
    rows = [EVENT | {"event_date": at, "event_id": f"{number:032}"} for number, at in enumerate(dates)] + [EVENT | {"source": "other", "event_date": run_date}]
    return checked(settings, "day", {"events": [write(tmp_path / "lake.parquet", rows, EVENTS)]}, run_date=run_date)


def test_usual_day_opens_the_night(settings: Settings, tmp_path: Path) -> None:
    verdict = day(settings, tmp_path, {date(2026, 3, 8): 4, date(2026, 3, 9): 6, RUN_DATE: 5})
    assert (verdict.passed, verdict.warnings()) == (True, [])


def test_day_without_events_is_a_warning_while_the_newest_are_fresh(settings: Settings, tmp_path: Path) -> None:
    verdict = day(settings, tmp_path, {date(2026, 3, 9): 6})
    assert verdict.passed
    assert words(verdict, is_success=False) == {(None, "there are events on 2026-03-10")}


def test_thin_day_is_a_warning(settings: Settings, tmp_path: Path) -> None:
    verdict = day(settings, tmp_path, {date(2026, 3, 7): 1, date(2026, 3, 8): 10, date(2026, 3, 9): 12, RUN_DATE: 1})  # 1 of a median of 10
    assert verdict.passed
    assert verdict.warnings() == ["Suite day of store: expected: 2026-03-10 has at least 20% of the median of the days before it; found: 0.1."]


def test_old_events_close_the_night_and_later_ones_do_not_help(settings: Settings, tmp_path: Path) -> None:
    volumes = {date(2026, 3, 2): 3, date(2026, 3, 11): 3}  # eight days old, and a day after the run date
    verdict = day(settings, tmp_path, volumes)
    assert verdict.failures() == [
        "Suite day of store, column event_date: expected: the newest event is of 2026-03-03 or later (gate.max_stale_days = 7); found: 2026-03-02."
    ]
    assert day(settings, tmp_path, {date(2026, 3, 3): 3}).passed


def test_no_event_at_all_closes_the_night(settings: Settings, tmp_path: Path) -> None:
    assert not day(settings, tmp_path, {}).passed
    assert not checked(settings, "day", {"events": []}, run_date=RUN_DATE).passed


WEEKS = [RUN_DATE - timedelta(days=back) for back in range(1, 57)]  # the eight weeks before; the run date is a Tuesday
MADE = {"source": "'store'", "event_id": "md5(event_date || '-' || n)", "event_type": "'view'", "occurred_at": "event_date + to_minutes(n)", "key_id": "'k'"}
MADE |= {
    "user_id": "md5('user' || n)",
    "session_id": "'s' || n",
    "item_id": "'item' || n % 10",
    "unit_price": "n % 100",
    "is_bot": "false",
    "device": "'phone'",
}


def checked_weeks(
    settings: Settings, folder: Path, volumes: Mapping[date, int], *, tables: Mapping[str, Sequence[Path]] | None = None, **on_the_day: str
) -> Verdict:
    """The day suite over as many events a day as `volumes` says, each of another user, one a minute. `on_the_day`: what differs on the run date, as SQL."""
    days = ", ".join(f"(DATE '{at}', {n})" for at, n in volumes.items())
    made = MADE | {name: f"CASE WHEN event_date = DATE '{RUN_DATE}' THEN {value} ELSE {MADE.get(name, 'NULL')} END" for name, value in on_the_day.items()}
    columns = ", ".join(f"({made.get(name, name if name == 'event_date' else 'NULL')})::{kind} AS {name}" for name, kind in EVENTS.items())
    file = folder / "weeks.parquet"
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT {columns} FROM (VALUES {days}) AS days (event_date, total), range(2000) AS events (n) WHERE n < total) TO '{file}' (FORMAT parquet)"
        )
    return checked(settings, "day", {"events": [file], **(tables or {})}, run_date=RUN_DATE)


def found(verdict: Verdict, what: str) -> tuple[bool, str, str | None]:
    """(is_success, severity, observed) of the one expectation whose words begin with `what`."""
    (one,) = [one for one in verdict.results if one.expectation.partition(": ")[2].startswith(what)]
    return one.is_success, one.severity, one.observed


VOLUME, STOP = "the volume is within", "the volume is no more than"


@pytest.mark.parametrize(("volume", "z"), [(136, "3.6"), (134, "3.4"), (64, "-3.6"), (66, "-3.4")])
def test_volume_is_compared_with_the_same_weekday(volume: int, z: str, settings: Settings, tmp_path: Path) -> None:
    """100 events on each Tuesday and ten on other days: the median is 100 and the MAD 0, so the deviation is 10% of the median."""
    volumes = {at: 100 if at.weekday() == RUN_DATE.weekday() else 10 for at in WEEKS} | {RUN_DATE: volume}
    verdict = checked_weeks(settings, tmp_path, volumes)
    assert found(verdict, VOLUME) == (abs(float(z)) <= 3.5, "warning", f"{z} (8 same weekdays)")
    assert verdict.passed


def test_spread_of_the_weekday_is_the_measure(settings: Settings, tmp_path: Path) -> None:
    """Tuesdays of 100, 120, 140, 160: median 130, MAD 20. Of 200 events the distance is 70 / (1.4826 * 20 * 4 / 3.2)."""
    tuesdays = {RUN_DATE - timedelta(weeks=back): 80 + 20 * back for back in range(1, 5)}
    verdict = checked_weeks(settings, tmp_path, tuesdays | {RUN_DATE: 200})
    assert found(verdict, VOLUME) == (True, "warning", "1.888574 (4 same weekdays)")


def test_dead_tracker_stops_the_night_and_a_record_day_does_not(settings: Settings, tmp_path: Path) -> None:
    usual = dict.fromkeys(WEEKS, 100)
    dead, record = (checked_weeks(settings, tmp_path, usual | {RUN_DATE: volume}) for volume in (39, 1000))  # 6.1 deviations below, 90 above
    assert [found(dead, what)[:2] for what in (VOLUME, STOP)] == [(False, "warning"), (False, "critical")]
    assert [found(record, what)[:2] for what in (VOLUME, STOP)] == [(False, "warning"), (True, "critical")]
    assert found(checked_weeks(settings, tmp_path, usual), STOP)[0] is False  # no event at all


def test_day_that_is_always_empty_is_no_surprise(settings: Settings, tmp_path: Path) -> None:
    verdict = checked_weeks(settings, tmp_path, {at: 100 for at in WEEKS if at.weekday() != RUN_DATE.weekday()})
    assert (verdict.passed, verdict.warnings()) == (True, [])


def test_young_source_is_compared_with_all_days_and_never_stops(settings: Settings, tmp_path: Path) -> None:
    verdict = checked_weeks(settings, tmp_path, dict.fromkeys(WEEKS[:10], 100) | {RUN_DATE: 10})
    assert found(verdict, VOLUME) == (False, "warning", "-9.0 (too few same weekdays: 10 days in all)")
    assert found(verdict, STOP) == (True, "critical", "nothing to measure (too few same weekdays: 10 days in all)")
    newer = checked_weeks(settings, tmp_path, dict.fromkeys(WEEKS[:6], 100) | {RUN_DATE: 10})
    assert found(newer, VOLUME)[2] == "nothing to measure (too few same weekdays: 6 days in all)"


def test_shares_have_a_bound_and_a_history(settings: Settings, tmp_path: Path) -> None:
    """A tenth of the day's events is of bots, and a third names an unknown item, where there never was one: within the bounds, beyond 3.5 deviations of 2%."""
    items = write(tmp_path / "items.parquet", [{"source": "store", "item_id": f"item{number}"} for number in range(10)], columns.ITEMS)
    changes = {
        "is_bot": "n % 10 = 0",
        "item_id": "CASE WHEN n % 3 = 0 THEN 'ghost' ELSE 'item1' END",
        "user_id": "CASE WHEN n % 5 = 0 THEN NULL ELSE md5('user' || n) END",
    }
    verdict = checked_weeks(settings, tmp_path, dict.fromkeys([*WEEKS, RUN_DATE], 300), tables={"items": [items]}, **changes)
    bounds = [
        found(verdict, f"at most {share} of the day's events {what}")[0]
        for share, what in (("20%", "are of bots"), ("50%", "name an item"), ("50%", "have neither"))
    ]
    assert bounds == [True, True, True]
    histories = [found(verdict, f"the share of events that {what}") for what in ("are of bots", "name an item", "have neither")]
    assert histories == [(False, "warning", f"{z} (8 same weekdays)") for z in ("5.0", "16.666667", "10.0")]
    strict = settings.with_(gate=settings.gate.model_copy(update={"max_bots_share": 0.09}))
    assert found(checked_weeks(strict, tmp_path, {RUN_DATE: 300}, **changes), "at most 9% of the day's events are of bots") == (False, "warning", "0.1")


def test_shifts_are_noted_then_warned_about(settings: Settings, tmp_path: Path) -> None:
    """400 users against 28 times 400: chance explains 1.95 sqrt(29 / 11200) = 0.0992 of the distance, so a price times 100 leaves what 99 in 100 had: 0.8908."""
    usual = dict.fromkeys([*WEEKS, RUN_DATE], 400)
    assert checked_weeks(settings, tmp_path, usual).warnings() == []
    verdict = checked_weeks(settings, tmp_path, usual, unit_price="n % 100 * 100", device="CASE WHEN n % 2 = 0 THEN 'phone' END")
    assert found(verdict, "unit_price has not shifted") == (False, "warning", "0.890774")
    assert [found(verdict, f"device has {much} shifted")[:2] for much in ("hardly", "not")] == [(False, "notice"), (False, "warning")]
    assert [found(verdict, f"{name} has not shifted")[0] for name in ("event_type", "country", "events_per_visitor")] == [True, True, True]
    slight = checked_weeks(settings, tmp_path, usual, unit_price="n % 100 + 25")  # a quarter of the prices: 0.25 - 0.0992
    assert [found(slight, f"unit_price has {much} shifted")[:2] for much in ("hardly", "not")] == [(False, "notice"), (True, "warning")]
    assert (slight.passed, slight.warnings()) == (True, [])
    few = checked_weeks(settings, tmp_path, dict.fromkeys(WEEKS, 400) | {RUN_DATE: 199}, unit_price="n % 100 * 100")
    assert found(few, "unit_price has not shifted") == (True, "warning", "nothing to measure")


def test_events_of_few_visitors_are_weak_evidence(settings: Settings, tmp_path: Path) -> None:
    """The same prices, but of one visitor a day: then nothing is proved."""
    verdict = checked_weeks(settings, tmp_path, dict.fromkeys([*WEEKS, RUN_DATE], 400), unit_price="n % 100 * 100", user_id="'one'")
    assert found(verdict, "unit_price has not shifted") == (True, "warning", "0.0")


def test_missing_hour_is_found_where_there_usually_are_events(settings: Settings, tmp_path: Path) -> None:
    """600 events a day, one a minute from midnight on: ten hours of sixty."""
    usual = dict.fromkeys([*WEEKS, RUN_DATE], 600)
    gap = {
        "occurred_at": "CASE WHEN n < 120 OR n >= 175 THEN event_date + to_minutes(n) ELSE event_date + to_minutes(60 + n % 5) END"
    }  # five events of 02:00 are left
    assert found(checked_weeks(settings, tmp_path, usual, **gap), "no hour is missing") == (False, "warning", "1.0")
    assert found(checked_weeks(settings, tmp_path, usual), "no hour is missing") == (True, "warning", "0.0")


def test_references_and_keys_of_the_day(settings: Settings, tmp_path: Path) -> None:
    """Of ten users the customers lack the first two, of two consents the first; one event is there twice."""
    users = [hashlib.md5(f"user{number}".encode()).hexdigest() for number in range(10)]
    tables = {
        "customers": [write(tmp_path / "customers.parquet", [{"source": "store", "user_id": user} for user in users[2:]], columns.CUSTOMERS)],
        "consents": [write(tmp_path / "consents.parquet", [{"source": "store", "user_id": users[n], "changed_at": NOON} for n in (0, 5)], columns.CONSENTS)],
    }
    verdict = checked_weeks(settings, tmp_path, {RUN_DATE: 10}, tables=tables, event_id="md5('' || n // 2 * 2)")
    assert found(verdict, "at most 10% of the events of known users") == (False, "warning", "0.2")
    assert found(verdict, "at most 10% of the consents") == (False, "warning", "0.5")
    assert found(verdict, "no event_id of the day") == (False, "critical", "5.0")
    assert found(checked_weeks(settings, tmp_path, {RUN_DATE: 10}), "at most 10% of the events of known users")[2] == "nothing to measure"


DIM_USER = {"person_id": ANNA, "has_personalisation_consent": True, "first_seen_at": NOON, "last_seen_at": NOON, "registered_at": NOON, "country": "DE"}
DATED = {"person_id": ANNA, "feature_date": RUN_DATE}
GOOD_MARTS: dict[str, dict[str, Any]] = {
    "dim_users": DIM_USER | {"device": "phone", "n_events": 1},
    "dim_items": {"item_id": "lamp", "is_available": True, "is_blocked": False, "price": 9.5},
    "fct_interactions": {
        "event_id": "1",
        "source": "store",
        "person_id": ANNA,
        "item_id": "lamp",
        "event_type": "view",
        "occurred_at": NOON,
        "weight": 1.0,
        "is_personal": True,
    },
    "fct_sessions": {"session_key": "s", "started_at": NOON, "ended_at": NOON, "duration_seconds": 0.0, "n_events": 1},
    "fct_orders": {"source": "store", "order_id": "o", "ordered_at": NOON, "gross_revenue": 1.0},
    "fct_daily_kpis": {"source": "store", "event_date": RUN_DATE, "n_visitors": 1, "n_buyers": 0, "n_sessions": 2, "n_orders": 0}
    | {"bounce_rate": 0.5, "conversion_rate": 0.0, "cart_abandonment_rate": 1.0},
    "fct_bots": {"source": "store", "event_date": RUN_DATE, "bot_rule": "user_agent", "n_visitors": 1, "n_events": 5, "share_of_events": 0.1},
    "feat_user_purchases": {
        "person_id": ANNA,
        "feature_date": RUN_DATE,
        "net_revenue": -3.5,
        "n_orders": 2,
        "n_purchase_days": 2,
        "recency_days": 0,
        "tenure_days": 9,
        "repeat_span_days": 9,
        "n_repeat_days": 1,
        "avg_days_between": 9.0,
        "avg_repeat_value": 0.0,
    },
    "feat_user_rfm": {
        "person_id": ANNA,
        "feature_date": RUN_DATE,
        "rfm_segment": "new",
        "recency_days": 0,
        "frequency": 1,
        "tenure_days": 0,
        "r_score": 5,
        "f_score": 1,
        "m_score": 1,
    },
    "feat_user_value": {
        "person_id": ANNA,
        "feature_date": RUN_DATE,
        "horizon_days": 90,
        "lifetime_days": 365,
        "expected_purchases": 0.5,
        "p_alive": 0.8,
        "churn_risk": 0.4,
        "expected_purchase_value": 30.0,
        "lifetime_value": 45.0,
    },
    "feat_user_activity": {
        "person_id": ANNA,
        "feature_date": RUN_DATE,
        "n_events_1d": 1,
        "n_events_7d": 1,
        "n_events_28d": 2,
        "n_events_90d": 2,
        "n_active_days_28d": 2,
        "days_since_last_event": 0,
        "avg_dwell_seconds_28d": 0.5,
    },
    "feat_item_popularity": {
        "item_id": "lamp",
        "feature_date": RUN_DATE,
        "n_events_15m": 0,
        "n_events_1h": 0,
        "n_events_6h": 1,
        "n_events_1d": 1,
        "n_events_7d": 1,
        "n_events_28d": 1,
        "n_users_28d": 1,
    },
    "feat_user_habits": DATED | {"n_events_90d": 1, "share_night_90d": 1.0, "share_weekend_90d": 0.0, "usual_daypart": "night", "usual_weekday": "monday"},
    "feat_user_categories": DATED
    | {"category": "light", "n_events_7d": 0, "n_events_28d": 1, "n_events_90d": 1, "share_90d": 1.0, "days_since_last_event": 8, "category_rank": 1},
    "feat_user_tastes": DATED | {"top_category_90d": "light", "category_entropy_90d": 1.5, "preference_shift_7d": 0.0, "preference_shift_28d": 0.5},
    "feat_user_searches": DATED | {"n_searches_90d": 1, "top_search_term_90d": "lamp", "last_search_term": "lamp", "days_since_last_search": 0},
    "feat_user_commerce": DATED | {"cart_abandonment_rate_90d": 0.5, "bought_price_percentile_90d": 0.5, "n_purchase_days": 0},
    "feat_user_labels": DATED | {"kind": "tag", "label": "night_owl"},
    "feat_item_commerce": {"item_id": "lamp", "feature_date": RUN_DATE, "n_views_28d": 1, "view_to_purchase_rate_28d": 0.5, "price": 9.5}
    | {"price_percentile": 0.5, "is_available": True, "is_blocked": False},
    "feat_item_content": {"item_id": "lamp", "feature_date": RUN_DATE, "n_characters": 4},
    "feat_item_pairs": {"item_id": "lamp", "feature_date": RUN_DATE, "rank": 1, "partner_item_id": "rug", "n_orders": 1, "n_persons": 1},
    "feat_popular_items": {"feature_date": RUN_DATE, "time_window": "1h", "scope": "global", "scope_value": "", "rank": 1, "item_id": "lamp", "score": 1.0},
}
# Each mart's good row is followed by rows with these changes. `None` everywhere, and a second equal row, fail what must be filled and unique.
ROTTEN_MARTS: dict[str, tuple[dict[str, Any], ...]] = {
    "dim_users": ({"person_id": "anna@example.com", "has_personalisation_consent": False, "n_events": -1},),
    "dim_items": ({"price": -1.0},),
    "fct_interactions": ({"person_id": BERTA}, {"item_id": "ghost", "weight": 0.0}, {"person_id": "anna"}),
    "fct_sessions": ({"ended_at": NOON - timedelta(hours=1), "duration_seconds": -3600.0, "n_events": 0},),
    "fct_orders": ({"gross_revenue": -1.0},),
    "fct_daily_kpis": ({"n_sessions": -1, "n_orders": -1, "n_visitors": 3, "bounce_rate": 1.1, "conversion_rate": 1.1, "cart_abandonment_rate": 1.1},),
    "fct_bots": ({"n_visitors": -1, "n_events": 0, "share_of_events": 1.1},),
    "feat_user_purchases": ({"person_id": BERTA, "n_orders": 0, "n_purchase_days": 0, "recency_days": -1, "avg_days_between": 0.5, "avg_repeat_value": -1.0},),
    "feat_user_rfm": ({"person_id": BERTA, "recency_days": -1, "frequency": -1, "tenure_days": -1, "r_score": 0, "f_score": 6, "m_score": 6},),
    "feat_user_value": (
        {"person_id": BERTA, "expected_purchases": -0.1, "expected_purchase_value": -1.0, "lifetime_value": -1.0, "p_alive": 1.1, "churn_risk": 1.1},
        {"churn_risk": 0.1},
    ),
    "feat_user_activity": (
        {"person_id": BERTA, "n_events_1d": -1, "n_events_90d": -1, "n_active_days_28d": 29, "days_since_last_event": -1, "avg_dwell_seconds_28d": -1.0},
    ),
    "feat_item_popularity": ({"item_id": "ghost", "n_events_15m": -1}, {"n_events_1d": 5, "n_users_28d": -1}),
    "feat_user_habits": ({"person_id": BERTA, "n_events_90d": 0, "share_night_90d": 1.5, "share_weekend_90d": -0.5},),
    "feat_user_categories": ({"person_id": BERTA, "n_events_28d": 2, "share_90d": 1.5, "days_since_last_event": -1, "category_rank": 0},),
    "feat_user_tastes": ({"person_id": BERTA, "category_entropy_90d": -1.0, "preference_shift_7d": 1.5, "preference_shift_28d": -0.5},),
    "feat_user_searches": ({"person_id": BERTA, "n_searches_90d": 0, "days_since_last_search": -1},),
    "feat_user_commerce": ({"person_id": BERTA, "cart_abandonment_rate_90d": 1.5, "bought_price_percentile_90d": -0.5, "n_purchase_days": -1},),
    "feat_user_labels": ({"person_id": BERTA, "kind": "rumour"},),
    "feat_item_commerce": ({"item_id": "ghost", "n_views_28d": -1, "view_to_purchase_rate_28d": 1.5, "price": -1.0, "price_percentile": 2.0},),
    "feat_item_content": ({"item_id": "ghost", "n_characters": -1},),
    "feat_item_pairs": ({"item_id": "ghost", "rank": 0, "n_orders": 0, "n_persons": -1},),
    "feat_popular_items": ({"item_id": "ghost", "rank": 101, "time_window": "2h", "scope": "city"},),
}


@pytest.mark.parametrize("mart", validation.MARTS)
def test_mart_passes_when_good_and_fails_in_everything_when_rotten(mart: str, settings: Settings, tmp_path: Path) -> None:
    referred = {name: [infer(tmp_path / f"{name}.parquet", [GOOD_MARTS[name]])] for name in ("dim_users", "dim_items")}
    good = GOOD_MARTS[mart]
    assert checked(settings, mart, referred | {mart: [infer(tmp_path / "good.parquet", [good])]}).failures() == []
    empty = dict.fromkeys(good)
    personal = {"is_personal": True} if mart == "fct_interactions" else {}
    rows = [good, good, empty | personal, empty, *(good | change for change in ROTTEN_MARTS[mart])]
    verdict = checked(settings, mart, referred | {mart: [infer(tmp_path / "rotten.parquet", rows)]})
    assert words(verdict, is_success=True) == (set() if MARTS[mart].is_rare else {(None, "there are rows")})  # no bots are no fault


def test_only_required_marts_must_have_rows(settings: Settings) -> None:
    assert not checked(settings, "dim_users", {"dim_users": []}).passed
    verdict = checked(settings, "fct_orders", {"fct_orders": []})
    assert (verdict.passed, len(verdict.warnings())) == (True, 1)


USERS = [
    {"person_id": ANNA, "has_personalisation_consent": True},
    {"person_id": BERTA, "has_personalisation_consent": False},
    {"person_id": CARLA, "has_personalisation_consent": True},
]
ITEMS = [
    {"item_id": "lamp", "is_available": True, "is_blocked": False},
    {"item_id": "chair", "is_available": True, "is_blocked": False},
    {"item_id": "knife", "is_available": True, "is_blocked": True},
    {"item_id": "vase", "is_available": False, "is_blocked": False},
]
BOUGHT = [{"person_id": ANNA, "item_id": "chair", "event_type": "purchase", "occurred_at": NOON}]
LIST = {"person_id": ANNA, "rank": 1, "item_id": "lamp", "score": 0.5, "source": "als", "propensity": 1.0}
GOOD_LISTS = [
    LIST,
    LIST | {"rank": 2, "item_id": "chair"},
    LIST | {"person_id": BERTA, "source": "popular_1d"},
    LIST | {"person_id": CARLA, "propensity": None},
]


def lists(settings: Settings, folder: Path, rows: Sequence[Mapping[str, Any]], suite: str = "recommendations", **parameters: Any) -> Verdict:
    tables = {name: [infer(folder / f"{name}.parquet", table)] for name, table in (("dim_users", USERS), ("dim_items", ITEMS), ("fct_interactions", BOUGHT))}
    return checked(settings, suite, tables | {suite: [infer(folder / f"{suite}.parquet", rows)]}, **parameters)


def test_good_lists_pass(settings: Settings, tmp_path: Path) -> None:
    assert lists(settings, tmp_path, GOOD_LISTS).failures() == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"rank": 3}, {(None, "ranks run from 1 without gaps")}),
        ({"rank": 1}, {(None, "(person_id, rank) is unique"), (None, "ranks run from 1 without gaps")}),
        ({"item_id": "lamp"}, {(None, "(person_id, item_id) is unique")}),
        ({"item_id": "knife"}, {(None, "no blocked or unavailable item")}),
        ({"item_id": "vase"}, {(None, "no blocked or unavailable item")}),
        ({"item_id": "ghost"}, {(None, "every item_id is in dim_items")}),
        ({"score": None}, {("score", "score is never empty")}),
        ({"score": float("nan")}, {(None, "every score is a finite number")}),
        ({"propensity": 1.5}, {("propensity", "a probability")}),
        ({"person_id": BERTA}, {(None, "who has not consented gets nothing that was made from a history")}),
        ({"person_id": BERTA, "source": "exploration"}, {(None, "who has not consented gets nothing that was made from a history")}),
        ({"person_id": BERTA, "source": "popular_country"}, {(None, "who has not consented gets nothing that was made from a history")}),
        ({"source": "exploration", "propensity": None}, {(None, "what was drawn says how likely that was")}),
        ({"person_id": "d" * 32, "rank": 1}, {(None, "every person_id is in dim_users")}),
    ],
)
def test_one_bad_row_in_the_lists_is_found(change: Mapping[str, Any], expected: set[tuple[str | None, str]], settings: Settings, tmp_path: Path) -> None:
    rows = [row | change if row["item_id"] == "chair" else row for row in GOOD_LISTS]
    assert words(lists(settings, tmp_path, rows), is_success=False) == expected


def test_consenting_person_without_a_list_is_found(settings: Settings, tmp_path: Path) -> None:
    verdict = lists(settings, tmp_path, GOOD_LISTS[:3])
    assert words(verdict, is_success=False) == {(None, "everybody who has consented has a list")}


def test_list_longer_than_the_setting_is_found(settings: Settings, tmp_path: Path) -> None:
    short = settings.with_(recommend=settings.recommend.model_copy(update={"list_length": 1}))
    assert words(lists(short, tmp_path, GOOD_LISTS), is_success=False) == {("rank", "no list is longer than 1")}


def test_bought_item_is_found_only_where_bought_items_are_excluded(settings: Settings, tmp_path: Path) -> None:
    verdict = lists(settings, tmp_path, GOOD_LISTS, exclude_bought=True)
    assert words(verdict, is_success=False) == {(None, "nobody is offered what they have bought")}


def test_similar_and_popular_items_pass_when_good_and_fail_when_rotten(settings: Settings, tmp_path: Path) -> None:
    similar = {"item_id": "lamp", "rank": 1, "similar_item_id": "chair", "score": 0.5}
    assert lists(settings, tmp_path, [similar], "similar_items").failures() == []
    rotten = [similar, similar, dict.fromkeys(similar), similar | {"similar_item_id": "lamp"}, similar | {"similar_item_id": "ghost"}]
    assert words(lists(settings, tmp_path, [*rotten, similar | {"similar_item_id": "vase"}], "similar_items"), is_success=True) == set()
    popular = {"scope": "global", "scope_value": "", "rank": 1, "item_id": "lamp", "score": 1.0}
    assert lists(settings, tmp_path, [popular], "popular_items").failures() == []
    rotten = [popular | {"scope": "country"}] * 2 + [dict.fromkeys(popular), popular | {"scope": "device", "item_id": "knife"}]
    verdict = lists(settings, tmp_path, [*rotten, popular | {"scope": "device", "item_id": "ghost"}], "popular_items")
    assert words(verdict, is_success=True) == {(None, "there are rows")}
