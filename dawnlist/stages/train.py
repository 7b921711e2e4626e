"""train: in a night that trains, candidates at two earlier cuts, a LambdaRank model over them, and the held-out comparison; in every night, the model that it uses."""

import json
import time
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from dawnlist.duck import connect
from dawnlist.errors import MissingInputError
from dawnlist.files import write_json
from dawnlist.lake import Snapshot
from dawnlist.settings import Settings
from dawnlist.stages.base import Interval, Night, StageResult
from dawnlist.stages.modelling import POINTER, cut_of, inputs_of, make_candidates, threads_of
from models import aliases, registry
from models.frame import FEATURES
from models.inputs import MARTS, Cut, judged_persons
from models.training import Outcome, Past, learn

STAGE = "train"


def run(settings: Settings, interval: Interval, *, run_id: str) -> StageResult:
    """Point the night of `interval.run_date` at its model: <night>/model.json names the version. A night that trains makes and registers one first.

    In another night this is the champion as of the run date, and the stage is quick. Raises MissingInputError where transform has not
    run, made no features for training, or where there is no champion.
    """
    started = time.monotonic()
    night = Night.load(settings, interval.run_date)
    result = StageResult(STAGE, interval.key)
    version = _champion(settings, night, result) if night.training is None else _trained(settings, night, result, run_id=run_id)
    write_json(settings.night_dir(night.run_date) / POINTER, {"version": version})
    result.paths = [str(settings.models_dir / version)]
    result.metrics |= {"model_version": version, "training": night.training}
    result.seconds = time.monotonic() - started
    return result


def _champion(settings: Settings, night: Night, result: StageResult) -> str:
    version = aliases.read(settings.models_dir).champion_of(night.run_date)
    if version is None:
        raise MissingInputError(f"There is no model for the night of {night.run_date}: {_how_to_train(night)}.")
    registry.load(settings.models_dir, version)
    result.notes.append(f"not trained: the champion {version} serves; to train, {_how_to_train(night)}")
    return version


def _how_to_train(night: Night) -> str:
    return f"run `dawnlist open --train --run-date {night.run_date}` and `dawnlist transform --run-date {night.run_date}`, then this again"


def _trained(settings: Settings, night: Night, result: StageResult, *, run_id: str) -> str:
    """Train, register and decide. `rows_in` counts interactions, `rows_out` candidates.

    Features end at a cut, labels lie in the window after it: two windows before the run date for training, one for evaluation.
    """
    tables = night.tables.snapshot()
    training, judging = (cut_of(settings, night.run_date, horizons_back=back) for back in (2, 1))
    persons = _persons(settings, tables, training, judging)
    _require_features(settings, tables, persons, night)
    result.counts = make_candidates(settings, night.tables, persons, run_id=run_id)
    tables = night.tables.snapshot()
    with connect(settings) as connection:
        past, recent = (Past(inputs_of(tables, cut.as_of), cut, persons[cut]) for cut in (training, judging))
        outcome = learn(connection, past, recent, settings, threads=threads_of(settings))
    version = registry.save(settings.models_dir, night.run_date, outcome.ranker, _metadata(settings, tables, training, judging, outcome))
    _decide(settings, night, version, run_id=run_id)
    result.rows_in, result.rows_out = tables.rows("fct_interactions"), sum(result.counts.values())
    result.metrics = outcome.metrics | {"cuts": {"training": str(training.as_of), "evaluation": str(judging.as_of)}}
    result.notes += [f"trained: {night.training}", *outcome.notes]
    return version


def _decide(settings: Settings, night: Night, version: str, *, run_id: str) -> None:
    def promoted(known: aliases.Aliases) -> aliases.Aliases:
        before, day = known.incumbent_of(night.run_date), night.run_date.isoformat()
        return known.with_(aliases.Decision(day, run_id, aliases.PROMOTED, aliases.TRAINING, version, before, version, str(night.training)))

    aliases.update(settings.models_dir, promoted)


def _require_features(settings: Settings, tables: Snapshot, persons: Mapping[Cut, Sequence[str]], night: Night) -> None:
    """Whoever is judged at a cut has features of it, unless the night was transformed before it was to train."""
    with connect(settings) as connection:
        for cut in (cut for cut, judged in persons.items() if judged):
            activity = inputs_of(tables, cut.as_of).relation("feat_user_activity")
            if not connection.execute(f"SELECT 1 FROM {activity} WHERE feature_date = {cut.date} LIMIT 1").fetchall():
                raise MissingInputError(
                    f"The night of {night.run_date} was transformed without the features of {cut.as_of} that training needs: "
                    f"run `dawnlist transform --run-date {night.run_date}`, then this again."
                )


def _persons(settings: Settings, tables: Snapshot, training: Cut, judging: Cut) -> dict[Cut, list[str]]:
    limits = {training: settings.ranker.max_training_users, judging: settings.ranker.max_evaluation_users}
    with connect(settings) as connection:
        return {cut: judged_persons(connection, inputs_of(tables, cut.as_of), cut, limit=limit, seed=settings.seed) for cut, limit in limits.items()}


def _metadata(settings: Settings, tables: Snapshot, training: Cut, judging: Cut, outcome: Outcome) -> dict[str, Any]:
    """What the version is made of. No clock, run id or path: equal input gives an equal version."""
    inputs = {mart: [file.sha256 for file in tables.data_files(mart)] for mart in MARTS}
    return {
        "features": list(FEATURES),
        "cuts": {"training": str(training.as_of), "evaluation": str(judging.as_of), "horizon_days": training.horizon_days},
        "rules": {"exclude_seen": training.exclude_seen, "exclude_bought": training.exclude_bought},
        "settings": {"seed": settings.seed, **{name: getattr(settings, name).model_dump(mode="json") for name in ("candidates", "ranker")}},
        "inputs": inputs,
        "fingerprint": sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest(),
        "served": outcome.served,
        "window": outcome.window,
        "weights": dict(outcome.weights),
        "metrics": outcome.metrics,
    }
