"""BG/NBD: how often people without a contract will buy again, and whether they still do.

Fader, Hardie & Lee, "'Counting Your Customers' the Easy Way: An Alternative to the Pareto/NBD Model", Marketing Science 24(2), 2005.
While a person is alive as a customer, purchases come at a constant rate, which is gamma distributed over people (shape r, rate alpha). After
each repeat purchase the person leaves for good with a probability that is beta distributed over people (a, b). Numbers of equations are the paper's.

What it needs of a person is `Histories`; times are in one unit, which alpha is in as well.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from models.likelihood import maximise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

PARAMETERS: Final = ("r", "alpha", "a", "b")
# Of the integral over the chance to leave. 128 nodes keep 7 digits while a horizon is at most 1000 times as long as alpha + age, and 14 until 10 times.
NODES: Final = 128
# Shapes r, alpha, a, b that a search starts from: in the middle; and few who buy often, of whom most stay.
STARTS: Final = ((1.0, 1.0, 1.0, 1.0), (0.25, 0.1, 0.8, 2.5), (2.0, 0.5, 0.2, 2.0))


@dataclass(frozen=True)
class Histories:
    """One row per different history, all arrays of one length: `x` repeat purchases, the last of them `t_x` after the first purchase of all (0
    without a repeat), which was `age` (the paper's T) ago; `n` persons share it. 0 <= t_x <= age.
    """

    x: "Floats"
    t_x: "Floats"
    age: "Floats"
    n: "Floats"


@dataclass(frozen=True)
class BgNbd:
    """The four parameters, all positive: r and alpha of the rate, a and b of the chance to leave."""

    r: float
    alpha: float
    a: float
    b: float

    def log_likelihood(self, histories: Histories) -> "Floats":
        """Of one person with each history (equation 6, with logarithms: Fader & Hardie's note 027 of 2013 against overflow)."""
        return _likelihood(self, histories)[0]

    def p_alive(self, histories: Histories) -> "Floats":
        """The probability to be alive after `age`; 1 without a repeat purchase, as nobody leaves before one (Fader, Hardie & Lee's note 021 of 2008)."""
        return np.exp(_likelihood(self, histories)[1])

    def expected_purchases(self, histories: Histories, horizon: float) -> "Floats":
        """Expected purchases in the `horizon` after `age` (equation 10).

        Instead of its hypergeometric function, which loses digits where a is near 1 or parameters are large, the integral that it comes
        from is taken: over the chance to leave, which is Beta(a, b + x) of a person who is alive.
        """
        while_alive = np.zeros_like(histories.x)
        for x in np.unique(histories.x):
            rows = np.flatnonzero(histories.x == x)
            ages, age = np.unique(histories.age[rows], return_inverse=True)  # the time of the last purchase does not matter here
            chance, weight = _beta_rule(self.a, self.b + x)
            # (1 - (1 + p * horizon / (alpha + age))^-(r + x)) / p: expm1 and log1p keep its digits.
            counts = -np.expm1(-(self.r + x) * np.log1p(np.outer(horizon / (self.alpha + ages), chance))) / chance
            while_alive[rows] = np.sum(counts * weight, axis=1)[age]
        return self.p_alive(histories) * while_alive

    def p_no_purchase(self, histories: Histories, horizon: float) -> "Floats":
        """The probability that nothing is bought in the `horizon` after `age`: gone, or alive and without a purchase.

        Of a person who is alive the rate is gamma distributed with shape r + x and rate alpha + age, so that the chance to buy nothing is
        its Laplace transform at the horizon.
        """
        nothing = -(self.r + histories.x) * np.log1p(horizon / (self.alpha + histories.age))
        return 1.0 + self.p_alive(histories) * np.expm1(nothing)


@dataclass(frozen=True)
class Fit:
    """The parameters with the highest likelihood, and the sum of the log-likelihood over all persons. `at_bound` names those without a finite maximum."""

    model: BgNbd
    log_likelihood: float
    is_converged: bool
    at_bound: tuple[str, ...]

    @classmethod
    def of(cls, histories: Histories) -> Self:
        """By maximum likelihood, without a penalty. There must be a repeat purchase."""
        scale = float(np.max(histories.age))  # alpha is looked for around the longest history
        scaled = Histories(histories.x, histories.t_x / scale, histories.age / scale, histories.n)
        weight = histories.n / np.sum(histories.n)

        def objective(logarithms: "Floats") -> tuple[float, "Floats"]:
            model = BgNbd(*(float(value) for value in np.exp(logarithms)))
            value, alive = _likelihood(model, scaled)
            return float(np.sum(weight * value)), _slopes(model, scaled, weight, np.exp(alive)) * np.exp(logarithms)

        found = maximise(objective, STARTS)
        r, alpha, a, b = found.parameters
        model = BgNbd(r, alpha * scale, a, b)
        total = float(np.sum(histories.n * model.log_likelihood(histories)))
        return cls(model, total, found.is_converged, tuple(PARAMETERS[place] for place in found.at_bound))


def _likelihood(model: BgNbd, histories: Histories) -> tuple["Floats", "Floats"]:
    """The log-likelihood of each history, and the logarithm of the part of the likelihood in which the person is alive."""
    from scipy.special import gammaln

    r, alpha, a, b = model.r, model.alpha, model.a, model.b
    levels, level = np.unique(histories.x, return_inverse=True)
    of_level = gammaln(r + levels) - gammaln(r) + r * np.log(alpha) + gammaln(a + b) + gammaln(b + levels) - gammaln(b) - gammaln(a + b + levels)
    shape, has_repeat = r + histories.x, histories.x > 0
    alive = -shape * np.log(alpha + histories.age)
    gone = np.log(a) - np.log(b + np.where(has_repeat, histories.x, 1.0) - 1.0) - shape * np.log(alpha + histories.t_x)
    both = np.where(has_repeat, np.logaddexp(alive, gone), alive)
    return of_level[level] + both, alive - both


def _slopes(model: BgNbd, histories: Histories, weight: "Floats", alive: "Floats") -> "Floats":
    """The derivatives of the mean log-likelihood by r, alpha, a and b. `weight` adds up to 1; `alive` is the probability to be alive."""
    from scipy.special import digamma

    r, alpha, a, b = model.r, model.alpha, model.a, model.b
    levels, level = np.unique(histories.x, return_inverse=True)
    by_level = np.bincount(level, weights=weight)
    gone, until_now, until_last = 1.0 - alive, alpha + histories.age, alpha + histories.t_x
    repeats = np.where(histories.x > 0, histories.x, 1.0)
    by_r = np.sum(by_level * (digamma(r + levels) - digamma(r))) + np.log(alpha) - np.sum(weight * (alive * np.log(until_now) + gone * np.log(until_last)))
    by_alpha = r / alpha - np.sum(weight * (r + histories.x) * (alive / until_now + gone / until_last))
    together = digamma(a + b) - digamma(a + b + levels)
    by_a = np.sum(by_level * together) + np.sum(weight * gone) / a
    by_b = np.sum(by_level * (together - digamma(b) + digamma(b + levels))) - np.sum(weight * gone / (b + repeats - 1.0))
    return np.array([by_r, by_alpha, by_a, by_b])


@lru_cache(maxsize=1024)
def _beta_rule(a: float, b: float) -> tuple["Floats", "Floats"]:
    """Nodes and weights of the Gauss quadrature for the mean over Beta(a, b) (Golub & Welsch 1969; recurrence of the Jacobi polynomials)."""
    from scipy.linalg import eigh_tridiagonal

    n, left, right = np.arange(1.0, NODES), b - 1.0, a - 1.0
    total = left + right
    middle = np.concatenate([[(right - left) / (total + 2.0)], (right**2 - left**2) / ((2 * n + total) * (2 * n + total + 2.0))])
    first = 4.0 * (1.0 + left) * (1.0 + right) / ((2.0 + total) ** 2 * (3.0 + total))
    n = n[1:]
    rest = 4.0 * n * (n + left) * (n + right) * (n + total) / ((2 * n + total) ** 2 * (2 * n + total + 1.0) * (2 * n + total - 1.0))
    nodes, vectors = eigh_tridiagonal(middle, np.sqrt(np.concatenate([[first], rest])))
    return (1.0 + nodes) / 2.0, vectors[0] ** 2
