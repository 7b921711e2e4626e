"""What has landed: the files of a source, known by their content."""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from dawnlist.errors import LandingError, UnreadableFileError
from dawnlist.files import sha256_of, write_json
from dawnlist.settings import Settings
from dawnlist.sources import Input, InputSpec, Source

MARKER = "_SUCCESS"
PERIODS = {"hour": timedelta(hours=1), "day": timedelta(days=1), None: timedelta(0)}
HourState = Literal["in", "waiting", "empty"]


@dataclass(frozen=True, order=True)
class LandedFile:
    """One landed file. `name` is relative to the landing folder, `file_id` the SHA-256 of its bytes, `file_time` and
    `file_end` the begin and the end of the hour or day that it is for.
    """

    input: Input
    name: str
    path: Path
    file_id: str = ""
    file_time: datetime | None = None
    file_end: datetime | None = None


def list_files(settings: Settings, source: Source) -> list[LandedFile]:
    """Every landed file of the source, sorted by input and name, not yet hashed.

    Raises LandingError when the landing folder is missing, or when no event file at all has landed.
    """
    folder = settings.landing_dir(source.name)
    if not folder.is_dir():
        raise LandingError(
            f"The landing folder {folder} of source {source.name} does not exist. Create it, or name another one with --landing or DAWNLIST_LANDING."
        )
    found = []
    for kind, spec in source.inputs.items():
        names = sorted(str(path.relative_to(folder)) for path in folder.glob(spec.path) if path.is_file())
        found += [_landed(kind, spec, folder, name) for name in names]
    if not any(file.input == "events" for file in found):
        raise LandingError(
            f"No file of source {source.name} has landed: nothing below {folder} matches {source.inputs['events'].path}. Check the folder, or the path in the source's YAML."
        )
    return found


def _landed(kind: Input, spec: InputSpec, folder: Path, name: str) -> LandedFile:
    begin = spec.time_of(name)
    return LandedFile(kind, name, folder / name, file_time=begin, file_end=begin and begin + PERIODS[spec.period])


def within(files: Iterable[LandedFile], start: datetime, end: datetime, *, max_lateness_days: int) -> list[LandedFile]:
    """The files for an hour or day that ends in `start < t <= end`, and the late ones before it that may still count; files whose name
    says no time always. A day's file is complete, and so taken, when the day is over.
    """
    earliest = start - timedelta(days=max_lateness_days) if start > datetime.min + timedelta(days=max_lateness_days) else datetime.min
    return [file for file in files if file.file_time is None or file.file_end is None or (earliest <= file.file_time and file.file_end <= end)]


def identified(settings: Settings, source: Source, files: Iterable[LandedFile]) -> list[LandedFile]:
    """The same files with their `file_id`. Hashes are remembered by path, size and change time, so only new files are read."""
    memory = settings.scratch_dir / f"landed-{source.name}.json"
    known: dict[str, list[str]] = json.loads(memory.read_text(encoding="utf-8")) if memory.exists() else {}
    result, fresh = [], dict(known)
    for file in files:
        status = file.path.stat()
        mark = f"{status.st_size}-{status.st_mtime_ns}-{status.st_ino}"
        key = str(file.path)
        if key not in known or known[key][0] != mark:
            fresh[key] = [mark, _hash(file.path)]
        result.append(replace(file, file_id=fresh[key][1]))
    if fresh != known:
        write_json(memory, fresh)
    return result


def unseen(files: Iterable[LandedFile], ingested: Collection[tuple[str, str]]) -> list[LandedFile]:
    """The files whose (input, file_id) is not among `ingested`; of files with the same content the first by name."""
    seen, result = set(ingested), []
    for file in files:
        if (file.input, file.file_id) not in seen:
            seen.add((file.input, file.file_id))
            result.append(file)
    return result


def hour_state(settings: Settings, source: Source, start: datetime, *, now: datetime) -> HourState:
    """Whether the hour that begins at `start` is in: its marker or one of its event files has landed ('in'), it may still come
    ('waiting'), or its grace is over ('empty'). All times UTC without zone. Sources whose files say no hour are always in.
    """
    spec = source.inputs["events"]
    if spec.period is None:
        return "in"
    end = start + timedelta(hours=1)
    begin = start if spec.period == "hour" else start.replace(hour=0)
    folder = settings.landing_dir(source.name)
    signs = [*folder.glob(spec.path), *folder.glob(str(Path(spec.path).parent / MARKER))]
    if any(spec.time_of(str(path.relative_to(folder))) == begin for path in signs):
        return "in"
    return "waiting" if now < end + timedelta(minutes=settings.ingest.grace_minutes) else "empty"


def _hash(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise UnreadableFileError(f"Cannot read the landed file {path}: {error.strerror}. Check its rights, or take it out of the landing folder.") from error
