"""A staged batch of the catalogue. One row per (source, item_id, updated_at): a version of an item."""

import great_expectations.expectations as gxe

from dawnlist.columns import INPUT_KEYS, ITEMS
from expectations.kinds import EARLIEST, Expectation, Scope, row, staged, warning

MIN_SHARE_WITH_TITLE = 0.9
MIN_SHARE_WITH_CATEGORY = 0.5


def rows() -> list[Expectation]:
    """A version of an item must say which and since when, and cost nothing or more."""
    return [
        row(gxe.ExpectColumnValuesToNotBeNull, "the item has no id", column="item_id"),
        row(gxe.ExpectColumnValuesToNotBeInSet, "the item has no id", column="item_id", value_set=[""]),
        row(gxe.ExpectColumnValuesToNotBeNull, "the version of the item has no time", column="updated_at"),
        row(gxe.ExpectColumnValuesToBeBetween, "the version of the item is older than 1990", column="updated_at", min_value=EARLIEST),
        row(gxe.ExpectColumnValuesToBeBetween, "the price is negative", column="price", min_value=0),
    ]


def suite(scope: Scope) -> list[Expectation]:
    """A batch of the catalogue: its form, its key, and no row that quarantine should have taken."""
    return [
        *staged(scope, ITEMS, INPUT_KEYS["items"]),
        *rows(),
        warning(gxe.ExpectColumnValuesToNotBeNull, "most items have a title", column="title", mostly=MIN_SHARE_WITH_TITLE),
        warning(gxe.ExpectColumnValuesToNotBeNull, "most items have a category", column="category", mostly=MIN_SHARE_WITH_CATEGORY),
    ]
