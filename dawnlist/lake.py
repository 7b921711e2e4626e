"""Tables of immutable Parquet files behind one catalogue that is replaced in one step.

    <root>/catalog.json                     the current state: which manifest each table stands at
    <root>/_catalogs/<version>.json         every state that is kept; a night pins one of them
    <root>/<table>/_manifests/<version>.json  one version of one table: files, rows, hashes, schema version, run id
    <root>/<table>/[event_date=D/]<sha256>.parquet

Data files are named by their content and never changed. Readers take their file list from the catalogue, so they see one state of
all tables; folders are layout, not truth. Writers put files down first and then commit: a kill before the commit leaves files
that nobody reads (`vacuum` removes them), a kill after it leaves the new state. Every file and every new name in a folder is flushed to
the disk before the catalogue that leads to it.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from dawnlist.columns import SCHEMA_VERSION
from dawnlist.errors import CorruptedError, MissingInputError, StorageError
from dawnlist.files import link_or_copy, make_folder, replace_file, sha256_of, write_json
from dawnlist.locks import exclusive

if TYPE_CHECKING:
    import duckdb

    from dawnlist.settings import Settings

COMMIT_WAIT_SECONDS = 120
ROW_GROUP_SIZE = 122_880  # DuckDB's default
# Of a day's file: nearly always the whole day, so that its bytes do not depend on where its rows lay in the table that it was written from.
DAY_ROW_GROUP_SIZE = 1 << 20
DICTIONARY_SIZE = 10_000  # values; larger dictionaries cost more work than they save bytes
LEFTOVERS = ("*/.*.tmp", "*/event_date=*/.*.tmp", ".catalog.json.*", "_catalogs/.*", "*/_manifests/.*")  # what a killed write leaves aside


@dataclass(frozen=True, order=True)
class DataFile:
    """One Parquet file of a table version. `path` is relative to the lake's root; `partition` is an ISO date, or '' where there is none."""

    path: str
    rows: int
    bytes: int
    sha256: str
    partition: str = ""


@dataclass(frozen=True)
class TableVersion:
    """One version of one table, as its manifest says it."""

    version: int
    files: tuple[DataFile, ...]
    run_id: str
    attempt: int = 1
    schema_version: int = SCHEMA_VERSION

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)


@dataclass(frozen=True)
class Snapshot:
    """One state of all tables."""

    root: Path
    version: int
    tables: Mapping[str, TableVersion] = field(default_factory=dict)

    def __contains__(self, table: str) -> bool:
        return table in self.tables

    def files(self, table: str, *, since: date | None = None, until: date | None = None) -> list[Path]:
        """Absolute paths of the table's files, with `since <= partition < until` where given; none for a table that does not exist yet."""
        return [
            self.root / file.path
            for file in self.data_files(table)
            if (since is None or file.partition >= since.isoformat()) and (until is None or file.partition < until.isoformat())
        ]

    def data_files(self, table: str) -> tuple[DataFile, ...]:
        return self.tables[table].files if table in self.tables else ()

    def rows(self, table: str) -> int:
        return self.tables[table].rows if table in self.tables else 0

    def require(self, table: str, *, stage: str) -> list[Path]:
        """Like `files`, but a table that does not exist is a MissingInputError that names the stage to run first."""
        if table not in self.tables:
            raise MissingInputError(f"{self.root} has no table {table}: run `dawnlist {stage}` for this night first.")
        return self.files(table)

    def changed_partitions(self, table: str, *, since: "Snapshot") -> list[str]:
        """The partitions of `table` whose files differ between `since` and this state, new and vanished ones included, in order."""
        mine, theirs = ({(file.partition, file.sha256) for file in state.data_files(table)} for state in (self, since))
        return sorted({partition for partition, _ in mine ^ theirs})

    def verify(self) -> None:
        """Raises CorruptedError when a file of this state is missing or differs from its hash."""
        for table, version in self.tables.items():
            for file in version.files:
                path = self.root / file.path
                if not path.is_file() or sha256_of(path) != file.sha256:
                    raise CorruptedError(
                        f"{path} of table {table} is missing or differs from its manifest. Restore it from a backup, or ingest its days again."
                    )


