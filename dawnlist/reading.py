"""Landed files as SQL relations: what their columns are, how they are packed, and which of them can be read together."""

import gzip
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dawnlist import mapping
from dawnlist.errors import ColumnsError, EncodingError, UnreadableFileError
from dawnlist.landing import LandedFile
from dawnlist.privacy import Key
from dawnlist.row_rules import RowRule
from dawnlist.settings import Settings
from dawnlist.sources import Input, InputSpec, Source

if TYPE_CHECKING:
    import pyarrow as pa


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
    try:
        with io.TextIOWrapper(opened(file.path), encoding=spec.encoding, newline="") as stream:
            first = next(csv.reader(_noted(stream, lines), delimiter=spec.delimiter, **dialect), [])
    except UnicodeError as error:
        raise EncodingError(f"{file.place} is not in {spec.encoding}: give the encoding that it has as `encoding` in the source's YAML.") from error
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


def mapped(
    settings: Settings, source: Source, kind: Input, files: Sequence[LandedFile], key: Key, rules: Sequence[RowRule], *, is_numbered: bool = False
) -> str:
    """The query of `dawnlist.mapping.mapped_query` over `files`, which the connection's table `landed` numbers: `file_id` is that number.

    Raises ColumnsError for a file that lacks a mapped column or has one twice.
    """
    spec = source.inputs[kind]
    groups = _groups(spec, files)
    relations = [mapping.raw_relation(spec, group.files, group.header, line_end=group.line_end, is_numbered=is_numbered) for group in groups]
    records = " UNION ALL BY NAME ".join(f"({mapping.records_query(spec, relation, group.header)})" for relation, group in zip(relations, groups, strict=True))
    of_files = f"(SELECT records.*, number AS file_id, file_time, 1 AS occurrence FROM ({records}) AS records JOIN landed USING (file))"
    return mapping.mapped_query(source, kind, of_files, salt=key.salt, max_lateness_days=settings.ingest.max_lateness_days, rules=rules)


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
