"""The visitors: latent tastes, countries, devices, accounts and consents."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from dawnlist.columns import CONSENT_PURPOSES
from dawnlist.simulate.catalogue import FACTORS, Catalogue
from dawnlist.simulate.words import COUNTRIES, PROFILES
from dawnlist.simulate.world import DAY_MS, NEVER, SECOND_MS, Array, Rates, Window, chance

TASTE_SHARPNESS: Final = 2.2  # of the choice between categories; 0 = everybody likes all of them
ACTIVITY_SHAPE: Final = 0.9  # of the gamma law of sessions a day
SECOND_DEVICE_SHARE: Final = 0.35


@dataclass
class People:
    """Visitors by number, 0 to n - 1. Device d below n is the main device of visitor d; n + d is the second one.

    `second_device` is -1 for visitors with one device, and somebody else's main device for those who share.
    `registered_at` is a moment (ms, UTC), NEVER without an account; `registers` marks those who register within the window,
    whose moment is only known once their sessions are.
    """

    tastes: Array
    affinity: Array
    country: Array
    birth_year: Array
    sessions_per_day: Array
    arrives_at: Array
    second_device: Array
    profile: Array
    registered_at: Array
    registers: Array

    @property
    def n_people(self) -> int:
        return len(self.tastes)


def make(users: int, catalogue: Catalogue, window: Window, rates: Rates, seed: int) -> People:
    """`users` visitors. `affinity` is the share of each category in what the visitor looks for; a country has a taste of its own, too."""
    rng = chance(seed, "people")
    tastes = rng.standard_normal((users, FACTORS)).astype(np.float32)
    country = rng.choice(len(COUNTRIES), users, p=[country.share for country in COUNTRIES]).astype(np.int16)
    arrives_at = np.where(rng.random(users) < rates.new_visitor_share, window.start + rng.integers(0, window.days, users) * DAY_MS, window.start)
    was_there = arrives_at == window.start
    is_registered = was_there & (rng.random(users) < rates.registered_share)
    return People(
        tastes=tastes,
        affinity=_affinity(rng, tastes, country, catalogue),
        country=country,
        birth_year=rng.integers(1945, 2006, users),
        sessions_per_day=rng.gamma(ACTIVITY_SHAPE, rates.sessions_per_day / ACTIVITY_SHAPE, users),
        arrives_at=arrives_at,
        second_device=_second_devices(rng, users, rates),
        profile=rng.choice(len(PROFILES), 2 * users, p=[profile.share for profile in PROFILES]).astype(np.int16),
        registered_at=np.where(is_registered, window.start - rng.integers(DAY_MS // SECOND_MS, 400 * DAY_MS // SECOND_MS, users) * SECOND_MS, NEVER),
        registers=~is_registered & (rng.random(users) < rates.registering_share),
    )


def _affinity(rng: np.random.Generator, tastes: Array, country: Array, catalogue: Catalogue) -> Array:
    customs = 0.6 * rng.standard_normal((len(COUNTRIES), catalogue.n_categories))
    fashion = 0.4 * rng.standard_normal(catalogue.n_categories)
    likes = np.einsum("uk,ck->uc", tastes, catalogue.category_vectors)
    weights = np.exp(TASTE_SHARPNESS * likes + customs[country] + fashion)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def _second_devices(rng: np.random.Generator, users: int, rates: Rates) -> Array:
    own = np.where(rng.random(users) < SECOND_DEVICE_SHARE, np.arange(users) + users, -1)
    return np.where(rng.random(users) < rates.shared_device_share, rng.integers(0, users, users), own)


@dataclass(frozen=True)
class Consents:
    """Answers in order of time: customer, purpose (its number in CONSENT_PURPOSES), whether granted, and when."""

    person: Array
    purpose: Array
    is_granted: Array
    changed_at: Array
    is_withdrawal: Array


def consents(people: People, window: Window, rates: Rates, seed: int) -> Consents:
    """Every customer answers for every purpose within ten minutes of registering; some withdraw on a later day of the window."""
    rng = chance(seed, "consents")
    shares = np.array([rates.personalisation_share, rates.analytics_share, rates.marketing_share])
    customers = np.flatnonzero(people.registered_at < window.end)
    person, purpose = np.repeat(customers, len(CONSENT_PURPOSES)), np.tile(np.arange(len(CONSENT_PURPOSES)), len(customers))
    granted = rng.random(len(person)) < shares[purpose]
    answered_at = people.registered_at[person] + rng.integers(5, 600, len(person)) * SECOND_MS
    lasted = np.ceil(rng.exponential(1.0, len(person)) / max(rates.withdrawals_per_day, 1e-12) * DAY_MS)
    withdrawn_at = np.minimum(np.maximum(answered_at, window.start) + np.minimum(lasted, 1e15), NEVER / 2).astype(np.int64)
    withdraws = granted & (withdrawn_at < window.end)
    moments = np.concatenate([answered_at, withdrawn_at[withdraws]])
    people_, purposes = np.concatenate([person, person[withdraws]]), np.concatenate([purpose, purpose[withdraws]])
    is_withdrawal = np.arange(len(moments)) >= len(person)
    order = np.lexsort([purposes, people_, moments])
    order = order[moments[order] < window.end]
    is_granted = np.concatenate([granted, np.zeros(int(withdraws.sum()), np.bool_)])
    return Consents(people_[order], purposes[order], is_granted[order], moments[order], is_withdrawal[order])
