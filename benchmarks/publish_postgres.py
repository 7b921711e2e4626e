"""Publish six million rows to Postgres: the night's lists become what a website reads."""

from pathlib import Path

from benchmarks import publications
from benchmarks.record import Record


def run(folder: Path) -> Record:
    """Against a bare COPY, from files that were made before."""
    compared = "publish to Postgres (tables made, hashed, kept, audited, loaded, swapped in) against a binary COPY of the same rows with the same keys"
    with publications.postgres(folder / "postgres") as url:
        return publications.compare("publish_postgres", compared, folder, "copy", url)
