"""Parameters of a source by search along one parameter after the other, on inner splits."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from models import evaluation
from models.hybrid.candidates import in_blocks
from models.hybrid.folds import Fold
from models.hybrid.sources import Source
from models.recommenders.base import Fitted, Recommender, exclude, top
from models.recommenders.events import Floats, Ints


@dataclass(frozen=True)
class Tuned:
    """The best parameters found, their mean nDCG@k over the folds, and what was learnt with them from the newest fold."""

    recommender: Recommender
    value: float
    newest: Fitted


def tune(source: Source, folds: Sequence[Fold], *, k: int, seed: int, threads: int) -> Tuned:
    """Search along one parameter after the other; a value that is not better than the present one is left."""

    def judge(recommender: Recommender) -> Tuned:
        values = []
        for fold in folds:
            fitted = recommender.fit(fold.events, seed=seed)
            values.append(float(quality(fitted, fold, k=k, threads=threads).mean()))
        return Tuned(recommender, float(np.mean(values)), fitted)

    best, left = judge(source.recommender), source.max_trials - 1
    for name, values in source.space.items():
        present: Any = best.recommender
        for tried in [replace(present, **{name: other}) for other in values if other != getattr(present, name)][:left]:
            left -= 1
            best = max(best, judge(tried), key=lambda one: one.value)
    return best


def quality(fitted: Fitted, fold: Fold, *, k: int, threads: int) -> Floats:
    """nDCG@k of each of the fold's users."""
    hits = np.concatenate(list(in_blocks(fold.users, fold.events.n_items, lambda users: _hits(fitted, fold, users, k), threads=threads)))
    return evaluation.ndcg(hits, np.diff(fold.relevant.indptr)[fold.users], k)


def _hits(fitted: Fitted, fold: Fold, users: Ints, k: int) -> "np.ndarray[tuple[int, int], np.dtype[np.bool_]]":
    best = top(exclude(fitted.scores(users), fold.hidden[users]), k)
    return is_in(best, fold.relevant[users])


def is_in(lists: Ints, relevant: "Any") -> "np.ndarray[tuple[int, int], np.dtype[np.bool_]]":
    """Which places of the lists (row per row of `relevant`, a sparse matrix; -1 for nothing) hold an item of that row."""
    n_items = relevant.shape[1]
    keys = np.repeat(np.arange(len(lists), dtype=np.int64), np.diff(relevant.indptr)) * n_items + relevant.indices
    asked = np.arange(len(lists), dtype=np.int64)[:, None] * n_items + lists
    return np.isin(asked, keys) & (lists >= 0)
