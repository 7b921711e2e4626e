"""From landed files to a staged batch: mapped, typed, pseudonymous, one row per key; what cannot be used is set aside with its reason.

    lake/staged/<batch_id>/events.<day>.<chunk>.parquet   the events of one UTC day, as the lake's own file of that day would have them
                           origins.<day>.<chunk>.parquet  the file number of each, in the same order: its place among the batch's event files
                           {items,customers,consents}.<chunk>.parquet   the lake's columns and `file_id`
                           quarantine-<input>.parquet     as dawnlist.columns.QUARANTINE
                           key_links-<input>.parquet      as dawnlist.columns.KEY_LINKS, while two keys overlap
                           batch.json                     files, counts, interval: written last

A batch is made aside and renamed when it is whole. Nothing of it is in the lake until it is promoted (`dawnlist.promote`).
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from dawnlist import duck, landing, mapping, problems, reading, staging
from dawnlist.columns import INPUT_KEYS, LEDGER
from dawnlist.files import make_folder, place_folder, remove_folder, write_json
from dawnlist.lake import Lake
from dawnlist.landing import LandedFile
from dawnlist.privacy import Key
from dawnlist.settings import Settings
from dawnlist.sources import Input, Source
from expectations.rows import ROWS

if TYPE_CHECKING:
    import duckdb

# What is held in memory at a time, in bytes of CSV, of which a row takes about twice. JSON lines repeat the names in each.
CHUNK_BYTES = 512 << 20
JSON_SIZE = 2  # about how many times its size in CSV a record has as JSON
UNPACKED_SIZE = 6  # about how many times its size a packed text or Parquet file unpacks to
PLAIN = (".csv", ".json", ".jsonl", ".ndjson", ".txt", ".tsv")


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


def clear_leftovers(settings: Settings) -> None:
    """Remove what a killed run left of a batch. The caller holds the lock of staging."""
    for path in settings.staged_dir.glob(".*"):
        shutil.rmtree(path)


def stage_batch(settings: Settings, source: Source, files: Sequence[LandedFile], *, key: Key, interval: str) -> Batch:
    """Read `files` (not empty) into one staged batch. A batch of the same files, mapping and rules that is there already is taken as it is.

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
    rules = [repr(ROWS[kind]) for kind in source.inputs]
    content = [
        source.model_dump_json(),
        *rules,
        key.key_id,
        key.previous.key_id if key.previous else "",
        *sorted(f"{file.input} {file.file_id}" for file in files),
    ]
    return f"{source.name}-{interval}-{hashlib.sha256(chr(10).join(content).encode()).hexdigest()[:12]}".replace(":", "")


def _stage_input(settings: Settings, source: Source, kind: Input, files: Sequence[LandedFile], key: Key, folder: Path) -> list[dict[str, Any]]:
    if not files:
        return []
    with duck.connect(settings) as connection, reading.readable(files):
        duck.encrypt_spill(connection)  # raw ids may spill
        duck.keep_memory(connection)
        key.define_macro(connection)
        if key.previous:
            key.previous.define_macro(connection, "previous_pseudonym")
        connection.execute("CREATE TABLE landed (number INTEGER, file VARCHAR, file_id VARCHAR, file_name VARCHAR, file_time TIMESTAMP)")
        rows = [(number, str(file.path), file.file_id, file.name, file.file_time) for number, file in enumerate(files)]
        connection.executemany("INSERT INTO landed VALUES (?, ?, ?, ?, ?)", rows)
        connection.execute("CREATE TABLE rejected (number INTEGER, line BIGINT, kind VARCHAR)")
        connection.execute("CREATE TABLE problems (number INTEGER, line BIGINT, problem VARCHAR)")
        connection.execute("CREATE TABLE read (number INTEGER, n BIGINT, n_ignored BIGINT, n_bad BIGINT)")
        writer = staging.Writer(settings, connection, source, kind, key, folder)
        chunks = list(_chunks(files, 1 / JSON_SIZE if source.inputs[kind].format == "jsonl" else 1))
        for chunk in chunks:
            _map(settings, connection, source, kind, files, chunk, key)
            writer.write_chunk(is_last=chunk is chunks[-1])
            problems.find(settings, connection, source, kind, files, key, ROWS[kind])
            connection.execute("DROP TABLE mapped")  # its memory is the next chunk's
        writer.finish()
        problems.write_quarantine(connection, source, kind, folder)
        return _counts(connection, kind, files)


