"""A staged batch of consents. One row per (user_id, purpose, changed_at): a person's change of mind."""

import great_expectations.expectations as gxe

from dawnlist.columns import CONSENT_PURPOSES, CONSENTS, INPUT_KEYS
from expectations.kinds import EARLIEST, Expectation, Scope, filled, pseudonyms, row, staged


def rows() -> list[Expectation]:
    """A consent must say whose, what for, since when, and which way."""
    return [
        row(gxe.ExpectColumnValuesToNotBeNull, "the consent is nobody's", column="user_id"),
        row(gxe.ExpectColumnValuesToNotBeNull, "the consent has no purpose", column="purpose"),
        row(gxe.ExpectColumnValuesToBeInSet, "the purpose is unknown", column="purpose", value_set=list(CONSENT_PURPOSES)),
        row(gxe.ExpectColumnValuesToNotBeNull, "neither granted nor withdrawn", column="is_granted"),
        row(gxe.ExpectColumnValuesToNotBeNull, "the consent has no time", column="changed_at"),
        row(gxe.ExpectColumnValuesToBeBetween, "the consent is older than 1990", column="changed_at", min_value=EARLIEST),
    ]


def suite(scope: Scope) -> list[Expectation]:
    """A batch of consents: its form, its key, pseudonyms only, and no row that quarantine should have taken."""
    return [*staged(scope, CONSENTS, INPUT_KEYS["consents"]), *filled("key_id"), *pseudonyms("user_id"), *rows()]
