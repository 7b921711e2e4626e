"""All that the sources propose to some users, with what every source makes of it."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from scipy.sparse import csr_matrix

from models.recommenders.base import Fitted, blocks, exclude, top
from models.recommenders.events import Floats, Ints

SCALE_PLACES = 10  # a score of 1 is the mean of the user's first ten in that source
T = TypeVar("T")


@dataclass(frozen=True)
class Candidates:
    """One row per (user, item), by user and item. `user` is the place in the list of users that was asked for. Of each source (columns):
    `raw` score, `scaled` score (over the mean of the user's ten best), and `rank` (1 = best; 0 where the source did not propose it).
    """

    user: Ints
    item: Ints
    raw: Floats
    scaled: Floats
    rank: Ints
    n_users: int

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.user)

    @staticmethod
    def joined(parts: Sequence["Candidates"]) -> "Candidates":
        """The rows of all parts; users of later parts are numbered after those of earlier ones."""
        starts = np.cumsum([0, *(part.n_users for part in parts)])
        users = [part.user + start for part, start in zip(parts, starts, strict=False)]
        item, raw, scaled, rank = (np.concatenate([getattr(part, name) for part in parts]) for name in ("item", "raw", "scaled", "rank"))
        return Candidates(np.concatenate(users), item, raw, scaled, rank, int(starts[-1]))

    def only(self, users: Ints) -> "Candidates":
        """The rows of some users (sorted numbers), numbered anew from 0."""
        place = np.full(self.n_users, -1, dtype=np.int64)
        place[users] = np.arange(len(users))
        kept = place[self.user] >= 0
        return Candidates(place[self.user[kept]], self.item[kept], self.raw[kept], self.scaled[kept], self.rank[kept], len(users))


def propose(fitted: Sequence[Fitted], users: Ints, hidden: csr_matrix, *, depth: int) -> Candidates:
    """The first `depth` items of every source for each user, without what `hidden` (all users by all items) has."""
    hidden_rows = hidden[users]
    n_users, n_items = len(users), hidden.shape[1]
    depth = min(depth, n_items)
    is_candidate = np.zeros((n_users, n_items), dtype=bool)
    scores, scales, places = [], [], []
    rows = np.arange(n_users)[:, None]
    for one in fitted:
        values = exclude(one.scores(users).astype(np.float32, copy=False), hidden_rows)
        best = top(values, depth)
        is_candidate[np.broadcast_to(rows, best.shape)[best >= 0], best[best >= 0]] = True
        scores.append(values)
        scales.append(_scale(values, best))
        places.append(best)
    user, item = np.nonzero(is_candidate)
    raw = np.stack([values[user, item] for values in scores], axis=1)
    scaled = raw / np.stack(scales, axis=1)[user]
    rank = np.stack([_ranks(best, user, item, n_items) for best in places], axis=1)
    return Candidates(user.astype(np.int32), item.astype(np.int32), raw, scaled, rank, n_users)


def in_blocks(users: Ints, n_items: int, work: Callable[[Ints], T], *, threads: int) -> Iterable[T]:
    """`work` of each block of users, in order; `threads` blocks at a time, and no more than that in memory."""
    runs = list(blocks(users, n_items))
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(runs), threads):
            yield from pool.map(work, runs[start : start + threads])


def _scale(values: Floats, best: Ints) -> Floats:
    """The mean of the first ten scores of each row, 1 where that is not above 0."""
    first = np.take_along_axis(values, np.maximum(best[:, :SCALE_PLACES], 0), axis=1)
    usable = np.isfinite(first) & (best[:, :SCALE_PLACES] >= 0)
    mean = np.where(usable, first, 0.0).sum(axis=1) / np.maximum(usable.sum(axis=1), 1)
    return np.where(mean > 0, mean, 1.0).astype(np.float32)


def _ranks(best: Ints, user: Ints, item: Ints, n_items: int) -> Ints:
    """The place of each (user, item) in the lists `best`, 0 where it is not on the list."""
    places = np.zeros((len(best), n_items), dtype=np.int32)
    row, column = np.nonzero(best >= 0)
    places[row, best[row, column]] = column + 1
    return places[user, item]
