"""Maximal marginal relevance, place by place."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import diversity


def places(person: list[int], *attributes: list[int], trade_off: float, pool: int = 4, length: int = 4) -> list[int]:
    codes = [np.array(codes, dtype=np.int32) for codes in attributes]
    return [int(place) for place in diversity.places(np.array(person, dtype=np.int32), codes, trade_off=trade_off, pool=pool, length=length)]


def test_the_second_place_goes_to_what_is_least_like_the_first() -> None:
    # Relevances 1, .75, .5, .25 at weight .5: after item 0, its likes 1 and 2 are worth .375 - .5 and .25 - .5, item 3 .125 - 0. Then 1 before 2.
    assert places([0] * 4, [1, 1, 1, 2], trade_off=0.5) == [1, 3, 4, 2]


def test_lists_do_not_touch_each_other_and_may_be_shorter_than_the_pool() -> None:
    assert places([3, 3, 3, 8, 8, 9], [1, 1, 2, 1, 2, 5], trade_off=0.5) == [1, 3, 2, 1, 2, 1]


def test_likeness_counts_what_two_items_share_among_all_that_they_have() -> None:
    # Two attributes: item 1 shares one of three with item 0 (1/3), item 2 shares both (1), item 3 has none (0).
    # .5 * .75 - .5 / 3 = .208; .5 * .5 - .5 = -.25; .5 * .25 = .125. After 1: item 3 is still like nobody, before item 2.
    assert places([0] * 4, [1, 1, 1, 0], [1, 2, 1, 0], trade_off=0.5) == [1, 2, 4, 3]


def test_beyond_the_length_the_old_order_stays() -> None:
    assert places([0] * 4, [1, 1, 2, 3], trade_off=0.5, length=2) == [1, 3, 2, 4]


def test_nobody_has_no_places() -> None:
    assert places([], [], trade_off=0.5) == []


@pytest.mark.parametrize("trade_off", [0.0, 0.3, 0.9])
@given(lists=st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=6), max_size=5))
def test_each_list_keeps_its_items_and_zero_weight_its_order(trade_off: float, lists: list[list[int]]) -> None:
    person = [number for number, codes in enumerate(lists) for _ in codes]
    found = places(person, [code for codes in lists for code in codes], trade_off=trade_off, pool=6, length=3)
    wanted = [place for codes in lists for place in range(1, len(codes) + 1)]
    assert [sorted(place for place, whose in zip(found, person, strict=True) if whose == number) for number in range(len(lists))] == [
        list(range(1, len(codes) + 1)) for codes in lists
    ]
    assert trade_off or found == wanted
