"""The daily files beside the events: catalogue, customers and consents, as JSON records."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from dawnlist.columns import CONSENT_PURPOSES
from dawnlist.simulate.catalogue import Catalogue
from dawnlist.simulate.lines import CURRENCY, emails, user_ids
from dawnlist.simulate.people import Consents, People
from dawnlist.simulate.text import moment, moment_of
from dawnlist.simulate.words import COUNTRIES, DEPARTMENTS, FIRST_NAMES, LAST_NAMES
from dawnlist.simulate.world import DAY_MS, NEVER, Array, Rates, Window, chance

Records = Iterator[dict[str, Any]]
PREPARED_DAYS: Final = 3  # an item is in the catalogue, not yet available, this many days before its launch


def catalogue(goods: Catalogue, window: Window, day: int) -> Records:
    """The items as they are from the first moment of `day` on: all on the first day, those that changed on later ones."""
    now = window.start + day * DAY_MS
    is_in = goods.launched_at < now + PREPARED_DAYS * DAY_MS
    changed = is_in
    if day:
        was_in = goods.launched_at < now + (PREPARED_DAYS - 1) * DAY_MS
        price_changed = goods.price_cents[day] != goods.price_cents[day - 1]
        stock_changed = _in_stock(goods, window, day) != _in_stock(goods, window, day - 1)
        changed = is_in & (~was_in | price_changed | stock_changed | (goods.blocked_at == now))
    in_stock, updated_at = _in_stock(goods, window, day), moment_of(now)
    for item in np.flatnonzero(changed).tolist():
        cents = int(goods.price_cents[day, item])
        yield {
            "product_id": goods.ids[item],
            "title": goods.titles[item],
            "description": goods.texts[item],
            "category": DEPARTMENTS[goods.category[item]].name,
            "brand": goods.brands[item],
            "price": cents / 100 if cents else None,
            "currency": CURRENCY if cents else None,
            "launched_at": moment_of(int(goods.launched_at[item])),
            "available": bool(in_stock[item]),
            "blocked": bool(goods.blocked_at[item] <= now),
            "updated_at": updated_at,
        }


def _in_stock(goods: Catalogue, window: Window, day: int) -> Array:
    """Available on `day`: in stock, and launched by its end."""
    return np.asarray(goods.is_available[day] & (goods.launched_at < window.start + (day + 1) * DAY_MS))


class CustomerFiles:
    """The customers by the day on which they registered or changed; all who were there before are in the first day's file."""

    def __init__(self, people: People, window: Window, rates: Rates, seed: int) -> None:
        rng = chance(seed, "customers")
        self._people = people
        self._names = rng.integers(0, (len(FIRST_NAMES), len(LAST_NAMES)), (people.n_people, 2))
        customers = np.flatnonzero(people.registered_at < window.end)
        since = np.maximum(people.registered_at[customers], window.start)
        lasted = rng.exponential(1 / max(rates.customer_changes_per_day, 1e-12), len(customers)) * DAY_MS
        changes_at = since + np.minimum(lasted, NEVER / 4).astype(np.int64)
        moves = changes_at < window.end
        self._person = np.concatenate([customers, customers[moves]])
        self._updated_at = np.concatenate([people.registered_at[customers], changes_at[moves]])
        self._version = np.repeat([0, 1], [len(customers), int(moves.sum())])
        order = np.lexsort([self._person, self._updated_at])
        self._person, self._updated_at, self._version = self._person[order], self._updated_at[order], self._version[order]
        self._day = window.day_of(self._updated_at)

    def __call__(self, day: int) -> Records:
        rows = np.flatnonzero(self._day == day)
        person = self._person[rows]
        identifiers, addresses = user_ids(person).to_pylist(), emails(person, self._version[rows]).to_pylist()
        registered, updated = moment(self._people.registered_at[person]).to_pylist(), moment(self._updated_at[rows]).to_pylist()
        for row, number in enumerate(person.tolist()):
            country = COUNTRIES[self._people.country[number]]
            first, last = self._names[number]
            yield {
                "customer_id": identifiers[row],
                "email": addresses[row],
                "name": f"{FIRST_NAMES[first]} {LAST_NAMES[last]}",
                "country": country.code,
                "language": country.locale[:2],
                "birth_year": int(self._people.birth_year[number]),
                "registered_at": registered[row],
                "updated_at": updated[row],
            }


def consents(answers: Consents, window: Window, day: int) -> Records:
    """The answers of `day`; those of before the window are in the first day's file."""
    rows = np.flatnonzero(window.day_of(answers.changed_at) == day)
    identifiers, moments = user_ids(answers.person[rows]).to_pylist(), moment(answers.changed_at[rows]).to_pylist()
    for identifier, purpose, granted, changed_at in zip(identifiers, answers.purpose[rows], answers.is_granted[rows].tolist(), moments, strict=True):
        yield {"customer_id": identifier, "purpose": CONSENT_PURPOSES[purpose], "granted": granted, "changed_at": changed_at}
