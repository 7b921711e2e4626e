"""The features of persons that a trigger may speak of: the columns of the marts with one row per person_id and feature_date."""

from dataclasses import dataclass
from functools import cache
from typing import Final

from dawnlist import customer_value, mart_docs

# Where two marts have a column of one name, the name means that of the first.
MARTS: Final = (
    "feat_user_activity",
    "feat_user_rfm",
    "feat_user_purchases",
    "feat_user_habits",
    "feat_user_tastes",
    "feat_user_searches",
    "feat_user_commerce",
)
KEYS: Final = ("person_id", "feature_date")
TEXTS: Final = ("string", "VARCHAR")


@dataclass(frozen=True)
class Feature:
    """A column of `table`: a number, or a text."""

    name: str
    table: str
    is_number: bool


@cache
def known() -> dict[str, Feature]:
    """Name -> feature, in the order of the marts' columns."""
    found: dict[str, Feature] = {}
    for table in MARTS:
        _add(found, table, {column["name"]: column["data_type"] for column in mart_docs.described()[table]["columns"]})
    _add(found, customer_value.VALUES, {name: kind for name, (kind, _) in customer_value.COLUMNS[customer_value.VALUES].items()})
    return found


def _add(found: dict[str, Feature], table: str, columns: dict[str, str]) -> None:
    for name, kind in columns.items():
        if name not in KEYS:
            found.setdefault(name, Feature(name, table, kind not in TEXTS))
