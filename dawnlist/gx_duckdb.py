"""Great Expectations on an open DuckDB connection.

GX gives a connection back before it has read the result, and a DuckDB cursor loses its result then. This dialect reads each result
at once. It also shares one open connection, so that GX sees its in-memory views; `dawnlist-duckdb:///<name>` is the URL of a
connection that was shared under that name. Import it only where a suite is run: SQLAlchemy and GX are heavy.
"""

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import duckdb_engine
from sqlalchemy.dialects import postgresql, registry
from sqlalchemy.dialects.postgresql.psycopg2 import PGExecutionContext_psycopg2
from sqlalchemy.engine.cursor import FullyBufferedCursorFetchStrategy

from dawnlist.duck import interruptible

if TYPE_CHECKING:
    import duckdb
    from great_expectations.core import ExpectationSuiteValidationResult
    from great_expectations.expectations.expectation import Expectation


@contextmanager
def _hidden(package: str) -> "Iterator[None]":
    """Inside it, `package` cannot be imported, unless it is already."""
    is_there = package in sys.modules
    if not is_there:
        sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if not is_there:
            del sys.modules[package]


with _hidden("pyspark"):  # for an engine that no suite uses, and a second of each stage
    import great_expectations as gx

URL_NAME = "dawnlist_duckdb"
# Counts only. With a count of 0 GX reads no value of a column that fails: values may be personal.
COUNTS_ONLY = {"result_format": "BASIC", "partial_unexpected_count": 0, "exclude_unexpected_values": True}
_SHARED: "dict[str, duckdb.DuckDBPyConnection]" = {}


class _BufferedContext(PGExecutionContext_psycopg2):
    def post_exec(self) -> None:
        super().post_exec()  # type: ignore[no-untyped-call]
        if self.cursor.description is not None:
            # The types as text: DuckDB's own objects would outlive the module, and it complains at exit.
            description = [(name, str(kind), None, None, None, None, None) for name, kind, *_ in self.cursor.description]
            self.cursor_fetch_strategy = FullyBufferedCursorFetchStrategy(self.cursor, description, self.cursor.fetchall())


class BufferedDuckDB(duckdb_engine.Dialect):
    """duckdb-engine's dialect, which reads every result at once and connects to a connection that is open already."""

    execution_ctx_cls = _BufferedContext
    supports_statement_cache = False

    def connect(self, *args: Any, **parameters: Any) -> Any:
        return duckdb_engine.ConnectionWrapper(_SHARED[parameters["database"]].cursor())

    def do_execute(self, *args: Any, **parameters: Any) -> None:
        """GX takes an error of a query for an outcome, and Ctrl-C is none."""
        with interruptible():
            super().do_execute(*args, **parameters)  # type: ignore[no-untyped-call]

    def get_pk_constraint(self, *_: Any, **__: Any) -> Any:
        """Views have no key; Postgres's way to find that out asks a dozen catalogue tables."""
        return {"constrained_columns": [], "name": None}


registry.register(URL_NAME, __name__, BufferedDuckDB.__name__)


@contextmanager
def gate(connection: "duckdb.DuckDBPyConnection") -> "Iterator[Callable[[str, Sequence[Expectation]], ExpectationSuiteValidationResult]]":
    """A function that runs expectations as one suite over the view of the open `connection` that has the suite's name.

    Its result holds counts and aggregates, no values.
    """
    from great_expectations.data_context.types.base import DataContextConfig, InMemoryStoreBackendDefaults

    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False), analytics_enabled=False, progress_bars={"globally": False}
    )
    with _shared(connection) as url, _without_log():
        context = gx.get_context(project_config=config, mode="ephemeral")
        source = context.data_sources.add_sql("duckdb", connection_string=url)
        engine = source.get_execution_engine()
        engine.dialect_module = postgresql  # GX knows regular expressions by dialect; DuckDB has Postgres's operator

        def validate(suite: str, expectations: "Sequence[Expectation]") -> "ExpectationSuiteValidationResult":
            batch = source.add_table_asset(suite, table_name=suite).add_batch_definition_whole_table("all").get_batch()
            return batch.validate(gx.ExpectationSuite(suite, expectations=list(expectations)), result_format=COUNTS_ONLY)

        try:
            yield validate
        finally:
            engine.close()
            source.get_engine().dispose()


@contextmanager
def _shared(connection: "duckdb.DuckDBPyConnection") -> Iterator[str]:
    name = uuid4().hex
    _SHARED[name] = connection
    try:
        yield f"{URL_NAME}:///{name}"
    finally:
        del _SHARED[name]


@contextmanager
def _without_log() -> Iterator[None]:
    """GX logs the message of each failed query, and DuckDB's messages quote values."""
    logger = logging.getLogger("great_expectations")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)
