"""The goods: titles and texts that people can read, prices, launches, stock, and the latent vectors that tastes act on."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from dawnlist.simulate.words import ARTICLES, BRANDS, DEPARTMENTS, JOURNAL, NOUNS_PER_DEPARTMENT
from dawnlist.simulate.world import DAY_MS, HOUR_MS, NEVER, Array, Rates, Window, chance

FACTORS: Final = 8
ARTICLE_SHARE: Final = 0.08
ZIPF_EXPONENT: Final = 0.7  # popularity within a category falls with its rank to this power
LAUNCH_HOUR: Final = 8


@dataclass(frozen=True)
class Catalogue:
    """Items by number, 0 to n - 1. `price_cents` and `is_available` have one row a day of the window.

    `launched_at` and `blocked_at` are moments (ms, UTC); an item that is never blocked has NEVER. Articles have price 0.
    The first item of each category is its anchor: goods that were launched long ago, never blocked and never out of stock.
    """

    ids: list[str]
    titles: list[str]
    texts: list[str]
    brands: list[str]
    category: Array
    noun: Array
    is_article: Array
    vectors: Array
    category_vectors: Array
    popularity: Array
    launched_at: Array
    blocked_at: Array
    price_cents: Array
    is_available: Array

    @property
    def n_items(self) -> int:
        return len(self.ids)

    @property
    def n_categories(self) -> int:
        return len(self.category_vectors)

    def is_shown(self, item: Array, at: Array) -> Array:
        """Whether the shop shows each item at its moment: launched, and not blocked."""
        return np.asarray((self.launched_at[item] <= at) & (at < self.blocked_at[item]))

    @property
    def is_consumable(self) -> Array:
        return np.array([department.is_consumable for department in DEPARTMENTS])[self.category] & ~self.is_article


def make(items: int, window: Window, rates: Rates, seed: int) -> Catalogue:
    """`items` items; item i belongs to category i modulo the number of categories."""
    rng = chance(seed, "catalogue")
    n_categories = min(len(DEPARTMENTS), items)
    category = (np.arange(items) % n_categories).astype(np.int16)
    is_anchor = np.arange(items) < n_categories
    noun = category * NOUNS_PER_DEPARTMENT + rng.integers(0, NOUNS_PER_DEPARTMENT, items)
    is_article = (rng.random(items) < ARTICLE_SHARE) & ~is_anchor
    titles, texts, brands = _wording(rng, category, noun, is_article)
    launched_at = _launches(rng, is_anchor, window, rates)
    return Catalogue(
        ids=[f"{'A' if article else 'P'}{number:06d}" for number, article in enumerate(is_article.tolist(), start=1)],
        titles=titles,
        texts=texts,
        brands=brands,
        category=category,
        noun=noun,
        is_article=is_article,
        vectors=_vectors(rng, noun),
        category_vectors=(rng.standard_normal((n_categories, FACTORS)) / np.sqrt(FACTORS)).astype(np.float32),
        popularity=(1.0 + np.arange(items) // n_categories) ** -ZIPF_EXPONENT,
        launched_at=launched_at,
        blocked_at=_blocks(rng, is_anchor, window, rates),
        price_cents=_prices(rng, category, is_article, window, rates),
        is_available=_stock(rng, is_anchor | is_article, window, rates),
    )


def _vectors(rng: np.random.Generator, noun: Array) -> Array:
    """Half of what makes an item liked it shares with the items of its noun, so that texts say something about tastes."""
    shared = rng.standard_normal((len(DEPARTMENTS) * NOUNS_PER_DEPARTMENT, FACTORS))[noun]
    own = rng.standard_normal((len(noun), FACTORS))
    return np.asarray((shared + own) / np.sqrt(2 * FACTORS), np.float32)


def _wording(rng: np.random.Generator, category: Array, noun: Array, is_article: Array) -> tuple[list[str], list[str], list[str]]:
    """Titles (unique), texts and brands."""
    titles, texts, brands, used = [], [], [], dict[str, int]()
    draws = rng.integers(0, 1 << 30, (len(noun), 3)).tolist()
    for number, (first, second, third) in enumerate(draws):
        department = DEPARTMENTS[category[number]]
        thing = department.nouns[noun[number] % NOUNS_PER_DEPARTMENT]
        adjective = department.adjectives[first % len(department.adjectives)]
        brand = JOURNAL if is_article[number] else BRANDS[third % len(BRANDS)]
        title = ARTICLES[second % len(ARTICLES)].format(noun=thing) if is_article[number] else f"{adjective} {thing}"
        used[title] = used.get(title, 0) + 1
        titles.append(title if used[title] == 1 else f"{title}, No. {used[title]}")
        texts.append(f"{title}. {'A guide to what we love' if is_article[number] else f'Made by {brand}'} {department.use}. {department.name}.")
        brands.append(brand)
    return titles, texts, brands


def _launches(rng: np.random.Generator, is_anchor: Array, window: Window, rates: Rates) -> Array:
    """Most items were launched in the two years before; `launch_share` of them at eight on a day of the window."""
    n = len(is_anchor)
    before = window.start - rng.integers(30, 730, n) * DAY_MS
    within = window.start + rng.integers(0, window.days, n) * DAY_MS
    is_new = (rng.random(n) < rates.launch_share) & ~is_anchor
    return np.where(is_new, within, before) + LAUNCH_HOUR * HOUR_MS


def _blocks(rng: np.random.Generator, is_anchor: Array, window: Window, rates: Rates) -> Array:
    n = len(is_anchor)
    moments = window.start + rng.integers(0, window.days, n) * DAY_MS
    return np.where((rng.random(n) < rates.blocked_share) & ~is_anchor, moments, NEVER)


def _prices(rng: np.random.Generator, category: Array, is_article: Array, window: Window, rates: Rates) -> Array:
    """Cents by day and item, 0 for articles. A new price holds from midnight."""
    medians = np.array([department.price for department in DEPARTMENTS])[category]
    price = medians * np.exp(0.45 * rng.standard_normal(len(category)))
    prices = np.empty((window.days, len(category)), np.int32)
    for day in range(window.days):
        changes = (rng.random(len(category)) < rates.price_changes_per_day) & (day > 0)
        price = np.where(changes, price * rng.uniform(0.75, 1.2, len(category)), price)
        prices[day] = np.where(is_article, 0, np.maximum(np.floor(price), 1.0) * 100 + 90)
    return prices


def _stock(rng: np.random.Generator, is_always: Array, window: Window, rates: Rates) -> Array:
    """True by day and item while the item can be bought; an outage lasts 2 to 7 days."""
    left = np.zeros(len(is_always), np.int64)
    available = np.empty((window.days, len(is_always)), np.bool_)
    for day in range(window.days):
        begins = (rng.random(len(is_always)) < rates.outages_per_day) & (left == 0) & ~is_always
        left = np.where(begins, rng.integers(2, 8, len(is_always)), left)
        available[day] = left == 0
        left = np.maximum(left - 1, 0)
    return available


class Shelf:
    """Draws items of given categories in proportion to their popularity."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._items = np.argsort(catalogue.category, kind="stable")
        self._bounds = np.concatenate([[0.0], np.cumsum(catalogue.popularity[self._items])])
        sizes = np.bincount(catalogue.category, minlength=catalogue.n_categories)
        self._ends = np.cumsum(sizes)
        self._starts = self._ends - sizes

    def draw(self, rng: np.random.Generator, category: Array) -> Array:
        """One item for each category in `category`."""
        low, high = self._bounds[self._starts[category]], self._bounds[self._ends[category]]
        place = np.searchsorted(self._bounds, low + rng.random(len(category)) * (high - low), side="right") - 1
        return np.asarray(self._items[np.clip(place, self._starts[category], self._ends[category] - 1)], np.int32)
