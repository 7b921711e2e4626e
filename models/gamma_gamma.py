"""Gamma-Gamma: what a purchase of a person is worth.

Fader & Hardie, "The Gamma-Gamma Model of Monetary Value", note 025 of 2013. A person's purchases vary around the person's own mean, gamma distributed
with shape p; the means vary over people, by a gamma distributed scale (shape q, rate gamma). How much is spent must not depend on
how often: `correlation` measures that. Numbers of equations are the note's.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from models.likelihood import maximise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

PARAMETERS: Final = ("p", "q", "gamma")
STARTS: Final = ((1.0, 2.0, 1.0), (6.0, 4.0, 0.5))


@dataclass(frozen=True)
class GammaGamma:
    """The three parameters, all positive; gamma is in the unit of the money."""

    p: float
    q: float
    gamma: float

    @property
    def mean(self) -> float:
        """The expected mean value over people; infinite for q <= 1, where the tail of the richest has no mean."""
        return self.p * self.gamma / (self.q - 1.0) if self.q > 1.0 else float("inf")

    def log_likelihood(self, x: "Floats", value: "Floats") -> "Floats":
        """Of one person with the mean `value` > 0 over `x` > 0 purchases (equation 1a)."""
        from scipy.special import gammaln

        shape = self.p * x
        constant = gammaln(shape + self.q) - gammaln(shape) - gammaln(self.q) + self.q * np.log(self.gamma)
        return constant + (shape - 1.0) * np.log(value) + shape * np.log(x) - (shape + self.q) * np.log(self.gamma + x * value)

    def expected_value(self, x: "Floats", value: "Floats") -> "Floats":
        """The expected value of a purchase of a person with the mean `value` >= 0 over `x` purchases (equation 5): the own mean, drawn towards that of
        everybody the more, the fewer purchases there were. `value` does not matter where x is 0.
        """
        return self.p * (self.gamma + x * np.where(x > 0, value, 0.0)) / (self.p * x + self.q - 1.0)


@dataclass(frozen=True)
class Fit:
    """The parameters with the highest likelihood, and the sum of the log-likelihood. `at_bound` names those without a finite maximum."""

    model: GammaGamma
    log_likelihood: float
    is_converged: bool
    at_bound: tuple[str, ...]

    @classmethod
    def of(cls, x: "Floats", value: "Floats") -> Self:
        """By maximum likelihood, without a penalty, over persons with x > 0 and value > 0, one row each. There must be one."""
        scale = float(np.mean(value))  # gamma is looked for around the mean
        scaled = value / scale
        levels, level = np.unique(x, return_inverse=True)
        n = np.bincount(level)

        def objective(logarithms: "Floats") -> tuple[float, "Floats"]:
            p, q, gamma = np.exp(logarithms)
            mean = np.sum(GammaGamma(p, q, gamma).log_likelihood(x, scaled)) / len(x)
            return float(mean), _slopes(GammaGamma(p, q, gamma), x, scaled, levels, n) * np.exp(logarithms) / len(x)

        found = maximise(objective, STARTS)
        p, q, gamma = found.parameters
        model = GammaGamma(p, q, gamma * scale)
        total = float(np.sum(model.log_likelihood(x, value)))
        return cls(model, total, found.is_converged, tuple(PARAMETERS[place] for place in found.at_bound))


def correlation(x: "Floats", value: "Floats") -> float | None:
    """Pearson's correlation of how often and how much, over persons; None where either never varies. The model assumes 0."""
    if len(x) < 2 or np.ptp(x) == 0.0 or np.ptp(value) == 0.0:
        return None
    often, much = x - np.mean(x), value - np.mean(value)
    return float(np.sum(often * much) / np.sqrt(np.sum(often**2) * np.sum(much**2)))


def _slopes(model: GammaGamma, x: "Floats", value: "Floats", levels: "Floats", n: "NDArray[np.intp]") -> "Floats":
    """The derivatives of the summed log-likelihood by p, q and gamma. `n` persons have bought as often as each of `levels`."""
    from scipy.special import digamma

    p, q, gamma = model.p, model.q, model.gamma
    whole = np.log(gamma + x * value)
    by_p = np.sum(n * levels * (digamma(p * levels + q) - digamma(p * levels))) + np.sum(x * (np.log(value) + np.log(x) - whole))
    by_q = np.sum(n * (digamma(p * levels + q) - digamma(q))) + len(x) * np.log(gamma) - np.sum(whole)
    by_gamma = len(x) * q / gamma - np.sum((p * x + q) / (gamma + x * value))
    return np.array([by_p, by_q, by_gamma])
