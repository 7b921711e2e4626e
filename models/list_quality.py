"""What lists are like apart from their hits. `lists` has one row a person and one column a place (0 = rank 1), items by number, -1 where a list ends.

`n_users_of` is the number of persons of the training set who came to each item, `seen` those persons by item as a sparse matrix of 0 and 1.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags

Lists = NDArray[np.integer[Any]]
PerPerson = NDArray[np.float64]

SMOOTHING = 0.01  # alpha of Steck (2018): keeps the divergence finite where a category is not on the list
CHUNK_CELLS = 8_000_000  # similarities in memory at once


def exposure(lists: Lists, n_items: int) -> NDArray[np.int64]:
    """How many lists show each item."""
    return np.bincount(lists[lists >= 0], minlength=n_items)


def gini(exposures: NDArray[np.integer[Any]]) -> float:
    """Gini coefficient of the exposures of all items, shown or not: 0 all alike, near 1 one item has all (Fleder & Hosanagar 2009; sum form of
    Gunawardana & Shani 2015, section 8.3.8, with n instead of n - 1 below the line); 0 without any.
    """
    n, total = len(exposures), float(exposures.sum())
    if not total:
        return 0.0
    places = np.arange(1, n + 1)
    return float(((2 * places - n - 1) * np.sort(exposures)).sum() / (n * total))


def novelty(lists: Lists, n_users_of: NDArray[Any], n_users: int) -> PerPerson:
    """Mean self-information -log2(share of the persons who came to the item), in bits (Zhou et al. 2010; Castells, Hurley & Vargas 2015); NaN for no list."""
    return _mean(lists, -np.log2(np.maximum(n_users_of, 1) / n_users))


def popularity(lists: Lists, n_users_of: NDArray[Any], n_users: int) -> PerPerson:
    """Mean share of the persons who came to the listed items: average recommendation popularity (Yin et al. 2012), over n_users; NaN for no list."""
    return _mean(lists, n_users_of / n_users)


def popularity_lift(lists: Lists, users: Lists, seen: csr_matrix) -> float:
    """How much more popular the lists are than what the same persons came to, as a share of the latter (Abdollahpouri et al. 2019: (GAP_r - GAP_p) / GAP_p).

    `users`: the person of each row; those without history are left out. NaN where nobody has one.
    """
    n_users_of = np.asarray(seen.sum(axis=0)).ravel()
    n_items = np.diff(seen.indptr)[users]
    own = (seen[users] @ n_users_of)[n_items > 0] / n_items[n_items > 0]
    listed = popularity(lists[n_items > 0], n_users_of, 1)
    return float((np.nanmean(listed) - own.mean()) / own.mean()) if len(own) else float("nan")


def diversity(lists: Lists, seen: csr_matrix, ks: Sequence[int]) -> dict[int, PerPerson]:
    """Intra-list diversity for each k: mean of 1 - cosine over the pairs of the first k (Ziegler et al. 2005; Castells, Hurley & Vargas 2015).

    An item is the vector of the persons who came to it. NaN for lists of fewer than two items.
    """
    shown, numbers = np.unique(np.where(lists >= 0, lists, -1), return_inverse=True)
    numbers = numbers.reshape(lists.shape)
    vectors = _unit_rows(seen.T.tocsr()[np.maximum(shown, 0)])
    totals = {k: np.zeros(len(lists)) for k in ks}
    step = max(1, CHUNK_CELLS // max(len(shown), 1))
    for start in range(0, len(shown), step):
        person, place = np.nonzero((numbers >= start) & (numbers < start + step) & (lists >= 0))
        cosines = (vectors[start : start + step] @ vectors.T).toarray()
        own = cosines[numbers[person, place] - start]
        for k in ks:
            inside = place < k
            others = np.where(lists[person[inside], :k] >= 0, np.take_along_axis(own[inside], numbers[person[inside], :k], axis=1), 0.0).sum(axis=1)
            totals[k] += np.bincount(person[inside], weights=others - 1.0, minlength=len(lists))
    lengths = {k: (lists[:, :k] >= 0).sum(axis=1) for k in ks}
    return {k: np.where(lengths[k] > 1, 1.0 - totals[k] / np.maximum(lengths[k] * (lengths[k] - 1), 1), np.nan) for k in ks}


def category_diversity(lists: Lists, category_of: NDArray[np.integer[Any]]) -> PerPerson:
    """Share of the pairs of a list that are of two categories; NaN for lists of fewer than two items."""
    counts = _category_counts(lists, category_of)
    n = counts.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return 1.0 - (counts * (counts - 1)).sum(axis=1) / (n * (n - 1))


def miscalibration(lists: Lists, category_of: NDArray[np.integer[Any]], profiles: csr_matrix) -> PerPerson:
    """Kullback-Leibler divergence of the list's categories from those of the person's past, in nats: 0 is calibrated (Steck 2018, equations 2 to 5, equal
    weights). `profiles`: person by item, one row per list. NaN for an empty list or past.
    """
    n_categories = int(category_of.max(initial=-1)) + 1
    by_category = csr_matrix((np.ones(len(category_of)), (np.arange(len(category_of)), category_of)), shape=(len(category_of), n_categories))
    past, listed = (profiles @ by_category).toarray(), _category_counts(lists, category_of)
    with np.errstate(invalid="ignore", divide="ignore"):
        wanted, given = (counts / counts.sum(axis=1, keepdims=True) for counts in (past, listed))
        smoothed = (1 - SMOOTHING) * given + SMOOTHING * wanted
        found = np.where(wanted > 0, wanted * np.log(wanted / smoothed), 0.0).sum(axis=1)
    return np.where((past.sum(axis=1) > 0) & (listed.sum(axis=1) > 0), found, np.nan)


def _category_counts(lists: Lists, category_of: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    person, place = np.nonzero(lists >= 0)
    cells = (np.ones(len(person)), (person, category_of[lists[person, place]]))
    return csr_matrix(cells, shape=(len(lists), int(category_of.max(initial=-1)) + 1)).toarray()


def _mean(lists: Lists, values: NDArray[Any]) -> PerPerson:
    is_item = lists >= 0
    with np.errstate(invalid="ignore"):
        return np.where(is_item, values[np.maximum(lists, 0)], 0.0).sum(axis=1) / is_item.sum(axis=1)


def _unit_rows(matrix: csr_matrix) -> csr_matrix:
    lengths = np.sqrt(np.asarray(matrix.power(2).sum(axis=1)).ravel())
    return (diags(1.0 / np.maximum(lengths, 1e-12)) @ matrix).tocsr()
