"""Propose the YAML of a source for files that nobody has described yet."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from dawnlist import duck
from dawnlist.errors import LandingError, SourceError, UnreadableFileError
from dawnlist.settings import Settings
from dawnlist.source_tools.check import check
from dawnlist.source_tools.choose import Proposal, best_list, propose
from dawnlist.source_tools.files import PACKED, format_of, look
from dawnlist.source_tools.presets import check_name
from dawnlist.source_tools.profile import profile
from dawnlist.source_tools.write import Group, write
from dawnlist.sources import InputSpec

if TYPE_CHECKING:
    import duckdb

# What differs between the files of one kind: UUIDs, digits with what stands between those of a date, long hexadecimal names, English months.
_VARYING = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+(?:[-_.:T]\d+)*|(?<![a-z])[0-9a-f]{8,}(?![a-z])"
    r"|(?<![a-z])(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)(?![a-z])",
    re.IGNORECASE,
)
FILE_TIMES = (
    "date=%Y-%m-%d/hour=%H", "dt=%Y-%m-%d/hour=%H", "day=%Y-%m-%d/hour=%H", "dt=%Y-%m-%d/hr=%H", "year=%Y/month=%m/day=%d/hour=%H", "%Y/%m/%d/%H", "%Y-%m-%dT%H", "%Y-%m-%d_%H", "%Y-%m-%d-%H",
    "%Y%m%dT%H", "%Y%m%d_%H", "%Y%m%d-%H", "%Y%m%d%H", "year=%Y/month=%m/day=%d", "%Y/%m/%d", "%Y-%m-%d", "%Y_%m_%d", "%Y.%m.%d", "%Y%m%d",
)  # fmt: skip
MAX_GROUPS = 40


@dataclass
class _Files:
    pattern: str
    paths: list[Path] = field(default_factory=list)


def infer(settings: Settings, path: Path, name: str) -> str:
    """The text of a YAML file for the source `name`, which maps the files below the folder `path`, or the one file `path`.

    Raises LandingError when there is no data file, SourceError when no file looks like events, or for a name that is none.
    """
    check_name(name)
    folder = path if path.is_dir() else path.parent
    groups, unread = [], []
    with duck.connect(settings) as connection:
        for files in _groups(path, folder):
            try:
                groups.append(Group(files.pattern, _file_time(files, folder), len(files.paths), _propose(connection, files.paths)))
            except (SourceError, UnreadableFileError) as error:
                unread.append((files.pattern, str(error)))
        chosen = _chosen(groups)
        if "events" not in chosen:
            raise SourceError(_nothing_found(path, groups, unread))
        return _checked(settings, name, folder, chosen, [group for group in groups if group not in chosen.values()], unread)


def name_of(path: Path) -> str:
    """A source's name for a folder or a file."""
    stem = path.absolute().name if path.is_dir() else path.name.split(".")[0]
    name = re.sub(r"[^a-z0-9]+", "_", stem.lower()).strip("_")
    return name if re.match("[a-z]", name) else f"source_{name}".rstrip("_")


def _groups(path: Path, folder: Path) -> list[_Files]:
    """The data files, those of one kind together, with a glob that matches them and no others."""
    paths = [path] if path.is_file() else sorted(found for found in path.rglob("*") if found.is_file() and not found.name.startswith((".", "_")))
    paths = [found for found in paths if format_of(found) and found.stat().st_size]
    if not paths:
        raise LandingError(
            f"There is no data at {path}: files end with .jsonl, .json, .csv, .tsv, .txt or .parquet, and with .gz or .zst where they are packed."
        )
    by_pattern: dict[str, _Files] = {}
    for found in paths:
        pattern = _glob(str(found.relative_to(folder)))
        by_pattern.setdefault(pattern, _Files(pattern)).paths.append(found)
    groups = sorted(by_pattern.values(), key=lambda files: (-sum(found.stat().st_size for found in files.paths), files.pattern))[:MAX_GROUPS]
    for files in groups:
        if len(files.paths) == 1 and not _file_time(files, folder):
            files.pattern = str(files.paths[0].relative_to(folder))
        elif set(folder.glob(files.pattern)) & set(paths) != set(files.paths) and path.is_dir():
            files.pattern = files.pattern.replace("*", "[0-9]*")
    return groups


def _glob(name: str) -> str:
    """`date=2026-01-05/orders-0001.csv.gz` -> `date=*/orders-*.csv.gz`."""
    suffixes = Path(name).suffixes
    ending = "".join(suffixes[-2:] if suffixes[-1] in PACKED else suffixes[-1:])
    return re.sub(r"\*(?:[-_.]?\*)+", "*", _VARYING.sub("*", name.removesuffix(ending))) + ending


def _file_time(files: _Files, folder: Path) -> str | None:
    """The format of the hour or day that every file's name says; None where one says none."""
    names = [str(path.relative_to(folder)) for path in files.paths]
    return next((text for text in FILE_TIMES if all(_says_time(text, name) for name in names)), None)


def _says_time(text: str, name: str) -> bool:
    try:
        return InputSpec(path="*", format="csv", file_time=text, columns={}).time_of(name) is not None
    except ValueError:  # digits that are no date
        return False


def _propose(connection: "duckdb.DuckDBPyConnection", paths: Sequence[Path]) -> Proposal | None:
    seen = look(connection, paths)
    return propose(profile(connection, seen, best_list(seen.lists), paths))


def _chosen(groups: Sequence[Group]) -> dict[str, Group]:
    """For each kind of input the group that makes the most of it."""
    chosen: dict[str, Group] = {}
    for group in groups:
        if group.proposal and (group.proposal.kind not in chosen or group.points > chosen[group.proposal.kind].points):
            chosen[group.proposal.kind] = group
    return chosen


def _checked(settings: Settings, name: str, folder: Path, chosen: dict[str, Group], others: list[Group], unread: list[tuple[str, str]]) -> str:
    """The text, without what a check of it against the files does not bear out: a time in names that is not that of landing, inputs that keep nothing."""
    text = write(name, chosen, others, unread)
    with TemporaryDirectory() as aside:
        path = Path(aside) / f"{name}.yml"
        path.write_text(text, encoding="utf-8")
        report = check(settings, path, folder)
    late = sum(n for sample in report.samples for problem, n in sample.problems if "too late" in problem)
    broken = {str(mistake.keys[1]) for mistake in report.mistakes if mistake.keys[:1] == ("inputs",)} - {"events"}
    if late > settings.gate.max_quarantined_share * sum(sample.n_records for sample in report.samples if sample.kind == "events"):
        chosen["events"].file_time = None
    elif not broken:
        return text
    others += [chosen.pop(kind) for kind in sorted(broken)]
    return write(name, chosen, others, unread)


def _nothing_found(path: Path, groups: Sequence[Group], unread: Sequence[tuple[str, str]]) -> str:
    if unread and not groups:
        return unread[0][1]
    wanted = "a time, a visitor (user, device, session or order) and an item or a kind of event"
    return f"No file at {path} looks like events, which have {wanted}. Copy a preset (`dawnlist sources presets`) or write the YAML by hand: docs/sources.md."
