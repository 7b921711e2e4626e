"""`dawnlist status`: how the last nights went, what is published, what each consumer has, and what waits."""

import json
from typing import Any, Final

import typer

from dawnlist.command_line import AsJson, Home, print_rows, settings_of

EMPTY: Final = {
    "nights": "No night has been run yet.",
    "published": "Nothing has been published yet.",
    "consumers": "Nobody has acknowledged a bundle yet.",
    "waiting": "Nothing waits.",
}


def status(as_json: AsJson = False, home: Home = None) -> None:
    """The last nights, what is published, what each consumer has acknowledged, and what is waiting."""
    from dawnlist import status

    settings = settings_of(home)
    found = status.status(settings)
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    if not any(found.values()):
        typer.echo(f"{settings.home} has nothing yet: run `dawnlist run`, or `make demo`.")
        return
    for name, rows in found.items():
        typer.echo(f"{name}:" if rows and "error" not in rows[0] else f"{name}: {rows[0]['error'] if rows else EMPTY[name]}")
        if rows and "error" not in rows[0]:
            print_rows([_shown(row) for row in rows])


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """Words and short numbers for a person."""
    row = {name: ("yes" if value else "no") if isinstance(value, bool) else value for name, value in row.items()}
    if "stages" in row:
        row |= {"done": f"{row.pop('done')} of {row.pop('stages')}", "seconds": f"{row['seconds']:,.1f}"}
    return row
