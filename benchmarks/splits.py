"""Prepared splits of public data sets for `dawnlist evaluate`: python -m benchmarks.splits DATA OUT writes OUT/<split>/{train,test}.parquet.

DATA holds the folders online_retail, globo_news and deskdrop, as their publishers lay them out. Columns: user_id, item_id, weight, and occurred_at
(UTC) where the split is one in time.

    online_retail_repeats   train before 2011-11-11, test the next 28 days; rows with a customer, quantity > 0, not cancelled; one event
                            per invoice and item; customers who occur in train
    online_retail_new       the same, test without what the customer had bought before
    globo_next_day          train = clicks before 2017-10-09 00:00 UTC, test = items of the next 24 hours that the reader had not clicked;
                            readers who occur in train
    deskdrop_last_month     train = all but the last 28 days, test = items of these that the person had not come to; VIEW 1, LIKE 2,
                            BOOKMARK 2.5, FOLLOW 3, COMMENT 4; persons who occur in train
    online_retail_random    every customer's distinct items, 80% in train and 20% in test, at random, without times
    deskdrop_random         the same of Deskdrop

Items that never occur in train stay in the test.
"""

import sys
from pathlib import Path

import duckdb

SEED = 1
ONLINE_RETAIL = """
    SELECT CustomerID::BIGINT AS user_id, upper(trim(StockCode)) AS item_id, 1.0 AS weight, min(InvoiceDate) AS occurred_at
    FROM read_csv('{data}/online_retail/*.csv.gz', all_varchar = false, types = {{'StockCode': 'VARCHAR', 'InvoiceNo': 'VARCHAR', 'CustomerID': 'DOUBLE'}})
    WHERE CustomerID IS NOT NULL AND Quantity > 0 AND NOT starts_with(InvoiceNo, 'C') GROUP BY CustomerID, InvoiceNo, upper(trim(StockCode))
"""
GLOBO = """
    SELECT user_id, click_article_id AS item_id, 1.0 AS weight, make_timestamp(click_timestamp * 1000) AS occurred_at
    FROM read_csv('{data}/globo_news/*.csv.gz')
"""
DESKDROP = """
    SELECT personId AS user_id, contentId AS item_id, make_timestamp("timestamp" * 1000000) AS occurred_at,
        CASE eventType WHEN 'VIEW' THEN 1.0 WHEN 'LIKE' THEN 2.0 WHEN 'BOOKMARK' THEN 2.5 WHEN 'FOLLOW' THEN 3.0 ELSE 4.0 END AS weight
    FROM read_csv('{data}/deskdrop/users_interactions.csv.gz')
"""


def _write(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for table in ("train", "test"):
        connection.execute(f"COPY (FROM {table} ORDER BY ALL) TO '{folder / table}.parquet'")
    counts = connection.execute("SELECT (SELECT count(*) FROM train), (SELECT count(*) FROM test), (SELECT count(DISTINCT user_id) FROM test)").fetchone()
    print("{}: {:,} rows in train, {:,} in test, {:,} users in test".format(folder, *(counts or ())))


def in_time(connection: duckdb.DuckDBPyConnection, *, cut: str, days: int, repeats: bool) -> None:
    """Tables train (the rows of `events` before `cut`) and test (those of the next `days`, of users who occur in train)."""
    connection.execute(f"CREATE OR REPLACE TABLE train AS FROM events WHERE occurred_at < {cut}")
    connection.execute(f"""
        CREATE OR REPLACE TABLE test AS FROM events SEMI JOIN train USING (user_id)
        WHERE occurred_at >= {cut} AND occurred_at < {cut} + INTERVAL {days} DAY
    """)
    if not repeats:
        connection.execute("CREATE OR REPLACE TABLE test AS FROM test ANTI JOIN train USING (user_id, item_id)")


def at_random(connection: duckdb.DuckDBPyConnection) -> None:
    """Tables train and test: of each user's distinct items, every fifth in the order of a hash is test; users with one or two items stay in train."""
    connection.execute(f"""
        CREATE OR REPLACE TABLE pairs AS SELECT *,
            row_number() OVER (PARTITION BY user_id ORDER BY md5(concat_ws('|', {SEED}, user_id, item_id))) AS place, count(*) OVER (PARTITION BY user_id) AS n_items
        FROM (SELECT user_id, item_id, sum(weight) AS weight FROM events GROUP BY user_id, item_id)
    """)
    for table, condition in (("train", "place > round(n_items / 5)"), ("test", "place <= round(n_items / 5)")):
        connection.execute(f"CREATE OR REPLACE TABLE {table} AS SELECT user_id, item_id, weight FROM pairs WHERE {condition}")


def prepare(data: Path, out: Path) -> None:
    """Write every split."""
    connection = duckdb.connect()

    def read(events: str) -> None:
        connection.execute(f"CREATE OR REPLACE TABLE events AS {events.format(data=data)}")

    read(ONLINE_RETAIL)
    for name, repeats in (("online_retail_repeats", True), ("online_retail_new", False)):
        in_time(connection, cut="TIMESTAMP '2011-11-11'", days=28, repeats=repeats)
        _write(connection, out / name)
    at_random(connection)
    _write(connection, out / "online_retail_random")
    read(GLOBO)
    in_time(connection, cut="TIMESTAMP '2017-10-09'", days=1, repeats=False)
    _write(connection, out / "globo_next_day")
    read(DESKDROP)
    in_time(connection, cut="(SELECT max(occurred_at) - INTERVAL 28 DAY FROM events)", days=29, repeats=False)
    _write(connection, out / "deskdrop_last_month")
    at_random(connection)
    _write(connection, out / "deskdrop_random")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit("python -m benchmarks.splits DATA OUT")
    prepare(Path(sys.argv[1]), Path(sys.argv[2]))
