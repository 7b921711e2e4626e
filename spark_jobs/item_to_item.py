"""Items that the same people interact with: cosine of the co-occurrence, fading with time.

Method: item-to-item collaborative filtering (Linden, Smith & York, "Amazon.com Recommendations", IEEE Internet Computing 2003), with
a shrunk cosine (Bell & Koren, "Scalable Collaborative Filtering with Jointly Derived Neighborhood Interpolation Weights", ICDM
2007: what few people support counts less) and exponential forgetting (Ding & Li, "Time Weight Collaborative Filtering", CIKM 2005).
The newest items of each person, a bounded sparse matrix, are broadcast; each task multiplies out its block of rows.
"""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from spark_jobs.interactions import Block, Interactions, read_blocks
from spark_jobs.ranking import RANKED_SCHEMA, best_per_row, significant

if TYPE_CHECKING:
    from pyspark import Broadcast
    from pyspark.sql import SparkSession
    from scipy.sparse import csr_matrix

LIST_ITEMS = 10  # a list follows from a person's newest items, this many
LIST_DECAY = 0.9  # and each older one counts so much less; chosen on inner splits of Online Retail and Globo
FAST_AGE_QUANTILE = 0.1
FLOOR = 1e-6  # what is long past still decides between items that nothing recent is known of
ITEM_ROWS = 256  # rows of the dense-most product that are in memory at once
PERSON_ROWS = 4096
NEWEST_SCHEMA = "person int, item int, age double"


def newest(interactions: Interactions, *, max_items: int) -> pa.Table:
    """The `max_items` items that each person came to last: columns person, item (numbers), age (days), by person, newest first; ties by item."""
    table = interactions.by_person.mapInArrow(partial(_newest_blocks, max_items=max_items), NEWEST_SCHEMA).toArrow()
    return table.sort_by([("person", "ascending"), ("age", "ascending"), ("item", "ascending")])


def half_life(newest: pa.Table) -> float | None:
    """How fast this catalogue ages, in days: a tenth of all interactions are with items that are younger than that, counted from
    the item's first interaction. Hours for news, weeks for a shop. None where items have no age yet.
    """
    if not newest.num_rows:
        return None
    item, age = newest.column("item").to_numpy(), newest.column("age").to_numpy()
    first = np.zeros(item.max() + 1)
    np.maximum.at(first, item, age)
    item_ages = first[item] - age
    positive = item_ages[item_ages > 0]
    return float(np.quantile(positive, FAST_AGE_QUANTILE).round(6)) or None if len(positive) else None


