"""The JSON lines of events, in the shape that customer-data platforms emit: Segment's track, page and identify calls.

https://segment.com/docs/connections/spec/ecommerce/v2/ has the events' names and properties. Each piece of a line is one Arrow
column, and a line is their concatenation: a million lines take seconds, in the given order, whatever the number of threads.
"""

import json
from collections.abc import Callable
from functools import cached_property
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dawnlist.simulate import behaviour as kinds
from dawnlist.simulate.behaviour import KINDS
from dawnlist.simulate.catalogue import Catalogue
from dawnlist.simulate.events import BAD_TIMESTAMP, TRUNCATED, Events, Landed
from dawnlist.simulate.people import People
from dawnlist.simulate.text import hexadecimal, integer, join, moment, money, uuid
from dawnlist.simulate.visits import Visits
from dawnlist.simulate.words import BOT_PROFILES, COUNTRIES, DEPARTMENTS, PROFILES, REFERRERS, SHARE_CHANNELS, Country, Profile, Referrer
from dawnlist.simulate.world import Array, Window, chance

SITE: Final = "https://shop.example"
CURRENCY: Final = "EUR"
SERVER_CONTEXT: Final = '"library":{"name":"analytics-python","version":"2.3.4"}'
NO_DATE: Final = "2026-02-31T25:61:00"  # what a broken client sends as a timestamp
BOT_COUNTRY: Final = [country.code for country in COUNTRIES].index("US")
HIDDEN_BOT_PROFILE: Final = 2


