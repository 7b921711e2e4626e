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
class Product:
    """What neighbours are chosen by: left @ right (item by item), plus the inner product of the rows r and c of `dense` where it is given, divided by
    rows[r] * columns[c] + shrinkage; what is divided by 0 has nothing.
    """

    left: csr_matrix
    right: csr_matrix
    rows: Floats
    columns: Floats
    shrinkage: float = 0.0
    dense: Floats | None = None

    def dividends(self, start: int, end: int) -> csr_matrix:
        """Some rows of what is divided."""
        sparse = self.left[start:end] @ self.right
        return sparse if self.dense is None else csr_matrix(sparse.toarray() + self.dense[start:end] @ self.dense.T)


@dataclass(frozen=True)
class Rp3Beta:
    """Three random steps user -> item -> user -> item, probabilities to the power `alpha`, over the item's popularity to the power `beta`."""

    alpha: float = 1.0
    beta: float = 0.6
    neighbours: int = 200
    half_life: float | None = None

    def fit(self, events: Events, *, seed: int) -> ItemToItem:
        """Exact; nothing is drawn."""
        return ItemToItem(events.matrix(power=0, half_life=self.half_life), nearest(self.product(events), per_item=self.neighbours))

    def product(self, events: Events) -> Product:
        """Two of the steps, item -> user -> item, over the popularity of where they end."""
        seen = events.seen
        by_item, by_user = _probabilities(seen.T.tocsr()), _probabilities(seen)
        by_item.data, by_user.data = by_item.data**self.alpha, by_user.data**self.alpha
        return Product(by_item, by_user, np.ones(events.n_items), np.asarray(seen.sum(axis=0)).ravel() ** self.beta)


@dataclass(frozen=True)
class ItemKnn:
    """Cosine of the items' columns of persons, `weighting` "cosine" (1 where the person came to it) or "bm25"; `shrinkage` in units of the product."""

    weighting: str = "cosine"
    shrinkage: float = 10.0
    neighbours: int = 100
    half_life: float | None = None

    def fit(self, events: Events, *, seed: int) -> ItemToItem:
        """Exact; nothing is drawn."""
        return ItemToItem(events.matrix(power=0, half_life=self.half_life), nearest(self.product(events), per_item=self.neighbours))

    def product(self, events: Events) -> Product:
        """The shrunk cosine of the items' columns."""
        weights = _bm25(events.seen) if self.weighting == "bm25" else events.seen
        norms = _norms(weights)
        return Product(weights.T.tocsr(), weights, norms, norms, self.shrinkage)


@dataclass(frozen=True)
class CoVisitation:
    """What people who came to the person's last items came to, lately: both fade. `balance` 0 prefers what is taken most, 1 is the cosine, which
    `shrinkage` lowers where few people support it. `half_life` None: what people came to does not fade.
    """

    half_life: float | None = 30.0
    last: int = 10
    decay: float = 0.9
    balance: float = 0.5
    neighbours: int = 200
    shrinkage: float = 0.0

    def fit(self, events: Events, *, seed: int) -> ItemToItem:
        """Exact; needs times."""
        return ItemToItem(self.profiles(events), nearest(self.product(events), per_item=self.neighbours))

    def profiles(self, events: Events) -> csr_matrix:
        """User by item: decay^place for the user's `last` newest items, 0 = newest; ties by item."""
        return _last(events, self.last, self.decay)

    def product(self, events: Events) -> Product:
        """Who came to both, faded; the more items somebody has, the less each says."""
        weights = events.matrix(power=0, half_life=self.half_life)
        weights.data = np.maximum(weights.data, np.float32(FLOOR))
        degrees = np.diff(events.seen.indptr)
        weights = (diags(1.0 / np.sqrt(np.log2(1.0 + np.maximum(degrees, 1)))) @ weights).tocsr()
        norms = _norms(weights)
        return Product(weights.T.tocsr(), weights, norms, norms**self.balance, self.shrinkage)


def nearest(product: Product, *, per_item: int) -> csr_matrix:
    """The `per_item` largest positive cells off the diagonal of each row of the product."""
    n_items = product.left.shape[0]
    step = max(1, PRODUCT_CELLS // max(n_items, 1))
    starts = range(0, n_items, step)
    with ThreadPoolExecutor(THREADS) as pool:
        found = pool.map(lambda start: _nearest_rows(product, start, start + step, per_item), starts)
        return vstack(list(found), format="csr")


def _nearest_rows(product: Product, start: int, end: int, per_item: int) -> csr_matrix:
    values = product.dividends(start, end).toarray().astype(np.float32, copy=False)
    divisor = np.outer(product.rows[start:end], product.columns).astype(np.float32)
    divisor += np.float32(product.shrinkage)
    np.divide(values, divisor, out=values, where=divisor > 0)
    here = np.arange(len(values))
    values[here, here + start] = 0.0
    best = top(values, per_item)
    score = np.take_along_axis(values, best, axis=1)
    row, place = np.nonzero(score > 0)
    return csr_matrix((score[row, place], (row, best[row, place])), shape=values.shape)


def _norms(weights: csr_matrix) -> Floats:
    """The length of each column."""
    return np.sqrt(np.asarray(weights.power(2).sum(axis=0)).ravel())


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
