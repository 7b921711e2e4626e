"""The build database: views over the pinned lake, and everything that dbt makes of them.

It is private to the pipeline and kept from night to night: a build makes again what changed since the last one, and gives what a build from
nothing would give (docs/adr/0008-incremental-builds.md). What is published are the night's Parquet files.
"""

import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import yaml

from dawnlist import build_state, mart_files
from dawnlist.build_state import BuildState, Stale
from dawnlist.columns import CONSENTS, CUSTOMERS, EVENTS, ITEMS
from dawnlist.duck import connect, identifier, keep_memory, scan
from dawnlist.errors import MissingInputError, TransformError
from dawnlist.identity import PERSONS
from dawnlist.lake import DataFile, Lake, Snapshot
from dawnlist.settings import PROJECT, Settings
from dawnlist.sources import Source

if TYPE_CHECKING:
    import duckdb

DBT_PROJECT = PROJECT / "dbt_project"
INPUTS: Mapping[str, dict[str, str]] = {"items": ITEMS, "customers": CUSTOMERS, "consents": CONSENTS}

# Every mart and the order of its rows in the lake: its grain, behind the day where readers ask for days.
MARTS: Mapping[str, str] = {
    "dim_users": "person_id",
    "dim_items": "item_id",
    "fct_sessions": "started_at, session_key",
    "fct_orders": "source, order_id",
    "fct_interactions": "occurred_at, event_id",
    "fct_bots": "source, event_date, bot_rule",
    "fct_daily_kpis": "source, event_date",
    "feat_user_purchases": "feature_date, person_id",
    "feat_user_rfm": "feature_date, person_id",
    "feat_user_activity": "feature_date, person_id",
    "feat_user_habits": "feature_date, person_id",
    "feat_user_categories": "feature_date, person_id, category_rank",
    "feat_user_tastes": "feature_date, person_id",
    "feat_user_searches": "feature_date, person_id",
    "feat_user_commerce": "feature_date, person_id",
    "feat_user_labels": "feature_date, person_id, kind, label",
    "feat_item_popularity": "feature_date, item_id",
    "feat_item_commerce": "feature_date, item_id",
    "feat_item_content": "feature_date, item_id",
    "feat_item_pairs": "feature_date, item_id, rank",
    "feat_popular_items": "feature_date, time_window, scope, scope_value, rank",
}

# The dbt variables that no row of a kept table depends on.
_NOT_RULES = frozenset(
    {
        "granted_by_default",
        "warehouse_path",
        "duckdb_memory_limit",
        "duckdb_threads",
        "duckdb_temp_directory",
    }
)
# Tests of what follows from the SQL or the contract and from what else is tested: the grain of a table that is made anew every night is what it is grouped
# by, or joined on tested keys; its persons and items are those of the dimensions; DuckDB enforces the NOT NULL constraints of marts.
_FOR_FULL_BUILDS = "tag:by_construction"
_ASIDE = ".build-"
_FAILED = {"error", "fail", "runtime error"}
# What dbt calls its two loggers: it leaves them, and the log file that one of them holds open, behind.
_DBT_LOGGERS = ("stdout_log", "file_log")


@dataclass(frozen=True)
class Build:
    """What one build of the warehouse is made from. `feature_dates` are the days that feature tables are made for, the run date among them."""

    lake: Snapshot
    persons: list[Path]
    run_date: date
    feature_dates: tuple[date, ...]
    granted_by_default: tuple[str, ...]
    is_incremental: bool = False
    currency: str = ""  # of the first source that names one; '' where none does


@dataclass(frozen=True)
class Made:
    """What a build made: the files of each mart, the days that were made again (None = all), and how it was done, in words."""

    files: dict[str, list[DataFile]]
    stale_days: list[date] | None
    how: str
    notes: list[str]


def feature_dates(run_date: date, horizon_days: int, *, trains: bool) -> tuple[date, ...]:
    """The run date and, in a night that trains, the two training cuts before it: one label window and two label windows back."""
    return tuple(run_date - timedelta(days=horizon_days * back) for back in range(3 if trains else 1))


def plan(lake: Snapshot, persons: DataFile | None, tables: Lake, run_date: date, sources: Iterable[Source], *, trains: bool = True) -> Build:
    """The build of the night of `run_date`, with the features that training needs if it `trains`; the first source sets the horizon."""
    sources = list(sources)
    return Build(
        lake=lake,
        persons=[] if persons is None else [tables.root / persons.path],
        run_date=run_date,
        feature_dates=feature_dates(run_date, sources[0].horizon_days, trains=trains),
        granted_by_default=tuple(source.name for source in sources if source.consent_default == "granted"),
        currency=next((source.currency for source in sources if source.currency), ""),
    )


