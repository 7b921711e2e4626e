"""Globo's nine days of news clicks (1.8M), from the landed files to the export, without Airflow."""

from pathlib import Path

from benchmarks.nights import measure_source
from benchmarks.record import Record


def run(folder: Path) -> Record:
    """Measure the night of the last complete day."""
    return measure_source("night_globo", "globo_news", "2017-10-09", folder)
