"""From landed files to a staged batch: mapped, typed, pseudonymous, one row per key; what cannot be read is set aside with its reason.

    lake/staged/<batch_id>/{events,items,customers,consents}.parquet   the lake's columns and `file_id`; of a large batch also events.1.parquet, …
                           doubles-<input>.parquet                    rows whose key a row above has: one of them steps in when that breaks a row rule
                           quarantine-<input>.parquet                 as dawnlist.columns.QUARANTINE
                           key_links-<input>.parquet                  as dawnlist.columns.KEY_LINKS, while two keys overlap
                           batch.json                                 files, counts, interval: written last

A batch is made aside and renamed when it is whole. Nothing of it is in the lake until it is promoted (`dawnlist.promote`).
"""

import gzip
import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from dawnlist import duck, landing, mapping
from dawnlist.columns import INPUT_KEYS, LEDGER, QUARANTINE
from dawnlist.errors import ColumnsError, UnreadableFileError
from dawnlist.files import make_folder, place_folder, remove_folder, write_json
from dawnlist.lake import Lake
from dawnlist.landing import LandedFile
from dawnlist.privacy import Key
from dawnlist.settings import Settings
from dawnlist.sources import Input, InputSpec, Source

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

REASON_SEPARATOR = ": "
# What is held in memory at a time. A row takes about twice its bytes in CSV.
CHUNK_BYTES = 512 << 20
UNPACKED_SIZE = 6  # about how many times its size a packed text or Parquet file unpacks to
PLAIN = (".csv", ".json", ".jsonl", ".ndjson", ".txt", ".tsv")
# Read a few times and removed: as few bytes as cost little work.
STAGED_FORMAT = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, DICTIONARY_SIZE_LIMIT 100"
NUMBERED_REJECTS = "('missing columns', 'too many columns')"  # lines that a reader of whole lines counts


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
        return sorted(self.folder.glob(f"{kind}.*parquet"))


def ingested(settings: Settings, source: str) -> set[tuple[str, str]]:
    """(input, file_id) of every file of the source that the lake's ledger has."""
    files = Lake(settings.lake_dir).snapshot().files("ledger")
    with duck.connect(settings) as connection:
        rows = connection.execute(f"SELECT DISTINCT input, file_id FROM {duck.scan(files, LEDGER)} WHERE source = ?", [source]).fetchall()
    return {(row[0], row[1]) for row in rows}


def staged(settings: Settings, *, source: str | None = None, interval: str | None = None) -> list[Batch]:
    """The batches that wait to be promoted, in the order of their ids."""
    batches = []
    for path in sorted(settings.staged_dir.glob("[!.]*/batch.json")):
        with suppress(FileNotFoundError):  # promoted meanwhile
            batches.append(Batch.read(path.parent))
    return [batch for batch in batches if source in (None, batch.source) and interval in (None, batch.interval)]


def content_order(kind: str) -> str:
    """How rows with one key compete, in a batch and in the lake alike: the first stays. Of events the earliest, then the smaller content."""
    columns = ("occurred_at", *mapping.TYPES[kind]) if kind == "events" else mapping.TYPES[kind]
    return ", ".join(f"{name} NULLS LAST" for name in columns)


