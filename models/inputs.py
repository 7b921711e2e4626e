"""What the models read of a night: its marts, as of a cut, and who is judged by what.

A cut is a day whose end parts the past (features, histories, candidates) from the labels: interactions of the `horizon_days` after it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dawnlist.duck import literal, scan

if TYPE_CHECKING:
    import duckdb

# The columns of the marts that are read. A mart without rows has no file: it is an empty relation of these columns.
COLUMNS: Final[Mapping[str, dict[str, str]]] = {
    "dim_users": {"person_id": "VARCHAR", "has_personalisation_consent": "BOOLEAN", "country": "VARCHAR", "device": "VARCHAR"},
    "dim_items": {"item_id": "VARCHAR", "title": "VARCHAR", "category": "VARCHAR", "brand": "VARCHAR", "price": "DOUBLE"}
    | {"launched_at": "TIMESTAMP", "first_seen_at": "TIMESTAMP", "is_available": "BOOLEAN", "is_blocked": "BOOLEAN"},
    "fct_interactions": {
        "person_id": "VARCHAR",
        "item_id": "VARCHAR",
        "event_type": "VARCHAR",
        "occurred_at": "TIMESTAMP",
        "weight": "DOUBLE",
        "is_personal": "BOOLEAN",
    },
    "feat_user_rfm": {"person_id": "VARCHAR", "feature_date": "DATE"} | dict.fromkeys(("recency_days", "frequency", "monetary"), "DOUBLE"),
    "feat_user_activity": {"person_id": "VARCHAR", "feature_date": "DATE"}
    | dict.fromkeys(("n_events_1d", "n_events_7d", "n_events_28d", "n_items_28d", "n_sessions_28d", "n_categories_28d"), "BIGINT")
    | dict.fromkeys(("n_purchases_28d", "n_active_days_28d", "days_since_last_event", "tenure_days"), "BIGINT")
    | {"avg_dwell_seconds_28d": "DOUBLE", "top_category": "VARCHAR", "country": "VARCHAR", "device": "VARCHAR"},
    "feat_popular_items": {
        "feature_date": "DATE",
        "time_window": "VARCHAR",
        "scope": "VARCHAR",
        "scope_value": "VARCHAR",
        "rank": "INTEGER",
        "item_id": "VARCHAR",
        "score": "DOUBLE",
    },
    "feat_user_labels": {"person_id": "VARCHAR", "feature_date": "DATE", "kind": "VARCHAR", "label": "VARCHAR"},
    "feat_item_content": {"item_id": "VARCHAR", "feature_date": "DATE", "content": "VARCHAR"},
    "forecast_items": {"feature_date": "DATE", "rank": "INTEGER", "item_id": "VARCHAR", "score": "DOUBLE"},
    "dim_user_segments": {"person_id": "VARCHAR", "kind": "VARCHAR", "segment_label": "VARCHAR", "is_current": "BOOLEAN"},
}
# Made by the stage segment, after the marts; a night without segments has lists all the same.
SEGMENTS: Final = "dim_user_segments"
FORECASTS: Final = "forecast_items"  # made for each cut by train and recommend, see models.forecast
MARTS: Final = tuple(name for name in COLUMNS if name not in (SEGMENTS, FORECASTS))
SPARK_SOURCES: Final = ("item_to_item", "covisitation", "rp3beta", "als", "content")  # whose candidates Spark makes; spark_jobs.sources has them
CANDIDATES: Final = tuple(f"candidates_{source}" for source in SPARK_SOURCES)
CANDIDATE_COLUMNS: Final[dict[str, str]] = {"person_id": "VARCHAR", "item_id": "VARCHAR", "rank": "INTEGER", "score": "DOUBLE"}


@dataclass(frozen=True)
class Inputs:
    """The Parquet files of each table of COLUMNS and CANDIDATES; candidates and forecasts only the files of one as-of date. `renewed`: table -> the relation of the
    connection that stands in for its files.
    """

    files: Mapping[str, Sequence[Path]]
    renewed: Mapping[str, str] = field(default_factory=dict)

    def relation(self, table: str) -> str:
        """A FROM item of `table`."""
        return self.renewed.get(table) or scan(self.files.get(table, ()), COLUMNS.get(table, CANDIDATE_COLUMNS))


@dataclass(frozen=True)
class Cut:
    """The end of `as_of`, and the source's rules. `is_serving` says that it is the run date: the catalogue's state is known for that day only. `until`: the
    moment of that day at which the past ends instead, where it is not over yet.
    """

    as_of: date
    horizon_days: int
    exclude_seen: bool
    exclude_bought: bool
    is_serving: bool = False
    until: datetime | None = None

    @property
    def end(self) -> str:
        """SQL of the first moment after the cut: the past is before it."""
        return f"TIMESTAMP {literal(str(self.until or self.as_of + timedelta(days=1)))}"

    def segments(self, inputs: Inputs) -> str:
        """SQL of the segment that the rules give each person, as of the cut: person_id, segment."""
        return f"SELECT person_id, label AS segment FROM {inputs.relation('feat_user_labels')} WHERE feature_date = {self.date} AND kind = 'segment'"

    @property
    def label_end(self) -> str:
        """SQL of the first moment after the labels."""
        return f"TIMESTAMP {literal((self.as_of + timedelta(days=1 + self.horizon_days)).isoformat())}"

    @property
    def date(self) -> str:
        """SQL of the day: what feature_date must be."""
        return f"DATE {literal(self.as_of.isoformat())}"

    def is_excluded(self, n_purchases: str) -> str:
        """SQL: whether an item that a person has a history with, `n_purchases` of it, must stay off the list."""
        return "true" if self.exclude_seen else f"{n_purchases} > 0" if self.exclude_bought else "false"


def judged_persons(connection: "duckdb.DuckDBPyConnection", inputs: Inputs, cut: Cut, *, limit: int, seed: int) -> list[str]:
    """At most `limit` persons, chosen by hash: known before the cut, with a label after it that the rules do not exclude. Sorted."""
    rows = connection.execute(f"""
        WITH personal AS (
            SELECT person_id, item_id, event_type, occurred_at < {cut.end} AS is_past
            FROM {inputs.relation("fct_interactions")} WHERE is_personal AND occurred_at < {cut.label_end}
        ), pairs AS (
            SELECT person_id, item_id, bool_or(is_past) AS is_seen, bool_or(NOT is_past) AS is_label,
                count(*) FILTER (is_past AND event_type = 'purchase') AS n_purchases
            FROM personal GROUP BY ALL
        ), judged AS (
            SELECT person_id FROM pairs GROUP BY person_id
            HAVING bool_or(is_seen) AND bool_or(is_label AND NOT (is_seen AND {cut.is_excluded("n_purchases")}))
        ), chosen AS (SELECT person_id FROM judged ORDER BY md5('{seed}' || person_id), person_id LIMIT {limit})
        SELECT person_id FROM chosen ORDER BY person_id
    """).fetchall()
    return [person for (person,) in rows]


def listed_persons(connection: "duckdb.DuckDBPyConnection", inputs: Inputs) -> list[str]:
    """Everybody who gets a personal list: the persons with personalisation consent and a history, sorted."""
    rows = connection.execute(f"""
        SELECT person_id FROM {inputs.relation("dim_users")} WHERE has_personalisation_consent
        AND person_id IN (SELECT person_id FROM {inputs.relation("fct_interactions")} WHERE is_personal) ORDER BY person_id
    """).fetchall()
    return [person for (person,) in rows]


def sampled_persons(connection: "duckdb.DuckDBPyConnection", inputs: Inputs, cut: Cut, *, limit: int) -> list[str]:
    """The first `limit` persons with a history before the cut, whatever they did after it. Ids are keyed hashes, so they are a random sample. Sorted."""
    rows = connection.execute(f"""
        SELECT DISTINCT person_id FROM {inputs.relation("fct_interactions")} WHERE is_personal AND occurred_at < {cut.end} ORDER BY person_id LIMIT {limit}
    """).fetchall()
    return [person for (person,) in rows]
