"""What changed between two bundles, from the hashes of their documents."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dawnlist.duck import literal
from dawnlist.errors import CorruptedError
from dawnlist.export.contract import Documents
from dawnlist.files import make_folder, replace_file

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Churn:
    """How many of the users of a bundle change with the next one: documents of `before` people that are other or gone, and of people who are new."""

    before: int
    changed: int
    deleted: int
    new: int


def keep_hashes(connection: "duckdb.DuckDBPyConnection", target: Path) -> None:
    """Write the view `hashes` to the Parquet file `target`, in one step."""
    make_folder(target.parent)
    aside = target.with_name(f".{target.name}")
    connection.execute(f"COPY (FROM hashes ORDER BY kind, id) TO {literal(str(aside))} (FORMAT parquet, COMPRESSION zstd)")
    replace_file(aside, target)


def compare(connection: "duckdb.DuckDBPyConnection", base: Path) -> None:
    """Make the tables `changed` (kind, id: documents that the hashes of `base` do not have as they are) and `gone` (those that are no more).

    Raises CorruptedError when the file `base` cannot be read.
    """
    import duckdb

    before = f"read_parquet({literal(str(base))})"
    try:
        connection.execute(f"SELECT kind, id, hash FROM {before}").fetchmany(0)
    except duckdb.Error as error:
        raise CorruptedError(
            f"{base} cannot be read: {str(error).splitlines()[0]} Move it away and export again: consumers that stand there take the full bundle."
        ) from error
    connection.execute(f"CREATE OR REPLACE TEMP TABLE changed AS SELECT kind, id FROM hashes ANTI JOIN {before} AS before USING (kind, id, hash)")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE gone AS SELECT kind, id, strlen(id) AS n_bytes FROM {before} AS before ANTI JOIN hashes USING (kind, id)")


def is_empty(connection: "duckdb.DuckDBPyConnection") -> bool:
    """Whether `compare` found nothing."""
    return not connection.execute("SELECT 1 FROM (SELECT kind FROM changed UNION ALL SELECT kind FROM gone) LIMIT 1").fetchall()


def changed(kind: Documents) -> str:
    """A FROM item: the documents of `kind` that a delta brings."""
    return f"(FROM {kind} SEMI JOIN (SELECT id FROM changed WHERE kind = {literal(kind)}) AS wanted USING (id))"


def gone(kind: Documents) -> str:
    """A FROM item: the ids of `kind` that a delta takes away."""
    return f"(FROM gone WHERE kind = {literal(kind)})"


def churn(connection: "duckdb.DuckDBPyConnection", base: Path) -> Churn:
    """The users of `base` against the tables of `compare`."""
    before = f"(SELECT id FROM read_parquet({literal(str(base))}) WHERE kind = 'users')"
    row = connection.execute(f"""
        SELECT (SELECT count(*) FROM {before}), count(*) FILTER (before.id IS NOT NULL), (SELECT count(*) FROM {gone("users")}), count(*) FILTER (before.id IS NULL)
        FROM (FROM changed WHERE kind = 'users') AS changed LEFT JOIN {before} AS before USING (id)""").fetchone()
    return Churn(*row) if row else Churn(0, 0, 0, 0)
