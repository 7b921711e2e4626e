"""Implicit-feedback matrix factorisation by alternating least squares.

Model: Hu, Koren & Volinsky, "Collaborative Filtering for Implicit Feedback Datasets" (ICDM 2008), with a regularisation that follows the
frequency of each row (Rendle, Krichene, Zhang & Koren, "Revisiting the Performance of iALS on Item Recommendation Benchmarks", RecSys 2022).
Solver: Takacs, Pilaszy & Tikk, "Applications of the Conjugate Gradient Method for Implicit Feedback Collaborative Filtering" (RecSys 2011), three
steps a row, by the native kernels of the library `implicit`. Spark hands them out: the factors of the other side are broadcast, and each
task solves its block of rows; over few pairs the driver does the same by itself, with the same result. `fit_mllib` is Spark's own ALS, which takes
several times as long. The lists are exact (spark_jobs/inner_products.py).
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from models.recommenders.als import Als, solve, with_regularisation
from spark_jobs.inner_products import Catalogue, best
from spark_jobs.interactions import Block, Interactions, binary_row, read_blocks
from spark_jobs.ranking import ARROW_SCHEMA, PACKED_SCHEMA, packed, ranked, ranks, unpacked

if TYPE_CHECKING:
    from pyspark import Broadcast
    from pyspark.sql import DataFrame
    from scipy.sparse import csr_matrix

INITIAL_SCALE = 0.01
TOP_ROWS = 1024  # persons whose lists are handed over at once: cut at its multiples, so that a score does not depend on the block
LOCAL_CELLS = 500_000  # a half-step over fewer pairs takes less than Spark takes to hand it out
CELLS = {"indptr": np.int32, "columns": np.int32, "confidences": np.float32}
CELLS_SCHEMA = "start int, " + ", ".join(f"{name} binary" for name in CELLS)
SOLVED_SCHEMA = "start int, factors binary"
CHECKPOINT_ROUNDS = 2  # MLlib's plan grows with every round, until the JVM's stack overflows and the JVM ends
RATINGS_SCHEMA = "person int, item int, rating float"


@dataclass(frozen=True)
class Factors:
    """Latent factors, float32: `persons` has one row per number of a person, `items` one per number of an item."""

    persons: np.ndarray
    items: np.ndarray


@dataclass(frozen=True)
class Confidence:
    """r sums the weights of the pair's events, which follow from their types: what a purchase weighs is the source's to say (config/sources). c = 1 + alpha * log(1 + r) * decay: the paper's logarithmic form, as counts are heavy-tailed, times the fading of old interactions.

    `half_life_days`: after so many days an interaction counts half; None: it never fades. What has faded counts as seen, not as liked less.
    """

    alpha: float
    half_life_days: float | None = None

    def of(self, block: Block) -> np.ndarray:
        """One confidence per cell of the block, float32."""
        decay = 1.0 if self.half_life_days is None else 0.5 ** (block.ages / self.half_life_days)
        return (1.0 + self.alpha * np.log1p(block.weights) * decay).astype(np.float32)


@dataclass(frozen=True)
class _Side:
    """How the rows of one side are solved, and how many rows, columns and cells it has."""

    model: Als
    confidence: Confidence
    n_rows: int
    n_columns: int
    n_cells: int


def fit(interactions: Interactions, *, factors: int, iterations: int, regularisation: float, nu: float, confidence: Confidence, seed: int) -> Factors:
    """The factors after `iterations` rounds, from small random ones that follow from the seed and the order of the ids.

    `regularisation` and `nu` are lambda and nu of models.recommenders.als: nu 0 regularises all rows alike. Who or what nobody came to has zeros.
    """
    random = np.random.default_rng(seed)
    persons = random.random((len(interactions.person_ids), factors), dtype=np.float32) * np.float32(INITIAL_SCALE)
    items = random.random((len(interactions.item_ids), factors), dtype=np.float32) * np.float32(INITIAL_SCALE)
    model = Als(factors=factors, regularisation=regularisation, alpha=confidence.alpha, nu=nu)
    n_cells = interactions.n_cells
    solve_persons = _solver(interactions.by_person, _Side(model, confidence, len(persons), len(items), n_cells))
    solve_items = _solver(interactions.by_item, _Side(model, confidence, len(items), len(persons), n_cells))
    for _ in range(iterations):
        persons = solve_persons(persons, items)
        items = solve_items(items, persons)
    return Factors(persons, items)


def fit_mllib(interactions: Interactions, *, factors: int, iterations: int, regularisation: float, confidence: Confidence, seed: int) -> Factors:
    """The same model by Spark MLlib, which regularises by the number of the row's interactions alone, what was not seen left out, and has no nu. The geometric mean of what the mean
    person and the mean item get is the same `regularisation`.
    """
    from pyspark.ml.recommendation import ALS

    cells = interactions.by_person.mapInArrow(partial(_ratings, confidence=confidence), RATINGS_SCHEMA)
    n_persons, n_items = len(interactions.person_ids), len(interactions.item_ids)
    weight = regularisation * float(np.sqrt(n_persons * n_items)) / max(interactions.n_cells, 1)
    made = ALS(rank=factors, maxIter=iterations, regParam=weight, alpha=confidence.alpha, implicitPrefs=True, seed=seed)
    made = made.setUserCol("person").setItemCol("item").setCheckpointInterval(CHECKPOINT_ROUNDS)
    empty = (np.zeros((len(ids), factors), dtype=np.float32) for ids in (interactions.person_ids, interactions.item_ids))
    if not len(interactions.person_ids):
        return Factors(*empty)
    fitted = made.fit(cells)
    return Factors(*(_filled(values, found.toArrow()) for values, found in zip(empty, (fitted.userFactors, fitted.itemFactors), strict=True)))


def recommend(interactions: Interactions, fitted: Factors, *, per_person: int, eligible: np.ndarray, wanted: np.ndarray | None = None) -> pa.Table:
    """The exact best `eligible` items (numbers, sorted) of each person, without what is hidden from that person.

    One row per (row = number of the person, rank); item is a number; score is the predicted preference, near 1 for what the person
    likes; only positive ones. `wanted`: numbers of the persons to do it for, None: all.
    """
    if not len(eligible):
        return ARROW_SCHEMA.empty_table()
    context = interactions.by_person.sparkSession.sparkContext
    shared = context.broadcast((fitted.persons, Catalogue.of(fitted.items, eligible, wanted=per_person), wanted))
    found = unpacked(interactions.by_person.mapInArrow(partial(_recommend_blocks, shared=shared, per_person=per_person), PACKED_SCHEMA))
    shared.destroy()
    return found


@dataclass(frozen=True)
class _Cells:
    """Consecutive rows of the confidences, from row number `start` on."""

    start: int
    matrix: "csr_matrix"


def _solver(side: "DataFrame", how: _Side) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """What makes the new factors of one side out of its old ones and those of the other side: in Spark's tasks, or here where a task would cost more than it does."""
    if how.n_cells > LOCAL_CELLS:
        prepared = side.mapInArrow(
            partial(_prepare_blocks, confidence=how.confidence), CELLS_SCHEMA
        ).localCheckpoint()  # an iteration needs a third of a block's bytes
        return partial(_solve, prepared, how=how)
    cells = [_Cells(block.start, block.matrix(how.confidence.of(block), how.n_columns)) for block in read_blocks(iter(side.toArrow().to_batches()))]

    def solve_here(old: np.ndarray, other: np.ndarray) -> np.ndarray:
        new = np.empty_like(old)
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            for part, rows in zip(cells, pool.map(lambda part: _solved(part, old, other, how), cells), strict=True):
                new[part.start : part.start + len(rows)] = rows
        return new

    return solve_here


