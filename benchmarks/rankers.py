"""A ranker and `Booster.predict` in a process of its own: python -m benchmarks.rankers FIGURES.

Features are ranks and scores of sources that propose two in five items each, and what is known of the person; the taken items are those that several of them
have high. The ranker is trained as a night trains it, and its first stage is chosen as there.
"""

import os
import sys
import time
from pathlib import Path

import numpy as np

from dawnlist.files import write_json
from dawnlist.settings import Ranker
from models import cascade, ranker
from models.frame import FEATURES

USERS = 200_000
CANDIDATES = 200
LENGTH = 20
TAUGHT, STOPPING, JUDGING = 1_500, 500, 1_000  # persons
TAKEN = 4
AT_ONCE = 4_000  # persons: as many rows as a night scores at once
THREADS = 2


def frame(first: int, n_persons: int) -> ranker.Rows:
    """The candidates of the persons from `first` on: the same for the same numbers."""
    random = np.random.default_rng(first)
    n_rows = n_persons * CANDIDATES
    person = np.repeat(np.arange(n_persons, dtype=np.int32), CANDIDATES)
    worth = random.standard_normal(n_rows, dtype=np.float32)
    features = np.empty((n_rows, len(FEATURES)), dtype=np.float32)
    for number, name in enumerate(FEATURES):
        if name.startswith("person_"):
            features[:, number] = np.repeat(random.exponential(10, n_persons).astype(np.float32), CANDIDATES)
        else:
            seen = worth + 2 * random.standard_normal(n_rows, dtype=np.float32)
            features[:, number] = np.round(50 * np.exp(-seen)) if name.endswith("_rank") else seen
            if name != "fusion":
                features[random.random(n_rows) < 0.6, number] = np.nan
    taken = worth + random.standard_normal(n_rows, dtype=np.float32)
    limit = np.sort(taken.reshape(n_persons, CANDIDATES))[:, -TAKEN]
    return ranker.Rows(person, np.tile(np.arange(CANDIDATES, dtype=np.int32), n_persons), taken >= np.repeat(limit, CANDIDATES), features)


def teaching() -> tuple[ranker.Rows, ranker.Rows]:
    """What a ranker is fitted on, and what stops it."""
    return frame(-1 % 2**32, TAUGHT), frame(-2 % 2**32, STOPPING)


def _first(rows: ranker.Rows, scores: np.ndarray) -> np.ndarray:
    return ranker.ranks(rows.person, rows.item, scores) <= LENGTH


def main(figures: Path) -> None:
    """Write the figures."""
    n_users = int(os.environ.get("BENCH_USERS", USERS))
    settings = Ranker()
    booster = ranker.train(*teaching(), settings, seed=1, threads=THREADS)
    assert booster is not None
    booster = ranker.from_text(ranker.to_text(booster))
    chosen = cascade.choose(booster, frame(-3 % 2**32, JUDGING), length=LENGTH, recall=settings.cascade_recall, threads=THREADS)
    stages = cascade.Cascade.of({"cascade": chosen})
    ours = peer = 0.0
    kept = wanted = 0
    for start in range(0, n_users, AT_ONCE):
        rows = frame(start, min(AT_ONCE, n_users - start))
        began = time.perf_counter()
        scores, _ = cascade.score(booster, stages, rows.person, rows.item, rows.features, threads=THREADS)
        between = time.perf_counter()
        plain = np.asarray(booster.predict(rows.features, num_threads=THREADS))
        ours, peer = ours + between - began, peer + time.perf_counter() - between
        shown = _first(rows, np.round(plain, ranker.SCORE_DIGITS))
        kept, wanted = kept + int((shown & _first(rows, scores)).sum()), wanted + int(shown.sum())
    write_json(
        figures,
        {"users": n_users, "trees": booster.num_trees(), "our_seconds": ours, "peer_seconds": peer, "recall": kept / wanted, "cascade": chosen},
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
