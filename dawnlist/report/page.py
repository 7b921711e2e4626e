"""A report as HTML: one file, without a script, that loads nothing. The template escapes every text."""

import math
import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from dawnlist.report.document import Bar, Cell, Flag, Heat, Line, Link, Part, Range, Report

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATE: Final = "page.html.j2"
SIGNS: Final = {"good": "✓", "warned": "!", "bad": "✕", "none": ""}
FIGURE: Final = re.compile(r"[+-]?[\d,]+(\.\d+)?%?")
DRAWN: Final = (Bar, Range, Heat, Line, Flag, Link)


def page(report: Report) -> str:
    """The page of a report, as text of HTML 5."""
    return _environment().get_template(TEMPLATE).render(report=report)


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(loader=PackageLoader("dawnlist.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"kind": _kind, "part_kind": _part_kind, "number": _number, "is_number": _is_number, "points": _points, "percent": _percent}
    environment.globals["signs"] = SIGNS
    return environment


def _part_kind(part: Part) -> str:
    return type(part).__name__.lower()


def _kind(cell: Cell) -> str:
    return type(cell).__name__.lower() if isinstance(cell, DRAWN) else "text"


def _number(cell: Any) -> str:
    """Whole numbers with separators, others with four digits, nothing for None."""
    return "" if cell is None else f"{cell:,}" if isinstance(cell, int) else f"{cell:,.4g}" if isinstance(cell, float) else str(cell)


def _is_number(cell: Cell) -> bool:
    """Whether the cell stands on the right of its column."""
    return isinstance(cell, int | float) or (isinstance(cell, str) and FIGURE.fullmatch(cell) is not None)


def _percent(share: float, start: float = 0.0, end: float = 1.0) -> float:
    """Where a value lies between two others, in percent with two digits."""
    return round(100 * min(1.0, max(0.0, (share - start) / (end - start or 1.0))), 2)


def _points(line: Line, width: int = 100, height: int = 24) -> list[str]:
    """The lines of a sparkline as SVG points, one for each run of nights with a value; the scale is from the least to the largest value, and flat in the middle."""
    values = [value if value is not None and math.isfinite(value) else None for value in line.values]
    known = [value for value in values if value is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    runs: list[list[str]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            runs.append([])
            continue
        x = width * place / max(1, len(values) - 1)
        y = height / 2 if high == low else 2 + (height - 4) * (high - value) / (high - low)
        runs[-1].append(f"{x:.1f},{y:.1f}")
    return [" ".join(run if len(run) > 1 else run * 2) for run in runs if run]
