"""recommend: candidates as of the run date, ranked and filtered: a list for everybody, and the popular lists of all scopes."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dawnlist import rules as site_rules
from dawnlist import tuned, validation
from dawnlist.data_docs import build_docs
from dawnlist.duck import connect
from dawnlist.lake import Lake
from dawnlist.rules import Rule
from dawnlist.settings import Settings
from dawnlist.stages import gate, scoring
from dawnlist.stages.base import DAY, Interval, Night, StageResult
from dawnlist.stages.champion import ask, watch
from dawnlist.stages.listing import POPULAR_ITEMS, prepare, write
from dawnlist.stages.modelling import cut_of, inputs_of, make_candidates, make_forecasts, model_of
from models import frame, lists, merchandising
from models.carrying import CARRIED, create_carried, without_carried
from models.inputs import FORECASTS, Cut, Inputs, listed_persons

if TYPE_CHECKING:
    import duckdb

STAGE = "recommend"


def run(settings: Settings, interval: Interval, *, run_id: str) -> StageResult:
    """Write recommendations and popular_items of the night of `interval.run_date` in one commit, after Spark's candidates and similar items.

    `rows_in` counts persons, `rows_out` recommendations. Raises SettingsError for a mistake in the rules, MissingInputError where transform or train has not run, CorruptedError where the model was changed,
    GateError where the lists did not pass: the night's lists then stay as they were.
    """
    started = time.monotonic()
    night = Night.load(settings, interval.run_date)
    rules = site_rules.load(settings).in_force(night.run_date).rules
    model = model_of(settings, night)
    settings = tuned.as_trained(settings, model.metadata)
    order = lists.Order.of(model, keep=settings.ranker.max_candidates)
    cut = cut_of(settings, night.run_date, horizons_back=0)
    marts = inputs_of(night.tables.snapshot(), cut.as_of)
    with connect(settings) as connection:
        n_carried = _carry(connection, settings, marts, cut, rules, model.version)
        wanted = listed_persons(connection, without_carried(marts)) if n_carried else None
        n_forecasts = make_forecasts(settings, night.tables, [cut], run_id=run_id)
        counts = make_candidates(settings, night.tables, {cut: wanted or None}, run_id=run_id) | {FORECASTS: n_forecasts}
        before = night.tables.snapshot()
        inputs = without_carried(inputs_of(before, cut.as_of))
        listing = prepare(connection, settings, inputs, cut, rules, window=model.metadata["window"])
        changes = {
            "popular_items": [night.tables.write(connection, "popular_items", POPULAR_ITEMS)],
            "recommendations": [
                *write(connection, settings, night.tables, model.version, listing, scoring.scored(connection, settings, order, n_persons=listing.n_persons)),
                night.tables.write(connection, "recommendations", CARRIED),
            ],
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
        counts=counts | {"n_ranked_persons": listing.n_persons, "n_carried_persons": n_carried} | {name: tables.rows(name) for name in changes},
        metrics={"model_version": model.version, "served": model.metadata["served"], "psi": watched.shifts, "decay": watched.lost, "asks_for_training": why},
        notes=notes,
    )


def _carry(connection: "duckdb.DuckDBPyConnection", settings: Settings, marts: Inputs, cut: Cut, rules: Sequence[Rule], version: str) -> int:
    """Table `carried`: the lists of dormant persons that stand from the night before. Returns whose there are."""
    earlier = Lake(settings.night_dir(cut.as_of - DAY)).snapshot() if settings.refresh.dormant_every_days > 1 else None
    before = (earlier.files("recommendations"), earlier.files("dim_users")) if earlier else None
    frame.create_items(connection, marts, cut)
    merchandising.create_rules(connection, rules)
    return create_carried(connection, marts, cut, before, settings.refresh, model_version=version, expires_days=settings.recommend.expires_days)
