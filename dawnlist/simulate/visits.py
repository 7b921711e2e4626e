"""Sessions: who visits when, on which device and cookie, and from which moment on the store knows who it is."""

from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np

from dawnlist.simulate.people import People
from dawnlist.simulate.words import COUNTRIES, REFERRERS
from dawnlist.simulate.world import DAY_MS, HOUR_MS, Array, Rates, Window, chance

WEEKDAYS: Final = np.array([1.02, 0.98, 0.97, 0.98, 0.93, 1.02, 1.10])  # Monday first; mean 1
HOURS: Final = np.array([6, 3, 2, 1, 1, 2, 5, 10, 16, 22, 26, 28, 30, 28, 26, 26, 28, 32, 38, 44, 48, 44, 30, 15])  # local time
ANNUAL_SWING: Final = 0.15  # more visits in midwinter, fewer in midsummer
CATEGORY_SWING: Final = 0.5  # each category has its own season
FROM_THE_START: Final = -1  # known_after of a session on a cookie that is logged in already
NOT_AT_ALL: Final = 1_000  # … of a session without a login


@dataclass(frozen=True)
class Visits:
    """Sessions by number. `at` is the first moment (ms, UTC); `category` what it looks for.

    `known_after`: the number of picks after which the visitor logs in, FROM_THE_START or NOT_AT_ALL. `registers`: that login is the
    registration. `bot` is 0 for people, 1 for bots that say so in their user agent, 2 for those that do not; bots have person -1.
    """

    person: Array
    at: Array
    device: Array
    cookie: Array
    category: Array
    referrer: Array
    known_after: Array
    registers: Array
    bot: Array

    def __len__(self) -> int:
        return len(self.at)

    def take(self, index: Array) -> "Visits":
        return Visits(*(getattr(self, field.name)[index] for field in fields(self)))


def concatenate(parts: list[Visits]) -> Visits:
    """The sessions of all parts, in order."""
    return Visits(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Visits)))


def later(visits: Visits, at: Array, referrer: str) -> Visits:
    """New sessions of the same visitors on the same cookies, who are as well known as they were."""
    number = [entry.type for entry in REFERRERS].index(referrer)
    known = np.where(visits.known_after == NOT_AT_ALL, NOT_AT_ALL, FROM_THE_START)
    return replace(visits, at=at, known_after=known, registers=np.zeros(len(at), np.bool_), referrer=np.full(len(at), number))


def draw(people: People, window: Window, rates: Rates, seed: int) -> Visits:
    """The sessions of all visitors within the window, by device and time. Counts are Poisson, by weekday, season and local hour."""
    rng = chance(seed, "visits")
    weights = day_weights(window)
    person = np.repeat(np.arange(people.n_people), rng.poisson(people.sessions_per_day * weights.sum()))
    at = window.start + _times(rng, people.country[person], weights)
    person, at = person[at >= people.arrives_at[person]], at[at >= people.arrives_at[person]]
    device = np.where((rng.random(len(at)) < 0.3) & (people.second_device[person] >= 0), people.second_device[person], person)
    order = np.lexsort([person, at, device])
    person, at, device = person[order], at[order], device[order]
    starts = np.concatenate([[True], device[1:] != device[:-1]])[: len(at)]
    cookie = np.cumsum(starts | (rng.random(len(at)) < rates.cookie_reset_share)) - 1
    registers = _registrations(rng, people, person, at)
    known_after = _logins(rng, people, person, at, cookie, registers, rates)
    category = _categories(rng, people, person, window.day_of(at), window)
    referrer = rng.choice(len(REFERRERS), len(at), p=[entry.share for entry in REFERRERS])
    return Visits(person, at, device, cookie, category, referrer, known_after, registers, np.zeros(len(at), np.int8))


def day_weights(window: Window) -> Array:
    """How busy each day of the window is; 1 = an average day."""
    days = np.arange(window.days)
    ordinal = window.first.toordinal() + days
    return np.asarray(WEEKDAYS[(window.first.weekday() + days) % 7] * (1 + ANNUAL_SWING * np.cos(2 * np.pi * ordinal / 365.25)))


