"""Popular and trending lists: what they propose to whom, as baselines, and as the fallback of whoever has no list of their own."""

from typing import TYPE_CHECKING, Final

from models.inputs import FORECASTS, Cut, Inputs
from models.policies import applied, not_excluded, top

if TYPE_CHECKING:
    import duckdb

    from dawnlist.settings import Candidates

FORECAST: Final = "forecast"  # no window before the cut, but what is expected after it: models.forecast
TIME_WINDOWS: Final = ("15m", "1h", "6h", "1d", "7d", "28d", "trending", FORECAST)
DEFAULT_WINDOW: Final = "popular_7d"  # where no labels say which window is best

_CONCERNS: Final = "scope = 'global' OR (scope = 'country' AND scope_value = country) OR (scope = 'device' AND scope_value = device)"


def source_of(time_window: str) -> str:
    """The name of a window as a source of recommendations: popular_15m, …, trending."""
    return time_window if time_window in ("trending", FORECAST) else f"popular_{time_window}"


SOURCES: Final = tuple(source_of(window) for window in TIME_WINDOWS)
COUNTED: Final = tuple(source for source in SOURCES if source != FORECAST)  # what is most popular, without knowing more than counts
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
            SELECT time_window, scope, scope_value, rank, i FROM ({_windows(inputs, cut)}) JOIN item USING (item_id) WHERE is_listable
        ),
        ranked AS (SELECT c, i, {ranks} FROM places JOIN listed ON {_CONCERNS} GROUP BY c, i)
        SELECT *, {best}, coalesce({BEST_RANK} <= {per_window}, false) AS is_proposed FROM ranked ORDER BY c, i
    """)


def _windows(inputs: Inputs, cut: Cut) -> str:
    """SQL of the lists of all windows and scopes as of the cut: time_window, scope, scope_value, rank, item_id, score."""
    columns = "time_window, scope, scope_value, rank, item_id, score"
    return f"""
        SELECT {columns} FROM {inputs.relation("feat_popular_items")} WHERE feature_date = {cut.date}
        UNION ALL SELECT '{FORECAST}', 'global', '', rank, item_id, score FROM {inputs.relation(FORECASTS)} WHERE feature_date = {cut.date}
    """


def windows(events: str, cut: Cut, *, trend_smoothing: int, length: int) -> str:
    """SQL of feat_popular_items for the windows that end at `cut`: the first `length` of each window and scope, as the mart of that name defines them.

    `events`: a relation of item_id, weight, occurred_at, country and device; events without an item or weight do not count.
    """
    spans = {"15m": "15 MINUTE", "1h": "1 HOUR", "6h": "6 HOUR", "1d": "1 DAY", "7d": "7 DAY", "28d": "28 DAY"}
    counts = ", ".join(f"count(*) FILTER (occurred_at >= {cut.end} - INTERVAL {span}) AS n_{name}" for name, span in spans.items())
    trend = f"floor((n_1d + {trend_smoothing}) / (n_7d / 7e0 + {trend_smoothing}) * 1e6 + 5e-1) / 1e6"
    scores = ", ".join(f"'{name}': n_{name}::DOUBLE" for name in spans)
    scope_value = "CASE scope WHEN 'global' THEN '' WHEN 'country' THEN nullif(country, '') ELSE nullif(device, '') END"
    return f"""
        WITH scoped AS (
            SELECT scope, {scope_value} AS scope_value, item_id, {counts} FROM {events} CROSS JOIN (SELECT unnest({list(SCOPES)}) AS scope)
            WHERE item_id IS NOT NULL AND weight > 0 AND occurred_at < {cut.end} AND occurred_at >= {cut.end} - INTERVAL {CROWD_DAYS} DAY GROUP BY ALL
        ), scored AS (
            SELECT scope, scope_value, item_id, unnest(map_entries(MAP {{{scores}, 'trending': if(n_1d > 0, {trend}, NULL)}}), recursive := true)
            FROM scoped WHERE scope_value IS NOT NULL
        )
        SELECT {cut.date} AS feature_date, key AS time_window, scope, scope_value, item_id, value AS score,
            row_number() OVER (PARTITION BY key, scope, scope_value ORDER BY value DESC, item_id)::INTEGER AS rank
        FROM scored WHERE value > 0 QUALIFY rank <= {length} ORDER BY time_window, scope, scope_value, rank
    """


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
            FROM ({_windows(inputs, cut)}) JOIN item USING (item_id) WHERE is_listable AND list_contains({order}, time_window)
        ), firsts AS (SELECT * FROM listed QUALIFY row_number() OVER (PARTITION BY scope, scope_value, i ORDER BY turn) = 1)
        SELECT scope, scope_value, row_number() OVER (PARTITION BY scope, scope_value ORDER BY turn, rank, i) AS place, i, score, source
        FROM firsts ORDER BY scope, scope_value, place
    """)