class Writer:
    """Makes the JSON lines of any stretch of the landed lines. Holds what they refer to; changes nothing, so threads may share it."""

    def __init__(self, people: People, goods: Catalogue, visits: Visits, events: Events, landed: Landed, window: Window, seed: int) -> None:
        rng = chance(seed, "identifiers")
        self._people, self._goods, self._visits, self._events, self._landed = people, goods, visits, events, landed
        self._price_day = window.day_of(visits.at)
        self._message_ids = rng.integers(0, 256, (len(events), 16), dtype=np.uint8)
        self._session_ids = rng.integers(0, 256, (len(visits), 8), dtype=np.uint8)
        self.anonymous_ids = rng.integers(0, 256, (int(visits.cookie.max(initial=-1)) + 1, 16), dtype=np.uint8)
        self._heads = pa.array([f'{{"type":"{kind}"' if kind.islower() else f'{{"type":"track","event":"{kind}"' for kind in KINDS])

    def lines(self, start: int, stop: int) -> pa.StringArray:
        """Lines `start` to `stop` (excluded) of the landed lines, each with its line end."""
        row = self._landed.event[start:stop]
        kind = self._events.kind[row]
        fault = self._landed.fault[start:stop]
        whole = join(
            self._heads.take(pa.array(kind)),
            ',"messageId":"',
            uuid(self._message_ids[row]),
            *self._who(row),
            ',"timestamp":"',
            _broken(moment(self._events.at[row]), fault == BAD_TIMESTAMP),
            '","sentAt":"',
            moment(self._landed.sent_at[start:stop]),
            '","receivedAt":"',
            moment(self._landed.received_at[start:stop]),
            '","context":{',
            self._context(row),
            '},"properties":{',
            self._by_kind(row, kind),
            "}}\n",
        )
        return _cut(whole, np.flatnonzero(fault == TRUNCATED), start)

    def _who(self, row: Array) -> tuple[Any, ...]:
        """A known visitor's lines carry both ids; what the shop's server sends about a known one has no anonymous id."""
        session, known = self._events.session[row], self._events.is_known[row]
        anonymous = join('"', uuid(self.anonymous_ids[self._visits.cookie[session]]), '"')
        is_server = pa.array(known & (self._events.kind[row] == kinds.REFUND))
        user = join('"', user_ids(self._visits.person[session]), '"')
        return '","anonymousId":', pc.if_else(is_server, "null", anonymous), ',"userId":', pc.if_else(pa.array(known), user, "null")

    def _context(self, row: Array) -> pa.StringArray:
        session = self._events.session[row]
        device, person = self._visits.device[session], self._visits.person[session]
        country = np.where(person < 0, BOT_COUNTRY, self._people.country[person])
        address = (device * 2_654_435_761) % (1 << 17)  # 198.18.0.0/15 is set apart for tests (RFC 2544)
        context = join(
            self._profiles.take(pa.array(self._profile(device, self._visits.bot[session]))),
            ',"ip":"198.',
            integer(18 + (address >> 16)),
            ".",
            integer(address >> 8 & 255),
            ".",
            integer(address & 255),
            '",',
            self._countries.take(pa.array(country)),
            self._referrers.take(pa.array(self._visits.referrer[session])),
            ',"sessionId":"',
            hexadecimal(self._session_ids[session]),
            '","page":{',
            self._pages.take(pa.array(self._page(row, session))),
            "}",
        )
        return pc.if_else(pa.array(self._events.kind[row] == kinds.REFUND), SERVER_CONTEXT, context)

    def _profile(self, device: Array, bot: Array) -> Array:
        own = self._people.profile[np.minimum(device, len(self._people.profile) - 1)]
        return np.where(bot == 0, own, np.where(bot == 1, len(PROFILES) + device % len(BOT_PROFILES), HIDDEN_BOT_PROFILE))

    def _page(self, row: Array, session: Array) -> Array:
        """The number of the page that an event happens on: its item's, else the category's."""
        item = self._events.item[row]
        return np.where(item >= 0, item, self._goods.n_items + self._visits.category[session])

    def _by_kind(self, row: Array, kind: Array) -> pa.StringArray:
        """The properties of each event."""
        order = np.argsort(kind, kind="stable")
        present, starts = np.unique(kind[order], return_index=True)
        groups = np.split(row[order], starts[1:])
        parts = [self._properties[number](group) for number, group in zip(present.tolist(), groups, strict=True)]
        return pa.concat_arrays(parts or [pa.array([], pa.string())]).take(pa.array(np.argsort(order, kind="stable")))

    @cached_property
    def _properties(self) -> dict[int, Callable[[Array], pa.StringArray]]:
        priced = self._priced
        events = self._events
        return {
            kinds.PAGE: lambda row: self._pages.take(pa.array(self._page(row, events.session[row]))),
            kinds.IDENTIFY: lambda row: join('"method":"password","email":"', emails(self._visits.person[events.session[row]], 0), '"'),
            kinds.SEARCH: lambda row: join('"query":"', self._queries.take(pa.array(events.amount[row])), '"'),
            kinds.LIST: lambda row: join(self._list_heads.take(pa.array(events.amount[row])), ',"products":[', self._products(row, "position"), "]"),
            kinds.CLICK: lambda row: join(priced(row), ',"position":', integer(events.amount[row] + 1)),
            kinds.VIEW: priced,
            kinds.READ: lambda row: join(self._article(row), ',"dwell_seconds":', integer(events.amount[row])),
            kinds.LIKE: lambda row: join(priced(row), ',"wishlist_name":"Favourites"'),
            kinds.SHARE: lambda row: join(priced(row), ',"share_via":"', self._channels.take(pa.array(events.item[row] % len(SHARE_CHANNELS))), '"'),
            kinds.COMMENT: lambda row: join(self._article(row), ',"comment":"Thank you, that was helpful."'),
            kinds.ADD: lambda row: join(priced(row), ',"quantity":', integer(events.quantity[row])),
            kinds.REMOVE: lambda row: join(priced(row), ',"quantity":', integer(events.quantity[row])),
            kinds.ORDER: self._order,
            kinds.REFUND: self._order,
            kinds.REVIEW: lambda row: join(self._items.take(pa.array(events.item[row])), ',"rating":', integer(events.amount[row])),
        }

    def _priced(self, row: Array) -> pa.StringArray:
        item = self._events.item[row]
        cents = self._goods.price_cents[self._price_day[self._events.session[row]], item]
        return join(self._items.take(pa.array(item)), ',"price":', _price(cents), f',"currency":"{CURRENCY}"')

    def _article(self, row: Array) -> pa.StringArray:
        return self._articles.take(pa.array(self._events.item[row]))

    def _order(self, row: Array) -> pa.StringArray:
        _, owner, cents, quantity = self._list_lines(row)
        total = np.zeros(len(row), np.int64)
        np.add.at(total, owner, cents.astype(np.int64) * quantity)
        number = join('"order_id":"O', integer(self._events.order[row] + 1, 8), '","total":', money(total))
        return join(number, f',"currency":"{CURRENCY}","products":[', self._products(row, "quantity"), "]")

    def _list_lines(self, row: Array) -> tuple[Array, Array, Array, Array]:
        """Of the lists of `row`, line by line: line number, which of `row` it belongs to, price in cents, quantity."""
        events = self._events
        lists = events.list_id[row]
        sizes = events.list_starts[lists + 1] - events.list_starts[lists]
        owner = np.repeat(np.arange(len(row)), sizes)
        line = np.arange(len(owner)) - np.repeat(np.cumsum(sizes) - sizes, sizes) + events.list_starts[lists][owner]
        cents = self._goods.price_cents[self._price_day[events.session[row][owner]], events.line_items[line]]
        return line, owner, cents, events.line_quantities[line]

    def _products(self, row: Array, detail: str) -> pa.StringArray:
        """The lines of each list as JSON objects; `detail` is their position (1 = first) or their quantity."""
        line, owner, cents, quantity = self._list_lines(row)
        sizes = np.bincount(owner, minlength=len(row))
        ends = np.cumsum(sizes)
        number = quantity if detail == "quantity" else np.arange(len(line)) - (ends - sizes)[owner] + 1
        objects = join("{", self._items.take(pa.array(self._events.line_items[line])), ',"price":', _price(cents), f',"{detail}":', integer(number), "}")
        offsets = pa.array(np.concatenate([[0], ends]).astype(np.int32))
        return pc.binary_join(pa.ListArray.from_arrays(offsets, objects), ",")

    @cached_property
    def _items(self) -> pa.StringArray:
        goods = self._goods
        entries = zip(goods.ids, goods.titles, goods.brands, goods.category.tolist(), strict=True)
        return pa.array([_inside({"product_id": i, "name": title, "brand": brand, "category": DEPARTMENTS[c].name}) for i, title, brand, c in entries])

    @cached_property
    def _articles(self) -> pa.StringArray:
        entries = zip(self._goods.ids, self._goods.titles, self._goods.category.tolist(), strict=True)
        return pa.array([_inside({"article_id": i, "title": title, "category": DEPARTMENTS[c].name}) for i, title, c in entries])

    @cached_property
    def _pages(self) -> pa.StringArray:
        pages = [(f"/{'journal' if name[0] == 'A' else 'products'}/{name}", title) for name, title in zip(self._goods.ids, self._goods.titles, strict=True)]
        pages += [(f"/c/{slug(department.name)}", department.name) for department in DEPARTMENTS]
        return pa.array([_inside({"path": path, "url": SITE + path, "title": title}) for path, title in pages])

    @cached_property
    def _profiles(self) -> pa.StringArray:
        return pa.array([_profile_context(profile) for profile in (*PROFILES, *BOT_PROFILES)])

    @cached_property
    def _countries(self) -> pa.StringArray:
        return pa.array([_country_context(country) for country in COUNTRIES])

    @cached_property
    def _referrers(self) -> pa.StringArray:
        return pa.array([_referrer_context(referrer) for referrer in REFERRERS])

    @cached_property
    def _queries(self) -> pa.StringArray:
        return pa.array([noun.lower() for department in DEPARTMENTS for noun in department.nouns])

    @cached_property
    def _list_heads(self) -> pa.StringArray:
        return pa.array([_inside({"list_id": f"category-{slug(department.name)}", "category": department.name}) for department in DEPARTMENTS])

    @cached_property
    def _channels(self) -> pa.StringArray:
        return pa.array(list(SHARE_CHANNELS))


