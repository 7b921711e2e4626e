"""EASE^R: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data" (WWW 2019): a ridge regression of every item on all others, in closed form."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, lapack
from scipy.sparse import csr_matrix

from models.recommenders.events import Events, Floats, Ints

MAX_ITEMS = 20_000  # item by item, dense: 3.2 GB of float64 at that many, and a cubic time
BLOCK = 1000


@dataclass(frozen=True)
class Ease:
    """`regularisation` is the paper's lambda, in persons; `half_life` fades what a person's list follows from, not what is learnt."""

    regularisation: float = 200.0
    half_life: float | None = None

    def fit(self, events: Events, *, seed: int) -> "Regression":
        """Exact; ValueError with more than MAX_ITEMS items."""
        if events.n_items > MAX_ITEMS:
            raise ValueError(f"EASE^R holds an item-by-item matrix: {events.n_items} items are more than {MAX_ITEMS}")
        weights = _inverse(_gram(events.seen), self.regularisation)
        weights /= -np.diag(weights).copy()
        np.fill_diagonal(weights, 0.0)
        return Regression(events.matrix(power=0, half_life=self.half_life), weights.astype(np.float32, order="C"))


@dataclass(frozen=True)
class Regression:
    """score = profile of the user @ weights (item by item, dense, nought on the diagonal)."""

    profiles: csr_matrix
    weights: Floats

    def scores(self, users: Ints) -> Floats:
        """The regression's values."""
        return np.asarray(self.profiles[users] @ self.weights, dtype=np.float32)


def _gram(seen: csr_matrix) -> Floats:
    """How many persons two items have in common: item by item, dense, a block of items at a time."""
    n_items = seen.shape[1]
    by_item = seen.T.tocsr()
    gram = np.empty((n_items, n_items), order="F")
    for start in range(0, n_items, BLOCK):
        gram[:, start : start + BLOCK] = (by_item[start : start + BLOCK] @ seen).toarray().T
    return gram


def _inverse(gram: Floats, regularisation: float) -> Floats:
    """(gram + regularisation * identity)^-1 by Cholesky, in the memory of `gram`; LinAlgError where that is not positive definite."""
    gram[np.diag_indices_from(gram)] += regularisation
    factor, _ = cho_factor(gram, lower=True, overwrite_a=True, check_finite=False)
    inverse, failed = lapack.dpotri(factor, lower=True, overwrite_c=True)
    if failed:
        raise np.linalg.LinAlgError("the matrix of common persons cannot be inverted")
    for start in range(0, len(inverse), BLOCK):  # LAPACK gives the lower half
        block = slice(start, start + BLOCK)
        below = np.tril(inverse[block, block])
        inverse[block, block] = below + np.tril(below, -1).T
        inverse[block, start + BLOCK :] = inverse[start + BLOCK :, block].T
    return inverse
