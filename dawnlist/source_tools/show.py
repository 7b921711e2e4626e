"""A check's report on a terminal."""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from dawnlist.source_tools.check import Report
from dawnlist.source_tools.sample import HIDDEN, Cell, Record, Sample

PSEUDONYM_DIGITS = 12  # of 32: enough to tell two people apart
RECORD_WIDTH = 25
MAX_ORIGIN_WIDTH = 32
MAX_VALUE = 60
MAX_NAMES = 12
PEOPLE = ("user_id", "anonymous_id")


def show(report: Report, console: Console | None = None) -> None:
    """Print what the mapping makes of the sample of each input, then what is worth a look. Mistakes are the caller's to raise."""
    console = console or Console(highlight=False)
    path = report.document.path
    if report.landing is None:
        console.print(f"No files to check {escape(path.name)} against: there is no landing folder yet. Name one with --landing.")
    for sample in report.samples:
        _show_sample(console, sample)
    if report.others:
        console.print(f"[yellow]note[/] no input takes {_count(len(report.others), 'file')}: {escape(_names(report.others))}", soft_wrap=True)
    for note in sorted(set(report.notes)):
        console.print(f"[yellow]note[/] {escape(f'{path}:{note.line}: {note.place}: {note.message}')}", soft_wrap=True)
    if not report.mistakes:
        console.print(f"[green]{escape(path.name)} has no mistakes.[/]")


def _show_sample(console: Console, sample: Sample) -> None:
    first, last = sample.files[0], sample.files[-1]
    span = escape(first) if first == last else f"{escape(first)} … {escape(last)}"
    console.print(f"[bold]{sample.kind}[/] {escape(sample.spec.path)}: {_count(len(sample.files), 'file')} ({span})", soft_wrap=True)
    reasons = ", ".join(f"{escape(reason)} {n:,}" for reason, n in sample.problems)
    console.print(
        f"First records of {_count(sample.n_files_read, 'file')}: {sample.n_records:,} read = {sample.n_kept:,} kept + {sample.n_quarantined:,} quarantined"
        f"{f' ({reasons})' if reasons else ''} + {sample.n_ignored:,} ignored",
        soft_wrap=True,
    )
    if sample.kept:
        console.print(_kept_table(sample, console.width))
    if sample.refused:
        console.print(_refused_table(sample.refused))
    if sample.unmapped:
        what = "kept in properties" if sample.spec.other_columns == "properties" else "not mapped"
        console.print(f"Columns {what}: {escape(_names(sample.unmapped))}", soft_wrap=True)
    console.print()


def _count(n: int, thing: str) -> str:
    return f"{n:,} {thing}{'' if n == 1 else 's'}"


def _kept_table(sample: Sample, width: int) -> Table:
    """One row a canonical column; one column a record, as many as fit: raw → mapped, or the value alone where both are the same."""
    names = list(dict.fromkeys(name for record in sample.kept for name in record.cells))
    origins = {name: column.origins or ("constant",) for name, column in sample.spec.columns.items()}
    origin_width = min(MAX_ORIGIN_WIDTH, max(len(origin) + len(" or") for alternatives in origins.values() for origin in alternatives))
    records = sample.kept[: max(1, (width - max(map(len, names)) - origin_width) // RECORD_WIDTH)]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_lines=False)
    table.add_column("column", no_wrap=True)
    table.add_column("from", overflow="fold", min_width=origin_width)
    for record in records:
        table.add_column(Text(record.where, overflow="fold"), overflow="fold")
    for name in names:
        table.add_row(name, Text(" or\n".join(origins.get(name, ()))), *(Text(_cell(name, record.cells.get(name, (None, None)))) for record in records))
    return table


def _refused_table(records: Sequence[Record]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="Would go to quarantine", title_justify="left")
    for name in ("record", "field", "reason", "value"):
        table.add_column(name, overflow="fold")
    for record in records:
        name, _, reason = (record.problem or "").partition(": ")
        table.add_row(Text(record.where), name, reason, Text(_short(record.cells.get(name, (None, None))[0] or "")))
    return table


def _cell(name: str, cell: Cell) -> str:
    raw, mapped = cell
    if name in PEOPLE:
        return f"{mapped[:PSEUDONYM_DIGITS]}…" if mapped else ""
    if name == "user_agent":
        return HIDDEN if raw else ""
    if name == "event_id" and raw and mapped:
        return f"{_short(raw)} → {mapped[:PSEUDONYM_DIGITS]}…"
    if raw is None or raw == mapped or _is_same_number(raw, mapped):
        return _short(raw or mapped or "")
    return f"{_short(raw)} → {_short(mapped or 'nothing')}"


def _is_same_number(raw: str, mapped: str | None) -> bool:
    try:
        return mapped is not None and Decimal(raw) == Decimal(mapped)
    except InvalidOperation:
        return False


def _short(value: str) -> str:
    return value if len(value) <= MAX_VALUE else value[: MAX_VALUE - 1] + "…"


def _names(names: Sequence[str]) -> str:
    rest = len(names) - MAX_NAMES
    return ", ".join(names[:MAX_NAMES]) + (f" and {rest:,} more" if rest > 0 else "")
