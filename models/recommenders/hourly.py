"""What is taken right now, by everybody and by those who took what the person took last: for sites where an item is old within hours.

A mixture of two shares: (1 - trust) times the item's share of all events, fading by the hour, and trust times its share of what people with the
same last items came to (CoVisitation, fading too). Both sum to 1 over the items, so `trust` is how far the person's own trail is believed: a mixture of
a background and a personal model, as in Jelinek & Mercer's smoothing (1980).
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from models.recommenders.events import Events, Floats, Ints
from models.recommenders.neighbours import CoVisitation, ItemToItem, nearest

HOUR = 1 / 24  # of a day, the unit of ages
WINDOW = 24.0  # hours that items count as current for
TAIL, TAIL_HALF_LIFE = 1e-4, 6.0  # hours: what is past still decides between items that nothing recent is known of
DIGITS = 9  # sums of floats are rounded before anything is ranked by them


@dataclass(frozen=True)
class Hourly:
    """`popular_half_life` and `covisitation_half_life` in hours; `balance` as CoVisitation has it. Counts look at the last `window` hours, a person's trail at
    all events.
    """

    trust: float = 0.2
    popular_half_life: float = 1.0
    covisitation_half_life: float = 6.0
    balance: float = 0.0
    window: float = WINDOW
    last: int = 10
    decay: float = 0.9
    neighbours: int = 200

    def fit(self, events: Events, *, seed: int) -> "Mixture":
        """Exact; needs times."""
        return Mixture(self.shares(events), ItemToItem(self.covisitation.profiles(events), self.nearby(events)), self.trust)

    @property
    def covisitation(self) -> CoVisitation:
        """How a person's trail is followed."""
        return CoVisitation(self.covisitation_half_life * HOUR, self.last, self.decay, self.balance, self.neighbours)

    def shares(self, events: Events) -> Floats:
        """Each item's share of the events, an event counting half after `popular_half_life` hours; all 0 without events."""
        recent = events.only(events.ages < self.window * HOUR)
        counts = recent.faded(self.popular_half_life * HOUR) + TAIL * recent.faded(TAIL_HALF_LIFE * HOUR)
        counted = np.round(np.bincount(recent.item, weights=counts, minlength=events.n_items), DIGITS)
        return (counted / max(counted.sum(), 1e-9)).astype(np.float32)

    def nearby(self, events: Events) -> csr_matrix:
        """Item by item: the neighbours by the last `window` hours."""
        return nearest(self.covisitation.product(events.only(events.ages < self.window * HOUR)), per_item=self.neighbours)


@dataclass(frozen=True)
class Mixture:
    """`shares`: one value per item. A user without a trail has the shares alone."""

    shares: Floats
    trails: ItemToItem
    trust: float

    def scores(self, users: Ints) -> Floats:
        """Shares of what is taken next; each row sums to 1 where there are events."""
        return mixed(self.shares, personal_shares(self.trails, users), self.trust)


def personal_shares(trails: ItemToItem, users: Ints) -> Floats:
    """The trails' scores over their sum; a row of zeros stays one."""
    scores = trails.scores(users).astype(np.float32, copy=False)
    return scores / np.maximum(scores.sum(axis=1, keepdims=True), np.float32(1e-12))


def mixed(shares: Floats, personal: Floats, trust: float) -> Floats:
    """(1 - trust) * shares + trust * personal, one row per row of `personal`; where that is all 0, the shares alone."""
    believed = np.where(personal.any(axis=1, keepdims=True), np.float32(trust), np.float32(0))
    return np.round((1 - believed) * shares + believed * personal, DIGITS).astype(np.float32)
