"""The inner splits, the candidates and the blend."""

from dataclasses import dataclass
from typing import Any

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
    assert [set(group) for group in folds.groups(found, method=folds.TIME, seed=1)] == [{0}, {1}, {2}]


def test_a_short_history_is_cut_in_the_middle() -> None:
    (fold,) = folds.split(_events(n_days=11), method=folds.TIME, horizon=30.0, repeats=False, seed=1)
    assert len(fold.events) == 8 * 6


def test_the_newest_fifth_of_each_user_is_held_out_or_a_random_one() -> None:
    (last,) = folds.split(_events(), method=folds.LAST, horizon=None, repeats=False, seed=1)
    assert last.relevant[[0]].indices.tolist() == list(range(8))
    drawn = folds.split(_events(), method=folds.RANDOM, horizon=None, repeats=False, seed=1)
    for fold in drawn:
        assert np.diff(fold.relevant.indptr).tolist() == [8] * 8
        assert len(fold.events) == 8 * 32
    assert drawn[0].relevant[[0]].indices.tolist() != list(range(8))


def test_random_folds_have_nothing_in_common_and_a_user_is_in_one_group_in_all_of_them() -> None:
    drawn = folds.split(_events(), method=folds.RANDOM, horizon=None, repeats=False, seed=1)
    assert len(drawn) == 4
    assert sum(fold.relevant for fold in drawn).max() == 1
    halves = {tuple(fold.users[group == 1]) for fold, group in zip(drawn, folds.groups(drawn, method=folds.RANDOM, seed=1), strict=True)}
    assert len(halves) == 1
    assert len(halves.pop()) == 4


@dataclass(frozen=True)
class Hill:
    """Its lists are the better, the nearer a and b are to (2, 7), along a ridge from (5, 4); the number of fits is counted."""

    a: int = 9
    b: int = 0

    def fit(self, events: Events, *, seed: int) -> Everybody:
        FITS.append((self.a, self.b))
        place = abs(self.a - 2) + abs(self.b - 7) + 3 * abs(self.a + self.b - 9)
        scores = -np.arange(50, dtype=np.float32)
        scores[0] = -place - 0.5  # item 0 is what comes next
        return Everybody(scores)


FITS: list[tuple[int, int]] = []


@pytest.fixture
def next_item() -> folds.Fold:
    """Three users; item 0 is what each of them comes to next."""
    known = Events(np.arange(3), np.array([40, 41, 42]), np.ones(3), None, 3, 50)
    relevant = csr_matrix((np.ones(3, dtype=np.float32), (np.arange(3), np.zeros(3, dtype=int))), shape=(3, 50))
    return folds.Fold(known, np.arange(3), relevant, known.seen)


def tuned(fold: folds.Fold, **options: Any) -> tuning.Tuned:
    FITS.clear()
    ladder = tuple(range(10))
    settings = {"max_trials": 99, "starts": (), "floor": 0.0} | options
    source = sources.Source("hill", Hill(), {"a": ladder, "b": ladder}, settings["max_trials"], settings["starts"])
    return tuning.tune(source, [fold], k=50, seed=1, threads=1, floor=settings["floor"])


def test_a_search_climbs_from_its_best_start_and_tries_nothing_twice(next_item: folds.Fold) -> None:
    best = tuned(next_item, starts=({"a": 5, "b": 4}, {"a": 3, "b": 7}))
    assert (best.recommender, best.value) == (Hill(2, 7), 1.0)
    assert len(FITS) == len(set(FITS))


def test_a_search_keeps_to_its_trials_and_gives_up_what_is_of_no_use(next_item: folds.Fold) -> None:
    tuned(next_item, max_trials=4, starts=({"a": 5, "b": 4},))
    assert len(FITS) == 4
    tuned(next_item, floor=0.9)
    assert len(FITS) == tuning.FEWEST


def test_every_start_lies_on_the_ladders_and_one_of_co_visitation_fades_within_minutes_of_a_week() -> None:
    found = {source.name: source for source in sources.available(_events(n_days=7), repeats=True, n_folds=2, horizon=1.0)}
    for source in found.values():
        for start in ({name: getattr(source.recommender, name) for name in source.space}, *source.starts):
            assert {name: value for name, value in start.items() if value not in source.space[name]} == {}, source.name
    first = found["covisitation"].starts[0]["half_life"]
    assert 0 < first * 24 * 60 < 30
    assert found["covisitation"].max_trials >= 4  # a quarter of the trials are starts


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
    source = sources.Source("popular", Popularity(None), {"window_days": (4.0, 15.0, None)}, 4)
    best = tuning.tune(source, inner[-1:], k=10, seed=1, threads=1)
    assert (best.recommender, best.value) == (Popularity(4.0), 1.0)


def test_every_cut_judges_and_the_mean_over_all_of_their_users_decides() -> None:
    """Two cuts of one user each are right with the first source, a third one with the other."""
    raw = np.array([[2.0, 1.0], [1.0, 2.0]], dtype=np.float32)  # of items 0 and 1
    rows = candidates.Candidates(np.zeros(2, dtype=int), np.arange(2), raw, raw, np.array([[1, 2], [2, 1]]), 1)
    described = np.zeros((2, 5), dtype=np.float32)
    cuts = [learn.Part(rows, described, np.array([first, not first]), np.ones(1, dtype=int)) for first in (True, True, False)]
    plan = learn.Plan(folds.TIME, 1.0, 1, repeats=False, seed=1, threads=1)
    figures = learn.compare(cuts, {"one": 0.6, "other": 0.4}, plan)
    assert figures["one"] == pytest.approx(2 / 3, abs=1e-6)
    assert figures["other"] == pytest.approx(1 / 3, abs=1e-6)
    # The blend of the first two cuts is the first source, which the third one finds wrong: what is learnt from the others is not judged by what it was learnt from.
    assert figures["blend"] < 1
    assert "blend" not in learn.compare(cuts[:1], {"one": 1.0, "other": 0.0}, plan)
