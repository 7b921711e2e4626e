"""Short plain names for segments, from what sets each of them apart."""

from collections.abc import Sequence

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
BUYER_WORDS = ("recency_days", "frequency", "monetary")  # say something about buyers only
BUYERS_FROM = 0.5  # orders a head, on average
CLEAR = 0.1  # standard deviations from the average, below which a segment is just average


def label_segments(features: Sequence[str], centres: Sequence[Sequence[float]], orders: Sequence[float]) -> list[str]:
    """One label per centre (standardised features, in the order of `features`), all different; `orders`: mean orders a head.

    The word of the most deviating feature, before "buyers" or "visitors"; where a segment before has taken that label, the next word,
    then both words together, then a number.
    """
    labels: list[str] = []
    for centre, mean_orders in zip(centres, orders, strict=True):
        noun = "buyers" if mean_orders >= BUYERS_FROM else "visitors"
        words = _words(features, centre, is_buyer=noun == "buyers")
        candidates = [f"{word} {noun}" for word in words] + [f"{words[0]}, {word} {noun}" for word in words[1:]]
        candidates += [f"{words[0]} {noun} {number}" for number in range(2, len(centres) + 2)]
        labels.append(next(label for label in candidates if label not in labels))
    return labels


def _words(features: Sequence[str], centre: Sequence[float], *, is_buyer: bool) -> list[str]:
    deviations = sorted(zip(features, centre, strict=True), key=lambda pair: -abs(pair[1]))
    told = [(name, value) for name, value in deviations if abs(value) >= CLEAR and (is_buyer or name not in BUYER_WORDS)]
    return [WORDS[name][value > 0] for name, value in told] or ["average"]
