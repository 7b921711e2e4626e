"""The published estimates come out of the public data: CDNOW's one-tenth sample, 2,357 customers who first bought in the first quarter of 1997."""

import gzip
from collections import defaultdict
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from models import bg_nbd, gamma_gamma
from models.bg_nbd import Histories

CALIBRATION_END = date(1997, 9, 30)  # 39 weeks from the first day of 1997
HOLDOUT = timedelta(weeks=39)

Days = dict[str, dict[date, float]]


@pytest.fixture(scope="module")
def purchase_days(real_data: Callable[[str], Path]) -> Days:
    """Customer -> day -> what was spent, in dollars. Purchases of one day are one."""
    days: Days = defaultdict(lambda: defaultdict(float))
    with gzip.open(real_data("cdnow") / "CDNOW_sample.txt.gz", "rt") as lines:
        for _, customer, day, _, dollars in map(str.split, lines):
            days[customer][datetime.strptime(day, "%Y%m%d").date()] += float(dollars)
    assert len(days) == 2_357
    return days


@pytest.fixture(scope="module")
def history(purchase_days: Days) -> Histories:
    """Of each customer in the calibration period, in weeks."""
    past = [sorted(day for day in days if day <= CALIBRATION_END) for days in purchase_days.values()]
    columns = zip(*[(len(days) - 1, (days[-1] - days[0]).days / 7, (CALIBRATION_END - days[0]).days / 7, 1) for days in past], strict=True)
    return Histories(*(np.array(column, dtype=float) for column in columns))


def test_bg_nbd_estimates_are_those_of_the_paper(history: Histories) -> None:
    """Fader, Hardie & Lee 2005: r .243, alpha 4.414, a .793, b 2.426, log-likelihood -9582.4."""
    fit = bg_nbd.Fit.of(history)
    found = fit.model
    assert (round(found.r, 3), round(found.alpha, 3), round(found.a, 3), round(found.b, 3)) == pytest.approx((0.243, 4.414, 0.793, 2.426), abs=0.0011)
    assert fit.log_likelihood == pytest.approx(-9582.4, abs=0.05)
    assert fit.is_converged


def test_bg_nbd_foretells_the_next_39_weeks(history: Histories, purchase_days: Days) -> None:
    """The figures of docs/customer-value.md."""
    later = [sum(CALIBRATION_END < day <= CALIBRATION_END + HOLDOUT for day in days) for days in purchase_days.values()]
    model, weeks = bg_nbd.Fit.of(history).model, HOLDOUT.days / 7
    expected = model.expected_purchases(history, weeks)
    assert (round(float(np.sum(expected))), sum(later)) == (1_653, 1_882)
    assert round(float(np.corrcoef(expected, later)[0, 1]), 2) == 0.63
    assert (round(float(np.sum(model.p_no_purchase(history, weeks)))), later.count(0)) == (1_740, 1_673)


def test_gamma_gamma_estimates_are_those_of_the_note(history: Histories, purchase_days: Days) -> None:
    """Fader & Hardie 2013: p 6.25, q 3.74, gamma 15.44, of the 946 customers with a repeat purchase in the calibration period."""
    past = [sorted((day, spent) for day, spent in days.items() if day <= CALIBRATION_END) for days in purchase_days.values()]
    value = np.array([np.mean([spent for _, spent in days[1:]]) for days in past if len(days) > 1])
    x = history.x[history.x > 0]
    assert len(x) == 946
    fit = gamma_gamma.Fit.of(x, value)
    assert [fit.model.p, fit.model.q, fit.model.gamma] == pytest.approx([6.25, 3.74, 15.44], abs=0.0051)
    assert round(gamma_gamma.correlation(x, value) or 0.0, 2) == 0.11
    assert fit.is_converged
