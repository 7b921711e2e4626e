"""Events of an invented shop for the benchmarks: the same bytes for the same numbers, made by DuckDB.

60 files, one a day, of about 100 bytes a record as CSV: 500,000 people, 50,000 items. One record in 200 is sent twice (most often in
its own file, else in the next day's), one in 1,000 is up to five days late, and a few can not be used: one line in 20,000 is broken,
one time in 20,000 is none, and one view in 20,000 names no item.
"""

from datetime import date, timedelta
from pathlib import Path
from typing import Literal

Format = Literal["csv", "jsonl"]

FIRST_DAY = date(2026, 1, 1)
DAYS = 60
LAST_DAY = FIRST_DAY + timedelta(days=DAYS - 1)
NAME = "bench"
COLUMNS = {
    "event_id": "VARCHAR",
    "occurred_at": "TIMESTAMP",
    "event_type": "VARCHAR",
    "user_id": "VARCHAR",
    "session_id": "VARCHAR",
    "item_id": "VARCHAR",
    "quantity": "INTEGER",
    "unit_price": "DECIMAL(18,4)",
    "dwell_seconds": "DOUBLE",
    "device": "VARCHAR",
    "country": "VARCHAR",
    "referrer": "VARCHAR",
}
_SOURCE = """
description: an invented shop
user_namespace: "bench:"
consent_default: granted
currency: EUR
inputs:
  events:
    path: "*.{format}"
    format: {format}
    file_time: "%Y-%m-%d"
    period: day
    columns: {{{columns}}}
    event_type:
      - {{type: view, when: {{column: event_type, equals: view}}}}
      - {{type: click, when: {{column: event_type, equals: click}}}}
      - {{type: add_to_cart, when: {{column: event_type, equals: cart}}}}
      - {{type: purchase, when: {{column: event_type, equals: buy}}}}
"""
# One row per record that is sent; h1 … h4 are independent hashes of its number.
_EVENTS = """
    SELECT printf('%016x', hash(n, {seed})) AS event_id,
        strftime(TIMESTAMP '{first}' + to_milliseconds((n * 86_400_000 // {per_day} - CASE WHEN h1 % 1_000 = 7 THEN h2 % 432_000_000 ELSE 0 END)::BIGINT),
            '%Y-%m-%dT%H:%M:%S.%gZ') AS moment,
        CASE WHEN h1 % 20_000 = 17 THEN 'yesterday' ELSE moment END AS occurred_at,
        ['view', 'view', 'view', 'view', 'view', 'view', 'click', 'click', 'cart', 'buy'][1 + (h1 >> 16) % 10] AS event_type,
        'u' || (h2 >> 20) % 500_000 AS user_id,
        's' || ((h2 >> 20) % 500_000 * 31 + n * 20 // {rows}) AS session_id,
        CASE WHEN h1 % 20_000 <> 18 THEN 'i' || floor(50_000 * pow((h3 >> 12) / (1::BIGINT << 51), 3))::INTEGER END AS item_id,
        CASE WHEN event_type = 'buy' THEN 1 + h4 % 3 END AS quantity,
        CASE WHEN event_type IN ('cart', 'buy') THEN round(1 + (h4 >> 8) % 20_000 / 100, 2) END AS unit_price,
        CASE WHEN event_type = 'view' THEN (h4 >> 20) % 3_000 / 10 END AS dwell_seconds,
        ['mobile', 'mobile', 'desktop', 'tablet'][1 + h3 % 4] AS device,
        ['DE', 'FR', 'BR', 'US', 'IN'][1 + (h3 >> 8) % 5] AS country,
        ['search', 'mail', 'direct', NULL][1 + (h4 >> 40) % 4] AS referrer,
        h1 % 20_000 = 19 AS is_broken
    FROM (SELECT n, (hash(n, 1) >> 1)::BIGINT AS h1, (hash(n, 2) >> 1)::BIGINT AS h2, (hash(n, 3) >> 1)::BIGINT AS h3, (hash(n, 4) >> 1)::BIGINT AS h4 FROM ({numbers}) AS numbers (n))
"""


def write_source(folder: Path, file_format: Format) -> Path:
    """Write the source's YAML below `folder`; returns the folder for DAWNLIST_SOURCES_DIR."""
    columns = ", ".join(f"{name}: {name}" for name in COLUMNS if name != "event_type")
    target = folder / "sources" / f"{NAME}.yml"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(_SOURCE.format(format=file_format, columns=columns), encoding="utf-8")
    return target.parent


def write_landing(folder: Path, file_format: Format, *, rows: int) -> Path:
    """Land about `rows` records in 60 files of one day each in `folder`/landing."""
    landing = folder / "landing"
    landing.mkdir(parents=True)
    per_day = rows // DAYS
    for number in range(DAYS):
        start = number * per_day
        # Sent twice: an earlier record of this day, or of the day before.
        again = (
            f"SELECT greatest(0, n - 1 - (hash(n, 6) % {per_day // 4 or 1})::BIGINT) FROM range({start}, {start + per_day}) AS t (n) WHERE hash(n, 5) % 200 = 3"
        )
        numbers = f"SELECT n FROM range({start}, {start + per_day}) AS t (n) UNION ALL {again}"
        day = FIRST_DAY + timedelta(days=number)
        _write(landing / f"events-{day}.{file_format}", file_format, _events(numbers, rows=rows, per_day=per_day))
    return landing


def write_late_file(folder: Path, file_format: Format, *, rows: int, late: int) -> Path:
    """Land one more file: `late` records of the last day's shop that belong to three of the 60 days."""
    per_day = rows // DAYS
    days = [DAYS - 12, DAYS - 9, DAYS - 6]
    parts = [f"SELECT n FROM range({day * per_day}, {day * per_day + late // len(days)}) AS t (n)" for day in days]
    query = f"SELECT * FROM ({_events(' UNION ALL '.join(parts), rows=rows, per_day=per_day, seed=1)}) WHERE occurred_at = moment AND NOT is_broken AND item_id IS NOT NULL"
    query = query.replace("h1 % 1_000 = 7", "false")  # no later than said
    target = folder / "landing" / f"late-{LAST_DAY}.{file_format}"
    _write(target, file_format, query)
    return target


def _events(numbers: str, *, rows: int, per_day: int, seed: int = 0) -> str:
    return _EVENTS.format(numbers=numbers, rows=rows, per_day=per_day, first=FIRST_DAY, seed=seed)


def _write(target: Path, file_format: Format, events: str) -> None:
    """Write lines of text: a writer of either format would not let a broken line through."""
    import duckdb

    if file_format == "csv":
        line, header = "concat_ws(',', " + ", ".join(f"coalesce({name}::VARCHAR, '')" for name in COLUMNS) + ")", "true"
    else:
        line, header = "json_object(" + ", ".join(f"'{name}', {name}" for name in COLUMNS) + ")::VARCHAR", "false"
    title = '"' + ",".join(COLUMNS) + '"'
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT CASE WHEN is_broken THEN left(line, 40) ELSE line END AS {title} FROM (SELECT is_broken, {line} AS line FROM ({events}))) "
            f"TO '{target}' (FORMAT csv, HEADER {header}, DELIMITER '\x01', QUOTE '', ESCAPE '')"
        )
