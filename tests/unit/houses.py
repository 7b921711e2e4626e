"""A lake that is filled by hand, and the persons that identity finds in it, night after night."""

from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from dawnlist import columns, identity
from dawnlist.duck import scan
from dawnlist.lake import Lake
from dawnlist.settings import Identity

RUN_DATE = date(2026, 3, 31)
NOON = "2026-03-31 12:00:00"


class House:
    """One lake and its nights."""

    def __init__(self, root: Path) -> None:
        self.lake, self.tables = Lake(root / "lake"), Lake(root / "night")
        self.connection = duckdb.connect()

    def land(self, table: str, rows: list[dict[str, Any]], day: date | None = None) -> None:
        kinds = columns.LAKE_TABLES[table]
        self.connection.execute(f"CREATE OR REPLACE TABLE landed ({', '.join(f'{name} {kind}' for name, kind in kinds.items())})")
        for row in rows:
            self.connection.execute(f"INSERT INTO landed VALUES ({', '.join('?' * len(kinds))})", [{"source": "shop", **row}.get(name) for name in kinds])
        file = self.lake.write(self.connection, table, "FROM landed", partition=day)
        self.lake.commit({table: {*self.lake.snapshot().data_files(table), file} if file else []}, run_id="landed")

    def see(self, *pairs: tuple[str | None, str | None], at: str = NOON, **more: Any) -> None:
        """Land one event for each (user_id, anonymous_id)."""
        rows = [{"user_id": user, "anonymous_id": device, "occurred_at": at, **more} for user, device in pairs]
        self.land("events", rows, date.fromisoformat(at[:10]))

    def link(self, *pairs: tuple[str, str]) -> None:
        """Link each (id, id under the key before)."""
        if pairs:
            self.land("key_links", [{"id": new, "previous_id": old} for new, old in pairs])

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        files = self.lake.snapshot().files(table)
        return self.connection.execute(f"FROM {scan(files, columns.LAKE_TABLES[table])}").fetchall()

    def night(self, run_date: date = RUN_DATE, **rules: Any) -> list[tuple[Any, ...]]:
        """Resolve a night and keep it; the rows of its persons."""
        resolution = identity.resolve(self.connection, self.lake.snapshot(), run_date, self.tables, Identity(**rules), run_id=f"night-{run_date}")
        resolution.keep(self.lake, nights=14, run_id=f"night-{run_date}")
        if resolution.persons is None:
            return []
        rows = self.connection.execute(f"FROM '{self.tables.root / resolution.persons.path}'").fetchall()
        aliases = [row[0] for row in rows]
        assert aliases == sorted(set(aliases))
        persons = {alias: person for alias, person, _, _ in rows}
        assert all(persons[person] == person for person in persons.values()), "a key is an id of its person"
        return rows

    def persons(self, run_date: date = RUN_DATE, **rules: Any) -> dict[str, str]:
        return {alias: person for alias, person, _, _ in self.night(run_date, **rules)}
