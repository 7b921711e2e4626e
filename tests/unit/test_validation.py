"""Row rules, verdicts, what is kept of them, and the pages that are made of it."""

import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import great_expectations as gx
import great_expectations.expectations as gxe
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from dawnlist import gx_duckdb, validation
from dawnlist.columns import GATE_RESULTS
from dawnlist.errors import GateError
from dawnlist.lake import Lake
from dawnlist.row_rules import RowRule, problem_of
from dawnlist.settings import Settings, load
from dawnlist.validation import GateResult, Verdict
from expectations.kinds import ROW_REASON, ExpectQueryValueToBeBetween, notice, row
from expectations.rows import ROWS as ROWS_OF
from tests.gate_tables import MIDNIGHT, batch

RUN_DATE = date(2026, 3, 10)
EMAIL = "anna@example.com"


@pytest.fixture
def settings() -> Settings:
    return load()


def verdict_over(settings: Settings, folder: Path, kind: str, *changes: dict[str, Any]) -> Verdict:
    return validation.check(settings, kind, {kind: [batch(folder, kind, *changes)]}, source="store", checked_for=MIDNIGHT, run_id="r1")


def result(severity: str = "critical", *, is_success: bool = False, column: str | None = "price") -> GateResult:
    return GateResult("r1", MIDNIGHT, "items", "store", "expect_x: at least 0", column, severity, is_success, "2 of 1,000 rows against it", 2, 1000)


# Row rules

ROWS = [(1, 5, "aa", datetime(2020, 1, 1)), (2, 4, "b1", datetime(1980, 1, 1)), (None, 4, "", None), (7, None, None, datetime(1990, 1, 1)), (2, 2, "A", None)]
KINDS: list[tuple[RowRule, list[int]]] = [  # a rule, and the numbers of the rows above that break it
    (RowRule("", "a", "filled"), [2]),
    (RowRule("", "word", "one_of", ("aa", "it's")), [1, 2, 4]),
    (RowRule("", "word", "none_of", ("",)), [2]),
    (RowRule("", "a", "at_least", bound=2), [0]),
    (RowRule("", "moment", "at_least", bound=datetime(1990, 1, 1)), [1]),
    (RowRule("", "moment", "filled", only=("word", ("", "aa"))), [2]),
    (RowRule("", "a", "at_least", bound=3, only=("word", ("A",))), [4]),
]


def table(rows: Sequence[tuple[Any, ...]]) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("CREATE TABLE rows (number INTEGER, a INTEGER, b INTEGER, word VARCHAR, moment TIMESTAMP)")
    for number, values in enumerate(rows):
        connection.execute("INSERT INTO rows VALUES (?, ?, ?, ?, ?)", [number, *values])
    return connection


def failing(connection: duckdb.DuckDBPyConnection, condition: str) -> list[int]:
    return [number for (number,) in connection.execute(f"SELECT number FROM rows WHERE NOT ({condition}) ORDER BY number").fetchall()]


@pytest.mark.parametrize(("rule", "bad"), KINDS)
def test_condition_is_false_for_the_rows_that_break_the_rule_alone(rule: RowRule, bad: list[int]) -> None:
    with table(ROWS) as connection:
        assert failing(connection, rule.condition) == bad


def test_a_problem_names_the_field_and_the_reason_of_the_first_rule_that_is_broken() -> None:
    rules = [RowRule("too small", "a", "at_least", bound=2), RowRule("no such 'word'", "word", "none_of", ("aa", ""))]
    with table(ROWS) as connection:
        found = connection.execute(f"SELECT {problem_of(rules)} FROM rows ORDER BY number").fetchall()
    assert [problem for (problem,) in found] == ["a: too small", None, "word: no such 'word'", None, None]


@given(
    st.lists(
        st.tuples(*(st.none() | st.sampled_from(values) for values in ([1, 2, 7], [2, 4, 5], ["aa", "", "A"], [datetime(1980, 1, 1), datetime(1990, 1, 1)]))),
        min_size=1,
    )
)
@hypothesis_settings(max_examples=8, deadline=None)
def test_conditions_and_gx_find_the_same_number_of_rows(rows: list[tuple[Any, ...]]) -> None:
    with table(rows) as connection, gx_duckdb.gate(connection) as validate:
        outcome = validate("rows", [row(replace(rule, reason=str(number))) for number, (rule, _) in enumerate(KINDS)])
        counted = {one.expectation_config.meta[ROW_REASON]: one.result["unexpected_count"] or 0 for one in outcome.results}
        assert counted == {str(number): len(failing(connection, rule.condition)) for number, (rule, _) in enumerate(KINDS)}


@pytest.mark.parametrize("table_name", ["events", "items", "customers", "consents"])
def test_rules_run_on_a_staged_batch_and_keep_its_good_row(table_name: str, tmp_path: Path) -> None:
    file = batch(tmp_path, table_name, {})
    assert duckdb.sql(f"SELECT {problem_of(ROWS_OF[table_name])} FROM '{file}'").fetchall() == [(None,)]


