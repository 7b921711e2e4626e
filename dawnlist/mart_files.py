"""The marts as the night's Parquet files. Large ones have a file a day, and a day whose rows are the same keeps the file of the build before."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from dawnlist.duck import cursor, scan
from dawnlist.files import link_or_copy, make_folder, replace_file
from dawnlist.lake import DataFile, Lake, in_groups

if TYPE_CHECKING:
    import duckdb

Item = TypeVar("Item")
Made = TypeVar("Made")
MARTS_SCHEMA = "marts"
GROUP_ROWS = 5_000_000  # that are sorted into their days at a time


@dataclass(frozen=True)
class Changes:
    """Queries of what may differ from the build before: `days` with all of their rows, and on other days the rows of the `pairs` of person and day."""

    days: str
    pairs: str


# The marts with a file for each event_date. A day of fct_interactions differs also where ids of persons who were there are resolved otherwise, and where
# they gave or withdrew consent.
BY_DAY: Mapping[str, Changes] = {
    "fct_sessions": Changes(
        days="SELECT event_date FROM lake.stale_days WHERE false",
        pairs="SELECT person_id, event_date FROM lake.stale_person_days",
    ),
    "fct_interactions": Changes(
        days="SELECT event_date FROM lake.stale_days",
        pairs="""
            SELECT person_id, event_date
            FROM (SELECT person_id, event_date FROM lake.former_spans UNION SELECT person_id, event_date FROM intermediate.int_person_days__spanned)
            WHERE person_id IN (
                SELECT person_id FROM lake.stale_persons
                UNION
                SELECT person_id FROM state.consents AS former FULL JOIN intermediate.int_persons__consented AS persons USING (person_id)
                WHERE coalesce(former.has_personalisation_consent, false) <> coalesce(persons.has_personalisation_consent, false)
            )
        """,
    ),
}
_FILES = "mart VARCHAR, root VARCHAR, path VARCHAR, n_rows BIGINT, n_bytes BIGINT, sha256 VARCHAR, event_date VARCHAR"


def write(connection: "duckdb.DuckDBPyConnection", tables: Lake, orders: Mapping[str, str], *, is_incremental: bool) -> dict[str, list[DataFile]]:
    """Write every mart of the open build database into the night's `tables`, not yet committed. `orders`: mart -> the order of its rows.

    `is_incremental`: the marts by day take the files of unchanged days from the build before, which has noted them.
    """
    files = {}
    for mart, order in orders.items():
        if mart in BY_DAY:
            files[mart] = _write_days(connection, tables, mart, order, is_incremental=is_incremental)
        else:
            file = tables.write(connection, mart, f"SELECT * FROM {MARTS_SCHEMA}.{mart} ORDER BY {order}")
            files[mart] = [file] if file else []
    return files


def note(connection: "duckdb.DuckDBPyConnection", tables: Lake, files: Mapping[str, Sequence[DataFile]]) -> None:
    """Keep in `state.files` which files `write` gave the marts by day: the next build takes those of unchanged days."""
    connection.execute(f"CREATE OR REPLACE TABLE state.files ({_FILES})")
    written = [(mart, file) for mart in BY_DAY for file in files[mart]]
    rows = [[mart, str(tables.root), file.path, file.rows, file.bytes, file.sha256, file.partition] for mart, file in written]
    if rows:
        connection.execute(f"INSERT INTO state.files VALUES {', '.join(['(?, ?, ?, ?, ?, ?, ?)'] * len(rows))}", [value for row in rows for value in row])


def _write_days(connection: "duckdb.DuckDBPyConnection", tables: Lake, mart: str, order: str, *, is_incremental: bool) -> list[DataFile]:
    kept, wanted = _keep(connection, tables, mart, order) if is_incremental else ([], "true")
    rows = connection.execute(f"SELECT event_date, count(*) FROM {MARTS_SCHEMA}.{mart} WHERE {wanted} GROUP BY event_date ORDER BY event_date").fetchall()
    groups = in_groups(dict(rows), GROUP_ROWS)
    return [*kept, *(file for days in groups for file in _write_group(connection, tables, mart, order, days))]


def _write_group(connection: "duckdb.DuckDBPyConnection", tables: Lake, mart: str, order: str, days: Sequence[date]) -> list[DataFile]:
    """Write some days of a mart, which may be a view: its rows are asked for once, and several days are written at once."""
    connection.execute("ATTACH IF NOT EXISTS ':memory:' AS scratch")
    connection.execute(f"CREATE OR REPLACE TABLE scratch.days AS SELECT * FROM {MARTS_SCHEMA}.{mart} WHERE {_is_among(days)} ORDER BY event_date, {order}")

    def write(day: date) -> DataFile:
        with cursor(connection) as own:
            return tables.write_day(own, mart, f"scratch.days WHERE event_date = DATE '{day}'", partition=day)

    files = _in_threads(connection, write, days)
    connection.execute("DETACH scratch")
    return files


def _in_threads(connection: "duckdb.DuckDBPyConnection", write: Callable[[Item], Made], items: Sequence[Item]) -> list[Made]:
    (threads,) = connection.execute("SELECT current_setting('threads')::INTEGER").fetchall()[0]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(write, items))


def _is_among(days: Sequence[date]) -> str:
    listed = ", ".join(f"DATE '{day}'" for day in days)
    return f"event_date IN ({listed or 'NULL'})"


def _keep(connection: "duckdb.DuckDBPyConnection", tables: Lake, mart: str, order: str) -> tuple[list[DataFile], str]:
    """The files of the days that need not be written anew: those of the build before, and where only some persons' rows differ these files with the present
    rows of these persons. Also a condition on the days that are to be written: those that changed, and those without such a file.
    """
    connection.execute(f"CREATE OR REPLACE TEMP TABLE pairs AS {BY_DAY[mart].pairs}")
    changed = {day for (day,) in connection.execute(BY_DAY[mart].days).fetchall()}
    touched = {day for (day,) in connection.execute("SELECT DISTINCT event_date FROM pairs").fetchall()}
    kept, patched, done = [], [], []
    for root, *fields in connection.execute("SELECT root, path, n_rows, n_bytes, sha256, event_date FROM state.files WHERE mart = ?", [mart]).fetchall():
        file = DataFile(*fields)
        day = date.fromisoformat(file.partition)
        if day in changed or not (Path(root) / file.path).exists():
            continue
        done.append(day)
        if day in touched:
            patched.append((day, Path(root) / file.path))
        else:
            _link(Path(root) / file.path, tables.root / file.path)
            kept.append(file)
    return [*kept, *_patch(connection, tables, mart, order, patched)], f"NOT ({_is_among(done)})" if done else "true"


def _patch(connection: "duckdb.DuckDBPyConnection", tables: Lake, mart: str, order: str, files: Sequence[tuple[date, Path]]) -> list[DataFile]:
    """Write days whose rows differ for the persons in `pairs` alone: the other rows come from the day's file of the build before."""
    connection.execute("ATTACH IF NOT EXISTS ':memory:' AS scratch")
    connection.execute("CREATE OR REPLACE TABLE scratch.pairs AS FROM temp.pairs")
    connection.execute(f"""
        CREATE OR REPLACE TABLE scratch.present AS
        SELECT * FROM {MARTS_SCHEMA}.{mart}
        WHERE {_is_among([day for day, _ in files])} AND person_id IN (SELECT person_id FROM temp.pairs)
            AND (person_id, event_date) IN (SELECT (person_id, event_date) FROM temp.pairs)
    """)

    def write(day_file: tuple[date, Path]) -> DataFile | None:
        day, path = day_file
        query = f"""
            SELECT * FROM {scan([path], {})} AS former
            WHERE NOT EXISTS (FROM scratch.pairs WHERE pairs.person_id = former.person_id AND pairs.event_date = DATE '{day}')
            UNION ALL
            SELECT * FROM scratch.present WHERE event_date = DATE '{day}'
            ORDER BY {order}
        """
        with cursor(connection) as own:
            return tables.write(own, mart, query, partition=day)

    written = _in_threads(connection, write, files)
    connection.execute("DETACH scratch")
    return [file for file in written if file]


def _link(source: Path, target: Path) -> None:
    """Make the immutable file `source` also `target`, without a copy where the disk allows it."""
    if target.exists():
        return
    make_folder(target.parent)
    aside = target.with_name(f".{target.name}.tmp")
    aside.unlink(missing_ok=True)
    link_or_copy(source, aside)
    replace_file(aside, target)
