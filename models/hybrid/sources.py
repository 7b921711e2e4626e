"""Which sources a training set has, and what of each is tuned, in which order."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from models.recommenders.als import Als
from models.recommenders.base import Recommender
from models.recommenders.ease import MAX_ITEMS, Ease
from models.recommenders.events import Events
from models.recommenders.forecast import Forecast
from models.recommenders.neighbours import CoVisitation, ItemKnn, Rp3Beta
from models.recommenders.popularity import Popularity, Repeats

WINDOWS: Final[Mapping[str, float]] = {"5m": 1 / 288, "15m": 1 / 96, "1h": 1 / 24, "6h": 0.25, "1d": 1.0, "3d": 3.0, "7d": 7.0, "28d": 28.0}  # days
FEWEST_EVENTS: Final = 200  # of a window that is worth a source
LARGEST_SHARE: Final = 0.9  # of all events: a window with more says what the whole time says
HALF_LIVES: Final = (2, 8, 32, 128)  # as parts of the time that the data spans: hours for a week of news, weeks for a year of a shop
QUICK_HALF_LIVES: Final = (*HALF_LIVES, 512, 2048)  # of what people come to one after the other: minutes for a week of news, hours for a year of a shop
FEWEST_TRIALS, MOST_TRIALS = 3, 32
POPULAR_EVER: Final = "popular_ever"
FORECAST_NAME: Final = "forecast"

LARGE_CUBE: Final = 16.0  # about 10,000 items: from there one EASE^R is all that is fitted
# Ladders. What ALS does with more weight on what was seen (alpha) it does with less regularisation: the starts lie along that ridge.
REGULARISATIONS: Final = (1.0, 2.0, 4.0, 6.0, 8.0, 11.0, 16.0, 22.0, 26.0, 32.0, 42.0, 60.0, 85.0, 120.0, 170.0, 240.0, 400.0)
ALS: Final = {"regularisation": REGULARISATIONS, "alpha": (1.0, 3.0, 10.0, 30.0, 100.0), "factors": (32, 64, 128), "power": (0.0, 0.5, 1.0)}
ALS_STARTS: Final = (
    {"alpha": 3.0, "regularisation": 26.0},
    {"alpha": 30.0, "regularisation": 60.0},
    {"alpha": 10.0, "regularisation": 16.0},
    {"alpha": 30.0, "regularisation": 16.0},
    {"alpha": 3.0, "regularisation": 8.0},
)
RP3BETA: Final = {"beta": (0.0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9), "alpha": (0.4, 0.7, 1.0, 1.4, 1.9), "neighbours": (20, 50, 100, 200, 500, 1000)}
ITEM_KNN: Final = {
    "shrinkage": (0.0, 10.0, 30.0, 100.0, 300.0, 1000.0),
    "neighbours": (20, 50, 100, 200, 500, 1000),
    "weighting": ("cosine", "bm25"),
}
EASE: Final = {"regularisation": (10.0, 25.0, 50.0, 100.0, 200.0, 300.0, 450.0, 650.0, 900.0, 1300.0, 2000.0, 4000.0)}
COVISITATION: Final = {"balance": (0.0, 0.25, 0.5, 0.75, 1.0), "last": (1, 3, 10, 30, 100), "decay": (0.7, 0.8, 0.9, 1.0)}


@dataclass(frozen=True)
class Source:
    """A recommender with the parameters that it starts from, other starts, the ladder of each parameter (all values that it may take, in
    order), and how many fits a search may take at the most.
    """

    name: str
    recommender: Recommender
    space: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    max_trials: int = 1
    starts: tuple[Mapping[str, Any], ...] = ()


def available(events: Events, *, repeats: bool, n_folds: int, horizon: float | None) -> list[Source]:
    """The sources that the data can feed, if they are to be fitted on so many inner splits; `horizon`: the days that the lists are for. The larger the data, the fewer trials: the work is bounded, not the time, so that a run can be repeated."""
    personal = [*_personal(events, n_folds), *([_repeats(events)] if repeats else [])]
    return [*windows(events), *_forecast(events, horizon, repeats=repeats), *personal]


def windows(events: Events) -> list[Source]:
    """Popularity of every window that is neither empty nor all there is, shortest first, and of the whole time."""
    found = []
    if events.age is not None:
        for name, days in WINDOWS.items():
            n_events = int((events.age < days).sum())
            if FEWEST_EVENTS <= n_events <= LARGEST_SHARE * len(events):
                found.append(Source(f"popular_{name}", Popularity(days)))
    return [*found, Source(POPULAR_EVER, Popularity(None))]


def _forecast(events: Events, horizon: float | None, *, repeats: bool) -> list[Source]:
    if events.age is None or horizon is None:
        return []
    return [Source(FORECAST_NAME, Forecast(horizon, repeats))]


def half_lives(events: Events, parts: tuple[int, ...] = HALF_LIVES) -> tuple[float, ...]:
    """What is tried for fading, in days; () without times."""
    if events.age is None or not len(events):
        return ()
    return tuple(float(events.age.max()) / part for part in parts)


def _trials(size: float) -> int:
    """Trials for so many million operations of the costly kind (interactions, pairs, cells)."""
    return int(np.clip(24 / max(size, 0.01) ** 0.6, FEWEST_TRIALS, MOST_TRIALS))


def _personal(events: Events, n_folds: int) -> list[Source]:
    fading: dict[str, tuple[Any, ...]] = {"half_life": (*half_lives(events)[::-1], None)} if events.age is not None else {}
    degrees = np.diff(events.seen.indptr).astype(float)
    millions = (events.seen.nnz + Als().factors * (events.n_users + events.n_items)) / 1e6  # of cells, those of the regularisation included
    pairs = float((degrees**2).sum()) / 5e7 + events.n_items**2 / 2e8
    found = [
        Source("als", Als(), {**ALS, **fading}, _trials(millions * n_folds), ALS_STARTS),
        Source("rp3beta", Rp3Beta(), {**RP3BETA, **fading}, _trials(pairs)),
        Source("item_knn", ItemKnn(), {**ITEM_KNN, **fading}, _trials(pairs), ({"weighting": "bm25", "shrinkage": 100.0, "neighbours": 200},)),
    ]
    if events.n_items**3 * max(n_folds, 1) <= MAX_ITEMS**3:
        cubes = (events.n_items / 4000) ** 3
        found.append(Source("ease", Ease(), {**EASE, **fading}, _trials(cubes) if cubes < LARGE_CUBE else 1))
    if events.age is not None:
        ladder = half_lives(events, QUICK_HALF_LIVES)
        starts = tuple({"half_life": ladder[place], "balance": 0.0} for place in (4, 2))
        found.append(Source("covisitation", CoVisitation(ladder[1]), {"half_life": ladder[::-1], **COVISITATION}, _trials(pairs), starts))
    return found


def _repeats(events: Events) -> Source:
    ladder = half_lives(events, (8, 4, 2, 1))
    return Source("repeats", Repeats(), {"half_life": (*ladder, None)}, MOST_TRIALS)