def make(settings: Settings, inputs: Build, tables: Lake, *, is_full: bool = False) -> Made:
    """Bring the build database to the night of `inputs` and write its marts into the night's `tables`, not yet committed.

    What has not changed since the last complete build is kept, unless `is_full`. A night before that build's is built from nothing in a
    database of its own. Raises TransformError, naming the models and tests that failed; the next build then starts from nothing.
    """
    database = settings.warehouse_file
    database.parent.mkdir(parents=True, exist_ok=True)
    for left_behind in database.parent.glob(f"{_ASIDE}*"):
        shutil.rmtree(left_behind)
    state = BuildState(inputs.run_date, inputs.lake.version, _fingerprint(settings, inputs))
    last = None if is_full else build_state.read(settings, database)
    if last is not None and inputs.run_date < last.run_date:
        with _aside(database) as own:
            return _make(settings, own, inputs, tables, state, None, f"the night is older than the last one built, {last.run_date}")
    stale, reason = _stale(settings, inputs, last, state) if not is_full else (None, "it was asked for")
    return _make(settings, database, inputs, tables, state, stale, reason)


def _stale(settings: Settings, inputs: Build, last: BuildState | None, state: BuildState) -> tuple[Stale | None, str]:
    """What is to be made again; None where that is everything, and why."""
    if last is None:
        return None, "there was no complete build before"
    if last.fingerprint != state.fingerprint:
        return None, "the SQL, a seed or a setting changed"
    try:
        return build_state.stale(settings, inputs.lake, last, inputs.run_date), ""
    except MissingInputError as error:
        return None, str(error)


def _make(settings: Settings, database: Path, inputs: Build, tables: Lake, state: BuildState, stale: Stale | None, reason: str) -> Made:
    if stale is None:
        for file in (database, database.with_name(f"{database.name}.wal")):
            file.unlink(missing_ok=True)
    with connect(settings, database) as connection:
        build_state.unmark(connection)
        create_lake_views(connection, inputs)
        if stale is not None:
            keep_memory(connection)
            build_state.note_stale(connection, stale)
    left_out = [] if stale is None else ["--exclude", _FOR_FULL_BUILDS]
    run_dbt(settings, database, replace(inputs, is_incremental=stale is not None), ["build", *left_out, "--exclude-resource-type", "unit_test"])
    with connect(settings, database) as connection:
        keep_memory(connection)
        files = mart_files.write(connection, tables, MARTS, is_incremental=stale is not None)
        mart_files.note(connection, tables, files)
        notes = notes_on(connection)
        build_state.mark(connection, state)
    how = f"built from nothing: {reason}" if stale is None else f"built on the night of before: {len(stale.days)} days of events changed"
    return Made(files, None if stale is None else stale.days, how, notes)


def notes_on(connection: "duckdb.DuckDBPyConnection") -> list[str]:
    """What whoever reads the night should know about the marts of the open build database, in sentences."""
    (lines,) = connection.execute(f"SELECT coalesce(sum(n_lines_without_rate), 0)::BIGINT FROM {mart_files.MARTS_SCHEMA}.fct_orders").fetchall()[0]
    if not lines:
        return []
    return [f"{lines} order lines are in a currency without a rate of their day and in no amount: add it to dbt_project/seeds/exchange_rates.csv"]