def similar(
    spark: "SparkSession", newest: pa.Table, *, n_items: int, per_item: int, eligible: np.ndarray, half_life_days: float | None, shrinkage: float
) -> pa.Table:
    """The `per_item` most similar `eligible` items (numbers, sorted) of each item: one row per (row = the item, rank); score in (0, 1]."""
    weights = _weights(newest, n_items, half_life_days)
    norms = np.sqrt(np.asarray(weights.power(2).sum(axis=0)).ravel())
    shared = spark.sparkContext.broadcast((weights, weights.T.tocsr(), norms, eligible))
    chunks = spark.range(0, -(-n_items // ITEM_ROWS), numPartitions=spark.sparkContext.defaultParallelism * 4)
    ranked = chunks.mapInArrow(partial(_similar_chunks, shared=shared, per_item=per_item, shrinkage=shrinkage), RANKED_SCHEMA).toArrow()
    shared.destroy()
    return ranked.sort_by([("row", "ascending"), ("rank", "ascending")])


def recommend(interactions: Interactions, similar: pa.Table, *, per_person: int, wanted: np.ndarray | None = None) -> pa.Table:
    """The items that are most similar to what each person came to last, without what is hidden from that person.

    score = sum over the person's newest 10 items of 0.9^place * similarity. One row per (row = number of the person, rank).
    `wanted`: numbers of the persons to do it for, None: all.
    """
    from scipy.sparse import csr_matrix

    n_items = len(interactions.item_ids)
    cells = (similar.column("score").to_numpy(), (similar.column("row").to_numpy(), similar.column("item").to_numpy()))
    shared = interactions.by_person.sparkSession.sparkContext.broadcast((csr_matrix(cells, shape=(n_items, n_items)), wanted))
    ranked = interactions.by_person.mapInArrow(partial(_recommend_blocks, shared=shared, per_person=per_person), RANKED_SCHEMA).toArrow()
    shared.destroy()
    return ranked


def _newest_cells(block: Block, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The newest `count` cells of each row, as cell numbers, with their row in the block and their place (0 = newest)."""
    order = np.lexsort((block.columns, block.ages, block.rows))
    rows = block.rows[order]
    place = np.arange(len(rows)) - block.indptr[rows]
    kept = place < count
    return order[kept], rows[kept], place[kept]


def _newest_blocks(batches: Iterator[pa.RecordBatch], *, max_items: int) -> Iterator[pa.RecordBatch]:
    for block in read_blocks(batches):
        cells, rows, _ = _newest_cells(block, max_items)
        person = pa.array((rows + block.start).astype(np.int32))
        yield pa.record_batch({"person": person, "item": pa.array(block.columns[cells]), "age": pa.array(block.ages[cells])})


def _weights(newest: pa.Table, n_items: int, half_life_days: float | None) -> "csr_matrix":
    """Person by item: how much a person's interaction counts. Fades with time, and the more items a person has, the less each says."""
    from scipy.sparse import csr_matrix

    person, item, age = (newest.column(name).to_numpy() for name in ("person", "item", "age"))
    counts = np.bincount(person) if len(person) else np.zeros(0, dtype=np.int64)
    weight = np.ones(len(age)) if half_life_days is None else np.maximum(0.5 ** (age / half_life_days), FLOOR)
    weight = weight / np.sqrt(np.log2(1 + counts[person]))
    matrix = csr_matrix((weight, (person, item)), shape=(len(counts), n_items))
    matrix.sort_indices()
    return matrix


def _similar_chunks(
    batches: Iterator[pa.RecordBatch], *, shared: "Broadcast[tuple[csr_matrix, csr_matrix, np.ndarray, np.ndarray]]", per_item: int, shrinkage: float
) -> Iterator[pa.RecordBatch]:
    weights, by_item, norms, eligible = shared.value
    is_eligible = np.zeros(len(norms), dtype=bool)
    is_eligible[eligible] = True
    for batch in batches:
        for chunk in batch.column(0).to_pylist():
            start = chunk * ITEM_ROWS
            together = (by_item[start : start + ITEM_ROWS] @ weights).tocoo()
            row, item = together.row + start, together.col
            kept = is_eligible[item] & (row != item)
            row, item = row[kept], item[kept]
            yield best_per_row(row, item, significant(together.data[kept] / (norms[row] * norms[item] + shrinkage)), per_row=per_item)


def _recommend_blocks(
    batches: Iterator[pa.RecordBatch], *, shared: "Broadcast[tuple[csr_matrix, np.ndarray | None]]", per_person: int
) -> Iterator[pa.RecordBatch]:
    from scipy.sparse import csr_matrix

    similarity, wanted = shared.value
    n_items = similarity.shape[0]
    for block in read_blocks(batches):
        cells, rows, place = _newest_cells(block, LIST_ITEMS)
        latest = csr_matrix((LIST_DECAY**place, (rows, block.columns[cells])), shape=(block.n_rows, n_items))
        hidden = block.matrix(block.hidden.astype(np.float64), n_items)
        persons = np.arange(block.n_rows)
        persons = persons if wanted is None else persons[np.isin(persons + block.start, wanted)]
        for start in range(0, len(persons), PERSON_ROWS):
            chunk = persons[start : start + PERSON_ROWS]
            scores = latest[chunk] @ similarity
            scores = (scores - scores.multiply(hidden[chunk])).tocoo()
            positive = scores.data > 0
            row, item = chunk[scores.row[positive]] + block.start, scores.col[positive]
            yield best_per_row(row, item, significant(scores.data[positive]), per_row=per_person)
