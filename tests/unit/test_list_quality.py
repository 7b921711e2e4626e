"""What lists are like, against values worked out by hand."""

from math import log

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from models import list_quality

# Items 0, 1 and 2 of persons {0, 1}, {0}, {2, 3}; item 3 of nobody.
SEEN = csr_matrix(np.array([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 1, 0]], dtype=np.float32))
N_USERS_OF = np.array([2, 1, 2, 0])
LISTS = np.array([[0, 1], [0, 2], [2, -1]])


def test_gini_is_nought_for_equal_shares_and_near_one_for_one_winner() -> None:
    assert list_quality.exposure(LISTS, 4).tolist() == [2, 1, 2, 0]
    assert list_quality.gini(np.array([3, 3, 3])) == 0.0
    assert list_quality.gini(np.array([0, 0, 0, 8])) == pytest.approx(0.75)
    # Sorted 0, 1, 2, 2: ((-3) * 0 + (-1) * 1 + 1 * 2 + 3 * 2) / (4 * 5)
    assert list_quality.gini(np.array([2, 1, 2, 0])) == pytest.approx(7 / 20)
    assert list_quality.gini(np.zeros(3, dtype=int)) == 0.0


def test_novelty_and_popularity_are_means_over_the_places_that_are_filled() -> None:
    assert list_quality.novelty(LISTS, N_USERS_OF, 4) == pytest.approx([(1 + 2) / 2, 1, 1])
    assert list_quality.popularity(LISTS, N_USERS_OF, 4) == pytest.approx([(2 / 4 + 1 / 4) / 2, 2 / 4, 2 / 4])


def test_popularity_lift_compares_with_what_the_same_persons_had() -> None:
    # Persons 0 and 2 had items of 1.5 and 2 persons on average, and are shown 1.5 and 1.
    lists, users = np.array([[0, 1], [1, -1]]), np.array([0, 2])
    assert list_quality.popularity_lift(lists, users, SEEN) == pytest.approx((1.25 - 1.75) / 1.75)


def test_diversity_is_one_minus_the_cosine_of_the_persons() -> None:
    found = list_quality.diversity(LISTS, SEEN, [1, 2])
    assert found[2][:2] == pytest.approx([1 - 1 / 2**0.5, 1.0])
    assert np.isnan(found[2][2])
    assert np.isnan(found[1]).all()
    assert list_quality.category_diversity(LISTS, np.array([0, 0, 1, 1])).tolist()[:2] == [0.0, 1.0]


def test_miscalibration_is_the_divergence_of_the_list_from_the_past() -> None:
    # The past is half and half; the first list is all of category 0, the second half and half.
    profiles = csr_matrix(np.array([[1, 0, 1, 0], [1, 0, 1, 0]]))
    found = list_quality.miscalibration(np.array([[0, 1], [0, 2]]), np.array([0, 0, 1, 1]), profiles)
    mixed = (0.99 * 1 + 0.01 * 0.5, 0.01 * 0.5)
    assert found == pytest.approx([sum(0.5 * log(0.5 / q) for q in mixed), 0.0])
