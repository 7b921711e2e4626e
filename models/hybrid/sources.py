"""Which sources a training set has, and what of each is tuned, in which order."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from models.recommenders.als import Als
from models.recommenders.base import Recommender
from models.recommenders.ease import MAX_ITEMS, Ease
from models.recommenders.events import Events
from models.recommenders.neighbours import CoVisitation, ItemKnn, Rp3Beta
from models.recommenders.popularity import Popularity, Repeats

WINDOWS: Final[Mapping[str, float]] = {"15m": 1 / 96, "1h": 1 / 24, "6h": 0.25, "1d": 1.0, "3d": 3.0, "7d": 7.0, "28d": 28.0}  # days
FEWEST_EVENTS: Final = 200  # of a window that is worth a source
LARGEST_SHARE: Final = 0.9  # of all events: a window with more says what the whole time says
HALF_LIVES: Final = (2, 8, 32, 128)  # as parts of the time that the data spans: hours for a week of news, weeks for a year of a shop
MOST_ALS: Final = 9  # trials of the slowest source
POPULAR_EVER: Final = "popular_ever"


@dataclass(frozen=True)
class Source:
    """A recommender with the parameters that it starts from, the values of each that are tried, one parameter after the other, and how many fits that
    may take at the most.
    """

    name: str
    recommender: Recommender
    space: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    max_trials: int = 1


def available(events: Events, *, repeats: bool, n_folds: int) -> list[Source]:
    """The sources that the data can feed, if they are to be fitted on so many inner splits. The larger the data, the fewer trials: the work is bounded, not the time, so that a run can be repeated."""
    personal = [*_personal(events, n_folds), *([_repeats(events)] if repeats else [])]
    return [*windows(events), *personal]


def windows(events: Events) -> list[Source]:
    """Popularity of every window that is neither empty nor all there is, shortest first, and of the whole time."""
    found = []
    if events.age is not None:
        for name, days in WINDOWS.items():
            n_events = int((events.age < days).sum())
            if FEWEST_EVENTS <= n_events <= LARGEST_SHARE * len(events):
                found.append(Source(f"popular_{name}", Popularity(days)))
    return [*found, Source(POPULAR_EVER, Popularity(None))]


def half_lives(events: Events, parts: tuple[int, ...] = HALF_LIVES) -> tuple[float, ...]:
    """What is tried for fading, in days; () without times."""
    if events.age is None or not len(events):
        return ()
    return tuple(float(events.age.max()) / part for part in parts)


def _trials(size: float) -> int:
    """Trials for so many million operations of the costly kind (interactions, pairs, cells)."""
    return int(np.clip(16 / max(size, 0.01) ** 0.8, 2, 16))


def _personal(events: Events, n_folds: int) -> list[Source]:
    slow: dict[str, tuple[Any, ...]] = {"half_life": half_lives(events)[:2]} if events.age is not None else {}
    millions, degrees = events.seen.nnz / 1e6, np.diff(events.seen.indptr).astype(float)
    pairs = float((degrees**2).sum()) / 5e7 + events.n_items**2 / 2e8
    found = [
        Source(
            "als",
            Als(),
            {"regularisation": (0.002, 0.04), "alpha": (3.0, 30.0), **slow, "power": (1.0,), "factors": (128,)},
            min(MOST_ALS, _trials(millions * 2)),
        ),
        Source("rp3beta", Rp3Beta(), {"beta": (0.3, 0.8), **slow, "alpha": (0.7, 1.4), "neighbours": (50, 500)}, _trials(pairs)),
        Source(
            "item_knn",
            ItemKnn(),
            {"weighting": ("bm25",), "shrinkage": (0.0, 100.0), **slow, "neighbours": (30, 400)},
            _trials(pairs),
        ),
    ]
    if events.n_items**3 * max(n_folds, 1) <= MAX_ITEMS**3:
        cubes = (events.n_items / 4000) ** 3
        found.append(Source("ease", Ease(), {"regularisation": (50.0, 800.0), **slow}, max(1, _trials(cubes) if cubes < 16 else 1)))
    if events.age is not None:
        space = {"half_life": half_lives(events), "balance": (0.0, 0.25, 0.75, 1.0), "last": (3, 30), "decay": (0.7, 1.0)}
        found.append(Source("covisitation", CoVisitation(half_lives(events)[1]), space, _trials(pairs)))
    return found


def _repeats(events: Events) -> Source:
    return Source("repeats", Repeats(), {"half_life": half_lives(events, (1, 2, 4, 8))}, 16)
