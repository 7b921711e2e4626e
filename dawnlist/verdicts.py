"""What a suite found: one GateResult per expectation, sentences for people, and a document for the Data Docs. Counts and aggregates only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dawnlist.errors import GateError

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult

ROW, CRITICAL, WARNING, NOTICE = "row", "critical", "warning", "notice"
SEVERITIES = (CRITICAL, ROW, WARNING, NOTICE)
DECLARED = {"warning": WARNING, "info": NOTICE}  # GX's word -> ours
ROWS_QUERY = "unexpected_rows_counted"  # its observed value is the number of rows that its query found
# Of a GX result these are kept; what lists values is not.
COUNTS = (
    "element_count",
    "unexpected_count",
    "unexpected_percent",
    "missing_count",
    "missing_percent",
    "unexpected_percent_total",
    "unexpected_percent_nonmissing",
)
NOT_EVALUATED = "it could not be evaluated; the other findings of the suite say why"


@dataclass(frozen=True)
class GateResult:
    """One expectation's outcome: a row of the lake's table gate_results. `expectation` is its kind and, after a colon, what is expected in words."""

    run_id: str
    checked_for: datetime
    suite: str
    source: str
    expectation: str
    column_name: str | None
    severity: str
    is_success: bool
    observed: str | None
    n_unexpected: int | None
    n_checked: int | None

    @property
    def sentence(self) -> str:
        column = f", column {self.column_name}" if self.column_name else ""
        return f"Suite {self.suite} of {self.source}{column}: expected: {self.expectation.partition(': ')[2]}; found: {self.observed}."


@dataclass(frozen=True)
class Verdict:
    """A suite's outcome over one batch or table. `document` is what the Data Docs are made of."""

    suite: str
    source: str
    results: tuple[GateResult, ...]
    document: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def passed(self) -> bool:
        return not self._failed(CRITICAL, ROW)

    def failures(self) -> list[str]:
        """A sentence per failure that keeps the data out."""
        return [result.sentence for result in self._failed(CRITICAL, ROW)]

    def warnings(self) -> list[str]:
        """A sentence per failure that is only reported."""
        return [result.sentence for result in self._failed(WARNING)]

    def raise_if_failed(self, what: str) -> None:
        """Raises GateError, in which `what` was kept out for the first failure, unless the verdict passed."""
        failures = self.failures()
        if failures:
            more = f" {len(failures) - 1} more of its expectations failed." if len(failures) > 1 else ""
            raise GateError(
                f"{what} did not pass the gate. {failures[0]}{more} Nothing downstream was changed: mend the source's data or mapping, "
                f"or the code that made the table, and run the stage again. All findings are in the lake's table gate_results, run_id {self.results[0].run_id}."
            )

    def _failed(self, *severities: str) -> list[GateResult]:
        return [result for result in self.results if not result.is_success and result.severity in severities]


def verdict_of(outcome: "ExpectationSuiteValidationResult", *, suite: str, source: str, checked_for: datetime, run_id: str, row_key: str) -> Verdict:
    """The verdict of a GX suite result. `row_key`: the meta key of row expectations.

    The order is that of severity, then of columns; what could not be evaluated comes after what was found, which is its cause.
    """
    documents = [_document(one, row_key) for one in outcome.results]
    documents.sort(key=lambda one: (SEVERITIES.index(one["severity"]), one["raised"], one["column"] or "", one["expectation_config"]["type"], one["expected"]))
    results = tuple(
        GateResult(
            run_id,
            checked_for,
            suite,
            source,
            f"{one['expectation_config']['type']}: {one['expected']}",
            one["column"],
            one["severity"],
            one["success"],
            one["observed"],
            one["n_unexpected"],
            one["result"].get("element_count"),
        )
        for one in documents
    )
    head = {"suite": suite, "source": source, "checked_for": checked_for.isoformat(), "run_id": run_id, "success": bool(outcome.success)}
    return Verdict(suite, source, results, head | {"results": documents})


def _document(one: "ExpectationValidationResult", row_key: str) -> dict[str, Any]:
    """One result as plain data: the declaration, and of the result only counts and aggregates."""
    declaration: dict[str, Any] = one.expectation_config.to_json_dict() if one.expectation_config else {}
    arguments = {name: value for name, value in declaration["kwargs"].items() if name != "batch_id"}
    raised = _raised(one.exception_info or {})
    result = {} if raised else {name: one.result[name] for name in (*COUNTS, "observed_value", "details") if name in one.result}
    return {
        "expectation_config": declaration | {"kwargs": arguments},
        "expected": declaration.get("description") or declaration["type"],
        "column": arguments.get("column") or arguments.get("column_A"),
        "severity": _severity(declaration, row_key, raised=raised),
        "success": bool(one.success),
        "raised": raised,
        "result": result,
        "observed": NOT_EVALUATED if raised else _observed(declaration["type"], result),
        "n_unexpected": result.get("observed_value" if declaration["type"] == ROWS_QUERY else "unexpected_count"),
    }


def _severity(declaration: Mapping[str, Any], row_key: str, *, raised: bool) -> str:
    """What could not be evaluated is critical, whatever it was declared as: a gate that could not look has not let anything through."""
    if raised:
        return CRITICAL
    if row_key in declaration.get("meta", {}):
        return ROW
    return DECLARED.get(declaration["severity"], CRITICAL)


def _raised(exceptions: Mapping[str, Any]) -> bool:
    """GX tells of an exception at the top, or once per metric that failed."""
    return bool(exceptions.get("raised_exception")) or any(isinstance(one, dict) and one.get("raised_exception") for one in exceptions.values())


def _observed(kind: str, result: Mapping[str, Any]) -> str:
    if "element_count" in result:
        return f"{result.get('unexpected_count') or 0:,} of {result['element_count']:,} rows against it"
    value = result.get("observed_value")
    if kind == ROWS_QUERY:
        return f"{value:,} against it"
    mismatched = (result.get("details") or {}).get("mismatched")
    if mismatched:
        return "; ".join(f"{name}: {', '.join(columns)}" for name, columns in sorted(mismatched.items()))
    if isinstance(value, list):
        return f"{len(value)} columns"
    found = "nothing to measure" if value is None else f"{value:,}" if isinstance(value, int | float) else str(value)
    note = (result.get("details") or {}).get("note")
    return f"{found} ({note})" if note else found
