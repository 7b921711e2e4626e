"""Drift by hand: bins, the stability index and its chance level, and what becomes of the figures."""

from datetime import date
from math import log, sqrt
from pathlib import Path

import duckdb
import numpy as np
import pytest

from dawnlist.settings import Drift
from models import drift
from models.inputs import Cut, Inputs

RULE = Drift()


def test_bins_are_deciles_and_missing_values_have_their_own() -> None:
    values = np.array([*range(1, 101), np.nan, np.nan], dtype=float)
    found = drift.reference({"x": values}, n_persons=50)
    assert found["bins"]["x"]["edges"] == pytest.approx([10.9 + 9.9 * number for number in range(9)])  # linear between the order statistics of 1 to 100
    assert found["bins"]["x"]["counts"] == [2, *[10] * 10]
    assert found["n_persons"] == 50


def test_a_value_on_an_edge_is_in_the_bin_below_it() -> None:
    assert drift.counts(np.array([0.0, 1.0, 1.5, 2.0, 9.0, np.nan]), [1.0, 2.0]) == [1, 2, 2, 1]
    assert drift.counts(np.array([np.nan, 3.0]), []) == [1, 1]


def test_the_index_by_hand() -> None:
    # Shares after Laplace with two bins: (49+1)/100 and (24+1)/100 of the first, the rest of the second.
    assert drift.psi([49, 49], [24, 74]) == pytest.approx((0.25 - 0.5) * log(0.25 / 0.5) + (0.75 - 0.5) * log(0.75 / 0.5))
    assert drift.psi([0, 30, 60], [0, 30, 60]) == 0.0
    assert drift.psi([0, 0], [0, 0]) == 0.0


def test_what_chance_may_make_does_not_count() -> None:
    before = {"n_persons": 100, "bins": {"x": {"edges": [0.5], "counts": [0, 49, 49]}}}
    now = np.repeat([0.0, 1.0], [24, 74])
    index = 0.25 * log(2) + 0.25 * log(1.5)
    chance = (1 / 100 + 1 / 98) * (1 + 3 * sqrt(2))
    assert drift.shifts(before, {"x": now}, n_persons=98) == {"x": pytest.approx(index - chance, abs=1e-4)}
    assert drift.shifts(before, {"x": np.repeat([0.0, 1.0], [45, 53])}, n_persons=98) == {"x": 0.0}


def test_only_what_the_trees_use_asks_for_a_training() -> None:
    importance = {"price_ratio": 0.4, "own_rank": 0.3, "als_rank": 0.01}
    ask, note = drift.reasons({"price_ratio": 0.25, "own_rank": 0.1, "als_rank": 3.0, "score": 0.05}, importance, None, RULE)
    assert ask == ["the feature price_ratio moved, PSI 0.25"]
    assert note == ["the feature own_rank moved, PSI 0.10"]
    assert drift.reasons({"score": 0.3}, {}, None, RULE) == (["the scores moved, PSI 0.30"], [])


def test_lists_have_decayed_when_even_the_upper_bound_is_too_low() -> None:
    assert drift.decay(np.full(30, 0.15), 0.2, seed=1) == pytest.approx(0.25)  # everybody alike: an interval of no width
    assert drift.decay(np.full(30, 0.25), 0.2, seed=1) == pytest.approx(-0.25)
    assert drift.decay(np.zeros(0), 0.2, seed=1) is None
    assert drift.reasons({}, {}, 0.21, RULE)[0] == ["its lists reached less than the model's held-out figure, by 21% at least"]
    assert drift.reasons({}, {}, 0.2, RULE) == ([], [])


def test_what_a_rule_or_a_draw_put_on_a_list_is_not_held_against_the_model(tmp_path: Path) -> None:
    # Ann knew `old` and took `lamp` after the cut. Without the pinned and the drawn item, lamp is the first of her list.
    taken = [("ann", "old", "2026-03-09 12:00:00"), ("ann", "lamp", "2026-03-11 12:00:00")]
    listed = [(1, "mug", "rule"), (2, "pen", "exploration"), (3, "lamp", "als"), (4, "rug", "als")]
    with duckdb.connect() as connection:
        interactions, lists = tmp_path / "interactions.parquet", tmp_path / "lists.parquet"
        rows = ", ".join(f"('{person}', '{item}', 'view', TIMESTAMP '{moment}', 1.0::DOUBLE, true)" for person, item, moment in taken)
        connection.execute(f"COPY (FROM (VALUES {rows}) AS t(person_id, item_id, event_type, occurred_at, weight, is_personal)) TO '{interactions}'")
        rows = ", ".join(f"('ann', {rank}, '{item}', '{source}', 'm')" for rank, item, source in listed)
        connection.execute(f"COPY (FROM (VALUES {rows}) AS t(person_id, rank, item_id, source, model_version)) TO '{lists}'")
        cut = Cut(date(2026, 3, 10), 3, exclude_seen=False, exclude_bought=True)
        assert drift.served_quality(connection, Inputs({"fct_interactions": [interactions]}), cut, [lists], "m").tolist() == [1.0]
