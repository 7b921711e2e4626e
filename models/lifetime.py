"""Customer value: BG/NBD and Gamma-Gamma fitted to all buyers of a date, and what they say of each of them. docs/customer-value.md has the formulas."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from models import bg_nbd, gamma_gamma
from models.bg_nbd import Histories

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dawnlist.settings import CustomerValue

    Floats = NDArray[np.float64]

UNIT_DAYS: Final = 7.0  # BG/NBD counts in weeks, as its paper does
YEAR_DAYS: Final = 365.0
STEPS: Final = 12  # a lifetime is discounted in so many equal steps, each at its middle
DIGITS: Final = 6  # after the point of a value; of a parameter, significant ones


@dataclass(frozen=True)
class Buyers:
    """One row per buyer: `x` repeat purchase days, the last of them `t_x` days after the first purchase, which was `age` days ago; `value` is the mean net
    revenue of the repeats, NaN where x is 0.
    """

    x: "Floats"
    t_x: "Floats"
    age: "Floats"
    value: "Floats"


@dataclass(frozen=True)
class Values:
    """One row per buyer, in their order; NaN where a model could not be fitted."""

    expected_purchases: "Floats"
    p_alive: "Floats"
    churn_risk: "Floats"
    expected_purchase_value: "Floats"
    lifetime_value: "Floats"


@dataclass
class Record:
    """How the models were fitted. `parameters` has r, alpha (weeks), a, b, p, q and gamma, those of a model that could not be used left out; `notes` say why."""

    n_buyers: int
    n_repeat_buyers: int
    parameters: dict[str, float] = field(default_factory=dict)
    log_likelihoods: dict[str, float] = field(default_factory=dict)
    correlation: float | None = None
    notes: list[str] = field(default_factory=list)


def estimate(buyers: Buyers, options: "CustomerValue") -> tuple[Values, Record]:
    """The value of each buyer, and how it was found. The same buyers in another order have the same values."""
    record = Record(n_buyers=len(buyers.x), n_repeat_buyers=int(np.sum(buyers.x > 0)))
    rows, group = np.unique(np.stack([buyers.x, buyers.t_x, buyers.age]), axis=1, return_inverse=True)
    n = np.bincount(group, minlength=rows.shape[1]).astype(float)
    histories = Histories(rows[0], rows[1] / UNIT_DAYS, rows[2] / UNIT_DAYS, n)
    purchases, money = _purchases(histories, record, options), _money(buyers, record, options)
    unknown = np.full(len(n), np.nan)
    expected, alive, churn, worth = unknown, unknown, unknown, unknown
    if purchases:
        expected = purchases.expected_purchases(histories, options.horizon_days / UNIT_DAYS)
        alive, churn = purchases.p_alive(histories), purchases.p_no_purchase(histories, options.horizon_days / UNIT_DAYS)
        worth = _discounted_purchases(purchases, histories, options)
    value = money.expected_value(buyers.x, buyers.value) if money else np.full(len(buyers.x), np.nan)
    found = (expected[group], alive[group], churn[group], value, worth[group] * value)
    return Values(*(np.round(column, DIGITS) + 0.0 for column in found)), record


def _purchases(histories: Histories, record: Record, options: "CustomerValue") -> bg_nbd.BgNbd | None:
    if _are_too_few("BG/NBD", record.n_repeat_buyers, record, options):
        return None
    fit = bg_nbd.Fit.of(histories)
    if not _is_usable("BG/NBD", fit, record):
        return None
    model = bg_nbd.BgNbd(*(_significant(getattr(fit.model, name)) for name in bg_nbd.PARAMETERS))
    _keep("BG/NBD", model, bg_nbd.PARAMETERS, float(np.sum(histories.n * model.log_likelihood(histories))), record)
    return model


def _money(buyers: Buyers, record: Record, options: "CustomerValue") -> gamma_gamma.GammaGamma | None:
    valued = np.flatnonzero((buyers.x > 0) & (np.nan_to_num(buyers.value) > 0))
    valued = valued[np.lexsort((buyers.value[valued], buyers.x[valued]))]
    x, value = buyers.x[valued], buyers.value[valued]
    if _are_too_few("Gamma-Gamma", len(x), record, options):
        return None
    correlation = gamma_gamma.correlation(x, value)
    record.correlation = None if correlation is None else round(correlation, DIGITS)
    fit = gamma_gamma.Fit.of(x, value)
    if not _is_usable("Gamma-Gamma", fit, record):
        return None
    model = gamma_gamma.GammaGamma(*(_significant(getattr(fit.model, name)) for name in gamma_gamma.PARAMETERS))
    if model.q <= 1.0:
        record.notes.append(f"Gamma-Gamma was not used: with q = {model.q:g} the mean value of a purchase is infinite.")
        return None
    _keep("Gamma-Gamma", model, gamma_gamma.PARAMETERS, float(np.sum(model.log_likelihood(x, value))), record)
    return model


def _discounted_purchases(model: bg_nbd.BgNbd, histories: Histories, options: "CustomerValue") -> "Floats":
    """Expected purchases of the lifetime, each worth less the later it comes."""
    ends = np.linspace(0.0, options.lifetime_days, STEPS + 1)
    total, before = np.zeros_like(histories.x), np.zeros_like(histories.x)
    for start, end in pairwise(ends):
        until = model.expected_purchases(histories, float(end) / UNIT_DAYS)
        total += (until - before) / (1.0 + options.yearly_discount_rate) ** ((start + end) / 2.0 / YEAR_DAYS)
        before = until
    return total


def _is_usable(name: str, fit: Any, record: Record) -> bool:
    if not fit.is_converged:
        record.notes.append(f"{name} was not used: its likelihood has no maximum that could be found.")
    elif fit.at_bound:
        record.notes.append(f"{name}: {', '.join(fit.at_bound)} at the end of the range that is searched; people hardly differ in what it describes.")
    return bool(fit.is_converged)


def _keep(name: str, model: Any, parameters: tuple[str, ...], log_likelihood: float, record: Record) -> None:
    record.parameters |= {parameter: getattr(model, parameter) for parameter in parameters}
    record.log_likelihoods[name] = round(log_likelihood, DIGITS)


def _are_too_few(name: str, n: int, record: Record, options: "CustomerValue") -> bool:
    if n < options.min_repeat_buyers:
        record.notes.append(
            f"{name} was not fitted: {n} buyers have bought again, at least customer_value.min_repeat_buyers = {options.min_repeat_buyers} must."
        )
    return n < options.min_repeat_buyers


def _significant(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