def _prepare_blocks(batches: Iterator[pa.RecordBatch], *, confidence: Confidence) -> Iterator[pa.RecordBatch]:
    for block in read_blocks(batches):
        yield binary_row(block.start, indptr=block.indptr.tobytes(), columns=block.columns.tobytes(), confidences=confidence.of(block).tobytes())


def _read_cells(batches: Iterator[pa.RecordBatch], n_columns: int) -> Iterator[_Cells]:
    from scipy.sparse import csr_matrix

    for batch in batches:
        for n, start in enumerate(batch.column("start").to_pylist()):
            indptr, columns, values = (np.frombuffer(batch.column(name)[n].as_buffer(), kind) for name, kind in CELLS.items())
            yield _Cells(start, csr_matrix((values, columns, indptr), shape=(len(indptr) - 1, n_columns)))


def _solve(prepared: "DataFrame", old: np.ndarray, other: np.ndarray, *, how: _Side) -> np.ndarray:
    shared = prepared.sparkSession.sparkContext.broadcast((old, other))
    solved = prepared.mapInArrow(partial(_solve_blocks, shared=shared, how=how), SOLVED_SCHEMA).toArrow()
    new = np.empty_like(old)
    for start, factors in zip(solved.column("start").to_pylist(), solved.column("factors"), strict=True):
        rows = np.frombuffer(factors.as_buffer(), np.float32).reshape(-1, old.shape[1])
        new[start : start + len(rows)] = rows
    shared.destroy()
    return new


