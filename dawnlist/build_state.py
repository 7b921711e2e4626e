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

from dawnlist.columns import EVENTS
from dawnlist.duck import connect, identifier, literal, scan
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


@dataclass(frozen=True)
class Stale:
    """The days whose events are not those of the last build, in order, and the files that have them in that build's lake and in the present one."""

    days: list[date]
    former: list[Path]
    present: list[Path]


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


def stale(settings: Settings, lake: Snapshot, state: BuildState, run_date: date) -> Stale:
    """The days up to `run_date` whose events `state` has not as `lake` has them: changed ones, and those after its run date.

    Raises MissingInputError when the lake no longer keeps what `state` was built from.
    """
    if state.lake_version > lake.version:
        raise MissingInputError(f"The build database is of version {state.lake_version} of the lake, which is at {lake.version}.")
    before = Lake(settings.lake_dir).snapshot(state.lake_version)
    last_day = state.run_date.isoformat()
    changed = lake.changed_partitions("events", since=before)
    new = [file.partition for file in lake.data_files("events") if file.partition > last_day]
    days = {day for day in (*changed, *new) if day <= run_date.isoformat()}
    former = [before.root / file.path for file in before.data_files("events") if file.partition in days and file.partition <= last_day]
    present = [lake.root / file.path for file in lake.data_files("events") if file.partition in days]
    if not all(path.exists() for path in former):
        raise MissingInputError(f"The lake no longer has the files of its version {state.lake_version}.")
    return Stale(sorted(map(date.fromisoformat, days)), former, present)


def note_stale(connection: "duckdb.DuckDBPyConnection", stale: Stale) -> None:
    """Write what dbt's kept tables are to make again (dbt_project/macros/incremental.sql): the days whose events changed; of the persons on them those whose
    own events did; and all days of the persons whose ids were resolved otherwise.

    `lake.persons` is of the new build, `state.persons` of the last. Of an id that has another person now both are stale, the old and the new. An id that nobody
    had before has no events on days that did not change: identity gives a person to every id that the lake knows.
    """
    connection.execute("CREATE OR REPLACE TABLE lake.stale_days (event_date DATE)")
    if stale.days:
        connection.execute(f"INSERT INTO lake.stale_days VALUES {', '.join(f'(DATE {literal(str(day))})' for day in stale.days)}")
    # Of persons' days dbt finds them itself: int_person_days__spanned and int_item_versions__ended.
    for name in ("stale_person_days", "recategorised_person_days"):
        connection.execute(f"CREATE OR REPLACE TABLE lake.{name} (person_id VARCHAR, event_date DATE)")
    connection.execute("CREATE OR REPLACE VIEW lake.stale_person_day_items AS FROM lake.stale_person_days UNION ALL FROM lake.recategorised_person_days")
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
    # Who was behind such an id until now, and is not from now on, is a stale person.
    connection.execute(f"""
        CREATE OR REPLACE TABLE lake.changed_person_days AS
        SELECT DISTINCT persons.person_id, event_date
        FROM ({_visitor_days(stale.former)}) AS former FULL JOIN ({_visitor_days(stale.present)}) AS present USING (visitor_id, event_date)
        JOIN lake.persons ON visitor_id = persons.alias_id
        WHERE former.events IS DISTINCT FROM present.events
    """)


def _visitor_days(files: list[Path]) -> str:
    """A select: the events of a visitor on a day as the sum of their hashes, which tells by 64 bits whether they are the same."""
    row = ", ".join(identifier(name) for name in EVENTS)
    return f"""
        SELECT coalesce(user_id, anonymous_id) AS visitor_id, event_date, sum(hash({row})::HUGEINT) AS events
        FROM {scan(files, dict(EVENTS))} WHERE visitor_id IS NOT NULL GROUP BY ALL
    """
