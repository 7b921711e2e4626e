"""One iteration of matrix factorisation over 200,000 persons, 20,000 items and 5 million pairs, rank 64: ours on Spark against MLlib's."""

import json
import sys
from pathlib import Path

from benchmarks import pairs
from benchmarks.measure import measure
from benchmarks.record import Record


def run(folder: Path) -> Record:
    """Both engines in processes of their own, ten iterations each on the same cores; the quality of what they learnt stands in the details."""
    sizes = pairs.sizes()
    pairs.write(folder, **sizes)
    ours, peer = (measure([sys.executable, "-m", "benchmarks.factors", "fit", engine, str(folder)]) for engine in ("dawnlist", "mllib"))
    figures = [json.loads((folder / f"fit-{engine}.json").read_text(encoding="utf-8")) for engine in ("dawnlist", "mllib")]
    return Record(
        name="als_iteration",
        compared="an iteration of spark_jobs.als against one of MLlib's ALS",
        our_seconds=round(figures[0]["seconds"], 2),
        peer_seconds=round(figures[1]["seconds"], 2),
        peak_mib=ours.peak_mib,
        peer_peak_mib=peer.peak_mib,
        sizes=sizes | {"rank": pairs.RANK},
        details={"ndcg@10": figures[0]["ndcg"], "peer_ndcg@10": figures[1]["ndcg"]},
    )
