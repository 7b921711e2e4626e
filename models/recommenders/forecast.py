"""What everybody will take: how often an item will be taken in the days to come, learnt from how items of earlier moments went on.

Counts have many zeros and a heavy tail: a Tweedie loss (Jørgensen 1987; Zhou, Qian & Yang, "Tweedie gradient boosting for extremely unbalanced
zero-inflated data", 2020) on boosted trees.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import numpy as np

from models.recommenders.events import Events, Flags, Floats, Ints
from models.recommenders.popularity import Everybody, Popularity

WINDOWS: Final = (1 / 240, 1 / 96, 1 / 48, 1 / 24, 1 / 12, 1 / 8, 1 / 4, 1 / 2, 1.0, 3.0)  # horizons before a moment: of a day 6 minutes to three days
STEPS: Final = 24  # moments in a horizon
MOST_MOMENTS: Final = 5 * STEPS
MOST_ROWS: Final = 1_500_000  # items times moments: of a larger catalogue fewer moments
SMALLEST_AGE: Final = 0.005  # horizons
POWER: Final = 1.25  # of the variance, between 1 (Poisson) and 2 (gamma): on five days of Globo.com's news before the one that is judged 1.2 and 1.35 were best, and the best on one day alone was chance
BOOSTERS: Final = 8  # whose forecasts are averaged: what one alone says depends on its seed
TREES: Final = 100
THREADS: Final = 2
FEW_ROWS: Final = 50_000  # that one thread learns sooner from
PARAMETERS: Final[dict[str, Any]] = {
    "objective": "tweedie",
    "tweedie_variance_power": POWER,
    "num_leaves": 31,
    "learning_rate": 0.1,
    "min_data_in_leaf": 200,
    "feature_fraction": 0.7,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "deterministic": True,
    "force_col_wise": True,
    "verbosity": -1,
}


@dataclass(frozen=True)
class Forecast:
    """How many of the persons who are known will come to an item that is new to them in the next `horizon` days; with `repeats` how often they will come to it."""

    horizon: float
    repeats: bool = False

    def can_learn(self, events: Events) -> bool:
        """Whether there is a moment with a horizon before it and one after it."""
        return len(events) > 0 and float(events.ages.max()) >= 2 * self.horizon

    def fit(self, events: Events, *, seed: int) -> Everybody:
        """Learns from moments a STEPS-th of the horizon apart, the newest a horizon before the end. Where the past is too short for one, what was taken most."""
        plain = Popularity(None).fit(events, seed=seed)
        past = _Past(events, self.horizon)
        moments = past.moments()
        described = [past.described(moment) for moment in moments]
        if not sum(len(items) for items, _ in described):
            return plain
        taken = [past.taken(moment, repeats=self.repeats)[items] for moment, (items, _) in zip(moments, described, strict=True)]
        scores = plain.item_scores / (1.0 + plain.item_scores.max()) * np.float32(1e-6)  # decides between what is not in sight
        items, columns = past.described(0.0)
        boosters = _learnt(np.concatenate([columns for _, columns in described]), np.concatenate(taken), seed)
        scores[items] += np.mean([booster.predict(columns) for booster in boosters], axis=0)
        return Everybody(scores.astype(np.float32))


def _learnt(columns: Floats, taken: Floats, seed: int) -> list[Any]:
    import lightgbm

    parameters = PARAMETERS | {"num_threads": 1 if len(taken) < FEW_ROWS else THREADS}
    data = lightgbm.Dataset(columns, taken, params=parameters)
    seeds = np.random.default_rng(seed).integers(2**31, size=BOOSTERS)
    drawn = [{"bagging_seed": int(one), "feature_fraction_seed": int(one)} for one in seeds]  # no other seed: the bins are those of all
    return [lightgbm.train(parameters | one, data, TREES) for one in drawn]


@dataclass
class _Past:
    """The events by age, newest first, seen from moments before their end."""

    events: Events
    horizon: float
    age: Floats = field(init=False)
    user: Ints = field(init=False)
    item: Ints = field(init=False)
    is_first: Flags = field(init=False)
    user_since: Floats = field(init=False)
    item_since: Floats = field(init=False)

    def __post_init__(self) -> None:
        events = self.events
        order = np.argsort(events.ages, kind="stable")
        self.age, self.user, self.item = events.ages[order], events.user[order], events.item[order]
        pair = self.user.astype(np.int64) * events.n_items + self.item
        self.is_first = np.zeros(len(order), dtype=bool)
        self.is_first[len(order) - 1 - np.unique(pair[::-1], return_index=True)[1]] = True
        self.user_since, self.item_since = np.zeros(events.n_users), np.zeros(events.n_items)
        np.maximum.at(self.user_since, self.user, self.age)
        np.maximum.at(self.item_since, self.item, self.age)

    def moments(self) -> Floats:
        """Ages of the moments to learn from, newest first: each has a horizon after it and one before it. As many as make MOST_ROWS, evenly apart."""
        oldest = float(self.age[-1]) - self.horizon if len(self.age) else 0.0
        ages = np.arange(self.horizon, oldest + 1e-9, self.horizon / STEPS)[:MOST_MOMENTS]
        n_items = len(self.described(self.horizon)[0]) if len(ages) else 0
        return ages[:: max(1, -(-len(ages) * n_items // MOST_ROWS))]

    def described(self, moment: float) -> tuple[Ints, Floats]:
        """The items that were taken in the longest window before the moment, and what was known of them: the logarithms of their shares of each window's events,
        how these change from window to window, of their age, and of all that was taken of them.
        """
        ends = np.searchsorted(self.age, moment + self.horizon * np.array([0.0, *WINDOWS, np.inf]))
        counts = np.cumsum([np.bincount(self.item[start:end], minlength=self.events.n_items) for start, end in pairwise(ends)], axis=0)
        items = np.flatnonzero(counts[-2])
        shares = np.log1p(counts[:-1, items]) - np.log1p(counts[:-1].sum(axis=1, keepdims=True))
        age = np.log((self.item_since[items] - moment) / self.horizon + SMALLEST_AGE)
        return items, np.stack([*shares, *(shares[:-1] - shares[1:]), age, np.log1p(counts[-1, items])], axis=1).astype(np.float32)

    def taken(self, moment: float, *, repeats: bool) -> Floats:
        """How often each item was taken in the horizon after the moment, by persons who were known."""
        start, end = np.searchsorted(self.age, [moment - self.horizon, moment])
        counts = self.user_since[self.user[start:end]] >= moment
        counts &= repeats | self.is_first[start:end]
        return np.bincount(self.item[start:end][counts], minlength=self.events.n_items).astype(np.float64)
