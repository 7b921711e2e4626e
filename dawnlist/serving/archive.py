"""The tables of the newest publications as Parquet, so that each of them can be published again: <home>/serving/publications/<sequence>/."""

import json
import shutil
from collections.abc import Collection
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from dawnlist.columns import SERVING_TABLES
from dawnlist.duck import identifier, literal, scan
from dawnlist.errors import CorruptedError, MissingInputError
from dawnlist.files import make_folder, place_folder, remove_folder, sha256_of, write_json
from dawnlist.serving.base import SCHEMA, Publication

if TYPE_CHECKING:
    import duckdb

RECORD: Final = "publication.json"


class Archive:
    """`folder` holds one folder per publication: the record with the files' SHA-256, and one file per serving table."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def sequences(self) -> list[int]:
        """The publications that are kept, oldest first."""
        return sorted(int(path.name) for path in self._folder.glob("[0-9]*"))

    def keep(self, connection: "duckdb.DuckDBPyConnection", publication: Publication) -> None:
        """Keep the serving tables of `connection`. What is there under the same sequence was never published, and is replaced."""
        make_folder(self._folder)
        for leftover in self._folder.glob(".*"):  # of a publisher that was killed: this one holds the lock
            shutil.rmtree(leftover)
        aside = self._folder / f".{uuid4().hex}"
        aside.mkdir()
        for table in SERVING_TABLES:
            connection.execute(f"COPY {SCHEMA}.{table} TO {literal(str(aside / f'{table}.parquet'))} (FORMAT parquet, COMPRESSION zstd)")
        write_json(aside / RECORD, {**asdict(publication), "files": {table: sha256_of(aside / f"{table}.parquet") for table in SERVING_TABLES}})
        target = self.folder(publication.sequence)
        if target.exists():
            remove_folder(target)
        place_folder(aside, target)

    def restore(self, connection: "duckdb.DuckDBPyConnection", sequence: int) -> Publication:
        """Create the serving tables of publication `sequence` in schema `serving` of `connection`, and give its record.

        Raises MissingInputError when it is not kept, CorruptedError when a file was changed.
        """
        folder = self.folder(sequence)
        if not folder.exists():
            known = ", ".join(str(one) for one in self.sequences()) or "none"
            raise MissingInputError(f"Publication {sequence} is not kept. There are: {known}. `dawnlist publications` lists them.")
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        connection.execute(f"CREATE SCHEMA {SCHEMA}")
        for table, columns in SERVING_TABLES.items():
            path = folder / f"{table}.parquet"
            if not path.exists() or sha256_of(path) != record["files"][table]:
                raise CorruptedError(f"{path} is gone or was changed since publication {sequence} was made: go back to another one of `dawnlist publications`.")
            names = ", ".join(identifier(name) for name in columns)
            connection.execute(f"CREATE TABLE {SCHEMA}.{table} AS SELECT {names} FROM {scan([path], dict(columns))}")
        fields = {name: value for name, value in record.items() if name != "files"}
        times = {name: datetime.fromisoformat(fields[name]) for name in ("published_at", "expires_at", "refreshed_until") if fields.get(name)}
        return Publication(**{**fields, **times, "run_date": date.fromisoformat(fields["run_date"])})

    def prune(self, keep: int, refreshes: Collection[int] = ()) -> None:
        """Remove all but the newest `keep` that are no refreshes, and of the `refreshes` all but the newest: a day of them must not push the nights out."""
        sequences = self.sequences()
        others = [sequence for sequence in sequences if sequence not in refreshes]
        for sequence in [*others[:-keep], *[sequence for sequence in sequences if sequence in refreshes][:-1]]:
            remove_folder(self.folder(sequence))

    def folder(self, sequence: int) -> Path:
        """Where publication `sequence` is kept."""
        return self._folder / f"{sequence:06d}"
