"""The figures of every strategy's lists: means over the users of the test file, intervals, and differences of pairs."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from models import evaluation, list_quality

if TYPE_CHECKING:
    from dawnlist.evaluate.prepared import Split
    from models.evaluation import PerPerson
    from models.recommenders.events import Flags, Ints

COUNTED: Final = ("popularity", "novelty", "diversity", "category_diversity", "miscalibration")  # means without an interval: what lists are like


def hits(lists: "Ints", split: "Split", users: "Ints") -> "Flags":
    """Which places hold an item that the user has in the test; `lists` has one row per row of `users`."""
    n_items = len(split.item_ids)
    return np.isin(users.astype(np.int64)[:, None] * n_items + lists, split.test_user.astype(np.int64) * n_items + split.test_item) & (lists >= 0)


def means(values: Mapping[str, "PerPerson"], rows: "Flags | None" = None) -> dict[str, float]:
    """Of each metric, the mean over the rows that `rows` marks; what no row has is left out."""
    chosen = {name: value if rows is None else value[rows] for name, value in values.items()}
    return {name: _rounded(np.nanmean(value)) for name, value in chosen.items() if np.isfinite(value).any()}


def intervals(by_strategy: Mapping[str, Mapping[str, "PerPerson"]], served: str, *, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """95% intervals of each strategy's metrics, and [low, mean, high] of served minus strategy. One set of resamples for all: the differences are paired."""
    metrics = list(by_strategy[served])
    table = np.concatenate([np.stack([values[name] for name in metrics], axis=1) for values in by_strategy.values()], axis=1)
    drawn = evaluation.bootstrap_means(table, seed=seed).reshape(evaluation.RESAMPLES, len(by_strategy), len(metrics))
    place = list(by_strategy).index(served)
    own, differences = {}, {}
    for number, (name, values) in enumerate(by_strategy.items()):
        own[name] = {metric: evaluation.interval(drawn[:, number, column]) for column, metric in enumerate(metrics)}
        if name != served:
            gaps = {metric: evaluation.interval(drawn[:, place, column] - drawn[:, number, column]) for column, metric in enumerate(metrics)}
            differences[name] = {metric: [low, _rounded((by_strategy[served][metric] - values[metric]).mean()), high] for metric, (low, high) in gaps.items()}
    return own, differences


def of_lists(lists: "Ints", users: "Ints", split: "Split", ks: Sequence[int]) -> dict[str, "PerPerson"]:
    """What each list is like, whatever it hits: one value a user; NaN where it is not defined. `users` below n_users have a history."""
    seen = split.events.seen
    n_users_of = np.asarray(seen.sum(axis=0)).ravel()
    n_users = split.events.n_users
    found: dict[str, PerPerson] = {}
    for k in ks:
        cut = lists[:, :k]
        found[f"novelty@{k}"] = list_quality.novelty(cut, n_users_of, n_users)
        found[f"popularity@{k}"] = list_quality.popularity(cut, n_users_of, n_users)
        if split.category_of is not None:
            found[f"category_diversity@{k}"] = list_quality.category_diversity(cut, split.category_of)
            found[f"miscalibration@{k}"] = _miscalibration(cut, users, split)
    return found | {f"diversity@{k}": value for k, value in list_quality.diversity(lists, seen, ks).items()}


def of_catalogue(lists: "Ints", users: "Ints", split: "Split", ks: Sequence[int]) -> dict[str, float]:
    """Figures of all lists together: coverage, Gini coefficient, and how much more popular they are than what their users had."""
    warm = users < split.events.n_users
    found: dict[str, float] = {}
    for k in ks:
        exposures = list_quality.exposure(lists[:, :k], split.events.n_items)
        found[f"coverage@{k}"] = _rounded(evaluation.coverage(int((exposures > 0).sum()), split.events.n_items))
        found[f"gini@{k}"] = _rounded(list_quality.gini(exposures))
        found[f"popularity_lift@{k}"] = _rounded(list_quality.popularity_lift(lists[warm, :k], users[warm], split.events.seen))
    return found


def _miscalibration(lists: "Ints", users: "Ints", split: "Split") -> "PerPerson":
    assert split.category_of is not None
    warm = users < split.events.n_users
    found = np.full(len(users), np.nan)
    found[warm] = list_quality.miscalibration(lists[warm], split.category_of, split.events.matrix()[users[warm]])
    return found


def _rounded(value: Any) -> float:
    return round(float(value), evaluation.DIGITS)
