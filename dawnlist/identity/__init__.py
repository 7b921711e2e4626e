"""Who is who: every id that the lake knows, and the person behind it. docs/identity.md has the rules in words.

`edges` keeps who was seen with whom, day by day; `rules` says which of it links two ids, and which guards cut; `graph` finds what hangs
together; `keys` gives each person the key that it had the night before; `corrections` has what operators know better.
"""

import os
import shutil
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from dawnlist.columns import PERSONS
from dawnlist.duck import literal, scan
from dawnlist.files import make_folder
from dawnlist.identity import edges, graph, keys, rules
from dawnlist.lake import DataFile, Lake, Snapshot
from dawnlist.settings import Identity

if TYPE_CHECKING:
    import duckdb

CHANGES = ("merge", "split", "move", "rename")


@dataclass(frozen=True)
class Resolution:
    """What a night resolved: `persons` for the night's own tables, `records` for the lake's, none of them committed; and counts for its record."""

    run_date: date
    persons: DataFile | None
    records: dict[str, DataFile | None]
    counts: dict[str, int] = field(default_factory=dict)

    def keep(self, lake: Lake, *, nights: int, run_id: str) -> None:
        """Make the records visible in the lake in the place of those of the same night: the next night goes on from there. Of `persons` and
        `identity_cuts` the newest `nights` nights are kept, of the history all.
        """
        state, changes = lake.snapshot(), {}
        for table, file in self.records.items():
            others = [one for one in state.data_files(table) if one.partition != self.run_date.isoformat()]
            files = sorted([*others, *([file] if file else [])], key=lambda one: one.partition)
            changes[table] = files if table == "identity_history" else files[-nights:]
        lake.commit(changes, run_id=run_id)


def resolve(
    connection: "duckdb.DuckDBPyConnection", lake: Snapshot, run_date: date, tables: Lake, settings: Identity | None = None, *, run_id: str = ""
) -> Resolution:
    """Write `persons` as of the end of `run_date` into the night's `tables`, and what the lake is to keep, not yet committed.

    One row per alias_id, in its order: a user id or an anonymous id; `source` is the one where it was first seen, is_anonymous says that no
    user id is known for its person. Bots are no persons. An id that is a user's and a device's alike is the user's. Of linked ids of two
    keys each is an alias. The keys go on from the newest earlier night that `lake` has: later nights are not looked at.
    """
    end = run_date + timedelta(days=1)
    found, n_days = edges.refresh(connection, lake, end, run_id=run_id)
    rules.link(connection, lake, found, end, settings or Identity())
    graph.components(connection, "links", "found")
    before = _night_before(connection, lake, run_date)
    keys.name(connection)
    home = Lake(lake.root)
    night = {"run_date": run_date, "previous_run_date": before or run_date, "run_id": literal(run_id)}
    persons = home.write(connection, "persons", keys.PERSONS, partition=run_date)
    records = {
        "persons": persons,
        "identity_history": home.write(connection, "identity_history", keys.HISTORY.format(**night), partition=run_date),
        "identity_cuts": home.write(connection, "identity_cuts", keys.CUTS.format(**night), partition=run_date),
    }
    return Resolution(run_date, _also(home, persons, tables) if persons else None, records, {"n_edge_days": n_days, **_counts(connection)})


def _also(home: Lake, file: DataFile, tables: Lake) -> DataFile:
    """The same file among the night's `tables`, not yet committed: a second name of it where the disk has that, else a copy."""
    folder = tables.root / "persons"
    make_folder(folder)
    aside = folder / f".{uuid4().hex}.tmp"
    try:
        os.link(home.root / file.path, aside)
    except OSError:
        shutil.copyfile(home.root / file.path, aside)
    return tables.adopt("persons", aside, rows=file.rows)


def _night_before(connection: "duckdb.DuckDBPyConnection", lake: Snapshot, run_date: date) -> str | None:
    """Make `before`, the persons of the newest night before `run_date`; returns that night, None where there is none."""
    nights = [file for file in lake.data_files("persons") if file.partition < run_date.isoformat()]
    newest = max((file.partition for file in nights), default=None)
    files = [lake.root / file.path for file in nights if file.partition == newest]
    connection.execute(f"CREATE OR REPLACE TEMP TABLE before AS SELECT alias_id, person_id FROM {scan(files, PERSONS)}")
    return newest


def _counts(connection: "duckdb.DuckDBPyConnection") -> dict[str, int]:
    changes = dict(connection.execute("SELECT change, count(*) FROM changes GROUP BY change").fetchall())
    return {f"n_{change}s": changes.get(change, 0) for change in CHANGES}
