"""How the suites declare an expectation: its kind, how severe a failure is, and in words what is expected.

A row expectation is critical for GX, because no row may still fail it once quarantine has taken the bad ones; its `meta` keeps the reason
that quarantine gives.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

import great_expectations.expectations as gxe
from great_expectations.compatibility import pydantic
from great_expectations.expectations.expectation import Expectation as Expectation  # for the suites
from great_expectations.expectations.row_conditions import Column

from dawnlist.duck import literal
from dawnlist.row_rules import RowRule
from dawnlist.settings import Settings
from expectations.rows import ROWS

ROW_REASON = "quarantine_reason"
PSEUDONYM = "^[0-9a-f]{32}$"


@dataclass(frozen=True)
class Scope:
    """What a suite may depend on beside the data. `tables`: the tables with rows; `checked_for`: end of the interval (UTC)."""

    suite: str
    source: str
    checked_for: datetime
    settings: Settings
    tables: frozenset[str] = frozenset()
    parameters: Mapping[str, Any] = field(default_factory=dict)


class ExpectQueryValueToBeBetween(gxe.UnexpectedRowsExpectation):
    """The query's one row and column `value` is between `min_value` and `max_value`, both inclusive. A NULL passes: there was nothing to measure.

    A second column `note`, where the query has it, says what was measured: in words and counts, without values of the data.
    """

    min_value: float | None = None
    max_value: float | None = None

    metric_dependencies: ClassVar[tuple[str, ...]] = ("unexpected_rows_query.table",)
    success_keys: ClassVar[tuple[str, ...]] = ("unexpected_rows_query", "min_value", "max_value")

    @pydantic.root_validator(skip_on_failure=True)
    def _has_a_bound(cls, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N805  # pydantic 1 makes it a class method
        if values.get("min_value") is None and values.get("max_value") is None:
            raise ValueError("give min_value or max_value")
        return values

    def _validate(self, metrics: dict[str, Any], runtime_configuration: Any = None, execution_engine: Any = None) -> dict[str, Any]:
        row = metrics["unexpected_rows_query.table"][0]
        value, details = row["value"], {"note": row["note"]} if row.get("note") else {}
        if value is None:
            return {"success": True, "result": {"observed_value": None, "details": details}}
        value = round(float(value), 6)
        is_high_enough = self.min_value is None or value >= self.min_value
        is_low_enough = self.max_value is None or value <= self.max_value
        return {"success": is_high_enough and is_low_enough, "result": {"observed_value": value, "details": details}}


class UnexpectedRowsCounted(gxe.UnexpectedRowsExpectation):
    """The query finds no rows. They are counted and not fetched: its parent runs the query twice."""

    metric_dependencies: ClassVar[tuple[str, ...]] = ("unexpected_rows_query.row_count",)

    def _validate(self, metrics: dict[str, Any], runtime_configuration: Any = None, execution_engine: Any = None) -> dict[str, Any]:
        found = metrics["unexpected_rows_query.row_count"]
        return {"success": found == 0, "result": {"observed_value": found}}


def row(rule: RowRule) -> Expectation:
    """No row is left that breaks `rule`: quarantine has taken them."""
    what: dict[str, Any] = {"column": rule.field, "severity": "critical", "meta": {ROW_REASON: rule.reason}}
    what["description"] = f"no row for which: {rule.reason}"
    if rule.only is not None:
        what["row_condition"] = Column(rule.only[0]).is_in(rule.only[1])
    if rule.kind == "filled":
        return gxe.ExpectColumnValuesToNotBeNull(**what)
    if rule.kind == "at_least":
        return gxe.ExpectColumnValuesToBeBetween(min_value=rule.bound, **what)
    kind = gxe.ExpectColumnValuesToBeInSet if rule.kind == "one_of" else gxe.ExpectColumnValuesToNotBeInSet
    return kind(value_set=list(rule.values), **what)


def rows(table: str) -> list[Expectation]:
    """The row rules of `table`, as expectations."""
    return [row(rule) for rule in ROWS[table]]


def critical(kind: type[Expectation], what: str, **arguments: Any) -> Expectation:
    """The stage stops unless `what` holds."""
    return kind(description=what, severity="critical", **arguments)


def warning(kind: type[Expectation], what: str, **arguments: Any) -> Expectation:
    """It is reported when `what` does not hold."""
    return kind(description=what, severity="warning", **arguments)


def notice(kind: type[Expectation], what: str, **arguments: Any) -> Expectation:
    """It is kept and shown in the Data Docs when `what` does not hold, and nobody is told: GX calls it info."""
    return kind(description=what, severity="info", **arguments)


def has_rows() -> Expectation:
    """The table is not empty."""
    return critical(gxe.ExpectTableRowCountToBeBetween, "there are rows", min_value=1)


def no_rows(what: str, query: str) -> Expectation:
    """`query` finds the rows that go against `what`, and must find none. It names the guarded table as {batch}, without an alias, and selects no values."""
    return critical(UnexpectedRowsCounted, what, unexpected_rows_query=query)


def share(what: str, query: str, **bounds: float) -> Expectation:
    """A warning unless the one `value` of `query` is within `bounds` (min_value, max_value)."""
    return warning(ExpectQueryValueToBeBetween, what, unexpected_rows_query=query, **bounds)


def unique(*columns: str) -> Expectation:
    """No two rows are equal in `columns`.

    Hashes are grouped, which is far less work than to group values, and then the values of the few hashes that come twice.
    """
    key = ", ".join(columns)
    several = f"SELECT hash({key}) FROM {{batch}} GROUP BY 1 HAVING count(*) > 1"
    query = f"SELECT 1 AS broken FROM {{batch}} WHERE hash({key}) IN ({several}) GROUP BY {key} HAVING count(*) > 1"
    return no_rows(f"no {key} comes twice" if len(columns) == 1 else f"({key}) is unique", query)


def filled(*columns: str) -> list[Expectation]:
    """No value of the columns is missing."""
    return [critical(gxe.ExpectColumnValuesToNotBeNull, f"{column} is never empty", column=column) for column in columns]


def pseudonyms(*columns: str) -> list[Expectation]:
    """The columns hold keyed hashes and nothing else: a raw id of a person must not go on."""
    what = "ids are pseudonyms of 32 hex digits, never raw ids"
    return [critical(gxe.ExpectColumnValuesToMatchRegex, what, column=column, regex=PSEUDONYM) for column in columns]


def known(column: str, table: str, key: str) -> Expectation:
    """Each value of `column` is a `key` of `table`."""
    query = f"SELECT 1 AS broken FROM {{batch}} ANTI JOIN (SELECT {key} AS {column} FROM {table}) USING ({column}) WHERE {column} IS NOT NULL"
    return no_rows(f"every {column} is in {table}", query)


def columns_are(columns: Mapping[str, str]) -> list[Expectation]:
    """The table has exactly these columns (column -> DuckDB type)."""
    wanted = ", ".join(f"({literal(name)}, {literal(kind)})" for name, kind in columns.items())
    query = (
        f"SELECT 1 AS broken FROM (VALUES {wanted}) AS wanted (column_name, column_type) "
        "ANTI JOIN (SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM {batch})) USING (column_name, column_type)"
    )
    return [
        critical(gxe.ExpectTableColumnsToMatchSet, "the columns are those of dawnlist.columns", column_set=list(columns), exact_match=True),
        no_rows("the types of the columns are those of dawnlist.columns", query),
    ]


def staged(scope: Scope, columns: Mapping[str, str], key: Sequence[str]) -> list[Expectation]:
    """What holds for every staged batch: rows, the columns, one source, the key."""
    source = critical(gxe.ExpectColumnValuesToBeInSet, "every row is of the batch's source", column="source", value_set=[scope.source])
    return [has_rows(), *columns_are(columns), *filled("source"), source, unique(*key)]
