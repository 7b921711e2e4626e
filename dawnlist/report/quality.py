"""The model that served: what it reached on its held-out days against the others, by which intervals it was promoted, and how it has drifted since."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from dawnlist.errors import MissingInputError
from dawnlist.report.document import Bar, Bars, Flag, Intervals, State, Table
from dawnlist.report.known import Known
from models import aliases, registry

METRICS: Final = ("ndcg@10", "recall@20", "hit_rate@10", "coverage@20")
METRIC: Final = METRICS[0]
FEATURES: Final = 12  # that moved most


def _version(known: Known) -> tuple[str, Mapping[str, Any]]:
    """The version whose lists the night made, and what the registry has of it."""
    version = str(known.stage("recommend")["metrics"]["model_version"])
    return version, registry.load(known.settings.models_dir, version).metadata


def version(known: Known) -> Table:
    """Which version it is, and who decided so."""
    name, metadata = _version(known)
    manifest = aliases.read(known.settings.models_dir)
    rows = [
        ("version", name),
        ("serves", str(metadata.get("served", ""))),
        ("trained for the night of", str(metadata.get("run_date", ""))),
        ("champion of this night", manifest.champion_of(known.run_date) or "nobody"),
        ("trained in this night", str(known.stage("open")["metrics"].get("training") or "no: it was not due")),
    ]
    decisions = [one for one in manifest.history if one.run_date <= known.run_date.isoformat()]
    if decisions:
        last = decisions[-1]
        rows += [
            ("last decision", f"{last.version} was {last.action} by {last.by} on {last.run_date}: {last.reason}"),
            ("champion before", last.before or "nobody"),
        ]
    return Table("The version that served", ("what", ""), rows)


def recommenders(known: Known) -> Table:
    """Every strategy that was compared on the held-out days of the version that served."""
    _, metadata = _version(known)
    metrics, served = metadata["metrics"], metadata["served"]
    found = {**metrics.get("sources", {}), **({"ranker": metrics["ranker"]} if metrics.get("ranker") else {})}
    if not found:
        raise MissingInputError("There was nobody to judge the lists by.")
    popular = metrics.get("most_popular", {}).get("name")
    rows, bars = [], []
    for name, figures in sorted(found.items(), key=lambda pair: (-pair[1][METRIC], pair[0])):
        label = f"{name} (served)" if name == served else f"{name} (most popular)" if name == popular else name
        state: State = "good" if name == served else "none"
        rows.append((label, *(f"{figures[metric]:.4f}" for metric in METRICS)))
        bars.append(Bar(label, figures[METRIC], f"{figures[METRIC]:.4f}", state))
    note = f"{metrics.get('n_users', 0):,} people were judged by. Drawn: {METRIC}."
    return Table("Lists on the held-out days", ("recommender", *METRICS), rows, note, [Bars(bars)])


def figures(known: Known) -> tuple[float, float | None]:
    """nDCG@10 on the held-out days of what the version serves, and of most popular; raises KeyError where nobody could be judged by."""
    _, metadata = _version(known)
    metrics, served = metadata["metrics"], metadata["served"]
    return (metrics["ranker"] if served == "ranker" else metrics["sources"][served])[METRIC], metrics.get("most_popular", {}).get(METRIC)


def differences(known: Known) -> Table:
    """Paired 95% intervals of nDCG@10 on the same people."""
    _, metadata = _version(known)
    metrics = metadata["metrics"]
    found = {"ranker less most popular": _interval(metrics.get("difference")), "served less most popular": _interval(metrics.get("difference_served"))}
    checks = _decision(known).get("champion", {})
    found["challenger less champion"] = checks.get("interval")
    shown = {name: interval for name, interval in found.items() if interval}
    if not shown:
        raise MissingInputError("There was nobody to judge the lists by.")
    rows = [(name, f"{middle:+.4f}", f"{low:+.4f} to {high:+.4f}") for name, (low, middle, high) in shown.items()]
    note = "nDCG@10, paired 95% bootstrap intervals. Right of 0 the first is better."
    return Table(
        "Differences with their intervals",
        ("difference", METRIC, "interval"),
        rows,
        note if found["challenger less champion"] else f"{note} There was no champion to compare with.",
        [Intervals(METRIC, [(name, low, middle, high) for name, (low, middle, high) in shown.items()])],
    )


def _interval(differences: Mapping[str, Sequence[float]] | None) -> Sequence[float] | None:
    return (differences or {}).get(METRIC)


def _decision(known: Known) -> Mapping[str, Mapping[str, Any]]:
    """The checks of the decision on the version that served, or on this night's challenger; {} where none was made by a training."""
    name, _ = _version(known)
    history = [one for one in aliases.read(known.settings.models_dir).history if one.by == aliases.TRAINING and one.run_date <= known.run_date.isoformat()]
    tonight = [one for one in history if one.run_date == known.run_date.isoformat()]
    found = tonight or [one for one in history if one.version == name]
    return found[-1].checks if found else {}


def checks(known: Known) -> Table:
    """What the last training of the champion was decided by."""
    found = _decision(known)
    if not found:
        raise MissingInputError("No training has decided about this version.")
    rows = []
    for name, check in found.items():
        label = name.replace("_", " ") + (f" ({check['group']})" if "group" in check else "")
        value = "nobody to judge by" if check["value"] is None else f"{check['value']:.4f}"
        rows.append((label, value, f"{check['limit']:.4f}", Flag("holds", "good") if check["holds"] else Flag("fails", "bad")))
    return Table("Checks of the promotion", ("check", "value", "limit", "verdict"), rows, "docs/models.md has the rule.")


def drift(known: Known) -> Table:
    """How far features and scores are from those of the training frame."""
    metrics = known.stage("recommend")["metrics"]
    moved = sorted((metrics.get("psi") or {}).items(), key=lambda pair: (-pair[1], pair[0]))[:FEATURES]
    lost, asks = metrics.get("decay"), metrics.get("asks_for_training")
    if not moved and lost is None:
        raise MissingInputError("The model that served has no reference to compare with.")
    rule = known.settings.drift

    def state(value: float) -> State:
        return "bad" if value >= rule.psi_train else "warned" if value >= rule.psi_notice else "good"

    rows = [(name, Flag(f"{value:.3f}", state(value))) for name, value in moved]
    charts = [Bars([Bar(name, value, f"{value:.3f}", state(value)) for name, value in moved], (rule.psi_notice, rule.psi_train))] if moved else []
    said = "not known yet" if lost is None else "none" if lost <= 0 else f"{lost:.0%} at least"
    note = f"Population stability index beyond chance; noted from {rule.psi_notice:g}, trained for from {rule.psi_train:g}. Loss against the held-out figure: {said}."
    return Table("Drift", ("feature or score", "PSI"), rows, f"{note} The next night trains: {asks}." if asks else note, charts)
