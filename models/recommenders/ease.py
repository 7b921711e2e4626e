"""EASE^R: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data" (WWW 2019): a ridge regression of every item on all others, in closed form."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve, lapack
from scipy.sparse import csr_matrix

from models.recommenders.events import Events, Floats, Ints

MAX_ITEMS = 20_000  # item by item, dense: 3.2 GB of float64 at that many


@dataclass(frozen=True)
class Ease:
    """`regularisation` is the paper's lambda, in persons; `half_life` fades what a person's list follows from, not what is learnt."""

    regularisation: float = 200.0
    half_life: float | None = None

    def fit(self, events: Events, *, seed: int) -> "Regression":
        """Exact; ValueError with more than MAX_ITEMS items."""
        if events.n_items > MAX_ITEMS:
            raise ValueError(f"EASE^R holds an item-by-item matrix: {events.n_items} items are more than {MAX_ITEMS}")
        inverse = _inverse((events.seen.T @ events.seen).astype(np.float64).toarray(order="F"), self.regularisation)
        weights = inverse / -np.diag(inverse)
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


def _inverse(gram: Floats, regularisation: float) -> Floats:
    """(gram + regularisation * identity)^-1 by Cholesky, in place of `gram`."""
    gram[np.diag_indices_from(gram)] += regularisation
    factor, _ = cho_factor(gram, lower=True, overwrite_a=True, check_finite=False)
    inverse, failed = lapack.dpotri(factor, lower=True, overwrite_c=True)
    if failed:
        return cho_solve((factor, True), np.eye(len(gram)))
    upper = np.triu_indices_from(inverse, 1)
    inverse[upper] = inverse.T[upper]
    return inverse
