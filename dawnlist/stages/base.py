"""What every stage takes and gives back."""

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from dawnlist.errors import MissingInputError
from dawnlist.files import write_json
from dawnlist.lake import Lake, Snapshot
from dawnlist.settings import Settings

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
BEGINNING = datetime(1, 1, 1)
FAILED = ".failed"  # the ending of a record of a failure


@dataclass(frozen=True)
class Interval:
    """A half-open span of UTC time, `start <= t < end`, without zones: an hour, a day, or everything up to an end."""

    start: datetime
    end: datetime

    @classmethod
    def hour(cls, start: datetime) -> Self:
        """The hour that begins at `start` (UTC; an aware time is converted)."""
        start = _utc(start).replace(minute=0, second=0, microsecond=0)
        return cls(start, start + HOUR)

    @classmethod
    def day(cls, run_date: date) -> Self:
        """The UTC day `run_date`."""
        start = datetime(run_date.year, run_date.month, run_date.day)
        return cls(start, start + DAY)

    @classmethod
    def until(cls, run_date: date) -> Self:
        """All time up to the end of `run_date`: the interval of a bulk load."""
        return cls(BEGINNING, cls.day(run_date).end)

    @property
    def is_bulk(self) -> bool:
        return self.start == BEGINNING

    @property
    def run_date(self) -> date:
        """The day whose last moment the interval ends in."""
        return (self.end - timedelta(microseconds=1)).date()

    @property
    def key(self) -> str:
        """A name for folders and run ids: 2026-11-21T05, 2026-11-21, or until-2026-11-21."""
        if self.is_bulk:
            return f"until-{self.run_date}"
        return self.start.strftime("%Y-%m-%dT%H" if self.end - self.start < DAY else "%Y-%m-%d")


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


@dataclass
class StageResult:
    """What a stage did. `rows_in` and `rows_out` count records; `counts` and `metrics` hold what only this stage knows; `seconds` is wall time;
    `run_id` is filled in by `stages.execute`.
    """

    stage: str
    interval: str
    run_id: str = ""
    rows_in: int = 0
    rows_out: int = 0
    seconds: float = 0.0
    paths: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def save(self, settings: Settings) -> None:
        """Keep the result in the run record of its interval, <home>/runs/<interval>/<stage>.json, in the place of a failure."""
        folder = settings.runs_dir / self.interval
        write_json(folder / f"{self.stage}.json", asdict(self))
        (folder / f"{self.stage}{FAILED}").unlink(missing_ok=True)

    @classmethod
    def read(cls, path: Path) -> Self:
        return cls(**json.loads(path.read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Failure:
    """Why the last run of a stage failed: `error` is its sentence, or the kind of an error that has none."""

    stage: str
    interval: str
    run_id: str
    error: str

    def save(self, settings: Settings) -> None:
        """Keep it in the run record of its interval: <home>/runs/<interval>/<stage>.failed."""
        write_json(settings.runs_dir / self.interval / f"{self.stage}{FAILED}", asdict(self))

    @classmethod
    def read(cls, path: Path) -> Self:
        return cls(**json.loads(path.read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Night:
    """The night of `run_date`: what was decided when it opened (the lake version that it reads, and why it trains: None where it does not), and its own tables."""

    run_date: date
    run_id: str
    lake_version: int
    lake: Snapshot
    tables: Lake
    training: str | None = None

    @classmethod
    def open(cls, settings: Settings, run_date: date, *, run_id: str, training: str | None = None) -> Self:
        """Pin the lake as it stands, and why the night trains. A night that is opened again pins again and starts over."""
        snapshot = Lake(settings.lake_dir).snapshot()
        record = {"run_date": str(run_date), "run_id": run_id, "lake_version": snapshot.version, "training": training}
        write_json(settings.night_dir(run_date) / "night.json", record)
        return cls.load(settings, run_date)

    @classmethod
    def load(cls, settings: Settings, run_date: date) -> Self:
        """The night as it was opened. Raises MissingInputError when it was not."""
        folder = settings.night_dir(run_date)
        try:
            record = json.loads((folder / "night.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise MissingInputError(f"The night of {run_date} has not been opened: run `dawnlist open --run-date {run_date}` first.") from None
        snapshot = Lake(settings.lake_dir).snapshot(record["lake_version"])
        return cls(run_date, record["run_id"], record["lake_version"], snapshot, Lake(folder), record.get("training"))
