"""A report as HTML: one file, without a script, that loads nothing. The template escapes every text."""

import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from dawnlist.report.document import SIGNS, Cell, Chart, Flag, Link, Part, Report

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

TEMPLATE: Final = "page.html.j2"
FIGURE: Final = re.compile(r"[+-]?[\d,]+(\.\d+)?%?( \([\d.]+%\))?")


def page(report: Report) -> str:
    """The page of a report, as text of HTML 5."""
    return _environment().get_template(TEMPLATE).render(report=report)


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(loader=PackageLoader("dawnlist.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"kind": _kind, "part_kind": _part_kind, "number": _number, "is_number": _is_number, "svg": _svg}
    environment.globals["signs"] = SIGNS
    return environment


def _part_kind(part: Part) -> str:
    return type(part).__name__.lower()


def _kind(cell: Cell) -> str:
    return type(cell).__name__.lower() if isinstance(cell, Flag | Link) else "text"


def _number(cell: Any) -> str:
    """Whole numbers with separators, others with four digits, nothing for None."""
    return "" if cell is None else f"{cell:,}" if isinstance(cell, int) else f"{cell:,.4g}" if isinstance(cell, float) else str(cell)


def _is_number(cell: Cell) -> bool:
    """Whether the cell stands on the right of its column."""
    return isinstance(cell, int | float) or (isinstance(cell, str) and FIGURE.fullmatch(cell) is not None)


def _svg(chart: Chart) -> "Markup":
    from markupsafe import Markup

    from dawnlist.report.charts import svg

    return Markup(svg(chart))
