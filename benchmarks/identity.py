"""Who is who among 30 million events of 60 days: the first night and the next one, beside the plain way and beside the simulator's truth."""

import os
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from benchmarks.measure import Measurement, measure
from benchmarks.nights import DAWNLIST
from benchmarks.record import Record

ROWS = 30_000_000
DAYS = 60
FIRST_DAY = date(2026, 1, 1)
LAST_DAY = FIRST_DAY + timedelta(days=DAYS - 1)
USERS, ITEMS, STORE_DAYS = 2_000, 200, 21  # of the simulated store
PYTHON = str(Path(DAWNLIST).with_name("python"))

# One of 600,000 people for every run of six events; two in three have an account and are logged in in six events of ten; a third have a second
# device; a fifth lose their cookie after each 20 days; one event in a thousand is on a device of twenty people.
_EVENTS = """
SELECT 'bench' AS source, TIMESTAMP '{day}' + to_milliseconds((n - {first}) * 86_400_000 // {n_rows}) AS occurred_at, DATE '{day}' AS event_date,
    CASE WHEN person % 10 < 6 AND hash(n, 9) % 100 < 60 THEN md5('u' || person) END AS user_id,
    CASE WHEN hash(n, 7) % 1_000 = 0 THEN md5('shared' || person // 20) ELSE
        md5('a' || person || CASE WHEN person % 100 < 35 AND hash(n, 3) % 100 < 30 THEN 'x' ELSE '-' END || CASE WHEN person % 5 = 0 THEN {number} // 20 ELSE 0 END)
    END AS anonymous_id, false AS is_bot
FROM (SELECT n, floor(600_000 * pow((hash(n // 6, 2) >> 12) / (1::UBIGINT << 52), 1.5))::BIGINT AS person FROM range({first}, {first} + {n_rows}) AS t (n))
ORDER BY occurred_at, user_id, anonymous_id
"""

# What one would write by hand: all pairs of all events, and scipy's components of them.
_PLAIN = """
import duckdb, numpy, sys
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
connection = duckdb.connect()
connection.execute("CREATE TABLE pairs AS SELECT user_id, anonymous_id, min(occurred_at) AS seen_at FROM read_parquet($1) GROUP BY ALL", [sys.argv[1]])
connection.execute("CREATE TABLE ids AS SELECT row_number() OVER (ORDER BY id) - 1 AS node, id FROM (SELECT user_id AS id FROM pairs UNION SELECT anonymous_id FROM pairs) WHERE id IS NOT NULL")
edges = connection.execute("SELECT a.node AS a, b.node AS b FROM pairs JOIN ids AS a ON user_id = a.id JOIN ids AS b ON anonymous_id = b.id").fetchnumpy()
n = connection.execute("SELECT count(*) FROM ids").fetchall()[0][0]
_, labels = connected_components(coo_array((numpy.ones(len(edges["a"]), bool), (edges["a"], edges["b"])), shape=(n, n)), directed=False)
connection.register("labels", {"node": numpy.arange(n), "label": labels})
connection.execute("CREATE TABLE persons AS SELECT id AS alias_id, min(id) OVER (PARTITION BY label) AS person_id FROM ids JOIN labels USING (node)")
connection.execute("COPY (FROM persons ORDER BY alias_id) TO '" + sys.argv[2] + "' (FORMAT parquet, COMPRESSION zstd)")
"""

_NIGHT = """
import sys
from datetime import date
from pathlib import Path
from dawnlist import identity
from dawnlist.duck import connect
from dawnlist.lake import Lake
from dawnlist.settings import load
settings, night = load(home=Path(sys.argv[1])), date.fromisoformat(sys.argv[2])
lake = Lake(settings.lake_dir)
with connect(settings) as connection:
    identity.resolve(connection, lake.snapshot(), night, Lake(settings.night_dir(night))).keep(lake, nights=14, run_id="bench")
"""


def run(folder: Path) -> Record:
    """Resolve the last night but one from nothing, then the last one. The peer resolves the last one from all events, without guards, keys or history."""
    rows = int(os.environ.get("BENCH_ROWS", ROWS))
    home = folder / "home"
    _land(home, rows)
    first, following = (_resolve(home, night) for night in (LAST_DAY - timedelta(days=1), LAST_DAY))
    plain = measure([PYTHON, "-c", _PLAIN, str(home / "lake" / "events" / "*" / "*.parquet"), str(folder / "plain.parquet")])
    return Record(
        name="identity",
        compared="the persons of a night after another one, against all pairs of all events and scipy's components",
        our_seconds=round(following.seconds, 2),
        peer_seconds=round(plain.seconds, 2),
        peak_mib=max(first.peak_mib, following.peak_mib),
        peer_peak_mib=plain.peak_mib,
        sizes={"rows": rows, **_sizes(home)},
        stages={name: {"seconds": round(one.seconds, 2), "runs": 1, "peak_mib": one.peak_mib} for name, one in (("first", first), ("following", following))},
        details={"truth": _truth(folder / "store")},
    )


def _land(home: Path, rows: int) -> None:
    """The events of every day as the lake has them."""
    import duckdb

    from dawnlist.lake import Lake

    lake, n_rows = Lake(home / "lake"), rows // DAYS
    with duckdb.connect() as connection:
        connection.execute("SET memory_limit = '4GB'")
        files = []
        for number in range(DAYS):
            day = FIRST_DAY + timedelta(days=number)
            files.append(lake.write(connection, "events", _EVENTS.format(day=day, number=number, first=number * n_rows, n_rows=n_rows), partition=day))
    lake.commit({"events": [file for file in files if file]}, run_id="bench")


def _resolve(home: Path, night: date) -> Measurement:
    return measure([PYTHON, "-c", _NIGHT, str(home), str(night)])


def _sizes(home: Path) -> dict[str, int]:
    from dawnlist.lake import Lake

    lake = Lake(home / "lake").snapshot()
    newest = [file for file in lake.data_files("persons") if file.partition == str(LAST_DAY)]
    return {
        "ids": newest[0].rows,
        "edges": lake.rows("identity_edges"),
        "event_bytes": sum(file.bytes for file in lake.data_files("events")),
        "edge_bytes": sum(file.bytes for file in lake.data_files("identity_edges")),
        "person_bytes": newest[0].bytes,
    }


def _truth(folder: Path) -> dict[str, Any]:
    """Load a small simulated store, resolve its last night and compare."""
    import duckdb

    from dawnlist import identity, privacy, simulate
    from dawnlist.lake import Lake
    from dawnlist.settings import load
    from dawnlist.simulate.judge import judge
    from dawnlist.stages import execute
    from dawnlist.stages.base import Interval

    settings = load(home=folder)
    simulate.run(users=USERS, items=ITEMS, days=STORE_DAYS, seed=7, out=settings.landing_dir("store"))
    for stage in ("ingest", "validate"):
        execute(settings, stage, Interval.until(simulate.DEFAULT_END_DATE), run_id="bench")
    lake, night = Lake(settings.lake_dir), Lake(folder / "night")
    with duckdb.connect() as connection:
        persons = identity.resolve(connection, lake.snapshot(), simulate.DEFAULT_END_DATE, night).persons
        files = [night.root / persons.path] if persons else []
        found = judge(connection, settings.landing_dir("store") / "truth", files, lake.snapshot().files("identity_edges"), key=privacy.load_key(settings))
    shares = {"precision": found.precision, "recall": found.recall, "recall_of_findable": found.recall_of_findable}
    return {"n_found_pairs": found.n_found, "n_true_pairs": found.n_true} | {name: round(share, 4) for name, share in shares.items()}
