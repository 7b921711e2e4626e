"""What files look like, as DuckDB's sniffers see them: format, delimiter, encoding, columns, JSON paths."""

import codecs
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from dawnlist import reading
from dawnlist.duck import literal, path_list
from dawnlist.errors import SourceError
from dawnlist.landing import LandedFile
from dawnlist.sources import InputSpec

if TYPE_CHECKING:
    import duckdb

File = TypeVar("File")
Format = Literal["jsonl", "csv", "parquet"]
Encoding = Literal["utf-8", "latin-1", "utf-16"]
FORMATS: dict[str, Format] = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv", ".tsv": "csv", ".psv": "csv", ".txt": "csv", ".dat": "csv", ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip
PACKED = (".gz", ".zst")
SNIFFED_FILES = 10
SNIFFED_BYTES = 1 << 16
_NAME = re.compile(r"[^\W\d][\w .:/()-]*")  # what may be the name of a column
_PLAIN_KEY = re.compile(r'[^."\[\]]+')  # other keys stand in quotes


@dataclass
class Look:
    """How files are read, and what is in them. `columns` is a CSV or Parquet column, or a JSON path with dots -> its DuckDB type;
    `lists` a JSON path of a list of objects -> their fields; `unreachable` what no mapping can name.
    """

    format: Format
    delimiter: str = ","
    quote: str = '"'
    encoding: Encoding = "utf-8"
    columns: dict[str, str] = field(default_factory=dict)
    lists: dict[str, dict[str, str]] = field(default_factory=dict)
    unreachable: list[str] = field(default_factory=list)

    def names(self, explode: str | None = None) -> list[str]:
        """Everything that a mapping with this `explode` can read."""
        return [*self.columns, *(f"line.{name}" for name in self.lists.get(explode or "", {}))]


def format_of(path: Path) -> Format | None:
    """By the ending, packed or not; None for a file that is no data."""
    name = Path(path.stem) if path.suffix in PACKED else path
    return FORMATS.get(name.suffix.lower())


def spread(files: Sequence[File], n: int = SNIFFED_FILES) -> list[File]:
    """At most `n` files, the first and the last among them, the others evenly between."""
    if len(files) <= n:
        return list(files)
    return [files[round(number * (len(files) - 1) / (n - 1))] for number in range(n)]


def look(connection: "duckdb.DuckDBPyConnection", files: Sequence[Path]) -> Look:
    """The look of files of one kind. Raises SourceError for a JSON array and for a CSV file without a header, which no mapping can read."""
    kind = format_of(files[0]) or "csv"
    some = spread([path for path in files if path.stat().st_size] or files)
    with reading.readable([LandedFile("events", path.name, path) for path in some]):
        if kind == "parquet":
            return _parquet(connection, some)
        return _json(connection, some) if kind == "jsonl" else _csv(connection, some)


def look_of(connection: "duckdb.DuckDBPyConnection", spec: InputSpec, files: Sequence[Path]) -> Look:
    """The same for files whose format the mapping says."""
    if spec.format != "csv":
        return _parquet(connection, files) if spec.format == "parquet" else _json(connection, files)
    names = [reading.header_of(spec, LandedFile("events", path.name, path)) for path in files]
    return Look("csv", spec.delimiter, spec.quote, spec.encoding, {name: "VARCHAR" for header in names for name in header})


def _parquet(connection: "duckdb.DuckDBPyConnection", files: Sequence[Path]) -> Look:
    relation = connection.sql(f"SELECT * FROM read_parquet({path_list(files)}, union_by_name = true, hive_partitioning = false)")
    found = Look("parquet")
    _flatten(zip(relation.columns, relation.dtypes, strict=True), "", found)
    found.unreachable += found.lists  # only lists of JSON lines can be exploded
    found.lists.clear()
    return found


def _json(connection: "duckdb.DuckDBPyConnection", files: Sequence[Path]) -> Look:
    if _beginning(files[0]).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
        raise SourceError(f"{files[0]} is one JSON array. Land JSON lines: one object a line.")
    relation = connection.sql(
        f"SELECT * FROM read_json_auto({path_list(files)}, format = 'newline_delimited', ignore_errors = true, maximum_depth = -1, "
        "union_by_name = true, hive_partitioning = false)"
    )
    found = Look("jsonl")
    if relation.columns != ["json"]:  # what the reader calls lines that are no objects
        _flatten(zip(relation.columns, relation.dtypes, strict=True), "", found)
    return found


def _flatten(fields: Iterable[tuple[str, Any]], prefix: str, found: Look) -> None:
    for name, kind in fields:
        path = prefix + (name if found.format == "parquet" or _PLAIN_KEY.fullmatch(name) else f'"{name}"')
        if '"' in name or kind.id == "map":
            found.unreachable.append(path)
        elif kind.id == "struct":
            _flatten(kind.children, f"{path}.", found)
        elif kind.id == "list" and kind.children[0][1].id == "struct":
            inner = Look(found.format)
            _flatten(kind.children[0][1].children, "", inner)
            found.lists[path] = inner.columns
        elif kind.id == "list":
            found.unreachable.append(path)
        else:
            found.columns[path] = str(kind)


def _csv(connection: "duckdb.DuckDBPyConnection", files: Sequence[Path]) -> Look:
    encoding = _encoding(_beginning(files[0]))
    query = f"SELECT Delimiter, Quote, HasHeader, Columns FROM sniff_csv({literal(str(files[0]))}, encoding = {literal(encoding)}, strict_mode = false, sample_size = 20480)"
    delimiter, quote, has_header, columns = cast("tuple[str, str, bool, list[dict[str, str]]]", connection.execute(query).fetchone())
    found = Look("csv", delimiter, quote if len(quote) == 1 else '"', encoding)
    names = look_of(connection, InputSpec(path="*", format="csv", delimiter=found.delimiter, quote=found.quote, encoding=encoding, columns={}), files[:1])
    if not has_header and not all(_NAME.fullmatch(name) for name in names.columns):
        raise SourceError(
            f"{files[0]} has no line of column names: its first line is data. Put one before it, or write the mapping by hand with `header: [name, name]`."
        )
    types = [column["type"] for column in columns]
    found.columns = {name: kind for name, kind in zip(names.columns, types, strict=False) if name}
    return found


def _beginning(path: Path) -> bytes:
    with reading.opened(path) as stream:
        return bytes(stream.read(SNIFFED_BYTES))


def _encoding(beginning: bytes) -> Encoding:
    """UTF-16 by its byte order mark, UTF-8 where it can be that, else Latin-1, which anything can be."""
    if beginning.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(beginning)
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"