def _times(rng: np.random.Generator, country: Array, weights: Array) -> Array:
    """Moments since the start of the window."""
    day = np.searchsorted(np.cumsum(weights) / weights.sum(), rng.random(len(country)), side="right").clip(0, len(weights) - 1)
    hour = rng.choice(24, len(country), p=HOURS / HOURS.sum())
    offset = np.array([country.offset for country in COUNTRIES])[country]
    return np.asarray(day * DAY_MS + (hour - offset) % 24 * HOUR_MS + rng.integers(0, HOUR_MS, len(country)))


def _registrations(rng: np.random.Generator, people: People, person: Array, at: Array) -> Array:
    """Of each visitor who registers within the window: one of the first three sessions."""
    order = np.lexsort([at, person])
    first = np.searchsorted(person[order], np.arange(people.n_people))
    count = np.bincount(person, minlength=people.n_people)
    which = first + (rng.random(people.n_people) * np.minimum(count, 3)).astype(np.int64)
    registers = np.zeros(len(at), np.bool_)
    registers[order[which[people.registers & (count > 0)]]] = True
    people.registered_at[person[registers]] = at[registers]
    return registers


def _logins(rng: np.random.Generator, people: People, person: Array, at: Array, cookie: Array, registers: Array, rates: Rates) -> Array:
    """`known_after` of each session: the first login on a (cookie, visitor) holds for all later sessions on it."""
    has_account = at > people.registered_at[person]
    logs_in = registers | (has_account & (rng.random(len(at)) < rates.login_share))
    order = np.lexsort([at, person, cookie])
    group = np.concatenate([[True], (cookie[order][1:] != cookie[order][:-1]) | (person[order][1:] != person[order][:-1])])[: len(at)]
    so_far: Array = np.cumsum(logs_in[order]) - logs_in[order]
    before = np.empty(len(at), np.int64)
    before[order] = so_far - np.maximum.accumulate(np.where(group, so_far, 0))
    step = rng.integers(0, 3, len(at))
    return np.where(before > 0, FROM_THE_START, np.where(logs_in, step, NOT_AT_ALL))


def _categories(rng: np.random.Generator, people: People, person: Array, day: Array, window: Window) -> Array:
    """What each session looks for: the visitor's affinity times the category's season."""
    n_categories = people.affinity.shape[1]
    phase = 2 * np.pi * ((window.first.toordinal() + np.arange(window.days))[:, None] / 365.25 + np.arange(n_categories) / n_categories)
    season = (1 + CATEGORY_SWING * np.cos(phase)).astype(np.float32)
    return choose(rng, people.affinity[person] * season[day])


def choose(rng: np.random.Generator, weights: Array) -> Array:
    """One column for each row, in proportion to its weights."""
    bounds = np.cumsum(weights, axis=1)
    return np.asarray(np.minimum((bounds < (rng.random(len(weights)) * bounds[:, -1])[:, None]).sum(axis=1), weights.shape[1] - 1))


def of_bots(n_people: int, first_cookie: int, category: int, window: Window, rates: Rates, seed: int) -> Visits:
    """The sessions of bots, at any hour; every third bot hides behind a browser's user agent."""
    rng = chance(seed, "bots")
    n_bots = max(1, round(n_people * rates.bots_per_visitor)) if rates.bots_per_visitor > 0 else 0
    bot = np.repeat(np.arange(n_bots), rng.poisson(rates.bot_sessions_per_day * window.days, n_bots))
    n = len(bot)
    return Visits(
        person=np.full(n, -1),
        at=window.start + rng.integers(0, window.end - window.start, n),
        device=2 * n_people + bot,
        cookie=first_cookie + bot,
        category=np.full(n, category),
        referrer=np.zeros(n, np.int64),
        known_after=np.full(n, NOT_AT_ALL),
        registers=np.zeros(n, np.bool_),
        bot=np.where(bot % 3 == 2, 2, 1).astype(np.int8),
    )
