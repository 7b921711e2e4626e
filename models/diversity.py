"""Maximal marginal relevance (Carbonell & Goldstein 1998) for all lists at once: a place at a time, the item that is most relevant and least like those before it.

Relevance falls evenly with the place: (pool - place + 1) / pool. Likeness of two items is the Jaccard index of their known attributes. The value of an item is
(1 - trade_off) * relevance - trade_off * its greatest likeness to an item that is placed already; equal values keep their order.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_DIGITS: Final = 9  # values are rounded before they are compared


def places(person: "NDArray[np.int32]", attributes: "Sequence[NDArray[np.int32]]", *, trade_off: float, pool: int, length: int) -> "NDArray[np.int64]":
    """The new place of each row, 1 = first. Rows are ordered by person and old place, at most `pool` a person; attributes are codes, 0 for unknown.

    The first `length` places are chosen one after the other; the rows that are left follow in their old order.
    """
    import numpy as np

    starts = np.flatnonzero(np.r_[True, person[1:] != person[:-1]]) if len(person) else np.zeros(0, dtype=np.int64)
    row = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(person)]))
    column = np.arange(len(person)) - starts[row]
    shape = (len(starts), pool)
    codes = [_dense(shape, row, column, attribute, 0) for attribute in attributes]
    value = _dense(shape, row, column, (1 - trade_off) * (pool - column) / pool, -np.inf)
    order = np.tile(pool + np.arange(pool), (len(starts), 1))
    nearest, lists = np.zeros(shape), np.arange(len(starts))
    for place in range(1, min(length, pool) + 1):
        best = np.argmax(np.round(value - trade_off * nearest, _DIGITS), axis=1)
        is_left = np.isfinite(value[lists, best])
        order[lists[is_left], best[is_left]] = place
        value[lists, best] = -np.inf
        nearest = np.maximum(nearest, _likeness(codes, lists, best))
    return np.asarray(np.argsort(np.argsort(order, axis=1), axis=1) + 1)[row, column]


def _dense(shape: tuple[int, int], row: "NDArray[np.int64]", column: "NDArray[np.int64]", values: "NDArray[Any]", missing: float) -> "NDArray[Any]":
    import numpy as np

    dense = np.full(shape, missing, dtype=values.dtype)
    dense[row, column] = values
    return dense


def _likeness(codes: "Sequence[NDArray[np.int32]]", lists: "NDArray[np.int64]", chosen: "NDArray[np.int64]") -> "NDArray[np.float64]":
    """How like each item of a list is to the chosen one: shared attributes / attributes of either; 0 where none is known."""
    import numpy as np

    shared, either = np.zeros(codes[0].shape), np.zeros(codes[0].shape)
    for code in codes:
        mine = code[lists, chosen][:, None]
        is_shared = (code == mine) & (code > 0)
        shared += is_shared
        either += (code > 0).astype(float) + (mine > 0) - is_shared
    return np.divide(shared, either, out=np.zeros(codes[0].shape), where=either > 0)
