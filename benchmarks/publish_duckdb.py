"""Publish six million rows to the DuckDB file: the night's lists become what a website reads."""

from pathlib import Path

from benchmarks import publications
from benchmarks.record import Record


def run(folder: Path) -> Record:
    """Against CREATE TABLE AS from files that were made before."""
    compared = "publish to DuckDB (tables made, hashed, kept, audited, swapped in) against CREATE TABLE AS of the same rows from Parquet with the same indexes"
    return publications.compare("publish_duckdb", compared, folder, "create_table_as")
