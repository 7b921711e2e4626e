"""What may be on a list, and in which order. A policy maps the SQL of lists to SQL: one row per (p, i) with `place` (1 = first).

The filters need no more than that. Policies that move or insert items also note what they did: their rows have score, source, propensity and
rules (VARCHAR[], the ids of the rules that touched the row). A policy knows nothing of who proposed an item or of the other policies:
candidates, ranked lists and fill-ins all go through the same ones. docs/policies.md has their order.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from dawnlist.duck import literal
from models import diversity

if TYPE_CHECKING:
    import duckdb

Policy = Callable[[str], str]
DRAWN: Final = "exploration"  # the source of an item that was drawn by chance
_FACTOR_DIGITS: Final = 6


def applied(query: str, *policies: Policy) -> str:
    """`query` after all `policies`, the first one innermost."""
    for policy in policies:
        query = policy(query)
    return query


def listable(query: str) -> str:
    """No blocked item; on the run date no unavailable one either (table item)."""
    return f"SELECT * FROM ({query}) SEMI JOIN (SELECT i FROM item WHERE is_listable) USING (i)"


def not_excluded(query: str) -> str:
    """Nothing that the source's rules keep from the person: bought, or seen (table excluded)."""
    return f"SELECT * FROM ({query}) ANTI JOIN excluded USING (p, i)"


def seen_less_than(times: int) -> Policy:
    """Nothing that the person viewed so many times of late (table viewed)."""
    return lambda query: f"SELECT * FROM ({query}) ANTI JOIN (SELECT p, i FROM viewed WHERE n_views >= {times}) USING (p, i)"


def cap(attribute: str, limit: int) -> Policy:
    """At most `limit` items of one `attribute` (a column of the table item) per list, its first ones; items without the attribute are not limited."""

    def capped(query: str) -> str:
        return f"""
            SELECT offered.* FROM ({query}) AS offered JOIN item USING (i)
            QUALIFY item.{attribute} IS NULL OR row_number() OVER (PARTITION BY p, item.{attribute} ORDER BY place, i) <= {limit}
        """

    return capped


def fresh(advantage: float, *, half_life_days: float) -> Policy:
    """The place of an item of age 0 is divided by 1 + `advantage`, which halves with every `half_life_days`; items of unknown age stay (item.age_days)."""
    factor = f"round(1 + {advantage!r}::DOUBLE * pow(0.5, age_days / {half_life_days!r}::DOUBLE), {_FACTOR_DIGITS})"
    return lambda query: moved(query, f"SELECT p, i, {factor} AS factor, []::VARCHAR[] AS ids FROM offered JOIN item USING (i) WHERE age_days IS NOT NULL")


def moved(query: str, touched: str) -> str:
    """The lists of `query` with each place divided by a factor. `touched`: SQL over `offered` of (p, i, factor, ids of rules); ties keep their order."""
    return f"""
        WITH offered AS MATERIALIZED ({query}), touched AS ({touched}),
        numbered AS (SELECT *, row_number() OVER (PARTITION BY p ORDER BY place, i) AS n FROM offered LEFT JOIN touched USING (p, i))
        SELECT * EXCLUDE (n, factor, ids) REPLACE (
            row_number() OVER (PARTITION BY p ORDER BY n / coalesce(factor, 1), n) AS place, list_concat(rules, coalesce(ids, [])) AS rules
        ) FROM numbered
    """


def inserted(query: str, placed: str) -> str:
    """The lists of `query` with the rows of `placed` at their places, and all others around them in their order.

    `placed`: SQL over `offered` of (p, i, place, n = 1, 2, … by place, source, propensity, ids of rules). A row that was there keeps its score and,
    unless it was drawn, its source; one that was not has the score 0. The n-th other row comes after as many placed ones as stand before the n-th free place.
    """
    return f"""
        WITH offered AS MATERIALIZED ({query}), placed AS ({placed}),
        kept AS (SELECT *, row_number() OVER (PARTITION BY p ORDER BY place, i) AS n FROM offered ANTI JOIN placed USING (p, i)),
        gaps AS (SELECT p, list(place - n) AS free_before FROM placed GROUP BY p)
        SELECT * EXCLUDE (n, free_before) REPLACE (n + len(list_filter(coalesce(free_before, []), lambda free: free < n)) AS place) FROM kept LEFT JOIN gaps USING (p)
        UNION ALL BY NAME
        SELECT placed.p, placed.i, placed.place, coalesce(score, 0) AS score, coalesce(placed.propensity, offered.propensity) AS propensity,
            if(placed.source = '{DRAWN}', placed.source, coalesce(offered.source, placed.source)) AS source,
            list_concat(coalesce(rules, []), ids) AS rules
        FROM placed LEFT JOIN offered USING (p, i)
    """


