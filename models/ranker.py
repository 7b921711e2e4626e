"""LightGBM LambdaRank (Burges 2010; Ke et al. 2017) over the frame: trees that order each person's candidates so that the taken ones come first."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from models.evaluation import DEPTH
from models.frame import DIRECTIONS, FEATURES

if TYPE_CHECKING:
    import lightgbm
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from dawnlist.settings import Ranker

# Scores are rounded before anything is ordered by them.
SCORE_DIGITS: Final = 6
MAX_BINS: Final = 127
MIN_ROWS_IN_LEAF: Final = 100
# Persons with a hit among their candidates, in each of the two parts, below which trees only learn the noise.
MIN_PERSONS: Final = 20


@dataclass(frozen=True)
class Rows:
    """A frame in memory, ordered by person and item: `person` and `item` are p and i, `is_taken` the labels, `features` float32 with NaN for missing."""

    person: "NDArray[np.int32]"
    item: "NDArray[np.int32]"
    is_taken: "NDArray[np.bool_]"
    features: "NDArray[np.float32]"

    def only(self, rows: "NDArray[np.bool_]") -> "Rows":
        """The rows that `rows` marks."""
        return Rows(self.person[rows], self.item[rows], self.is_taken[rows], self.features[rows])


def joined(first: Rows, second: Rows) -> Rows:
    """The rows of two slices, one after the other: the persons of the second are others, whatever their numbers."""
    import numpy as np

    offset = np.int32(first.person.max(initial=-1) + 1)
    parts = zip(*((one.item, one.is_taken, one.features) for one in (first, second)), strict=True)
    return Rows(np.concatenate([first.person, second.person + offset]), *(np.concatenate(pair) for pair in parts))


def matrix(table: "pa.Table") -> "NDArray[np.float32]":
    """The FEATURES of an Arrow table as one row-major matrix."""
    import numpy as np

    features = np.empty((table.num_rows, len(FEATURES)), dtype=np.float32)
    for number, name in enumerate(FEATURES):
        features[:, number] = table.column(name).to_numpy()
    return features


def train(rows: Rows, later: Rows, settings: "Ranker", *, seed: int, threads: int) -> "lightgbm.Booster | None":
    """Trees fitted on `rows`, as many as are best on those of `later` (nDCG@10, early stopping).

    None where fewer than MIN_PERSONS persons have a hit in either part: lists without one teach nothing and are left out.
    """
    import lightgbm

    fitted, judged = (part.only(of_persons_with_hits(part)) for part in (rows, later))
    if min(n_persons(fitted), n_persons(judged)) < MIN_PERSONS:
        return None
    parameters = _parameters(settings, seed=seed, threads=threads)
    data = _dataset(fitted, parameters)
    stop = lightgbm.early_stopping(settings.early_stopping, verbose=False)
    return lightgbm.train(parameters, data, settings.trees, valid_sets=[_dataset(judged, parameters, data)], callbacks=[stop])


def refit(rows: Rows, trees: int, settings: "Ranker", *, seed: int, threads: int) -> "lightgbm.Booster":
    """`trees` trees fitted on all rows: the model that is served, from the newest labels."""
    import lightgbm

    parameters = _parameters(settings, seed=seed, threads=threads)
    return lightgbm.train(parameters, _dataset(rows.only(of_persons_with_hits(rows)), parameters), trees)


def score(booster: "lightgbm.Booster", features: "NDArray[np.float32]", *, threads: int) -> "NDArray[np.float64]":
    """One score per row, higher is better, comparable within a person only."""
    import numpy as np

    if not len(features):
        return np.zeros(0)
    return np.round(np.asarray(booster.predict(features, num_iteration=booster.best_iteration, num_threads=threads)), SCORE_DIGITS)


def contributions(booster: "lightgbm.Booster", features: "NDArray[np.float32]", *, threads: int) -> "NDArray[np.float64]":
    """What each feature adds to each row's score (SHAP values, Lundberg et al. 2020), and the bias in the last column; a row sums to its score before rounding."""
    import numpy as np

    if not len(features):
        return np.zeros((0, features.shape[1] + 1))
    return np.asarray(booster.predict(features, num_iteration=booster.best_iteration, num_threads=threads, pred_contrib=True))


def ranks(person: "NDArray[np.int32]", item: "NDArray[np.int32]", scores: "NDArray[np.float64]") -> "NDArray[np.int64]":
    """The rank of each row among its person's rows: highest score first, ties by item."""
    import numpy as np

    order = np.lexsort((item, -scores, person))
    ordered = person[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(order) else np.zeros(0, dtype=np.int64)
    lengths = np.diff(np.r_[starts, len(order)])
    found = np.empty(len(order), dtype=np.int64)
    found[order] = np.arange(len(order)) - np.repeat(starts, lengths) + 1
    return found


def of_persons_with_hits(rows: Rows) -> "NDArray[np.bool_]":
    """Marks the rows of the persons who took one of their candidates."""
    import numpy as np

    return np.isin(rows.person, np.unique(rows.person[rows.is_taken]))


def n_persons(rows: Rows) -> int:
    """How many persons have rows."""
    import numpy as np

    return len(np.unique(rows.person))


def to_text(booster: "lightgbm.Booster") -> str:
    """LightGBM's text form without its parameters: they name the number of threads, which the trees do not depend on."""
    text: str = booster.model_to_string(num_iteration=booster.best_iteration)
    head, _, tail = text.partition("\nparameters:\n")
    return head + "\n" + tail.partition("\nend of parameters\n")[2]


def from_text(text: str) -> "lightgbm.Booster":
    """The ranker that `to_text` wrote."""
    import lightgbm

    return lightgbm.Booster(model_str=text)


def importance(booster: "lightgbm.Booster") -> dict[str, float]:
    """Share of each feature in the total gain of all splits, largest first; features that no split uses are left out."""
    gains = dict(zip(booster.feature_name(), booster.feature_importance("gain").tolist(), strict=True))
    total = sum(gains.values()) or 1.0
    return {name: round(gain / total, 4) for name, gain in sorted(gains.items(), key=lambda pair: (-pair[1], pair[0])) if gain > 0}


def shared_parameters(settings: "Ranker", *, seed: int, threads: int) -> dict[str, Any]:
    """What all LightGBM models here have in common: the same trees on any number of threads."""
    return {
        "learning_rate": settings.learning_rate,
        "max_bin": MAX_BINS,
        "deterministic": True,
        "force_col_wise": True,
        "seed": seed,
        "num_threads": threads,
        "verbosity": -1,
    }


def _parameters(settings: "Ranker", *, seed: int, threads: int) -> dict[str, Any]:
    return shared_parameters(settings, seed=seed, threads=threads) | {
        "objective": "lambdarank",
        "metric": "ndcg",
        "eval_at": [10],
        "lambdarank_truncation_level": DEPTH,
        "num_leaves": settings.leaves,
        "min_data_in_leaf": MIN_ROWS_IN_LEAF,
        "monotone_constraints": list(DIRECTIONS),
    }


def _dataset(rows: Rows, parameters: dict[str, Any], reference: "lightgbm.Dataset | None" = None) -> "lightgbm.Dataset":
    import lightgbm
    import numpy as np

    groups = np.unique(rows.person, return_counts=True)[1]
    return lightgbm.Dataset(rows.features, rows.is_taken.astype(np.int8), reference=reference, group=groups, feature_name=list(FEATURES), params=parameters)
