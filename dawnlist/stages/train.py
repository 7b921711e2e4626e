"""train: candidates at two earlier cuts, a LambdaRank model over them, and the held-out comparison that decides what is served."""

import json
import time
from hashlib import sha256
from typing import Any

from dawnlist.duck import connect
from dawnlist.files import write_json
from dawnlist.lake import Snapshot
from dawnlist.settings import Settings
from dawnlist.stages.base import Interval, Night, StageResult
from dawnlist.stages.modelling import POINTER, cut_of, inputs_of, make_candidates, threads_of
from models import registry
from models.frame import FEATURES
from models.inputs import MARTS, Cut, judged_persons
from models.training import Outcome, Past, learn

STAGE = "train"


def run(settings: Settings, interval: Interval, *, run_id: str) -> StageResult:
    """Train and register the model of the night of `interval.run_date`; <night>/model.json names its version. `rows_in` counts interactions, `rows_out` candidates.

    Features end at a cut, labels lie in the window after it: two windows before the run date for training, one for evaluation.
    Raises MissingInputError where transform has not run.
    """
    started = time.monotonic()
    night = Night.load(settings, interval.run_date)
    tables = night.tables.snapshot()
    training, judging = (cut_of(settings, night.run_date, horizons_back=back) for back in (2, 1))
    persons = _persons(settings, tables, training, judging)
    counts = make_candidates(settings, night.tables, persons, run_id=run_id)
    tables = night.tables.snapshot()
    with connect(settings) as connection:
        past, recent = (Past(inputs_of(tables, cut.as_of), cut, persons[cut]) for cut in (training, judging))
        outcome = learn(connection, past, recent, settings, threads=threads_of(settings))
    version = registry.save(settings.models_dir, night.run_date, outcome.ranker, _metadata(settings, tables, training, judging, outcome))
    write_json(settings.night_dir(night.run_date) / POINTER, {"version": version})
    return StageResult(
        stage=STAGE,
        interval=interval.key,
        rows_in=tables.rows("fct_interactions"),
        rows_out=sum(counts.values()),
        seconds=time.monotonic() - started,
        paths=[str(settings.models_dir / version)],
        counts=counts,
        metrics=outcome.metrics | {"model_version": version, "cuts": {"training": str(training.as_of), "evaluation": str(judging.as_of)}},
        notes=outcome.notes,
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
