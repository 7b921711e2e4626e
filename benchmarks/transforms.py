"""What the benchmarks of the transform stage share: 60 days of visits, a night from nothing, the night after it, and the marts by DuckDB alone."""

import json
import os
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from benchmarks import visits
from benchmarks.measure import Measurement, measure
from benchmarks.transform_night import settings_of

ROWS = 30_000_000


def rows_wanted() -> int:
    """The events of the lake: 30 million, or BENCH_ROWS."""
    return int(os.environ.get("BENCH_ROWS", ROWS))


def prepare(folder: Path) -> Path:
    """A home below `folder` whose lake has all days but the last."""
    visits.write_source(folder)
    home = folder / "home"
    visits.land_all_but_the_last_day(settings_of(home), rows=rows_wanted())
    return home


def night(home: Path, run_date: date) -> tuple[Measurement, dict[str, Any]]:
    """Persons and warehouse of one night in a process of their own; what took how long."""
    target = home.parent / f"{run_date}.json"
    command = f"{sys.executable} -m benchmarks.transform_night {home} {run_date} > {target}"
    measurement = measure(["sh", "-c", command])
    return measurement, json.loads(target.read_text(encoding="utf-8"))


def plain_sql(home: Path, run_date: date) -> Measurement:
    """The same marts by DuckDB alone, from the SQL that the night's full build left."""
    return measure([sys.executable, "-m", "benchmarks.plain_sql", str(home), str(run_date)])


def full(home: Path) -> tuple[Measurement, dict[str, Any]]:
    """The night before the last day, from nothing."""
    return night(home, visits.LAST_DAY - timedelta(days=1))


def last(home: Path) -> tuple[Measurement, dict[str, Any]]:
    """The last day has landed with its late events; its night, built on the one before."""
    visits.land_the_last_day(settings_of(home), rows=rows_wanted())
    return night(home, visits.LAST_DAY)
