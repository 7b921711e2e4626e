"""Quarantine as a workplace: what is in it and why, how such a record looks, and its replay after the mapping or a rule was mended.

The lake keeps file, line, field and reason of a record, never its content: that is read again from the landed file, which is known by
its content hash, wherever it lies by now.
"""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dawnlist import duck, ingest, landing, sources
from dawnlist.columns import LEDGER, QUARANTINE
from dawnlist.errors import LandingError
from dawnlist.files import remove_folder
from dawnlist.lake import Lake
from dawnlist.landing import LandedFile
from dawnlist.locks import exclusive
from dawnlist.masking import masked_lines
from dawnlist.privacy import load_key
from dawnlist.sources import Source
from dawnlist.stages import LOADING, lock
from dawnlist.stages.base import Interval, StageResult
from dawnlist.stages.ingest import STAGING_WAIT_SECONDS
from dawnlist.stages.validate import WRITER_WAIT_SECONDS, judge

if TYPE_CHECKING:
    from dawnlist.settings import Settings

INTERVAL = "replay"
REASONS = ("source", "input", "field", "reason", "n_rows", "n_files", "first_file", "last_file")
GONE = "(the landed file is gone)"
NO_LINE = "(a row rule refused it; its line is not known)"


@dataclass(frozen=True)
class Chosen:
    """Which rows of quarantine are meant; None = all. `file` is a landed file's name, relative to the landing folder, or its content hash."""

    source: str | None = None
    input: str | None = None
    file: str | None = None
    reason: str | None = None

    @property
    def condition(self) -> str:
        wanted = {"source": self.source, "input": self.input, "reason": self.reason}
        tests = [f"{name} = {duck.literal(value)}" for name, value in wanted.items() if value is not None]
        if self.file is not None:
            tests.append(f"{duck.literal(self.file)} IN (file_name, file_id)")
        return " AND ".join(tests) or "true"


ALL = Chosen()


@dataclass(frozen=True)
class Replay:
    """What a replay of one source did. Counts are of the files that were read again; `gone` names those that are no longer in landing."""

    source: str
    n_files: int = 0
    n_quarantined_before: int = 0
    n_quarantined: int = 0
    n_kept_before: int = 0
    n_kept: int = 0
    gone: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def reasons(settings: "Settings", chosen: Chosen = ALL) -> list[dict[str, Any]]:
    """One row per source, input, field and reason with its counts and its first and last file by name, the most frequent first."""
    return _rows(
        settings,
        f"SELECT source, input, field, reason, count(*) AS n_rows, count(DISTINCT file_id) AS n_files, min(file_name) AS first_file, max(file_name) AS last_file "
        f"FROM {_quarantine(settings)} WHERE {chosen.condition} GROUP BY ALL ORDER BY n_rows DESC, source, input, field, reason",
    )


def samples(settings: "Settings", chosen: Chosen = ALL, *, limit: int, with_content: bool = False) -> list[dict[str, Any]]:
    """Up to `limit` rows: source, input, file_name, line, field, reason; of each reason the first ones, in turn.

    With content each has `content`: its landed line as it is now, people's ids and all that looks like them masked. It is kept nowhere.
    """
    found = _rows(
        settings,
        f"SELECT * FROM {_quarantine(settings)} WHERE {chosen.condition} "
        "ORDER BY row_number() OVER (PARTITION BY source, input, field, reason ORDER BY file_name, line), source, input, field, reason "
        f"LIMIT {int(limit)}",
    )
    return _with_content(settings, found) if with_content else found


def replay(settings: "Settings", chosen: Chosen, interval: Interval, *, run_id: str) -> list[Replay]:
    """Read the files again that have the `chosen` rows in quarantine, and bring them through the gate into the lake, source by source.

    What is kept stays as it is, what can be read by now is added, and quarantine and ledger say anew what is bad: one commit a source.
    `interval` is what the gate checks times against. Raises GateError as `validate` does, and when records that were kept are not found again.
    """
    with ExitStack() as stack:
        for stage in LOADING:
            stack.enter_context(lock(settings, stage))
        files = _rows(
            settings,
            f"SELECT DISTINCT source, input, file_id, file_name FROM {_quarantine(settings)} WHERE {chosen.condition} ORDER BY ALL",
        )
        names = sorted({file["source"] for file in files})
        return [_replay(settings, sources.load(settings, name), [file for file in files if file["source"] == name], interval, run_id) for name in names]


