"""BG/NBD: values worked out by hand, limits with a simple answer, and parameters that a simulation is made with."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.special import hyp2f1

from models.bg_nbd import BgNbd, Fit, Histories, _likelihood, _slopes

CDNOW = BgNbd(0.243, 4.414, 0.793, 2.426)  # the estimates of Fader, Hardie & Lee 2005
SIMPLE = BgNbd(1.0, 1.0, 1.0, 1.0)
# One purchase at 0, one at 1, and it is 3.
ONE_REPEAT = {"x": [1], "t_x": [1], "age": [3]}


def histories(x: list[float], t_x: list[float], age: list[float], n: list[float] | None = None) -> Histories:
    return Histories(*(np.array(values, dtype=float) for values in (x, t_x, age, n or [1.0] * len(x))))


def test_likelihood_without_a_repeat_is_that_of_a_gamma_rate_that_shows_nothing() -> None:
    silent = histories([0], [0], [3])
    assert np.exp(BgNbd(2.0, 3.0, 0.5, 0.5).log_likelihood(silent)) == pytest.approx([(3 / 6) ** 2])


def test_likelihood_and_chance_to_be_alive_after_one_repeat() -> None:
    # A1 = 1, A2 = 1/2, alive 1/4^2, gone 1/2^2: 1/2 * (1/16 + 4/16).
    one = histories(**ONE_REPEAT)
    assert np.exp(SIMPLE.log_likelihood(one)) == pytest.approx([5 / 32])
    assert SIMPLE.p_alive(one) == pytest.approx([1 / 5])


def test_expected_purchases_where_the_published_form_divides_by_zero() -> None:
    # a = 1, Beta(1, 2), horizon 4 = alpha + age: the mean of (2 + p) / (1 + p)^2 is 2 ln 2.
    assert SIMPLE.expected_purchases(histories(**ONE_REPEAT), 4.0) == pytest.approx([1 / 5 * 2 * np.log(2)])


def test_no_purchase_comes_of_who_is_gone_or_waits_longer_than_the_horizon() -> None:
    assert SIMPLE.p_no_purchase(histories(**ONE_REPEAT), 4.0) == pytest.approx([4 / 5 + 1 / 5 * (4 / 8) ** 2])
    assert SIMPLE.p_no_purchase(histories(**ONE_REPEAT), 0.0) == pytest.approx([1.0])


def test_nobody_leaves_before_a_repeat() -> None:
    assert CDNOW.p_alive(histories([0, 0], [0, 0], [1, 500])).tolist() == [1.0, 1.0]


def test_where_nobody_leaves_the_rate_goes_on() -> None:
    loyal = BgNbd(2.0, 3.0, 1e-9, 1.0)
    assert loyal.expected_purchases(histories([4, 0], [6, 0], [9, 9]), 6.0) == pytest.approx([(2 + 4) / (3 + 9) * 6, 2 / (3 + 9) * 6])


def test_the_example_of_the_authors_spreadsheet() -> None:
    """Fader, Hardie & Lee, "Implementing the BG/NBD Model for Customer Base Analysis in Excel" (2005): 1.226 purchases in the next 39 weeks."""
    assert CDNOW.expected_purchases(histories([2], [30.43], [38.86]), 39.0) == pytest.approx([1.226], abs=5e-4)


def test_expected_purchases_are_those_of_the_published_form() -> None:
    x, t_x, age = [0, 1, 2, 7, 29], [0, 0.14, 30.43, 35, 37], [39, 38, 38.86, 36, 37.5]
    past, (r, alpha, a, b), horizon = histories(x, t_x, age), (0.243, 4.414, 0.793, 2.426), 39.0
    whole = alpha + past.age + horizon
    rest = ((alpha + past.age) / whole) ** (r + past.x) * hyp2f1(r + past.x, b + past.x, a + b + past.x - 1, horizon / whole)
    gone = np.where(past.x > 0, a / (b + past.x - 1) * ((alpha + past.age) / (alpha + past.t_x)) ** (r + past.x), 0)
    assert CDNOW.expected_purchases(past, horizon) == pytest.approx((a + b + past.x - 1) / (a - 1) * (1 - rest) / (1 + gone), rel=1e-10)


def test_long_histories_and_extreme_parameters_stay_finite() -> None:
    past = histories([0, 900, 900], [0, 1000, 1], [0, 1000, 1000])
    for model in (CDNOW, BgNbd(1e-3, 1e-3, 1e-3, 8000.0), BgNbd(8000.0, 8000.0, 8000.0, 1e-3)):
        values = [model.log_likelihood(past), model.p_alive(past), model.expected_purchases(past, 13.0), model.p_no_purchase(past, 13.0)]
        assert np.isfinite(values).all()
        assert (np.array(values[1:]) >= 0).all()


def test_slopes_are_those_of_the_likelihood() -> None:
    past, at = histories([0, 1, 4], [0, 2, 30], [9, 40, 31], [0.5, 0.3, 0.2]), np.array([0.3, 4.0, 0.8, 2.5])

    def total(parameters: np.ndarray) -> float:
        return float(np.sum(past.n * BgNbd(*parameters).log_likelihood(past)))

    alive = np.exp(_likelihood(BgNbd(*at), past)[1])
    assert _slopes(BgNbd(*at), past, past.n, alive) == pytest.approx(approx_fprime(at, total, 1e-7), rel=1e-4)


def simulated(truth: BgNbd, n: int, horizon: float) -> tuple[Histories, np.ndarray]:
    """What `n` people do in 20 to 60 weeks, and how often they buy in the `horizon` after that."""
    random = np.random.default_rng(7)
    rates, chances = random.gamma(truth.r, 1 / truth.alpha, n), random.beta(truth.a, truth.b, n)
    ages, lives = random.uniform(20, 60, n), random.geometric(chances)  # the repeat purchase that is the last one
    x, t_x, later = np.zeros(n), np.zeros(n), np.zeros(n)
    for person in range(n):
        times = np.cumsum(random.exponential(1 / rates[person], min(lives[person], 2_000)))
        past = times[times <= ages[person]]
        x[person], t_x[person] = len(past), past[-1] if len(past) else 0
        later[person] = np.sum((times > ages[person]) & (times <= ages[person] + horizon))
    return Histories(x, t_x, ages, np.ones(n)), later


def test_the_parameters_of_a_simulation_are_found_and_foretell_its_future() -> None:
    truth, horizon = BgNbd(0.8, 6.0, 0.9, 3.0), 26.0
    past, later = simulated(truth, 5_000, horizon)
    fit = Fit.of(past)
    assert fit.is_converged
    assert fit.at_bound == ()
    found = fit.model
    assert [found.r, found.alpha, found.a, found.b] == pytest.approx([0.8, 6.0, 0.9, 3.0], rel=0.2)
    assert found.a / (found.a + found.b) == pytest.approx(0.9 / 3.9, rel=0.05)
    assert fit.log_likelihood >= np.sum(truth.log_likelihood(past))
    assert np.sum(found.expected_purchases(past, horizon)) == pytest.approx(np.sum(later), rel=0.05)
    assert np.sum(found.p_no_purchase(past, horizon)) == pytest.approx(np.sum(later == 0), rel=0.02)


def test_equal_histories_may_be_counted() -> None:
    past, _ = simulated(BgNbd(0.8, 6.0, 0.9, 3.0), 300, 1.0)
    whole = Histories(past.x, np.round(past.t_x), np.ceil(past.age), past.n)
    rows, n = np.unique(np.stack([whole.x, whole.t_x, whole.age]), axis=1, return_counts=True)
    counted = Fit.of(Histories(*rows, n.astype(float)))
    assert counted.log_likelihood == pytest.approx(Fit.of(whole).log_likelihood, rel=1e-9)


def test_parameters_without_a_finite_maximum_are_named() -> None:
    """Everybody buys weekly and nobody stops: there is no difference between people, and no chance to leave."""
    fit = Fit.of(histories([10, 20, 30], [10, 20, 30], [10, 20, 30], [100, 100, 100]))
    assert {"alpha", "a"} & set(fit.at_bound)
    assert fit.model.p_alive(histories([20], [20], [20])) == pytest.approx([1.0], abs=1e-3)
