"""Inner splits of the training data: what the sources learn from, and what is held out to tune and judge them."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.sparse import csr_matrix

from models.recommenders.events import Events, Flags, Floats, Ints

TIME, LAST, RANDOM = "time", "last", "random"
METHODS: Final = (TIME, LAST, RANDOM)
HELD_OUT: Final = 0.2  # of a user's items, where the split is not one in time
MAX_FOLDS: Final = 3
SMALL: Final = ((4, 250_000, 5_000), (2, 1_500_000, 10_000))  # so many random folds for up to so many events and items: what is chosen on one alone is chance
MAX_USERS: Final = 6000  # of a fold; more change the choice less than the next day does
SHORTEST_HISTORY: Final = 2.0  # horizons that the oldest fold must have before it


@dataclass(frozen=True)
class Fold:
    """`events`: what may be known. `users`: whose lists are judged, sorted; all of them occur in `events`. `relevant` and `hidden` are bool-like
    matrices of all users by all items: what was held out, and what may not be proposed.
    """

    events: Events
    users: Ints
    relevant: csr_matrix
    hidden: csr_matrix


def split(events: Events, *, method: str, horizon: float | None, repeats: bool, seed: int) -> list[Fold]:
    """The folds, oldest first. TIME: up to three cuts `horizon` days apart, each judged by the horizon after it. LAST: each user's newest fifth.
    RANDOM: a fifth of each user's items, drawn with the seed; of small data other fifths, too. Without anything to hold out: [].
    """
    if method == TIME and horizon:
        return [fold for fold in (_before(events, cut, horizon, repeats, seed) for cut in _cuts(events, horizon)) if len(fold.users)]
    n = 1 if method == LAST else next((n for n, most, widest in SMALL if len(events) <= most and events.n_items <= widest), 1)
    parts = [_held_out(events, number, by_age=method == LAST, repeats=repeats, seed=seed) for number in range(n)]
    return [fold for fold in (_fold(events, part, repeats=repeats, seed=seed) for part in parts) if len(fold.users)]


def _cuts(events: Events, horizon: float) -> list[float]:
    """Ages of the cuts, oldest first; the newest one lies one horizon before the end."""
    span = float(events.age.max(initial=0.0)) if events.age is not None else 0.0
    n = int(np.clip(span / horizon - SHORTEST_HISTORY, 1, MAX_FOLDS))
    return [min(horizon, span / SHORTEST_HISTORY) * place for place in range(n, 0, -1)]


def _before(events: Events, cut: float, horizon: float, repeats: bool, seed: int) -> Fold:
    assert events.age is not None
    held_out = (events.age < cut) & (events.age >= cut - horizon)
    known = events.only(events.age >= cut, younger_by=cut)
    return _judged(known, events.only(held_out), repeats=repeats, seed=seed)


def _held_out(events: Events, number: int, *, by_age: bool, repeats: bool, seed: int) -> Flags:
    """Which events: of each user the share HELD_OUT of the items, rounded, at least one of two, with all their events; where items may come again, that
    share of the events. The newest ones, or a random choice: part `number` of those that have nothing in common.
    """
    if repeats:
        return _share(events.user, events.age if by_age else None, number, seed)
    seen = events.seen
    user = np.repeat(np.arange(events.n_users), np.diff(seen.indptr))
    chosen = _share(user, events.pair_age.data if by_age else None, number, seed)
    return chosen[np.searchsorted(events.keys, events.user.astype(np.int64) * events.n_items + events.item)]


def _share(user: Ints, age: Floats | None, number: int, seed: int) -> Flags:
    """Marks the share HELD_OUT of each user's rows: the youngest, ties at random, or at random; after `number` such shares."""
    counts = np.bincount(user)
    drawn = np.random.default_rng(seed).random(len(user))
    order = np.lexsort((drawn, user) if age is None else (drawn, age, user))
    place = np.empty(len(user), dtype=np.int64)
    place[order] = np.arange(len(user)) - (np.cumsum(counts) - counts)[user[order]]
    share = np.where(counts > 1, np.maximum(np.round(counts * HELD_OUT), 1), 0)[user]
    return (place >= number * share) & (place < (number + 1) * share)


def _fold(events: Events, held_out: Flags, *, repeats: bool, seed: int) -> Fold:
    """Takes the events away from the users of the fold alone: the others stay as they are."""
    users = _sample(np.unique(events.user[held_out]), seed)
    gone = held_out & np.isin(events.user, users)
    return _judged(events.only(~gone), events.only(gone), repeats=repeats, seed=seed)


def _judged(known: Events, later: Events, *, repeats: bool, seed: int) -> Fold:
    hidden = csr_matrix(known.seen.shape, dtype=np.float32) if repeats else known.seen
    relevant = later.seen - later.seen.multiply(hidden)
    relevant = csr_matrix(relevant)
    relevant.eliminate_zeros()
    is_known = np.diff(known.seen.indptr) > 0
    users = _sample(np.flatnonzero((np.diff(relevant.indptr) > 0) & is_known), seed)
    return Fold(known, users, relevant, hidden)


def _sample(users: Ints, seed: int) -> Ints:
    if len(users) <= MAX_USERS:
        return users
    return np.sort(np.random.default_rng(seed).choice(users, MAX_USERS, replace=False))


def groups(folds: list[Fold], *, method: str, seed: int) -> list[Ints]:
    """Of each fold, the group of each user: what is learnt from the other groups is judged by one. Several cuts in time are a group each, else the users are halved."""
    if method == TIME and len(folds) > 1:
        return [np.full(len(fold.users), number) for number, fold in enumerate(folds)]
    users = np.unique(np.concatenate([fold.users for fold in folds]))
    first = np.random.default_rng(seed).permutation(users)[: len(users) // 2]
    return [np.isin(fold.users, first).astype(np.int64) for fold in folds]
