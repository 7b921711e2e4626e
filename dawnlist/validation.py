"""The gate: runs the suites of `expectations/` with Great Expectations on DuckDB, over views of Parquet files.

GX takes seconds to import, so everything here imports it late. No value of the data gets into a verdict, only counts and aggregates.
"""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dawnlist import duck
from dawnlist.columns import GATE_RESULTS, LAKE_TABLES, ORIGIN
from dawnlist.data_docs import build_docs, keep_document
from dawnlist.lake import Lake, Snapshot
from dawnlist.verdicts import GateResult, Verdict, verdict_of

if TYPE_CHECKING:
    import duckdb

    from dawnlist.settings import Settings

__all__ = ["GateResult", "Verdict", "build_docs", "check", "check_day", "check_marts", "check_recommendations", "save"]

MARTS = (
    "dim_users",
    "dim_items",
    "fct_interactions",
    "fct_sessions",
    "fct_orders",
    "fct_bots",
    "fct_daily_kpis",
    "feat_user_purchases",
    "feat_user_rfm",
    "feat_user_value",
    "feat_user_activity",
    "feat_user_habits",
    "feat_user_categories",
    "feat_user_tastes",
    "feat_user_searches",
    "feat_user_commerce",
    "feat_user_labels",
    "feat_item_popularity",
    "feat_item_commerce",
    "feat_item_content",
    "feat_item_pairs",
    "feat_popular_items",
)
Tables = Mapping[str, Sequence[Path]]  # name -> its files
REFERRED = ("items", "customers", "consents")
LISTS = ("recommendations", "similar_items", "popular_items")
MODULES = {name: name for name in ("events", "items", "customers", "consents", "day")} | dict.fromkeys(MARTS, "marts") | dict.fromkeys(LISTS, "recommendations")


def check(
    settings: "Settings",
    suite: str,
    tables: Tables,
    *,
    source: str,
    checked_for: datetime,
    run_id: str,
    parameters: Mapping[str, Any] | None = None,
) -> Verdict:
    """Run `suite` over Parquet files.

    tables: table -> its files: the guarded table, named like the suite, and those that it refers to. A table without files counts as not there;
    of a guarded table without rows only the expectations of its row count are checked.
    """
    (verdict,) = _check(settings, {suite: tables}, source, checked_for, run_id, parameters or {})
    return verdict


def check_day(settings: "Settings", lake: Snapshot, source: str, *, run_date: date, run_id: str) -> Verdict:
    """`source`'s events of `run_date` in the lake's state `lake`: freshness, and volume, shares, distributions and references against the weeks before."""
    since = run_date - timedelta(days=max(7 * settings.gate.history_weeks, settings.gate.drift_days))
    tables = {"events": lake.files("events", since=since, until=run_date + timedelta(days=1))} | {name: lake.files(name) for name in REFERRED}
    return check(settings, "day", tables, source=source, checked_for=_end_of(run_date), run_id=run_id, parameters={"run_date": run_date})


def check_marts(settings: "Settings", tables: Snapshot, *, run_date: date, run_id: str) -> list[Verdict]:
    """The verdicts over a night's marts, one per mart. `tables`: the night's tables. Raises MissingInputError when a mart was not made."""
    files = {name: tables.require(name, stage="transform") for name in MARTS}
    referred = {name: files[name] for name in ("dim_users", "dim_items")}
    return _check_site(settings, {name: {**referred, name: files[name]} for name in MARTS}, run_date, run_id)


def check_recommendations(settings: "Settings", tables: Snapshot, *, run_date: date, run_id: str, exclude_bought: bool = False) -> list[Verdict]:
    """The verdicts over a night's lists as of `run_date`: recommendations, similar and popular items. Raises MissingInputError when one was not made."""
    marts = {name: tables.require(name, stage="transform") for name in ("dim_users", "dim_items", "fct_interactions")}
    lists = {}
    for name in LISTS:
        tables.require(name, stage="recommend")
        lists[name] = [tables.root / file.path for file in tables.data_files(name) if file.partition in ("", run_date.isoformat())]
    suites = {name: {**marts, name: files} for name, files in lists.items()}
    return _check_site(settings, suites, run_date, run_id, {"exclude_bought": exclude_bought})


