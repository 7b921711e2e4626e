"""What commands of several modules share: options, the settings of a home, and tables."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dawnlist.settings import Settings, load

if TYPE_CHECKING:
    from rich.console import Console

UNFOLDED_WIDTH = 240  # of a table that goes to a file or a pipe
Home = Annotated[Path | None, typer.Option("--home", help="the folder of everything that a run makes (environment: DAWNLIST_HOME)")]
AsJson = Annotated[bool, typer.Option("--json", help="as JSON")]


def settings_of(home: Path | None) -> Settings:
    """The settings, of the home that was typed or else of the one that they name."""
    return load(**({} if home is None else {"home": home}))


def wide_console() -> "Console":
    """A console as wide as the terminal, and wide enough for a table where there is none."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else UNFOLDED_WIDTH, highlight=False)


def text_of(value: Any) -> str:
    """A cell: nothing for None, four digits for a float."""
    return "" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)


def print_rows(rows: list[dict[str, Any]], text: Callable[[Any], str] = text_of) -> None:
    """Print rows with equal keys, at least one, as a table."""
    from rich.table import Column, Table

    table = Table(*(Column(name.replace("_", " "), overflow="fold") for name in rows[0]))
    for row in rows:
        table.add_row(*(text(value) for value in row.values()))
    wide_console().print(table, markup=False)