def _chunks(files: Sequence[LandedFile], weight: float) -> Iterator[list[int]]:
    """The positions of the files in their order, in groups that are held in memory together: each of up to CHUNK_BYTES, or of one file. `weight`:
    the bytes that one byte of the unpacked files counts for.
    """
    chunk: list[int] = []
    size = 0.0
    for number, file in enumerate(files):
        own = weight * file.path.stat().st_size * (1 if file.path.suffix in PLAIN else UNPACKED_SIZE)
        if chunk and size + own > CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0.0
        chunk.append(number)
        size += own
    yield chunk


def _map(
    settings: Settings, connection: "duckdb.DuckDBPyConnection", source: Source, kind: Input, files: Sequence[LandedFile], chunk: Sequence[int], key: Key
) -> None:
    """The records of a chunk of `files` as the table `mapped`, with `h`, the hash of their key, and what of them was read."""
    spec = source.inputs[kind]
    line_text = "NULL" if spec.format == "parquet" else mapping.text_of(spec, spec.delimiter)
    columns = ["file_id AS number", "is_ignored", "problem", f"CASE WHEN problem IS NOT NULL THEN {line_text} END::VARCHAR AS line_text"]
    columns += [*mapping.filled_columns(source, kind), f"hash({', '.join(INPUT_KEYS[kind])}) AS h"]
    if _is_hashed(source, kind):
        columns += ["content", "part"]
    mapped = reading.mapped(settings, source, kind, [files[number] for number in chunk], key, ROWS[kind])
    with _in_any_order(connection):
        connection.execute(
            f"CREATE OR REPLACE TABLE mapped AS SELECT {', '.join(columns)} FROM (SELECT {duck.literal(source.name)} AS source, * FROM ({mapped}))"
        )
    if _is_hashed(source, kind):
        _number_equal_rows(connection, source, key)
    problems.set_rejects_aside(connection, spec, chunk)
    connection.execute(
        "INSERT INTO read SELECT number, count(*), count(*) FILTER (is_ignored), count(*) FILTER (NOT is_ignored AND problem IS NOT NULL) FROM mapped GROUP BY number"
    )


@contextmanager
def _in_any_order(connection: "duckdb.DuckDBPyConnection") -> Iterator[None]:
    """Inside it, rows are put into a table as they come, by all threads at once."""
    connection.execute("SET preserve_insertion_order = false")
    yield
    connection.execute("SET preserve_insertion_order = true")


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
    connection.execute(f"UPDATE mapped SET event_id = {event_id}, h = hash({event_id}) FROM equals WHERE mapped.rowid = equals.row AND equals.occurrence > 1")


def _counts(connection: "duckdb.DuckDBPyConnection", kind: Input, files: Sequence[LandedFile]) -> list[dict[str, Any]]:
    """Per file: records read = staged + quarantined + duplicates + ignored."""
    rows = connection.execute("""
        WITH rejects AS (SELECT number, count(*) AS n_rejected FROM rejected GROUP BY number),
        doubled AS (SELECT number, sum(n)::BIGINT AS n_duplicates FROM doubles GROUP BY number)
        SELECT number, coalesce(n, 0) + coalesce(n_rejected, 0), coalesce(n_ignored, 0), coalesce(n_bad, 0) + coalesce(n_rejected, 0), coalesce(n_duplicates, 0)
        FROM landed LEFT JOIN read USING (number) LEFT JOIN rejects USING (number) LEFT JOIN doubled USING (number)
    """).fetchall()
    counted = {row[0]: row[1:] for row in rows}
    result = []
    for number, file in enumerate(files):
        n_read, n_ignored, n_quarantined, n_duplicates = counted[number]
        counts = {"n_read": n_read, "n_ignored": n_ignored, "n_quarantined": n_quarantined, "n_duplicates": n_duplicates}
        counts["n_staged"] = n_read - n_ignored - n_quarantined - n_duplicates
        result.append({"input": kind, "name": file.name, "file_id": file.file_id, "file_time": file.file_time and file.file_time.isoformat(), **counts})
    return result
