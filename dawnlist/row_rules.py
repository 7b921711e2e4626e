"""The row expectations of a suite as SQL conditions, so that one pass over the data finds the rows that quarantine takes.

GX counts failing rows, but does not split a table cheaply. A condition is false for exactly the rows that GX would count; a NULL
value makes it NULL, which is no failure, in GX too. A kind of expectation that has no translation here is refused.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from dawnlist.duck import identifier, literal

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation

OPERATORS = {"==": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">=", "IN": "IN", "NOT_IN": "NOT IN"}


@dataclass(frozen=True)
class RowRule:
    """`condition`: SQL that is false for the rows that quarantine takes for `reason`; NULL counts as good. `field`: the column that is at fault."""

    reason: str
    field: str
    condition: str


def rule_of(expectation: "Expectation", reason: str) -> RowRule:
    """The rule of one row expectation. Raises NotImplementedError for a kind or an argument that has no translation."""
    kind = expectation.expectation_type
    if kind not in _CONDITIONS:
        raise NotImplementedError(f"{kind} has no translation to SQL: it cannot be a row expectation.")
    arguments: Any = expectation
    if getattr(arguments, "mostly", 1) != 1:
        raise NotImplementedError(f"{kind} with mostly = {arguments.mostly}: a row is good or bad, so a row expectation allows no share of bad ones.")
    condition = _CONDITIONS[kind](arguments)
    applies = _applies(getattr(arguments, "row_condition", None))
    column = getattr(arguments, "column", None) or arguments.column_A
    return RowRule(reason, column, condition if applies is None else f"NOT coalesce({applies}, false) OR ({condition})")


def _applies(condition: Any) -> str | None:
    if condition is None:
        return None
    kind = getattr(condition, "type", None)
    if kind == "nullity":
        return f"{identifier(condition.column.name)} IS {'' if condition.is_null else 'NOT '}NULL"
    if kind == "comparison":
        operator = str(getattr(condition.operator, "value", condition.operator))
        return f"{identifier(condition.column.name)} {OPERATORS[operator]} {_literal(condition.parameter)}"
    raise NotImplementedError(f"The row condition {condition!r} has no translation to SQL.")


def _literal(value: Any) -> str:
    if isinstance(value, list | tuple | set):
        return f"({', '.join(_literal(one) for one in value)})"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | Decimal):
        return repr(value) if isinstance(value, int | float) else str(value)
    if isinstance(value, datetime):
        return f"TIMESTAMP {literal(value.isoformat(sep=' '))}"
    if isinstance(value, date):
        return f"DATE {literal(value.isoformat())}"
    if isinstance(value, str):
        return literal(value)
    raise NotImplementedError(f"A {type(value).__name__} has no translation to SQL.")


def _not_null(arguments: Any) -> str:
    return f"{identifier(arguments.column)} IS NOT NULL"


def _in_set(arguments: Any) -> str:
    return f"{identifier(arguments.column)} IN {_literal(arguments.value_set)}"


def _not_in_set(arguments: Any) -> str:
    return f"{identifier(arguments.column)} NOT IN {_literal(arguments.value_set)}"


def _between(arguments: Any) -> str:
    column = identifier(arguments.column)
    parts = []
    if arguments.min_value is not None:
        parts.append(f"{column} {'>' if arguments.strict_min else '>='} {_literal(arguments.min_value)}")
    if arguments.max_value is not None:
        parts.append(f"{column} {'<' if arguments.strict_max else '<='} {_literal(arguments.max_value)}")
    return " AND ".join(parts)


def _regex(arguments: Any) -> str:
    pattern = arguments.regex
    if not (pattern.startswith("^") and pattern.endswith("$")):
        raise NotImplementedError(f"The pattern {pattern!r} must begin with ^ and end with $: engines differ in what a part of a value matches.")
    return f"regexp_full_match({identifier(arguments.column)}, {literal(pattern)})"


def _pair_greater(arguments: Any) -> str:
    if arguments.ignore_row_if != "either_value_is_missing":
        raise NotImplementedError("A pair of columns needs ignore_row_if = 'either_value_is_missing': a missing value is no failure.")
    return f"{identifier(arguments.column_A)} {'>=' if arguments.or_equal else '>'} {identifier(arguments.column_B)}"


_CONDITIONS: dict[str, Callable[[Any], str]] = {
    "expect_column_values_to_not_be_null": _not_null,
    "expect_column_values_to_be_in_set": _in_set,
    "expect_column_values_to_not_be_in_set": _not_in_set,
    "expect_column_values_to_be_between": _between,
    "expect_column_values_to_match_regex": _regex,
    "expect_column_pair_values_a_to_be_greater_than_b": _pair_greater,
}


def rules_of(expectations: "Sequence[Expectation]", *, meta_key: str) -> list[RowRule]:
    """The rules of those expectations whose meta has a reason under `meta_key`, in order."""
    return [rule_of(expectation, expectation.meta[meta_key]) for expectation in expectations if meta_key in (expectation.meta or {})]
