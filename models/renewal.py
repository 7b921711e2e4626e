"""A night's marts as of an hour of the day after it: what the models read, made again from the lake's events up to the end of that hour.

Renewed are the catalogue, consent, interactions, popular, trending and forecast lists, the activity of active persons, and what is like the newest items. Everything
slower (segments, tastes, RFM, sessions, the candidates that Spark makes) is the night's, seen from the hour's day. dbt makes the same features of
whole days; at the end of a day both give the same rows (tests/integration/test_renewal.py holds it).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dawnlist.columns import CONSENTS, EVENTS, ITEMS, PERSONALISATION, PERSONS
from dawnlist.duck import literal, scan
from models import popular
from models.forecast import create_forecast
from models.inputs import COLUMNS, FORECASTS, Cut, Inputs
from models.recommenders.neighbours import CoVisitation

if TYPE_CHECKING:
    import duckdb

    from dawnlist.settings import Bots

QUERY: Final = CoVisitation()  # how many of a person's last items ask for what is like them, and how they fade
WINDOW_DAYS: Final = 28
_KEPT: Final = ("n_sessions_28d", "n_categories_28d", "avg_dwell_seconds_28d", "top_category")  # of feat_user_activity: the night's


@dataclass(frozen=True)
class Raw:
    """What the lake has: the files of its tables events (of the last 28 days), items and consents, and the night's persons; the file of the events' weights;
    who is taken for a machine; and the variables trend_smoothing and popular_items of the dbt project.
    """

    files: Mapping[str, Sequence[Path]]
    weights: Path
    bots: "Bots"
    trend_smoothing: int
    popular_items: int

    def relation(self, table: str) -> str:
        """A FROM item of a table of the lake, or of the night's `persons`."""
        return scan(self.files[table], dict({"events": EVENTS, "items": ITEMS, "consents": CONSENTS, "persons": PERSONS}[table]))


def renew(connection: "duckdb.DuckDBPyConnection", night: Inputs, raw: Raw, night_cut: Cut, cut: Cut, *, active_hours: int) -> Inputs:
    """The inputs as of `cut.until`. Leaves the table `active` (person_id): who has consent and had an event in the last `active_hours`.

    `night`: the inputs of the night of `night_cut`, with its candidates, and the files of similar_items. Nothing at or after `cut.until` is read.
    """
    _consents(connection, night, raw, cut)
    _events(connection, raw, cut)
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE active AS SELECT DISTINCT person_id FROM human_event SEMI JOIN (FROM consenting WHERE is_consenting) USING (person_id)
        WHERE occurred_at >= {cut.end} - INTERVAL {active_hours} HOUR ORDER BY person_id
    """)
    _interactions(connection, night, night_cut)
    _items(connection, night, raw, cut)
    _users(connection, night)
    _activity(connection, night, night_cut, cut)
    _popular(connection, raw, cut)
    _similar(connection, night, night_cut)
    dated = {
        table: f"(SELECT * REPLACE ({cut.date} AS feature_date) FROM {night.relation(table)} WHERE feature_date = {night_cut.date})"
        for table in ("feat_user_rfm", "feat_user_labels")
    }
    made = ("dim_users", "dim_items", "fct_interactions", "feat_user_activity", "feat_popular_items", "candidates_item_to_item")
    return Inputs(night.files, {**night.renewed, **dated, **{table: f"renewed_{table}" for table in made}})


def with_forecast(connection: "duckdb.DuckDBPyConnection", renewed: Inputs, cut: Cut, *, seed: int) -> Inputs:
    """The `renewed` inputs with what is expected to be popular after `cut`."""
    table = f"renewed_{FORECASTS}"
    create_forecast(connection, renewed.relation("fct_interactions"), cut, seed=seed, table=table)
    return Inputs(renewed.files, {**renewed.renewed, FORECASTS: table})


def _consents(connection: "duckdb.DuckDBPyConnection", night: Inputs, raw: Raw, cut: Cut) -> None:
    """Table `consenting` (person_id, is_consenting): the last answer before the cut, a refusal before a grant of the same moment; without one, as in the night."""
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE consenting AS
        WITH answers AS (
            SELECT person_id, is_granted FROM {raw.relation("consents")} AS said JOIN {raw.relation("persons")} AS known ON known.alias_id = said.user_id
            WHERE purpose = {literal(PERSONALISATION)} AND is_granted IS NOT NULL AND changed_at < {cut.end}
            QUALIFY row_number() OVER (PARTITION BY person_id ORDER BY changed_at DESC, is_granted) = 1
        )
        SELECT person_id, coalesce(is_granted, has_personalisation_consent, false) AS is_consenting FROM {night.relation("dim_users")} LEFT JOIN answers USING (person_id)
    """)