def clear_leftovers(settings: Settings) -> None:
    """Remove what a killed run left of a batch. The caller holds the lock of staging."""
    for path in settings.staged_dir.glob(".*"):
        shutil.rmtree(path)


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
    make_folder(aside)
    try:
        with landing.at_hand(settings, files):
            counts = [
                count for kind in source.inputs for count in _stage_input(settings, source, kind, [file for file in files if file.input == kind], key, aside)
            ]
        write_json(aside / "batch.json", {"batch_id": batch_id, "source": source.name, "interval": interval, "files": counts})
        for superseded in staged(settings, source=source.name, interval=interval):
            remove_folder(superseded.folder)
        place_folder(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return Batch.read(folder)


def _batch_id(source: Source, files: Sequence[LandedFile], key: Key, interval: str) -> str:
    content = [source.model_dump_json(), key.key_id, key.previous.key_id if key.previous else "", *sorted(f"{file.input} {file.file_id}" for file in files)]
    return f"{source.name}-{interval}-{hashlib.sha256(chr(10).join(content).encode()).hexdigest()[:12]}".replace(":", "")


def _stage_input(settings: Settings, source: Source, kind: Input, files: Sequence[LandedFile], key: Key, folder: Path) -> list[dict[str, Any]]:
    if not files:
        return []
    with duck.connect(settings) as connection, readable(files):
        connection.execute("SET preserve_insertion_order = false")
        connection.execute("SET temp_file_encryption = true")  # raw ids may spill
        key.define_macro(connection)
        if key.previous:
            key.previous.define_macro(connection, "previous_pseudonym")
        connection.execute("CREATE TABLE landed (number INTEGER, file VARCHAR, file_id VARCHAR, file_name VARCHAR, file_time TIMESTAMP)")
        rows = [(number, str(file.path), file.file_id, file.name, file.file_time) for number, file in enumerate(files)]
        connection.executemany("INSERT INTO landed VALUES (?, ?, ?, ?, ?)", rows)
        connection.execute("CREATE TABLE pseudonyms (kind VARCHAR, id VARCHAR, message VARCHAR, pseudonym VARCHAR)")
        connection.execute("CREATE TABLE rejected (number INTEGER, line BIGINT, kind VARCHAR)")
        connection.execute("CREATE TABLE problems (number INTEGER, line BIGINT, problem VARCHAR)")
        connection.execute("CREATE TABLE read (number INTEGER, n BIGINT, n_ignored BIGINT, n_bad BIGINT)")
        connection.execute("CREATE TABLE doubles (file_id VARCHAR, n BIGINT)")
        parts: list[Path] = []
        for chunk in _chunks(files):
            parts.append(folder / (f"{kind}.{len(parts)}.parquet" if parts else f"{kind}.parquet"))
            _stage_chunk(settings, connection, source, kind, files, chunk, key, parts[-1])
        if len(parts) > 1:
            _drop_doubles(connection, kind, parts)
        _write_key_links(connection, kind, key, folder)
        _write_quarantine(connection, source, kind, folder)
        return _counts(connection, kind, files)


def _chunks(files: Sequence[LandedFile]) -> Iterator[list[int]]:
    """The positions of the files in their order, in groups that are held in memory together: each of up to CHUNK_BYTES, or of one file."""
    chunk: list[int] = []
    size = 0
    for number, file in enumerate(files):
        own = file.path.stat().st_size * (1 if file.path.suffix in PLAIN else UNPACKED_SIZE)
        if chunk and size + own > CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
        chunk.append(number)
        size += own
    yield chunk


def _stage_chunk(
    settings: Settings,
    connection: "duckdb.DuckDBPyConnection",
    source: Source,
    kind: Input,
    files: Sequence[LandedFile],
    chunk: Sequence[int],
    key: Key,
    target: Path,
) -> None:
    """Map the records of a chunk of `files`, and write those that can be read, one row per key."""
    spec = source.inputs[kind]
    line_text = {"jsonl": "row_text", "csv": f"replace(row_text, '\x1f', {duck.literal(spec.delimiter)})", "parquet": "NULL"}[spec.format]
    columns = ["file_id AS number", "is_ignored", "problem", f"CASE WHEN problem IS NOT NULL THEN {line_text} END::VARCHAR AS line_text"]
    columns += mapping.filled_columns(source, kind)
    if _is_hashed(source, kind):
        columns += ["row_text", "part"]
    mapped = _mapped(settings, source, kind, _groups(spec, [files[number] for number in chunk]), key)
    connection.execute(f"CREATE OR REPLACE TABLE mapped AS SELECT {', '.join(columns)} FROM ({mapped})")
    if _is_hashed(source, kind):
        _number_equal_rows(connection, source, key)
    _set_rejects_aside(connection, spec, chunk)
    connection.execute(
        "INSERT INTO read SELECT number, count(*), count(*) FILTER (is_ignored), count(*) FILTER (NOT is_ignored AND problem IS NOT NULL) FROM mapped GROUP BY number"
    )
    _write_rows(connection, source, kind, key, target)
    _find_problems(settings, connection, source, kind, files, chunk, key)


@dataclass(frozen=True)
class _Group:
    files: tuple[Path, ...]
    header: tuple[str, ...] = ()
    line_end: str = ""


def _groups(spec: InputSpec, files: Sequence[LandedFile]) -> list[_Group]:
    if spec.format == "jsonl":
        return [_Group(tuple(file.path for file in files))]
    groups: dict[tuple[tuple[str, ...], str], list[Path]] = {}
    for file in files:
        header, variant = _shape_of(spec, file)
        for wanted in spec.required_origins:
            if not set(wanted) & set(header):
                raise ColumnsError(
                    f"{file.place} has no column {' or '.join(map(repr, wanted))}; it has {', '.join(header)}. If it was renamed, add the new name to the source's YAML."
                )
        doubled = sorted(name for name in spec.named if header.count(name) > 1)
        if doubled:
            raise ColumnsError(f"{file.place} has two columns {doubled[0]!r}: which one is meant? Have it landed with names that differ.")
        groups.setdefault((header, variant), []).append(file.path)
    return [_Group(tuple(paths), header, variant if spec.format == "csv" else "") for (header, variant), paths in groups.items()]


def header_of(spec: InputSpec, file: LandedFile) -> tuple[str, ...]:
    """Column names of a CSV or Parquet file; the fields of a Parquet struct are `struct.field`."""
    return _shape_of(spec, file)[0]


def _shape_of(spec: InputSpec, file: LandedFile) -> tuple[tuple[str, ...], str]:
    """Column names, and what else keeps files from being read together: the types of a Parquet file, so that no value depends on what else
    landed, and the line ends of a CSV file. The first record of a CSV file is read by the standard library: DuckDB takes a line end
    inside its quotes for the file's.
    """
    if spec.format == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            schema = pq.read_schema(file.path)
        except (pa.ArrowInvalid, OSError) as error:
            raise UnreadableFileError(
                f"{file.place} cannot be read: it is truncated, or no Parquet file. Land it again whole, or take it out of landing."
            ) from error
        return tuple(_names(schema)), schema.to_string(show_schema_metadata=False, show_field_metadata=False)
    import csv
    import io

    dialect: dict[str, Any] = {"quotechar": spec.quote} if spec.quote else {"quoting": csv.QUOTE_NONE}
    if spec.escape not in (None, spec.quote):
        dialect |= {"escapechar": spec.escape, "doublequote": False}
    lines: list[str] = []
    with io.TextIOWrapper(opened(file.path), encoding=spec.encoding, newline="") as stream:
        first = next(csv.reader(_noted(stream, lines), delimiter=spec.delimiter, **dialect), [])
    if not lines:  # an empty file lacks nothing: it has no records
        return spec.header or tuple(sorted(spec.named)), ""
    return tuple(name.strip().removeprefix("\ufeff") for name in spec.header or first), lines[-1][len(lines[-1].rstrip("\r\n")) :]


def _noted(stream: Iterable[str], lines: list[str]) -> Iterator[str]:
    for line in stream:
        lines.append(line)
        yield line


def _names(fields: "Iterable[pa.Field]", prefix: str = "") -> Iterator[str]:
    import pyarrow as pa

    for field in fields:
        yield prefix + field.name
        if pa.types.is_struct(field.type):
            yield from _names(field.type, f"{prefix}{field.name}.")


def opened(path: Path) -> Any:
    """The unpacked bytes of a landed file: gzip and zstd go by its ending."""
    if path.suffix == ".gz":
        return gzip.open(path)
    if path.suffix == ".zst":
        import pyarrow as pa

        return pa.CompressedInputStream(pa.OSFile(str(path)), "zstd")
    return path.open("rb")


def _mapped(settings: Settings, source: Source, kind: Input, groups: Sequence[_Group], key: Key, *, is_numbered: bool = False) -> str:
    spec = source.inputs[kind]
    relations = [mapping.raw_relation(spec, group.files, group.header, line_end=group.line_end, is_numbered=is_numbered) for group in groups]
    records = " UNION ALL BY NAME ".join(f"({mapping.records_query(spec, relation, group.header)})" for relation, group in zip(relations, groups, strict=True))
    of_files = f"(SELECT records.*, number AS file_id, file_time, 1 AS occurrence FROM ({records}) AS records JOIN landed USING (file))"
    return mapping.mapped_query(source, kind, of_files, salt=key.salt, max_lateness_days=settings.ingest.max_lateness_days)


def _is_hashed(source: Source, kind: Input) -> bool:
    """Whether a record's id is the hash of its row and of its number among the equal rows of its file."""
    spec = source.inputs[kind]
    return kind == "events" and "event_id" not in spec.columns and not spec.equal_rows_are_duplicates


def _number_equal_rows(connection: "duckdb.DuckDBPyConnection", source: Source, key: Key) -> None:
    """Every record has the id of the first of its equals: give the second its own, and so on."""
    connection.execute("""
        CREATE OR REPLACE TABLE equals AS
        SELECT mapped.rowid AS row, row_number() OVER (PARTITION BY number, event_id) AS occurrence
        FROM mapped SEMI JOIN (SELECT number, event_id FROM mapped GROUP BY ALL HAVING count(*) > 1) USING (number, event_id)
    """)
    event_id = mapping.row_hash(source, salt=key.salt)
    connection.execute(f"UPDATE mapped SET event_id = {event_id} FROM equals WHERE mapped.rowid = equals.row AND equals.occurrence > 1")


def _set_rejects_aside(connection: "duckdb.DuckDBPyConnection", spec: InputSpec, chunk: Sequence[int]) -> None:
    if spec.format == "parquet":
        return
    # One bad line may be reported once per column. The header is line 1 of a CSV file, and the reader counts it.
    connection.execute(
        "INSERT INTO rejected SELECT number, line, lower(any_value(error_type)::VARCHAR) FROM reject_errors "
        f"JOIN reject_scans USING (scan_id, file_id) JOIN landed ON file = file_path WHERE number IN ({', '.join(map(str, chunk))}) GROUP BY number, line"
    )


def _write_rows(connection: "duckdb.DuckDBPyConnection", source: Source, kind: Input, key: Key, target: Path) -> None:
    """Pseudonyms for the distinct ids, then one row per key: of rows with one key the first by content."""
    filled = mapping.filled_columns(source, kind)
    people = [name for name in mapping.PEOPLE if name in filled]
    namespace = {"user_id": source.user_namespace, "anonymous_id": source.user_namespace + "anonymous:"}
    for name in people:
        new = f"SELECT DISTINCT {name} AS id FROM mapped WHERE id IS NOT NULL AND id NOT IN (SELECT id FROM pseudonyms WHERE kind = '{name}')"
        connection.execute(f"INSERT INTO pseudonyms SELECT '{name}', id, {duck.literal(namespace[name])} || id AS message, pseudonym(message) FROM ({new})")
    keys, good = [name for name in INPUT_KEYS[kind] if name != "source"], "NOT is_ignored AND problem IS NULL"
    doubled = f"SELECT hash({', '.join(keys)}) AS h FROM mapped WHERE {good} GROUP BY h HAVING count(*) > 1"
    rivals = f"SELECT rowid AS row, * FROM mapped WHERE {good} AND hash({', '.join(keys)}) IN ({doubled})"
    connection.execute(
        f"CREATE OR REPLACE TABLE losers AS SELECT row, file_id FROM ({_keyed(source, kind, key, rivals, people)}) "
        f"QUALIFY row_number() OVER (PARTITION BY {', '.join(keys)} ORDER BY {content_order(kind)}, file_id, row) > 1"
    )
    connection.execute("INSERT INTO doubles SELECT file_id, count(*) FROM losers GROUP BY file_id")
    for test, path in (("NOT IN", target), ("IN", target.with_name(f"doubles-{target.name}"))):
        rows = f"SELECT rowid AS row, * FROM mapped WHERE {good} AND rowid {test} (SELECT row FROM losers)"
        connection.execute(f"COPY (SELECT * EXCLUDE (row) FROM ({_keyed(source, kind, key, rows, people)})) TO {duck.literal(str(path))} ({STAGED_FORMAT})")


def _keyed(source: Source, kind: Input, key: Key, rows: str, people: Sequence[str]) -> str:
    """A query for `rows` of `mapped` as the lake has them, with `file_id` and `row`: pseudonyms in the place of people's ids."""
    columns = mapping.TYPES[kind]
    values = dict.fromkeys(columns, "NULL") | {name: f"good.{name}" for name in mapping.filled_columns(source, kind)}
    values |= {name: f"{name}s.pseudonym" for name in people}
    values |= {"source": duck.literal(source.name), "key_id": duck.literal(key.key_id), "event_date": "good.occurred_at::DATE"}
    selected = ", ".join(f"({values[name]})::{kind} AS {name}" for name, kind in columns.items())
    joins = " ".join(f"LEFT JOIN (SELECT id, pseudonym FROM pseudonyms WHERE kind = '{name}') AS {name}s ON {name}s.id = good.{name}" for name in people)
    return f"SELECT {selected}, landed.file_id, good.row FROM ({rows}) AS good JOIN landed USING (number) {joins}"


def _drop_doubles(connection: "duckdb.DuckDBPyConnection", kind: Input, parts: Sequence[Path]) -> None:
    """Of rows of several parts with one key the first by content stays; parts that have others are written again without them."""
    keys = ", ".join(INPUT_KEYS[kind])
    connection.execute(f"CREATE OR REPLACE TABLE doubled AS SELECT hash({keys}) AS h FROM read_parquet({duck.path_list(parts)}) GROUP BY h HAVING count(*) > 1")
    if not connection.execute("SELECT 1 FROM doubled LIMIT 1").fetchall():
        return
    rows = f"read_parquet({duck.path_list(parts)}, filename = true, file_row_number = true)"
    connection.execute(
        f"CREATE OR REPLACE TABLE losers AS SELECT filename, file_row_number, file_id FROM {rows} WHERE hash({keys}) IN (SELECT h FROM doubled) "
        f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {content_order(kind)}, file_id, filename, file_row_number) > 1"
    )
    connection.execute("INSERT INTO doubles SELECT file_id, count(*) FROM losers GROUP BY file_id")
    for part in (Path(row[0]) for row in connection.execute("SELECT DISTINCT filename FROM losers ORDER BY 1").fetchall()):
        rows = f"SELECT * EXCLUDE (file_row_number) FROM read_parquet({duck.literal(str(part))}, file_row_number = true)"
        own, kept = f"(SELECT file_row_number FROM losers WHERE filename = {duck.literal(str(part))})", part.with_suffix(".new")
        for test, path in (("NOT IN", kept), ("IN", part.with_name(f"doubles-{part.stem}.crossing.parquet"))):
            connection.execute(f"COPY ({rows} WHERE file_row_number {test} {own}) TO {duck.literal(str(path))} ({STAGED_FORMAT})")
        kept.replace(part)


