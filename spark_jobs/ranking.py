"""The best items of each row: one rule of order and ties for all recommenders."""

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from spark_jobs.interactions import binary_row

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

DIGITS = 6  # floating sums are rounded before anything is ranked by them
PACKED_SCHEMA = "start int, ranked binary"
ARROW_SCHEMA = pa.schema([("row", pa.int32()), ("rank", pa.int32()), ("item", pa.int32()), ("score", pa.float64())])


def significant(values: np.ndarray) -> np.ndarray:
    """`values` (positive) rounded to 6 significant digits."""
    scale = 10.0 ** (DIGITS - 1 - np.floor(np.log10(values)))
    return np.round(values * scale) / scale


def best_per_row(rows: np.ndarray, items: np.ndarray, scores: np.ndarray, *, per_row: int) -> pa.RecordBatch:
    """The `per_row` items of the highest positive score of each row, one line per (row, rank), ordered by them; rank 1 is the best.

    scores: already rounded; ties break on the item's number, which is the order of the item ids.
    """
    positive = scores > 0
    rows, items, scores = rows[positive], items[positive], scores[positive].astype(np.float64)
    order = np.lexsort((items, -scores, rows))
    rows = rows[order]
    rank = ranks(rows)
    kept = rank <= per_row
    return ranked(rows[kept], rank[kept], items[order][kept], scores[order][kept])


def ranks(rows: np.ndarray) -> np.ndarray:
    """1, 2, ... within each row; the lines of a row stand together, the best first."""
    first = np.flatnonzero(np.diff(rows, prepend=-1))
    return np.arange(len(rows)) - np.repeat(first, np.diff(np.append(first, len(rows)))) + 1


def ranked(rows: np.ndarray, rank: np.ndarray, items: np.ndarray, scores: np.ndarray) -> pa.RecordBatch:
    """Lines of ARROW_SCHEMA."""
    return pa.record_batch([pa.array(values, field.type) for values, field in zip((rows, rank, items, scores), ARROW_SCHEMA, strict=True)], schema=ARROW_SCHEMA)


def packed(start: int, lines: pa.RecordBatch) -> pa.RecordBatch:
    """The lines of a task's rows from number `start` on, as one row of PACKED_SCHEMA."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, ARROW_SCHEMA) as stream:
        stream.write_batch(lines)
    return binary_row(start, ranked=sink.getvalue().to_pybytes())


def unpacked(frame: "DataFrame") -> pa.Table:
    """The lines of all tasks, ordered by their rows."""
    parts = frame.toArrow().sort_by("start").column("ranked")
    return pa.concat_tables([pa.ipc.open_stream(part.as_buffer()).read_all() for part in parts] or [ARROW_SCHEMA.empty_table()])