def diverse(connection: "duckdb.DuckDBPyConnection", trade_off: float, *, pool: int, length: int) -> Policy:
    """The first `pool` items of each list in the order of maximal marginal relevance, as far as `length` (models/diversity.py); the others after them."""

    def reordered(query: str) -> str:
        import pyarrow as pa

        connection.execute(f"""
            CREATE OR REPLACE TEMP TABLE before_diversity AS
            SELECT * REPLACE (row_number() OVER (PARTITION BY p ORDER BY place, i) AS place) FROM ({query}) ORDER BY p, place
        """)
        rows: dict[str, Any] = connection.execute(f"""
            WITH known AS (SELECT i, dense_rank() OVER (ORDER BY category) AS category, dense_rank() OVER (ORDER BY brand) AS brand, {_KNOWN} FROM item)
            SELECT p, i, if(has_category, category, 0)::INTEGER AS category, if(has_brand, brand, 0)::INTEGER AS brand
            FROM before_diversity JOIN known USING (i) WHERE place <= {pool} ORDER BY p, place
        """).fetchnumpy()
        places = diversity.places(rows["p"], (rows["category"], rows["brand"]), trade_off=trade_off, pool=pool, length=length)
        connection.register("reordered", pa.table({"p": rows["p"], "i": rows["i"], "moved_to": places}))
        connection.execute("CREATE OR REPLACE TEMP TABLE after_diversity AS FROM reordered")
        connection.unregister("reordered")
        return "SELECT * EXCLUDE (moved_to) REPLACE (coalesce(moved_to, place) AS place) FROM before_diversity LEFT JOIN after_diversity USING (p, i)"

    return reordered


_KNOWN: Final = "category IS NOT NULL AS has_category, brand IS NOT NULL AS has_brand"


def exploration(n_slots: int, *, length: int, key: str, eligible: tuple[Policy, ...]) -> Policy:
    """`n_slots` places, evenly spread, with items that the table explorable has, drawn without replacement and with equal chances for each person.

    Not drawn: what the person has met (table history), what is on the list anyway, what may not be shown. The draw goes by a hash of `key`, person
    and item. The propensity of a drawn item is slots / items that could be drawn, 1 at most. A list that is no person's of their own is left alone.
    """
    slots = [place * length // (n_slots + 1) + 1 for place in range(1, n_slots + 1)]
    pool = "SELECT p, i FROM (SELECT DISTINCT p FROM offered) JOIN person USING (p) CROSS JOIN explorable ANTI JOIN shown USING (p, i) ANTI JOIN history USING (p, i)"
    placed = f"""
        WITH shown AS ({top(length)("FROM offered")}), pool AS ({applied(pool, *eligible)}),
        drawn AS (
            SELECT p, i, row_number() OVER (PARTITION BY p ORDER BY md5({literal(key)} || person_id || '/' || item_id), i) AS n, count(*) OVER (PARTITION BY p) AS n_pool
            FROM pool JOIN person USING (p) JOIN item USING (i) QUALIFY n <= {n_slots}
        )
        SELECT p, i, {slots}[n] AS place, n, '{DRAWN}' AS source, least(1, round({n_slots} / n_pool, 9)) AS propensity, []::VARCHAR[] AS ids FROM drawn
    """
    return lambda query: inserted(query, placed)


def top(length: int) -> Policy:
    """The first `length` of each list. Adds the column rank: 1, 2, … without gaps."""
    return lambda query: f"SELECT *, row_number() OVER (PARTITION BY p ORDER BY place, i) AS rank FROM ({query}) QUALIFY rank <= {length}"