def _write_key_links(connection: "duckdb.DuckDBPyConnection", kind: Input, key: Key, folder: Path) -> None:
    """While two keys overlap: every id of the batch under both. Ids of records that quarantine takes too: they may be replayed after the overlap."""
    if key.previous is None or not set(mapping.PEOPLE) & set(mapping.TYPES[kind]):
        return
    query = (
        f"SELECT pseudonym AS id, {duck.literal(key.key_id)} AS key_id, previous_pseudonym(message) AS previous_id, "
        f"{duck.literal(key.previous.key_id)} AS previous_key_id FROM pseudonyms ORDER BY id"
    )
    connection.execute(f"COPY ({query}) TO {duck.literal(str(folder / f'key_links-{kind}.parquet'))} (FORMAT parquet)")


def _find_problems(
    settings: Settings, connection: "duckdb.DuckDBPyConnection", source: Source, kind: Input, files: Sequence[LandedFile], chunk: Sequence[int], key: Key
) -> None:
    """The line of each record that could not be read. Only files with such records are read again, in order, for their line numbers."""
    connection.execute(
        "CREATE OR REPLACE TABLE bad AS SELECT number, line_text, problem, count(*) AS n FROM mapped WHERE NOT is_ignored AND problem IS NOT NULL GROUP BY ALL"
    )
    numbers = [row[0] for row in connection.execute("SELECT DISTINCT number FROM bad ORDER BY number").fetchall()]

    def find(number: int) -> None:
        spec, file = source.inputs[kind], files[number]
        with duck.cursor(connection) as cursor:
            if not _locate(cursor, spec, file, number):
                cursor.execute(f"INSERT INTO problems {_numbered_problems(settings, source, kind, file, number, key)}")

    with ThreadPoolExecutor(duck.threads(settings)) as pool:
        list(pool.map(find, numbers))


