"""The best items by inner product, against a sort of all products."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from spark_jobs import inner_products
from spark_jobs.inner_products import Catalogue, best
from spark_jobs.interactions import Block


def sorted_by_hand(queries: np.ndarray, vectors: np.ndarray, hidden: np.ndarray, eligible: np.ndarray, n: int) -> list[list[tuple[int, float]]]:
    """(item, rounded score) of each query: every product, rounded, sorted by falling score and rising number."""
    scores = np.round((queries @ vectors.T).astype(np.float64), 6)
    return [
        sorted(((int(item), float(row[item])) for item in eligible if row[item] > 0 and not out[item]), key=lambda one: (-one[1], one[0]))[:n]
        for row, out in zip(scores, hidden, strict=True)
    ]


def found(queries: np.ndarray, vectors: np.ndarray, hidden: np.ndarray, eligible: np.ndarray, n: int) -> list[list[tuple[int, float]]]:
    catalogue = Catalogue.of(vectors, eligible, wanted=n)
    cells = csr_matrix(hidden)
    block = Block(0, cells.indptr, cells.indices, weights=np.ones(cells.nnz), ages=np.zeros(cells.nnz), hidden=np.ones(cells.nnz, bool))
    rows, items, scores = best(queries, catalogue.hidden(block), catalogue, n)
    assert (np.diff(rows) >= 0).all()
    return [[(int(item), float(score)) for item, score in zip(items[rows == row], scores[rows == row], strict=True)] for row in range(len(queries))]


# Halves of small numbers: products are exact in 32 bits, and many are the same.
@hypothesis_settings(deadline=None, max_examples=150)
@given(st.integers(1, 300), st.integers(1, 400), st.integers(1, 6), st.integers(1, 30), st.floats(0, 1), st.floats(0, 3), st.integers(0, 2**32 - 1))
def test_they_are_those_of_a_sort_of_all_products(n_queries: int, n_items: int, factors: int, n: int, share: float, fall: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    queries, vectors = (random.integers(-4, 5, (rows, factors)).astype(np.float32) / 2 for rows in (n_queries, n_items))
    vectors /= np.float32(2) ** np.floor(fall * random.exponential(size=(n_items, 1)))  # some are longer by far
    hidden = random.random((n_queries, n_items)) < share / 2
    eligible = np.flatnonzero(random.random(n_items) < 0.9)
    if len(eligible):
        assert found(queries, vectors, hidden, eligible, n) == sorted_by_hand(queries, vectors, hidden, eligible, n)


def long_tail(n_items: int, seed: int) -> np.ndarray:
    """Vectors of 16 numbers, of which few are long."""
    random = np.random.default_rng(seed)
    vectors = random.standard_normal((n_items, 16), dtype=np.float32)
    return vectors * (np.arange(1, n_items + 1, dtype=np.float32)[:, None] ** -0.7)


def test_short_items_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = long_tail(20_000, 1)
    queries = np.random.default_rng(2).standard_normal((64, 16), dtype=np.float32)
    catalogue = Catalogue.of(vectors, np.arange(20_000), wanted=10)
    nothing = csr_matrix((64, len(catalogue.lengths)), dtype=bool)
    expected = best(queries, nothing, catalogue, 10)
    beyond = catalogue.vectors.copy()
    beyond[inner_products.FIRST * catalogue.groups * 2 :] = np.nan  # who looks there finds nothing that is larger, and says so
    poisoned = Catalogue(beyond, catalogue.lengths, catalogue.numbers, catalogue.places, catalogue.groups)
    assert all(np.array_equal(one, other) for one, other in zip(best(queries, nothing, poisoned, 10), expected, strict=True))
    every = sorted_by_hand(queries, vectors, np.zeros((64, 20_000), bool), np.arange(20_000), 10)
    assert expected[1].tolist() == [item for row in every for item, _ in row]


def test_who_has_all_long_items_gets_short_ones() -> None:
    """What is hidden does not count towards the bound."""
    vectors = long_tail(9_000, 3)
    queries = np.random.default_rng(4).standard_normal((3, 16), dtype=np.float32)
    hidden = np.zeros((3, 9_000), bool)
    hidden[1, :8_900] = True
    hidden[2] = True
    of_all, of_few, of_none = found(queries, vectors, hidden, np.arange(9_000), 20)
    assert [of_all, of_few] == sorted_by_hand(queries[:2], vectors, hidden[:2], np.arange(9_000), 20)
    assert len(of_few) == 20
    assert of_none == []


def test_nobody_and_who_is_not_known_get_nothing() -> None:
    vectors = long_tail(50, 5)
    assert found(np.zeros((2, 16), np.float32), vectors, np.zeros((2, 50), bool), np.arange(50), 5) == [[], []]
