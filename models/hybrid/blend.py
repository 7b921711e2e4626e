"""A weighted sum of the sources' scores, its weights found by coordinate ascent on nDCG.

Coordinate ascent on the metric itself: Metzler & Croft, "Linear feature-based models for information retrieval" (2007). The two forms of a source's
opinion: its score over the mean of the user's ten best, or 1 / (60 + rank) (Cormack, Clarke & Büttcher, "Reciprocal rank fusion", SIGIR 2009).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.sparse import csr_matrix

from models.hybrid.candidates import Candidates
from models.recommenders.events import Floats, Ints

SCORES, RANKS = "scores", "ranks"
FUSION_CONSTANT: Final = 60
STEPS: Final = (0.0, 0.25, 0.5, 0.8, 1.25, 2.0, 4.0)  # times a weight that is not 0
FIRST_STEPS: Final = (0.05, 0.15, 0.4, 1.0)  # of the largest weight, for one that is 0
SWEEPS: Final = 4
SMALLEST_GAIN: Final = 1e-5
MAX_USERS: Final = 2000


@dataclass(frozen=True)
class Blend:
    """`weights`: one a source. `form`: SCORES or RANKS."""

    form: str
    weights: tuple[float, ...]

    def of(self, rows: Candidates) -> Floats:
        """One value per row, comparable within a user."""
        return opinions(rows, self.form) @ np.array(self.weights, dtype=np.float32)


def opinions(rows: Candidates, form: str) -> Floats:
    """One column a source, float32."""
    if form == SCORES:
        return np.maximum(rows.scaled, 0.0)
    return np.where(rows.rank > 0, (FUSION_CONSTANT + 1) / (FUSION_CONSTANT + np.maximum(rows.rank, 1)), 0.0).astype(np.float32)


def labels(rows: Candidates, users: Ints, relevant: csr_matrix) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Which rows are relevant; `relevant` is all users by all items, `users` the numbers behind the rows' users."""
    chosen = relevant[users]
    keys = np.repeat(np.arange(len(users), dtype=np.int64), np.diff(chosen.indptr)) * chosen.shape[1] + chosen.indices
    return np.isin(rows.user.astype(np.int64) * chosen.shape[1] + rows.item, keys)


class Judge:
    """nDCG@k of orders of the same candidates, quickly: only the first k values of a user are looked for. Equals count as ranked before."""

    def __init__(self, rows: Candidates, is_relevant: "np.ndarray[tuple[int], np.dtype[np.bool_]]", n_relevant: Ints, k: int) -> None:
        """`n_relevant`: relevant items per user, proposed or not, at least 1."""
        counts = np.bincount(rows.user, minlength=rows.n_users)
        self._starts = np.r_[0, np.cumsum(counts)]
        self._place = np.arange(len(rows)) - self._starts[rows.user]
        self._user, self._width, self._n_users, self._k = rows.user, int(counts.max(initial=1)), rows.n_users, k
        self._hits = np.flatnonzero(is_relevant)
        ideal = np.cumsum(1.0 / np.log2(np.arange(2, k + 2)))
        self._ideal = ideal[np.minimum(n_relevant, k) - 1]

    def ndcg(self, values: Floats) -> float:
        """The mean over the users."""
        table = np.full((self._n_users, self._width), -np.inf, dtype=np.float32)
        table[self._user, self._place] = values
        users = self._user[self._hits]
        mine = values[self._hits].astype(np.float32)
        depth = min(self._k + 1, self._width)  # one more than counts: what equals the last of them is too deep
        best = np.partition(table, self._width - depth, axis=1)[:, self._width - depth :]
        rank = np.where(mine >= best[users].min(axis=1), (best[users] >= mine[:, None]).sum(axis=1), self._k + 1)
        gains = np.where(rank <= self._k, 1.0 / np.log2(rank + 1.0), 0.0)
        return float((np.bincount(users, weights=gains, minlength=self._n_users) / self._ideal).mean())


def fit(rows: Candidates, judge: Judge, first: int) -> tuple[Blend, float]:
    """The better of the two forms, with its nDCG; the ascent starts at source number `first` alone, and never falls below it."""
    found = [_ascend(opinions(rows, form), judge, form, first) for form in (SCORES, RANKS)]
    return max(found, key=lambda pair: pair[1])


def _ascend(columns: Floats, judge: Judge, form: str, first: int) -> tuple[Blend, float]:
    weights = np.zeros(columns.shape[1], dtype=np.float32)
    weights[first] = 1.0
    total = columns @ weights
    best = judge.ndcg(total)
    for _ in range(SWEEPS):
        before = best
        for source in range(len(weights)):
            for weight in _tries(weights, source):
                moved = total + (weight - weights[source]) * columns[:, source]
                value = judge.ndcg(moved)
                if value > best + SMALLEST_GAIN:
                    best, total = value, moved
                    weights[source] = weight
        if best - before < SMALLEST_GAIN:
            break
    return Blend(form, tuple(round(float(weight), 4) for weight in weights)), best


def _tries(weights: Floats, source: int) -> list[np.float32]:
    scale, steps = (weights[source], STEPS) if weights[source] else (weights.max(), FIRST_STEPS)
    return [np.float32(scale * step) for step in steps]
