"""The marts as the night's Parquet files. Large ones have a file a day, and a day whose rows are the same keeps the file of the build before."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from dawnlist.duck import cursor
from dawnlist.files import link_or_copy, make_folder, replace_file
from dawnlist.lake import DataFile, Lake, in_groups

if TYPE_CHECKING:
    import duckdb

MARTS_SCHEMA = "marts"
GROUP_ROWS = 5_000_000  # that are sorted into their days at a time
# The marts with a file for each event_date, and the query of the days on which their rows may differ from the build before. A day of
# fct_interactions differs also where a person gave or withdrew consent, who was there on that day.
BY_DAY: Mapping[str, str] = {
    "fct_sessions": "SELECT event_date FROM lake.stale_person_days",
    "fct_interactions": """
        SELECT event_date FROM lake.stale_days UNION SELECT event_date FROM lake.stale_person_days
        UNION SELECT event_date FROM intermediate.int_person_days__spanned WHERE person_id IN (
            SELECT person_id
            FROM state.consents AS former FULL JOIN intermediate.int_persons__consented AS persons USING (person_id)
            WHERE coalesce(former.has_personalisation_consent, false) <> coalesce(persons.has_personalisation_consent, false)
        )
    """,
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
        connection.executemany("INSERT INTO state.files VALUES (?, ?, ?, ?, ?, ?, ?)", rows)


def _write_days(connection: "duckdb.DuckDBPyConnection", tables: Lake, mart: str, order: str, *, is_incremental: bool) -> list[DataFile]:
    kept, days = _keep(connection, tables, mart) if is_incremental else ([], None)
    wanted = "true" if days is None else _is_among(days)
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

    (threads,) = connection.execute("SELECT current_setting('threads')::INTEGER").fetchall()[0]
    with ThreadPoolExecutor(threads) as pool:
        files = list(pool.map(write, days))
    connection.execute("DETACH scratch")
    return files


def _is_among(days: Sequence[date]) -> str:
    listed = ", ".join(f"DATE '{day}'" for day in days)
    return f"event_date IN ({listed or 'NULL'})"


def _keep(connection: "duckdb.DuckDBPyConnection", tables: Lake, mart: str) -> tuple[list[DataFile], list[date]]:
    """The files of the build before for the days that have not changed, now also in `tables`; and the days that are to be written, which may have
    no rows: those that changed, and those whose file is gone.
    """
    lacking = {day for (day,) in connection.execute(BY_DAY[mart]).fetchall()}
    kept = []
    for root, *fields in connection.execute("SELECT root, path, n_rows, n_bytes, sha256, event_date FROM state.files WHERE mart = ?", [mart]).fetchall():
        file = DataFile(*fields)
        day = date.fromisoformat(file.partition)
        if day in lacking:
            continue
        if _link(Path(root) / file.path, tables.root / file.path):
            kept.append(file)
        else:
            lacking.add(day)
    return kept, sorted(lacking)


def _link(source: Path, target: Path) -> bool:
    """Make the immutable file `source` also `target`, without a copy where the disk allows it. False when it is gone."""
    if target.exists():
        return True
    make_folder(target.parent)
    aside = target.with_name(f".{target.name}.tmp")
    aside.unlink(missing_ok=True)
    try:
        link_or_copy(source, aside)
    except FileNotFoundError:
        return False
    replace_file(aside, target)
    return True
