"""How good lists are, on a held-out time slice. One value per person; the mean over persons is reported.

`hits` is a bool matrix, one row per person and one column per place of the list (column 0 = rank 1): True where the item is relevant.
`n_relevant` is the number of relevant items per person, at least 1, found or not. Relevance is binary.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Hits = NDArray[np.bool_]
    Counts = NDArray[np.integer[Any]]
    PerPerson = NDArray[np.float64]

DEPTH = 20  # places that are looked at
RESAMPLES = 1000  # of the bootstrap; Efron & Tibshirani (1993) ask for at least that many for an interval
DIGITS = 6


def hit_matrix(person: "Counts", rank: "Counts", is_hit: "Hits", *, n_persons: int, depth: int = DEPTH) -> "Hits":
    """The hit matrix of lists in long form: `person` is 0-based, `rank` 1-based; places that no row names are no hits."""
    import numpy as np

    hits = np.zeros((n_persons, depth), dtype=bool)
    shown = rank <= depth
    hits[person[shown], rank[shown] - 1] = is_hit[shown]
    return hits


def precision(hits: "Hits", k: int) -> "PerPerson":
    """Share of the first k places that are relevant; a list that is shorter than k counts as filled up with misses."""
    return hits[:, :k].sum(axis=1) / float(k)


def recall(hits: "Hits", n_relevant: "Counts", k: int) -> "PerPerson":
    """Share of the relevant items that are among the first k."""
    return hits[:, :k].sum(axis=1) / n_relevant


def hit_rate(hits: "Hits", k: int) -> "PerPerson":
    """1 where at least one of the first k is relevant, else 0."""
    return hits[:, :k].any(axis=1).astype(float)


def ndcg(hits: "Hits", n_relevant: "Counts", k: int) -> "PerPerson":
    """Normalised discounted cumulative gain with binary gains and discount log2(1 + rank) (Järvelin & Kekäläinen 2002, discount as in Burges et al. 2005)."""
    import numpy as np

    k = min(k, hits.shape[1])
    discounts = 1.0 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discounts)[np.minimum(n_relevant, k) - 1]
    return (hits[:, :k] @ discounts) / ideal


def average_precision(hits: "Hits", n_relevant: "Counts", k: int) -> "PerPerson":
    """Mean of the precisions at the ranks of the relevant items, over min(n_relevant, k) (Manning, Raghavan & Schütze 2008, section 8.4, cut at k)."""
    import numpy as np

    hits = hits[:, :k]
    precisions = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    return (precisions * hits).sum(axis=1) / np.minimum(n_relevant, k)


def reciprocal_rank(hits: "Hits", k: int) -> "PerPerson":
    """1 / rank of the first relevant item among the first k; 0 without one (Voorhees 1999)."""
    import numpy as np

    hits = hits[:, :k]
    return np.where(hits.any(axis=1), 1.0 / (hits.argmax(axis=1) + 1), 0.0)


def coverage(n_shown: int, n_items: int) -> float:
    """Share of the catalogue that at least one list shows (catalogue coverage, Ge, Delgado-Battenfeld & Jannach 2010); 0 without items."""
    return n_shown / n_items if n_items else 0.0


def summary(hits: "Hits", n_relevant: "Counts") -> dict[str, float]:
    """The means over persons, rounded; {} without persons."""
    if not len(hits):
        return {}
    values = {
        "ndcg@10": ndcg(hits, n_relevant, 10),
        "ndcg@20": ndcg(hits, n_relevant, 20),
        "precision@10": precision(hits, 10),
        "recall@10": recall(hits, n_relevant, 10),
        "recall@20": recall(hits, n_relevant, 20),
        "hit_rate@10": hit_rate(hits, 10),
        "map@10": average_precision(hits, n_relevant, 10),
        "mrr@10": reciprocal_rank(hits, 10),
    }
    return {name: round(float(value.mean()), DIGITS) for name, value in values.items()}


def bootstrap_difference(first: "PerPerson", second: "PerPerson", *, seed: int, level: float = 0.95, resamples: int = RESAMPLES) -> Sequence[float]:
    """[low, mean, high] of first - second: paired percentile bootstrap over persons (Efron & Tibshirani 1993, chapter 13); [] without persons."""
    difference = first - second
    if not len(difference):
        return []
    low, high = interval(bootstrap_means(difference[:, None], seed=seed, resamples=resamples)[:, 0], level)
    return [low, round(float(difference.mean()), DIGITS), high]


def accuracy(hits: "Hits", n_relevant: "Counts", ks: Sequence[int]) -> dict[str, "PerPerson"]:
    """Every metric of this module at every k, one value per person: {"ndcg@10": …}."""
    found: dict[str, PerPerson] = {}
    for k in ks:
        found |= {
            f"ndcg@{k}": ndcg(hits, n_relevant, k),
            f"precision@{k}": precision(hits, k),
            f"recall@{k}": recall(hits, n_relevant, k),
            f"map@{k}": average_precision(hits, n_relevant, k),
            f"mrr@{k}": reciprocal_rank(hits, k),
            f"hit_rate@{k}": hit_rate(hits, k),
        }
    return found


def bootstrap_means(values: "NDArray[np.float64]", *, seed: int, resamples: int = RESAMPLES) -> "NDArray[np.float64]":
    """The means of each column in every resample of the rows (persons): resamples by columns. The same persons are drawn for all columns, so that
    differences of columns are paired (Efron & Tibshirani 1993).
    """
    import numpy as np

    generator = np.random.default_rng(seed)
    n = len(values)
    means = np.empty((resamples, values.shape[1]))
    for resample in range(resamples):
        means[resample] = np.bincount(generator.integers(0, n, n), minlength=n) @ values / n
    return means


def interval(means: "NDArray[np.float64]", level: float = 0.95) -> list[float]:
    """[low, high]: the percentile interval of one column of `bootstrap_means`, or of a difference of two."""
    import numpy as np

    return [round(float(value), DIGITS) for value in np.quantile(means, [(1 - level) / 2, (1 + level) / 2])]
