"""Implicit-feedback matrix factorisation by alternating least squares, with confidences that fade and a regularisation that follows the frequency.

    minimise  sum over all (u, i) of c_ui (p_ui - x_u . y_i)^2  +  sum over u of r_u |x_u|^2  +  sum over i of r_i |y_i|^2

with p = 1 where there is an event, else 0, and c = 1 + alpha * w (Hu, Koren & Volinsky, ICDM 2008), w being 1 on average before fading. The
regularisation is that of Rendle, Krichene, Zhang & Koren, "Revisiting the Performance of iALS on Item Recommendation Benchmarks" (RecSys
2022, section 3): it grows with (n_u + a0 * n_items)^nu for a person with n_u items, and with (n_i + a0 * n_users)^nu for an item. a0 is their
weight of what was not seen where that of what was is 1: here 1 / alpha. `regularisation` is the geometric mean of what the mean person and the mean item get, and persons
and items together get the same: the mean person `regularisation` * sqrt(n_items / n_users). As the strength of a prior it does not depend on how much was seen: what
suits a part of the data suits the whole, and one default small dense data as well as large sparse data.

Solver: conjugate gradients (Takacs, Pilaszy & Tikk, RecSys 2011) by the native kernels of the library `implicit`, which know one
regularisation for all rows. Its own for each row comes in as `factors` more columns, the unit vectors, with a confidence of -r_u: to the
kernel a negative confidence is a 0 that counts so much, and r_u times the sum of the squares of x_u is what is wanted.
"""

from dataclasses import dataclass

import numpy as np
from implicit.cpu._als import least_squares_cg
from scipy.sparse import csr_matrix, hstack

from models.recommenders.events import Events, Floats, Ints

INITIAL_SCALE = 0.1  # standard deviation of |x|, as in Rendle et al.: drawn with scale / sqrt(factors)
CG_STEPS = 3


@dataclass(frozen=True)
class Als:
    """`alpha` unitless; `regularisation` in units of the confidence; `nu` 0 regularises all rows alike; `power` 0 takes each pair as 1, 1 by its summed weight."""

    factors: int = 64
    regularisation: float = 42.0
    alpha: float = 10.0
    nu: float = 1.0
    power: float = 0.0
    half_life: float | None = None
    iterations: int = 10

    def fit(self, events: Events, *, seed: int) -> "Factors":
        """The factors after `iterations` rounds, from small random ones."""
        weights = events.matrix(power=self.power, half_life=self.half_life)
        level = events.matrix(power=self.power).data.mean() if weights.nnz else 1.0
        weights.data = 1.0 + np.float32(self.alpha / level) * weights.data
        random = np.random.default_rng(seed)
        scale = INITIAL_SCALE / np.sqrt(self.factors)
        persons, items = (random.standard_normal((n, self.factors), dtype=np.float32) * np.float32(scale) for n in weights.shape)
        by_person, by_item = (
            with_regularisation(side, self.strengths(side, n_rows=side.shape[0], n_cells=side.nnz), self.factors) for side in (weights, weights.T.tocsr())
        )
        for _ in range(self.iterations):
            solve(by_person, persons, items)
            solve(by_item, items, persons)
        persons[np.diff(weights.indptr) == 0] = 0.0  # what the solver leaves of the first draw
        return Factors(persons, items)

    def strengths(self, weights: csr_matrix, *, n_rows: int, n_cells: int) -> Floats:
        """The regularisation of each row of `weights`, which may be a part of all `n_rows` rows of its side, with `n_cells` cells."""
        n_columns, mean = weights.shape[1], n_cells / max(n_rows, 1)
        unseen = n_columns / self.alpha
        return self.regularisation * np.sqrt(n_columns / max(n_rows, 1)) * ((np.diff(weights.indptr) + unseen) / (mean + unseen)) ** self.nu


@dataclass(frozen=True)
class Factors:
    """Latent factors, float32: one row per user and one per item."""

    persons: Floats
    items: Floats

    def scores(self, users: Ints) -> Floats:
        """The predicted preference, near 1 for what a user likes."""
        return self.persons[users] @ self.items.T


def with_regularisation(confidence: csr_matrix, strengths: Floats, factors: int) -> csr_matrix:
    """The rows with `factors` more cells each, at the columns after the last: minus the row's regularisation."""
    n_rows = confidence.shape[0]
    data = np.repeat(-strengths.astype(np.float32), factors)
    columns = np.tile(np.arange(factors, dtype=np.int32), n_rows)
    own = csr_matrix((data, columns, np.arange(0, n_rows * factors + 1, factors, dtype=np.int32)), shape=(n_rows, factors))
    return hstack([confidence, own], format="csr")


def solve(confidence: csr_matrix, rows: Floats, other: Floats, *, steps: int = CG_STEPS, threads: int = 0) -> None:
    """One half-step: `rows` go towards the best factors for the fixed `other`, in place. The confidence is that of `with_regularisation`; `threads` 0: all cores."""
    others = np.concatenate([other, np.eye(other.shape[1], dtype=np.float32)])
    least_squares_cg(confidence, rows, others, 0.0, num_threads=threads, cg_steps=steps)