def _locate(connection: "duckdb.DuckDBPyConnection", spec: InputSpec, file: LandedFile, number: int) -> bool:
    """Look for the lines with the text of the bad records, which is far cheaper than to map the file again. False, and nothing done, when
    that does not find them all: values stand in quotes, say.
    """
    if spec.format == "parquet" or connection.execute(f"SELECT 1 FROM rejected WHERE number = {number} AND kind NOT IN {NUMBERED_REJECTS} LIMIT 1").fetchall():
        return False
    own = f"(SELECT * FROM bad WHERE number = {number})"
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE located AS SELECT line, text, problem, n FROM {mapping.lines(spec, file.path)} JOIN {own} ON text = line_text"
    )
    per_line = "SELECT line, problem, n / count(*) OVER (PARTITION BY text, problem) AS n FROM located"
    wanted, found, is_even = connection.execute(f"SELECT (SELECT sum(n) FROM {own}), sum(n), bool_and(n = n::BIGINT) FROM ({per_line})").fetchall()[0]
    if wanted != found or not is_even:
        return False
    connection.execute(f"INSERT INTO problems SELECT {number}, line, problem FROM (SELECT line, problem, unnest(range(n::BIGINT)) FROM ({per_line}))")
    return True


def _numbered_problems(settings: Settings, source: Source, kind: Input, file: LandedFile, number: int, key: Key) -> str:
    """A query for the problems of one file with their line numbers.

    A CSV reader leaves rejected lines out before it numbers the others, and a header is line 1: the n-th record that it gives is the
    n-th line after the header that was not rejected.
    """
    spec = source.inputs[kind]
    query = f"SELECT file_id, line, problem FROM ({_mapped(settings, source, kind, _groups(spec, [file]), key, is_numbered=True)}) WHERE NOT is_ignored AND problem IS NOT NULL"
    if spec.format != "csv":
        return query
    rejected = f"SELECT line FROM rejected WHERE number = {number}"
    first = 1 if spec.header else 2
    last = f"(SELECT n + {first - 1} FROM read WHERE number = {number}) + (SELECT count(*) FROM ({rejected}))"
    lines = f"SELECT line AS physical, row_number() OVER (ORDER BY line) AS line FROM (SELECT unnest(range({first}, {last} + 1)) AS line) WHERE line NOT IN ({rejected})"
    return f"SELECT file_id, physical, problem FROM ({query}) JOIN ({lines}) USING (line)"


