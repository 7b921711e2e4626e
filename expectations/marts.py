"""The marts of a night, as docs/architecture.md lists them. Their tests in dbt check our SQL; these decide whether the night goes on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise

import great_expectations.expectations as gxe

from expectations.kinds import Expectation, Scope, critical, filled, has_rows, known, no_rows, pseudonyms, share, unique, warning

PERSONAL_COLUMNS = ("first_seen_at", "last_seen_at", "registered_at", "country", "device", "n_events")
WITHHELD = " OR ".join(f"{column} IS NOT NULL" for column in PERSONAL_COLUMNS)
SCORES = (1, 5)  # of RFM: quintiles


@dataclass(frozen=True)
class Mart:
    """What one mart must fulfil. `between`: column -> (least, greatest), None where there is no bound; `known`: column -> (table, its column);
    `rows_against`: what must hold -> the condition of rows that go against it.
    """

    grain: tuple[str, ...]
    is_required: bool = False
    is_rare: bool = False
    filled: tuple[str, ...] = ()
    pseudonyms: tuple[str, ...] = ()
    between: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    allowed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    known: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    rows_against: Mapping[str, str] = field(default_factory=dict)


def _falls(*windows: str) -> str:
    """Fewer events in one of the windows than in a shorter one."""
    return " OR ".join(f"n_events_{short} > n_events_{long}" for short, long in pairwise(windows))


PERSON = {"person_id": ("dim_users", "person_id")}
ITEM = {"item_id": ("dim_items", "item_id")}
COUNT = (0.0, None)
SHARE = (0.0, 1.0)

MARTS: Mapping[str, Mart] = {
    "dim_users": Mart(
        grain=("person_id",),
        is_required=True,
        filled=("has_personalisation_consent",),
        pseudonyms=("person_id",),
        between={"n_events": COUNT},
        rows_against={"nothing is known of who has not consented to personalisation": f"NOT has_personalisation_consent AND ({WITHHELD})"},
    ),
    "dim_items": Mart(grain=("item_id",), is_required=True, filled=("is_available", "is_blocked"), between={"price": COUNT}),
    "fct_interactions": Mart(
        grain=("event_id",),
        is_required=True,
        filled=("source", "item_id", "event_type", "occurred_at", "is_personal"),
        pseudonyms=("person_id",),
        known=PERSON | ITEM,
        rows_against={"every weight is positive": "NOT coalesce(weight > 0, false)", "personal rows are somebody's": "is_personal AND person_id IS NULL"},
    ),
    "fct_sessions": Mart(
        grain=("session_key",),
        filled=("started_at", "ended_at"),
        between={"duration_seconds": COUNT, "n_events": (1, None)},
        rows_against={"no session ends before it starts": "ended_at < started_at"},
    ),
    "fct_orders": Mart(grain=("source", "order_id"), filled=("ordered_at",)),
    "fct_daily_kpis": Mart(
        grain=("source", "event_date"),
        between={"n_sessions": COUNT, "n_orders": COUNT, "bounce_rate": (0, 1), "conversion_rate": (0, 1), "cart_abandonment_rate": (0, 1)},
        rows_against={"visitors have sessions, buyers orders": "n_visitors > n_sessions OR n_buyers > n_orders"},
    ),
    "fct_bots": Mart(grain=("source", "event_date", "bot_rule"), is_rare=True, between={"n_visitors": COUNT, "n_events": (1, None), "share_of_events": (0, 1)}),
    "feat_user_purchases": Mart(
        grain=("person_id", "feature_date"),
        filled=("feature_date", "net_revenue"),
        between={"n_orders": (1, None), "n_purchase_days": (1, None), "recency_days": COUNT, "avg_days_between": (1, None), "avg_repeat_value": COUNT},
        known=PERSON,
        rows_against={
            "a history is as long as its parts": "coalesce(tenure_days <> recency_days + repeat_span_days OR n_repeat_days > repeat_span_days, true)"
        },
    ),
    "feat_user_rfm": Mart(
        grain=("person_id", "feature_date"),
        filled=("feature_date", "rfm_segment"),
        between={"recency_days": COUNT, "frequency": COUNT, "tenure_days": COUNT, "r_score": SCORES, "f_score": SCORES, "m_score": SCORES},
        known=PERSON,
    ),
    "feat_user_value": Mart(
        grain=("person_id", "feature_date"),
        filled=("feature_date", "horizon_days", "lifetime_days"),
        between={"expected_purchases": COUNT, "p_alive": (0, 1), "churn_risk": (0, 1), "expected_purchase_value": COUNT, "lifetime_value": COUNT},
        known=PERSON,
        rows_against={"who is gone does not buy": "churn_risk < 1 - p_alive - 0.00001"},
    ),
    "feat_user_activity": Mart(
        grain=("person_id", "feature_date"),
        filled=("feature_date",),
        between={"n_events_1d": COUNT, "n_events_90d": COUNT, "n_active_days_28d": (0, 28), "days_since_last_event": COUNT, "avg_dwell_seconds_28d": COUNT},
        known=PERSON,
        rows_against={"a longer window holds a shorter one": _falls("1d", "7d", "28d", "90d")},
    ),
    "feat_user_habits": Mart(
        grain=("person_id", "feature_date"),
        filled=("usual_daypart", "usual_weekday"),
        between={"n_events_90d": (1, None), "share_night_90d": SHARE, "share_weekend_90d": SHARE},
        known=PERSON,
    ),
    "feat_user_categories": Mart(
        grain=("person_id", "feature_date", "category"),
        is_rare=True,  # a site without a catalogue has no categories
        between={"share_90d": SHARE, "days_since_last_event": COUNT, "category_rank": (1, None)},
        known=PERSON,
        rows_against={"a longer window holds a shorter one": _falls("7d", "28d", "90d")},
    ),
    "feat_user_tastes": Mart(
        grain=("person_id", "feature_date"),
        is_rare=True,
        filled=("top_category_90d",),
        between={"category_entropy_90d": COUNT, "preference_shift_7d": SHARE, "preference_shift_28d": SHARE},
        known=PERSON,
    ),
    "feat_user_searches": Mart(
        grain=("person_id", "feature_date"),
        is_rare=True,
        filled=("top_search_term_90d", "last_search_term"),
        between={"n_searches_90d": (1, None), "days_since_last_search": COUNT},
        known=PERSON,
    ),
    "feat_user_commerce": Mart(
        grain=("person_id", "feature_date"),
        is_rare=True,
        between={"cart_abandonment_rate_90d": SHARE, "bought_price_percentile_90d": SHARE, "n_purchase_days": COUNT},
        known=PERSON,
    ),
    "feat_user_labels": Mart(
        grain=("person_id", "feature_date", "kind", "label"),
        is_rare=True,
        allowed={"kind": ("segment", "engagement", "tag")},
        known=PERSON,
    ),
    "feat_item_popularity": Mart(
        grain=("item_id", "feature_date"),
        filled=("feature_date",),
        between={"n_events_15m": COUNT, "n_users_28d": COUNT},
        known=ITEM,
        rows_against={"a longer window holds a shorter one": _falls("15m", "1h", "6h", "1d", "7d", "28d")},
    ),
    "feat_item_commerce": Mart(
        grain=("item_id", "feature_date"),
        filled=("is_available", "is_blocked"),
        between={"n_views_28d": COUNT, "view_to_purchase_rate_28d": SHARE, "price": COUNT, "price_percentile": SHARE},
        known=ITEM,
    ),
    "feat_item_content": Mart(grain=("item_id", "feature_date"), is_rare=True, between={"n_characters": COUNT}, known=ITEM),
    "feat_item_pairs": Mart(
        grain=("feature_date", "item_id", "rank"),
        is_rare=True,
        filled=("partner_item_id",),
        between={"rank": (1, None), "n_orders": (1, None), "n_persons": COUNT},
        known=ITEM,
    ),
    "feat_popular_items": Mart(
        grain=("feature_date", "time_window", "scope", "scope_value", "rank"),
        filled=("scope_value", "score"),
        between={"rank": (1, 100)},
        allowed={"time_window": ("15m", "1h", "6h", "1d", "7d", "28d", "trending"), "scope": ("global", "country", "device")},
        known=ITEM,
    ),
}


def suite(scope: Scope) -> list[Expectation]:
    """The expectations of the mart that the suite is named after."""
    mart = MARTS[scope.suite]
    return [
        *([] if mart.is_rare else [has_rows() if mart.is_required else warning(gxe.ExpectTableRowCountToBeBetween, "there are rows", min_value=1)]),
        *filled(*mart.grain, *mart.filled),
        unique(*mart.grain),
        *pseudonyms(*mart.pseudonyms),
        *[_between(column, *bounds) for column, bounds in mart.between.items()],
        *[_one_of(column, values) for column, values in mart.allowed.items()],
        *[known(column, table, key) for column, (table, key) in mart.known.items() if table in scope.tables],
        *[no_rows(what, f"SELECT 1 AS broken FROM {{batch}} WHERE {against}") for what, against in mart.rows_against.items()],
        *([_few_bots(scope)] if scope.suite == "fct_bots" else []),
    ]


def _few_bots(scope: Scope) -> Expectation:
    """Of the source with the most bots on the run date, whichever rule knew them."""
    highest, day = scope.settings.gate.max_bots_share, (scope.checked_for - timedelta(days=1)).date()
    of_sources = f"SELECT sum(share_of_events) AS bots FROM {{batch}} WHERE event_date = DATE '{day}' GROUP BY source"
    return share(
        f"at most {highest:.0%} of the day's events are left out as those of bots", f"SELECT max(bots) AS value FROM ({of_sources})", max_value=highest
    )


def _between(column: str, least: float | None, greatest: float | None) -> Expectation:
    what = " and ".join(f"{word} {value:g}" for word, value in (("at least", least), ("at most", greatest)) if value is not None)
    return critical(gxe.ExpectColumnValuesToBeBetween, what, column=column, min_value=least, max_value=greatest)


def _one_of(column: str, values: tuple[str, ...]) -> Expectation:
    return critical(gxe.ExpectColumnValuesToBeInSet, f"one of {', '.join(values)}", column=column, value_set=list(values))
