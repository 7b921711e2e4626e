"""The best items of each row: one rule of order and ties for all recommenders."""

import numpy as np
import pyarrow as pa

DIGITS = 6  # floating sums are rounded before anything is ranked by them
RANKED_SCHEMA = "row int, rank int, item int, score double"
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
    first = np.flatnonzero(np.diff(rows, prepend=-1))
    rank = np.arange(len(rows)) - np.repeat(first, np.diff(np.append(first, len(rows)))) + 1
    kept = rank <= per_row
    values = (rows, rank, items[order], scores[order])
    return pa.record_batch([pa.array(value[kept], field.type) for value, field in zip(values, ARROW_SCHEMA, strict=True)], schema=ARROW_SCHEMA)
