"""Popular and trending lists: what they propose to whom, as baselines, and as the fallback of whoever has no list of their own."""

from typing import TYPE_CHECKING, Final

from models.inputs import Cut, Inputs

if TYPE_CHECKING:
    import duckdb

TIME_WINDOWS: Final = ("1h", "6h", "1d", "7d", "28d", "trending")
DEFAULT_WINDOW: Final = "popular_7d"  # where no labels say which window is best


def source_of(time_window: str) -> str:
    """The name of a window as a source of recommendations: popular_1h, …, trending."""
    return time_window if time_window == "trending" else f"popular_{time_window}"


SOURCES: Final = tuple(source_of(window) for window in TIME_WINDOWS)


def create_popular(connection: "duckdb.DuckDBPyConnection", inputs: Inputs, cut: Cut, *, per_window: int) -> None:
    """Table `popular`, one row per (c, i): for the people of country c, the rank of item i in each window, globally and in the country; NULL beyond rank 100.

    `popular_rank` and `country_rank` are the best of them. The first `per_window` of each window are proposed. Needs the tables person and item.
    """
    ranks = ", ".join(
        f"min(rank) FILTER (scope = '{scope}' AND time_window = '{window}') AS {prefix}{window}_rank"
        for scope, prefix in (("global", "popular_"), ("country", "country_"))
        for window in TIME_WINDOWS
    )
    best = {prefix: f"least({', '.join(f'{prefix}_{window}_rank' for window in TIME_WINDOWS)})" for prefix in ("popular", "country")}
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE popular AS
        WITH countries AS (SELECT DISTINCT c, country FROM person),
        listed AS (
            SELECT time_window, scope, scope_value, rank, i FROM {inputs.relation("feat_popular_items")} JOIN item USING (item_id)
            WHERE feature_date = {cut.date} AND is_listable
        ),
        ranked AS (
            SELECT c, i, {ranks} FROM countries JOIN listed ON scope = 'global' OR (scope = 'country' AND scope_value = country) GROUP BY c, i
        )
        SELECT *, {best["popular"]} AS popular_rank, {best["country"]} AS country_rank, coalesce(least(popular_rank, country_rank) <= {per_window}, false) AS is_proposed
        FROM ranked ORDER BY c, i
    """)


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


def add_segment_lists(connection: "duckdb.DuckDBPyConnection", inputs: Inputs, cut: Cut) -> None:
    """Add to `scope_list` the scope segment: what the persons of each cluster took up in 28 days, most events first. Needs the tables person, item and recipient."""
    connection.execute(f"""
        INSERT INTO scope_list BY NAME
        WITH counted AS (
            SELECT segment, i, count(*) AS n FROM {inputs.relation("fct_interactions")} JOIN person USING (person_id) JOIN recipient USING (p) JOIN item USING (item_id)
            WHERE is_personal AND is_listable AND segment IS NOT NULL AND occurred_at < {cut.end} AND occurred_at >= {cut.end} - INTERVAL 28 DAY GROUP BY ALL
        )
        SELECT 'segment' AS scope, segment AS scope_value, row_number() OVER (PARTITION BY segment ORDER BY n DESC, i) AS place, i, n::DOUBLE AS score,
            'popular_segment' AS source FROM counted QUALIFY place <= 100
    """)


def fallback(audience: str) -> str:
    """SQL: one row per (segment, country, device) of `audience` and place: what is popular in the segment, then in the country, on the device, with everybody, each item once.

    `audience` is a FROM clause with these three columns; where all are NULL, only the global list is left.
    """
    scopes = ["segment", "country", "device", "global"]
    known = " OR ".join(f"(scope = '{scope}' AND scope_value = {scope})" for scope in scopes[:-1])
    return f"""
        WITH audience AS (SELECT DISTINCT segment, country, device {audience}),
        offered AS (
            SELECT segment, country, device, i, score, 'popular_' || scope AS source, list_position({scopes}, scope) AS turn, place
            FROM audience JOIN scope_list ON scope = 'global' OR {known}
        ), firsts AS (SELECT * FROM offered QUALIFY row_number() OVER (PARTITION BY segment, country, device, i ORDER BY turn, place) = 1)
        SELECT segment, country, device, i, score, source, row_number() OVER (PARTITION BY segment, country, device ORDER BY turn, place) AS place FROM firsts
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
