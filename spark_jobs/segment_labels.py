"""Short plain names for segments, from what sets each of them apart, and one sentence with figures about each."""

from collections.abc import Mapping, Sequence

# What people are called whose feature is below, or above, the average.
WORDS: dict[str, tuple[str, str]] = {
    "days_since_last_event": ("recent", "dormant"),
    "tenure_days": ("newly arrived", "long-standing"),
    "n_events_28d": ("quiet", "busy"),
    "n_sessions_28d": ("rare", "frequent"),
    "n_active_days_28d": ("occasional", "regular"),
    "n_categories_28d": ("single-minded", "wide-ranging"),
    "n_add_to_carts_28d": ("cart-free", "cart-filling"),
    "n_purchases_28d": ("browsing", "purchasing"),
    "avg_dwell_seconds_28d": ("hasty", "attentive"),
    "recency_days": ("fresh", "lapsed"),
    "frequency": ("first-time", "repeat"),
    "monetary": ("thrifty", "high-spending"),
}
# What a figure of a feature counts, a head.
UNITS: dict[str, str] = {
    "days_since_last_event": "days since the last event",
    "tenure_days": "days since the first event",
    "n_events_28d": "events in 28 days",
    "n_sessions_28d": "sessions in 28 days",
    "n_active_days_28d": "active days of 28",
    "n_categories_28d": "categories in 28 days",
    "n_add_to_carts_28d": "things put into the cart in 28 days",
    "n_purchases_28d": "purchased lines in 28 days",
    "avg_dwell_seconds_28d": "seconds a page",
    "recency_days": "days since the last order",
    "frequency": "orders",
    "monetary": "spent",
}
BUYER_WORDS = ("recency_days", "frequency", "monetary")  # say something about buyers only
BUYERS_FROM = 0.5  # orders a head, on average
CLEAR = 0.1  # standard deviations from the average, below which a segment is just average
TOLD = 3  # features that a description names


def label_segments(
    features: Sequence[str], centres: Sequence[Sequence[float]], orders: Sequence[float], before: Sequence[str | None] | None = None
) -> list[str]:
    """One label per centre (standardised features, in the order of `features`), all different; `orders`: mean orders a head.

    The label of `before` (None for a new segment) stays as long as it is true. Else the word of the most deviating feature, before "buyers" or
    "visitors"; where that label is taken, the next word, then both words together, then a number.
    """
    choices = [_candidates(features, centre, mean_orders, len(centres)) for centre, mean_orders in zip(centres, orders, strict=True)]
    labels = [label if label in possible else None for label, possible in zip(before or [None] * len(choices), choices, strict=True)]
    for number, possible in enumerate(choices):
        if labels[number] is None:
            labels[number] = next(label for label in possible if label not in labels)
    return [label for label in labels if label is not None]


def describe_segment(centre: Mapping[str, float], means: Mapping[str, float], overall: Mapping[str, float], *, n_users: int, n_all: int) -> str:
    """A sentence on a segment: its size and its most deviating features (`centre`, standardised) with its own `means` and those of all.

    Orders are told of segments of buyers only, as in the label.
    """
    is_buyer = means["frequency"] >= BUYERS_FROM
    told = _deviating(list(centre), list(centre.values()), is_buyer=is_buyer)[:TOLD]
    figures = [f"{_figure(means[name])} {UNITS[name]} (all: {_figure(overall[name])})" for name, _ in told] or ["close to the average in everything"]
    return f"{n_users:,} {'person' if n_users == 1 else 'persons'}, {100 * n_users / n_all:.0f}%: {', '.join(figures)}."


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"


def _candidates(features: Sequence[str], centre: Sequence[float], mean_orders: float, n_segments: int) -> list[str]:
    """All labels that are true of the centre, the best first; never fewer than segments."""
    noun = "buyers" if mean_orders >= BUYERS_FROM else "visitors"
    words = [WORDS[name][value > 0] for name, value in _deviating(features, centre, is_buyer=noun == "buyers")] or ["average"]
    candidates = [f"{word} {noun}" for word in words] + [f"{words[0]}, {word} {noun}" for word in words[1:]]
    return candidates + [f"{words[0]} {noun} {number}" for number in range(2, n_segments + 2)]


def _deviating(features: Sequence[str], centre: Sequence[float], *, is_buyer: bool) -> list[tuple[str, float]]:
    deviations = sorted(zip(features, centre, strict=True), key=lambda pair: -abs(pair[1]))
    return [(name, value) for name, value in deviations if abs(value) >= CLEAR and (is_buyer or name not in BUYER_WORDS)]
