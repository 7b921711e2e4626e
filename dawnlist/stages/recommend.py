"""recommend: candidates as of the run date, ranked and filtered: a list for everybody, and the popular lists of all scopes."""

import time

from dawnlist import tuned, validation
from dawnlist.data_docs import build_docs
from dawnlist.duck import connect
from dawnlist.rules import in_force
from dawnlist.settings import Settings
from dawnlist.stages import gate
from dawnlist.stages.base import Interval, Night, StageResult
from dawnlist.stages.champion import ask, watch
from dawnlist.stages.listing import POPULAR_ITEMS, prepare, write
from dawnlist.stages.modelling import cut_of, inputs_of, make_candidates, model_of, threads_of
from models import lists

STAGE = "recommend"


def run(settings: Settings, interval: Interval, *, run_id: str) -> StageResult:
    """Write recommendations and popular_items of the night of `interval.run_date` in one commit, after Spark's candidates and similar items.

    `rows_in` counts persons, `rows_out` recommendations. Raises SettingsError for a mistake in the rules, MissingInputError where transform or train has not run, CorruptedError where the model was changed,
    GateError where the lists did not pass: the night's lists then stay as they were.
    """
    started = time.monotonic()
    night = Night.load(settings, interval.run_date)
    rules = in_force(settings, night.run_date)
    model = model_of(settings, night)
    settings = tuned.as_trained(settings, model.metadata)
    order = lists.Order.of(model, keep=settings.ranker.max_candidates)
    cut = cut_of(settings, night.run_date, horizons_back=0)
    counts = make_candidates(settings, night.tables, {cut: None}, run_id=run_id)
    before = night.tables.snapshot()
    inputs = inputs_of(before, cut.as_of)
    with connect(settings) as connection:
        listing = prepare(connection, settings, inputs, cut, rules, window=model.metadata["window"])
        changes = {
            "popular_items": [night.tables.write(connection, "popular_items", POPULAR_ITEMS)],
            "recommendations": write(connection, settings, night.tables, model.version, listing, lists.by_model(order, threads=threads_of(settings))),
        }
        watched = watch(connection, settings, night, model, order, n_persons=listing.n_persons)
    made = {name: [file for file in files if file] for name, files in changes.items()}
    made |= {} if "similar_items" in before else {"similar_items": []}  # a site without a single interaction
    preview = night.tables.preview(made, run_id=run_id)
    verdicts = validation.check_recommendations(settings, preview, run_date=night.run_date, run_id=run_id, exclude_bought=cut.exclude_bought)
    notes = gate.decide(settings, verdicts, f"The lists of {night.run_date}", run_date=night.run_date, run_id=run_id)
    build_docs(settings, night.run_date)
    tables = night.tables.commit(made, run_id=run_id)
    why = ask(settings, night, model, watched)
    notes += [*listing.unknown, *watched.notes, *([f"the next night trains: {why}"] if why else watched.asks)]
    return StageResult(
        stage=STAGE,
        interval=interval.key,
        rows_in=tables.rows("dim_users"),
        rows_out=tables.rows("recommendations"),
        seconds=time.monotonic() - started,
        paths=[str(path) for name in changes for path in tables.files(name)],
        counts=counts | {"n_ranked_persons": listing.n_persons} | {name: tables.rows(name) for name in changes},
        metrics={"model_version": model.version, "served": model.metadata["served"], "psi": watched.shifts, "decay": watched.lost, "asks_for_training": why},
        notes=notes,
    )
