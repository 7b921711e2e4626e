"""train: in a night that trains, candidates at two earlier cuts, a LambdaRank model over them, and the held-out comparison; in every night, the model that it uses."""

import json
import time
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from dawnlist import tracking, tuned
from dawnlist.duck import connect
from dawnlist.errors import MissingInputError
from dawnlist.files import write_json
from dawnlist.lake import Snapshot
from dawnlist.settings import Settings
from dawnlist.stages.base import DAY, Interval, Night, StageResult
from dawnlist.stages.champion import decide, usable
from dawnlist.stages.modelling import POINTER, cut_of, inputs_of, make_candidates, make_forecasts, threads_of
from models import aliases, drift, frame, outcomes, promotion, ranker, registry
from models.frame import FEATURES
from models.inputs import FORECASTS, MARTS, Cut, judged_persons, sampled_persons
from models.lists import Order
from models.training import Outcome, Past, learn, parted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

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
    n_scored = _score_outcomes(settings, night, registry.load(settings.models_dir, version), run_id=run_id)
    write_json(settings.night_dir(night.run_date) / POINTER, {"version": version})
    result.counts["outcome_scores"] = n_scored
    result.paths = [str(settings.models_dir / version)]
    result.metrics |= {"model_version": version, "training": night.training}
    result.seconds = time.monotonic() - started
    return result


def _score_outcomes(settings: Settings, night: Night, model: registry.Model, *, run_id: str) -> int:
    """Who will buy or be lost, by the night's version, as of the run date, into the night's table outcome_scores. Returns its rows; none where the version has no such model."""
    cut = cut_of(settings, night.run_date, horizons_back=0)
    file = None
    if outcomes.CALIBRATIONS in model.texts:
        with connect(settings) as connection:
            outcomes.create_scores(connection, inputs_of(night.tables.snapshot(), cut.as_of), cut, model.texts, threads=threads_of(settings))
            file = night.tables.write(connection, outcomes.TABLE, outcomes.scores(cut, model.version))
    return night.tables.commit({outcomes.TABLE: [file] if file else []}, run_id=run_id).rows(outcomes.TABLE)


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
    """Train, register and decide: the version that the night uses. `rows_in` counts interactions, `rows_out` candidates.

    Features end at a cut, labels lie in the window after it: two windows before the run date for training, one for evaluation.
    """
    settings = tuned.applied(settings)
    tables = night.tables.snapshot()
    training, judging = (cut_of(settings, night.run_date, horizons_back=back) for back in (2, 1))
    persons = _persons(settings, tables, training, judging)
    require_features(settings, tables, persons, night)
    with connect(settings) as connection:
        sample = sampled_persons(connection, inputs_of(tables, judging.as_of), judging, limit=settings.drift.sample_users)
    wanted = {training: persons[training], judging: sorted({*persons[judging], *sample})}
    n_forecasts = make_forecasts(settings, night.tables, wanted, run_id=run_id)
    result.counts = make_candidates(settings, night.tables, wanted, run_id=run_id) | {FORECASTS: n_forecasts}
    tables = night.tables.snapshot()
    before = aliases.read(settings.models_dir).incumbent_of(night.run_date)
    incumbent = usable(settings, before)
    with connect(settings) as connection:
        stopping, judges = parted(persons[judging], settings.seed)
        past, later, recent = (
            Past(inputs_of(tables, cut.as_of), cut, some) for cut, some in ((training, persons[training]), (judging, stopping), (judging, judges))
        )
        outcome = learn(connection, past, later, recent, settings, threads=threads_of(settings))
        verdict = _verdict(connection, settings, recent, outcome, incumbent)
        texts = {name: text for name, text in ((registry.RANKER, outcome.ranker), (registry.JUDGED, outcome.judged_ranker)) if text}
        foreseen = outcomes.learn(
            connection, (past.inputs, training), (recent.inputs, judging), settings.ranker, seed=settings.seed, threads=threads_of(settings)
        )
        texts |= foreseen.texts
        if outcome.ranker:
            texts[registry.REFERENCE] = _reference(connection, settings, Past(recent.inputs, judging, sample), outcome)
    factors = tables.files("als_item_factors", since=judging.as_of, until=judging.as_of + DAY)
    kept = {registry.ITEM_FACTORS: factors[0]} if factors else {}
    metadata = _metadata(settings, tables, training, judging, outcome) | {"outcomes": foreseen.metrics}
    version = registry.save(settings.models_dir, night.run_date, texts, metadata, tables=kept)
    decision = decide(settings, night, version, before, verdict, run_id=run_id)
    tags = {"decision": decision.action, "reason": decision.reason, "champion_before": str(before), "training": str(night.training), "run_id": run_id}
    unlogged = tracking.log(settings, version, metadata, tags)
    result.rows_in, result.rows_out = tables.rows("fct_interactions"), sum(result.counts.values())
    result.metrics = outcome.metrics | {"outcomes": foreseen.metrics, "cuts": {"training": str(training.as_of), "evaluation": str(judging.as_of)}}
    result.metrics |= {"decision": decision.action, "decision_reason": decision.reason, "checks": decision.checks, "challenger": version}
    outcome_words = "promoted" if decision.after == version else "not promoted"
    result.notes += [f"trained: {night.training}", *outcome.notes, *foreseen.notes, f"{version} was {outcome_words}: {decision.reason}", *unlogged]
    return str(decision.after)


def _verdict(connection: "DuckDBPyConnection", settings: Settings, recent: Past, outcome: Outcome, incumbent: registry.Model | None) -> promotion.Verdict:
    """Needs the tables of the evaluation cut, which `learn` leaves in the connection."""
    threads = threads_of(settings)
    orders: list[Order | str] = [outcome.judged, outcome.window]
    if incumbent:
        orders.append(Order.of(incumbent, keep=settings.ranker.max_candidates, as_judged=True))
    shown = [promotion.show(connection, recent, order, threads=threads) for order in orders]
    members = promotion.groups(connection, smallest=settings.promotion.min_group_users)
    return promotion.decide(shown[0], shown[2] if incumbent else None, shown[1], members, settings.promotion, seed=settings.seed)


def _reference(connection: "DuckDBPyConnection", settings: Settings, past: Past, outcome: Outcome) -> str:
    frame.prepare(connection, past.inputs, past.cut, past.persons, settings.candidates)
    order = Order(ranker.from_text(str(outcome.ranker)), None, outcome.weights, settings.ranker.max_candidates)
    values = drift.spread(connection, order, n_persons=len(past.persons), threads=threads_of(settings))
    return json.dumps(drift.reference(values, n_persons=len(past.persons)), sort_keys=True) + "\n"


def require_features(settings: Settings, tables: Snapshot, persons: Mapping[Cut, Sequence[str]], night: Night) -> None:
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
        "user_factors": [file.sha256 for file in tables.data_files("als_user_factors") if file.partition == judging.as_of.isoformat()],
        "fingerprint": sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest(),
        "served": outcome.served,
        "window": outcome.window,
        "weights": dict(outcome.weights),
        "cascade": outcome.cascade,
        "metrics": outcome.metrics,
    }
