from datetime import date, datetime, timedelta
from math import log2, sqrt
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from models.recommenders.neighbours import CoVisitation, Rp3Beta, nearest
from spark_jobs import interactions, item_to_item

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

AS_OF = date(2026, 3, 10)
END = datetime(2026, 3, 11)
EVENTS = "person_id string, item_id string, event_type string, occurred_at timestamp_ntz, weight double, is_personal boolean"


def _build(spark: "SparkSession", ages: dict[tuple[str, str], float], *, hide: interactions.Hidden = "seen") -> interactions.Interactions:
    rows = [(person, item, "view", END - timedelta(days=age), 1.0, True) for (person, item), age in ages.items()]
    return interactions.build(spark, interactions.pairs_until(spark.createDataFrame(rows, EVENTS), AS_OF), hide=hide)


def _newest(*cells: tuple[int, int, float]) -> pa.Table:
    person, item, age = zip(*cells, strict=True)
    return pa.table({"person": pa.array(person, pa.int32()), "item": pa.array(item, pa.int32()), "age": pa.array(age, pa.float64())})


def _scores(table: pa.Table) -> dict[tuple[int, int], float]:
    return {(row["row"], row["item"]): row["score"] for row in table.to_pylist()}


def _similar(spark: "SparkSession", newest: pa.Table, **changes: object) -> pa.Table:
    """The neighbours by the cosine that fades."""
    options = {"per_item": 5, "eligible": np.arange(3)} | {name: value for name, value in changes.items() if name == "eligible"}
    formula = {"half_life": None, "balance": 1.0} | {name: value for name, value in changes.items() if name != "eligible"}
    product = CoVisitation(**formula).product(item_to_item.events_of(newest, n_items=3))  # type: ignore[arg-type]
    return item_to_item.similar(spark, product, **options)  # type: ignore[arg-type]


def test_similarity_is_the_cosine_of_who_interacts_with_both(spark: "SparkSession") -> None:
    # Persons 0 and 1 know items 0 and 1, person 2 knows 0 and 2.
    newest = _newest((0, 0, 1), (0, 1, 1), (1, 0, 1), (1, 1, 1), (2, 0, 1), (2, 2, 1))
    assert _scores(_similar(spark, newest)) == pytest.approx({(0, 1): 2 / sqrt(3 * 2), (0, 2): 1 / sqrt(3), (1, 0): 2 / sqrt(6), (2, 0): 1 / sqrt(3)}, rel=1e-5)


def test_shrinkage_keeps_rare_coincidences_down(spark: "SparkSession") -> None:
    # Each person has two items: a person's weight is 1 / log2(3), and with one common person the cosine is w / (w + shrinkage).
    weight = 1 / log2(3)
    assert _scores(_similar(spark, _newest((0, 0, 1), (0, 1, 1)), shrinkage=1.0)) == pytest.approx(
        {(0, 1): weight / (weight + 1), (1, 0): weight / (weight + 1)}
    )


def test_a_half_life_later_an_interaction_counts_half(spark: "SparkSession") -> None:
    # Item 0 goes with item 1 for person 0 a half-life ago, with item 2 for person 1 now. Weights (times 1 / log2(3)): .5 and 1.
    newest = _newest((0, 0, 7), (0, 1, 7), (1, 0, 0), (1, 2, 0))
    norm = sqrt(0.25 + 1)
    expected = {(0, 1): 0.25 / (norm * 0.5), (0, 2): 1 / norm, (1, 0): 0.25 / (norm * 0.5), (2, 0): 1 / norm}
    assert _scores(_similar(spark, newest, half_life=7.0)) == pytest.approx(expected, rel=1e-5)


def test_items_that_may_not_be_shown_are_nobodys_neighbours_but_have_some(spark: "SparkSession") -> None:
    newest = _newest((0, 0, 1), (0, 1, 1), (0, 2, 1))
    assert set(_scores(_similar(spark, newest, eligible=np.array([1])))) == {(0, 1), (2, 1)}


def test_a_persons_newest_items_count_ties_by_item(spark: "SparkSession") -> None:
    matrix = _build(spark, {("ann", "d"): 3, ("ann", "a"): 2, ("ann", "c"): 2, ("ann", "b"): 5, ("ben", "b"): 9})
    newest = item_to_item.newest(matrix, max_items=2).to_pylist()
    assert [(row["person"], row["item"], row["age"]) for row in newest] == [(0, 0, 2.0), (0, 2, 2.0), (1, 1, 9.0)]


def test_half_life_is_the_age_that_a_tenth_of_the_interactions_are_below() -> None:
    # Item 0 was met first 20 days ago, then when it was 1, 2, ... 11 days old: nine tenths of the way down from 11 to 1.
    newest = _newest((0, 0, 20), *((person, 0, 20 - person) for person in range(1, 12)))
    assert item_to_item.half_life(newest) == pytest.approx(2.0)
    assert item_to_item.half_life(_newest((0, 0, 20))) is None


def test_spark_has_the_neighbours_of_the_single_machine(spark: "SparkSession") -> None:
    newest = _newest(*((person, item, float(item + person)) for person in range(6) for item in range(7) if (person * item) % 4 < 2))
    events = item_to_item.events_of(newest, n_items=7)
    for formula in (Rp3Beta(beta=0.5), CoVisitation(half_life=3.0)):
        table = item_to_item.similar(spark, formula.product(events), per_item=7, eligible=np.arange(7))
        local = nearest(formula.product(events), per_item=7).tocoo()
        expected = {(int(row), int(item)): value for row, item, value in zip(local.row, local.col, local.data, strict=True)}
        assert len(expected) > 10
        assert _scores(table) == pytest.approx(expected, rel=1e-4)


def test_a_query_fades_by_place_and_by_age(spark: "SparkSession") -> None:
    matrix = _build(spark, {("ann", "a"): 1, ("ann", "b"): 3, ("ben", "c"): 1})
    similar = pa.table({"row": [0, 1], "rank": [1, 1], "item": [2, 2], "score": [0.5, 0.25]})
    lists = item_to_item.recommend(matrix, similar, per_person=5, query=item_to_item.Query(last=2, decay=0.5, half_life=1.0))
    assert _scores(lists) == {(0, 2): pytest.approx(0.5 * 0.5 + 0.25 * 0.5 * 0.125)}


def test_a_list_adds_up_the_similarities_of_the_last_items(spark: "SparkSession") -> None:
    matrix = _build(spark, {("ann", "a"): 1, ("ann", "b"): 2, ("ben", "c"): 1, ("ben", "d"): 1})
    similar = pa.table({"row": [0, 0, 1, 1], "rank": [1, 2, 1, 2], "item": [2, 1, 2, 3], "score": [0.5, 0.9, 0.25, 0.75]})
    lists = item_to_item.recommend(matrix, similar, per_person=5)
    # ann: a is the newest (place 0), b is next (place 1, counts 0.9). Item b is hers already.
    assert lists.to_pylist() == [
        {"row": 0, "rank": 1, "item": 2, "score": pytest.approx(0.5 + 0.9 * 0.25)},
        {"row": 0, "rank": 2, "item": 3, "score": pytest.approx(0.9 * 0.75)},
    ]
