"""A year of a wholesaler's invoices (542,000 lines), from the landed files to the export, without Airflow."""

from pathlib import Path

from benchmarks.nights import measure_source
from benchmarks.record import Record


def run(folder: Path) -> Record:
    """Measure the night of the last complete day."""
    return measure_source("night_online_retail", "online_retail", "2011-12-08", folder)
