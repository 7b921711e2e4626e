"""A year of reading on an internal platform (73,000 interactions), from the landed files to the export, without Airflow."""

from pathlib import Path

from benchmarks.nights import measure_source
from benchmarks.record import Record


def run(folder: Path) -> Record:
    """Measure the night of the last complete day."""
    return measure_source("night_deskdrop", "deskdrop", "2017-02-27", folder)
