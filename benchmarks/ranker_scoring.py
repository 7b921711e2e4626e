"""Scoring 200 candidates of each of 200,000 persons with a ranker that was trained on invented tastes, against LightGBM's own `Booster.predict`."""

import json
import sys
from pathlib import Path

from benchmarks import rankers
from benchmarks.measure import measure
from benchmarks.record import Record


def run(folder: Path) -> Record:
    """Both score the same rows in turns, some thousand persons at a time; what was lost by two stages stands in the details."""
    figures = folder / "figures.json"
    measurement = measure([sys.executable, "-m", "benchmarks.rankers", str(figures)])
    found = json.loads(figures.read_text(encoding="utf-8"))
    rows = found["users"] * rankers.CANDIDATES
    return Record(
        name="ranker_scoring",
        compared="scores, in two stages where training found a first one, against Booster.predict over all rows",
        our_seconds=round(found["our_seconds"], 2),
        peer_seconds=round(found["peer_seconds"], 2),
        peak_mib=measurement.peak_mib,
        peer_peak_mib=measurement.peak_mib,
        sizes={"users": found["users"], "candidates": rankers.CANDIDATES, "trees": found["trees"]},
        details={
            "rows_per_second": round(rows / found["our_seconds"]),
            "peer_rows_per_second": round(rows / found["peer_seconds"]),
            "recall@20": round(found["recall"], 5),
            "cascade": found["cascade"],
        },
    )
