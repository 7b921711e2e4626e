"""From landed files to a staged batch: mapped, typed, pseudonymous, one row per key; what cannot be read is set aside with its reason.

    lake/staged/<batch_id>/{events,items,customers,consents}.parquet   the lake's columns and `file_id`
                           quarantine.parquet                         as dawnlist.columns.QUARANTINE
                           batch.json                                 files, counts, interval: written last

A batch is made aside and renamed when it is whole. Nothing of it is in the lake until it is promoted (`dawnlist.promote`).
"""

import gzip
import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from dawnlist import duck, mapping
from dawnlist.columns import INPUT_KEYS, LEDGER, QUARANTINE
from dawnlist.errors import ColumnsError, UnreadableFileError
from dawnlist.files import sync, write_json
from dawnlist.lake import Lake
from dawnlist.landing import LandedFile
from dawnlist.privacy import Key
from dawnlist.settings import Settings
from dawnlist.sources import Input, InputSpec, Source

if TYPE_CHECKING:
    import duckdb

REASON_SEPARATOR = ": "


@dataclass(frozen=True)
class Batch:
    """A staged batch, as its batch.json says. `files` have: input, name, file_id, file_time, n_read, n_staged, n_quarantined, n_duplicates, n_ignored."""

    folder: Path
    batch_id: str
    source: str
    interval: str
    files: tuple[dict[str, Any], ...]

    @classmethod
    def read(cls, folder: Path) -> "Batch":
        document = json.loads((folder / "batch.json").read_text(encoding="utf-8"))
        return cls(folder, document["batch_id"], document["source"], document["interval"], tuple(document["files"]))

    def total(self, count: str) -> int:
        return sum(file[count] for file in self.files)

    def parquet(self, kind: str) -> list[Path]:
        path = self.folder / f"{kind}.parquet"
        return [path] if path.exists() else []


def ingested(settings: Settings, source: str) -> set[tuple[str, str]]:
    """(input, file_id) of every file of the source that the lake's ledger has."""
    files = Lake(settings.lake_dir).snapshot().files("ledger")
    with duck.connect(settings) as connection:
        rows = connection.execute(f"SELECT DISTINCT input, file_id FROM {duck.scan(files, LEDGER)} WHERE source = ?", [source]).fetchall()
    return {(row[0], row[1]) for row in rows}


def staged(settings: Settings, *, source: str | None = None, interval: str | None = None) -> list[Batch]:
    """The batches that wait to be promoted, in the order of their ids."""
    batches = [Batch.read(path.parent) for path in sorted(settings.staged_dir.glob("[!.]*/batch.json"))]
    return [batch for batch in batches if source in (None, batch.source) and interval in (None, batch.interval)]


def stage_batch(settings: Settings, source: Source, files: Sequence[LandedFile], *, key: Key, interval: str) -> Batch:
    """Read `files` (not empty) into one staged batch. A batch of the same files and mapping that is there already is taken as it is.

    Raises UnreadableFileError for a file that is truncated or not what its ending says, ColumnsError for one that lacks a mapped
    column; both leave nothing behind.
    """
    batch_id = _batch_id(source, files, key, interval)
    folder = settings.staged_dir / batch_id
    if (folder / "batch.json").exists():
        return Batch.read(folder)
    aside = settings.staged_dir / f".{batch_id}-{uuid4().hex}"
    aside.mkdir(parents=True)
    try:
        counts = [count for kind in source.inputs for count in _stage_input(settings, source, kind, [file for file in files if file.input == kind], key, aside)]
        write_json(aside / "batch.json", {"batch_id": batch_id, "source": source.name, "interval": interval, "files": counts})
        for superseded in staged(settings, source=source.name, interval=interval):
            shutil.rmtree(superseded.folder)
        for path in aside.iterdir():
            sync(path)
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return Batch.read(folder)


def _batch_id(source: Source, files: Sequence[LandedFile], key: Key, interval: str) -> str:
    content = [source.model_dump_json(), key.key_id, *sorted(f"{file.input} {file.file_id}" for file in files)]
    return f"{source.name}-{interval}-{hashlib.sha256(chr(10).join(content).encode()).hexdigest()[:12]}".replace(":", "")


