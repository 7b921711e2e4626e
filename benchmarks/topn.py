"""The exact 50 best items of 200,000 persons among 20,000, without what they have: ours on Spark, MLlib's recommendForAllUsers, and `implicit` alone."""

import json
import sys
from pathlib import Path

from benchmarks import pairs
from benchmarks.measure import measure
from benchmarks.record import Record

ENGINES = ("dawnlist", "mllib", "implicit")
ENVIRONMENTS = {"implicit": {"OPENBLAS_NUM_THREADS": "1"}}  # its own threads are two: with those of its products beside them it takes almost twice as long


def run(folder: Path) -> Record:
    """Each engine in a process of its own, medians of three, all with the same factors. MLlib's leaves out nothing that a person has."""
    sizes = pairs.sizes()
    pairs.write(folder, **sizes)
    measured = {
        engine: measure([sys.executable, "-m", "benchmarks.factors", "topn", engine, str(folder)], environment=ENVIRONMENTS.get(engine)) for engine in ENGINES
    }
    seconds = {engine: json.loads((folder / f"topn-{engine}.json").read_text(encoding="utf-8"))["seconds"] for engine in ENGINES}
    return Record(
        name="topn",
        compared="spark_jobs.als.recommend against MLlib's recommendForAllUsers",
        our_seconds=round(seconds["dawnlist"], 2),
        peer_seconds=round(seconds["mllib"], 2),
        peak_mib=measured["dawnlist"].peak_mib,
        peer_peak_mib=measured["mllib"].peak_mib,
        sizes=sizes | {"rank": pairs.RANK, "length": 50},
        details={"implicit_seconds": round(seconds["implicit"], 2), "over_implicit": round(seconds["dawnlist"] / seconds["implicit"], 2)},
    )
