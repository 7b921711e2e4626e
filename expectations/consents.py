"""A staged batch of consents. One row per (user_id, purpose, changed_at): a person's change of mind."""

from dawnlist.columns import CONSENTS, INPUT_KEYS
from expectations.kinds import Expectation, Scope, filled, pseudonyms, rows, staged


def suite(scope: Scope) -> list[Expectation]:
    """A batch of consents: its form, its key, pseudonyms only, and no row that quarantine should have taken."""
    return [*staged(scope, CONSENTS, INPUT_KEYS["consents"]), *filled("key_id"), *pseudonyms("user_id"), *rows("consents")]
