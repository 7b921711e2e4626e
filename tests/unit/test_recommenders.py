"""The recommenders of one machine, against values worked out by hand or by a dense solve."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from models.recommenders.als import Als, solve, with_regularisation
from models.recommenders.base import top
from models.recommenders.ease import Ease
from models.recommenders.events import Events
from models.recommenders.neighbours import CoVisitation, ItemKnn, Rp3Beta
from models.recommenders.popularity import Popularity, Repeats


def _events(rows: list[tuple[int, int, float, float]], n_users: int, n_items: int) -> Events:
    """Rows of user, item, weight, age."""
    user, item, weight, age = (np.array(column) for column in zip(*rows, strict=True))
    return Events(user, item, weight, age, n_users, n_items)


# Users 0, 1 and 2; items 0 (users 0 and 1), 1 (users 0 and 2), 2 (user 1), newest events first.
SMALL = _events([(0, 0, 1.0, 0.0), (0, 1, 2.0, 10.0), (0, 1, 3.0, 30.0), (1, 0, 1.0, 20.0), (1, 2, 1.0, 40.0), (2, 1, 1.0, 50.0)], 3, 3)


def test_pairs_are_summed_faded_or_taken_once() -> None:
    assert SMALL.matrix().toarray().tolist() == [[1, 5, 0], [1, 0, 1], [0, 1, 0]]
    assert SMALL.matrix(power=0).toarray().tolist() == [[1, 1, 0], [1, 0, 1], [0, 1, 0]]
    assert SMALL.matrix(half_life=10.0).toarray()[0].tolist() == [1, 2 / 2 + 3 / 8, 0]
    assert SMALL.matrix(power=0, half_life=10.0).toarray()[0].tolist() == [1, 0.5, 0]
    assert SMALL.pair_age.toarray()[0].tolist() == [0, 10, 0]


def test_the_past_seen_from_earlier_is_younger() -> None:
    earlier = SMALL.only(SMALL.age >= 20.0, younger_by=20.0)  # type: ignore[operator]
    assert earlier.age is not None
    assert earlier.age.tolist() == [10, 0, 20, 30]


def test_a_half_step_of_als_is_the_dense_solution_with_each_rows_own_regularisation() -> None:
    confidence = csr_matrix((np.array([3.0, 5, 2, 4, 9], dtype=np.float32), ([0, 0, 1, 2, 2], [0, 2, 1, 1, 3])), shape=(3, 4))
    other = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    strengths = Als(regularisation=0.5, alpha=8.0, nu=0.7).strengths(confidence, n_rows=3, n_cells=5)
    assert strengths == pytest.approx([0.5 * (4 / 3) ** 0.5 * ((n + 4 / 8) / (5 / 3 + 4 / 8)) ** 0.7 for n in (2, 1, 2)])
    rows = np.full((3, 3), 0.1, dtype=np.float32)
    solve(with_regularisation(confidence, strengths, 3), rows, other, steps=30)
    for row, values, strength in zip(rows, confidence.toarray(), strengths, strict=True):
        weights = np.where(values > 0, values, 1.0)
        dense = np.linalg.solve((other.T * weights) @ other + strength * np.eye(3), other.T @ values)
        assert row == pytest.approx(dense, abs=1e-5)


def test_rp3beta_is_the_three_step_probability_over_popularity() -> None:
    # From item 0: to users 0 and 1 by 1/2 each, on to item 1 by 1/2 (user 0), to item 2 by 1/2 (user 1): 1/4 each. Popularity of items 1 and 2: 2 and 1.
    neighbours = Rp3Beta(beta=0.5).fit(SMALL, seed=0).neighbours.toarray()
    assert neighbours[0] == pytest.approx([0, 0.25 / 2**0.5, 0.25])
    assert Rp3Beta(beta=0.5).fit(SMALL, seed=0).scores(np.array([2]))[0] == pytest.approx(neighbours[1])


def test_item_knn_is_the_shrunk_cosine_and_keeps_the_nearest() -> None:
    assert ItemKnn(shrinkage=1.0).fit(SMALL, seed=0).neighbours.toarray()[0] == pytest.approx([0, 1 / (2 + 1), 1 / (2**0.5 + 1)])
    assert ItemKnn(shrinkage=1.0, neighbours=1).fit(SMALL, seed=0).neighbours.toarray()[0] == pytest.approx([0, 0, 1 / (2**0.5 + 1)])


def test_covisitation_follows_from_the_last_items() -> None:
    profile = CoVisitation(last=1, decay=0.5).fit(SMALL, seed=0).profiles.toarray()
    assert profile.tolist() == [[1, 0, 0], [1, 0, 0], [0, 1, 0]]
    assert CoVisitation(last=2, decay=0.5).fit(SMALL, seed=0).profiles.toarray()[0].tolist() == [1, 0.5, 0]


def test_ease_is_the_ridge_regression_of_each_item_on_the_others() -> None:
    weights = Ease(regularisation=0.5).fit(SMALL, seed=0).weights
    x = SMALL.seen.toarray()
    for item in range(3):
        others = [other for other in range(3) if other != item]
        ridge = np.linalg.solve(x[:, others].T @ x[:, others] + 0.5 * np.eye(2), x[:, others].T @ x[:, item])
        assert weights[others, item] == pytest.approx(ridge, abs=1e-6)
        assert weights[item, item] == 0


def test_popularity_counts_persons_of_the_window_and_the_whole_time_decides_between_equals() -> None:
    assert top(Popularity().fit(SMALL, seed=0).scores(np.array([0])), 3).tolist() == [[0, 1, 2]]
    recent = Popularity(15.0).fit(SMALL, seed=0).scores(np.array([0]))[0]  # user 0 alone: items 0 and 1
    assert recent == pytest.approx([1 + 2 / 3, 1 + 2 / 3, 0 + 1 / 3])


def test_repeats_count_what_a_person_did_again_and_fade() -> None:
    assert Repeats().fit(SMALL, seed=0).scores(np.array([0])).tolist() == [[1, 2, 0]]
    assert Repeats(10.0).fit(SMALL, seed=0).scores(np.array([0])).tolist() == [[1, 0.5 + 0.125, 0]]
