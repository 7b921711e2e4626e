"""What each row of a landed table must fulfil: the others go to quarantine, and the suites see that none was left.

No Great Expectations here, so that the pass over the landed rows need not import it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from dawnlist.columns import CONSENT_PURPOSES, EVENT_TYPES
from dawnlist.row_rules import RowRule

EARLIEST: Final = datetime(1990, 1, 1)  # before the web: an earlier time is a wrong unit or a default
# These are of an item, or they are nothing: a source maps pages without an item to `ignore`.
ITEM_EVENTS: Final = ("view", "click", "like", "rate", "add_to_cart", "remove_from_cart", "purchase", "refund")

ROWS: Final[Mapping[str, tuple[RowRule, ...]]] = {
    # An event must say when, what and, for most types, on which item.
    "events": (
        RowRule("the event has no time", "occurred_at", "filled"),
        RowRule("the event is older than 1990", "occurred_at", "at_least", bound=EARLIEST),
        RowRule("the event has no type", "event_type", "filled"),
        RowRule("the event type is unknown", "event_type", "one_of", EVENT_TYPES),
        RowRule("the event must name an item", "item_id", "filled", only=("event_type", ITEM_EVENTS)),
        RowRule("the dwell time is negative", "dwell_seconds", "at_least", bound=0),
    ),
    # A version of an item must say which and since when, and cost nothing or more.
    "items": (
        RowRule("the item has no id", "item_id", "filled"),
        RowRule("the item has no id", "item_id", "none_of", ("",)),
        RowRule("the version of the item has no time", "updated_at", "filled"),
        RowRule("the version of the item is older than 1990", "updated_at", "at_least", bound=EARLIEST),
        RowRule("the price is negative", "price", "at_least", bound=0),
    ),
    # A version of a customer must say whose and since when.
    "customers": (
        RowRule("the customer has no id", "user_id", "filled"),
        RowRule("the version of the customer has no time", "updated_at", "filled"),
        RowRule("the version of the customer is older than 1990", "updated_at", "at_least", bound=EARLIEST),
    ),
    # A consent must say whose, what for, since when, and which way.
    "consents": (
        RowRule("the consent is nobody's", "user_id", "filled"),
        RowRule("the consent has no purpose", "purpose", "filled"),
        RowRule("the purpose is unknown", "purpose", "one_of", CONSENT_PURPOSES),
        RowRule("neither granted nor withdrawn", "is_granted", "filled"),
        RowRule("the consent has no time", "changed_at", "filled"),
        RowRule("the consent is older than 1990", "changed_at", "at_least", bound=EARLIEST),
    ),
}
