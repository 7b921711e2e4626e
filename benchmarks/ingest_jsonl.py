"""Ten million events of JSON lines into an empty lake."""

from pathlib import Path

from benchmarks.loads import measure_ingest
from benchmarks.record import Record


def run(folder: Path) -> Record:
    """Measure both stages of loading beside a bare COPY."""
    return measure_ingest("ingest_jsonl", folder, "jsonl")
