"""Interactions as Spark frames and as blocks of a sparse matrix, which the native kernels of the recommenders work on.

Spark reads the events and adds them up per pair. The pairs (some 70 bytes each) come to the driver, where the ids of persons and items
are numbered in their byte order, and go back to the tasks as blocks of rows. What is computed for a row depends on that row and on
what is broadcast, never on the cut, so the result is the same for any number of partitions.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from scipy.sparse import csr_matrix

MICROSECONDS_PER_DAY = 86_400_000_000
MAX_BLOCK_ROWS = 100_000
BLOCKS_PER_CORE = 2  # blocks differ in size: the second one evens it out
BLOCK_COLUMNS = {"indptr": np.int32, "columns": np.int32, "weights": np.float64, "ages": np.float64, "hidden": np.bool_}
BLOCK_SCHEMA = "start int, " + ", ".join(f"{name} binary" for name in BLOCK_COLUMNS)

Hidden = Literal["nothing", "bought", "seen"]
NO_IDS = pa.array([], pa.string())


@dataclass(frozen=True)
class Interactions:
    """Who interacted with what, twice: in blocks of persons and in blocks of items. The ids are sorted; a row's number is its id's place."""

    person_ids: pa.Array
    item_ids: pa.Array
    by_person: "DataFrame"
    by_item: "DataFrame"
    n_cells: int  # pairs of a person and an item


@dataclass(frozen=True)
class Block:
    """Consecutive rows of the matrix, from row number `start` on: weights, ages in days, and which cells are never proposed, in one CSR layout."""

    start: int
    indptr: np.ndarray
    columns: np.ndarray
    weights: np.ndarray
    ages: np.ndarray
    hidden: np.ndarray

    @property
    def n_rows(self) -> int:
        return len(self.indptr) - 1

    @property
    def rows(self) -> np.ndarray:
        """The row within the block of each cell."""
        return np.repeat(np.arange(self.n_rows, dtype=np.int32), np.diff(self.indptr))

    def matrix(self, values: np.ndarray, n_columns: int) -> "csr_matrix":
        """`values`, one per cell, as rows of a sparse matrix."""
        from scipy.sparse import csr_matrix

        return csr_matrix((values, self.columns, self.indptr), shape=(self.n_rows, n_columns))


def pairs_until(events: "DataFrame", as_of: date) -> "DataFrame":
    """What each person did with each item before the end of `as_of` (UTC): one row per (person_id, item_id).

    events: rows of fct_interactions; only those with is_personal count. weight: the sum over the pair's events, rounded to 6 digits;
    age_days: days from the last of them to the end of `as_of`; is_bought: one of them was a purchase.
    """
    from pyspark.sql import functions as F  # noqa: N812  (the name that Spark's documentation uses)

    moment = F.col("occurred_at").cast("timestamp")
    end = F.lit(f"{as_of + timedelta(days=1)} 00:00:00").cast("timestamp")
    age = (F.unix_micros(end) - F.unix_micros(moment)) / F.lit(MICROSECONDS_PER_DAY)
    known = F.col("is_personal") & (moment < end) & F.col("person_id").isNotNull() & F.col("item_id").isNotNull()
    return (
        events.where(known)
        .groupBy("person_id", "item_id")
        .agg(
            F.round(F.sum(F.col("weight").cast("double")), 6).alias("weight"),
            F.min(age).alias("age_days"),
            F.max(F.coalesce(F.col("event_type") == "purchase", F.lit(False))).alias("is_bought"),
        )
    )


def build(spark: "SparkSession", pairs: "DataFrame", *, hide: Hidden, items: pa.Array = NO_IDS) -> Interactions:
    """Number the persons and items of `pairs` (see `pairs_until`) and cut the matrix into blocks; `hide` says which cells are never proposed.

    `items`: ids that get a number though nobody has come to them yet.
    """
    table = pairs.toArrow()
    persons = _sorted(table.column("person_id"))
    item_ids = _sorted(pa.chunked_array([*table.column("item_id").cast(pa.string()).chunks, items], pa.string()))
    person, item = (
        pc.index_in(table.column(name).cast(pa.string()), value_set=ids).to_numpy() for name, ids in (("person_id", persons), ("item_id", item_ids))
    )
    weight, age = (table.column(name).to_numpy() for name in ("weight", "age_days"))
    hidden = table.column("is_bought").to_numpy() if hide == "bought" else np.full(len(person), hide == "seen")
    by_person = _blocks(spark, person, item, (weight, age, hidden), len(persons))
    by_item = _blocks(spark, item, person, (weight, age, hidden), len(item_ids))
    return Interactions(persons, item_ids, by_person, by_item, table.num_rows)


def read_blocks(batches: Iterator[pa.RecordBatch]) -> Iterator[Block]:
    """The blocks in a task's batches of `by_person` or `by_item`; their arrays are copies, as the native kernels want to be able to write."""
    for batch in batches:
        for row in batch.to_pylist():
            yield Block(row["start"], **{name: np.frombuffer(row[name], dtype).copy() for name, dtype in BLOCK_COLUMNS.items()})


def binary_row(start: int, **columns: bytes) -> pa.RecordBatch:
    """What a task has for its rows from number `start` on, as one row of a frame: the JVM, which passes it on, would take arrays apart and put them together again."""
    return pa.record_batch({"start": pa.array([start], pa.int32())} | {name: pa.array([value], pa.binary()) for name, value in columns.items()})


def numbers_of(ids: pa.Array, wanted: pa.Array) -> np.ndarray:
    """The numbers of those `wanted` ids that are among `ids`, sorted, each once."""
    found = pc.index_in(wanted, value_set=ids)
    return np.unique(found.drop_null().to_numpy(zero_copy_only=False)).astype(np.int64)


def _sorted(column: pa.ChunkedArray) -> pa.Array:
    """The different ids, sorted by their bytes."""
    ids = pc.unique(column).cast(pa.string())
    return ids.take(pc.sort_indices(ids))


def _blocks(spark: "SparkSession", row: np.ndarray, column: np.ndarray, values: tuple[np.ndarray, ...], n_rows: int) -> "DataFrame":
    """The cells as rows of BLOCK_SCHEMA, kept by Spark."""
    order = np.lexsort((column, row))
    indptr = np.concatenate(([0], np.cumsum(np.bincount(row, minlength=n_rows)))).astype(np.int64)
    cells = [array[order] for array in (column, *values)]
    n_blocks = max(BLOCKS_PER_CORE * spark.sparkContext.defaultParallelism, -(-n_rows // MAX_BLOCK_ROWS))
    size = max(1, -(-n_rows // n_blocks))
    blocks = [
        (start, indptr[start : start + size + 1] - indptr[start], *(array[indptr[start] : indptr[min(start + size, n_rows)]] for array in cells))
        for start in range(0, n_rows, size)
    ]
    starts, *arrays = zip(*blocks, strict=True) if blocks else [()] * (len(BLOCK_COLUMNS) + 1)
    table = {"start": pa.array(starts, pa.int32())}
    for (name, kind), column_arrays in zip(BLOCK_COLUMNS.items(), arrays, strict=True):
        table[name] = pa.array([array.astype(kind).tobytes() for array in column_arrays], pa.binary())
    frame = spark.createDataFrame(pa.table(table), BLOCK_SCHEMA).repartitionByRange(max(1, len(blocks)), "start")  # so few rows are one task otherwise
    return frame.localCheckpoint()  # else every task would carry the blocks anew
