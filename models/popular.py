"""Popular and trending lists: what they propose to whom, as baselines, and as the fallback of whoever has no list of their own."""

from typing import TYPE_CHECKING, Final

from models.inputs import Cut, Inputs
from models.policies import applied, not_excluded, top

if TYPE_CHECKING:
    import duckdb

    from dawnlist.settings import Candidates

TIME_WINDOWS: Final = ("1h", "6h", "1d", "7d", "28d", "trending")
DEFAULT_WINDOW: Final = "popular_7d"  # where no labels say which window is best

_CONCERNS: Final = "scope = 'global' OR (scope = 'country' AND scope_value = country) OR (scope = 'device' AND scope_value = device)"


def source_of(time_window: str) -> str:
    """The name of a window as a source of recommendations: popular_1h, …, trending."""
    return time_window if time_window == "trending" else f"popular_{time_window}"


SOURCES: Final = tuple(source_of(window) for window in TIME_WINDOWS)
SCOPES: Final = {"global": "popular", "country": "country", "device": "device"}  # whose list it is -> how its columns begin
PLACES: Final = ("popular_country", "popular_device")
BEST_RANK: Final = f"least({', '.join(f'{prefix}_rank' for prefix in SCOPES.values())})"
CROWD_DAYS: Final = 28


def create_popular(connection: "duckdb.DuckDBPyConnection", inputs: Inputs, cut: Cut, *, per_window: int) -> None:
    """Table `popular`, one row per (c, i): for the people of country and device c, the rank of item i in each window, globally, in the country and on the
    device; NULL beyond rank 100.

    `popular_rank`, `country_rank` and `device_rank` are the best of them. The first `per_window` of each window are proposed. Needs the tables person and item.
    """
    ranks = ", ".join(
        f"min(rank) FILTER (scope = '{scope}' AND time_window = '{window}') AS {prefix}_{window}_rank"
        for scope, prefix in SCOPES.items()
        for window in TIME_WINDOWS
    )
    best = ", ".join(f"least({', '.join(f'{prefix}_{window}_rank' for window in TIME_WINDOWS)}) AS {prefix}_rank" for prefix in SCOPES.values())
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE popular AS
        WITH places AS (SELECT DISTINCT c, country, device FROM person),
        listed AS (
            SELECT time_window, scope, scope_value, rank, i FROM {inputs.relation("feat_popular_items")} JOIN item USING (item_id)
            WHERE feature_date = {cut.date} AND is_listable
        ),
        ranked AS (SELECT c, i, {ranks} FROM places JOIN listed ON {_CONCERNS} GROUP BY c, i)
        SELECT *, {best}, coalesce({BEST_RANK} <= {per_window}, false) AS is_proposed FROM ranked ORDER BY c, i
    """)


def in_crowd(inputs: Inputs, cut: Cut, crowd: str, candidates: "Candidates") -> str:
    """SQL of (p, i, score, rank): the first candidates.popular items of the person's `crowd`, without what the rules exclude.

    `crowd` is "category" (events with items of the person's top category) or "segment" (events of the persons of the same segment as of the cut). score: the events
    of the last 28 days before the cut, each counting half after candidates.popular_half_life_days; ties by item. Needs the tables person, item and excluded.
    """
    members = f"JOIN ({cut.segments(inputs)}) USING (person_id)" if crowd == "segment" else ""
    person = "person.segment" if crowd == "segment" else "person.top_category"
    age = f"date_diff('day', occurred_at::DATE, {cut.date})"
    ranked = f"""
        SELECT i, {crowd} AS crowd, round(sum(pow(0.5, {age} / {candidates.popular_half_life_days!r}::DOUBLE)::DECIMAL(18, 9))::DOUBLE, 6) AS score,
            row_number() OVER (PARTITION BY {crowd} ORDER BY score DESC, i) AS place
        FROM {inputs.relation("fct_interactions")} JOIN item USING (item_id) {members}
        WHERE {crowd} IS NOT NULL AND is_listable AND occurred_at < {cut.end} AND {age} < {CROWD_DAYS} GROUP BY i, {crowd} QUALIFY place <= {candidates.popular}
    """
    offered = f"SELECT p, i, score, place FROM person JOIN ({ranked}) AS ranked ON ranked.crowd = {person}"
    return applied(offered, not_excluded, top(candidates.popular))


def create_scope_lists(connection: "duckdb.DuckDBPyConnection", inputs: Inputs, cut: Cut, *, window: str) -> None:
    """Table `scope_list`, one row per (scope, scope_value, place) with i, score and source: the items of `window`, then those of the next longer ones.

    A window that is too short for a small site or scope (an hour at night) is so filled up. Needs the table item.
    """
    first = [name for name in TIME_WINDOWS if source_of(name) == window]
    order = [*first, *(name for name in ("1d", "7d", "28d") if name not in first)]
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE scope_list AS
        WITH listed AS (
            SELECT scope, scope_value, i, score, rank, list_position({order}, time_window) AS turn,
                if(time_window = 'trending', 'trending', 'popular_' || time_window) AS source
            FROM {inputs.relation("feat_popular_items")} JOIN item USING (item_id)
            WHERE feature_date = {cut.date} AND is_listable AND list_contains({order}, time_window)
        ), firsts AS (SELECT * FROM listed QUALIFY row_number() OVER (PARTITION BY scope, scope_value, i ORDER BY turn) = 1)
        SELECT scope, scope_value, row_number() OVER (PARTITION BY scope, scope_value ORDER BY turn, rank, i) AS place, i, score, source
        FROM firsts ORDER BY scope, scope_value, place
    """)


def fallback(audience: str) -> str:
    """SQL: one row per (country, device) of `audience` and place: the country's popular items, then the device's, then everybody's, each item once.

    `audience` is a SELECT of country and device; where both are NULL, only the global list is left.
    """
    return f"""
        WITH audience AS (SELECT DISTINCT country, device FROM ({audience})),
        offered AS (
            SELECT country, device, i, score, 'popular_' || scope AS source, list_position(['country', 'device', 'global'], scope) AS turn, place
            FROM audience JOIN scope_list ON {_CONCERNS}
        ), firsts AS (SELECT * FROM offered QUALIFY row_number() OVER (PARTITION BY country, device, i ORDER BY turn, place) = 1)
        SELECT country, device, i, score, source, row_number() OVER (PARTITION BY country, device ORDER BY turn, place) AS place FROM firsts
    """


def baseline(inputs: Inputs, cut: Cut, window: str, *, length: int) -> str:
    """SQL of (p, i, rank): the first `length` items of the global list of `window` for everybody, without what the rules exclude for them."""
    return f"""
        WITH listed AS (
            SELECT i, rank AS place FROM {inputs.relation("feat_popular_items")} JOIN item USING (item_id)
            WHERE feature_date = {cut.date} AND scope = 'global' AND time_window = '{window}' AND is_listable
        )
        SELECT p, i, row_number() OVER (PARTITION BY p ORDER BY place, i) AS rank
        FROM (SELECT p FROM person) CROSS JOIN listed ANTI JOIN excluded USING (p, i) QUALIFY rank <= {length}
    """
