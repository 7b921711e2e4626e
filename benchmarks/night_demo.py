"""The demo: three weeks of a simulated store, loaded, run through a night in Airflow, and exported."""

from pathlib import Path

from benchmarks.nights import DAWNLIST, measure_night
from benchmarks.record import Record


def run(folder: Path) -> Record:
    """Measure `dawnlist demo` in a home below `folder`."""
    home = folder / "home"
    return measure_night(
        "night_demo",
        [DAWNLIST, "demo"],
        home,
        landing=home / "landing" / "store",
        pattern="events/**/*.jsonl.gz",
        file_format="json",
    )
