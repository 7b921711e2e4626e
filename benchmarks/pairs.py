"""Pairs of persons and items with planted tastes: what `als_iteration`, `topn` and `recommend_growth` learn from.

Of a person's items seven in ten are of the person's own taste, one of 64 that share the catalogue; within a taste, and over all, few items are taken often.
"""

import os
from pathlib import Path

USERS, ITEMS, PAIRS = 200_000, 20_000, 5_000_000
RANK = 64
TASTES = 64
DRAWS = 1.12  # for one pair: some are drawn twice
_HEAD = 2.5  # how much more often the first items are drawn than the last ones


def sizes(users: int = USERS) -> dict[str, int]:
    """Users, items and pairs; BENCH_USERS scales users and pairs together."""
    users = int(os.environ.get("BENCH_USERS", users))
    return {"users": users, "items": ITEMS, "pairs": PAIRS * users // USERS}


def write(folder: Path, *, users: int, items: int, pairs: int) -> None:
    """Parquet files in `folder`: train (person_id, item_id, weight, age_days, is_bought) and test (one held-out pair per person)."""
    import duckdb

    folder.mkdir(parents=True, exist_ok=True)
    unit = "(hash(n, {seed}) >> 12) / (1::UBIGINT << 52)"
    own = f"floor(pow({unit.format(seed=2)}, {_HEAD}) * {items // TASTES})::BIGINT * {TASTES} + hash(u, 5) % {TASTES}"
    common = f"floor(pow({unit.format(seed=3)}, {_HEAD}) * {items})::BIGINT"
    with duckdb.connect() as connection:
        connection.execute("SET memory_limit = '4GB'")
        connection.execute(f"""
            CREATE TABLE pair AS
            SELECT u, if(hash(n, 4) % 10 < 7, {own}, {common}) AS i, count(*)::DOUBLE AS weight, min(hash(n, 6) % 9000) / 100.0 AS age_days
            FROM (SELECT n, n % {users} AS u FROM range({int(pairs * DRAWS)}) AS t (n)) GROUP BY ALL
        """)
        connection.execute(
            "CREATE TABLE held_out AS SELECT u, i FROM pair QUALIFY row_number() OVER (PARTITION BY u ORDER BY hash(i, u, 7), i) = 1 AND count(*) OVER (PARTITION BY u) > 1"
        )
        named = "format('u{:07}', u) AS person_id, format('i{:06}', i) AS item_id"
        connection.execute(
            f"COPY (SELECT {named}, weight, age_days, false AS is_bought FROM pair ANTI JOIN held_out USING (u, i) ORDER BY ALL) TO '{folder / 'train.parquet'}'"
        )
        connection.execute(f"COPY (SELECT {named} FROM held_out ORDER BY ALL) TO '{folder / 'test.parquet'}'")
