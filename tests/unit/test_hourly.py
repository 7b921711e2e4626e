"""The lists of an hour: what fades, what a trail says, and that learning looks at nothing after the cut."""

from dataclasses import replace

import numpy as np
import pytest

from models import hourly
from models.recommenders.events import Events
from models.recommenders.hourly import HOUR, Hourly, mixed

OLD, HOT, NEXT = 0, 1, 2


def events_of(rows: list[tuple[int, int, float]], *, n_users: int = 9, n_items: int = 3) -> Events:
    """Rows of user, item and hours before the end."""
    user, item, hours = (np.array(column) for column in zip(*rows, strict=True))
    return Events(user.astype(np.int32), item.astype(np.int32), np.ones(len(rows)), hours * HOUR, n_users, n_items)


def test_shares_halve_every_half_life() -> None:
    """Two events of an hour ago weigh as much as one of now, but for the tail that lasts longer."""
    shares = Hourly(popular_half_life=1.0).shares(events_of([(0, OLD, 1.0), (1, OLD, 1.0), (2, HOT, 0.0)]))
    assert shares.sum() == pytest.approx(1.0)
    assert shares[OLD] == pytest.approx(0.5, abs=1e-4)
    assert shares[NEXT] == 0


def test_what_is_long_past_decides_where_nothing_recent_does() -> None:
    shares = Hourly(popular_half_life=0.1).shares(events_of([(0, OLD, 20.0), (1, OLD, 19.0), (2, NEXT, 20.0), (3, HOT, 0.1)]))
    assert np.argsort(-shares).tolist() == [HOT, OLD, NEXT]
    assert shares[NEXT] > 0


def test_trust_mixes_two_shares_and_who_has_no_trail_has_those_of_everybody() -> None:
    shares = np.array([0.5, 0.3, 0.2], dtype=np.float32)
    personal = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]], dtype=np.float32)
    assert mixed(shares, personal, 0.5).tolist() == [pytest.approx([0.25, 0.15, 0.6]), pytest.approx([0.5, 0.3, 0.2])]


def test_a_trail_leads_to_what_its_followers_took() -> None:
    """Users 0 to 2 took OLD and NEXT; user 3 has OLD alone, and HOT is what most others take."""
    rows = [(user, item, 2.0) for user in range(3) for item in (OLD, NEXT)] + [(3, OLD, 2.0)] + [(user, HOT, 2.0) for user in (4, 5, 6, 7)]
    scores = Hourly(trust=0.5).fit(events_of(rows), seed=1).scores(np.array([3, 8]))
    assert scores[0, NEXT] > scores[0, HOT]
    assert scores[1, HOT] > scores[1, NEXT]


def test_a_turn_knows_the_past_of_its_hour_and_asks_for_what_is_new_in_it() -> None:
    """The hour that begins an hour before the end: user 0 took NEXT in it, user 1 only what it knew; user 2 was never seen before."""
    events = events_of([(0, OLD, 3.0), (1, OLD, 2.0), (0, NEXT, 0.5), (1, OLD, 0.5), (2, HOT, 0.5), (3, NEXT, 1.5)])
    (turn,) = hourly.turns(events, [1])
    assert turn.users.tolist() == [0]
    assert turn.items.tolist() == [OLD, NEXT]
    assert turn.taken.toarray().tolist() == [[0, 1]]
    assert turn.n_taken.tolist() == [1]
    assert turn.idle_hours.tolist() == [pytest.approx(2.0)]
    assert sorted((turn.past.ages / HOUR).round(6).tolist()) == [0.5, 1.0, 2.0]
    hits = hourly.hits_of(turn, np.array([[0.9, 0.1]], dtype=np.float32), 2)
    assert hits.tolist() == [[True, False]]  # OLD is known, so NEXT comes first


def _days_of_news(*, follows: bool) -> Events:
    """40 readers take one of two items in the hours before; in each hour half of each camp goes on to the item of its own camp, or all to the same one."""
    rows = []
    for hour in range(1, 25):
        for user in range(40):
            camp = user % 2
            rows.append((user, (4 * hour + camp) % 100, hour + 0.9 - user * 1e-3))
            rows.append((user, (4 * hour + (camp if follows else 0) + 2) % 100, hour + 0.3 - user * 1e-3))
    return events_of(rows, n_users=40, n_items=100)


def test_learning_is_the_same_each_time_and_ignores_what_is_after_the_end() -> None:
    events = _days_of_news(follows=True)
    first, reached = hourly.learn(events, seed=3, hours=(2, 5), max_users=20)
    again, _ = hourly.learn(events, seed=3, hours=(2, 5), max_users=20)
    assert first == again
    assert 0 <= reached <= 1
    assert hourly.from_description(hourly.described(first)) == first


def test_without_hours_to_learn_from_no_trail_is_believed() -> None:
    model, reached = hourly.learn(events_of([(0, OLD, 40.0)]), seed=1)
    assert (model, reached) == (replace(Hourly(), trust=0.0), 0.0)
