"""LightGBM LambdaRank (Burges 2010; Ke et al. 2017) over the candidates of the hybrid: trees that may bend the blend where persons differ.

Features say what each source makes of an item for this person, what the person has had to do with it before, and how much is known of the person.
None is a constant of the item: at one cut such a feature would teach which items this label window favoured, and the next window favours others.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from models.hybrid.candidates import Candidates
from models.recommenders.events import Events, Flags, Floats, Ints

if TYPE_CHECKING:
    import lightgbm

PARAMETERS: Final[dict[str, Any]] = {
    "objective": "lambdarank",
    "metric": "ndcg",
    "lambdarank_truncation_level": 20,
    "num_leaves": 15,
    "learning_rate": 0.05,
    "max_bin": 127,
    "min_data_in_leaf": 200,
    "feature_fraction": 0.7,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "deterministic": True,
    "force_col_wise": True,
    "verbosity": -1,
}
TREES: Final = 500
PATIENCE: Final = 40
MIN_PERSONS: Final = 50  # with a hit, in the fitted and in the stopping part, below which trees only learn the noise
STOPPING_SHARE: Final = 0.25
NO_RANK: Final = 1000.0


@dataclass(frozen=True)
class History:
    """What is known of pairs and of users before the lists: all matrices user by item."""

    events: Events

    def of_pairs(self, user: Ints, item: Ints) -> Floats:
        """Columns: events of the user with the item, and days since the newest of them; NaN where there are none, or no times."""
        cells = self._cells(user, item)
        count = self.events.counts.data
        known = cells >= 0
        columns = [np.where(known, count[cells], np.nan)]
        if self.events.age is not None:
            columns.append(np.where(known, self.events.pair_age.data[cells], np.nan))
        return np.stack(columns, axis=1).astype(np.float32)

    def of_users(self, users: Ints) -> Floats:
        """Columns: items of the user, events for each of them, and days since the newest event where times are known."""
        n_items = np.diff(self.events.seen.indptr)[users]
        n_events = np.bincount(self.events.user, minlength=self.events.n_users)[users]
        columns = [n_items, n_events / np.maximum(n_items, 1)]
        if self.events.age is not None:
            newest = np.full(self.events.n_users, np.nan)
            np.fmin.at(newest, self.events.user, self.events.age)
            columns.append(newest[users])
        return np.stack(columns, axis=1).astype(np.float32)

    def _cells(self, user: Ints, item: Ints) -> Ints:
        """The number of each pair's cell in `seen`; -1 without one."""
        keys = self.events.keys
        asked = user.astype(np.int64) * self.events.n_items + item
        place = np.minimum(np.searchsorted(keys, asked), max(len(keys) - 1, 0))
        return np.where(keys[place] == asked, place, -1) if len(keys) else np.full(len(asked), -1)


def features(rows: Candidates, users: Ints, history: History) -> Floats:
    """One row a candidate, float32: each source's scaled score and rank, then pair and user. `users`: the numbers behind rows.user."""
    ranks = np.where(rows.rank > 0, rows.rank, NO_RANK)
    pairs = history.of_pairs(users[rows.user], rows.item)
    return np.concatenate([rows.scaled, ranks, pairs, history.of_users(users)[rows.user]], axis=1, dtype=np.float32)


def with_blend(blended: Floats, described: Floats) -> Floats:
    """What the trees see: the blend first, then the `features`."""
    return np.concatenate([blended[:, None], described], axis=1, dtype=np.float32)


def fit(columns: Floats, user: Ints, is_relevant: Flags, *, n_sources: int, k: int, seed: int, threads: int) -> "lightgbm.Booster | None":
    """Trees on three quarters of the users, as many as are best on the others, then as many on all of them. None where too few have a hit.

    `user`: the user of each row, rows of a user together; users without a hit teach nothing and are left out.
    """
    import lightgbm

    with_hit = np.isin(user, np.unique(user[is_relevant]))
    columns, user, label = columns[with_hit], user[with_hit], is_relevant[with_hit].astype(np.int8)
    persons = np.unique(user)
    stopping = np.isin(user, np.random.default_rng(seed).permutation(persons)[: int(len(persons) * STOPPING_SHARE)])
    if len(persons) * STOPPING_SHARE < MIN_PERSONS:
        return None
    parameters = PARAMETERS | {"eval_at": [k], "seed": seed, "num_threads": threads, "monotone_constraints": _directions(n_sources, columns.shape[1])}

    def data(rows: Flags) -> "lightgbm.Dataset":
        return lightgbm.Dataset(columns[rows], label[rows], group=np.unique(user[rows], return_counts=True)[1], params=parameters)

    stop = lightgbm.early_stopping(PATIENCE, verbose=False)
    fitted = data(~stopping)
    judged = data(stopping).set_reference(fitted)
    trees = lightgbm.train(parameters, fitted, TREES, valid_sets=[judged], callbacks=[stop]).best_iteration
    return lightgbm.train(parameters, data(np.ones(len(user), dtype=bool)), max(trees, 1))


def score(booster: "lightgbm.Booster", columns: Floats, *, threads: int) -> Floats:
    """One score per row, comparable within a user."""
    return np.asarray(booster.predict(columns, num_threads=threads)) if len(columns) else np.zeros(0)


def _directions(n_sources: int, n_columns: int) -> list[int]:
    """More of a score can only help, more of a rank only harm; the rest is free."""
    return [*[1] * (1 + n_sources), *[-1] * n_sources, *[0] * (n_columns - 1 - 2 * n_sources)]
