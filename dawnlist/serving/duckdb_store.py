"""The serving tables in one DuckDB file that is replaced whole. Who has the old file open keeps reading it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dawnlist.duck import connect, literal, replace_database
from dawnlist.errors import MissingInputError, ServingError
from dawnlist.serving.base import NIGHT, PUBLICATIONS, SCHEMA, Publication, insert_of
from dawnlist.settings import Settings

if TYPE_CHECKING:
    import duckdb

# What a website looks up by. The tables are in the order of their keys already; the index spares it the scan of the row groups.
INDEXES: Final = {"recommendations": "user_id", "similar_items": "item_id", "user_segments": "user_id", "user_aliases": "alias_id"}


class DuckDBStore:
    """`<home>/serving/lists.duckdb`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._file = settings.serving_file

    @property
    def location(self) -> str:
        return str(self._file)

    def publications(self) -> list[Publication]:
        if not self._file.exists():
            return []
        with connect(self._settings) as connection:
            self._attach(connection, "published")
            return _history(connection, "published")

    def replace(self, prepared: Path, publication: Publication) -> None:
        with connect(self._settings, prepared) as connection:
            self._carry_history_over(connection)
            connection.execute(insert_of(publication, f"{SCHEMA}.publications"))
            for table, column in INDEXES.items():
                connection.execute(f"CREATE INDEX {table}_by_{column} ON {SCHEMA}.{table} ({column})")
            connection.execute("CHECKPOINT")
        replace_database(prepared, self._file)

    @contextmanager
    def published(self, connection: "duckdb.DuckDBPyConnection") -> Iterator[Publication]:
        if not self._file.exists():
            raise MissingInputError(f"Nothing has been published to {self._file} yet: run `dawnlist publish` first.")
        self._attach(connection, "published")
        try:
            yield _history(connection, "published")[-1]
        finally:
            connection.execute("DETACH published")

    def _carry_history_over(self, connection: "duckdb.DuckDBPyConnection") -> None:
        columns = ", ".join(f"{name} {kind}" for name, kind in PUBLICATIONS.items())
        connection.execute(f"CREATE TABLE {SCHEMA}.publications ({columns}, PRIMARY KEY (sequence))")
        if self._file.exists():
            self._attach(connection, "before")
            connection.execute(f"INSERT INTO {SCHEMA}.publications BY NAME FROM before.{SCHEMA}.publications")
            connection.execute(
                f"UPDATE {SCHEMA}.publications SET kind = {literal(NIGHT)}, n_user_segments = 0 WHERE kind IS NULL"
            )  # of a release that had no other
            connection.execute("DETACH before")

    def _attach(self, connection: "duckdb.DuckDBPyConnection", name: str) -> None:
        import duckdb

        try:
            connection.execute(f"ATTACH {literal(str(self._file))} AS {name} (READ_ONLY)")
            connection.execute(f"SELECT max(sequence) FROM {name}.{SCHEMA}.publications")
        except duckdb.Error as error:
            reason = str(error).splitlines()[0]
            raise ServingError(
                f"Cannot read the serving file {self._file}: {reason} Close the program that has it open for writing; if the file is damaged, "
                f"move it away and run `dawnlist publish` again."
            ) from error


def _history(connection: "duckdb.DuckDBPyConnection", catalog: str) -> list[Publication]:
    found = connection.execute(f"FROM {catalog}.{SCHEMA}.publications ORDER BY sequence")
    names = [column[0] for column in found.description or ()]
    return [Publication(**dict(zip(names, row, strict=True))) for row in found.fetchall()]
