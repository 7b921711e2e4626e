"""The records that cannot be used: in which line of which file, and why."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from dawnlist import duck, mapping, reading
from dawnlist.columns import QUARANTINE
from dawnlist.landing import LandedFile
from dawnlist.privacy import Key
from dawnlist.row_rules import RowRule
from dawnlist.settings import Settings
from dawnlist.sources import Input, InputSpec, Source

if TYPE_CHECKING:
    import duckdb

REASON_SEPARATOR = ": "
NUMBERED_REJECTS = "('missing columns', 'too many columns')"  # lines that a reader of whole lines counts


def set_rejects_aside(connection: "duckdb.DuckDBPyConnection", spec: InputSpec, chunk: Sequence[int]) -> None:
    """Add the lines that the reader could not split into columns to `rejected`."""
    if spec.format == "parquet":
        return
    # One bad line may be reported once per column. The header is line 1 of a CSV file, and the reader counts it.
    connection.execute(
        "INSERT INTO rejected SELECT number, line, lower(any_value(error_type)::VARCHAR) FROM reject_errors "
        f"JOIN reject_scans USING (scan_id, file_id) JOIN landed ON file = file_path WHERE number IN ({', '.join(map(str, chunk))}) GROUP BY number, line"
    )


def find(
    settings: Settings,
    connection: "duckdb.DuckDBPyConnection",
    source: Source,
    kind: Input,
    files: Sequence[LandedFile],
    key: Key,
    rules: Sequence[RowRule],
) -> None:
    """The line of each record that could not be read. Only files with such records are read again, in order, for their line numbers."""
    connection.execute(
        "CREATE OR REPLACE TABLE bad AS SELECT number, line_text, problem, count(*) AS n FROM mapped WHERE NOT is_ignored AND problem IS NOT NULL GROUP BY ALL"
    )
    numbers = [row[0] for row in connection.execute("SELECT DISTINCT number FROM bad ORDER BY number").fetchall()]

    def look(number: int) -> None:
        spec, file = source.inputs[kind], files[number]
        with duck.cursor(connection) as cursor:
            if not _locate(cursor, spec, file, number):
                cursor.execute(f"INSERT INTO problems {_numbered_problems(settings, source, kind, file, number, key, rules)}")

    with ThreadPoolExecutor(duck.threads(settings)) as pool:
        list(pool.map(look, numbers))


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


def _numbered_problems(settings: Settings, source: Source, kind: Input, file: LandedFile, number: int, key: Key, rules: Sequence[RowRule]) -> str:
    """A query for the problems of one file with their line numbers.

    A CSV reader leaves rejected lines out before it numbers the others, and a header is line 1: the n-th record that it gives is the
    n-th line after the header that was not rejected.
    """
    spec = source.inputs[kind]
    query = f"SELECT file_id, line, problem FROM ({reading.mapped(settings, source, kind, [file], key, rules, is_numbered=True)}) WHERE NOT is_ignored AND problem IS NOT NULL"
    if spec.format != "csv":
        return query
    rejected = f"SELECT line FROM rejected WHERE number = {number}"
    first = 1 if spec.header else 2
    last = f"(SELECT n + {first - 1} FROM read WHERE number = {number}) + (SELECT count(*) FROM ({rejected}))"
    lines = f"SELECT line AS physical, row_number() OVER (ORDER BY line) AS line FROM (SELECT unnest(range({first}, {last} + 1)) AS line) WHERE line NOT IN ({rejected})"
    return f"SELECT file_id, physical, problem FROM ({query}) JOIN ({lines}) USING (line)"


def write_quarantine(connection: "duckdb.DuckDBPyConnection", source: Source, kind: Input, folder: Path) -> None:
    """File, line and reason of each record that could not be read."""
    parts = f"split_part(problem, {duck.literal(REASON_SEPARATOR)}, 1) AS field, split_part(problem, {duck.literal(REASON_SEPARATOR)}, 2) AS reason"
    all_problems = "SELECT * FROM problems UNION ALL SELECT number, line, 'row: ' || kind FROM rejected"
    found = f"SELECT {duck.literal(source.name)} AS source, {duck.literal(kind)} AS input, file_id, file_name, line, {parts} FROM ({all_problems}) JOIN landed USING (number)"
    target = duck.literal(str(folder / f"quarantine-{kind}.parquet"))
    connection.execute(f"COPY (SELECT {', '.join(QUARANTINE)} FROM ({found}) ORDER BY file_name, line, field) TO {target} (FORMAT parquet)")