def _solve_blocks(batches: Iterator[pa.RecordBatch], *, shared: "Broadcast[tuple[np.ndarray, np.ndarray]]", how: _Side) -> Iterator[pa.RecordBatch]:
    old, other = shared.value
    for cells in _read_cells(batches, how.n_columns):
        rows = _solved(cells, old, other, how)
        yield binary_row(cells.start, factors=rows.tobytes())


def _solved(cells: _Cells, old: np.ndarray, other: np.ndarray, how: _Side) -> np.ndarray:
    """The new factors of the rows."""
    matrix = cells.matrix
    rows = old[cells.start : cells.start + matrix.shape[0]].copy()
    strengths = how.model.strengths(matrix, n_rows=how.n_rows, n_cells=how.n_cells)
    solve(with_regularisation(matrix, strengths, how.model.factors), rows, other, threads=1)
    rows[np.diff(matrix.indptr) == 0] = 0.0  # what the solver leaves of the first draw
    return rows


def _ratings(batches: Iterator[pa.RecordBatch], *, confidence: Confidence) -> Iterator[pa.RecordBatch]:
    """MLlib's confidence is 1 + alpha * rating."""
    for block in read_blocks(batches):
        rating = (confidence.of(block) - 1.0) / np.float32(confidence.alpha)
        yield pa.record_batch({"person": pa.array(block.rows + np.int32(block.start)), "item": pa.array(block.columns), "rating": pa.array(rating)})


def _filled(values: np.ndarray, found: pa.Table) -> np.ndarray:
    """`values` with the rows that MLlib found."""
    values[found.column("id").to_numpy()] = found.column("features").combine_chunks().flatten().to_numpy().reshape(-1, values.shape[1])
    return values


def _recommend_blocks(
    batches: Iterator[pa.RecordBatch], *, shared: "Broadcast[tuple[np.ndarray, Catalogue, np.ndarray | None]]", per_person: int
) -> Iterator[pa.RecordBatch]:
    factors, catalogue, wanted = shared.value
    for block in read_blocks(batches):
        hidden = catalogue.hidden(block)
        persons = np.arange(block.start, block.start + block.n_rows)
        persons = persons if wanted is None else persons[np.isin(persons, wanted)]
        for chunk in np.split(persons, np.flatnonzero(np.diff(persons // TOP_ROWS)) + 1):
            if len(chunk):
                row, item, score = best(factors[chunk], hidden[chunk - block.start], catalogue, per_person)
                yield packed(chunk[0], ranked(chunk[row], ranks(row), item, score))
