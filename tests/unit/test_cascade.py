"""A first stage that leaves away what cannot reach the list, and is not used where it would leave away more."""

from typing import Any

import lightgbm
import numpy as np

from models import cascade, ranker
from models.cascade import Cascade
from models.frame import FEATURES
from tests.unit.test_ranker import N_ITEMS, N_PERSONS, rows, trained


def test_a_first_stage_that_keeps_all_changes_no_score() -> None:
    found, booster = rows(), trained()
    scores, is_whole = cascade.score(booster, Cascade(1, N_ITEMS), found.person, found.item, found.features, threads=1)
    assert is_whole.all()
    assert np.abs(scores - ranker.score(booster, found.features, threads=1)).max() <= 2e-6  # each stage is rounded


def test_without_a_first_stage_the_ranker_scores_all() -> None:
    found, booster = rows(), trained()
    scores, is_whole = cascade.score(booster, None, found.person, found.item, found.features, threads=1)
    assert is_whole.all()
    assert scores.tolist() == ranker.score(booster, found.features, threads=1).tolist()


def two_trees() -> lightgbm.Booster:
    """The first tree says 1 where the first feature is over 0.5, the second adds 10 where the second is."""
    tree = "Tree={0}\nnum_leaves=2\nnum_cat=0\nsplit_feature={0}\nsplit_gain=1\nthreshold=0.5\ndecision_type=2\nleft_child=-1\nright_child=-2\nleaf_value=0 {1}\nleaf_weight=1 1\nleaf_count=1 1\ninternal_value=0\ninternal_weight=2\ninternal_count=2\nis_linear=0\nshrinkage=1\n\n\n"
    names = " ".join(FEATURES)
    head = f"tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx={len(FEATURES) - 1}\nobjective=lambdarank\nfeature_names={names}\nfeature_infos={' '.join('[0:1]' for _ in FEATURES)}\n\n"
    return lightgbm.Booster(model_str=head + tree.format(0, 1) + tree.format(1, 10) + "end of trees\n")


def marked(*marks: tuple[float, float]) -> Any:
    features = np.zeros((len(marks), len(FEATURES)), dtype=np.float32)
    features[:, :2] = marks
    return features


def test_who_is_left_away_comes_after_the_others_in_the_order_of_the_first_stage() -> None:
    """Two persons with three items. The first tree keeps two items of each: ties go to the first item. What it leaves misses the 10 of the second tree."""
    features = marked((0, 1), (1, 0), (1, 1), (0, 0), (0, 1), (0, 1))
    person, item = np.array([4, 4, 4, 7, 7, 7], dtype=np.int32), np.array([0, 1, 2, 0, 1, 2], dtype=np.int32)
    scores, is_whole = cascade.score(two_trees(), Cascade(1, 2), person, item, features, threads=1)
    assert is_whole.tolist() == [False, True, True, True, True, False]
    assert scores.tolist() == [0.999999, 1.0, 11.0, 0.0, 10.0, -0.000001]


def test_a_frame_gets_places_and_scores() -> None:
    import pyarrow as pa

    columns = {
        "p": np.zeros(3, dtype=np.int32),
        "i": np.arange(3, dtype=np.int32),
        "source": np.array([5, 6, 7]),
        **dict.fromkeys(FEATURES, np.zeros(3, np.float32)),
    }
    first, second = list(FEATURES)[:2]
    columns |= {first: np.array([0, 1, 1], np.float32), second: np.array([0, 0, 1], np.float32)}
    found = cascade.ranked(two_trees(), None, pa.table(columns), threads=1)
    assert found.to_pylist() == [
        {"p": 0, "i": 0, "source": 5, "place": 3, "score": 0.0},
        {"p": 0, "i": 1, "source": 6, "place": 2, "score": 1.0},
        {"p": 0, "i": 2, "source": 7, "place": 1, "score": 11.0},
    ]
    assert cascade.ranked(two_trees(), Cascade(1, 2), pa.table(columns).slice(0, 0), threads=1).num_rows == 0


def persons(first: set[int], second: set[int]) -> ranker.Rows:
    """All persons have the two features of `two_trees` for the same items."""
    marks = [(item in first, item in second) for _ in range(N_PERSONS) for item in range(N_ITEMS)]
    return ranker.Rows(rows().person, rows().item, rows().is_taken, marked(*marks))


def test_the_cheapest_first_stage_is_chosen_that_keeps_what_the_ranker_would_show() -> None:
    """The two items that are shown are the first ones of the first tree. Of twelve it keeps four, twice a list of two: a row meets 1 + 4/12 of two trees."""
    chosen = cascade.choose(two_trees(), persons({10, 11}, {10, 11}), length=2, recall=0.999, threads=1)
    assert chosen == {"trees": 1, "keep": 4, "recall": 1.0, "cost": 0.6667}
    assert Cascade.of({"cascade": chosen}) == Cascade(1, 4)


def test_there_is_no_first_stage_where_it_would_lose_items_or_spare_nothing() -> None:
    """The second tree lifts the last items, of which the first knows nothing: it keeps the first eight at the most."""
    assert cascade.choose(two_trees(), persons({0, 1}, {10, 11}), length=2, recall=0.999, threads=1) is None
    assert cascade.choose(two_trees(), persons({10, 11}, {10, 11}), length=N_ITEMS, recall=0.999, threads=1) is None  # it would keep all
    one_half = persons({0, 1}, {10, 11})
    one_half.features[one_half.person % 2 == 0] = persons({10, 11}, {10, 11}).features[one_half.person % 2 == 0]
    assert cascade.choose(two_trees(), one_half, length=2, recall=0.4, threads=1) is None  # both halves of the persons have to reach it
    assert Cascade.of({"cascade": None}) is Cascade.of({}) is None
