"""Swapping a publication in while others read: how long it takes, and what the readers meet. 50,000 reads in each store, while two nights are published in turns."""

import json
import sys
from pathlib import Path

from benchmarks import publications, swaps
from benchmarks.measure import measure
from benchmarks.record import Record

ALLOWED_SECONDS = 0.05


def run(folder: Path) -> Record:
    """The longest swap of Postgres, and in the details that of the DuckDB file, against what is allowed: there is no peer that publishes so."""
    figures, peaks = {}, []
    with publications.postgres(folder / "server") as url:
        for store, arguments in (("postgres", [url]), ("duckdb", [])):
            peaks.append(measure([sys.executable, "-m", "benchmarks.swaps", str(folder / store), *arguments]).peak_mib)
            figures[store] = json.loads((folder / store / "figures.json").read_text(encoding="utf-8"))
    return Record(
        name="swap",
        compared="the longest swap in Postgres beside two readers against the 50 ms that it may take",
        our_seconds=round(figures["postgres"]["swap_seconds"], 4),
        peer_seconds=ALLOWED_SECONDS,
        peak_mib=max(peaks),
        peer_peak_mib=0,
        sizes={"reads": swaps.reads_wanted(), "readers": swaps.READERS, "persons": swaps.PERSONS},
        details={f"{store}_{name}": round(value, 4) for store, found in figures.items() for name, value in found.items()},
    )
