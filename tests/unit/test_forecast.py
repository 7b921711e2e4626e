"""Forecasts of what will be taken."""

from dataclasses import replace
from datetime import date

import duckdb
import lightgbm
import numpy as np
import pytest

from models.forecast import create_forecast
from models.inputs import Cut
from models.recommenders import forecast
from models.recommenders.events import Events, Floats
from models.recommenders.forecast import Forecast
from models.recommenders.popularity import Popularity

HOUR = 1 / 24
READERS = 60


def _news(*, hours: int = 192, every: int = 6) -> Events:
    """An article comes every six hours: two readers look at it in its first hour, all others between its ninth hour and its thirtieth, and then nobody. Another kind has
    three readers in its first hour, and no more. All readers are there from the first hour on.
    """
    times, readers, articles = [np.zeros(READERS)], [np.arange(READERS)], [np.zeros(READERS, dtype=int)]
    for number, published in enumerate(range(1, hours, every)):
        for place, at in enumerate((np.full(2, 0.5), np.linspace(8, 30, READERS - 2))):
            readers.append(np.arange(2) if place == 0 else np.arange(2, READERS))
            times.append(published + at)
            articles.append(np.full(len(at), 1 + 2 * number))
        readers.append(np.arange(3))
        times.append(np.full(3, published + 0.5))
        articles.append(np.full(3, 2 + 2 * number))
    time, user, item = np.concatenate(times), np.concatenate(readers), np.concatenate(articles)
    known = time < hours
    n_items = int(item.max()) + 1
    return Events(user[known], item[known], np.ones(int(known.sum())), (hours - time[known]) * HOUR, READERS, n_items)


def _to_come(events: Events, *, hours: int = 192) -> Floats:
    """How many readers each article will have in the day after `hours`."""
    found = np.zeros(events.n_items)
    for item in range(1, events.n_items, 2):
        times = 1 + 6 * ((item - 1) // 2) + np.linspace(8, 30, READERS - 2)
        found[item] = ((times >= hours) & (times < hours + 24)).sum()
    return found


def test_what_few_have_looked_at_and_all_will_take_comes_before_what_is_taken_now() -> None:
    events = _news()
    truth = _to_come(events)
    forecast, counted = (recommender.fit(events, seed=1).item_scores for recommender in (Forecast(1.0), Popularity(0.25)))
    coming = int(np.argmax(truth))
    assert int(np.argmax(forecast)) == coming
    assert int(np.argmax(counted)) != coming
    assert (events.item == coming).sum() == 2


def test_a_forecast_is_near_what_comes() -> None:
    events = _news()
    truth, scores = _to_come(events), Forecast(1.0).fit(events, seed=1).item_scores
    assert np.abs(scores - truth).mean() < 0.1 * truth.mean() + 1
    assert scores[truth > 40] == pytest.approx(truth[truth > 40], rel=0.25)


def test_of_a_large_catalogue_fewer_moments_are_learnt_from(monkeypatch: pytest.MonkeyPatch) -> None:
    learnt_from: list[int] = []
    train = lightgbm.train
    monkeypatch.setattr(lightgbm, "train", lambda parameters, data, *rest: learnt_from.append(len(data.get_label())) or train(parameters, data, *rest))
    events = _news()
    Forecast(1.0).fit(events, seed=1)
    monkeypatch.setattr(forecast, "MOST_ROWS", learnt_from[0] // 4)
    Forecast(1.0).fit(events, seed=1)
    assert 0 < learnt_from[-1] <= learnt_from[0] // 3


def test_without_a_horizon_before_and_after_a_moment_what_was_taken_most_counts() -> None:
    events = _news(hours=30)
    assert np.array_equal(Forecast(1.0).fit(events, seed=1).item_scores, Popularity(None).fit(events, seed=1).item_scores)


def test_a_cut_sees_what_is_before_it_and_gives_the_first_items_in_one_order() -> None:
    """Four days of the same two items; the label window is a day, so that there are moments with a day before and after them. Item a is taken by ten a day, b by three."""
    day = date(2026, 3, 10)
    with duckdb.connect() as connection:
        connection.execute("""
            CREATE TABLE taken AS
            SELECT format('{}-{}', item_id, p) AS person_id, item_id, TIMESTAMP '2026-03-07' + to_hours(24 * d + p) AS occurred_at
            FROM (VALUES ('a', 10), ('b', 3)) AS i (item_id, n), range(10) AS r (p), range(4) AS s (d) WHERE p < n
            UNION ALL SELECT 'later', 'c', TIMESTAMP '2026-03-11' FROM range(100)
        """)
        cut = Cut(day, horizon_days=1, exclude_seen=False, exclude_bought=False)
        found = connection.execute(create_forecast(connection, "taken", cut, seed=1)).fetchall()
        assert [(made_on, rank, item) for made_on, rank, item, _ in found] == [(day, 1, "a"), (day, 2, "b")]
        assert connection.execute(create_forecast(connection, "(FROM taken ORDER BY hash(person_id))", cut, seed=1)).fetchall() == found
        assert connection.execute(create_forecast(connection, "taken", replace(cut, horizon_days=30), seed=1)).fetchall() == []
        assert connection.execute(create_forecast(connection, "(FROM taken LIMIT 0)", cut, seed=1)).fetchall() == []
