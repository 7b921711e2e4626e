"""recommend: candidates as of the run date, ranked and filtered: a list for everybody, and the popular lists of all scopes."""

import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dawnlist import rules as site_rules
from dawnlist import tuned, validation
from dawnlist.data_docs import build_docs
from dawnlist.duck import connect
from dawnlist.errors import MissingInputError
from dawnlist.lake import DataFile, Lake
from dawnlist.settings import Settings
from dawnlist.stages import gate, scoring
from dawnlist.stages.base import Interval, Night, StageResult
from dawnlist.stages.champion import ask, watch
from dawnlist.stages.modelling import POINTER, cut_of, inputs_of, make_candidates
from models import frame, lists, merchandising, popular, registry
from models.inputs import listed_persons
from models.policies import Policy
from models.policy_chain import chain

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
    model = registry.load(settings.models_dir, _version(settings, night))
    settings = tuned.as_trained(settings, model.metadata)
    order = lists.Order.of(model, keep=settings.ranker.max_candidates)
    cut = cut_of(settings, night.run_date, horizons_back=0)
    counts = make_candidates(settings, night.tables, {cut: None}, run_id=run_id)
    before = night.tables.snapshot()
    inputs = inputs_of(before, cut.as_of)
    with connect(settings) as connection:
        persons = listed_persons(connection, inputs)
        frame.prepare(connection, inputs, cut, persons, settings.candidates)
        popular.create_scope_lists(connection, inputs, cut, window=model.metadata["window"])
        n_lists = lists.create_recipients(connection, inputs)
        merchandising.create_rules(connection, rules)
        unknown = merchandising.unknown_names(connection)
        popular_items = lists.popular_items(merchandising.eligible(rules), length=settings.recommend.list_length)
        changes = {"popular_items": [night.tables.write(connection, "popular_items", popular_items)]}
        popular.add_segment_lists(connection, inputs, cut)
        popular.add_season_list(connection, inputs, cut)
        lists.create_fallback(connection, season_every=settings.recommend.season_every)
        policies = chain(connection, inputs, cut, rules, settings.recommend, seed=settings.seed)
        changes["recommendations"] = _recommendations(connection, settings, night.tables, model.version, order, policies, len(persons), n_lists)
        watched = watch(connection, settings, night, model, order, n_persons=len(persons))
    made = {name: [file for file in files if file] for name, files in changes.items()}
    made |= {} if "similar_items" in before else {"similar_items": []}  # a site without a single interaction
    preview = night.tables.preview(made, run_id=run_id)
    verdicts = validation.check_recommendations(settings, preview, run_date=night.run_date, run_id=run_id, exclude_bought=cut.exclude_bought)
    notes = gate.decide(settings, verdicts, f"The lists of {night.run_date}", run_date=night.run_date, run_id=run_id)
    build_docs(settings, night.run_date)
    tables = night.tables.commit(made, run_id=run_id)
    why = ask(settings, night, model, watched)
    notes += [*unknown, *watched.notes, *([f"the next night trains: {why}"] if why else watched.asks)]
    return StageResult(
        stage=STAGE,
        interval=interval.key,
        rows_in=tables.rows("dim_users"),
        rows_out=tables.rows("recommendations"),
        seconds=time.monotonic() - started,
        paths=[str(path) for name in changes for path in tables.files(name)],
        counts=counts | {"n_ranked_persons": len(persons)} | {name: tables.rows(name) for name in changes},
        metrics={"model_version": model.version, "served": model.metadata["served"], "psi": watched.shifts, "decay": watched.lost, "asks_for_training": why},
        notes=notes,
    )


def _recommendations(
    connection: "duckdb.DuckDBPyConnection",
    settings: Settings,
    tables: Lake,
    version: str,
    order: lists.Order,
    policies: Sequence[Policy],
    n_persons: int,
    n_lists: int,
) -> list[DataFile | None]:
    """One file per bucket of persons with a history, and one of everybody else: they have no candidates of their own."""
    length = settings.recommend.list_length
    files = []
    for first, last in scoring.scored(connection, settings, order, n_persons=n_persons):
        lists.create_lists(connection, policies, first=first, last=last, length=length)
        files.append(tables.write(connection, "recommendations", lists.recommendations(whose="person", model_version=version)))
    lists.create_no_scores(connection)
    lists.create_lists(connection, policies, first=n_persons, last=n_lists, length=length)
    return [*files, tables.write(connection, "recommendations", lists.recommendations(whose="other", model_version=version))]


def _version(settings: Settings, night: Night) -> str:
    try:
        return str(json.loads((settings.night_dir(night.run_date) / POINTER).read_text(encoding="utf-8"))["version"])
    except FileNotFoundError:
        raise MissingInputError(f"The night of {night.run_date} has no model: run `dawnlist train --run-date {night.run_date}` first.") from None
