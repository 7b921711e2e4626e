"""What a recommender is, and the best items of dense blocks of scores."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from scipy.sparse import csr_matrix

from models.recommenders.events import Events, Floats, Ints

BLOCK_CELLS = 8_000_000  # scores that are in memory at once for one source: 32 MB of float32


class Fitted(Protocol):
    """A recommender that has learnt."""

    def scores(self, users: Ints) -> Floats:
        """How much each item suits each user: float32, one row per user and one column per item; 0 where nothing is known.

        Comparable within a row. A user without events has one and the same score for all items, or that of everybody.
        """


class Recommender(Protocol):
    """A recommender's parameters."""

    def fit(self, events: Events, *, seed: int) -> Fitted:
        """Learn from the events; the same events and seed give the same scores."""


def blocks(users: Ints, n_items: int) -> Iterator[Ints]:
    """The users in runs that are short enough for dense scores over all items."""
    size = max(1, BLOCK_CELLS // max(n_items, 1))
    for start in range(0, len(users), size):
        yield users[start : start + size]


def exclude(scores: Floats, hidden: csr_matrix) -> Floats:
    """The scores with -inf in the cells of `hidden` (one row per row of the scores); changes them in place."""
    scores[np.repeat(np.arange(hidden.shape[0]), np.diff(hidden.indptr)), hidden.indices] = -np.inf
    return scores


def top(scores: Floats, n: int) -> Ints:
    """The numbers of the `n` best items of each row, best first, ties by number; -1 where a row has no more items above -inf."""
    n = min(n, scores.shape[1])
    if n == 0:
        return np.zeros((len(scores), 0), dtype=np.int32)
    found = np.argpartition(-scores, n - 1, axis=1)[:, :n] if n < scores.shape[1] else np.broadcast_to(np.arange(n), scores.shape)
    values = np.take_along_axis(scores, found, axis=1)
    order = np.lexsort((found, -values), axis=1)
    best = np.take_along_axis(found, order, axis=1).astype(np.int32)
    best[np.take_along_axis(values, order, axis=1) == -np.inf] = -1
    return best