def _stage_input(settings: Settings, source: Source, kind: Input, files: Sequence[LandedFile], key: Key, folder: Path) -> list[dict[str, Any]]:
    if not files:
        return []
    with duck.connect(settings) as connection, _readable(files):
        connection.execute("SET preserve_insertion_order = false")
        connection.execute("SET temp_file_encryption = true")  # raw ids may spill
        key.define_macro(connection)
        connection.execute("CREATE TEMP TABLE landed (file VARCHAR, file_id VARCHAR, file_time TIMESTAMP)")
        connection.executemany("INSERT INTO landed VALUES (?, ?, ?)", [(str(file.path), file.file_id, file.file_time) for file in files])
        spec = source.inputs[kind]
        connection.execute(f"CREATE TEMP TABLE mapped AS {_mapped(settings, source, kind, _groups(spec, files), key)}")
        _set_rejects_aside(connection, spec)
        _write_rows(connection, source, kind, key, folder)
        _write_quarantine(settings, connection, source, kind, files, key, folder)
        return _counts(connection, kind, files)


@dataclass(frozen=True)
class _Group:
    files: tuple[Path, ...]
    header: tuple[str, ...] = ()


def _groups(spec: InputSpec, files: Sequence[LandedFile]) -> list[_Group]:
    if spec.format == "jsonl":
        return [_Group(tuple(file.path for file in files))]
    headers: dict[tuple[str, ...], list[Path]] = {}
    for file in files:
        header = _header(spec, file)
        for wanted in spec.required_origins:
            if not set(wanted) & set(header):
                raise ColumnsError(
                    f"{file.path} has no column {' or '.join(map(repr, wanted))}; it has {', '.join(header)}. If it was renamed, add the new name to the source's YAML."
                )
        headers.setdefault(header, []).append(file.path)
    return [_Group(tuple(paths), header) for header, paths in headers.items()]


def _header(spec: InputSpec, file: LandedFile) -> tuple[str, ...]:
    """Column names of a CSV or Parquet file. CSV: the first record, read by the standard library so that a file of one line counts too."""
    if spec.format == "parquet":
        import pyarrow.parquet as pq

        return tuple(pq.read_schema(file.path).names)
    import csv
    import io

    with io.TextIOWrapper(_opened(file.path), encoding=spec.encoding) as stream:
        line = next(csv.reader(stream, delimiter=spec.delimiter, quotechar=spec.quote), [])
    return tuple(name.strip().removeprefix("\ufeff") for name in line)


def _opened(path: Path) -> Any:
    if path.suffix == ".gz":
        return gzip.open(path)
    if path.suffix == ".zst":
        import pyarrow as pa

        return pa.CompressedInputStream(pa.OSFile(str(path)), "zstd")
    return path.open("rb")


def _mapped(settings: Settings, source: Source, kind: Input, groups: Sequence[_Group], key: Key, *, is_numbered: bool = False) -> str:
    spec = source.inputs[kind]
    relations = [mapping.raw_relation(spec, group.files, group.header, is_numbered=is_numbered) for group in groups]
    records = " UNION ALL BY NAME ".join(f"({mapping.records_query(spec, relation)})" for relation in relations)
    numbered = f"(SELECT records.*, file_id, file_time, {_occurrence(source, kind)} FROM ({records}) AS records JOIN landed USING (file))"
    return mapping.mapped_query(source, kind, numbered, salt=key.salt, max_lateness_days=settings.ingest.max_lateness_days)


def _occurrence(source: Source, kind: Input) -> str:
    """Which of the equal rows of its file a record is: needed only where the hash of the row is its id."""
    spec = source.inputs[kind]
    if kind != "events" or "event_id" in spec.columns or spec.equal_rows_are_duplicates:
        return "1 AS occurrence"
    return "row_number() OVER (PARTITION BY file, row_text, part) AS occurrence"