def _replay(settings: "Settings", source: Source, wanted: Sequence[dict[str, Any]], interval: Interval, run_id: str) -> Replay:
    result = StageResult("validate", INTERVAL)
    with exclusive(settings.lake_dir / ".staging.lock", wait_seconds=STAGING_WAIT_SECONDS):
        landed = _landed(settings, source, {file["file_name"] for file in wanted})
        files = [landed[key] for key in dict.fromkeys((file["input"], file["file_id"]) for file in wanted) if key in landed]
        gone = tuple(sorted({file["file_name"] for file in wanted if (file["input"], file["file_id"]) not in landed}))
        if not files:
            return Replay(source.name, gone=gone)
        kept, quarantined = _totals(settings, source.name, files)
        batch = ingest.stage_batch(settings, source, files, key=load_key(settings), interval=INTERVAL)
    try:
        with exclusive(settings.lake_dir / ".writer.lock", wait_seconds=WRITER_WAIT_SECONDS):
            judge(settings, batch, interval, result, run_id=run_id, is_replay=True)
    finally:
        if batch.folder.exists():
            remove_folder(batch.folder)
    counts = result.counts
    return Replay(source.name, len(files), quarantined, counts["n_quarantined"], kept, counts["n_kept"], gone, tuple(result.notes))


def _landed(settings: "Settings", source: Source, names: Iterable[str]) -> dict[tuple[str, str], LandedFile]:
    """What has landed by (input, content hash); of files with the same content one whose name is among `names`."""
    try:
        files = landing.identified(settings, source, landing.list_files(settings, source))
    except LandingError:
        return {}
    known = set(names)
    return {(file.input, file.file_id): file for file in sorted(files, key=lambda file: (file.name in known, file.name))}


def _totals(settings: "Settings", source: str, files: Sequence[LandedFile]) -> tuple[int, int]:
    """Rows kept and rows quarantined of `files`, as the ledger has them."""
    own = ", ".join(f"({duck.literal(file.input)}, {duck.literal(file.file_id)})" for file in files)
    (row,) = _rows(
        settings,
        "SELECT coalesce(sum(n_kept), 0)::BIGINT AS kept, coalesce(sum(n_quarantined), 0)::BIGINT AS quarantined "
        f"FROM {_table(settings, 'ledger')} WHERE source = {duck.literal(source)} AND (input, file_id) IN ({own})",
    )
    return row["kept"], row["quarantined"]


def _with_content(settings: "Settings", found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    contents: dict[tuple[str, str, str], dict[int, str]] = {}
    for name in sorted({row["source"] for row in found}):
        source = sources.load(settings, name)
        own = [row for row in found if row["source"] == name]
        with exclusive(settings.lake_dir / ".staging.lock", wait_seconds=STAGING_WAIT_SECONDS):
            landed = _landed(settings, source, {row["file_name"] for row in own})
            files = [landed[key] for key in sorted({(row["input"], row["file_id"]) for row in own} & set(landed))]
            with landing.at_hand(settings, files):
                for file in files:
                    lines = {row["line"] for row in own if (row["input"], row["file_id"]) == (file.input, file.file_id) and row["line"]}
                    contents[name, file.input, file.file_id] = masked_lines(source.inputs[file.input], file, lines)
    return [row | {"content": _content_of(row, contents)} for row in found]


def _content_of(row: dict[str, Any], contents: dict[tuple[str, str, str], dict[int, str]]) -> str:
    lines = contents.get((row["source"], row["input"], row["file_id"]))
    if lines is None:
        return GONE
    return NO_LINE if row["line"] is None else lines.get(row["line"], GONE)


def _quarantine(settings: "Settings") -> str:
    return _table(settings, "quarantine")


def _table(settings: "Settings", table: str) -> str:
    columns = {"quarantine": QUARANTINE, "ledger": LEDGER}[table]
    return duck.scan(Lake(settings.lake_dir).snapshot().files(table), columns)


def _rows(settings: "Settings", query: str) -> list[dict[str, Any]]:
    with duck.connect(settings) as connection:
        cursor = connection.execute(query)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