def save(settings: "Settings", verdicts: Sequence[Verdict], *, run_id: str) -> None:
    """Append the results to the lake's table gate_results, and keep what the Data Docs need of them."""
    rows = [astuple(result) for verdict in verdicts for result in verdict.results]
    for verdict in verdicts:
        keep_document(settings, verdict.document)
    if not rows:
        return
    lake = Lake(settings.lake_dir)
    with duck.connect(settings) as connection:
        connection.execute(f"CREATE TEMP TABLE found ({', '.join(f'{name} {kind}' for name, kind in GATE_RESULTS.items())})")
        connection.executemany(f"INSERT INTO found VALUES ({', '.join('?' for _ in GATE_RESULTS)})", rows)
        file = lake.write(connection, "gate_results", "SELECT * FROM found ORDER BY ALL")
    lake.append("gate_results", file, run_id=run_id)


def _check_site(settings: "Settings", suites: Mapping[str, Tables], run_date: date, run_id: str, parameters: Mapping[str, Any] | None = None) -> list[Verdict]:
    return _check(settings, suites, "+".join(settings.site.sources), _end_of(run_date), run_id, parameters or {})


def _check(settings: "Settings", suites: Mapping[str, Tables], source: str, checked_for: datetime, run_id: str, parameters: Mapping[str, Any]) -> list[Verdict]:
    """The verdict of each suite over its tables."""
    from dawnlist import gx_duckdb
    from expectations.kinds import ROW_REASON, Scope

    verdicts = []
    with duck.connect(settings) as connection, gx_duckdb.gate(connection) as validate:
        for suite, tables in suites.items():
            module = _module(suite)
            scope = Scope(suite, source, checked_for, settings, frozenset(name for name, files in tables.items() if files), parameters)
            is_empty = _make_views(connection, suite, tables, module, scope)
            expectations = module.suite(scope)
            if is_empty:
                expectations = [one for one in expectations if one.expectation_type == "expect_table_row_count_to_be_between"]
            outcome = validate(suite, expectations)
            verdicts.append(verdict_of(outcome, suite=suite, source=source, checked_for=checked_for, run_id=run_id, row_key=ROW_REASON))
    return verdicts


def _module(suite: str) -> Any:
    if suite not in MODULES:
        raise ValueError(f"There is no suite {suite!r}; there are {', '.join(MODULES)}.")
    return importlib.import_module(f"expectations.{MODULES[suite]}")


def _make_views(connection: "duckdb.DuckDBPyConnection", suite: str, tables: Tables, module: Any, scope: Any) -> bool:
    """A view per table without the columns that tell a row's origin, and the suite's own relations. True when the guarded one has no rows."""
    origin = ", ".join(duck.literal(name) for name in ORIGIN)
    for name, files in tables.items():
        # The guarded table is looked at as it was written; an older file of another table may lack a newer column.
        columns = {} if files and (name == suite or name not in LAKE_TABLES) else LAKE_TABLES.get(name, {"nothing": "VARCHAR"})
        kept = f"SELECT COLUMNS(lambda name: name NOT IN ({origin})) FROM {duck.scan(files, columns)}"
        connection.execute(f"CREATE OR REPLACE VIEW {duck.identifier(name)} AS {kept}")
    for name, query in module.relations(scope).items() if hasattr(module, "relations") else ():
        connection.execute(f"CREATE TABLE {duck.identifier(name)} AS {query}")
    return not connection.execute(f"SELECT 1 FROM {duck.identifier(suite)} LIMIT 1").fetchall()


def _end_of(run_date: date) -> datetime:
    return datetime(run_date.year, run_date.month, run_date.day) + timedelta(days=1)
