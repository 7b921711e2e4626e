"""What has landed: the files of a source, known by their content.

Files that land behind a URL are copied once into a private folder of the home, `<home>/tmp/spool`, and read from there; the copies are
gone when they are staged.
"""

import hashlib
import json
import shutil
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from dawnlist import remote
from dawnlist.errors import LandingError, LandingStoreError, UnreadableFileError
from dawnlist.files import sha256_of, write_json
from dawnlist.remote import RemoteFile
from dawnlist.settings import Settings
from dawnlist.sources import Input, InputSpec, Source

MARKER = "_SUCCESS"
SPOOL = "spool"
COPIES_AT_A_TIME = 8
PACKED = (".gz", ".zst")  # endings that say how a file is packed; its copy keeps them
PERIODS = {"hour": timedelta(hours=1), "day": timedelta(days=1), None: timedelta(0)}
HourState = Literal["in", "waiting", "empty"]


@dataclass(frozen=True, order=True)
class LandedFile:
    """One landed file. `name` is relative to the landing folder, `file_id` the SHA-256 of its bytes, `file_time` and
    `file_end` the begin and the end of the hour or day that it is for. It is read at `path`: there the file of a URL is only inside `at_hand`.
    """

    input: Input
    name: str
    path: Path
    file_id: str = ""
    file_time: datetime | None = None
    file_end: datetime | None = None
    origin: RemoteFile | None = None  # where it is behind a URL

    @property
    def place(self) -> str:
        """Where it landed, for people: a path or a URL."""
        return self.origin.url if self.origin else str(self.path)


def list_files(settings: Settings, source: Source) -> list[LandedFile]:
    """Every landed file of the source, sorted by input and name, not yet hashed.

    Raises LandingError when the landing folder is missing, or when no event file at all has landed.
    """
    folder = landing_of(settings, source.name)
    if isinstance(folder, Path) and not folder.is_dir():
        raise LandingError(
            f"The landing folder {folder} of source {source.name} does not exist. Create it, or name another one with --landing or DAWNLIST_LANDING."
        )
    found = [file for kind, spec in source.inputs.items() for file in _matching(settings, folder, kind, spec, spec.path)]
    if not any(file.input == "events" for file in found):
        raise LandingError(
            f"No file of source {source.name} has landed: nothing below {folder} matches {source.inputs['events'].path}. Check the folder, or the path in the source's YAML."
        )
    return found


def landing_of(settings: Settings, source: str) -> Path | str:
    """The folder or URL that the files of `source` land in: as Settings.landing_dir says, behind a URL too."""
    if not remote.is_url(settings.landing):
        return settings.landing_dir(source)
    own = f"{settings.landing}/{source}"
    return own if remote.has_folder(own) else str(settings.landing)


def _matching(settings: Settings, folder: Path | str, kind: Input, spec: InputSpec, pattern: str) -> list[LandedFile]:
    """The files below `folder` that match the glob `pattern`, sorted by name."""
    if isinstance(folder, Path):
        names = sorted(str(path.relative_to(folder)) for path in folder.glob(pattern) if path.is_file())
        return [_landed(kind, spec, name, folder / name) for name in names]
    spool = settings.scratch_dir / SPOOL
    return [_landed(kind, spec, name, spool / _copy_name(file), file) for name, file in remote.matching(folder, pattern).items()]


def _copy_name(file: RemoteFile) -> str:
    """Made from the URL, so that nothing in it leads out of the spool folder."""
    ending = Path(file.url).suffix
    return hashlib.sha256(file.url.encode()).hexdigest() + (ending if ending in PACKED else "")


def _landed(kind: Input, spec: InputSpec, name: str, path: Path, file: RemoteFile | None = None) -> LandedFile:
    begin = spec.time_of(name)
    return LandedFile(kind, name, path, file_time=begin, file_end=begin and begin + PERIODS[spec.period], origin=file)


def within(files: Iterable[LandedFile], start: datetime, end: datetime, *, max_lateness_days: int) -> list[LandedFile]:
    """The files for an hour or day that ends in `start < t <= end`, and the late ones before it that may still count; files whose name
    says no time always. A day's file is complete, and so taken, when the day is over.
    """
    earliest = start - timedelta(days=max_lateness_days) if start > datetime.min + timedelta(days=max_lateness_days) else datetime.min
    return [file for file in files if file.file_time is None or file.file_end is None or (earliest <= file.file_time and file.file_end <= end)]


@contextmanager
def spool(settings: Settings) -> Iterator[None]:
    """Before and after it, no copy of a landed file is in the home, whatever a killed process left. The caller holds the lock of staging."""
    folder = settings.scratch_dir / SPOOL
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def at_hand(settings: Settings, files: Iterable[LandedFile]) -> Iterator[None]:
    """Inside it, the identified `files` are readable at their `path`: those of a URL are copied there, unless they are already. Same lock.

    Raises LandingStoreError when one cannot be copied, or is another one by now.
    """
    missing = [file for file in files if file.origin and not file.path.exists()]
    try:
        for file, file_id in zip(missing, _file_ids(missing), strict=True):
            if file_id != file.file_id:
                raise LandingStoreError(f"{file.place} changed while it was read. Run this again.")
        yield
    finally:
        shutil.rmtree(settings.scratch_dir / SPOOL, ignore_errors=True)


def identified(settings: Settings, source: Source, files: Iterable[LandedFile]) -> list[LandedFile]:
    """The same files with their `file_id`. Hashes are remembered by place, size and change time (or etag), so only new files are read."""
    files = list(files)
    memory = settings.scratch_dir / f"landed-{source.name}.json"
    known: dict[str, list[str]] = json.loads(memory.read_text(encoding="utf-8")) if memory.exists() else {}
    marks = {file.place: _mark(file) for file in files}
    new = [file for file in files if known.get(file.place, [""])[0] != marks[file.place]]
    fresh = known | {file.place: [marks[file.place], file_id] for file, file_id in zip(new, _file_ids(new), strict=True)}
    if fresh != known:
        write_json(memory, fresh)
    return [replace(file, file_id=fresh[file.place][1]) for file in files]


def _mark(file: LandedFile) -> str:
    if file.origin:
        return file.origin.mark
    status = file.path.stat()
    return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ino}"


def _file_ids(files: list[LandedFile]) -> list[str]:
    """The SHA-256 of each file; those of a URL are copied to their `path` meanwhile, some at a time."""
    for folder in {file.path.parent for file in files if file.origin}:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    pool = ThreadPoolExecutor(COPIES_AT_A_TIME)
    try:
        hashes = [pool.submit(remote.copy, file.origin, file.path) if file.origin else pool.submit(_hash, file.path) for file in files]
        return [one.result() for one in hashes]
    finally:
        pool.shutdown(cancel_futures=True)  # after an error or Ctrl-C, those that have not begun


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
    folder, marker = landing_of(settings, source.name), str(Path(spec.path).parent / MARKER)
    if any(file.file_time == begin for pattern in (spec.path, marker) for file in _matching(settings, folder, "events", spec, pattern)):
        return "in"
    return "waiting" if now < end + timedelta(minutes=settings.ingest.grace_minutes) else "empty"


def _hash(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise UnreadableFileError(f"Cannot read the landed file {path}: {error.strerror}. Check its rights, or take it out of the landing folder.") from error