def user_ids(person: Array) -> pa.StringArray:
    """The raw customer ids: U and seven digits."""
    return join("U", integer(np.maximum(person, -1) + 1, 7))


def emails(person: Array, version: int | Array) -> pa.StringArray:
    """E-mail addresses in a domain that is nobody's (RFC 2606)."""
    return join("customer", integer(person + 1), "+", integer(np.broadcast_to(np.asarray(version), len(person))), "@example.com")


def slug(name: str) -> str:
    """A category's name as it stands in addresses."""
    return name.lower().replace(" & ", "-and-").replace(" ", "-")


def _inside(document: dict[str, Any]) -> str:
    """A JSON object without its braces."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))[1:-1]


def _profile_context(profile: Profile) -> str:
    library = {"name": "analytics.js", "version": "2.11.1"}
    device, system = {"type": profile.device}, {"name": profile.os, "version": profile.os_version}
    return _inside({"library": library, "userAgent": profile.user_agent, "device": device, "os": system})


def _country_context(country: Country) -> str:
    return _inside({"locale": country.locale, "timezone": country.timezone, "location": {"country": country.code}})


def _referrer_context(referrer: Referrer) -> str:
    """With a comma before it. Sessions without a campaign have none in their context."""
    context: dict[str, Any] = {"referrer": {"type": referrer.type, "name": referrer.name}}
    if referrer.campaign:
        context["campaign"] = {"name": referrer.campaign, "source": referrer.name, "medium": referrer.medium}
    return "," + _inside(context)


def _price(cents: Array) -> pa.StringArray:
    """Articles have no price."""
    return pc.if_else(pa.array(cents > 0), money(cents), "null")


def _broken(moments: pa.StringArray, is_broken: Array) -> pa.StringArray:
    return pc.if_else(pa.array(is_broken), NO_DATE, moments) if is_broken.any() else moments


def _cut(lines: pa.StringArray, places: Array, start: int) -> pa.StringArray:
    """Cut the lines at `places` somewhere between a fifth and four fifths, so that they are no JSON."""
    if not len(places):
        return lines
    mask = np.zeros(len(lines), np.bool_)
    mask[places] = True
    whole = lines.take(pa.array(places)).to_pylist()
    halves = [line[: len(line) * (20 + (start + place) * 7 % 60) // 100] + "\n" for place, line in zip(places.tolist(), whole, strict=True)]
    return pc.replace_with_mask(lines, pa.array(mask), pa.array(halves))
