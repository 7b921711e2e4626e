"""Two build databases side by side: what differs between their marts, but for the last digits of floating numbers."""

from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from dawnlist.duck import literal
from dawnlist.mart_files import MARTS_SCHEMA
from dawnlist.warehouse import MARTS

RELATIVE = 1e-9


def differences(left: Path, right: Path) -> dict[str, str]:
    """The marts that do not have the same columns of the same types and the same rows in both; what is wrong with each."""
    with duckdb.connect() as connection, TemporaryDirectory() as folder:
        for side, path in (("a", left), ("b", right)):
            connection.execute(f"CREATE SCHEMA {side}")
            _copy(path, Path(folder) / side)
            for mart in MARTS:
                connection.execute(f"CREATE TABLE {side}.{mart} AS FROM read_parquet({literal(str(Path(folder) / side / mart))})")
        found = {mart: _difference(connection, mart) for mart in MARTS}
    return {mart: difference for mart, difference in found.items() if difference}


def _copy(database: Path, folder: Path) -> None:
    # A view names its database, so that it can be read under that name only.
    folder.mkdir()
    with duckdb.connect(str(database), read_only=True) as connection:
        for mart in MARTS:
            connection.execute(f"COPY {MARTS_SCHEMA}.{mart} TO {literal(str(folder / mart))} (FORMAT parquet)")


def _difference(connection: duckdb.DuckDBPyConnection, mart: str) -> str:
    columns, others = ([row[:2] for row in connection.execute(f"DESCRIBE {side}.{mart}").fetchall()] for side in "ab")
    if columns != others:
        return f"columns: {sorted(set(columns) ^ set(others)) or 'in another order'}"
    a, b = (f"(SELECT *, row_number() OVER (ORDER BY {MARTS[mart]}) AS row FROM {side}.{mart})" for side in "ab")
    unequal = {"missing rows": "a.row IS NULL OR b.row IS NULL"} | {name: _unequal(name, kind) for name, kind in columns}
    counts = ", ".join(f"count(*) FILTER ({condition})" for condition in unequal.values())
    (row,) = connection.execute(f"SELECT {counts} FROM {a} AS a FULL JOIN {b} AS b USING (row)").fetchall()
    wrong = {name: count for name, count in zip(unequal, row, strict=True) if count}
    return f"rows that differ: {wrong}" if wrong else ""


def _unequal(name: str, kind: str) -> str:
    a, b = f'a."{name}"', f'b."{name}"'
    close = f"abs({a} - {b}) <= {RELATIVE} * greatest(abs({a}), abs({b}))" if kind in ("DOUBLE", "FLOAT") else "false"
    return f"{a} IS DISTINCT FROM {b} AND NOT coalesce({close}, false)"
