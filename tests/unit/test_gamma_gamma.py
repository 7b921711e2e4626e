"""Gamma-Gamma: values worked out by hand, and parameters that a simulation is made with."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from models.gamma_gamma import Fit, GammaGamma, _slopes, correlation

MODEL = GammaGamma(p=1.0, q=2.0, gamma=3.0)


def test_likelihood_of_two_purchases() -> None:
    # G(4) / (G(2) G(2)) * 3^2 * 3 * 2^2 / (3 + 2 * 3)^4 = 6 * 9 * 3 * 4 / 6561
    assert np.exp(MODEL.log_likelihood(np.array([2.0]), np.array([3.0]))) == pytest.approx([8 / 81])


def test_few_purchases_are_drawn_towards_the_mean_of_all() -> None:
    x, value = np.array([0.0, 2.0, 2.0, 1e9]), np.array([np.nan, 6.0, 0.0, 6.0])
    assert MODEL.mean == 3.0
    assert MODEL.expected_value(x, value) == pytest.approx([3.0, (3 + 12) / 3, 1.0, 6.0])


def test_without_a_finite_mean_it_says_so() -> None:
    assert GammaGamma(1.0, 1.0, 3.0).mean == float("inf")


def test_correlation_is_pearsons() -> None:
    # Deviations -1, 0, 1 and -1, 2, -1: nothing in common; and -1, 1, 0: half of it.
    assert correlation(np.array([1.0, 2, 3]), np.array([1.0, 4, 1])) == pytest.approx(0.0)
    assert correlation(np.array([1.0, 2, 3]), np.array([1.0, 3, 2])) == pytest.approx(0.5)
    assert correlation(np.array([1.0, 1, 1]), np.array([1.0, 3, 2])) is None


def test_slopes_are_those_of_the_likelihood() -> None:
    x, value, at = np.array([1.0, 1, 4]), np.array([2.0, 9, 5]), np.array([6.0, 4.0, 15.0])
    levels, n = np.unique(x, return_counts=True)
    by_hand = approx_fprime(at, lambda parameters: float(np.sum(GammaGamma(*parameters).log_likelihood(x, value))), 1e-7)
    assert _slopes(GammaGamma(*at), x, value, levels, n) == pytest.approx(by_hand, rel=1e-4)


def test_the_parameters_of_a_simulation_are_found_in_any_currency() -> None:
    random, n, (p, q, gamma) = np.random.default_rng(3), 5_000, (4.0, 3.5, 20.0)
    x = random.integers(1, 12, n).astype(float)
    value = random.gamma(p * x, 1 / random.gamma(q, 1 / gamma, n)) / x
    euros, cents = Fit.of(x, value), Fit.of(x, value * 100)
    assert euros.is_converged
    assert euros.at_bound == ()
    assert [euros.model.p, euros.model.q, euros.model.gamma] == pytest.approx([p, q, gamma], rel=0.1)
    assert euros.model.mean == pytest.approx(4.0 * 20.0 / 2.5, rel=0.03)
    assert [cents.model.p, cents.model.q, cents.model.gamma / 100] == pytest.approx([euros.model.p, euros.model.q, euros.model.gamma], rel=1e-6)
