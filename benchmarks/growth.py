"""The lists of so many invented persons in a process of its own: python -m benchmarks.growth N_PERSONS FOLDER.

The tables of the frame are made first, which does not count; then frame, scores, policies and lists are what the recommend stage does, bucket by bucket, to
the files of recommendations. The seconds go to FOLDER/N_PERSONS.json. FOLDER has the ranker as ranker.txt.
"""

import sys
import time
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import listed
from dawnlist.duck import connect
from dawnlist.files import write_json
from dawnlist.lake import Lake
from dawnlist.stages import scoring
from models import frame, lists, merchandising, popular, ranker
from models.inputs import Cut, Inputs

if TYPE_CHECKING:
    import duckdb

ITEMS = 20_000
PER_SOURCE = 20
KEEP = 40
LENGTH = 20
CUT = Cut(date(2026, 1, 1), 7, exclude_seen=False, exclude_bought=True, is_serving=True)


class Tables(Inputs):
    """Tables of the connection in the place of files."""

    def relation(self, table: str) -> str:
        """The table itself."""
        return table


def create_frame(connection: "duckdb.DuckDBPyConnection", n_persons: int) -> None:
    """The tables of models.frame: each source has PER_SOURCE items of everybody, of a range of items of their own that overlaps with the next source's."""
    known = ", ".join(f"(hash(p, {number}) % 1000)::DOUBLE / 10 AS {name}" for number, name in enumerate(frame.PERSON_COLUMNS))
    connection.execute(f"""
        CREATE TEMP TABLE item AS
        SELECT i::INTEGER AS i, format('i{{:05}}', i) AS item_id, 'c' || i % 40 AS category, 'b' || i % 9 AS brand, (1 + i % 200)::DOUBLE AS price,
            i % 90 AS age_days, i % 50 <> 0 AS is_listable FROM range({ITEMS}) AS t (i);
        CREATE TEMP TABLE person AS
        SELECT p::INTEGER AS p, format('{{:032}}', p) AS person_id, ['DE', 'FR', 'US'][1 + p % 3] AS country, ['mobile', 'desktop'][1 + p % 2] AS device,
            (p % 6)::INTEGER AS c, 'c' || p % 40 AS top_category, 'group ' || p % 8 AS segment, {known} FROM range({n_persons}) AS t (p);
        CREATE TEMP TABLE history AS
        SELECT p, ((hash(p, 99) + 211 * k) % {ITEMS})::INTEGER AS i, 1 + k AS n_events, (k = 0)::INTEGER AS n_purchases, 3 * k AS days_since,
            1.0::DOUBLE / (1 + k) AS weight, (k = 0)::DOUBLE AS n_bought FROM person, range(10) AS r (k) ORDER BY p, i;
        CREATE TEMP TABLE excluded AS SELECT p, i FROM history WHERE n_purchases > 0;
        CREATE TEMP TABLE budget AS SELECT p, round(avg(price::DECIMAL(18, 4)), 4)::DOUBLE AS mean_price FROM history JOIN item USING (i) GROUP BY p ORDER BY p;
        CREATE TEMP TABLE taste AS SELECT p, category, count(*) AS n_events, count(*) / 10 AS share FROM history JOIN item USING (i) GROUP BY p, category ORDER BY p, category;
        CREATE TEMP TABLE feat_popular_items AS
        SELECT {CUT.date} AS feature_date, w.name AS time_window, scope, scope_value, k + 1 AS rank, format('i{{:05}}', (37 * k + hash(w.name, scope_value) % 500) % {ITEMS}) AS item_id, 1.0 AS score
        FROM (SELECT unnest({[name for name in popular.TIME_WINDOWS if name != popular.FORECAST]}) AS name) AS w, range(100) AS r (k),
            (VALUES ('global', ''), ('country', 'DE'), ('country', 'FR'), ('country', 'US'), ('device', 'mobile'), ('device', 'desktop')) AS s (scope, scope_value);
        CREATE TEMP TABLE forecast_items AS
        SELECT {CUT.date} AS feature_date, k + 1 AS rank, format('i{{:05}}', 53 * k % {ITEMS}) AS item_id, 1.0 AS score FROM range(100) AS r (k);
    """)
    for number, source in enumerate(frame.PERSONAL):
        connection.execute(f"""
            CREATE TEMP TABLE {source} AS
            SELECT p, ((hash(p, 99) + {number * 5 * 211} + 211 * k) % {ITEMS})::INTEGER AS i, round(1 / (k + 1), 6) AS score, k + 1 AS rank
            FROM person, range({PER_SOURCE}) AS r (k) ORDER BY p, i
        """)
    popular.create_popular(connection, Tables({}), CUT, per_window=PER_SOURCE)


def create_audience(connection: "duckdb.DuckDBPyConnection") -> None:
    """The tables of models.lists: who gets a list, and what fills it up."""
    connection.execute("""
        CREATE TEMP TABLE recipient AS SELECT p, country, device, segment, [segment] AS segments FROM person;
        CREATE TEMP TABLE scope_list AS
        SELECT scope, scope_value, rank AS place, i, round(1 / rank, 6) AS score, 'popular_7d' AS source FROM feat_popular_items JOIN item USING (item_id)
        WHERE time_window = '7d';
    """)
    lists.create_fallback(connection, season_every=0)
    merchandising.create_rules(connection, ())


def main(n_persons: int, folder: Path) -> None:
    """Write the lists of all, and the seconds."""
    settings = listed.settings_in(folder / f"home-{n_persons}")
    booster = ranker.from_text((folder / "ranker.txt").read_text(encoding="utf-8"))
    order = lists.Order(booster, None, frame.EQUAL_WEIGHTS, KEEP)
    lake = Lake(settings.lake_dir)
    with connect(settings) as connection:
        create_frame(connection, n_persons)
        create_audience(connection)
        started = time.perf_counter()
        for first, last in scoring.scored(connection, settings, order, n_persons=n_persons):
            lists.create_lists(connection, merchandising.eligible(()), first=first, last=last, length=LENGTH)
            file = lake.write(connection, "recommendations", lists.recommendations(whose="person", model_version="bench", made_on="DATE '2026-11-20'"))
            assert file is not None
            assert file.rows == LENGTH * (last - first)
        seconds = time.perf_counter() - started
    write_json(folder / f"{n_persons}.json", {"seconds": seconds})


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
