"""The statistics of the day's checks, against answers worked out by hand, and against SciPy."""

from collections import Counter
from math import inf, log, sqrt

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from expectations.statistics import NORMAL_MAD, effective_size, ks, ks_by_chance, psi, psi_by_chance, robust_z

Counts = list[tuple[int | float | str | None, int, int]]


def value(query: str) -> float:
    rows = duckdb.sql(query).fetchall()
    return float(rows[0][0])


def relation(name: str, counts: Counts) -> str:
    rows = ", ".join(f"({'NULL' if x is None else repr(x)}, {n_day}, {n_reference})" for x, n_day, n_reference in counts)
    return f"FROM (VALUES {rows}) AS counts ({name}, n_day, n_reference)"


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([("a", 3, 1), ("b", 1, 3)], 2 / 3 * log(2)),  # 4/6 and 2/6 against 2/6 and 4/6
        ([("a", 8, 4), ("b", 0, 4)], 0.4 * log(9)),  # 9/10 and 1/10 against halves: 0.4 ln(9/5) - 0.4 ln(1/5)
        ([(None, 3, 1), ("b", 1, 3)], 2 / 3 * log(2)),  # NULL is a category
        ([("a", 5, 50), ("b", 5, 50)], 0.0),
        ([("a", 1000, 1000)], 0.0),
    ],
)
def test_psi_by_hand(counts: Counts, expected: float) -> None:
    assert value(psi(relation("category", counts))) == pytest.approx(expected, abs=1e-12)


def test_psi_takes_rare_categories_as_one() -> None:
    common = [(f"common{number:02}", 100, 100) for number in range(20)]
    rare = [("rare0", 10, 1), *((f"rare{number}", 0, 1) for number in range(1, 10))]  # ten events on either side, of different kinds
    assert value(psi(relation("category", common + rare))) == pytest.approx(0, abs=1e-12)
    assert duckdb.sql(f"SELECT k FROM ({psi(relation('category', common + rare))})").fetchall() == [(21,)]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([(1, 1, 0), (2, 1, 1), (3, 0, 1)], 0.5),  # {1, 2} against {2, 3}: at 1 the gap is 1/2 - 0, at 2 it is 1 - 1/2
        ([(1.5, 10, 0), (150.0, 0, 30)], 1.0),  # a price times 100
        ([(1, 2, 20), (5, 8, 80)], 0.0),
        ([(1, 1, 9), (2, 9, 1), (None, 90, 1)], 0.8),  # missing values are no values
    ],
)
def test_ks_by_hand(counts: Counts, expected: float) -> None:
    assert value(ks(relation("x", counts))) == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.integers(-3, 3), min_size=1), st.lists(st.integers(-3, 3), min_size=1))
@settings(max_examples=25, deadline=None)
def test_ks_is_scipys(day: list[int], reference: list[int]) -> None:
    of_day, of_reference = Counter(day), Counter(reference)
    counts: Counts = [(x, of_day[x], of_reference[x]) for x in sorted({*day, *reference})]
    assert value(ks(relation("x", counts))) == pytest.approx(ks_2samp(day, reference).statistic, abs=1e-9)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=15))
@settings(max_examples=25, deadline=None)
def test_psi_is_symmetric_and_never_negative(pairs: list[tuple[int, int]]) -> None:
    there: Counts = [(number, *pair) for number, pair in enumerate(pairs)]
    back: Counts = [(number, b, a) for number, (a, b) in enumerate(pairs)]
    found = value(psi(relation("category", there)))
    assert found == pytest.approx(value(psi(relation("category", back))), abs=1e-9)
    assert 0 <= found + 1e-12 < inf


def test_robust_z_by_hand() -> None:
    """10, 11, 12, 13, 50: the median is 12, the deviations from it are 2, 1, 0, 1, 38, and their median is 1."""
    middle, mad = duckdb.sql("SELECT median(x), mad(x) FROM (VALUES (10.0), (11.0), (12.0), (13.0), (50.0)) AS history (x)").fetchall()[0]
    assert (middle, mad) == (12, 1)
    assert value(f"SELECT {robust_z('20', str(middle), str(mad), '5', '0.1')}") == pytest.approx(8 / (NORMAL_MAD * 5 / 4.2))


def test_history_without_spread_uses_the_least_one() -> None:
    assert value(f"SELECT {robust_z('13', '10', '0', '8', '2')}") == 1.5
    assert value(f"SELECT {robust_z('10', '10', '0', '8', '2')}") == 0


def test_effective_size_is_the_number_of_equal_clusters() -> None:
    assert value(f"SELECT {effective_size('n')} FROM (VALUES (7), (7), (7)) AS visitors (n)") == pytest.approx(3)
    assert value(f"SELECT {effective_size('n')} FROM (VALUES (98), (1), (1)) AS visitors (n)") == pytest.approx(10_000 / 9_606)


def test_what_chance_explains_by_hand() -> None:
    """Of 100 against 400: 1/100 + 1/400 = 1/80. Three categories have two degrees of freedom, so a chi-squared mean of 2 and deviation of 2."""
    assert value(f"SELECT {psi_by_chance('3', '100.0', '400.0')}") == pytest.approx((2 + 3 * 2) / 80)
    assert value(f"SELECT {ks_by_chance('100.0', '400.0')}") == pytest.approx(1.95 * sqrt(1 / 80))


def test_equal_distributions_stay_within_chance() -> None:
    """A hundred days of 300 visitors against 3,000, from one distribution of ten categories: about one in a hundred may go beyond."""
    query = f"""
        WITH drawn AS (SELECT day, (hash(day, visitor) % 10)::INTEGER AS x, visitor < 300 AS is_day FROM range(100) AS days (day), range(3300) AS visitors (visitor)),
        counted AS (SELECT day, x, count(*) FILTER (is_day) AS n_day, count(*) FILTER (NOT is_day) AS n_reference FROM drawn GROUP BY ALL)
        SELECT avg((found > {psi_by_chance("10", "300.0", "3000.0")})::INTEGER)
        FROM (SELECT day, sum((n_day / 300 - n_reference / 3000) * ln((n_day / 300) / (n_reference / 3000))) AS found FROM counted GROUP BY day)
    """
    assert value(query) <= 0.02
