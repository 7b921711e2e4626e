"""What the lists of more persons cost: 50,000 to 400,000, each with 40 candidates."""

import json
import os
import sys
from pathlib import Path

from benchmarks import rankers
from benchmarks.measure import measure
from benchmarks.record import Record
from dawnlist.files import write_text
from dawnlist.settings import Ranker
from models import ranker

USERS = 400_000
PARTS = (8, 4, 2, 1)


def run(folder: Path) -> Record:
    """Frame, scores, policies and files of recommendations: the seconds of a person among the most against those among the fewest."""
    users = int(os.environ.get("BENCH_USERS", USERS))
    booster = ranker.train(*rankers.teaching(), Ranker(), seed=1, threads=rankers.THREADS)
    assert booster is not None
    write_text(folder / "ranker.txt", ranker.to_text(booster))
    sizes = [users // part for part in PARTS]
    measured = {size: measure([sys.executable, "-m", "benchmarks.growth", str(size), str(folder)]) for size in sizes}
    seconds = {size: float(json.loads((folder / f"{size}.json").read_text(encoding="utf-8"))["seconds"]) for size in sizes}
    few, many = sizes[0], sizes[-1]
    return Record(
        name="recommend_growth",
        compared=f"seconds a person with {many} persons against {few}",
        our_seconds=round(seconds[many], 2),
        peer_seconds=round(seconds[few], 2),
        peak_mib=measured[many].peak_mib,
        peer_peak_mib=measured[few].peak_mib,
        sizes={"users": many, "fewest": few, "candidates": 40},
        details={f"{size}_seconds": round(seconds[size], 2) for size in sizes} | {f"{size}_peak_mib": measured[size].peak_mib for size in sizes},
        ratio_of=(seconds[many] / many, seconds[few] / few),
    )
