from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pyspark.sql.functions import spark_partition_id

from spark_jobs import als, interactions
from spark_jobs.als import Confidence

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

AS_OF = date(2026, 3, 10)
EVENTS = "person_id string, item_id string, event_type string, occurred_at timestamp_ntz, weight double, is_personal boolean"
# Persons a to d by items p to s, and how often: what the reference below is worked out from.
COUNTS = np.array([[3, 1, 0, 0], [2, 0, 1, 0], [0, 0, 1, 4], [0, 1, 0, 1]])


def _events(counts: np.ndarray) -> list[tuple[str, str, str, datetime, float, bool]]:
    noon = datetime(2026, 3, 10, 12)
    return [("abcd"[u], "pqrs"[i], "view", noon - timedelta(hours=k), 1.0, True) for u, i in zip(*np.nonzero(counts), strict=True) for k in range(counts[u, i])]


def _build(
    spark: "SparkSession", rows: list[tuple[str, str, str, datetime, float, bool]], *, hide: interactions.Hidden = "nothing"
) -> interactions.Interactions:
    return interactions.build(spark, interactions.pairs_until(spark.createDataFrame(rows, EVENTS), AS_OF), hide=hide)


def _closed_form(confidence: np.ndarray, preference: np.ndarray, other: np.ndarray, regularisation: float) -> np.ndarray:
    """Equation 4 of Hu, Koren & Volinsky, row by row."""
    identity = np.eye(other.shape[1])
    return np.array([np.linalg.solve(other.T * c @ other + regularisation * identity, other.T @ (c * p)) for c, p in zip(confidence, preference, strict=True)])


def test_factors_equal_the_papers_closed_form(spark: "SparkSession") -> None:
    # With 3 factors, the solver's 3 conjugate-gradient steps are exact.
    fitted = als.fit(_build(spark, _events(COUNTS)), factors=3, iterations=2, regularisation=0.5, nu=0.0, confidence=Confidence(alpha=2.0), seed=7)

    random = np.random.default_rng(7)
    persons, items = random.random((4, 3), dtype=np.float32) * 0.01, random.random((4, 3), dtype=np.float32) * 0.01
    confidence, preference = 1 + 2.0 * np.log1p(COUNTS), (COUNTS > 0).astype(float)
    for _ in range(2):
        persons = _closed_form(confidence, preference, items, 0.5)
        items = _closed_form(confidence.T, preference.T, persons, 0.5)
    assert fitted.persons @ fitted.items.T == pytest.approx(persons @ items.T, abs=1e-3)


def test_the_regularisation_of_a_row_follows_how_often_it_occurs(spark: "SparkSession") -> None:
    # Section 3 of Rendle et al.: in proportion to n + 4 / 2, and 0.4 where n is 2, the mean. Exact in one step of three conjugate gradients.
    counts = np.array([[3, 1, 0, 1], [2, 0, 1, 0], [0, 0, 1, 4], [0, 1, 0, 0]])
    options = {"factors": 3, "iterations": 1, "regularisation": 0.4, "confidence": Confidence(alpha=2.0), "seed": 7}
    fitted = als.fit(_build(spark, _events(counts)), nu=1.0, **options)  # type: ignore[arg-type]
    items = np.random.default_rng(7)
    items.random((4, 3), dtype=np.float32)
    drawn = items.random((4, 3), dtype=np.float32) * 0.01
    confidence, preference = 1 + 2.0 * np.log1p(counts), (counts > 0).astype(float)
    persons = np.vstack([_closed_form(confidence[[u]], preference[[u]], drawn, strength) for u, strength in enumerate([0.5, 0.4, 0.4, 0.3])])
    assert fitted.persons == pytest.approx(persons, rel=1e-3)
    assert fitted.items == pytest.approx(_closed_form(confidence.T, preference.T, persons, 0.4), rel=1e-3, abs=1e-3)
    alike = als.fit(_build(spark, _events(counts)), nu=0.0, **options)  # type: ignore[arg-type]
    assert alike.persons[1:3] == pytest.approx(persons[1:3], rel=1e-3)
    assert alike.persons[[0, 3]] != pytest.approx(persons[[0, 3]], rel=1e-3)


def test_spark_mllib_finds_the_same_order(spark: "SparkSession") -> None:
    """Two groups of persons with items of their own; MLlib is the reference."""
    counts = np.kron(np.eye(2, dtype=int), np.ones((2, 2), dtype=int))
    counts[0, 1] = 0  # withheld
    matrix = _build(spark, _events(counts), hide="seen")
    options = {"factors": 2, "iterations": 10, "regularisation": 0.2, "confidence": Confidence(10.0), "seed": 3}
    native, reference = als.fit(matrix, nu=1.0, **options), als.fit_mllib(matrix, **options)  # type: ignore[arg-type]
    for fitted in (native, reference):
        scores = fitted.persons @ fitted.items.T
        assert scores[0].argsort()[::-1][:2].tolist() in ([0, 1], [1, 0])
        assert scores[2].argsort()[::-1][:2].tolist() in ([2, 3], [3, 2])
        assert scores[0, 1] > 3 * abs(scores[0, 2:]).max()


