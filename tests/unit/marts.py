"""A night's marts made of a few rows, as the contract in docs/architecture.md has them: what the models' tests run on, without dbt."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from dawnlist.lake import Lake, Snapshot
from models.inputs import MARTS

if TYPE_CHECKING:
    import duckdb

_WINDOWS = {"15m": "15 minutes", "1h": "1 hour", "6h": "6 hours", "1d": "1 day", "7d": "7 days", "28d": "28 days"}


@dataclass
class Marts:
    """What the marts are made of. Events are (person, item, moment) or (person, item, moment, event_type); all are personal but those of `without_consent`."""

    feature_dates: Sequence[date]
    events: Sequence[tuple[Any, ...]] = ()
    items: dict[str, dict[str, Any]] = field(default_factory=dict)  # item -> columns that differ from an available item without category
    users: dict[str, dict[str, Any]] = field(default_factory=dict)  # person -> country, device, segment
    without_consent: Sequence[str] = ()

    def write(self, connection: "duckdb.DuckDBPyConnection", tables: Lake) -> Snapshot:
        """Make the marts and commit them to a night's tables."""
        self._base_tables(connection)
        queries = {
            "dim_users": "SELECT person_id, 'store' AS source, has_personalisation_consent, country, device FROM made_users",
            "dim_items": "SELECT item_id, 'store' AS source, category, price, is_available, is_blocked FROM made_items",
            "fct_interactions": "SELECT * FROM made_events ORDER BY occurred_at, event_id",
            "feat_user_rfm": _RFM,
            "feat_user_activity": _ACTIVITY,
            "feat_popular_items": _POPULAR,
            "feat_user_labels": "SELECT person_id, feature_date, 'segment' AS kind, segment AS label FROM made_users CROSS JOIN days WHERE segment IS NOT NULL ORDER BY ALL",
            "feat_item_content": "SELECT item_id, feature_date, content FROM made_items CROSS JOIN days ORDER BY ALL",
        }
        files = {mart: tables.write(connection, mart, queries[mart]) for mart in MARTS}
        return tables.commit({mart: [file] if file else [] for mart, file in files.items()}, run_id="made")

    def _base_tables(self, connection: "duckdb.DuckDBPyConnection") -> None:
        events = [(*event, "view")[:4] for event in self.events]
        items = {item: {} for _, item, *_ in events} | self.items
        users = {person: {} for person, *_ in events if person} | self.users
        _fill(
            connection,
            "made_users",
            "person_id VARCHAR, has_personalisation_consent BOOLEAN, country VARCHAR, device VARCHAR, segment VARCHAR",
            [
                (person, person not in self.without_consent, columns.get("country"), columns.get("device"), columns.get("segment"))
                for person, columns in users.items()
            ],
        )
        _fill(
            connection,
            "made_items",
            "item_id VARCHAR, category VARCHAR, price DECIMAL(18,4), is_available BOOLEAN, is_blocked BOOLEAN, content VARCHAR",
            [
                (
                    *(item, columns.get("category"), columns.get("price"), columns.get("is_available", True), columns.get("is_blocked", False)),
                    columns.get("content"),
                )
                for item, columns in items.items()
            ],
        )
        _fill(
            connection,
            "raw_events",
            "n INTEGER, person_id VARCHAR, item_id VARCHAR, occurred_at TIMESTAMP, event_type VARCHAR",
            [(number, *event) for number, event in enumerate(events)],
        )
        connection.execute("""CREATE OR REPLACE TEMP TABLE made_events AS
            SELECT md5(n::VARCHAR) AS event_id, 'store' AS source, person_id, item_id, event_type, occurred_at, occurred_at::DATE AS event_date,
                if(event_type = 'purchase', 5.0, 1.0)::DOUBLE AS weight, country, device, coalesce(has_personalisation_consent, false) AS is_personal
            FROM raw_events LEFT JOIN made_users USING (person_id)""")
        _fill(connection, "days", "feature_date DATE", [(day,) for day in self.feature_dates])


def at(day: date, hour: int = 12, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute)


def _fill(connection: "duckdb.DuckDBPyConnection", table: str, columns: str, rows: list[tuple[Any, ...]]) -> None:
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {table} ({columns})")
    if rows:
        connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)


_PAST = "days JOIN made_events ON occurred_at < feature_date + INTERVAL 1 DAY"
_AGE = "occurred_at >= feature_date + INTERVAL 1 DAY - INTERVAL"
_RFM = f"""
    SELECT person_id, feature_date, min(feature_date - event_date)::DOUBLE AS recency_days, count(*)::DOUBLE AS frequency, count(*)::DOUBLE AS monetary
    FROM {_PAST} WHERE is_personal AND event_type = 'purchase' GROUP BY ALL ORDER BY 2, 1
"""
_ACTIVITY = f"""
    SELECT person_id, feature_date, {", ".join(f"count(*) FILTER ({_AGE} '{_WINDOWS[window]}') AS n_events_{window}" for window in ("1d", "7d", "28d"))},
        count(DISTINCT item_id) AS n_items_28d, 1 AS n_sessions_28d, 1 AS n_categories_28d, count(*) FILTER (event_type = 'purchase') AS n_purchases_28d,
        count(DISTINCT event_date) AS n_active_days_28d, min(feature_date - event_date) AS days_since_last_event, max(feature_date - event_date) AS tenure_days,
        NULL::DOUBLE AS avg_dwell_seconds_28d, max(category) AS top_category, max(country) AS country, max(device) AS device
    FROM {_PAST} LEFT JOIN made_items USING (item_id) WHERE is_personal GROUP BY ALL ORDER BY 2, 1
"""
_SCOPES = {"global": "''", "country": "country", "device": "device"}
_POPULAR = (
    " UNION ALL ".join(
        f"""SELECT feature_date, '{window}' AS time_window, '{scope}' AS scope, {value} AS scope_value, item_id, count(*)::DOUBLE AS score,
        (row_number() OVER (PARTITION BY feature_date, {value} ORDER BY count(*) DESC, item_id))::INTEGER AS rank
    FROM {_PAST} WHERE {_AGE} '{_WINDOWS.get(window, "1 day")}' AND {value} IS NOT NULL GROUP BY feature_date, {value}, item_id QUALIFY rank <= 100"""
        for window in (*_WINDOWS, "trending")
        for scope, value in _SCOPES.items()
    )
    + " ORDER BY feature_date, time_window, scope, scope_value, rank"
)
