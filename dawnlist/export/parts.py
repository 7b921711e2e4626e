"""Documents to files: parts of bounded size, in the order of the ids, in each format that is asked for."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dawnlist.duck import literal
from dawnlist.export.contract import Change, Documents, Format, Part
from dawnlist.export.documents import KIND, spans
from dawnlist.files import sha256_of
from dawnlist.settings import Export

if TYPE_CHECKING:
    import duckdb

_OPTIONS: Final[dict[Format, str]] = {
    "jsonl": "FORMAT json",
    "parquet": "FORMAT parquet, COMPRESSION zstd",
    "csv": "FORMAT csv, HEADER true, FORCE_QUOTE *",
}
# What makes spreadsheets take a cell for a formula (https://owasp.org/www-community/attacks/CSV_Injection), and the sign that hides it.
_FORMULA: Final = "^[=+@\\x{FF1D}\\x{FF0B}\\x{FF0D}\\x{FF20}\\t\\r\\n''-]"


def write(connection: "duckdb.DuckDBPyConnection", folder: Path, kind: Documents, change: Change, relation: str, settings: Export) -> Iterator[Part]:
    """Write the documents of `relation` (a FROM item with `id`, `n_bytes`, and what `change` needs) to `folder`. No row, no part."""
    stem = kind if change == "upsert" else f"{kind}-deleted"
    for number, span in enumerate(_cut(connection, kind, relation, settings), start=1):
        name = stem if kind == "fallbacks" else f"{stem}-{number:05d}"
        for form in settings.formats:
            path = folder / f"{name}.{form}"
            query = f"SELECT {_cells(kind, change, form)} FROM {relation} WHERE {span} ORDER BY id"
            copied = connection.execute(f"COPY ({query}) TO {literal(str(path))} ({_OPTIONS[form]})").fetchone()
            yield Part(path.name, kind, change, form, copied[0] if copied else 0, path.stat().st_size, sha256_of(path))


def _cut(connection: "duckdb.DuckDBPyConnection", kind: Documents, relation: str, settings: Export) -> list[str]:
    """Conditions on `id`, one a part: at most `part_rows` documents, and `part_bytes` of JSON with the one that reaches over. Fallbacks are one part."""
    rows, size = ("1", "1") if kind == "fallbacks" else ("row_number() OVER before", "sum(n_bytes) OVER before")
    firsts = connection.execute(f"""
        SELECT min(id) AS first FROM (
            SELECT id, ({rows} - 1) // {settings.part_rows} AS by_rows, {size} // {settings.part_bytes} AS by_bytes
            FROM {relation} WINDOW before AS (ORDER BY id ROWS UNBOUNDED PRECEDING)
        ) GROUP BY by_rows, by_bytes ORDER BY first""").fetchall()
    return spans("id", [first for (first,) in firsts])


def _cells(kind: Documents, change: Change, form: Format) -> str:
    document = KIND[kind]
    columns = {name: "lower(hex(hash))" if name == "hash" else name for name in document.columns} if change == "upsert" else document.key
    if form != "csv":
        return ", ".join(f"{value} AS {name}" for name, value in columns.items())
    return ", ".join(f"{f'to_json({value})::VARCHAR' if name in document.nested else _harmless(value)} AS {name}" for name, value in columns.items())


def _harmless(value: str) -> str:
    """The text `value` as no spreadsheet runs it: an apostrophe goes before what could begin a formula, and before an apostrophe, so that it can be taken away again."""
    return f"CASE WHEN regexp_matches({value}::VARCHAR, '{_FORMULA}') THEN '''' || {value} ELSE {value}::VARCHAR END"
