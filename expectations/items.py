"""A staged batch of the catalogue. One row per (source, item_id, updated_at): a version of an item."""

import great_expectations.expectations as gxe

from dawnlist.columns import INPUT_KEYS, ITEMS
from expectations.kinds import Expectation, Scope, rows, staged, warning

MIN_SHARE_WITH_TITLE = 0.9
MIN_SHARE_WITH_CATEGORY = 0.5


def suite(scope: Scope) -> list[Expectation]:
    """A batch of the catalogue: its form, its key, and no row that quarantine should have taken."""
    return [
        *staged(scope, ITEMS, INPUT_KEYS["items"]),
        *rows("items"),
        warning(gxe.ExpectColumnValuesToNotBeNull, "most items have a title", column="title", mostly=MIN_SHARE_WITH_TITLE),
        warning(gxe.ExpectColumnValuesToNotBeNull, "most items have a category", column="category", mostly=MIN_SHARE_WITH_CATEGORY),
    ]
