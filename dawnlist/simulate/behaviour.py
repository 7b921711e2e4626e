"""What visitors do in a session: look at lists, search, open items, like, share, fill a cart, order, rate, buy again.

Events are drafted as columns with a sort key inside their session; `timed` gives them their moments.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from dawnlist.simulate import visits as visiting
from dawnlist.simulate.catalogue import Catalogue, Shelf
from dawnlist.simulate.people import People
from dawnlist.simulate.visits import FROM_THE_START, NOT_AT_ALL, Visits
from dawnlist.simulate.world import DAY_MS, NEVER, Array, Rates, Window

KINDS: Final = (
    "page",
    "identify",
    "Products Searched",
    "Product List Viewed",
    "Product Clicked",
    "Product Viewed",
    "Article Read",
    "Product Added to Wishlist",
    "Product Shared",
    "Article Commented",
    "Product Added",
    "Product Removed",
    "Order Completed",
    "Order Refunded",
    "Product Reviewed",
)
(PAGE, IDENTIFY, SEARCH, LIST, CLICK, VIEW, READ, LIKE, SHARE, COMMENT, ADD, REMOVE, ORDER, REFUND, REVIEW) = range(len(KINDS))

LIST_LENGTH: Final = 4
MEAN_PICKS: Final = 3.4
MAX_PICKS: Final = 40
CHOICES: Final = 8  # items that a visitor weighs for each pick
TASTE: Final = 1.6  # weight of the taste for an item in that choice, against Gumbel noise of scale 1
NOVELTY: Final = 1.0  # … of a launch; it fades with a week
STRAYS: Final = 0.2  # picks outside the session's category
LIST_SHARE, SEARCH_SHARE, CLICK_SHARE = 0.5, 0.18, 0.45
LIKE_SHARE, SHARE_SHARE, COMMENT_SHARE, REMOVE_SHARE = 0.04, 0.012, 0.05, 0.12
CART_BIAS: Final = -2.2  # log-odds of adding an item that one is indifferent to
BOT_PICKS: Final = 60
STEPS: Final = 16  # sort keys of one pick; pick j has keys (j + 1) * STEPS + the event's kind
# The columns of a draft and what they hold where nothing is given. `amount`: dwell seconds, rating, position, noun or category, by kind.
DEFAULTS: Final = {"kind": -1, "session": -1, "key": 0, "item": -1, "quantity": 0, "amount": 0, "order": -1, "list_id": -1}


@dataclass
class Draft:
    """Columns of events without moments, and the lines of those that have several: `list_id` numbers a list, -1 for none."""

    columns: dict[str, list[Array]] = field(default_factory=lambda: {name: [] for name in DEFAULTS})
    list_sizes: list[Array] = field(default_factory=list)
    line_items: list[Array] = field(default_factory=list)
    line_quantities: list[Array] = field(default_factory=list)
    n_lists: int = 0
    n_orders: int = 0

    def add(self, kind: int | Array, session: Array, key: int | Array, **columns: Array) -> None:
        """Add one event for each element of `session`; columns that are not given have their default."""
        given = {"kind": kind, "session": session, "key": key} | columns
        for name, default in DEFAULTS.items():
            self.columns[name].append(np.broadcast_to(np.asarray(given.get(name, default), np.int64), len(session)))

    def add_lists(self, sizes: Array, items: Array, quantities: Array) -> Array:
        """Add lists, line by line, and return their numbers."""
        self.list_sizes.append(sizes)
        self.line_items.append(items)
        self.line_quantities.append(quantities)
        self.n_lists += len(sizes)
        return np.arange(self.n_lists - len(sizes), self.n_lists)


@dataclass(frozen=True)
class Picks:
    """Items that are opened, in order of session and `position` (0-based). `utility` is the visitor's taste for the item."""

    session: Array
    position: Array
    item: Array
    utility: Array

    def where(self, mask: Array) -> "Picks":
        return Picks(self.session[mask], self.position[mask], self.item[mask], self.utility[mask])

    def key(self, kind: int | Array) -> Array:
        return np.asarray((self.position + 1) * STEPS + kind)


def pick(rng: np.random.Generator, visits: Visits, people: People, goods: Catalogue, window: Window, rates: Rates) -> Picks:
    """What each session opens: the best of a few popular items of a category, by taste, novelty and chance; now and then an earlier pick."""
    counts = np.minimum(rng.geometric(1 / MEAN_PICKS, len(visits)), MAX_PICKS)
    session = np.repeat(np.arange(len(visits)), counts)
    position = np.arange(len(session)) - np.repeat(np.cumsum(counts) - counts, counts)
    person = visits.person[session]
    strays = rng.random(len(session)) < STRAYS
    category = visits.category[session].copy()
    category[strays] = visiting.choose(rng, people.affinity[person[strays]])
    item = _best(rng, people.tastes, person, category, visits.at[session], goods, window)
    item = _revisited(rng, person, visits.at[session], position, item, goods, rates)
    return Picks(session, position, item, taste(people.tastes, person, goods, item))


