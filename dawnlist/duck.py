"""DuckDB connections as the pipeline wants them, and safe pieces of SQL."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dawnlist.errors import StorageError

if TYPE_CHECKING:
    import duckdb

    from dawnlist.settings import Settings


@contextmanager
def connect(settings: "Settings", database: Path | str = ":memory:", *, read_only: bool = False) -> "Iterator[duckdb.DuckDBPyConnection]":
    """A connection in UTC with the settings' threads and memory, spilling into the home. Closed at the end, whatever happens."""
    import duckdb

    connection = duckdb.connect(str(database), read_only=read_only)
    try:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"SET memory_limit = {literal(settings.duckdb.memory_limit)}")
        connection.execute(f"SET temp_directory = {literal(str(settings.scratch_dir / 'duckdb'))}")
        connection.execute("SET enable_progress_bar = false")
        if settings.duckdb.threads:
            connection.execute(f"SET threads = {settings.duckdb.threads}")
        yield connection
    except duckdb.OutOfMemoryException as error:
        raise StorageError(f"DuckDB needs more memory than duckdb.memory_limit = {settings.duckdb.memory_limit}: {error}") from error
    finally:
        connection.close()


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn what keeps files from being read or written below `folder` (no right, no space) into StorageError."""
    import duckdb

    try:
        yield
    except (duckdb.IOException, OSError) as error:
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
    """A FROM item that reads Parquet `files`, or an empty relation of the same columns when there is none."""
    files = list(files)
    if not files:
        return f"(SELECT {', '.join(f'NULL::{kind} AS {identifier(name)}' for name, kind in columns.items())} WHERE false)"
    return f"read_parquet({path_list(files)}, hive_partitioning = false, union_by_name = true)"