@pytest.mark.parametrize("blocks_per_core", [1, 4])
def test_factors_depend_neither_on_the_cut_nor_on_the_order_of_events(spark: "SparkSession", monkeypatch: pytest.MonkeyPatch, blocks_per_core: int) -> None:
    options = {"factors": 8, "iterations": 2, "regularisation": 0.1, "nu": 1.0, "confidence": Confidence(5.0), "seed": 1}
    counts = np.random.default_rng(3).integers(0, 3, (4, 4))
    expected = als.fit(_build(spark, _events(counts)), **options)  # type: ignore[arg-type]
    monkeypatch.setattr(interactions, "BLOCKS_PER_CORE", blocks_per_core)
    again = als.fit(_build(spark, _events(counts)[::-1]), **options)  # type: ignore[arg-type]
    assert again.persons.tobytes() == expected.persons.tobytes()
    assert again.items.tobytes() == expected.items.tobytes()


def test_each_block_is_a_task_of_its_own(spark: "SparkSession") -> None:
    """A table of few rows is one partition otherwise, and one core does all."""
    matrix = _build(spark, _events(COUNTS))
    for blocks in (matrix.by_person, matrix.by_item):
        tasks = [row.count for row in blocks.groupBy(spark_partition_id()).count().collect()]
        assert len(tasks) == blocks.count() > 1


def test_confidence_grows_with_the_logarithm_of_the_weight_and_fades() -> None:
    cells = {"columns": np.array([0, 1]), "hidden": np.array([False, False])}
    block = interactions.Block(0, np.array([0, 2]), weights=np.array([1.0, 3.0]), ages=np.array([0.0, 14.0]), **cells)
    assert Confidence(10.0).of(block) == pytest.approx([1 + 10 * np.log(2), 1 + 10 * np.log(4)])
    assert Confidence(10.0, half_life_days=7.0).of(block) == pytest.approx([1 + 10 * np.log(2), 1 + 10 * np.log(4) / 4])


def test_scores_are_the_products_of_the_factors_best_first(spark: "SparkSession") -> None:
    matrix = _build(spark, _events(COUNTS))
    fitted = als.Factors(np.eye(4, dtype=np.float32), np.array([[0.5, 0, 0, 0], [0.25, 0, 0, 0], [0.5, 0, 0, 0], [-1, 0, 0, 1]], dtype=np.float32))
    table = als.recommend(matrix, fitted, per_person=3, eligible=np.arange(4), wanted=np.array([0]))
    # p and r tie: the smaller id first. s is negative: not proposed.
    assert table.to_pylist() == [
        {"row": 0, "rank": 1, "item": 0, "score": 0.5},
        {"row": 0, "rank": 2, "item": 2, "score": 0.5},
        {"row": 0, "rank": 3, "item": 1, "score": 0.25},
    ]


def test_only_personal_events_before_the_end_of_the_day_count(spark: "SparkSession") -> None:
    last, next_day = datetime(2026, 3, 10, 23, 59, 59), datetime(2026, 3, 11)
    rows = [
        ("a", "p", "view", last, 1.5, True),
        ("a", "p", "purchase", last - timedelta(days=2), 2.0, True),
        ("a", "p", "view", next_day, 4.0, True),
        ("a", "q", "view", last, 1.0, False),
    ]
    (pair,) = interactions.pairs_until(spark.createDataFrame(rows, EVENTS), AS_OF).collect()
    assert pair.asDict() == {"person_id": "a", "item_id": "p", "weight": 3.5, "age_days": pytest.approx(1 / 86400), "is_bought": True}


def test_nobody_is_no_error(spark: "SparkSession") -> None:
    matrix = _build(spark, [])
    fitted = als.fit(matrix, factors=2, iterations=1, regularisation=0.1, nu=1.0, confidence=Confidence(1.0), seed=1)
    assert als.recommend(matrix, fitted, per_person=3, eligible=np.array([], dtype=np.int64)).num_rows == 0


def test_spark_and_the_driver_alone_find_the_same_factors(spark: "SparkSession", monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = _build(spark, _events(np.random.default_rng(5).integers(0, 3, (40, 4))[:4]))
    options = {"factors": 3, "iterations": 3, "regularisation": 0.1, "nu": 1.0, "confidence": Confidence(2.0, 30.0), "seed": 7}
    here = als.fit(matrix, **options)  # type: ignore[arg-type]
    monkeypatch.setattr(als, "LOCAL_CELLS", 0)
    in_tasks = als.fit(matrix, **options)  # type: ignore[arg-type]
    assert np.array_equal(here.persons, in_tasks.persons)
    assert np.array_equal(here.items, in_tasks.items)
    assert here.items.any()
