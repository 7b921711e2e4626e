"""What everybody takes, and what a person takes again and again."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from models.recommenders.events import Events, Floats, Ints


@dataclass(frozen=True)
class Popularity:
    """The number of persons who came to an item in the last `window_days` (None: ever); the whole time decides between equals."""

    window_days: float | None = None

    def fit(self, events: Events, *, seed: int) -> "Everybody":
        """Counts; nothing is drawn."""
        ever = np.asarray(events.seen.sum(axis=0)).ravel()
        recent = ever
        if self.window_days is not None and events.age is not None:
            recent = np.asarray(events.only(events.age < self.window_days).seen.sum(axis=0)).ravel()
        return Everybody((recent + ever / (1.0 + ever.max(initial=0.0))).astype(np.float32))


@dataclass(frozen=True)
class Everybody:
    """One score per item, the same for everybody."""

    item_scores: Floats

    def scores(self, users: Ints) -> Floats:
        """The same row for each user."""
        return np.tile(self.item_scores, (len(users), 1))


@dataclass(frozen=True)
class Repeats:
    """How often the person came to the item before, each time counting half after `half_life` days: what a shop's customers buy again."""

    half_life: float | None = None

    def fit(self, events: Events, *, seed: int) -> "Own":
        """Sums; nothing is drawn."""
        ones = Events(events.user, events.item, np.ones(len(events)), events.age, events.n_users, events.n_items)
        return Own(ones.matrix(half_life=self.half_life))


@dataclass(frozen=True)
class Own:
    """User by item: the scores themselves."""

    matrix: csr_matrix

    def scores(self, users: Ints) -> Floats:
        """The rows of the users."""
        return self.matrix[users].toarray()
