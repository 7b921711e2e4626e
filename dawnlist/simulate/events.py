"""All events of the simulation, as columns: drafted by behaviour, given their moments, and landed with their faults."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from dawnlist.simulate import behaviour, visits
from dawnlist.simulate.behaviour import IDENTIFY, ORDER, REFUND, Draft
from dawnlist.simulate.catalogue import Catalogue
from dawnlist.simulate.people import People
from dawnlist.simulate.visits import Visits
from dawnlist.simulate.world import DAY_MS, HOUR_MS, SECOND_MS, Array, Rates, Window, chance

MEAN_GAP_MS: Final = 25 * SECOND_MS
BOT_GAP_MS: Final = SECOND_MS

WHOLE, TRUNCATED, BAD_TIMESTAMP = range(3)


@dataclass(frozen=True)
class Events:
    """One row an event, by session and time; refunds at the end. `is_known`: the event carries the user id.

    `list_starts` has one element more than there are lists: list l has the lines from list_starts[l] to list_starts[l + 1].
    """

    kind: Array
    session: Array
    at: Array
    is_known: Array
    item: Array
    quantity: Array
    amount: Array
    order: Array
    list_id: Array
    list_starts: Array
    line_items: Array
    line_quantities: Array

    def __len__(self) -> int:
        return len(self.at)


@dataclass(frozen=True)
class Landed:
    """Lines in landing order: the event of each, when it was sent and received (ms, UTC), and its fault."""

    event: Array
    sent_at: Array
    received_at: Array
    fault: Array
    n_duplicates: int

    def __len__(self) -> int:
        return len(self.event)

    @property
    def hour(self) -> Array:
        return np.asarray(self.received_at // HOUR_MS)


def simulate(visitors: People, goods: Catalogue, window: Window, rates: Rates, seed: int) -> tuple[Visits, Events]:
    """All sessions and events. Sets the moment of registration of those who register within the window."""
    rng, draft = chance(seed, "behaviour"), Draft()
    first = visits.draw(visitors, window, rates, seed)
    picks = behaviour.pick(rng, first, visitors, goods, window, rates)
    behaviour.browse(draft, rng, first, 0, picks, goods)
    orders = behaviour.buy(draft, rng, first, 0, picks, goods, window, rates)
    again, picks_again = behaviour.buy_again(rng, first, orders, goods, window, rates)
    behaviour.browse(draft, rng, again, len(first), picks_again, goods)
    behaviour.buy(draft, rng, again, len(first), picks_again, goods, window, rates, always=True)
    reviews = behaviour.review(draft, rng, first, orders, len(first) + len(again), visitors, goods, rates)
    bots = visits.of_bots(visitors.n_people, int(first.cookie.max(initial=-1)) + 1, 0, window, rates, seed)
    behaviour.crawl(draft, rng, bots, len(first) + len(again) + len(reviews), goods, window)
    sessions = visits.concatenate([first, again, reviews, bots])
    events = _refunded(rng, _timed(rng, draft, sessions), rates)
    _register(visitors, sessions, events)
    return sessions, events


def _timed(rng: np.random.Generator, draft: Draft, sessions: Visits) -> Events:
    """Give each event its moment: a session's events follow each other by exponential gaps."""
    columns = {name: np.concatenate(parts) for name, parts in draft.columns.items()}
    order = np.lexsort([columns["kind"], columns["key"], columns["session"]])
    columns = {name: column[order] for name, column in columns.items()}
    session = columns["session"]
    is_bot = sessions.bot[session] > 0
    gaps = rng.exponential(1.0, len(session)) * np.where(is_bot, BOT_GAP_MS, MEAN_GAP_MS)
    elapsed = np.cumsum(gaps.astype(np.int64) + 400)
    begins = np.searchsorted(session, session)
    sizes = np.concatenate([np.zeros(0, np.int64), *draft.list_sizes])
    return Events(
        kind=columns["kind"].astype(np.int8),
        session=session.astype(np.int32),
        at=sessions.at[session] + elapsed - elapsed[begins],
        is_known=columns["key"] >= behaviour.login_key(sessions)[session],
        item=columns["item"].astype(np.int32),
        quantity=columns["quantity"].astype(np.int16),
        amount=columns["amount"].astype(np.int32),
        order=columns["order"].astype(np.int32),
        list_id=columns["list_id"].astype(np.int32),
        list_starts=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        line_items=np.concatenate([np.zeros(0, np.int64), *draft.line_items]).astype(np.int32),
        line_quantities=np.concatenate([np.zeros(0, np.int64), *draft.line_quantities]).astype(np.int16),
    )


def _refunded(rng: np.random.Generator, events: Events, rates: Rates) -> Events:
    """Add the refunds: whole orders, 1 to 10 days later, sent by the shop's server."""
    orders = np.flatnonzero(events.kind == ORDER)
    orders = orders[rng.random(len(orders)) < rates.refund_share]
    at = events.at[orders] + rng.integers(DAY_MS, 10 * DAY_MS, len(orders))
    rows = np.concatenate([np.arange(len(events)), orders])
    columns = {name: getattr(events, name)[rows] for name in ("kind", "session", "at", "is_known", "item", "quantity", "amount", "order", "list_id")}
    columns["kind"][len(events) :], columns["at"][len(events) :] = REFUND, at
    return Events(**columns, list_starts=events.list_starts, line_items=events.line_items, line_quantities=events.line_quantities)


def _register(visitors: People, sessions: Visits, events: Events) -> None:
    """An account that is made within the window is made at the moment of its identify event."""
    rows = np.flatnonzero((events.kind == IDENTIFY) & sessions.registers[events.session])
    visitors.registered_at[sessions.person[events.session[rows]]] = events.at[rows]


def land(events: Events, window: Window, rates: Rates, seed: int) -> Landed:
    """Send the events: a few late, twice, or broken. What lands after the window, or before it, is left out."""
    rng = chance(seed, "landing")
    n = len(events)
    delay = np.maximum(np.exp(np.log(rates.late_median_hours) + rng.standard_normal(n)), 1.0).clip(max=rates.late_max_days * 24) * HOUR_MS
    late = rng.random(n) < rates.late_share
    sent = events.at + rng.integers(50, 5 * SECOND_MS, n) + np.where(late, delay, 0).astype(np.int64)
    received = sent + rng.integers(20, 500, n)
    twice = np.flatnonzero(rng.random(n) < rates.duplicate_share)
    event, sent = np.concatenate([np.arange(n), twice]), np.concatenate([sent, sent[twice]])
    received = np.concatenate([received, received[twice] + rng.integers(SECOND_MS, 2 * HOUR_MS, len(twice))])
    draw = rng.random(len(event))
    fault = np.where(draw < rates.truncated_share, TRUNCATED, np.where(draw < rates.truncated_share + rates.bad_timestamp_share, BAD_TIMESTAMP, WHOLE))
    fault[np.isin(event, twice)] = WHOLE  # a repeated line stays readable, so that duplicates can be counted
    landed = (events.at[event] >= window.start) & (received >= window.start) & (received < window.end)
    order = np.lexsort([np.arange(len(event)), received])
    order = order[landed[order]]
    event = event[order]
    return Landed(event, sent[order], received[order], fault[order].astype(np.int8), len(event) - int(np.count_nonzero(np.bincount(event))))