def add_segment_lists(connection: "duckdb.DuckDBPyConnection", inputs: Inputs, cut: Cut) -> None:
    """Add to `scope_list` the scope segment: what the persons of each cluster took up in 28 days, most events first. Needs the tables person, item and recipient."""
    connection.execute(f"""
        INSERT INTO scope_list BY NAME
        WITH counted AS (
            SELECT recipient.segment, i, count(*) AS n FROM {inputs.relation("fct_interactions")} JOIN person USING (person_id) JOIN recipient USING (p) JOIN item USING (item_id)
            WHERE is_personal AND is_listable AND recipient.segment IS NOT NULL AND occurred_at < {cut.end} AND occurred_at >= {cut.end} - INTERVAL 28 DAY GROUP BY ALL
        )
        SELECT 'segment' AS scope, segment AS scope_value, row_number() OVER (PARTITION BY segment ORDER BY n DESC, i) AS place, i, n::DOUBLE AS score,
            'popular_segment' AS source FROM counted QUALIFY place <= 100
    """)


def add_season_list(connection: "duckdb.DuckDBPyConnection", inputs: Inputs, cut: Cut) -> None:
    """Add to `scope_list` the scope season: what was taken up in the 28 days that begin 52 weeks before the day after the cut, most events first.

    Nothing where the interactions do not go back so far. Needs the table item.
    """
    begin = f"{cut.end} - INTERVAL 364 DAY"
    connection.execute(f"""
        INSERT INTO scope_list BY NAME
        WITH counted AS (
            SELECT i, count(*) AS n FROM {inputs.relation("fct_interactions")} JOIN item USING (item_id)
            WHERE is_listable AND occurred_at >= {begin} AND occurred_at < {begin} + INTERVAL 28 DAY GROUP BY i
        )
        SELECT 'season' AS scope, '' AS scope_value, row_number() OVER (ORDER BY n DESC, i) AS place, i, n::DOUBLE AS score, 'popular_season' AS source
        FROM counted QUALIFY place <= 100
    """)


def fallback(audience: str, *, season_every: int) -> str:
    """SQL: one row per (segment, country, device) of `audience` and place: what is popular in the segment, then in the country, on the device, with everybody, each item once.

    `audience` is a FROM clause with these three columns; where all are NULL, only the global list is left. Every `season_every`-th place (0: none) is for what was
    popular at this time of last year.
    """
    scopes = ["segment", "country", "device", "global"]
    known = " OR ".join(f"(scope = '{scope}' AND scope_value = {scope})" for scope in scopes[:-1])
    group = "segment, country, device"
    seasonal = f"""
        SELECT {group}, i, score, source, place * {season_every - 1} + 0.5 AS turn FROM audience CROSS JOIN (FROM scope_list WHERE scope = 'season')
    """
    return f"""
        WITH audience AS (SELECT DISTINCT {group} {audience}),
        offered AS (
            SELECT {group}, i, score, 'popular_' || scope AS source, list_position({scopes}, scope) AS nearness, place
            FROM audience JOIN scope_list ON scope = 'global' OR {known}
        ), nearest AS (SELECT * FROM offered QUALIFY row_number() OVER (PARTITION BY {group}, i ORDER BY nearness, place) = 1),
        turns AS (
            SELECT {group}, i, score, source, row_number() OVER (PARTITION BY {group} ORDER BY nearness, place)::DECIMAL(18, 1) AS turn FROM nearest
            {f"UNION ALL {seasonal}" if season_every else ""}
        ), firsts AS (SELECT * FROM turns QUALIFY row_number() OVER (PARTITION BY {group}, i ORDER BY turn) = 1)
        SELECT {group}, i, score, source, row_number() OVER (PARTITION BY {group} ORDER BY turn) AS place FROM firsts
    """


def baseline(inputs: Inputs, cut: Cut, window: str, *, length: int) -> str:
    """SQL of (p, i, rank): the first `length` items of the global list of `window` for everybody, without what the rules exclude for them."""
    return f"""
        WITH listed AS (
            SELECT i, rank AS place FROM ({_windows(inputs, cut)}) JOIN item USING (item_id) WHERE scope = 'global' AND time_window = '{window}' AND is_listable
        )
        SELECT p, i, row_number() OVER (PARTITION BY p ORDER BY place, i) AS rank
        FROM (SELECT p FROM person) CROSS JOIN listed ANTI JOIN excluded USING (p, i) QUALIFY rank <= {length}
    """
