"""Neighbours of items, by any formula that is a sparse product, and the lists that follow from what a person came to.

Item-to-item collaborative filtering (Linden, Smith & York, "Amazon.com Recommendations", IEEE Internet Computing 2003). The formulas are those of
models.recommenders.neighbours; its matrices, of a bounded number of items per person, are broadcast, and each task multiplies out its chunks of rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from models.recommenders.events import Events
from models.recommenders.neighbours import FLOOR, Product
from spark_jobs.interactions import Block, Interactions, read_blocks
from spark_jobs.ranking import PACKED_SCHEMA, best_per_row, packed, significant, unpacked

if TYPE_CHECKING:
    from pyspark import Broadcast
    from pyspark.sql import SparkSession
    from scipy.sparse import csr_matrix

LIST_ITEMS = 10  # a list follows from a person's newest items, this many
LIST_DECAY = 0.9  # and each older one counts so much less; chosen on inner splits of Online Retail and Globo
FAST_AGE_QUANTILE = 0.1
ITEM_ROWS = 256  # rows of the dense-most product that are in memory at once
PERSON_ROWS = 4096
NEWEST_SCHEMA = "person int, item int, age double"


@dataclass(frozen=True)
class Query:
    """What of a person's past asks for neighbours: the `last` items, each older one counting `decay` times the one before it, and halved every
    `half_life` days (None: not at all).
    """

    last: int = LIST_ITEMS
    decay: float = LIST_DECAY
    half_life: float | None = None


def newest(interactions: Interactions, *, max_items: int) -> pa.Table:
    """The `max_items` items that each person came to last: columns person, item (numbers), age (days), by person, newest first; ties by item."""
    table = interactions.by_person.mapInArrow(partial(_newest_blocks, max_items=max_items), NEWEST_SCHEMA).toArrow()
    return table.sort_by([("person", "ascending"), ("age", "ascending"), ("item", "ascending")])


def events_of(newest: pa.Table, *, n_items: int) -> Events:
    """The rows of `newest` as events that count the same: what the formulas read."""
    person, item, age = (newest.column(name).to_numpy() for name in ("person", "item", "age"))
    return Events(person, item, np.ones(len(age)), age, int(person.max(initial=-1)) + 1, n_items)


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


def similar(spark: "SparkSession", product: Product, *, per_item: int, eligible: np.ndarray) -> pa.Table:
    """The `per_item` `eligible` items (numbers, sorted) with the largest positive cells of each item's row of `product`, itself left out.

    One row per (row = the item, rank), ordered; score is the cell, to 6 significant digits.
    """
    n_items = product.left.shape[0]
    shared = spark.sparkContext.broadcast((product, eligible))
    chunks = spark.range(0, -(-n_items // ITEM_ROWS), numPartitions=spark.sparkContext.defaultParallelism * 4)
    found = unpacked(chunks.mapInArrow(partial(_similar_chunks, shared=shared, per_item=per_item), PACKED_SCHEMA))
    shared.destroy()
    return found


def recommend(interactions: Interactions, similar: pa.Table, *, per_person: int, query: Query | None = None, wanted: np.ndarray | None = None) -> pa.Table:
    """The neighbours of what each person came to last, without what is hidden from that person.

    score = sum over the person's items of what they count in the `query` times their similarity. One row per (row = number of the person, rank).
    `wanted`: numbers of the persons to do it for, None: all.
    """
    from scipy.sparse import csr_matrix

    n_items = len(interactions.item_ids)
    cells = (similar.column("score").to_numpy(), (similar.column("row").to_numpy(), similar.column("item").to_numpy()))
    shared = interactions.by_person.sparkSession.sparkContext.broadcast((csr_matrix(cells, shape=(n_items, n_items)), wanted))
    asked = partial(_recommend_blocks, shared=shared, per_person=per_person, query=query or Query())
    found = unpacked(interactions.by_person.mapInArrow(asked, PACKED_SCHEMA))
    shared.destroy()
    return found


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


def _similar_chunks(batches: Iterator[pa.RecordBatch], *, shared: "Broadcast[tuple[Product, np.ndarray]]", per_item: int) -> Iterator[pa.RecordBatch]:
    product, eligible = shared.value
    is_eligible = np.zeros(len(product.columns), dtype=bool)
    is_eligible[eligible] = True
    for batch in batches:
        for chunk in batch.column(0).to_pylist():
            start = chunk * ITEM_ROWS
            together = product.dividends(start, start + ITEM_ROWS).tocoo()
            row, item = together.row + start, together.col
            divisor = product.rows[row].astype(np.float64) * product.columns[item] + product.shrinkage
            kept = is_eligible[item] & (row != item) & (divisor > 0) & (together.data > 0)
            cell = significant(together.data[kept].astype(np.float64) / divisor[kept])
            yield packed(start, best_per_row(row[kept], item[kept], cell, per_row=per_item))


def _recommend_blocks(
    batches: Iterator[pa.RecordBatch], *, shared: "Broadcast[tuple[csr_matrix, np.ndarray | None]]", per_person: int, query: Query
) -> Iterator[pa.RecordBatch]:
    similarity, wanted = shared.value
    n_items = similarity.shape[0]
    for block in read_blocks(batches):
        latest = _asked(block, query, n_items)
        hidden = block.matrix(block.hidden.astype(np.float64), n_items)
        persons = np.arange(block.n_rows)
        persons = persons if wanted is None else persons[np.isin(persons + block.start, wanted)]
        for start in range(0, len(persons), PERSON_ROWS):
            chunk = persons[start : start + PERSON_ROWS]
            scores = latest[chunk] @ similarity
            scores = (scores - scores.multiply(hidden[chunk])).tocoo()
            positive = scores.data > 0
            row, item = chunk[scores.row[positive]] + block.start, scores.col[positive]
            yield packed(chunk[0] + block.start, best_per_row(row, item, significant(scores.data[positive]), per_row=per_person))


def _asked(block: Block, query: Query, n_items: int) -> "csr_matrix":
    """Person by item: how much each item of a person's past counts."""
    from scipy.sparse import csr_matrix

    cells, rows, place = _newest_cells(block, query.last)
    counts = query.decay**place
    if query.half_life is not None:
        counts = counts * np.maximum(0.5 ** (block.ages[cells] / query.half_life), FLOOR)
    return csr_matrix((counts, (rows, block.columns[cells])), shape=(block.n_rows, n_items))
