"""Item-to-item recommenders: a sparse matrix of neighbours, times what a person came to.

RP3beta: Paudel, Christoffel, Newell & Bernstein, "Updatable, Accurate, Diverse, and Scalable Recommendations for Interactive
Applications" (TiiS 2017). Cosine neighbours: Sarwar et al., "Item-based Collaborative Filtering Recommendation Algorithms" (WWW 2001), with the
shrinkage of Bell & Koren (ICDM 2007). BM25: Robertson & Zaragoza, "The Probabilistic Relevance Framework" (2009), with persons as terms.
Fading: Ding & Li, "Time Weight Collaborative Filtering" (CIKM 2005).
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix, diags, vstack

from models.recommenders.base import top
from models.recommenders.events import Events, Floats, Ints

PRODUCT_CELLS = 8_000_000  # cells of the item-by-item product that are in memory at once
THREADS = 2  # more only fill the memory: the product is read and written once
BM25_K1, BM25_B = 1.2, 0.75  # the usual values of the reference
FLOOR = 1e-6  # what is long past still decides between items that nothing recent is known of


@dataclass(frozen=True)
class ItemToItem:
    """score = profile of the user (user by item) @ neighbours (item by item)."""

    profiles: csr_matrix
    neighbours: csr_matrix

    def scores(self, users: Ints) -> Floats:
        """The sums over what each user came to."""
        return (self.profiles[users] @ self.neighbours).toarray()


@dataclass(frozen=True)
class Rp3Beta:
    """Three random steps user -> item -> user -> item, probabilities to the power `alpha`, over the item's popularity to the power `beta`."""

    alpha: float = 1.0
    beta: float = 0.6
    neighbours: int = 200
    half_life: float | None = None

    def fit(self, events: Events, *, seed: int) -> ItemToItem:
        """Exact; nothing is drawn."""
        seen = events.seen
        by_item, by_user = _probabilities(seen.T.tocsr()), _probabilities(seen)
        by_item.data, by_user.data = by_item.data**self.alpha, by_user.data**self.alpha
        popularity = np.asarray(seen.sum(axis=0)).ravel() ** self.beta
        found = nearest(by_item, by_user, rows=np.ones(events.n_items), columns=popularity, per_item=self.neighbours)
        return ItemToItem(events.matrix(power=0, half_life=self.half_life), found)


@dataclass(frozen=True)
class ItemKnn:
    """Cosine of the items' columns of persons, `weighting` "cosine" (1 where the person came to it) or "bm25"; `shrinkage` in units of the product."""

    weighting: str = "cosine"
    shrinkage: float = 10.0
    neighbours: int = 100
    half_life: float | None = None

    def fit(self, events: Events, *, seed: int) -> ItemToItem:
        """Exact; nothing is drawn."""
        weights = _bm25(events.seen) if self.weighting == "bm25" else events.seen
        norms = np.sqrt(np.asarray(weights.power(2).sum(axis=0)).ravel())
        found = nearest(weights.T.tocsr(), weights, rows=norms, columns=norms, shrinkage=self.shrinkage, per_item=self.neighbours)
        return ItemToItem(events.matrix(power=0, half_life=self.half_life), found)


@dataclass(frozen=True)
class CoVisitation:
    """What people who came to the person's last items came to, lately: both fade. `balance` 0 prefers what is taken most, 1 is the cosine."""

    half_life: float = 30.0
    last: int = 10
    decay: float = 0.9
    balance: float = 0.5
    neighbours: int = 200

    def fit(self, events: Events, *, seed: int) -> ItemToItem:
        """Exact; needs times."""
        weights = events.matrix(power=0, half_life=self.half_life)
        weights.data = np.maximum(weights.data, np.float32(FLOOR))
        degrees = np.diff(events.seen.indptr)
        weights = (diags(1.0 / np.sqrt(np.log2(1.0 + np.maximum(degrees, 1)))) @ weights).tocsr()
        norms = np.sqrt(np.asarray(weights.power(2).sum(axis=0)).ravel())
        found = nearest(weights.T.tocsr(), weights, rows=norms, columns=norms**self.balance, per_item=self.neighbours)
        return ItemToItem(_last(events, self.last, self.decay), found)


def nearest(left: csr_matrix, right: csr_matrix, *, per_item: int, rows: Floats, columns: Floats, shrinkage: float = 0.0) -> csr_matrix:
    """The `per_item` largest positive cells off the diagonal of each row of left @ right, after cell (r, c) was divided by rows[r] * columns[c] + shrinkage.

    Rows and columns that are divided by 0 have nothing.
    """
    n_items = left.shape[0]
    step = max(1, PRODUCT_CELLS // max(n_items, 1))
    starts = range(0, n_items, step)
    with ThreadPoolExecutor(THREADS) as pool:
        found = pool.map(
            lambda start: _nearest_rows(left[start : start + step], right, start, per_item, rows[start : start + step], columns, shrinkage), starts
        )
        return vstack(list(found), format="csr")


def _nearest_rows(left: csr_matrix, right: csr_matrix, start: int, per_item: int, rows: Floats, columns: Floats, shrinkage: float) -> csr_matrix:
    values = (left @ right).toarray().astype(np.float32, copy=False)
    divisor = np.outer(rows, columns).astype(np.float32)
    divisor += np.float32(shrinkage)
    np.divide(values, divisor, out=values, where=divisor > 0)
    here = np.arange(len(values))
    values[here, here + start] = 0.0
    best = top(values, per_item)
    score = np.take_along_axis(values, best, axis=1)
    row, place = np.nonzero(score > 0)
    return csr_matrix((score[row, place], (row, best[row, place])), shape=values.shape)


def _last(events: Events, last: int, decay: float) -> csr_matrix:
    """User by item: decay^place for the user's `last` newest items, 0 = newest; ties by item."""
    ages = events.pair_age
    user = np.repeat(np.arange(events.n_users), np.diff(ages.indptr))
    order = np.lexsort((ages.indices, ages.data, user))
    place = np.arange(len(order)) - ages.indptr[user]
    kept = place < last
    cells = (np.power(decay, place[kept]).astype(np.float32), (user[kept], ages.indices[order][kept]))
    return csr_matrix(cells, shape=ages.shape)


def _bm25(seen: csr_matrix) -> csr_matrix:
    """Items as documents, persons as terms that occur once: rare persons say more, long documents less."""
    n_persons = np.diff(seen.indptr)
    idf = np.log1p((seen.shape[1] - n_persons + 0.5) / (n_persons + 0.5))
    lengths = np.asarray(seen.sum(axis=0)).ravel()
    saturation = (BM25_K1 + 1) / (BM25_K1 * (1 - BM25_B + BM25_B * lengths / max(lengths.mean(), 1e-9)) + 1)
    return (diags(idf) @ seen @ diags(saturation)).tocsr().astype(np.float32)


def _probabilities(seen: csr_matrix) -> csr_matrix:
    """Each row over its sum; an empty row stays empty."""
    return (diags(1.0 / np.maximum(np.asarray(seen.sum(axis=1)).ravel(), 1.0)) @ seen).tocsr()
