"""The command `dawnlist tune`: it checks what was typed, shows the progress, and leaves the work to `dawnlist.tune`."""

import json
from datetime import datetime
from typing import Annotated, Any

import typer

from dawnlist.command_line import AsJson, Home, settings_of


def tune(
    run_date: Annotated[
        datetime | None, typer.Option("--run-date", formats=["%Y-%m-%d"], help="the night whose marts are used; it must be one that trains (open --train)")
    ] = None,
    trials: Annotated[
        int, typer.Option(min=2, max=1000, help="trials in all, those of a search that was stopped counted; the first has the present settings")
    ] = 20,
    show: Annotated[bool, typer.Option("--show", help="only show what was found last, with its figures")] = False,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Search for better settings of candidates and ranker, on validation persons only, and keep the best in the home for the nights to come.

    What is set in dawnlist.toml or the environment stays as it is. A search that was stopped goes on where it was. docs/models.md.
    """
    from rich.console import Console

    from dawnlist import pipeline, tuned

    settings = settings_of(home)
    console = Console(highlight=False, stderr=as_json)
    found = tuned.read(settings)
    if not show:
        from dawnlist import tune as job

        day = run_date.date() if run_date else pipeline.default_run_date(settings)
        found = job.run(settings, day, n_trials=trials, report=lambda number, figures: console.print(f"{number}/{trials} {_words(figures)}", soft_wrap=True))
    if as_json:
        typer.echo(json.dumps(found, indent=1, sort_keys=True))
    elif found is None:
        typer.echo("Nothing was tuned yet: `dawnlist tune` does it.")
    else:
        _print(found)


def _words(figures: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value:.4f}" if isinstance(value, float) else f"{name} {value}" for name, value in figures.items())


def _print(found: dict[str, Any]) -> None:
    typer.echo(f"Trial {found['trial']} of {found['n_trials']} is the best, by {found['n_persons']} persons after {found['as_of']}: {_words(found['figures'])}")
    typer.echo(f"Before: {_words(found['before'])}")
    for section, values in found["settings"].items():
        for name, value in values.items():
            typer.echo(f"  {section}.{name} = {value}")
    typer.echo("The next night that trains reads them: when it is due, or with `dawnlist open --train`.")
