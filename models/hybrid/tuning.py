"""Parameters of a source by a search that climbs from its best start, one parameter after the other, on inner splits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from models import evaluation
from models.hybrid.candidates import in_blocks
from models.hybrid.folds import Fold
from models.hybrid.sources import Source
from models.recommenders.base import Fitted, Recommender, exclude, top
from models.recommenders.events import Floats, Ints

FEWEST: Final = 2  # trials of a source that seems to be of no use


@dataclass(frozen=True)
class Tuned:
    """The best parameters found, their mean nDCG@k over the folds, and what was learnt with them from the newest fold."""

    recommender: Recommender
    value: float
    newest: Fitted


def tune(source: Source, folds: Sequence[Fold], *, k: int, seed: int, threads: int, floor: float = 0.0) -> Tuned:
    """The best of the source's starts, then of what lies around it: along each parameter's ladder for as long as that is better, round after round until
    one changes nothing or the trials are spent. What is below `floor` after FEWEST trials is searched no further.
    """
    search = _Search(source, folds, k=k, seed=seed, threads=threads, floor=floor)
    best = search.judge(source.recommender)
    for start in source.starts[: source.max_trials // 4]:
        best = search.better(best, _with(source.recommender, start))
    before = None
    while best is not before:
        before = best
        for name in source.space:
            best = search.walk(best, name)
    return best


class _Search:
    """What was tried of a source; nothing is tried twice."""

    def __init__(self, source: Source, folds: Sequence[Fold], *, k: int, seed: int, threads: int, floor: float) -> None:
        self._source, self._folds, self._k, self._seed, self._threads, self._floor = source, folds, k, seed, threads, floor
        self._tried: set[Recommender] = set()

    def judge(self, recommender: Recommender) -> Tuned:
        self._tried.add(recommender)
        values = []
        for fold in self._folds:
            fitted = recommender.fit(fold.events, seed=self._seed)
            values.append(float(quality(fitted, fold, k=self._k, threads=self._threads).mean()))
        return Tuned(recommender, float(np.mean(values)), fitted)

    def better(self, best: Tuned, other: Recommender) -> Tuned:
        """`other` where it was not tried yet, may be, and is better."""
        n = len(self._tried)
        if other in self._tried or n >= self._source.max_trials or (n >= FEWEST and best.value < self._floor):
            return best
        return max(best, self.judge(other), key=lambda one: one.value)

    def walk(self, best: Tuned, name: str) -> Tuned:
        """Steps along the ladder of one parameter, up, and down where the first step up is not better."""
        for direction in (1, -1):
            before, start = None, best
            while best is not before:
                before = best
                for other in self._step(best.recommender, name, direction):
                    best = self.better(best, other)
            if best is not start:
                break
        return best

    def _step(self, recommender: Recommender, name: str, direction: int) -> list[Recommender]:
        """The next rung, where there is one."""
        ladder = self._source.space[name]
        place = ladder.index(getattr(recommender, name)) + direction
        values: list[Any] = list(ladder[place : place + 1]) if place >= 0 else []
        return [_with(recommender, {name: value}) for value in values]


def _with(recommender: Recommender, parameters: Mapping[str, Any]) -> Recommender:
    changed: Recommender = replace(recommender, **parameters)  # type: ignore[type-var]
    return changed


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