def _set_rejects_aside(connection: "duckdb.DuckDBPyConnection", spec: InputSpec) -> None:
    if spec.format == "parquet":
        rejected = "SELECT NULL::VARCHAR AS file, NULL::BIGINT AS line, NULL::VARCHAR AS kind WHERE false"
    else:
        # One bad line may be reported once per column. The header is line 1 of a CSV file, and the reader counts it.
        rejected = (
            "SELECT file_path AS file, line, lower(any_value(error_type)::VARCHAR) AS kind FROM reject_errors "
            "JOIN reject_scans USING (scan_id, file_id) GROUP BY file_path, line"
        )
    connection.execute(f"CREATE TEMP TABLE rejected AS SELECT landed.file_id, line, kind FROM ({rejected}) JOIN landed USING (file)")


def _write_rows(connection: "duckdb.DuckDBPyConnection", source: Source, kind: Input, key: Key, folder: Path) -> None:
    """Pseudonyms for the distinct ids, then one row per key: of rows with one key the first by content."""
    columns = mapping.TYPES[kind]
    people = [name for name in mapping.PEOPLE if name in columns]
    namespace = {"user_id": source.user_namespace, "anonymous_id": source.user_namespace + "anonymous:"}
    ids = " UNION ALL ".join(f"SELECT {duck.literal(namespace[name])} || {name} AS message FROM mapped WHERE {name} IS NOT NULL" for name in people)
    if ids:
        connection.execute(f"CREATE TEMP TABLE pseudonyms AS SELECT message, pseudonym(message) AS pseudonym FROM (SELECT DISTINCT message FROM ({ids}))")
    joins = " ".join(f"LEFT JOIN pseudonyms AS {name}s ON {name}s.message = {duck.literal(namespace[name])} || good.{name}" for name in people)
    values = {name: f"good.{name}" for name in columns} | {name: f"{name}s.pseudonym" for name in people}
    values |= {"source": duck.literal(source.name), "key_id": duck.literal(key.key_id), "event_date": "good.occurred_at::DATE"}
    selected = ", ".join(f"({values[name]})::{columns[name]} AS {name}" for name in columns)
    connection.execute(f"CREATE TEMP TABLE keyed AS SELECT {selected}, file_id FROM mapped AS good {joins} WHERE NOT is_ignored AND problem IS NULL")
    if ids:
        connection.execute("DROP TABLE pseudonyms")
    keys = ", ".join(INPUT_KEYS[kind])
    order = ", ".join(f"{name} NULLS LAST" for name in columns)
    connection.execute(
        f"CREATE TEMP TABLE losers AS WITH doubled AS (SELECT {keys} FROM keyed GROUP BY ALL HAVING count(*) > 1) "
        f"SELECT keyed.rowid AS loser FROM keyed SEMI JOIN doubled USING ({keys}) QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {order}, file_id, keyed.rowid) > 1"
    )
    target = duck.literal(str(folder / f"{kind}.parquet"))
    connection.execute(f"COPY (SELECT * FROM keyed ANTI JOIN losers ON keyed.rowid = loser) TO {target} (FORMAT parquet, COMPRESSION zstd)")


def _write_quarantine(
    settings: Settings, connection: "duckdb.DuckDBPyConnection", source: Source, kind: Input, files: Sequence[LandedFile], key: Key, folder: Path
) -> None:
    """File, line and reason of each record that could not be read. Only files with such records are read again, in order, for their line numbers."""
    bad = {row[0] for row in connection.execute("SELECT DISTINCT file_id FROM mapped WHERE NOT is_ignored AND problem IS NOT NULL").fetchall()}
    connection.execute("CREATE TEMP TABLE problems AS SELECT file_id, line, 'row: ' || kind AS problem FROM rejected")
    for file in (file for file in files if file.file_id in bad):
        connection.execute(f"INSERT INTO problems {_numbered_problems(settings, source, kind, file, key)}")
    names = "(VALUES " + ", ".join(f"({duck.literal(file.file_id)}, {duck.literal(file.name)})" for file in files) + ") AS names (file_id, file_name)"
    parts = f"split_part(problem, {duck.literal(REASON_SEPARATOR)}, 1) AS field, split_part(problem, {duck.literal(REASON_SEPARATOR)}, 2) AS reason"
    found = f"SELECT {duck.literal(source.name)} AS source, {duck.literal(kind)} AS input, file_id, file_name, line, {parts} FROM problems JOIN {names} USING (file_id)"
    target = duck.literal(str(folder / f"quarantine-{kind}.parquet"))
    connection.execute(f"COPY (SELECT {', '.join(QUARANTINE)} FROM ({found}) ORDER BY file_name, line, field) TO {target} (FORMAT parquet)")


