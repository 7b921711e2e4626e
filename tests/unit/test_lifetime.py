"""Customer value of all buyers of a date: what comes of too few of them, of their order, and of money that comes later."""

import numpy as np
import pytest

from dawnlist.settings import CustomerValue
from models.bg_nbd import BgNbd, Histories
from models.lifetime import STEPS, Buyers, Values, estimate

OPTIONS = CustomerValue(horizon_days=70, lifetime_days=360, yearly_discount_rate=0.0, min_repeat_buyers=20)
COLUMNS = ("expected_purchases", "p_alive", "churn_risk", "expected_purchase_value", "lifetime_value")


def shop(n: int = 400) -> Buyers:
    """People who buy at different rates and leave at different times; how much they spend has nothing to do with it."""
    random = np.random.default_rng(11)
    rates, chances, ages = random.gamma(0.9, 1 / 30, n), random.beta(0.9, 2.0, n), random.integers(30, 300, n)
    x, t_x = np.zeros(n), np.zeros(n)
    for person in range(n):
        days = np.unique(np.ceil(np.cumsum(random.exponential(1 / rates[person], min(random.geometric(chances[person]), 500)))))
        past = days[days <= ages[person]]
        x[person], t_x[person] = len(past), past[-1] if len(past) else 0
    own = random.gamma(4.0, 10.0, n)
    return Buyers(x, t_x, ages.astype(float), np.where(x > 0, np.round(own + random.normal(0, 1, n) ** 2, 2), np.nan))


def permuted(buyers: Buyers, order: np.ndarray) -> Buyers:
    return Buyers(buyers.x[order], buyers.t_x[order], buyers.age[order], buyers.value[order])


def columns(values: Values) -> np.ndarray:
    return np.stack([getattr(values, name) for name in COLUMNS])


def test_values_are_those_of_the_recorded_parameters() -> None:
    buyers = shop()
    values, record = estimate(buyers, OPTIONS)
    assert record.notes == []
    r, alpha, a, b, p, q, gamma = (record.parameters[name] for name in ("r", "alpha", "a", "b", "p", "q", "gamma"))
    histories = Histories(buyers.x, buyers.t_x / 7, buyers.age / 7, np.ones(len(buyers.x)))
    assert values.expected_purchases == pytest.approx(BgNbd(r, alpha, a, b).expected_purchases(histories, 10.0), abs=1e-6)
    spent = buyers.x * np.nan_to_num(buyers.value)
    assert values.expected_purchase_value == pytest.approx(p * (gamma + spent) / (p * buyers.x + q - 1), abs=1e-6)
    assert record.log_likelihoods["BG/NBD"] == pytest.approx(np.sum(BgNbd(r, alpha, a, b).log_likelihood(histories)), abs=1e-4)
    assert (record.n_buyers, record.n_repeat_buyers) == (400, int(np.sum(buyers.x > 0)))


def test_the_order_of_people_changes_nothing() -> None:
    buyers = shop()
    order = np.random.default_rng(1).permutation(len(buyers.x))
    straight, record = estimate(buyers, OPTIONS)
    mixed, same = estimate(permuted(buyers, order), OPTIONS)
    assert np.array_equal(columns(straight)[:, order], columns(mixed))
    assert (record.parameters, record.log_likelihoods, record.correlation) == (same.parameters, same.log_likelihoods, same.correlation)


def test_a_lifetime_is_what_is_expected_in_it_and_worth_less_later() -> None:
    buyers = shop()
    plain, _ = estimate(buyers, OPTIONS)
    whole, _ = estimate(buyers, OPTIONS.model_copy(update={"horizon_days": 360}))
    assert plain.lifetime_value == pytest.approx(whole.expected_purchases * plain.expected_purchase_value, rel=1e-4, abs=1e-4)
    discounted, _ = estimate(buyers, OPTIONS.model_copy(update={"yearly_discount_rate": 1.0}))
    first, last = 2 ** (-15 / 365), 2 ** (-345 / 365)  # the middles of the first and of the last of twelve months
    assert STEPS == 12
    assert np.all(discounted.lifetime_value < plain.lifetime_value * first + 1e-5)
    assert np.all(discounted.lifetime_value > plain.lifetime_value * last - 1e-5)


def test_too_few_repeat_buyers_have_no_value_and_it_is_said_why() -> None:
    buyers = permuted(shop(), np.arange(25))
    assert 0 < int(np.sum(buyers.x > 0)) < 20
    values, record = estimate(buyers, OPTIONS)
    assert np.isnan(columns(values)).all()
    assert record.parameters == {}
    assert record.notes == [
        f"{name} was not fitted: {int(np.sum(buyers.x > 0))} buyers have bought again, at least customer_value.min_repeat_buyers = 20 must."
        for name in ("BG/NBD", "Gamma-Gamma")
    ]


def test_where_everything_was_sent_back_only_the_money_is_unknown() -> None:
    buyers = shop()
    values, record = estimate(Buyers(buyers.x, buyers.t_x, buyers.age, buyers.value * 0), OPTIONS)
    assert np.isfinite(values.expected_purchases).all()
    assert np.isnan(values.expected_purchase_value).all()
    assert np.isnan(values.lifetime_value).all()
    assert [note.split(" was")[0] for note in record.notes] == ["Gamma-Gamma"]


def test_a_heavy_tail_without_a_mean_is_not_used() -> None:
    buyers = shop()
    value = np.where(buyers.x > 0, np.random.default_rng(2).pareto(0.6, len(buyers.x)) + 0.01, np.nan)
    values, record = estimate(Buyers(buyers.x, buyers.t_x, buyers.age, value), OPTIONS)
    assert np.isnan(values.expected_purchase_value).all()
    assert "p" not in record.parameters
    assert any("is infinite" in note for note in record.notes)


def test_nobody_at_all_has_no_value() -> None:
    nobody = np.array([])
    values, record = estimate(Buyers(nobody, nobody, nobody, nobody), OPTIONS)
    assert columns(values).shape == (5, 0)
    assert record.n_buyers == 0
