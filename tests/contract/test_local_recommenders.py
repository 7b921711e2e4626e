"""What every recommender of models.recommenders promises, held against the same small world."""

import numpy as np
import pytest

from models.recommenders.als import Als
from models.recommenders.base import Recommender, exclude, top
from models.recommenders.ease import Ease
from models.recommenders.events import Events
from models.recommenders.forecast import Forecast
from models.recommenders.hourly import Hourly
from models.recommenders.neighbours import CoVisitation, ItemKnn, Rp3Beta
from models.recommenders.popularity import Popularity, Repeats

PERSONAL = {
    "als": Als(factors=4, iterations=8),
    "als_fading": Als(factors=4, iterations=8, half_life=30.0, power=1.0),
    "rp3beta": Rp3Beta(),
    "item_knn": ItemKnn(shrinkage=0.0),
    "item_knn_bm25": ItemKnn(weighting="bm25", shrinkage=0.0),
    "ease": Ease(regularisation=1.0),
    "covisitation": CoVisitation(),
}
ALL: dict[str, Recommender] = {
    **PERSONAL,
    "popularity_hourly": Hourly(trust=0.0, window=400.0),
    "popularity": Popularity(),
    "popularity_7d": Popularity(7.0),
    "popularity_forecast": Forecast(0.5),
    "repeats": Repeats(),
    "repeats_fading": Repeats(30.0),
}
N_USERS, N_ITEMS, COLD = 12, 10, 12


def _checkerboard(order: slice = slice(None)) -> Events:
    """Even users like even items, odd users odd ones, and item 4 is withheld from user 4. User 12 has nothing."""
    pairs = [(u, i) for u in range(N_USERS) for i in range(N_ITEMS) if u % 2 == i % 2 and (u, i) != (4, 4)][order]
    user, item = (np.array(column, dtype=np.int32) for column in zip(*pairs, strict=True))
    return Events(user, item, np.ones(len(user)), 1.0 + user % 3 + item / 24, N_USERS + 1, N_ITEMS)


@pytest.mark.parametrize("name", PERSONAL)
def test_the_withheld_item_comes_first(name: str) -> None:
    events = _checkerboard()
    scores = PERSONAL[name].fit(events, seed=1).scores(np.array([4]))
    assert top(exclude(scores, events.seen[[4]]), 1).tolist() == [[4]]


@pytest.mark.parametrize("name", ALL)
def test_scores_are_a_float32_row_per_user_and_a_new_user_has_no_taste(name: str) -> None:
    scores = ALL[name].fit(_checkerboard(), seed=1).scores(np.array([3, COLD]))
    assert scores.shape == (2, N_ITEMS)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()
    everybody = ALL[name].fit(_checkerboard(), seed=1).scores(np.array([0]))
    assert (scores[1] == 0).all() or (name.startswith("popularity") and scores[1].tolist() == everybody[0].tolist())


@pytest.mark.parametrize("name", ALL)
def test_the_same_events_in_any_order_give_the_same_bytes(name: str) -> None:
    users = np.arange(N_USERS + 1)
    first, second = (ALL[name].fit(_checkerboard(order), seed=3).scores(users) for order in (slice(None), slice(None, None, -1)))
    assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize("name", ALL)
def test_nothing_excluded_is_proposed_and_a_list_ends_where_items_do(name: str) -> None:
    events = _checkerboard()
    scores = ALL[name].fit(events, seed=1).scores(np.array([4, 5]))
    lists = top(exclude(scores, events.seen[[4, 5]]), N_ITEMS)
    assert [sorted(row[row >= 0].tolist()) for row in lists] == [[1, 3, 4, 5, 7, 9], [0, 2, 4, 6, 8]]
    assert (lists[:, 6:] == -1).all()