@contextmanager
def _aside(database: Path) -> Iterator[Path]:
    """A place for a database of the same name (DuckDB names the catalogue after it, and dbt's views name the catalogue), gone afterwards."""
    folder = Path(mkdtemp(prefix=_ASIDE, dir=database.parent))
    try:
        yield folder / database.name
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_dbt(settings: Settings, database: Path, inputs: Build, command: list[str], *, target: str = "build") -> Any:
    """Run one dbt command in this process, on `database` or on another `target` of the profile, and give back dbt's result.

    Nothing reaches the terminal; dbt's own log and artefacts lie beside the warehouse. Raises TransformError when anything failed.
    """
    from dbt.cli.main import dbtRunner

    work = settings.warehouse_file.parent / "dbt"
    arguments = [
        *command,
        *("--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT), "--target", target),
        *("--target-path", str(work / "target"), "--log-path", str(work / "logs")),
        *("--vars", yaml.safe_dump(_variables(settings, database, inputs))),
    ]
    switches = ["--log-level", "none", "--log-level-file", "info", "--no-print", "--no-use-colors", "--no-version-check", "--no-send-anonymous-usage-stats"]
    with _released(), _night_in_environment(inputs):
        outcome = dbtRunner().invoke([*switches, *arguments])
    if isinstance(outcome.exception, KeyboardInterrupt):
        raise outcome.exception
    if not outcome.success:
        raise TransformError(_explain(outcome, work / "target" / "run")) from outcome.exception
    return outcome.result


def lake_tables(inputs: Build) -> dict[str, tuple[list[Path], dict[str, str]]]:
    """The tables that staging reads, with their pinned files and their columns."""
    events = inputs.lake.files("events", until=inputs.run_date + timedelta(days=1))
    tables = {"events": (events, dict(EVENTS)), "persons": (inputs.persons, dict(PERSONS))}
    return tables | {name: (inputs.lake.files(name), dict(columns)) for name, columns in INPUTS.items()}


def create_lake_views(connection: "duckdb.DuckDBPyConnection", inputs: Build) -> None:
    """Make the views over the pinned lake that staging reads."""
    connection.execute("CREATE SCHEMA IF NOT EXISTS lake")
    connection.execute("CREATE SCHEMA IF NOT EXISTS state")
    for name, (files, columns) in lake_tables(inputs).items():
        connection.execute(f"CREATE OR REPLACE VIEW lake.{identifier(name)} AS SELECT * FROM {scan(files, columns)}")


def _fingerprint(settings: Settings, inputs: Build) -> str:
    """Of everything that decides the rows of kept tables beside the lake. What changes from night to night, and consent by default, is no part of them."""
    rules = {name: value for name, value in _variables(settings, settings.warehouse_file, inputs).items() if name not in _NOT_RULES}
    return build_state.fingerprint(DBT_PROJECT, rules)


def _variables(settings: Settings, database: Path, inputs: Build) -> dict[str, Any]:
    return {
        "granted_by_default": list(inputs.granted_by_default),
        "currency": settings.site.currency or inputs.currency,
        "site_timezone": settings.site.timezone,
        "session_idle_minutes": settings.sessions.idle_minutes,
        "session_midnight": settings.sessions.midnight,
        "session_campaign": settings.sessions.campaign,
        "bot_events_per_minute": settings.bots.max_events_per_minute,
        "bot_events_per_hour": settings.bots.max_events_per_hour,
        "bot_session_events": settings.bots.max_session_events,
        "bot_session_hours": settings.bots.max_session_hours,
        "warehouse_path": str(database),
        "duckdb_memory_limit": settings.duckdb.memory_limit,
        "duckdb_threads": settings.duckdb.threads or os.cpu_count() or 1,
        "duckdb_temp_directory": str(settings.scratch_dir / "duckdb"),
    }


@contextmanager
def _night_in_environment(inputs: Build) -> Iterator[None]:
    """What dbt_project/macros/night.sql asks for; afterwards the environment is as it was."""
    names = {
        "NIGHT_RUN_DATE": inputs.run_date.isoformat(),
        "NIGHT_FEATURE_DATES": ",".join(day.isoformat() for day in inputs.feature_dates),
        "NIGHT_KEEPS_ROWS": "yes" if inputs.is_incremental else "no",
    }
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(names)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _released() -> Iterator[None]:
    """Afterwards dbt holds nothing: no connection to the database, no adapter, no logger, no open log file.

    dbt keeps all of these for the life of the process, which a task runner and a test session share with others.
    """
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.adapters.factory import reset_adapters
    from dbt_common.events.event_manager_client import cleanup_event_logger

    try:
        yield
    finally:
        environment = DuckDBConnectionManager._ENV
        reset_adapters()
        DuckDBConnectionManager.close_all_connections()
        if environment is not None:
            environment.close()
        cleanup_event_logger()
        for name in _DBT_LOGGERS:
            logger = logging.getLogger(name)
            for handler in list(logger.handlers):
                logger.removeHandler(handler)
                handler.close()


def _explain(outcome: Any, sql: Path) -> str:
    """The models and tests that failed, each with the first line of its message."""
    results = getattr(outcome.result, "results", None) or []
    failed = [f"{result.node.name}: {_first_lines(result.message)}" for result in results if str(result.status) in _FAILED]
    reasons = failed or [_first_lines(str(outcome.exception))]
    return f"dbt could not build the warehouse: {'; '.join(reasons)} The SQL lies in {sql}. Nothing of this night was changed."


def _first_lines(message: str | None) -> str:
    lines = [line.strip() for line in (message or "no message").splitlines() if line.strip()]
    return " ".join(lines[:3])
