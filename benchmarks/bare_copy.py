"""The peer of the nights: DuckDB reads the same landed files and writes them to one Parquet file, and does nothing else.

`python -m benchmarks.bare_copy FORMAT GLOB TARGET`, where FORMAT is csv or json.
"""

import sys

READERS = {"csv": "read_csv({}, all_varchar = true)", "json": "read_json_objects({}, format = 'newline_delimited')"}


def copy(file_format: str, pattern: str, target: str) -> None:
    """Copy all files of the glob `pattern` to the Parquet file `target`, zstd-compressed as the lake's are."""
    import duckdb

    with duckdb.connect() as connection:
        reader = READERS[file_format].format(_literal(pattern))
        connection.execute(f"COPY (SELECT * FROM {reader}) TO {_literal(target)} (FORMAT parquet, COMPRESSION zstd)")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


if __name__ == "__main__":
    copy(*sys.argv[1:])
