"""What a report is made of. A chart is a table whose cells draw, so that whoever cannot see it reads the same figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

State = Literal["good", "warned", "bad", "none"]


@dataclass(frozen=True)
class Bar:
    """A text with a bar beside it: `share` of the full width, 0 to 1."""

    text: str
    share: float
    state: State = "none"


@dataclass(frozen=True)
class Range:
    """An interval and its middle, drawn on a scale from `start` to `end` that every row of the table shares; 0 is marked."""

    low: float
    middle: float
    high: float
    start: float
    end: float

    @property
    def text(self) -> str:
        return f"{self.middle:+.4f} ({self.low:+.4f} to {self.high:+.4f})"


@dataclass(frozen=True)
class Heat:
    """A text on a ground as strong as `share`, 0 to 1."""

    text: str
    share: float


@dataclass(frozen=True)
class Line:
    """Values over the nights, oldest first, as a line; None where a night has none."""

    values: tuple[float | None, ...]


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


Cell = str | int | float | None | Bar | Range | Heat | Line | Flag | Link


@dataclass(frozen=True)
class Table:
    """Rows of cells below their columns. Whole numbers are shown with separators, others with four digits, None as nothing; `note` explains."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


@dataclass(frozen=True)
class Days:
    """One column a day, oldest first, with `unit`; the last day is that of the night."""

    caption: str
    unit: str
    days: Sequence[tuple[date, int]]


@dataclass(frozen=True)
class Absent:
    """What is not in this report, and why: one sentence."""

    caption: str
    why: str


Part = Table | Days | Absent


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
