"""`dawnlist models`: which versions there are, what each reached, and who is champion by whose decision."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dawnlist.command_line import AsJson, Home, print_rows, settings_of
from dawnlist.errors import CorruptedError, RegistryError
from dawnlist.settings import Settings

if TYPE_CHECKING:
    from models.aliases import Aliases

app = typer.Typer(help="The registry of models: versions, the champion, promotion and rollback. docs/models.md.", no_args_is_help=True)
METRICS = ("ndcg@10", "recall@20", "hit_rate@10", "coverage@20")
Rows = list[dict[str, Any]]
Version = Annotated[str, typer.Argument(help="a version of `models list`, or champion, or challenger")]
Reason = Annotated[str, typer.Option("--reason", help="why; kept in the history")]


@app.command("list")
def list_versions(as_json: AsJson = False, home: Home = None) -> None:
    """All versions, oldest first: what each serves, what it reached on its held-out days, who is champion and challenger."""
    rows = versions(settings_of(home))
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
    elif rows:
        print_rows(rows)
    else:
        typer.echo("There is no model yet: the first night trains one.")


@app.command()
def show(version: Version, as_json: AsJson = False, home: Home = None) -> None:
    """One version: what it was made of, what it reached, the decisions about it, and what drift has asked for since."""
    from models import aliases, registry

    settings = settings_of(home)
    known = aliases.read(settings.models_dir)
    model = registry.load(settings.models_dir, _named(settings, known, version))
    document = {
        "version": model.version,
        "alias": _alias(known, model.version),
        "decisions": [asdict(one) for one in known.of(model.version)],
        "drift": {day: why for day, why in sorted(known.requests.items()) if known.champion_of(date.fromisoformat(day)) == model.version},
        **model.metadata,
    }
    if as_json:
        typer.echo(json.dumps(document, indent=1, sort_keys=True))
    else:
        _print_version(document)


@app.command()
def promote(version: Version, reason: Reason = "promoted by hand", home: Home = None) -> None:
    """Make a version the champion, whatever the checks said: the next nights serve it."""
    from models import aliases, registry

    settings = settings_of(home)
    name = _servable(settings, _named(settings, aliases.read(settings.models_dir), version))
    _change(settings, lambda known: aliases.promoted(known, name, registry.run_date_of(name), run_id=_run_id(), reason=reason))


@app.command()
def rollback(
    to: Annotated[str | None, typer.Option("--to", help="the version to go back to; default: the champion before this one")] = None,
    reason: Reason = "rolled back by hand",
    home: Home = None,
) -> None:
    """Take the champion back: the next nights serve the one before it, and no training promotes it again."""
    from models import aliases

    settings = settings_of(home)
    target = None if to is None else _servable(settings, _named(settings, aliases.read(settings.models_dir), to))

    def back(known: "Aliases") -> "Aliases":
        after = aliases.rolled_back(known, target, run_id=_run_id(), reason=reason)
        _servable(settings, str(after.champion))
        return after

    _change(settings, back)


def versions(settings: Settings) -> Rows:
    """One row per version, oldest run date first. The figures are of what it serves, on its own held-out days; None where it cannot be read."""
    from models import aliases, registry

    known, rows = aliases.read(settings.models_dir), []
    for name in registry.names(settings.models_dir):
        row: dict[str, Any] = {"version": name, "alias": _alias(known, name), "served": None, "ndcg@10": None, "popular_ndcg@10": None, "trees": None}
        try:
            metadata = registry.load(settings.models_dir, name).metadata
        except CorruptedError:
            row["served"] = "damaged"
        else:
            metrics = metadata.get("metrics", {})
            figures = served_figures(metadata)
            row |= {"served": metadata.get("served"), "ndcg@10": figures.get("ndcg@10"), "trees": metrics.get("trees")}
            row["popular_ndcg@10"] = metrics.get("most_popular", {}).get("ndcg@10")
        decisions = [one for one in known.history if one.version == name]
        rows.append({**row, "decision": decisions[-1].action if decisions else None, "reason": decisions[-1].reason if decisions else None})
    return rows


def served_figures(metadata: Mapping[str, Any]) -> Mapping[str, float]:
    """The held-out figures of what a version serves; {} where nobody could be judged by."""
    metrics, served = metadata.get("metrics", {}), metadata.get("served")
    figures = metrics.get("ranker") if served == "ranker" else metrics.get("sources", {}).get(served)
    return figures or {}


def _change(settings: Settings, change: "Callable[[Aliases], Aliases]") -> None:
    from models import aliases

    before = aliases.read(settings.models_dir).champion
    after = aliases.update(settings.models_dir, change)
    day = after.history[-1].run_date
    typer.echo(f"The champion is {after.champion} now; before it was {before or 'nobody'}. It serves the nights from {day} on.")
    typer.echo(f"What is published stays until a night is published. At once: `dawnlist train --run-date {day}`, then recommend, publish and export.")


def _servable(settings: Settings, name: str) -> str:
    from models import promotion, registry

    if not promotion.is_usable(registry.load(settings.models_dir, name).metadata):
        raise RegistryError(f"{name} ranks by other features or sources than this release has, so it cannot serve: train with `dawnlist open --train`.")
    return name


def _named(settings: Settings, known: "Aliases", version: str) -> str:
    """The name of a version, which may be given by its alias or by a beginning that only one has."""
    from models import registry

    aliased = {"champion": known.champion, "challenger": known.challenger}
    if version in aliased:
        name = aliased[version]
        if name is None:
            raise RegistryError(f"There is no {version}: see `dawnlist models list`.")
        return name
    fitting = [name for name in registry.names(settings.models_dir) if name.startswith(version)]
    if len(fitting) != 1:
        what = "There is no model" if not fitting else f"{len(fitting)} models begin with"
        raise RegistryError(f"{what} {version}: `dawnlist models list` has all versions.")
    return fitting[0]


def _alias(known: "Aliases", version: str) -> str | None:
    return "champion" if version == known.champion else "challenger" if version == known.challenger else None


def _run_id() -> str:
    return f"models-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"


def _print_version(document: Mapping[str, Any]) -> None:
    metrics = document.get("metrics", {})
    typer.echo(
        f"{document['version']}{f' ({alias})' if (alias := document['alias']) else ''}: serves '{document.get('served')}', {metrics.get('trees', 0)} trees"
    )
    typer.echo(f"cuts {json.dumps(document.get('cuts', {}))}, data {str(document.get('fingerprint', ''))[:12]}, popular lists by '{document.get('window')}'")
    figures = {"served": served_figures(document), "best single": metrics.get("best_single", {}), "most popular": metrics.get("most_popular", {})}
    print_rows([{"held-out": name, **{metric: values.get(metric) for metric in METRICS}} for name, values in figures.items()])
    if document.get("outcomes"):
        print_rows([{"outcome": name, **figures} for name, figures in document["outcomes"].items()])
    print_rows([{"file": name, "sha256": digest} for name, digest in document["files"].items()] or [{"file": "none", "sha256": None}])
    for one in document["decisions"]:
        typer.echo(f"{one['run_date']} {one['action']} by {one['by']} (run {one['run_id']}), {one['before']} -> {one['after']}: {one['reason']}")
        if one["checks"] and one["version"] == document["version"]:
            print_rows(
                [
                    {"check": name, **{figure: check[figure] for figure in ("value", "limit", "holds")}}
                    for name, check in one["checks"].items()
                    if "group" not in check
                ]
            )
            worst = one["checks"].get("worst_group")
            if worst:
                typer.echo(f"worst group: {worst['group']}, {worst['value']:.4f} (limit {worst['limit']:.4f}, {'holds' if worst['holds'] else 'fails'})")
    for day, why in document["drift"].items():
        typer.echo(f"the night of {day} asked for a training: {why}")
