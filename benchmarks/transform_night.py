"""`python -m benchmarks.transform_night HOME RUN_DATE`: the persons of a night, then its warehouse: dbt, data tests and Parquet. Prints seconds as JSON."""

import json
import os
import sys
import time
from datetime import date
from pathlib import Path

from benchmarks import visits
from dawnlist import identity, settings, sources, warehouse
from dawnlist.duck import connect
from dawnlist.settings import DuckDB, Settings, Site
from dawnlist.stages.base import Night

THREADS = 2


def settings_of(home: Path) -> Settings:
    """The settings of the benchmark's home, whose source lies beside it. BENCH_MEMORY: DuckDB's memory, 6 GB by default."""
    duckdb = DuckDB(threads=THREADS, memory_limit=os.environ.get("BENCH_MEMORY", "6GB"))
    return settings.load(home=home, sources_dir=home.parent / "sources", site=Site(sources=(visits.NAME,)), duckdb=duckdb)


def main(home: Path, run_date: date) -> None:
    """Open the night and build it as the transform stage does where the night does not train, without the gate over the marts."""
    site = settings_of(home)
    night = Night.open(site, run_date, run_id="bench")
    started = time.monotonic()
    with connect(site) as connection:
        who = identity.resolve(connection, night.lake, run_date, night.tables, site.identity, run_id="bench")
    resolved = time.monotonic()
    made = warehouse.make(site, warehouse.plan(night.lake, who.persons, night.tables, run_date, sources.of_site(site), trains=False), night.tables)
    finished = time.monotonic()
    rows = {mart: sum(file.rows for file in files) for mart, files in made.files.items()}
    print(json.dumps({"identity": resolved - started, "warehouse": finished - resolved, "how": made.how, "rows": rows}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), date.fromisoformat(sys.argv[2]))