def taste(tastes: Array, person: Array, goods: Catalogue, item: Array) -> Array:
    """How much each person likes the item beyond its category: about standard normal, rounded so that it can be ranked by."""
    return np.asarray(np.round(np.einsum("nk,nk->n", tastes[person], goods.vectors[item]), 5))


def _best(rng: np.random.Generator, tastes: Array, person: Array, category: Array, at: Array, goods: Catalogue, window: Window) -> Array:
    """The best of CHOICES draws; the category's anchor, where none of them can be seen at that moment."""
    shelf, day = Shelf(goods), window.day_of(at)
    best, best_score = category.astype(np.int32), np.full(len(person), -np.inf, np.float32)  # item c is the anchor of category c
    for _ in range(CHOICES):
        item = shelf.draw(rng, category)
        age = (at - goods.launched_at[item]) / DAY_MS
        score = TASTE * taste(tastes, person, goods, item) + NOVELTY * np.exp(-np.maximum(age, 0) / 7) + rng.gumbel(size=len(item))
        score = np.where(goods.is_available[day, item], score, score - 2)
        is_better = (score > best_score) & goods.is_shown(item, at)
        best, best_score = np.where(is_better, item, best), np.where(is_better, score, best_score)
    return best


def _revisited(rng: np.random.Generator, person: Array, at: Array, position: Array, item: Array, goods: Catalogue, rates: Rates) -> Array:
    """Some picks return to an item that the same person has picked before, unless it has been blocked since."""
    order = np.lexsort([position, at, person])
    ranked = item[order]
    first = np.searchsorted(person[order], person[order])
    rank = np.arange(len(order)) - first
    earlier = first + (rng.random(len(order)) * rank).astype(np.int64)
    returns = (rng.random(len(order)) < rates.revisit_share) & (rank > 0)
    returns &= ~returns[earlier] & goods.is_shown(ranked[earlier], at[order])  # only to a pick that stands
    result = item.copy()
    result[order[returns]] = ranked[earlier[returns]]
    return result


def browse(draft: Draft, rng: np.random.Generator, visits: Visits, base: int, picks: Picks, goods: Catalogue) -> None:
    """Draft pages, logins, searches, lists and what is done with the single items."""
    sessions = np.arange(len(visits))
    draft.add(PAGE, base + sessions, 0)
    logs_in = (visits.known_after != FROM_THE_START) & (visits.known_after != NOT_AT_ALL)
    draft.add(IDENTIFY, base + sessions[logs_in], login_key(visits)[logs_in])
    first = picks.item[np.searchsorted(picks.session, sessions)]
    searches = rng.random(len(visits)) < SEARCH_SHARE
    draft.add(SEARCH, base + sessions[searches], 1, amount=goods.noun[first[searches]])
    lists = np.flatnonzero(rng.random(len(visits)) < LIST_SHARE)
    _lists(draft, rng, lists, base, visits, first, goods)
    _look(draft, rng, base, picks, np.isin(picks.session, lists), goods)


def login_key(visits: Visits) -> Array:
    """The sort key from which on a session's events carry the user id; that of the login itself, where there is one."""
    login = (visits.known_after + 1) * STEPS + STEPS - 1
    return np.where(visits.known_after == FROM_THE_START, -1, np.where(visits.known_after == NOT_AT_ALL, NEVER, login))


def _lists(draft: Draft, rng: np.random.Generator, lists: Array, base: int, visits: Visits, first: Array, goods: Catalogue) -> None:
    """A list shows up to LIST_LENGTH items: the first pick and popular ones of the session's category, most popular first."""
    shelf, category = Shelf(goods), visits.category[lists]
    lines = shelf.draw(rng, np.repeat(category, LIST_LENGTH)).reshape(-1, LIST_LENGTH)
    lines = np.where(goods.is_shown(lines, visits.at[lists][:, None]), lines, category[:, None])  # else the category's anchor
    lines[:, 0] = first[lists]
    owner, item = np.divmod(np.unique(np.arange(len(lists))[:, None] * goods.n_items + lines), goods.n_items)  # items are numbered by popularity
    numbers = draft.add_lists(np.bincount(owner, minlength=len(lists)), item, np.zeros(len(item), np.int64))
    draft.add(LIST, base + lists, 2, list_id=numbers, amount=category)


def _look(draft: Draft, rng: np.random.Generator, base: int, picks: Picks, has_list: Array, goods: Catalogue) -> None:
    is_article = goods.is_article[picks.item]
    dwell = np.exp(3.6 + 0.5 * picks.utility + 0.6 * rng.standard_normal(len(picks.item))).astype(np.int64) + 3
    chances = rng.random((4, len(picks.item)))
    parts = (
        (CLICK, has_list & (chances[0] < CLICK_SHARE)),
        (VIEW, ~is_article),
        (READ, is_article),
        (LIKE, ~is_article & (chances[1] < LIKE_SHARE * np.exp(0.7 * picks.utility))),
        (SHARE, chances[2] < SHARE_SHARE * np.exp(0.5 * picks.utility)),
        (COMMENT, is_article & (chances[3] < COMMENT_SHARE)),
    )
    for kind, mask in parts:
        some = picks.where(mask)
        draft.add(kind, base + some.session, some.key(kind), item=some.item, amount=dwell[mask] if kind == READ else some.position)


