"""The ranker learns an order that is there to learn, the same one on any number of threads; and what is served is chosen by its figures."""

from typing import Any

import numpy as np
import pytest

from dawnlist.settings import Ranker
from models import ranker
from models.frame import FEATURES
from models.training import choose

SETTINGS = Ranker(trees=20, early_stopping=5)
N_PERSONS, N_ITEMS = 60, 12


def rows() -> ranker.Rows:
    """Each person takes the two items that ALS ranks first for them; every other feature is missing."""
    person = np.repeat(np.arange(N_PERSONS, dtype=np.int32), N_ITEMS)
    item = np.tile(np.arange(N_ITEMS, dtype=np.int32), N_PERSONS)
    als_rank = (item + person) % N_ITEMS + 1
    features = np.full((len(person), len(FEATURES)), np.nan, dtype=np.float32)
    features[:, list(FEATURES).index("als_rank")] = als_rank
    return ranker.Rows(person, item, als_rank <= 2, features)


HELD_OUT = rows().person % 2 == 0


def trained(threads: int = 1) -> Any:
    booster = ranker.train(rows().only(~HELD_OUT), rows().only(HELD_OUT), SETTINGS, seed=1, threads=threads)
    assert booster is not None
    return booster


def test_what_was_taken_comes_first() -> None:
    found = rows()
    scores = ranker.score(trained(), found.features, threads=1)
    first = ranker.ranks(found.person, found.item, scores) <= 2
    assert (first == found.is_taken).all()


def test_the_model_does_not_depend_on_the_number_of_threads() -> None:
    assert ranker.to_text(trained(threads=1)) == ranker.to_text(trained(threads=2))


def test_a_model_that_was_written_and_read_gives_the_same_scores() -> None:
    booster = trained()
    text = ranker.to_text(booster)
    assert "num_threads" not in text
    read = ranker.from_text(text)
    assert ranker.score(read, rows().features, threads=1).tolist() == ranker.score(booster, rows().features, threads=1).tolist()


def test_a_better_rank_never_lowers_the_score() -> None:
    features = np.full((N_ITEMS, len(FEATURES)), np.nan, dtype=np.float32)
    features[:, list(FEATURES).index("als_rank")] = np.arange(1, N_ITEMS + 1)
    scores = ranker.score(trained(), features, threads=1)
    assert (np.diff(scores) <= 0).all()
    assert scores[0] > scores[-1]


def test_contributions_and_bias_add_up_to_the_score_and_name_what_was_learnt() -> None:
    booster, features = trained(), rows().features
    found = ranker.contributions(booster, features, threads=1)
    assert found.shape == (len(features), len(FEATURES) + 1)
    assert np.allclose(found.sum(axis=1), ranker.score(booster, features, threads=1), atol=1e-5)
    by_hand = list(FEATURES).index("als_rank")
    assert (np.delete(found[:, :-1], by_hand, axis=1) == 0).all(), "no other feature is known"
    assert found[rows().is_taken, by_hand].min() > found[~rows().is_taken, by_hand].max()
    assert ranker.contributions(booster, features[:0], threads=1).shape == (0, len(FEATURES) + 1)


def test_the_refit_uses_all_rows_and_the_number_of_trees_that_it_is_given() -> None:
    booster = ranker.refit(rows(), 7, SETTINGS, seed=1, threads=1)
    assert booster.num_trees() == 7
    assert list(ranker.importance(booster)) == ["als_rank"]
    assert ranker.importance(booster)["als_rank"] == 1.0


def test_no_ranker_is_trained_on_too_few_persons_with_a_hit() -> None:
    found = rows()
    few = ranker.Rows(found.person, found.item, found.is_taken & (found.person < 2 * ranker.MIN_PERSONS - 2), found.features)
    nobody = found.only(found.person < 0)
    assert ranker.train(few.only(~HELD_OUT), few.only(HELD_OUT), SETTINGS, seed=1, threads=1) is None
    assert ranker.train(nobody, nobody, SETTINGS, seed=1, threads=1) is None


def test_two_slices_side_by_side_keep_their_persons_apart() -> None:
    both = ranker.joined(rows().only(rows().person < 2), rows().only(rows().person < 1))
    assert np.unique(both.person, return_counts=True)[1].tolist() == [N_ITEMS] * 3
    assert both.features.shape == (3 * N_ITEMS, len(FEATURES))
    assert (both.is_taken[: 2 * N_ITEMS] == rows().is_taken[: 2 * N_ITEMS]).all()


def test_ranks_start_anew_with_each_person_and_ties_go_to_the_lower_item() -> None:
    person, item = np.array([0, 0, 0, 3, 3], dtype=np.int32), np.array([4, 5, 6, 1, 2], dtype=np.int32)
    assert ranker.ranks(person, item, np.array([0.5, 0.9, 0.5, 0.1, 0.2])).tolist() == [2, 1, 3, 2, 1]
    assert ranker.ranks(person[:0], item[:0], np.zeros(0)).tolist() == []


def test_without_rows_there_are_no_scores() -> None:
    assert ranker.score(trained(), rows().features[:0], threads=1).tolist() == []


@pytest.mark.parametrize(
    ("held_out", "judged", "served"),
    [
        ({"ranker": 0.3, "als": 0.2}, {"ranker": 0.3, "als": 0.2}, "ranker"),
        ({"ranker": 0.2, "als": 0.2}, {"ranker": 0.2, "als": 0.2}, "ranker"),  # a tie is the ranker's
        ({"ranker": 0.3, "als": 0.2}, {"ranker": 0.1, "als": 0.2}, "als"),  # it loses on the later slice
        ({"ranker": 0.2, "als": 0.3}, {"ranker": 0.3, "als": 0.2}, "als"),  # it lost on the held-out persons
        ({"fusion": 0.2, "als": 0.1}, {"fusion": 0.2, "als": 0.1}, "fusion"),
        ({"fusion": 0.2, "popular_7d": 0.1}, {"fusion": 0.1, "popular_7d": 0.2}, "popular_7d"),
        ({"fusion": 0.0, "als": 0.0}, {"fusion": 0.0, "als": 0.0}, "fusion"),  # nobody hit anything
    ],
)
def test_the_best_on_held_out_persons_is_served_unless_it_loses_later(held_out: dict[str, float], judged: dict[str, float], served: str) -> None:
    found, notes = choose(held_out, {"fusion": 0.0, **judged})
    assert found == served
    assert bool(notes) == (("ranker" in held_out and served != "ranker") or served == "popular_7d")
