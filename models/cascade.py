"""Ranking in two stages: the first trees of a ranker score all candidates of a person, and the whole ranker those that can still reach the list.

Boosted trees are fitted one after the other to what those before left over, so that their beginning is a coarser ranker already (early exits: Cambazoglu et al.
2010, WSDM). A bound on the trees that are left out skips nothing here: they can add more than all candidates of a person differ by. So what the first
stage may leave away is measured when the ranker is trained, and there is no first stage where it would leave away too much.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from models import ranker

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

SHARES_OF_TREES: Final = (0.05, 0.1, 0.2, 0.3)
LENGTHS_KEPT: Final = (2, 3, 4)  # candidates that are kept, in lengths of a list: policies take some out
MAX_COST: Final = 0.8  # of that of one stage: less is not worth a second one
MAX_PERSONS: Final = 4_000  # that a first stage is judged on


@dataclass(frozen=True)
class Cascade:
    """The first stage has the first `trees` trees; it leaves the `keep` best candidates of a person to the second."""

    trees: int
    keep: int

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> "Cascade | None":
        """That of a registered model; None where one stage scores all, as all did in earlier releases."""
        found = metadata.get("cascade")
        return cls(**{name: found[name] for name in ("trees", "keep")}) if found else None


def choose(booster: Any, rows: ranker.Rows, *, length: int, recall: float, threads: int) -> dict[str, float] | None:
    """The cheapest first stage that keeps at least the share `recall` of the first `length` candidates of both halves of the persons of `rows`.

    Gives `trees` and `keep` beside the `recall` of the worse half and the `cost`: trees that a row meets on average, over all trees. None where there is none.
    """
    rows = rows.only(rows.person < MAX_PERSONS)
    trees = booster.num_trees()
    is_wanted = ranker.ranks(rows.person, rows.item, ranker.score(booster, rows.features, threads=threads)) <= length
    found = []
    for first in sorted({max(1, round(share * trees)) for share in SHARES_OF_TREES}):
        places = ranker.ranks(rows.person, rows.item, _predicted(booster, rows.features, 0, first, threads))
        for keep in (length * lengths for lengths in LENGTHS_KEPT):
            is_kept = places <= keep
            halves = [is_kept[is_wanted & (rows.person % 2 == half)] for half in range(2)]
            reached = min((float(half.mean()) for half in halves if len(half)), default=0.0)
            cost = (first + (trees - first) * float(is_kept.mean() if len(is_kept) else 1.0)) / trees
            if reached >= recall and cost <= MAX_COST:
                found.append((round(cost, 4), first, keep, round(reached, 6)))
    if not found:
        return None
    cost, first, keep, reached = min(found)
    return {**asdict(Cascade(first, keep)), "recall": reached, "cost": cost}


def score(
    booster: Any, cascade: Cascade | None, person: "NDArray[np.int32]", item: "NDArray[np.int32]", features: "NDArray[np.float32]", *, threads: int
) -> "tuple[NDArray[np.float64], NDArray[np.bool_]]":
    """One score per row, higher is better, comparable within a person only; and which rows have that of the whole ranker: all without a `cascade`.

    The others come after those of their person, in the order of the first stage and as far from each other as there.
    """
    import numpy as np

    if cascade is None or not len(features):
        return ranker.score(booster, features, threads=threads), np.ones(len(features), dtype=np.bool_)
    first = _predicted(booster, features, 0, cascade.trees, threads)
    is_kept = ranker.ranks(person, item, first) <= cascade.keep
    scores = first.copy()
    scores[is_kept] += _predicted(booster, features[is_kept], cascade.trees, -1, threads)
    numbers = person - person.min()
    lowest = np.full(numbers.max() + 1, np.inf)
    np.minimum.at(lowest, numbers[is_kept], scores[is_kept])
    highest = np.full(len(lowest), -np.inf)
    np.maximum.at(highest, numbers[~is_kept], first[~is_kept])
    below = lowest - highest - 10.0**-ranker.SCORE_DIGITS
    scores[~is_kept] += below[numbers[~is_kept]]
    return np.round(scores, ranker.SCORE_DIGITS), is_kept


def ranked(booster: Any, cascade: Cascade | None, table: "pa.Table", *, threads: int) -> "pa.Table":
    """The rows of a frame, all of their persons, with `place` and `score` in the place of the features: p, i, source, place, score."""
    import pyarrow as pa

    person, item = (table.column(name).to_numpy() for name in ("p", "i"))
    scores, _ = score(booster, cascade, person, item, ranker.matrix(table), threads=threads)
    places = ranker.ranks(person, item, scores)
    return table.select(["p", "i", "source"]).append_column("place", pa.array(places)).append_column("score", pa.array(scores))


def _predicted(booster: Any, features: "NDArray[np.float32]", start: int, trees: int, threads: int) -> "NDArray[np.float64]":
    """What `trees` trees from number `start` on add up to, rounded as scores are; -1: all the rest. No row, no scores."""
    import numpy as np

    if not len(features):
        return np.zeros(0)
    found = np.asarray(booster.predict(features, start_iteration=start, num_iteration=trees, num_threads=threads))
    return np.round(found, ranker.SCORE_DIGITS)