class Lake:
    """A set of tables under one root."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def snapshot(self, version: int | None = None) -> Snapshot:
        """The current state, or the kept state `version`; 0 is the empty lake. Raises CorruptedError for a state that cannot be read."""
        path = self._catalog_path(version) if version else self.root / "catalog.json"
        if version and not path.exists():
            raise MissingInputError(f"{self.root} no longer keeps version {version} of its tables.")
        if version == 0 or not path.exists():
            return Snapshot(self.root, 0)
        catalog = _read_json(path)
        return Snapshot(self.root, catalog["version"], {name: self._read_manifest(name, number) for name, number in catalog["tables"].items()})

    def write(self, connection: "duckdb.DuckDBPyConnection", table: str, query: str, *, partition: date | None = None) -> DataFile | None:
        """Write the rows of `query` as one file of `table`, not yet visible; None when there are no rows.

        The query must give its rows in one order: the file's name is the hash of its bytes.
        """
        folder = self.root / table / (f"event_date={partition}" if partition else "")
        make_folder(folder)
        aside = folder / f".{uuid4().hex}.tmp"
        try:
            # Through a table: the writer's bytes depend on how rows lie in memory, and a table's scan always lays them out alike.
            connection.execute(f"CREATE OR REPLACE TEMP TABLE _written AS {query}")
            columns = [f'"{name}"' for name, *_ in connection.execute("FROM _written LIMIT 0").description or ()]
            rows = _copy(connection, "_written", dict(zip(columns, columns, strict=True)), aside, DAY_ROW_GROUP_SIZE if partition else ROW_GROUP_SIZE)
            if not rows:
                return None
            return self.adopt(table, aside, rows=rows, partition=partition)
        finally:
            connection.execute("DROP TABLE IF EXISTS temp._written")
            aside.unlink(missing_ok=True)

    def write_day(self, connection: "duckdb.DuckDBPyConnection", table: str, own: str, *, partition: date) -> DataFile:
        """Like `write` for one day (with rows) of a DuckDB table that has the columns of `table` and is sorted: `own` is its name and the day's condition."""
        columns = [f'"{name}"' for name, *_ in connection.execute(f"FROM {own} LIMIT 0").description or ()]
        with self._aside(table, partition) as aside:
            return self.adopt(table, aside, rows=copy_day(connection, own, dict(zip(columns, columns, strict=True)), aside), partition=partition)

    def adopt(self, table: str, aside: Path, *, rows: int, partition: date | None = None) -> DataFile:
        """Move a finished Parquet file of `rows` rows into `table`'s folder under its content's name; not yet visible."""
        digest = sha256_of(aside)
        folder = self.root / table / (f"event_date={partition}" if partition else "")
        make_folder(folder)
        target = folder / f"{digest}.parquet"
        size = aside.stat().st_size
        replace_file(aside, target)
        return DataFile(str(target.relative_to(self.root)), rows, size, digest, partition.isoformat() if partition else "")

    def take(self, table: str, finished: Path, *, rows: int, partition: date) -> DataFile:
        """Like `adopt`, but `finished` stays where it is, too: a link where the file system has them, else a copy."""
        with self._aside(table, partition) as aside:
            link_or_copy(finished, aside)
            return self.adopt(table, aside, rows=rows, partition=partition)

    @contextmanager
    def _aside(self, table: str, partition: date) -> Iterator[Path]:
        """A hidden name in a day's folder; what is left there in the end is removed."""
        folder = self.root / table / f"event_date={partition}"
        make_folder(folder)
        aside = folder / f".{uuid4().hex}.tmp"
        try:
            yield aside
        finally:
            aside.unlink(missing_ok=True)

    def preview(self, changes: Mapping[str, Iterable[DataFile]], *, run_id: str) -> Snapshot:
        """The state that `commit` would make, without making it: what a gate looks at."""
        current = self.snapshot()
        new = {name: TableVersion(current.version + 1, tuple(sorted(files)), run_id) for name, files in changes.items()}
        return Snapshot(self.root, current.version + 1, {**current.tables, **new})

    def commit(self, changes: Mapping[str, Iterable[DataFile]], *, run_id: str, attempt: int = 1) -> Snapshot:
        """Make `changes` (table -> all its files from now on) visible in one step. Tables not named stay as they are.

        Raises StorageError, and leaves the state as it was, when a file is gone that was written for it.
        """
        with exclusive(self.root / ".commit.lock", wait_seconds=COMMIT_WAIT_SECONDS):
            current = self.snapshot()
            number = current.version + 1
            tables = {name: version.version for name, version in current.tables.items()}
            for name, files in changes.items():
                version = TableVersion(number, tuple(sorted(files)), run_id, attempt)
                self._refuse_missing(set(version.files) - set(current.data_files(name)))
                write_json(self._manifest_path(name, number), {"table": name, **asdict(version)})
                tables[name] = number
            catalog = {"version": number, "tables": tables, "run_id": run_id}
            write_json(self._catalog_path(number), catalog)
            write_json(self.root / "catalog.json", catalog)
            return self.snapshot()

    def append(self, table: str, file: DataFile | None, *, run_id: str) -> Snapshot:
        """Add one file to `table`, beside whatever another writer adds to other tables."""
        with exclusive(self.root / f".{table}.append.lock", wait_seconds=COMMIT_WAIT_SECONDS):
            current = self.snapshot()
            return current if file is None else self.commit({table: {*current.data_files(table), file}}, run_id=run_id)

    def vacuum(self, *, keep: int, pinned: Iterable[int] = ()) -> int:
        """Remove what neither the last `keep` states nor the `pinned` ones need, and what killed writers left. Returns the number of data files removed.

        Nothing may be writing: call it while holding the lake's writer lock.
        """
        with exclusive(self.root / ".commit.lock", wait_seconds=COMMIT_WAIT_SECONDS):
            current = self.snapshot().version
            wanted = set(range(max(1, current - keep + 1), current + 1)) | set(pinned)
            kept = [self.snapshot(number) for number in sorted(wanted) if self._catalog_path(number).exists()]
            manifests = {(name, version.version) for snapshot in kept for name, version in snapshot.tables.items()}
            data = {self.root / file.path for snapshot in kept for version in snapshot.tables.values() for file in version.files}
            removed = _unlink(path for path in self.root.glob("*/**/*.parquet") if path not in data and "staged" not in path.relative_to(self.root).parts)
            _unlink(path for path in self.root.glob("*/_manifests/*.json") if (path.parts[-3], int(path.stem)) not in manifests)
            _unlink(path for path in self.root.glob("_catalogs/*.json") if int(path.stem) not in wanted)
            _unlink(path for pattern in LEFTOVERS for path in self.root.glob(pattern))
            return removed

    def _refuse_missing(self, files: Iterable[DataFile]) -> None:
        missing = [file.path for file in files if not (self.root / file.path).is_file()]
        if missing:
            raise StorageError(f"{self.root / min(missing)} was removed before it was committed. Nothing was changed: run this again.")

    def _catalog_path(self, version: int) -> Path:
        return self.root / "_catalogs" / f"{version:08d}.json"

    def _manifest_path(self, table: str, version: int) -> Path:
        return self.root / table / "_manifests" / f"{version:08d}.json"

    def _read_manifest(self, table: str, version: int) -> TableVersion:
        document = _read_json(self._manifest_path(table, version))
        files = tuple(DataFile(**file) for file in document["files"])
        return TableVersion(document["version"], files, document["run_id"], document["attempt"], document["schema_version"])


