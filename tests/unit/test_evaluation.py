"""The metrics, against values worked out by hand."""

from math import log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import evaluation

# Two persons, three places. The first finds 2 of 4 relevant items, at ranks 1 and 3; the second finds its only one at rank 2.
HITS = np.array([[True, False, True], [False, True, False]])
N_RELEVANT = np.array([4, 1])


def test_precision_and_recall_count_the_hits_among_the_first_k() -> None:
    assert evaluation.precision(HITS, 2).tolist() == [0.5, 0.5]
    assert evaluation.recall(HITS, N_RELEVANT, 3).tolist() == [0.5, 1.0]
    assert evaluation.hit_rate(HITS, 1).tolist() == [1.0, 0.0]


def test_a_short_list_counts_as_filled_up_with_misses() -> None:
    assert evaluation.precision(HITS, 10).tolist() == [0.2, 0.1]


def test_ndcg_discounts_by_the_logarithm_of_the_rank_and_divides_by_the_best_possible_list() -> None:
    first = (1 + 1 / 2) / (1 + 1 / log2(3) + 1 / 2)  # four are relevant: the best list of three has three hits
    assert evaluation.ndcg(HITS, N_RELEVANT, 3) == pytest.approx([first, 1 / log2(3)])


def test_ndcg_at_one_looks_at_the_first_place_only() -> None:
    assert evaluation.ndcg(HITS, N_RELEVANT, 1).tolist() == [1.0, 0.0]


def test_average_precision_is_the_mean_of_the_precisions_at_the_hits() -> None:
    assert evaluation.average_precision(HITS, N_RELEVANT, 3) == pytest.approx([(1 / 1 + 2 / 3) / 3, (1 / 2) / 1])


def test_reciprocal_rank_is_that_of_the_first_hit() -> None:
    assert evaluation.reciprocal_rank(HITS, 3).tolist() == [1.0, 0.5]
    assert evaluation.reciprocal_rank(HITS, 1).tolist() == [1.0, 0.0]


def test_coverage_is_the_shown_share_of_the_catalogue() -> None:
    assert evaluation.coverage(3, 12) == 0.25
    assert evaluation.coverage(0, 0) == 0.0


def test_the_hit_matrix_puts_each_row_at_its_person_and_rank_and_drops_what_lies_deeper() -> None:
    person, rank, is_hit = np.array([1, 0, 0, 1]), np.array([2, 1, 3, 1]), np.array([True, True, True, False])
    assert evaluation.hit_matrix(person, rank, is_hit, n_persons=3, depth=2).tolist() == [[True, False], [False, True], [False, False]]


def test_the_summary_is_the_mean_over_persons_and_empty_without_any() -> None:
    summary = evaluation.summary(HITS, N_RELEVANT)
    assert summary["recall@10"] == 0.75
    assert summary["hit_rate@10"] == 1.0
    assert summary["mrr@10"] == 0.75
    assert evaluation.summary(HITS[:0], N_RELEVANT[:0]) == {}


def test_the_bootstrap_of_a_constant_difference_is_that_constant() -> None:
    assert evaluation.bootstrap_difference(np.full(30, 0.5), np.full(30, 0.25), seed=1) == [0.25, 0.25, 0.25]
    assert evaluation.bootstrap_difference(np.zeros(0), np.zeros(0), seed=1) == []


def test_the_bootstrap_interval_is_about_two_standard_errors_wide_to_each_side() -> None:
    first = np.tile([0.0, 1.0], 200)  # mean 0.5, standard error 0.5 / sqrt(400) = 0.025
    low, middle, high = evaluation.bootstrap_difference(first, np.zeros(400), seed=7)
    assert middle == 0.5
    assert low == pytest.approx(0.5 - 1.96 * 0.025, abs=0.006)
    assert high == pytest.approx(0.5 + 1.96 * 0.025, abs=0.006)
    assert [low, middle, high] == evaluation.bootstrap_difference(first, np.zeros(400), seed=7)


@given(st.lists(st.lists(st.booleans(), min_size=10, max_size=10), min_size=1, max_size=8), st.integers(0, 20))
def test_every_metric_lies_between_nought_and_one_and_a_perfect_list_has_one(rows: list[list[bool]], unseen: int) -> None:
    hits = np.array(rows)
    n_relevant = np.maximum(hits.sum(axis=1) + unseen, 1)
    assert all(0 <= value <= 1 for value in evaluation.summary(hits, n_relevant).values())
    perfect = np.ones((1, 10), dtype=bool)
    assert evaluation.summary(perfect, np.array([10]))["ndcg@10"] == pytest.approx(1.0)
