"""The exact best items of each person by the inner product of their vectors, without looking at all of them.

Cauchy and Schwarz: a product is at most the product of the lengths. With the items in falling order of their length, whatever comes after the place at which this bound
falls below a person's n-th best so far cannot be among the n best; popular items are long, so that most of a catalogue is never looked at (Teflioudi, Gemulla & Mykytiuk,
"LEMP: Fast Retrieval of Large Entries in a Matrix Product", SIGMOD 2015, section 3). The n-th best itself is bounded from below without sorting: of the largest of each of
many groups of items, the n-th largest has n items of different groups that are no smaller.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from spark_jobs.interactions import Block
from spark_jobs.ranking import DIGITS, ranks

ROWS = 128  # of persons whose products are made at once: they stay in the processor's cache
MOST_SCORES = 2**25  # at once, 128 MB: of a large catalogue for fewer persons
FIRST = 32  # items of each group that are looked at before the first bound; then half as many again as before, while the bound asks for more
GROUPS = 128  # at least, and twice as many as items are wanted
SLACK = 1e-4  # by how much a product in 32 bits may exceed the bound, relative to it
UNIT = 10.0**-DIGITS
LEAST = 0.4 * UNIT  # of a score that is not rounded to 0


@dataclass(frozen=True)
class Catalogue:
    """Items in falling order of their length, filled up with zeros to a multiple of `groups`; `places` has each number's place, -1 for what is not to be found."""

    vectors: np.ndarray
    lengths: np.ndarray
    numbers: np.ndarray
    places: np.ndarray
    groups: int

    @classmethod
    def of(cls, vectors: np.ndarray, eligible: np.ndarray, *, wanted: int) -> "Catalogue":
        """`vectors`: one row per number of an item, of which the `eligible` numbers may be found; `wanted` is how many at most for one person."""
        groups = max(GROUPS, 2 * wanted)
        lengths = np.linalg.norm(vectors[eligible], axis=1)
        order = np.argsort(-lengths, kind="stable")
        numbers = eligible[order]
        places = np.full(len(vectors), -1, np.int32)
        places[numbers] = np.arange(len(numbers), dtype=np.int32)
        free = -len(numbers) % groups
        return cls(np.pad(vectors[numbers], ((0, free), (0, 0))), np.pad(lengths[order], (0, free)), np.pad(numbers, (0, free)), places, groups)

    def hidden(self, block: Block) -> csr_matrix:
        """What the block hides, as `best` wants it."""
        place = self.places[block.columns]
        kept = block.hidden & (place >= 0)
        return csr_matrix((np.ones(kept.sum(), bool), (block.rows[kept], place[kept])), shape=(block.n_rows, len(self.lengths)))


def best(queries: np.ndarray, hidden: csr_matrix, catalogue: Catalogue, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row of `queries`, item and score, rounded to DIGITS, of the `n` best of each row, the best first, equal ones by their numbers; only those above 0.

    `hidden`: a row for each query and a column for each place of the catalogue; what it holds is left out, whatever the value.
    """
    step = max(1, min(ROWS, MOST_SCORES // len(catalogue.lengths)))
    found = [_best(queries[start : start + step], hidden[start : start + step], catalogue, n) for start in range(0, len(queries), step)]
    rows, items, scores = (np.concatenate(parts) for parts in zip(*found, strict=True))
    sizes = [len(part[0]) for part in found]
    return rows + np.repeat(np.arange(len(found)) * step, sizes), items, scores


def _best(queries: np.ndarray, hidden: csr_matrix, catalogue: Catalogue, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n_rows, n_places, groups = len(queries), len(catalogue.lengths), catalogue.groups
    bound = np.maximum(np.linalg.norm(queries, axis=1) * (1 + SLACK), np.finfo(np.float32).tiny)  # of the product with an item of length 1
    hidden_row, hidden_place = np.repeat(np.arange(n_rows), np.diff(hidden.indptr)), hidden.indices
    tiles, largest = list[np.ndarray](), list[np.ndarray]()
    start, end = 0, min(FIRST * groups, n_places)
    while start < end:
        scores = queries @ catalogue.vectors[start:end].T
        here = (hidden_place >= start) & (hidden_place < end)
        scores[hidden_row[here], hidden_place[here] - start] = -1.0
        tiles.append(scores)
        largest.append(scores.reshape(n_rows, -1, groups).max(axis=1))
        nth = -np.partition(-np.concatenate(largest, axis=1), n - 1, axis=1)[:, n - 1]
        floor = np.maximum(nth - UNIT, LEAST)  # with what is rounded to the same
        needed = int(np.searchsorted(-catalogue.lengths, -(floor / bound).min(), side="right"))
        start, end = end, min(-(-needed // groups), end // groups * 3 // 2) * groups
    return _sorted(tiles, floor[:, None], catalogue, n)


def _sorted(tiles: list[np.ndarray], floor: np.ndarray, catalogue: Catalogue, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The `n` best of what reaches the floor. A score and an item's number are one whole number, of which the larger is the better: the rounded score, then the number from the end."""
    bits = len(catalogue.places).bit_length()
    last = (1 << bits) - 1
    rows, keys, start = list[np.ndarray](), list[np.ndarray](), 0
    for scores in tiles:
        flat = np.flatnonzero(scores >= floor)
        row, column = np.divmod(flat, scores.shape[1])
        score = np.rint(scores.ravel()[flat].astype(np.float64) / UNIT).astype(np.int64)
        rows.append(row)
        keys.append(np.where(score > 0, (score << bits) | (last - catalogue.numbers[column + start]), 0))
        start += scores.shape[1]
    row = np.concatenate(rows)
    order = np.argsort(row, kind="stable")
    row, key = row[order], np.concatenate(keys)[order]
    counts = np.bincount(row, minlength=len(floor))
    table = np.zeros((len(floor), max(n, counts.max(initial=0))), np.int64)
    table[row, ranks(row) - 1] = key
    table.sort(axis=1)
    chosen = table[:, : -n - 1 : -1]
    kept = chosen > 0
    key = chosen[kept]
    return np.repeat(np.arange(len(floor)), kept.sum(axis=1)), last - (key & last), (key >> bits) / 10**DIGITS