def in_groups(rows: Mapping[date, int], most: int) -> Iterator[list[date]]:
    """The days in their order, in groups whose `rows` are held in memory together: up to `most`, or one day."""
    days: list[date] = []
    for day in rows:
        if days and sum(rows[one] for one in [*days, day]) > most:
            yield days
            days = []
        days.append(day)
    if days:
        yield days


def copy_day(connection: "duckdb.DuckDBPyConnection", own: str, values: Mapping[str, str], target: Path) -> int:
    """Write one day's rows with the bytes that `Lake.write` gives them. Returns how many there were. `own`: a DuckDB table that has them in their order, and a condition that
    finds them; `values`: each column as an expression.
    """
    row = connection.execute(f"SELECT count(*) FROM {own}").fetchone()
    if row and row[0] > DAY_ROW_GROUP_SIZE:
        selected = ", ".join(f"{value} AS {name}" for name, value in values.items())
        connection.execute(f"CREATE OR REPLACE TEMP TABLE _written AS SELECT {selected} FROM {own}")
        own, values = "_written", {name: name for name in values}
    rows = _copy(connection, own, values, target, DAY_ROW_GROUP_SIZE)
    connection.execute("DROP TABLE IF EXISTS temp._written")
    return rows


def _copy(connection: "duckdb.DuckDBPyConnection", relation: str, values: Mapping[str, str], target: Path, row_group_size: int) -> int:
    """Write rows as Parquet, as all of the lake is written. Returns how many there were.

    All columns may be NULL in the file: left alone, the writer makes those required that the table has no NULL in.
    """
    path = str(target).replace("'", "''")
    query = f"SELECT {', '.join(f'try({value}) AS {name}' for name, value in values.items())} FROM {relation}"
    options = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {row_group_size}, DICTIONARY_SIZE_LIMIT {DICTIONARY_SIZE}"
    copied = connection.execute(f"COPY ({query}) TO '{path}' ({options})").fetchone()
    return copied[0] if copied else 0


def changed_days(settings: "Settings", since_version: int, until_version: int | None = None) -> list[date]:
    """The UTC days whose events differ between two states of the lake, in order: what was made of any other day still holds.

    `since_version` is the state that downstream has used (0 = none yet: all days), `until_version` the current state when it is None. A day
    counts when its rows differ: events that came late, or that left it because another day has the event now. Raises MissingInputError
    when the lake no longer keeps `since_version`: then every day is to be made again.
    """
    lake = Lake(settings.lake_dir)
    return [date.fromisoformat(day) for day in lake.snapshot(until_version).changed_partitions("events", since=lake.snapshot(since_version))]


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError) as error:
        raise CorruptedError(f"{path} is missing or damaged. Restore it from a backup; `_catalogs` beside the tables has the states before.") from error


def _unlink(paths: Iterable[Path]) -> int:
    removed = list(paths)
    for path in removed:
        path.unlink()
    return len(removed)