# Verdicts


def test_verdict_passes_with_warnings_alone() -> None:
    warned = Verdict("items", "store", (result("warning"), result(is_success=True)))
    assert warned.passed
    assert warned.warnings() == ["Suite items of store, column price: expected: at least 0; found: 2 of 1,000 rows against it."]
    warned.raise_if_failed("batch b1")


@pytest.mark.parametrize("severity", ["critical", "row"])
def test_failed_verdict_raises_with_the_finding_and_what_to_do(severity: str) -> None:
    failed = Verdict("items", "store", (result(severity), result(severity, column=None)))
    assert not failed.passed
    with pytest.raises(GateError) as caught:
        failed.raise_if_failed("batch b1")
    assert str(caught.value).startswith(
        "batch b1 did not pass the gate. Suite items of store, column price: expected: at least 0; found: 2 of 1,000 rows against it."
    )
    assert "1 more of its expectations failed" in str(caught.value)
    assert "gate_results, run_id r1" in str(caught.value)


def test_severities_are_those_of_the_suite(settings: Settings, tmp_path: Path) -> None:
    verdict = verdict_over(settings, tmp_path, "customers", {})
    severities = {one.expectation.partition(": ")[2]: one.severity for one in verdict.results}
    assert severities["no row for which: the customer has no id"] == "row"
    assert severities["years of birth are plausible"] == "warning"
    assert severities["there are rows"] == "critical"


def test_what_cannot_be_evaluated_is_critical_and_silent(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    with duckdb.connect() as connection, gx_duckdb.gate(connection) as validate, caplog.at_level(logging.DEBUG):
        connection.execute(f"CREATE TABLE people AS SELECT '{EMAIL}' AS who")
        query = "SELECT max(who::INTEGER) AS value FROM {batch}"  # DuckDB's message quotes the value
        kind = ExpectQueryValueToBeBetween(unexpected_rows_query=query, min_value=0, severity="warning", description="numbers")
        outcome = validate("people", [kind])
    verdict = validation.verdict_of(outcome, suite="people", source="store", checked_for=MIDNIGHT, run_id="r1", row_key="reason")
    assert [(one.severity, one.is_success) for one in verdict.results] == [("critical", False)]
    assert EMAIL not in f"{verdict.results}{verdict.document}{caplog.text}"


def test_notice_is_kept_and_shown_and_nobody_is_told(settings: Settings) -> None:
    with table(ROWS) as connection, gx_duckdb.gate(connection) as validate:
        query = "SELECT count(*) AS value, 'of ' || count(a) || ' numbers' AS note FROM {batch}"
        kind = notice(ExpectQueryValueToBeBetween, "few rows", unexpected_rows_query=query, max_value=4)
        outcome = validate("rows", [kind])
    verdict = validation.verdict_of(outcome, suite="day", source="store", checked_for=MIDNIGHT, run_id="r1", row_key="reason")
    assert [(one.severity, one.is_success, one.observed) for one in verdict.results] == [("notice", False, "5.0 (of 4 numbers)")]
    assert (verdict.passed, verdict.failures(), verdict.warnings()) == (True, [], [])
    validation.save(settings, [verdict], run_id="r1")
    text = validation.build_docs(settings, RUN_DATE).read_text(encoding="utf-8")
    assert '<td class="passed">passed</td><td>few rows: 5.0 (of 4 numbers)</td>' in text


def test_share_needs_a_bound_and_a_missing_value_passes() -> None:
    with pytest.raises(ValueError, match="give min_value or max_value"):
        ExpectQueryValueToBeBetween(unexpected_rows_query="SELECT 1 AS value FROM {batch}")
    outcomes = {}
    with table(ROWS) as connection:
        for value in ("0.5", "0.4", "0.6", "NULL"):
            kind = ExpectQueryValueToBeBetween(unexpected_rows_query=f"SELECT {value} AS value FROM {{batch}} LIMIT 1", min_value=0.5, max_value=0.5)
            with gx_duckdb.gate(connection) as validate:
                outcomes[value] = validate("rows", [kind]).success
    assert outcomes == {"0.5": True, "0.4": False, "0.6": False, "NULL": True}


def test_gx_on_duckdb_and_gx_on_pandas_agree() -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0, None, 7.0], "word": ["aa", "b1", "A", "aa"]})
    suite = [
        gxe.ExpectTableRowCountToBeBetween(min_value=5),
        gxe.ExpectColumnValuesToNotBeNull(column="a"),
        gxe.ExpectColumnValuesToBeBetween(column="a", min_value=2),
        gxe.ExpectColumnValuesToBeInSet(column="word", value_set=["aa"], mostly=0.5),
        gxe.ExpectColumnValuesToMatchRegex(column="word", regex="^[a-f0-9]+$"),
        gxe.ExpectColumnProportionOfUniqueValuesToBeBetween(column="word", min_value=1.0),
        gxe.ExpectColumnMaxToBeBetween(column="a", min_value=7),
        gxe.ExpectTableColumnsToMatchSet(column_set=["a", "word"], exact_match=True),
    ]
    source = gx.get_context(mode="ephemeral").data_sources.add_pandas("frames")
    on_pandas = source.add_dataframe_asset("frame").add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    with duckdb.connect() as connection, gx_duckdb.gate(connection) as validate:
        connection.execute("CREATE TABLE frame AS SELECT * FROM (VALUES (1.0, 'aa'), (2.0, 'b1'), (NULL, 'A'), (7.0, 'aa')) AS rows (a, word)")
        ours = validate("frame", suite)
    theirs = on_pandas.validate(gx.ExpectationSuite("frame", expectations=suite), result_format="BASIC")

    def found(outcome: Any) -> dict[str, tuple[bool, Any, Any]]:
        return {
            one.expectation_config.type + str(one.expectation_config.kwargs.get("column")): (
                one.success,
                one.result.get("unexpected_count"),
                one.result.get("unexpected_percent"),
            )
            for one in outcome.results
        }

    assert found(ours) == found(theirs)
    assert [success for success, _, _ in found(ours).values()].count(False) == 5


