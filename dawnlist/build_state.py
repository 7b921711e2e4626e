"""What the build database holds from night to night, and what of it is to be made again.

The schema `state` of the build database says which build it is of, for as long as that build is complete: the mark is taken away before
anything is changed and set again at the end. A build that was killed or has failed therefore leaves no mark, and the next one starts from nothing.

    state.build          one row: run_date, lake_version, fingerprint of the build that the database holds
    state.persons        alias_id -> person_id of that build
    state.consents       person_id -> has_personalisation_consent of that build
    state.item_versions  which category an item was of and when, in that build: int_item_versions__ended
    state.files          the files that the marts which are kept by day were written to (see dawnlist/mart_files.py)
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dawnlist.duck import connect, literal
from dawnlist.errors import MissingInputError
from dawnlist.lake import Lake, Snapshot
from dawnlist.settings import Settings

if TYPE_CHECKING:
    import duckdb

SQL_FILES = ("dbt_project.yml", "models/**/*.sql", "macros/**/*.sql", "seeds/**/*.csv")


@dataclass(frozen=True)
class BuildState:
    """The complete build that the database holds."""

    run_date: date
    lake_version: int
    fingerprint: str


def fingerprint(project: Path, rules: Mapping[str, Any]) -> str:
    """Hash of the SQL, seeds and `rules` (dbt variables) that rows are made by, and of the engine: two builds with the same can share rows."""
    import duckdb

    digest = hashlib.sha256(json.dumps([duckdb.__version__, rules], sort_keys=True).encode())
    for path in sorted(path for pattern in SQL_FILES for path in project.glob(pattern)):
        digest.update(f"\0{path.relative_to(project)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def read(settings: Settings, database: Path) -> BuildState | None:
    """The build that `database` holds; None without a complete one, be it that the file cannot be read."""
    import duckdb

    if not database.exists():
        return None
    try:
        with connect(settings, database) as connection:
            if not connection.execute("SELECT 1 FROM information_schema.tables WHERE table_schema = 'state' AND table_name = 'build'").fetchall():
                return None
            found = connection.execute("SELECT run_date, lake_version, fingerprint FROM state.build").fetchone()
    except (duckdb.IOException, duckdb.SerializationException, duckdb.FatalException, duckdb.InternalException):
        return None  # damaged, or of another version of DuckDB: it is built anew
    return BuildState(*found) if found else None


def mark(connection: "duckdb.DuckDBPyConnection", state: BuildState) -> None:
    """Say in the open database that the build `state` is complete; `state.files` is there already."""
    connection.execute("CREATE OR REPLACE TABLE state.persons AS SELECT alias_id, person_id FROM lake.persons")
    connection.execute("CREATE OR REPLACE TABLE state.consents AS SELECT person_id, has_personalisation_consent FROM intermediate.int_persons__consented")
    connection.execute("CREATE OR REPLACE TABLE state.item_versions AS SELECT * FROM intermediate.int_item_versions__ended")
    connection.execute("CREATE OR REPLACE TABLE state.build (run_date DATE, lake_version BIGINT, fingerprint VARCHAR)")
    connection.execute("INSERT INTO state.build VALUES (?, ?, ?)", [state.run_date, state.lake_version, state.fingerprint])


def unmark(connection: "duckdb.DuckDBPyConnection") -> None:
    """From here on the open database holds no complete build."""
    connection.execute("DROP TABLE IF EXISTS state.build")
    connection.execute("CHECKPOINT")


def stale_days(settings: Settings, lake: Snapshot, state: BuildState, run_date: date) -> list[date]:
    """The days up to `run_date` whose events `state` has not as `lake` has them, in order: changed ones, and those after its run date.

    Raises MissingInputError when the lake no longer keeps the version that `state` was built from.
    """
    if state.lake_version > lake.version:
        raise MissingInputError(f"The build database is of version {state.lake_version} of the lake, which is at {lake.version}.")
    changed = lake.changed_partitions("events", since=Lake(settings.lake_dir).snapshot(state.lake_version))
    new = [file.partition for file in lake.data_files("events") if file.partition > state.run_date.isoformat()]
    return sorted({date.fromisoformat(day) for day in (*changed, *new) if day <= run_date.isoformat()})


def note_stale(connection: "duckdb.DuckDBPyConnection", days: list[date]) -> None:
    """Write what dbt's kept tables are to make again (dbt_project/macros/incremental.sql): `days`, and the persons whose ids were resolved otherwise.

    `lake.persons` is of the new build, `state.persons` of the last. Of an id that has another person now both are stale, the old and the new. An id that nobody
    had before has no events on days that did not change: identity gives a person to every id that the lake knows.
    """
    connection.execute("CREATE OR REPLACE TABLE lake.stale_days (event_date DATE)")
    if days:
        connection.execute(f"INSERT INTO lake.stale_days VALUES {', '.join(f'(DATE {literal(str(day))})' for day in days)}")
    # Of persons' days dbt finds them itself: int_person_days__spanned.
    connection.execute("CREATE OR REPLACE TABLE lake.stale_person_days (person_id VARCHAR, event_date DATE)")
    connection.execute("CREATE OR REPLACE VIEW lake.tested_days AS SELECT event_date FROM lake.stale_days UNION SELECT event_date FROM lake.stale_person_days")
    connection.execute("""
        CREATE OR REPLACE TABLE lake.stale_persons AS
        WITH moved AS (
            SELECT former.person_id AS former_id, persons.person_id
            FROM state.persons AS former LEFT JOIN lake.persons ON former.alias_id = persons.alias_id
            WHERE former.person_id IS DISTINCT FROM persons.person_id
        )
        SELECT former_id AS person_id FROM moved
        UNION SELECT person_id FROM moved WHERE person_id IS NOT NULL
    """)
