"""A lake of visits to an invented shop for the benchmarks of the transform stage: the same bytes for the same numbers, made by DuckDB.

60 days, on which people come in visits of one to nine events, five on average, 15 to 105 seconds apart; 500,000 people and 50,000 items for
30 million events. Seven visits of ten are by people who are logged in, the others by their device alone. Of three earlier days a thousandth
of the visits arrives with the last day.
"""

from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from dawnlist.duck import connect
from dawnlist.lake import DataFile, Lake
from dawnlist.settings import Settings

if TYPE_CHECKING:
    import duckdb

FIRST_DAY = date(2026, 1, 1)
DAYS = 60
LAST_DAY = FIRST_DAY + timedelta(days=DAYS - 1)
LATE_DAYS = tuple(LAST_DAY - timedelta(days=back) for back in (2, 5, 10))
NAME = "bench"
EVENTS_PER_VISIT = 5
EVENTS_PER_PERSON = 60
EVENTS_PER_ITEM = 600
_SOURCE = """
description: an invented shop
user_namespace: "bench:"
consent_default: granted
currency: EUR
horizon_days: 7
inputs:
  events:
    path: "*.csv"
    format: csv
    columns: {occurred_at: time}
    event_type: [{type: view}]
"""
# h1 … h3 are independent hashes of a visit's number, h4 of an event's.
_EVENTS = """
    WITH visits AS (
        SELECT v, (hash(v, 1) >> 1)::BIGINT AS h1, (hash(v, 2) >> 1)::BIGINT AS h2, (hash(v, 3) >> 1)::BIGINT AS h3 FROM range({start}, {stop}) AS t (v)
    ),
    numbered AS (
        SELECT v, v * 16 + k AS n, k, h1, h2, h3, (hash(v * 16 + k, 4) >> 1)::BIGINT AS h4,
            TIMESTAMP '{first}' + to_milliseconds((v * 86_400_000 // {per_day} + k * (15_000 + h1 % 90_000))::BIGINT) AS occurred_at
        FROM visits, range(0, (1 + h2 % 9)::BIGINT) AS r (k)
    )
    SELECT '{name}' AS source, md5(n::VARCHAR) AS event_id,
        ['view', 'view', 'view', 'view', 'view', 'view', 'click', 'click', 'add_to_cart', 'purchase'][1 + (h4 >> 16) % 10] AS event_type,
        occurred_at, occurred_at::DATE AS event_date,
        CASE WHEN h3 % 10 < 7 THEN md5('u' || (h2 >> 20) % {persons}) END AS user_id, md5('d' || (h2 >> 20) % {persons}) AS anonymous_id, 'k' AS key_id,
        'i' || floor({items} * pow((h4 >> 12) / (1::BIGINT << 51), 3))::INTEGER AS item_id,
        CASE WHEN event_type = 'purchase' THEN md5('o' || v::VARCHAR) END AS order_id,
        CASE WHEN event_type = 'purchase' THEN 1 + h4 % 3 END::DECIMAL(18, 3) AS quantity,
        CASE WHEN event_type IN ('purchase', 'add_to_cart') THEN (100 + (h4 >> 8) % 20_000) / 100 END::DECIMAL(18, 4) AS unit_price,
        CASE WHEN unit_price IS NOT NULL THEN 'EUR' END AS currency,
        CASE WHEN event_type = 'view' THEN (h4 >> 20) % 3_000 / 10 END AS dwell_seconds,
        ['mobile', 'mobile', 'desktop', 'tablet'][1 + h3 % 4] AS device, ['DE', 'FR', 'BR', 'US', 'IN'][1 + (h3 >> 8) % 5] AS country,
        CASE WHEN k = 0 THEN ['search', 'mail', 'direct', NULL][1 + (h3 >> 40) % 4] END AS referrer, false AS is_bot, NULL::VARCHAR AS properties
    FROM numbered WHERE occurred_at::DATE = DATE '{day}' AND {condition} ORDER BY occurred_at, event_id
"""
_ITEMS = """
    SELECT '{name}' AS source, 'i' || n AS item_id, TIMESTAMP '{first}' - INTERVAL 30 DAY AS updated_at, 'Item ' || n AS title, 'text ' || n AS text,
        'c' || n % 40 AS category, 'b' || n % 9 AS brand, (1 + n % 200)::DECIMAL(18, 4) AS price, 'EUR' AS currency, NULL::TIMESTAMP AS launched_at,
        true AS is_available, false AS is_blocked
    FROM range(0, {items}) AS t (n) ORDER BY item_id
"""


def write_source(folder: Path) -> Path:
    """Write the source's YAML below `folder`; returns the folder for the setting sources_dir."""
    target = folder / "sources" / f"{NAME}.yml"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(_SOURCE, encoding="utf-8")
    return target.parent


def land_all_but_the_last_day(settings: Settings, *, rows: int) -> None:
    """Commit the lake as it stands before the last day arrives."""
    lake = Lake(settings.lake_dir)
    with connect(settings) as connection:
        items = lake.write(connection, "items", _ITEMS.format(name=NAME, first=FIRST_DAY, items=_items(rows)))
        events = [_write_day(lake, connection, FIRST_DAY + timedelta(days=number), rows, with_late=False) for number in range(DAYS - 1)]
    lake.commit({"items": [items] if items else [], "events": [file for file in events if file]}, run_id="landed")


def land_the_last_day(settings: Settings, *, rows: int) -> None:
    """Commit the last day, and what is late of three days before it."""
    lake = Lake(settings.lake_dir)
    days = {file.partition: file for file in lake.snapshot().data_files("events")}
    with connect(settings) as connection:
        for day in (LAST_DAY, *LATE_DAYS):
            file = _write_day(lake, connection, day, rows, with_late=True)
            days |= {str(day): file} if file else {}
    lake.commit({"events": list(days.values())}, run_id="landed")


def _write_day(lake: Lake, connection: "duckdb.DuckDBPyConnection", day: date, rows: int, *, with_late: bool) -> DataFile | None:
    per_day, number = rows // DAYS // EVENTS_PER_VISIT, (day - FIRST_DAY).days
    is_partial = day in LATE_DAYS and not with_late
    query = _EVENTS.format(
        name=NAME,
        start=max(0, (number - 1) * per_day),  # a visit before midnight goes on after it
        stop=(number + 1) * per_day,
        first=FIRST_DAY,
        day=day,
        per_day=per_day,
        persons=max(1, rows // EVENTS_PER_PERSON),
        items=_items(rows),
        condition="v % 1_000 <> 7" if is_partial else "true",
    )
    return lake.write(connection, "events", query, partition=day)


def _items(rows: int) -> int:
    return max(50, rows // EVENTS_PER_ITEM)