# Personal values, the lake and the pages


def test_raw_email_in_a_user_id_fails_and_is_nowhere_to_be_read(settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    verdict = verdict_over(settings, tmp_path / "in", "events", {"user_id": EMAIL})
    assert not verdict.passed
    assert any("user_id: expected: ids are pseudonyms" in sentence for sentence in verdict.failures())
    validation.save(settings, [verdict], run_id="r1")
    validation.build_docs(settings, RUN_DATE)
    kept = [path.read_bytes() for path in settings.home.rglob("*") if path.is_file()]
    assert len(kept) > 5
    assert not [content for content in kept if b"example.com" in content]
    assert EMAIL not in f"{verdict.results}{verdict.document}{caplog.text}"


def test_saved_results_are_rows_of_the_lake(settings: Settings, tmp_path: Path) -> None:
    verdict = verdict_over(settings, tmp_path / "in", "items", {"price": -1})
    validation.save(settings, [verdict], run_id="r1")
    validation.save(settings, [verdict], run_id="r1")  # a task that is tried again
    validation.save(settings, [], run_id="r1")
    snapshot = Lake(settings.lake_dir).snapshot()
    assert snapshot.rows("gate_results") == len(verdict.results)
    rows = duckdb.read_parquet([str(path) for path in snapshot.files("gate_results")])
    assert dict(zip(rows.columns, map(str, rows.types), strict=True)) == GATE_RESULTS
    bad = rows.filter("NOT is_success").fetchall()
    assert bad == [
        (
            "r1",
            MIDNIGHT,
            "items",
            "store",
            "expect_column_values_to_be_between: no row for which: the price is negative",
            "price",
            "row",
            False,
            "1 of 1 rows against it",
            1,
            1,
        )
    ]


def test_docs_show_every_check_of_the_night_and_load_nothing(settings: Settings, tmp_path: Path) -> None:
    good, bad = verdict_over(settings, tmp_path / "a", "items", {}), verdict_over(settings, tmp_path / "b", "customers", {"birth_year": 1066})
    validation.save(settings, [good, bad], run_id="r1")
    index = validation.build_docs(settings, RUN_DATE)
    assert index == settings.data_docs_dir / "2026-03-10" / "index.html"
    text = index.read_text(encoding="utf-8")
    assert 'href="2026-03-11T0000.store.items.html"' in text
    assert '<td class="passed">passed</td>' in text
    assert "birth_year years of birth are plausible: 1 of 1 rows against it" in text
    page = (index.parent / "2026-03-11T0000.store.customers.html").read_text(encoding="utf-8")
    assert "years of birth are plausible" in page
    assert "1 unexpected values found. 100% of 1 total rows." in page  # in GX's words
    assert "Data asset: store" in page
    assert 'href="2026-03-10/index.html"' in (settings.data_docs_dir / "index.html").read_text(encoding="utf-8")
    for path in settings.data_docs_dir.rglob("*.html"):
        links = re.findall(r'href="([^"#]+)"', path.read_text(encoding="utf-8"))
        assert [link for link in links if not (path.parent / link).is_file()] == []
        assert not [word for word in ("<script", "<link", "src=", "url(", "@import") if word in path.read_text(encoding="utf-8")]


def test_docs_forget_nights_beyond_the_retention(settings: Settings, tmp_path: Path) -> None:
    short = settings.with_(retention=settings.retention.model_copy(update={"nights": 1}))
    validation.save(settings, [verdict_over(settings, tmp_path / "in", "items", {})], run_id="r1")
    validation.build_docs(short, RUN_DATE)
    validation.build_docs(short, date(2026, 3, 11))
    assert sorted(path.name for path in settings.data_docs_dir.iterdir()) == ["2026-03-11", "index.html"]
    assert "No check has run." in (settings.data_docs_dir / "2026-03-11" / "index.html").read_text(encoding="utf-8")