def _events(connection: "duckdb.DuckDBPyConnection", raw: Raw, cut: Cut) -> None:
    """Table `human_event`: the lake's events before the cut without machines, with person_id (NULL: nobody known) and weight.

    Who is a machine is told by the pace of the events of a day, as int_visitors__bots tells it; the length of sessions is the night's matter.
    """
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE human_event AS
        WITH past AS (
            SELECT *, coalesce(user_id, anonymous_id) AS visitor_id FROM {raw.relation("events")} WHERE occurred_at < {cut.end} AND is_bot IS NOT TRUE
        ), paced AS (
            SELECT source, visitor_id, event_date, count(*) OVER (PARTITION BY source, visitor_id, date_trunc('minute', occurred_at)) AS n_minute,
                count(*) OVER (PARTITION BY source, visitor_id, date_trunc('hour', occurred_at)) AS n_hour
            FROM past WHERE event_type IN ('view', 'click', 'search') AND visitor_id IS NOT NULL
        ), machines AS (
            SELECT DISTINCT source, visitor_id, event_date FROM paced
            WHERE n_minute > {raw.bots.max_events_per_minute} OR n_hour > {raw.bots.max_events_per_hour}
        )
        SELECT event_id, person_id, item_id, event_type, occurred_at, country, device,
            if(event_type = 'purchase' AND quantity <= 0, 0, coalesce(weight, 0))::DOUBLE AS weight
        FROM past ANTI JOIN machines USING (source, visitor_id, event_date) LEFT JOIN read_csv({literal(str(raw.weights))}) USING (event_type)
        LEFT JOIN (SELECT alias_id AS visitor_id, person_id FROM {raw.relation("persons")}) USING (visitor_id)
    """)


def _interactions(connection: "duckdb.DuckDBPyConnection", night: Inputs, night_cut: Cut) -> None:
    """The night's interactions, and those since."""
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE renewed_fct_interactions AS
        WITH both_days AS (
            SELECT person_id, item_id, event_type, occurred_at, weight FROM {night.relation("fct_interactions")} WHERE occurred_at < {night_cut.end}
            UNION ALL
            SELECT person_id, item_id, event_type, occurred_at, weight FROM human_event WHERE item_id IS NOT NULL AND weight > 0 AND occurred_at >= {night_cut.end}
        )
        SELECT both_days.*, coalesce(is_consenting, false) AS is_personal FROM both_days LEFT JOIN consenting USING (person_id)
    """)


def _items(connection: "duckdb.DuckDBPyConnection", night: Inputs, raw: Raw, cut: Cut) -> None:
    """The catalogue as its newest versions before the cut have it, and items that only events know, which are available (int_items__as_of, dim_items)."""
    newest = f"""
        SELECT item_id, true AS is_listed, title, category, brand, price, launched_at, is_blocked, is_available AND coalesce(launched_at < {cut.end}, true) AS is_available
        FROM {raw.relation("items")} WHERE updated_at < {cut.end} QUALIFY row_number() OVER (PARTITION BY item_id ORDER BY updated_at DESC, source) = 1
    """
    said = ", ".join(
        f"if(is_listed, newest.{name}, known.{name})::{COLUMNS['dim_items'][name]} AS {name}" for name in ("title", "category", "brand", "launched_at")
    )
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE renewed_dim_items AS
        WITH seen AS (SELECT item_id, min(occurred_at) AS first_seen_at FROM human_event WHERE item_id IS NOT NULL GROUP BY item_id)
        SELECT item_id, {said}, coalesce(newest.price, known.price)::DOUBLE AS price, coalesce(known.first_seen_at, seen.first_seen_at) AS first_seen_at,
            coalesce(if(is_listed, newest.is_available, known.is_available), true) AS is_available, coalesce(if(is_listed, newest.is_blocked, known.is_blocked), false) AS is_blocked
        FROM {night.relation("dim_items")} AS known FULL JOIN ({newest}) AS newest USING (item_id) FULL JOIN seen USING (item_id) ORDER BY item_id
    """)


