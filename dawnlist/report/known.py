"""What the parts of a report read from: one connection, the lake, the tables of the nights, and the run records."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dawnlist import duck
from dawnlist.columns import LAKE_TABLES
from dawnlist.errors import MissingInputError
from dawnlist.lake import Lake, Snapshot
from dawnlist.settings import Settings

if TYPE_CHECKING:
    import duckdb

NIGHTS: Final = 14  # that timings are compared with
LOADING: Final = ("ingest", "validate")
SUMMED: Final = ("seconds", "rows_in", "rows_out")


@dataclass(frozen=True)
class Known:
    """Everything about the night of `run_date`; `nights` are the run records of that night and of those before it, oldest first."""

    settings: Settings
    run_date: date
    connection: "duckdb.DuckDBPyConnection"
    lake: Snapshot
    nights: Mapping[date, Mapping[str, Mapping[str, Any]]]

    @property
    def day(self) -> str:
        """The run date in SQL."""
        return f"DATE '{self.run_date}'"

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        return self.connection.execute(query).fetchall()

    def of_lake(self, table: str) -> str:
        """A table of the lake as it is now, as a FROM item: a record of this night is newer than the state that the night pinned."""
        return duck.scan(self.lake.files(table), LAKE_TABLES[table])

    def of_night(self, table: str, *, stage: str = "transform", run_date: date | None = None) -> str:
        """A table of the night, or of the one of `run_date`, as a FROM item. Raises MissingInputError where `stage` has not made it."""
        day = run_date or self.run_date
        if not (self.settings.night_dir(day) / "night.json").exists():
            raise MissingInputError(f"The night of {day} was not opened, or its tables are no longer kept (retention.nights).")
        files = Lake(self.settings.night_dir(day)).snapshot().require(table, stage=stage)
        if not files:
            raise MissingInputError(f"The table {table} of this night has no row.")
        return duck.scan(files, {})

    def night_before(self) -> date:
        """The newest night before this one whose tables are kept. Raises MissingInputError for the first one."""
        days = (date.fromisoformat(path.parent.name) for path in self.settings.home.glob("nights/????-??-??/night.json"))
        earlier = [day for day in days if day < self.run_date]
        if not earlier:
            raise MissingInputError("There is no earlier night to compare with.")
        return max(earlier)

    def stage(self, name: str) -> Mapping[str, Any]:
        """The run record of a stage of this night. Raises MissingInputError where it has not run."""
        record = self.nights.get(self.run_date, {}).get(name)
        if record is None:
            raise MissingInputError(f"The stage {name} of this night has not run.")
        return record


@contextmanager
def known(settings: Settings, run_date: date) -> Iterator[Known]:
    """Open what a report reads."""
    with duck.connect(settings) as connection:
        yield Known(settings, run_date, connection, Lake(settings.lake_dir).snapshot(), _nights(settings.runs_dir, run_date))


def _nights(runs: Path, run_date: date) -> dict[date, dict[str, Any]]:
    days = sorted(date.fromisoformat(path.name) for path in runs.glob("????-??-??") if path.is_dir())
    kept = [day for day in days if day <= run_date][-NIGHTS - 1 :]
    return {day: _loads(runs, day) | _records((runs / str(day)).glob("*.json")) for day in kept}


def _records(paths: Iterable[Path]) -> dict[str, dict[str, Any]]:
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(paths)}


def _loads(runs: Path, day: date) -> dict[str, dict[str, Any]]:
    """The records of the hours of the day, summed for each stage of loading."""
    found = {}
    for stage in LOADING:
        hours = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(runs.glob(f"{day}T??/{stage}.json"))]
        if hours:
            found[stage] = {name: sum(hour[name] for hour in hours) for name in SUMMED} | {"notes": [note for hour in hours for note in hour["notes"]]}
    return found
