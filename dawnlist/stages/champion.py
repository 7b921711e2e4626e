"""What open, train and recommend know of the champion: whether it can serve, the decision on it, and what drift asks for."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from dawnlist.errors import CorruptedError, MissingInputError
from dawnlist.lake import Lake
from dawnlist.settings import Settings
from dawnlist.stages.base import DAY, Night
from dawnlist.stages.modelling import cut_of, inputs_of, threads_of
from models import aliases, drift, promotion, registry
from models.aliases import Aliases, Decision
from models.lists import Order
from models.training import METRIC, RANKER

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def usable(settings: Settings, version: str | None) -> registry.Model | None:
    """The version, if it is there, unchanged, and one that this release can serve."""
    try:
        model = registry.load(settings.models_dir, version) if version else None
    except (CorruptedError, MissingInputError):
        return None
    return model if model and promotion.is_usable(model.metadata) else None


def why_unusable(settings: Settings, run_date: date) -> str | None:
    """Why the champion of `run_date` cannot serve, in words; None where it can, or where there is none."""
    version = aliases.read(settings.models_dir).champion_of(run_date)
    if version is None or usable(settings, version):
        return None
    return f"the champion {version} is gone, was changed, or ranks by other features or sources than this release has"


def decide(settings: Settings, night: Night, version: str, before: str | None, verdict: promotion.Verdict, *, run_id: str) -> Decision:
    """Record the decision on what the night trained, and give it back. What somebody rolled back is not promoted again by a training."""

    def decided(known: Aliases) -> Decision:
        is_promoted, reason = verdict.is_promoted, verdict.reason
        if before is not None and known.is_rejected(version):
            is_promoted, reason = False, "it was rolled back; `dawnlist models promote` brings it back"
        action, after = (aliases.PROMOTED, version) if is_promoted else (aliases.KEPT, before)
        return Decision(night.run_date.isoformat(), run_id, action, aliases.TRAINING, version, before, after, reason, verdict.checks)

    return aliases.update(settings.models_dir, lambda known: known.with_(decided(known))).decision_of(night.run_date)


def fall_back(settings: Settings, night: Night, reason: str, *, pause_days: int, run_id: str) -> tuple[str | None, str]:
    """Take the champion back for a trigger, from the night on: what was done (None: nothing), and it, or why not, in words. The same night again does it once.

    Not within `pause_days` after a trigger did, so that two versions do not take turns; not where nobody was champion before, or who was cannot serve.
    """
    then = aliases.read(settings.models_dir).evening_of(night.run_date)
    champion, last = then.champion, then.last_fall_back()
    if last is not None and (night.run_date - last).days < pause_days:
        return None, f"a trigger went back on {last}, and none does again within {pause_days} days"
    target = then.before(champion) if champion else None
    if champion is None or target is None:
        return None, "there is no champion before this one to go back to"
    if usable(settings, target) is None:
        return None, f"{target}, the champion before, cannot serve: it is gone, or of another release"
    decision = Decision(night.run_date.isoformat(), run_id, aliases.ROLLED_BACK, aliases.TRIGGER, champion, champion, target, reason)
    aliases.update(settings.models_dir, lambda known: known.with_(decision))
    return (done := f"{target} is champion again instead of {champion}"), done


@dataclass(frozen=True)
class Watched:
    """What a night saw of its model: PSI per feature, by which share its lists lost (None: unknown), what asks for a training, and what is noted."""

    shifts: Mapping[str, float]
    lost: float | None
    asks: list[str]
    notes: list[str]


def watch(connection: "DuckDBPyConnection", settings: Settings, night: Night, model: registry.Model, order: Order, *, n_persons: int) -> Watched:
    """Compare the frame of the run date, whose tables are in the connection, with the version's reference, and its lists of a label window ago with what was taken up."""
    shifts: Mapping[str, float] = {}
    sample = min(n_persons, settings.drift.sample_users)
    if order.booster is not None and registry.REFERENCE in model.texts and sample:
        values = drift.spread(connection, order, n_persons=sample, threads=threads_of(settings))
        shifts = drift.shifts(json.loads(model.texts[registry.REFERENCE]), values, n_persons=sample)
    lost = _lost(connection, settings, night, model)
    asks, notes = drift.reasons(shifts, model.metadata["metrics"].get("importance", {}), lost, settings.drift)
    return Watched(shifts, lost, asks, notes)


def ask(settings: Settings, night: Night, model: registry.Model, watched: Watched) -> str | None:
    """Have the next night train for what was seen, and say so; or take back what this night asked before. A version is asked about once: if the training
    that it led to was not promoted, the next one comes when it is due.
    """
    is_answered = aliases.read(settings.models_dir).last_training(night.run_date + DAY) != date.fromisoformat(model.metadata["run_date"])
    wanted = watched.asks and night.training is None and not is_answered
    why = "; ".join(watched.asks) if wanted else None
    aliases.update(settings.models_dir, lambda known: known.asking(night.run_date, why))
    return why


def _lost(connection: "DuckDBPyConnection", settings: Settings, night: Night, model: registry.Model) -> float | None:
    cut = cut_of(settings, night.run_date, horizons_back=1)
    shown = Lake(settings.night_dir(cut.as_of)).snapshot().files("recommendations")
    metrics = model.metadata["metrics"]
    figures = metrics["ranker"] if metrics["served"] == RANKER else metrics["sources"].get(metrics["served"])
    if not shown or not figures:
        return None
    quality = drift.served_quality(connection, inputs_of(night.tables.snapshot(), cut.as_of), cut, shown, model.version)
    return drift.decay(quality, figures[METRIC], seed=settings.seed)