def _users(connection: "duckdb.DuckDBPyConnection", night: Inputs) -> None:
    """Whose list is made: who is active, and who has no list of their own and shares a common one. All others keep theirs, and are not there."""
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE renewed_dim_users AS
        SELECT known.person_id, is_consenting AS has_personalisation_consent, country, device
        FROM {night.relation("dim_users")} AS known JOIN consenting USING (person_id)
        WHERE NOT is_consenting OR person_id IN (FROM active)
            OR person_id NOT IN (SELECT person_id FROM renewed_fct_interactions WHERE person_id IS NOT NULL)
    """)


def _activity(connection: "duckdb.DuckDBPyConnection", night: Inputs, night_cut: Cut, cut: Cut) -> None:
    """Counts of the 24 hours, 7 and 28 days before the cut of who is active; what takes sessions or categories is the night's."""
    since = {name: f"occurred_at >= {cut.end} - INTERVAL {days} DAY" for name, days in (("1d", 1), ("7d", 7), ("28d", WINDOW_DAYS))}
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE renewed_feat_user_activity AS
        WITH counted AS (
            SELECT person_id, {", ".join(f"count(*) FILTER ({condition}) AS n_events_{name}" for name, condition in since.items())},
                count(DISTINCT item_id) FILTER (weight > 0 AND {since["28d"]}) AS n_items_28d,
                count(*) FILTER (event_type = 'purchase' AND {since["28d"]}) AS n_purchases_28d,
                count(DISTINCT occurred_at::DATE) FILTER (occurred_at >= {cut.date} - {WINDOW_DAYS - 1}) AS n_active_days_28d,
                date_diff('day', max(occurred_at)::DATE, {cut.date}) AS days_since_last_event, date_diff('day', min(occurred_at)::DATE, {cut.date}) AS seen_days,
                arg_max(country, (occurred_at, event_id)) AS country, arg_max(device, (occurred_at, event_id)) AS device
            FROM human_event SEMI JOIN active USING (person_id) GROUP BY person_id
        ), known AS (FROM {night.relation("feat_user_activity")} WHERE feature_date = {night_cut.date})
        SELECT person_id, {cut.date} AS feature_date, counted.* EXCLUDE (person_id, seen_days, country, device),
            greatest(seen_days, known.tenure_days + ({cut.date} - {night_cut.date})) AS tenure_days, {", ".join(f"known.{name}" for name in _KEPT)},
            coalesce(counted.country, known.country) AS country, coalesce(counted.device, known.device) AS device
        FROM counted LEFT JOIN known USING (person_id) ORDER BY person_id
    """)


def _popular(connection: "duckdb.DuckDBPyConnection", raw: Raw, cut: Cut) -> None:
    """feat_popular_items of the windows that end at the cut."""
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE renewed_feat_popular_items AS
        {popular.windows("human_event", cut, trend_smoothing=raw.trend_smoothing, length=raw.popular_items)}
    """)


def _similar(connection: "duckdb.DuckDBPyConnection", night: Inputs, night_cut: Cut) -> None:
    """The candidates of item_to_item: of who came to something since the night, what is like their newest items by the night's similar items; else the night's."""
    similar = scan(night.files.get("similar_items", ()), {"item_id": "VARCHAR", "similar_item_id": "VARCHAR", "score": "DOUBLE"})
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE renewed_candidates_item_to_item AS
        WITH stirred AS (SELECT DISTINCT person_id FROM renewed_fct_interactions SEMI JOIN active USING (person_id) WHERE occurred_at >= {night_cut.end}),
        newest AS (
            SELECT person_id, item_id, row_number() OVER (PARTITION BY person_id ORDER BY max(occurred_at) DESC, item_id) - 1 AS place
            FROM renewed_fct_interactions SEMI JOIN stirred USING (person_id) GROUP BY person_id, item_id QUALIFY place < {QUERY.last}
        ), liked AS (
            SELECT person_id, similar_item_id AS item_id, round(sum((score * pow({QUERY.decay!r}::DOUBLE, place))::DECIMAL(18, 9))::DOUBLE, 6) AS score
            FROM newest JOIN {similar} USING (item_id) GROUP BY ALL
        )
        SELECT person_id, item_id, row_number() OVER (PARTITION BY person_id ORDER BY score DESC, item_id)::INTEGER AS rank, score FROM liked
        UNION ALL
        SELECT person_id, item_id, rank, score FROM {night.relation("candidates_item_to_item")} ANTI JOIN stirred USING (person_id) ORDER BY ALL
    """)
