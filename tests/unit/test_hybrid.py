"""The inner splits, the candidates and the blend."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from models import evaluation
from models.hybrid import blend, candidates, folds, learn, sources, trees, tuning
from models.recommenders.events import Events
from models.recommenders.popularity import Everybody, Own, Popularity


def _events(n_users: int = 8, n_days: int = 40) -> Events:
    """Each user comes to one item a day, another one each day."""
    age, user = (cells.ravel() for cells in np.meshgrid(np.arange(n_days), np.arange(n_users)))
    return Events(user, (user + age) % 50, np.ones(len(user)), age.astype(float), n_users, 50)


def test_cuts_in_time_know_the_past_only_and_are_judged_by_the_horizon_after_them() -> None:
    found = folds.split(_events(), method=folds.TIME, horizon=7.0, repeats=False, seed=1)
    assert len(found) == 3
    for fold, cut in zip(found, (21, 14, 7), strict=True):
        assert len(fold.events) == 8 * (40 - cut)
        assert fold.events.age is not None
        assert fold.events.age.min() == 0
        # User 0's items are numbered by their age: after the cut come cut - 7 up to cut - 1.
        assert fold.relevant[[0]].indices.tolist() == list(range(cut - 7, cut))
        assert not fold.relevant.multiply(fold.hidden).nnz
    assert [part.all() for part in folds.parts(found, seed=1)] == [True, True, False]


def test_a_short_history_is_cut_in_the_middle() -> None:
    (fold,) = folds.split(_events(n_days=11), method=folds.TIME, horizon=30.0, repeats=False, seed=1)
    assert len(fold.events) == 8 * 6


def test_the_newest_fifth_of_each_user_is_held_out_or_a_random_one() -> None:
    (last,) = folds.split(_events(), method=folds.LAST, horizon=None, repeats=False, seed=1)
    assert last.relevant[[0]].indices.tolist() == list(range(8))
    (drawn,) = folds.split(_events(), method=folds.RANDOM, horizon=None, repeats=False, seed=1)
    assert np.diff(drawn.relevant.indptr).tolist() == [8] * 8
    assert drawn.relevant[[0]].indices.tolist() != list(range(8))
    assert len(drawn.events) == 8 * 32
    (half,) = folds.parts([drawn], seed=1)
    assert half.sum() == 4


def test_single_items_cannot_be_held_out_and_then_the_popular_ones_are_served() -> None:
    events = Events(np.arange(3), np.array([1, 1, 0]), np.ones(3), None, 3, 2)
    plan = learn.Plan(folds.RANDOM, None, 10, repeats=False, seed=1, threads=1)
    learnt = learn.learn(events, plan)
    assert learnt.served == sources.POPULAR_EVER
    assert "held out" in learnt.notes[0]


def test_all_that_a_source_proposes_is_a_candidate_with_every_sources_opinion() -> None:
    own = Own(csr_matrix(np.array([[0, 4.0, 0, 2.0], [0, 0, 0, 0]], dtype=np.float32)))
    everybody = Everybody(np.array([9.0, 8, 7, 6], dtype=np.float32))
    hidden = csr_matrix(np.array([[0, 1.0, 0, 0], [0, 0, 0, 0]], dtype=np.float32))
    rows = candidates.propose([own, everybody], np.array([0]), hidden, depth=1)
    assert rows.item.tolist() == [0, 3]  # item 1 is hidden: the best left are item 3 of the own ones and item 0 of everybody's
    assert rows.raw.tolist() == [[0, 9], [2, 6]]
    assert rows.rank.tolist() == [[0, 1], [1, 0]]
    assert rows.scaled.tolist() == [[0, 1], [1, pytest.approx(6 / 9)]]


@pytest.fixture
def part() -> tuple[candidates.Candidates, np.ndarray, np.ndarray]:
    """Candidates of 30 users from two sources that know the truth but for noise of their own; labels; relevant items per user."""
    random = np.random.default_rng(3)
    truth = random.random((30, 40))
    known = [csr_matrix((truth + 0.3 * random.random((30, 40))).astype(np.float32)) for _ in range(2)]
    relevant = csr_matrix((truth > 0.85).astype(np.float32))
    users = np.arange(30)
    rows = candidates.propose([Own(one) for one in known], users, csr_matrix((30, 40), dtype=np.float32), depth=40)
    return rows, blend.labels(rows, users, relevant), np.maximum(np.diff(relevant.indptr), 1)


def test_the_judge_counts_as_the_metric_does(part: tuple[candidates.Candidates, np.ndarray, np.ndarray]) -> None:
    rows, is_relevant, n_relevant = part
    judge = blend.Judge(rows, is_relevant, n_relevant, 10)
    lists, _ = learn.first(rows, rows.raw[:, 0], 10)
    relevant = csr_matrix((is_relevant.astype(float), (rows.user, rows.item)))
    relevant.eliminate_zeros()
    assert judge.ndcg(rows.raw[:, 0]) == pytest.approx(evaluation.ndcg(tuning.is_in(lists, relevant), n_relevant, 10).mean())


def test_the_blend_is_never_worse_than_the_source_it_starts_from_and_better_where_two_complement_each_other(
    part: tuple[candidates.Candidates, np.ndarray, np.ndarray],
) -> None:
    rows, is_relevant, n_relevant = part
    judge = blend.Judge(rows, is_relevant, n_relevant, 10)
    mixed, value = blend.fit(rows, judge, 0)
    assert all(weight > 0 for weight in mixed.weights)
    assert value == pytest.approx(judge.ndcg(mixed.of(rows)), abs=1e-3)
    assert value > max(judge.ndcg(rows.raw[:, place]) for place in (0, 1)) + 0.02


def test_a_pair_is_described_by_its_own_events_and_no_other_by_any() -> None:
    events = Events(np.array([0, 0, 1]), np.array([2, 2, 0]), np.ones(3), np.array([3.0, 8.0, 1.0]), 2, 3)
    pairs = trees.History(events).of_pairs(np.array([0, 0, 1]), np.array([2, 0, 0]))
    assert np.array_equal(pairs, np.array([[2, 3], [np.nan, np.nan], [1, 1]], dtype=np.float32), equal_nan=True)
    assert trees.History(events).of_users(np.array([0, 1])).tolist() == [[1, 2, 3], [1, 1, 1]]


def test_tuning_takes_the_better_value_and_leaves_what_is_no_better() -> None:
    # Everybody comes to item 3 in the last ten days, to item 2 in the ten before, and so on: in the whole time the four are equal.
    age, user = (cells.ravel() for cells in np.meshgrid(np.arange(40), np.arange(8)))
    events = Events(user, 3 - age // 10, np.ones(len(user)), age.astype(float), 8, 4)
    inner = folds.split(events, method=folds.TIME, horizon=5.0, repeats=True, seed=1)
    source = sources.Source("popular", Popularity(None), {"window_days": (4.0, None)}, 4)
    best = tuning.tune(source, inner[-1:], k=10, seed=1, threads=1)
    assert (best.recommender, best.value) == (Popularity(4.0), 1.0)
