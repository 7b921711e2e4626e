"""The peer: DuckDB reads the same landed files and writes them to one Parquet file, and does nothing else.

`python -m benchmarks.bare_copy FORMAT GLOB TARGET [COLUMNS]`, where FORMAT is csv or json, and COLUMNS a JSON object of each column's
type. With columns the values are read as those types; without, they stay text. Broken lines of JSON are left out, and of CSV with columns.
"""

import json
import sys

READERS = {
    "csv": "read_csv({}, all_varchar = true)",
    "json": "read_json_objects({}, format = 'newline_delimited', ignore_errors = true) WHERE json IS NOT NULL",
}
TYPED_READERS = {
    "csv": "read_csv({}, columns = {}, header = true, auto_detect = false, ignore_errors = true)",
    "json": "read_json({}, columns = {}, format = 'newline_delimited', ignore_errors = true)",
}


def copy(file_format: str, pattern: str, target: str, columns: str = "") -> None:
    """Copy all files of the glob `pattern` to the Parquet file `target`, zstd-compressed as the lake's are."""
    import duckdb

    with duckdb.connect() as connection:
        if columns:
            types = ", ".join(f"{_literal(name)}: {_literal(kind)}" for name, kind in json.loads(columns).items())
            reader = TYPED_READERS[file_format].format(_literal(pattern), f"{{{types}}}")
        else:
            reader = READERS[file_format].format(_literal(pattern))
        connection.execute(f"COPY (SELECT * FROM {reader}) TO {_literal(target)} (FORMAT parquet, COMPRESSION zstd)")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


if __name__ == "__main__":
    copy(*sys.argv[1:])