def _numbered_problems(settings: Settings, source: Source, kind: Input, file: LandedFile, key: Key) -> str:
    """A query for the problems of one file with their line numbers.

    A CSV reader leaves rejected lines out before it numbers the others, and its header is line 1: the n-th record that it gives is the
    n-th line after the header that was not rejected.
    """
    spec = source.inputs[kind]
    query = f"SELECT file_id, line, problem FROM ({_mapped(settings, source, kind, _groups(spec, [file]), key, is_numbered=True)}) WHERE NOT is_ignored AND problem IS NOT NULL"
    if spec.format != "csv":
        return query
    rejected = f"SELECT line FROM rejected WHERE file_id = {duck.literal(file.file_id)}"
    last = f"(SELECT count(*) + 1 FROM mapped WHERE file_id = {duck.literal(file.file_id)}) + (SELECT count(*) FROM ({rejected}))"
    lines = (
        f"SELECT line AS physical, row_number() OVER (ORDER BY line) AS line FROM (SELECT unnest(range(2, {last} + 1)) AS line) WHERE line NOT IN ({rejected})"
    )
    return f"SELECT file_id, physical, problem FROM ({query}) JOIN ({lines}) USING (line)"


def _counts(connection: "duckdb.DuckDBPyConnection", kind: Input, files: Sequence[LandedFile]) -> list[dict[str, Any]]:
    """Per file: records read = staged + quarantined + duplicates + ignored."""
    rows = connection.execute("""
        WITH per_file AS (
            SELECT file_id, count(*) AS n_read, count(*) FILTER (is_ignored) AS n_ignored, count(*) FILTER (NOT is_ignored AND problem IS NOT NULL) AS n_bad
            FROM mapped GROUP BY file_id
        ), rejects AS (SELECT file_id, count(*) AS n FROM rejected GROUP BY file_id
        ), doubles AS (SELECT file_id, count(*) AS n FROM keyed SEMI JOIN losers ON keyed.rowid = loser GROUP BY file_id)
        SELECT landed.file_id, coalesce(n_read, 0) + coalesce(rejects.n, 0), coalesce(n_ignored, 0), coalesce(n_bad, 0) + coalesce(rejects.n, 0), coalesce(doubles.n, 0)
        FROM landed LEFT JOIN per_file USING (file_id) LEFT JOIN rejects USING (file_id) LEFT JOIN doubles USING (file_id)
    """).fetchall()
    counted = {row[0]: row[1:] for row in rows}
    result = []
    for file in files:
        n_read, n_ignored, n_quarantined, n_duplicates = counted[file.file_id]
        counts = {"n_read": n_read, "n_ignored": n_ignored, "n_quarantined": n_quarantined, "n_duplicates": n_duplicates}
        counts["n_staged"] = n_read - n_ignored - n_quarantined - n_duplicates
        result.append({"input": kind, "name": file.name, "file_id": file.file_id, "file_time": file.file_time and file.file_time.isoformat(), **counts})
    return result


@contextmanager
def _readable(files: Sequence[LandedFile]) -> Iterator[None]:
    """Turn the reader's errors into one sentence that names the file. The reader's own text may quote rows, so it is not passed on."""
    import duckdb

    try:
        yield
    except (duckdb.IOException, duckdb.InvalidInputException, gzip.BadGzipFile, EOFError, OSError, UnicodeError) as error:
        text = str(error)
        culprit = next((str(file.path) for file in files if str(file.path) in text), None) or _first_broken(files)
        if culprit is None:
            raise
        raise UnreadableFileError(
            f"{culprit} cannot be read: it is truncated, or not what its ending says. Land it again whole, or take it out of the landing folder."
        ) from error


def _first_broken(files: Sequence[LandedFile]) -> str | None:
    for file in files:
        try:
            with _opened(file.path) as stream:
                while stream.read(1 << 20):
                    pass
        except (OSError, EOFError):
            return str(file.path)
    return None