@dataclass(frozen=True)
class Orders:
    """Orders by number, beginning with the draft's first: their session (within the pass), and their lines in order."""

    session: Array
    sizes: Array
    items: Array


def buy(
    draft: Draft, rng: np.random.Generator, visits: Visits, base: int, picks: Picks, goods: Catalogue, window: Window, rates: Rates, *, always: bool = False
) -> Orders:
    """Draft carts and orders. `always`: every pick that is in stock is put into the cart and bought."""
    odds = 1 / (1 + np.exp(-(CART_BIAS + 0.8 * picks.utility)))
    can_buy = ~goods.is_article[picks.item] & goods.is_available[window.day_of(visits.at[picks.session]), picks.item]
    cart = picks.where(can_buy & (always | (rng.random(len(odds)) < odds)))
    quantity = np.minimum(rng.geometric(0.8, len(cart.item)), 5)
    draft.add(ADD, base + cart.session, cart.key(ADD), item=cart.item, quantity=quantity)
    removed = (rng.random(len(cart.item)) < REMOVE_SHARE) & (not always)
    gone = cart.where(removed)
    draft.add(REMOVE, base + gone.session, gone.key(REMOVE), item=gone.item, quantity=quantity[removed])
    share = np.where(visits.known_after == NOT_AT_ALL, rates.guest_buy_share, rates.buy_share)
    buys = always | (rng.random(len(visits)) < share)
    kept = ~removed & buys[cart.session]
    return _order(draft, base, cart.where(kept), quantity[kept], goods)


def _order(draft: Draft, base: int, cart: Picks, quantity: Array, goods: Catalogue) -> Orders:
    """One order a session, one line an item."""
    _, first = np.unique(cart.session * goods.n_items + cart.item, return_index=True)
    lines, quantity = cart.where(first), quantity[first]
    session, sizes = np.unique(lines.session, return_counts=True)
    numbers = draft.add_lists(sizes, lines.item, quantity)
    orders = draft.n_orders + np.arange(len(session))
    draft.n_orders += len(session)
    draft.add(ORDER, base + session, (MAX_PICKS + 2) * STEPS, order=orders, list_id=numbers)
    return Orders(session, sizes, lines.item)


def buy_again(rng: np.random.Generator, visits: Visits, orders: Orders, goods: Catalogue, window: Window, rates: Rates) -> tuple[Visits, Picks]:
    """New sessions in which consumable goods of `orders` are bought again, and their one pick each."""
    session = np.repeat(orders.session, orders.sizes)
    chosen = goods.is_consumable[orders.items] & (rng.random(len(session)) < rates.repeat_purchase_share)
    at = visits.at[session] + rng.integers(4 * DAY_MS, 12 * DAY_MS, len(session))
    chosen &= (at < window.end) & goods.is_shown(orders.items, at)
    again = visiting.later(visits.take(session[chosen]), at[chosen], "email")
    n = len(again)
    return again, Picks(np.arange(n), np.zeros(n, np.int64), orders.items[chosen], np.zeros(n, np.float32))


def review(draft: Draft, rng: np.random.Generator, visits: Visits, orders: Orders, base: int, people: People, goods: Catalogue, rates: Rates) -> Visits:
    """New sessions in which the first item of an order is rated, 1 to 5."""
    item = orders.items[np.cumsum(orders.sizes) - orders.sizes]
    at = visits.at[orders.session] + rng.integers(2 * DAY_MS, 8 * DAY_MS, len(item))
    chosen = (rng.random(len(item)) < rates.review_share) & goods.is_shown(item, at)
    session, item, at = orders.session[chosen], item[chosen], at[chosen]
    liking = taste(people.tastes, visits.person[session], goods, item)
    rating = np.clip(np.round(3.9 + 0.6 * liking + 0.7 * rng.standard_normal(len(item))), 1, 5).astype(np.int64)
    numbers = base + np.arange(len(session))
    draft.add(PAGE, numbers, 0)
    draft.add(REVIEW, numbers, 1, item=item, amount=rating)
    return visiting.later(visits.take(session), at, "email")


def crawl(draft: Draft, rng: np.random.Generator, visits: Visits, base: int, goods: Catalogue, window: Window) -> None:
    """Draft what bots do: they view goods that are there on all days of the window, without preference."""
    known = np.flatnonzero((goods.launched_at < window.start) & (goods.blocked_at >= window.end) & ~goods.is_article)
    session = np.repeat(np.arange(len(visits)), BOT_PICKS)
    draft.add(VIEW, base + session, np.tile(np.arange(BOT_PICKS), len(visits)), item=known[rng.integers(0, len(known), len(session))])
