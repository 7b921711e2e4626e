"""A night that has recommended, of invented people: what `publish_*`, `swap` and `delta_export` publish and export.

Everybody has a list of 20, two ids and three segments: 25 rows a person in the serving tables, beside ten neighbours of 10,000 items.
"""

import os
from datetime import date, timedelta
from pathlib import Path

from dawnlist.duck import connect
from dawnlist.lake import Lake
from dawnlist.settings import DuckDB, Settings
from dawnlist.stages.base import Night

FIRST_DATE = date(2026, 1, 1)
RUN_ID = "bench"
LENGTH = 20
ITEMS = 10_000
ROWS_OF_A_PERSON = 25
THREADS = 2
_TABLES = {
    "persons": "SELECT md5(format('{}-{}', n, a)) AS alias_id, md5(format('{}-0', n)) AS person_id FROM range({n_persons}) AS t (n), range(2) AS s (a) ORDER BY ALL",
    "dim_items": "SELECT format('i{:05}', i) AS item_id, 'Item ' || i AS title, true AS is_available, false AS is_blocked FROM range({items}) AS t (i) ORDER BY ALL",
    "dim_user_segments": """
        SELECT md5(format('{}-0', n)) AS person_id, kind, (hash(n, 1) % 8)::VARCHAR AS segment, 'group ' || hash(n, 1) % 8 AS segment_label, true AS is_current
        FROM range({n_persons}) AS t (n), (VALUES ('cluster'), ('rfm'), ('tag')) AS k (kind) ORDER BY ALL
    """,
    "recommendations": """
        SELECT md5(format('{}-0', n)) AS person_id, rank::INTEGER AS rank, format('i{:05}', (h + 37 * rank) % {items}) AS item_id,
            round(1 / (rank + h % 1_000 / 1_000), 6) AS score, ['als', 'item_to_item', 'popular_7d'][1 + (h + rank) % 3] AS source,
            ['liked by people with a similar taste', 'similar to items you viewed', 'popular this week'][1 + (h + rank) % 3] AS reason,
            NULL::VARCHAR AS variant, NULL::DOUBLE AS propensity, 'model-1' AS model_version
        FROM (SELECT n, (hash(n, if(n % 100 < {changed_percent}, {number}, 0)) >> 32)::BIGINT AS h FROM range({n_persons}) AS t (n)), range(1, {length} + 1) AS r (rank)
        ORDER BY person_id, rank
    """,
    "similar_items": """
        SELECT format('i{:05}', i) AS item_id, rank::INTEGER AS rank, format('i{:05}', (i + 41 * rank) % {items}) AS similar_item_id,
            round(1 / rank, 6) AS score, 'item_to_item' AS source
        FROM range({items}) AS t (i), range(1, 11) AS r (rank) ORDER BY item_id, rank
    """,
    "popular_items": """
        SELECT 'global' AS scope, '' AS scope_value, rank::INTEGER AS rank, format('i{:05}', rank) AS item_id, round(1 / rank, 6) AS score, 'popular_7d' AS source
        FROM range(1, {length} + 1) AS r (rank) ORDER BY rank
    """,
}


def persons(rows: int) -> int:
    """How many persons give about so many rows in the serving tables; BENCH_ROWS instead of `rows` where it is set."""
    return int(os.environ.get("BENCH_ROWS", rows)) // ROWS_OF_A_PERSON


def settings_in(home: Path, **sections: object) -> Settings:
    """The settings of a benchmark's home."""
    return Settings.model_validate({"home": home, "duckdb": DuckDB(threads=THREADS), **sections})


def date_of(number: int) -> date:
    """The run date of the night `number`, which counts from 0."""
    return FIRST_DATE + timedelta(days=number)


def write(settings: Settings, *, n_persons: int, number: int = 0, changed_percent: int = 0) -> Night:
    """Open the night `number` and write its tables. Every hundred persons, `changed_percent` have a list that no other night has."""
    if not Lake(settings.lake_dir).snapshot().version:
        Lake(settings.lake_dir).commit({}, run_id=RUN_ID)
    night = Night.open(settings, date_of(number), run_id=RUN_ID)
    sizes = {"n_persons": n_persons, "items": ITEMS, "length": LENGTH, "number": number, "changed_percent": changed_percent}
    with connect(settings) as connection:
        files = {table: night.tables.write(connection, table, _filled(query, sizes)) for table, query in _TABLES.items()}
    night.tables.commit({table: [file] if file else [] for table, file in files.items()}, run_id=RUN_ID)
    return night


def _filled(query: str, sizes: dict[str, int]) -> str:
    for name, value in sizes.items():  # the braces of DuckDB's own format stay
        query = query.replace(f"{{{name}}}", str(value))
    return query