def _write_quarantine(connection: "duckdb.DuckDBPyConnection", source: Source, kind: Input, folder: Path) -> None:
    """File, line and reason of each record that could not be read."""
    parts = f"split_part(problem, {duck.literal(REASON_SEPARATOR)}, 1) AS field, split_part(problem, {duck.literal(REASON_SEPARATOR)}, 2) AS reason"
    all_problems = "SELECT * FROM problems UNION ALL SELECT number, line, 'row: ' || kind FROM rejected"
    found = f"SELECT {duck.literal(source.name)} AS source, {duck.literal(kind)} AS input, file_id, file_name, line, {parts} FROM ({all_problems}) JOIN landed USING (number)"
    target = duck.literal(str(folder / f"quarantine-{kind}.parquet"))
    connection.execute(f"COPY (SELECT {', '.join(QUARANTINE)} FROM ({found}) ORDER BY file_name, line, field) TO {target} (FORMAT parquet)")


def _counts(connection: "duckdb.DuckDBPyConnection", kind: Input, files: Sequence[LandedFile]) -> list[dict[str, Any]]:
    """Per file: records read = staged + quarantined + duplicates + ignored."""
    rows = connection.execute("""
        WITH rejects AS (SELECT number, count(*) AS n_rejected FROM rejected GROUP BY number),
        doubled AS (SELECT file_id, sum(n)::BIGINT AS n_duplicates FROM doubles GROUP BY file_id)
        SELECT number, coalesce(n, 0) + coalesce(n_rejected, 0), coalesce(n_ignored, 0), coalesce(n_bad, 0) + coalesce(n_rejected, 0), coalesce(n_duplicates, 0)
        FROM landed LEFT JOIN read USING (number) LEFT JOIN rejects USING (number) LEFT JOIN doubled USING (file_id)
    """).fetchall()
    counted = {row[0]: row[1:] for row in rows}
    result = []
    for number, file in enumerate(files):
        n_read, n_ignored, n_quarantined, n_duplicates = counted[number]
        counts = {"n_read": n_read, "n_ignored": n_ignored, "n_quarantined": n_quarantined, "n_duplicates": n_duplicates}
        counts["n_staged"] = n_read - n_ignored - n_quarantined - n_duplicates
        result.append({"input": kind, "name": file.name, "file_id": file.file_id, "file_time": file.file_time and file.file_time.isoformat(), **counts})
    return result


@contextmanager
def readable(files: Sequence[LandedFile]) -> Iterator[None]:
    """Turn the reader's errors into one sentence that names the file. The reader's own text may quote rows, so it is not passed on."""
    import duckdb

    try:
        yield
    except (duckdb.IOException, duckdb.InvalidInputException, gzip.BadGzipFile, EOFError, OSError, UnicodeError) as error:
        text = str(error)
        culprit = next((file.place for file in files if str(file.path) in text), None) or _first_broken(files)
        if culprit is None:
            raise
        raise UnreadableFileError(
            f"{culprit} cannot be read: it is truncated, or not what its ending says. Land it again whole, or take it out of the landing folder."
        ) from error


def _first_broken(files: Sequence[LandedFile]) -> str | None:
    for file in files:
        try:
            with opened(file.path) as stream:
                while stream.read(1 << 20):
                    pass
        except (OSError, EOFError):
            return file.place
    return None
