"""A staged batch of events. One row per event_id."""

from datetime import timedelta

import great_expectations.expectations as gxe
from great_expectations.expectations.row_conditions import Column

from dawnlist.columns import EVENTS, INPUT_KEYS
from expectations.kinds import Expectation, Scope, filled, no_rows, pseudonyms, rows, share, staged, warning

CLOCK_TOLERANCE = timedelta(days=1)
MIN_IN_TIME = 0.99
MIN_REGULAR = 0.99
WITH_ID = "SELECT avg((coalesce(user_id, anonymous_id) IS NOT NULL)::INTEGER) AS value FROM {batch}"
UNKNOWN_ITEMS = """
SELECT avg((known.item_id IS NULL)::INTEGER) AS value
FROM {batch} AS events LEFT JOIN (SELECT DISTINCT item_id FROM items) AS known USING (item_id)
WHERE events.item_id IS NOT NULL
"""


def suite(scope: Scope) -> list[Expectation]:
    """A batch of events: its form, its key, pseudonyms only, and no row that quarantine should have taken."""
    people, with_id = 1 - scope.settings.gate.max_bots_share, 1 - scope.settings.gate.max_null_ids_share
    return [
        *staged(scope, EVENTS, INPUT_KEYS["events"]),
        *filled("event_id", "event_date", "is_bot", "key_id"),
        *pseudonyms("event_id", "user_id", "anonymous_id"),
        no_rows("event_date is the UTC day of occurred_at", "SELECT 1 AS broken FROM {batch} WHERE event_date <> occurred_at::DATE"),
        *rows("events"),
        _in_time(scope),
        *_regular_sales(),
        warning(gxe.ExpectColumnValuesToBeInSet, f"at least {people:.0%} of the events are not of bots", column="is_bot", value_set=[False], mostly=people),
        share(f"at least {with_id:.0%} of the events have a user or a device", WITH_ID, min_value=with_id),
        *_known_items(scope),
    ]


def _in_time(scope: Scope) -> Expectation:
    latest = scope.checked_for + CLOCK_TOLERANCE
    what = f"at least {MIN_IN_TIME:.0%} of the events are not later than {latest}"
    return warning(gxe.ExpectColumnValuesToBeBetween, what, column="occurred_at", max_value=latest, mostly=MIN_IN_TIME)


def _regular_sales() -> list[Expectation]:
    """Stock corrections and bad debts are booked as sales with a negative quantity or price: they belong into the sums, but not in numbers.

    Refunds are left out: sources write them with either sign. Free items are real.
    """
    is_purchase, share_of = Column("event_type") == "purchase", f"at least {MIN_REGULAR:.0%} of the"
    return [
        warning(
            gxe.ExpectColumnValuesToBeBetween,
            f"{share_of} purchases have a quantity above zero",
            column="quantity",
            row_condition=is_purchase,
            min_value=0,
            strict_min=True,
            mostly=MIN_REGULAR,
        ),
        warning(gxe.ExpectColumnValuesToBeBetween, f"{share_of} prices are not negative", column="unit_price", min_value=0, mostly=MIN_REGULAR),
    ]


def _known_items(scope: Scope) -> list[Expectation]:
    highest = scope.settings.gate.max_unknown_items_share
    what = f"at most {highest:.0%} of the events name an item that no catalogue has"
    return [share(what, UNKNOWN_ITEMS, max_value=highest)] if "items" in scope.tables else []
