"""The rule of promotion, with figures whose intervals are known: a difference that is the same for everybody has an interval of no width."""

from dataclasses import replace
from datetime import date
from typing import Any

import duckdb
import numpy as np
import pytest

from dawnlist.settings import Promotion
from models import promotion
from models.inputs import Inputs
from models.promotion import Shown

RULE = Promotion(min_group_users=2)
N = 40


def shown(quality: float | np.ndarray, **changes: Any) -> Shown:
    values = np.broadcast_to(np.asarray(quality, dtype=float), (N,)).copy()
    return replace(Shown(values, coverage=0.5, diversity=0.4, new_share=0.2, empty_share=0.0), **changes)


POPULAR, CHAMPION = shown(0.10), shown(0.20)


def verdict(challenger: Shown, champion: Shown | None = CHAMPION, groups: promotion.Groups | None = None) -> promotion.Verdict:
    return promotion.decide(challenger, champion, POPULAR, groups or {}, RULE, seed=1)


def failed(found: promotion.Verdict) -> list[str]:
    return [name for name, check in found.checks.items() if not check["holds"]]


def test_a_better_challenger_is_promoted() -> None:
    found = verdict(shown(0.21))
    assert (found.is_promoted, failed(found)) == (True, [])
    assert found.checks["champion"] == {"value": 0.01, "limit": -0.01, "holds": True, "interval": [0.01, 0.01, 0.01]}  # 5% of 0.20
    assert found.checks["popularity"] == {"value": 0.11, "limit": 0.0, "holds": True}


@pytest.mark.parametrize(("quality", "is_promoted"), [(0.19, True), (0.189, False)])
def test_it_may_lose_the_margin_and_no_more(quality: float, is_promoted: bool) -> None:
    assert verdict(shown(quality)).is_promoted is is_promoted


def test_what_equals_popularity_does_not_beat_it() -> None:
    found = verdict(shown(0.10), champion=shown(0.10))
    assert (found.is_promoted, failed(found)) == (False, ["popularity"])
    assert found.reason == "it does not provably beat popularity (0.0000, limit 0.0000)"


def test_a_mean_that_chance_may_have_made_is_no_proof() -> None:
    lucky = np.full(N, 0.08)
    lucky[0] = 1.0  # on the mean 0.103 against 0.10, by one person of forty
    assert failed(verdict(shown(lucky), champion=shown(lucky))) == ["popularity"]


@pytest.mark.parametrize(
    ("changes", "name", "limit"),
    [
        ({"coverage": 0.39}, "coverage", 0.4),  # 0.8 of 0.5
        ({"diversity": 0.35}, "diversity", 0.36),  # 0.9 of 0.4
        ({"new_share": 0.09}, "new_items", 0.1),  # half of 0.2
        ({"empty_share": 0.02}, "empty_lists", 0.01),
    ],
)
def test_each_guardrail_holds_it_back(changes: dict[str, float], name: str, limit: float) -> None:
    found = verdict(shown(0.3, **changes))
    assert (found.is_promoted, failed(found)) == (False, [name])
    assert found.checks[name]["limit"] == pytest.approx(limit)


def test_a_group_that_certainly_loses_holds_it_back_and_is_named() -> None:
    few = np.arange(N) < 10
    quality = np.where(few, 0.17, 0.30)  # 15% less than the champion's 0.20
    found = verdict(shown(quality), groups={"country SE": few, "country FI": ~few})
    assert failed(found) == ["worst_group"]
    assert found.checks["worst_group"] == {"value": -0.03, "limit": -0.02, "holds": False, "group": "country SE"}
    assert "it loses in the group 'country SE' (-0.0300, limit -0.0200)" in found.reason


def test_without_a_champion_the_choice_of_the_comparison_serves() -> None:
    found = verdict(shown(0.05), champion=None)
    assert (found.is_promoted, failed(found)) == (True, ["popularity"])


def test_nobody_to_judge_by_proves_nothing() -> None:
    nobody = replace(shown(0.2), quality=np.zeros(0))
    found = promotion.decide(nobody, nobody, nobody, {}, RULE, seed=1)
    assert not found.is_promoted
    assert "nobody to judge by" in found.reason


def test_the_measures_of_three_lists_by_hand() -> None:
    with duckdb.connect() as connection:
        connection.execute("""
            CREATE TABLE item AS FROM (VALUES (0, 'a', 'hats', true), (1, 'b', 'hats', true), (2, 'c', 'pens', true), (3, 'd', NULL, true), (4, 'e', 'pens', false))
                AS t(i, item_id, category, is_listable);
            CREATE TABLE shown AS FROM (VALUES (0, 0, 1), (0, 1, 2), (0, 2, 3), (1, 2, 1), (1, 3, 2)) AS t(p, i, rank);
            CREATE TABLE label AS FROM (VALUES (0, 1), (1, 4), (2, 0)) AS t(p, i);
        """)
        past = "SELECT item_id, CAST(moment AS TIMESTAMP) AS occurred_at FROM (VALUES ('a', '2026-03-01'), ('b', '2026-03-09'), ('c', '2026-03-01'), ('c', '2026-03-09'), ('d', '2026-03-11')) AS t(item_id, moment)"

        class Past(Inputs):
            def relation(self, table: str) -> str:
                return f"({past})"

        found = promotion.measured(connection, Past({}), f"TIMESTAMP '{date(2026, 3, 10)}'", 3, n_persons=3)
    assert found.quality == pytest.approx([1 / np.log2(3), 0.0, 0.0])  # a hit at rank 2, a miss, no list
    assert found.coverage == pytest.approx(4 / 4)  # item e cannot be listed
    assert found.diversity == pytest.approx(2 / 3, abs=1e-6)  # hat, hat, pen: two of three pairs differ; the other list has one category
    assert found.new_share == pytest.approx(1 / 5)  # only b is new: c was seen before, d comes after the cut
    assert found.empty_share == pytest.approx(1 / 3, abs=1e-6)
