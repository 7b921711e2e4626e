"""`dawnlist publications`, `rollback` and `suppress`: what is published, and the ways to change it without a night."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from dawnlist.command_line import AsJson, Home, print_rows, settings_of

if TYPE_CHECKING:
    from dawnlist.serving.suppression import Suppressed


def publications(as_json: AsJson = False, home: Home = None) -> None:
    """List what was published, oldest first, and which of it `rollback` can bring back."""
    from dawnlist.publishing import listed

    rows = listed(settings_of(home))
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
    elif rows:
        print_rows([row | {"kept": "yes" if row["kept"] else "no"} for row in rows])
    else:
        typer.echo("Nothing has been published yet: `dawnlist run` does, or `dawnlist publish`.")


def rollback(
    to: Annotated[int | None, typer.Option("--to", help="the sequence of `dawnlist publications`; default: the one before with other lists")] = None,
    home: Home = None,
) -> None:
    """Publish an earlier publication again, without who has withdrawn and what may no longer be shown."""
    from dawnlist import publishing

    settings, now = settings_of(home), datetime.now(UTC)
    made, found = publishing.rollback(settings, to=to, run_id=f"rollback-{now:%Y%m%dT%H%M%SZ}", moment=now.replace(tzinfo=None, microsecond=0))
    typer.echo(f"Publication {made.sequence} shows the lists of {made.run_date} again, as publication {made.of_sequence} did.{_taken_out(found)}")
    if made.expires_at <= made.published_at:
        typer.echo(
            f"These lists expired at {made.expires_at} UTC: a website that looks at expires_at does not show them. Run a night, or roll back to a newer one."
        )


def suppress(home: Home = None) -> None:
    """Take who has withdrawn consent, and items that are blocked or unavailable since, out of what is published."""
    from dawnlist.stages import execute
    from dawnlist.stages.base import Interval

    settings, now = settings_of(home), datetime.now(UTC)
    result = execute(settings, "suppress", Interval.day(now.date()), run_id=f"suppress-{now:%Y%m%dT%H%M%SZ}")
    if not result.rows_out:
        typer.echo("Nothing is published that has to go.")
        return
    typer.echo(
        f"Publication {result.metrics['sequence']}: {result.counts['n_users']:,} people have the common list now, {result.counts['n_items']:,} items are gone."
    )


def _taken_out(found: "Suppressed") -> str:
    return f" {found.n_users:,} people who have withdrawn have the common list, {found.n_items:,} items are left out." if found else ""
