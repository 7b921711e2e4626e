"""A staged batch of customers. One row per (user_id, updated_at): a version of a customer."""

import great_expectations.expectations as gxe

from dawnlist.columns import CUSTOMERS, INPUT_KEYS
from expectations.kinds import Expectation, Scope, filled, pseudonyms, rows, staged, warning

EARLIEST_BIRTH_YEAR = 1900
MIN_SHARE_PLAUSIBLE = 0.99


def suite(scope: Scope) -> list[Expectation]:
    """A batch of customers: its form, its key, pseudonyms only, and no row that quarantine should have taken."""
    years = {"min_value": EARLIEST_BIRTH_YEAR, "max_value": scope.checked_for.year}
    past = {"max_value": scope.checked_for}
    return [
        *staged(scope, CUSTOMERS, INPUT_KEYS["customers"]),
        *filled("key_id"),
        *pseudonyms("user_id"),
        *rows("customers"),
        warning(gxe.ExpectColumnValuesToBeBetween, "years of birth are plausible", column="birth_year", mostly=MIN_SHARE_PLAUSIBLE, **years),
        warning(gxe.ExpectColumnValuesToBeBetween, "registrations are not in the future", column="registered_at", mostly=MIN_SHARE_PLAUSIBLE, **past),
    ]
