"""`dawnlist export …`: check a bundle, acknowledge one, and see what each consumer has. docs/export-contract.md."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from dawnlist.command_line import Home, settings_of

app = typer.Typer(help="Write the CMS bundle of what is published; check one; say which one a consumer has.", invoke_without_command=True)
Consumer = Annotated[str, typer.Option("--consumer", help="who reads the bundles")]


@app.command()
def verify(bundle: Annotated[Path, typer.Argument(help="the folder of the bundle: exports/cms/<sequence>, or latest")]) -> None:
    """Check a bundle as its receiver would: every part is there, with the rows and the SHA-256 that the manifest says."""
    from dawnlist import export

    export.verify(bundle)
    typer.echo(f"{bundle} is complete and unchanged.")


@app.command()
def ack(
    sequence: Annotated[int, typer.Argument(min=1, help="the bundle whose content the consumer has")],
    consumer: Consumer = "cms",
    went_back: Annotated[bool, typer.Option("--went-back", help="the consumer was restored from an older state: also where it had a newer bundle")] = False,
    home: Home = None,
) -> None:
    """Say that a consumer has taken a bundle, full or delta: its next delta is made from there."""
    from dawnlist.export import consumers, shelf

    root = settings_of(home).exports_dir
    with shelf.lock(root):
        known = consumers.acknowledge(root, consumer, sequence, at=datetime.now(UTC), went_back=went_back)
    if known.sequence == sequence:
        typer.echo(f"{consumer} has bundle {sequence:06d}. Its next delta is made from there.")
    else:
        typer.echo(f"{consumer} has acknowledged the newer bundle {known.sequence:06d} already: nothing changed. Was it restored? Then say --went-back.")


@app.command()
def deliver(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would be sent")] = False,
    home: Home = None,
) -> None:
    """Send the newest bundle to delivery.to: a folder, an object store, or a CMS by HTTP. What was cut short goes on where it stopped."""
    from dawnlist.export import deliver

    for line in deliver.deliver(settings_of(home), now=datetime.now(UTC), is_dry_run=dry_run):
        typer.echo(line)


@app.command()
def reconcile(
    consumer: Annotated[str | None, typer.Option("--consumer", help="who reads the bundles; default: delivery.consumer")] = None,
    repair: Annotated[bool, typer.Option("--repair", help="send what differs")] = False,
    home: Home = None,
) -> None:
    """Ask the CMS at delivery.to what it has, and compare it with the newest bundle: documents missing, surplus and differing. Exit code 24 where some do, and are not repaired."""
    from dawnlist.export import reconcile

    settings = settings_of(home)
    if consumer:
        settings = settings.with_(delivery=settings.delivery.model_copy(update={"consumer": consumer}))
    for line in reconcile.reconcile(settings, now=datetime.now(UTC), is_repair=repair):
        typer.echo(line)


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="as JSON")] = False, home: Home = None) -> None:
    """What each consumer has acknowledged, and what is waiting for it."""
    from dawnlist.export import consumers

    standings = consumers.status(settings_of(home).exports_dir)
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in standings], indent=1))
        return
    for one in standings:
        waits = f"waiting: {one.waiting}" if one.waiting else "nothing waits"
        typer.echo(f"{one.consumer}: has bundle {one.acknowledged:06d} (acknowledged {one.acknowledged_at}), {waits}")
    if not standings:
        typer.echo("No consumer has acknowledged a bundle yet, so only full bundles are made: `dawnlist export ack SEQUENCE`.")


@app.command()
def forget(consumer: Annotated[str, typer.Argument(help="a consumer of `export status`")], home: Home = None) -> None:
    """Make no deltas for a consumer any more, and keep nothing for it."""
    from dawnlist.export import consumers, shelf

    root = settings_of(home).exports_dir
    with shelf.lock(root):
        consumers.forget(root, consumer)
    typer.echo(f"{consumer} is forgotten. If it comes again, it takes the newest full bundle and acknowledges that.")
