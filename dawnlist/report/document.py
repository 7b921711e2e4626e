"""What a report is made of. A chart stands beside the table whose figures it draws, so that whoever cannot see it reads them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

State = Literal["good", "warned", "bad", "none"]
SIGNS: Final[dict[State, str]] = {"good": "✓", "warned": "!", "bad": "✕", "none": ""}  # beside the colour, for whoever cannot tell it


@dataclass(frozen=True)
class Bar:
    """A bar from 0 to `value`, with `text` at its end; `usual` is marked across it."""

    label: str
    value: float
    text: str
    state: State = "none"
    usual: float | None = None


@dataclass(frozen=True)
class Bars:
    """Bars from left to right, from above in their order. `limits` are lines across all of them; bars beyond twice the largest limit end there."""

    bars: Sequence[Bar]
    limits: Sequence[float] = ()


@dataclass(frozen=True)
class Days:
    """One column a day, oldest first, with `unit`; the last day is that of the night."""

    unit: str
    days: Sequence[tuple[date, int]]


@dataclass(frozen=True)
class Intervals:
    """Intervals of `measure` and their middles on one scale, on which 0 is marked: (label, low, middle, high)."""

    measure: str
    intervals: Sequence[tuple[str, float, float, float]]


@dataclass(frozen=True)
class Grid:
    """Numbers on grounds as strong as they are large, 0 to the largest: (row, column) -> number. Whatever is not there stays empty."""

    rows: Sequence[str]
    columns: Sequence[str]
    cells: Mapping[tuple[str, str], int]


@dataclass(frozen=True)
class Lines:
    """A line for each label over the same days, oldest first, each on a scale of its own; None where a day has no value."""

    days: Sequence[date]
    lines: Sequence[tuple[str, Sequence[float | None]]]


Chart = Bars | Days | Intervals | Grid | Lines


@dataclass(frozen=True)
class Flag:
    """A text with the sign of its state."""

    text: str
    state: State


@dataclass(frozen=True)
class Link:
    """A text that leads to `href`: a path from the page's folder, or an address that the settings name."""

    text: str
    href: str


Cell = str | int | float | None | Flag | Link


@dataclass(frozen=True)
class Table:
    """Rows of cells below their columns. Whole numbers are shown with separators, others with four digits, None as nothing; `note` explains.

    Where `charts` say it all, the table is `folded`.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    charts: Sequence[Chart] = ()
    folded: bool = False


@dataclass(frozen=True)
class Absent:
    """What is not in this report, and why: one sentence."""

    caption: str
    why: str


Part = Table | Absent


@dataclass(frozen=True)
class Section:
    """`name` is its anchor on the page."""

    name: str
    title: str
    parts: Sequence[Part]


@dataclass(frozen=True)
class Tile:
    """One figure of the first lines."""

    label: str
    value: str
    detail: str = ""
    state: State = "none"


@dataclass(frozen=True)
class Report:
    """The report of the night of `run_date`."""

    run_date: date
    site: str
    tiles: Sequence[Tile]
    sections: Sequence[Section]
