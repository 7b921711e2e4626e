"""DuckDB connections as the pipeline wants them, and safe pieces of SQL."""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dawnlist.errors import StorageError
from dawnlist.files import replace_file

if TYPE_CHECKING:
    import duckdb

    from dawnlist.settings import Settings

SPILL_SECONDS = 24 * 60 * 60
OLDEST_READER: Final = "v1.2.0"  # of what is written here: the releases that analysts and websites have open it


@contextmanager
def connect(settings: "Settings", database: Path | str = ":memory:", *, read_only: bool = False) -> "Iterator[duckdb.DuckDBPyConnection]":
    """A connection in UTC with the settings' threads and memory, spilling into the home. Closed at the end, whatever happens."""
    import duckdb

    with suppress(OSError):  # DuckDB makes the last folder of its path only; who may not write there cannot spill either, and is told then
        settings.scratch_dir.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect(str(database), read_only=read_only, config={} if read_only else {"storage_compatibility_version": OLDEST_READER})
    try:
        with interruptible():
            _set_up(connection, settings)
            yield connection
    except duckdb.OutOfMemoryException as error:
        raise StorageError(f"DuckDB needs more memory than duckdb.memory_limit = {settings.duckdb.memory_limit}: {error}") from error
    finally:
        connection.close()


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C during a query is KeyboardInterrupt, as anywhere: DuckDB makes an error of it."""
    try:
        yield
    except RuntimeError as error:
        if str(error) == "Query interrupted":
            raise KeyboardInterrupt from error
        raise


def _set_up(connection: "duckdb.DuckDBPyConnection", settings: "Settings") -> None:
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"SET memory_limit = {literal(settings.duckdb.memory_limit)}")
    connection.execute(f"SET temp_directory = {literal(str(settings.scratch_dir / 'duckdb'))}")
    connection.execute("SET enable_progress_bar = false")
    if settings.duckdb.threads:
        connection.execute(f"SET threads = {settings.duckdb.threads}")


def encrypt_spill(connection: "duckdb.DuckDBPyConnection") -> None:
    """What the connection spills to disk is unreadable, under a key that only this process has.

    DuckDB's built-in cipher calls itself unsafe for files that last, because of its source of randomness; a spilled file lasts as long as the process.
    """
    connection.execute("SET GLOBAL force_mbedtls_unsafe = true")
    connection.execute("SET temp_file_encryption = true")


def keep_memory(connection: "duckdb.DuckDBPyConnection") -> None:
    """Blocks that the connection frees stay with the process for those that come next: asking the system for each anew takes longer."""
    connection.execute("SET VARIABLE memory_limit = current_setting('memory_limit')")
    connection.execute("SET block_allocator_memory = getvariable('memory_limit')")


def clear_spill(settings: "Settings") -> None:
    """Remove what killed processes have spilled: DuckDB leaves that lying. A file that was not written for SPILL_SECONDS is nobody's."""
    oldest = time.time() - SPILL_SECONDS
    for path in (settings.scratch_dir / "duckdb").glob("duckdb_temp_*"):
        with suppress(FileNotFoundError):  # its process ends just now
            if path.stat().st_mtime < oldest:
                path.unlink()


def replace_database(prepared: Path, target: Path) -> None:
    """Put the closed database file `prepared` in the place of `target` in one durable step.

    A log that a killed writer left beside the old file would keep the new one from being opened: it goes first, and the old file is
    what was published again.
    """
    target.with_name(f"{target.name}.wal").unlink(missing_ok=True)
    replace_file(prepared, target)


@contextmanager
def cursor(connection: "duckdb.DuckDBPyConnection") -> "Iterator[duckdb.DuckDBPyConnection]":
    """Another connection to the same database, for another thread; it sees the tables that are not temporary."""
    own = connection.cursor()
    try:
        own.execute("SET TimeZone = 'UTC'")
        yield own
    finally:
        own.close()


def threads(settings: "Settings") -> int:
    """How many threads DuckDB uses."""
    return settings.duckdb.threads or len(os.sched_getaffinity(0))


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn what keeps files from being read or written below `folder` (no right, no space) into StorageError."""
    import duckdb

    try:
        yield
    except (duckdb.IOException, duckdb.TransactionException, duckdb.FatalException, OSError) as error:
        # A commit and a checkpoint that do not get onto the disk are errors of other classes; the text is the same.
        if isinstance(error, (duckdb.TransactionException, duckdb.FatalException)) and "Could not write file" not in str(error):
            raise
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).splitlines()[0]
        raise StorageError(f"Cannot read or write below {folder}: {reason}. Check its rights and the space on the disk, then run this again.") from error


def literal(value: str) -> str:
    """`value` as an SQL string literal."""
    return "'" + value.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """`name` as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def path_list(paths: Iterable[Path | str]) -> str:
    """Paths as an SQL list literal."""
    return "[" + ", ".join(literal(str(path)) for path in paths) + "]"


def scan(files: Iterable[Path | str], columns: dict[str, str]) -> str:
    """A FROM item that reads Parquet `files`: `columns` first, NULL where a file was written before there was such a column. No file gives no rows."""
    files = list(files)
    if not files:
        return _nothing(columns)
    found = f"read_parquet({path_list(files)}, hive_partitioning = false, union_by_name = true)"
    return with_columns(found, columns) if columns else found


def with_columns(relation: str, columns: dict[str, str]) -> str:
    """A FROM item with `columns` first, NULL where `relation` lacks one, and then what else it has."""
    return f"(FROM {_nothing(columns)} UNION ALL BY NAME FROM {relation})"


def _nothing(columns: dict[str, str]) -> str:
    return f"(SELECT {', '.join(f'NULL::{kind} AS {identifier(name)}' for name, kind in columns.items())} WHERE false)"
