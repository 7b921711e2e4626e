"""refresh: an hour of the day after a night -> popular lists and the lists of active persons, made anew by the night's model and published as a small change."""

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import yaml

from dawnlist import publishing, rules, tuned
from dawnlist.duck import connect
from dawnlist.errors import MissingInputError
from dawnlist.files import write_json
from dawnlist.lake import Lake
from dawnlist.serving import Publication, open_store
from dawnlist.serving.base import REFRESHED
from dawnlist.settings import PROJECT, Settings
from dawnlist.stages.base import DAY, Interval, Night, StageResult
from dawnlist.stages.listing import POPULAR_ITEMS, prepare, write
from dawnlist.stages.modelling import cut_of, hour_cut_of, inputs_of, model_of, threads_of
from dawnlist.stages.scoring import scored_here
from models import hourly, lists, popular, renewal
from models.inputs import Cut, Inputs
from models.recommenders.hourly import Hourly

if TYPE_CHECKING:
    import duckdb

STAGE: Final = "refresh"
LEARNT: Final = "hourly.json"  # in the night's folder: how far persons' own trails are believed
TABLES: Final = {name: f"{REFRESHED}{name}" for name in ("recommendations", "popular_items", "dim_items")}  # table -> the night's table of the newest hour

ITEMS: Final = "SELECT item_id, title, is_available, is_blocked FROM renewed_dim_items ORDER BY item_id"  # what an export says of items


def run(settings: Settings, interval: Interval, *, run_id: str, published_at: datetime | None = None) -> StageResult:
    """Renew what is published by the events before `interval.end`; `published_at` is UTC, and now when it is None.

    Neither dbt nor Spark runs, and nothing is trained. `rows_in` counts the persons whose lists were made, `rows_out` the published rows that are new or changed in place; 0 where nothing had to be
    published: the note says why. Raises MissingInputError where nothing is published, or its night is gone.
    """
    started = time.monotonic()
    result = StageResult(STAGE, interval.key)
    history = open_store(settings).publications()
    why = _why_not(history, interval.end)
    if why:
        result.notes.append(why)
        return result
    night = Night.load(settings, history[-1].run_date)
    made = _lists(settings, night, interval.end, run_id=run_id)
    moment = (published_at or datetime.now(UTC)).replace(tzinfo=None, microsecond=0)
    publication = publishing.refresh(
        settings,
        {name: night.tables.snapshot().files(TABLES[name]) for name in ("recommendations", "popular_items")},
        run_date=night.run_date,
        until=interval.end,
        expires_at=interval.end + settings.recommend.expires_days * DAY,
        run_id=run_id,
        moment=moment,
    )
    result.rows_in, result.counts = made, {"n_active_persons": made}
    if publication is None:
        result.notes.append("what is published is the same already")
    else:
        state = night.tables.snapshot()
        result.rows_out = sum(state.rows(TABLES[name]) for name in ("recommendations", "popular_items"))
        result.counts |= publication.rows | {"n_users": publication.n_users}
        result.metrics = {"sequence": publication.sequence, "content_hash": publication.content_hash, "model_version": publication.model_version}
    result.seconds = time.monotonic() - started
    return result


def _why_not(history: list[Publication], until: datetime) -> str | None:
    """Why the hour that ends at `until` changes nothing, in words. Raises MissingInputError where nothing is published."""
    if not history:
        raise MissingInputError("Nothing has been published yet: run a night (`dawnlist run`) before its day is refreshed.")
    newest = history[-1]
    if publishing.is_rolled_back(history):
        return f"publication {newest.sequence} shows a rollback: it stands until the next night is published"
    if until <= Interval.day(newest.run_date).end:
        return f"the published night of {newest.run_date} knows this hour"
    if newest.refreshed_until is not None and until < newest.refreshed_until:
        return f"the published lists know the hours before {newest.refreshed_until} already"
    return None


def _lists(settings: Settings, night: Night, until: datetime, *, run_id: str) -> int:
    """Commit the lists as of `until` to the night's tables. Returns how many persons have one of their own."""
    model = model_of(settings, night)
    settings = tuned.as_trained(settings, model.metadata)
    night_cut, cut = cut_of(settings, night.run_date, horizons_back=0), hour_cut_of(settings, until)
    with connect(settings) as connection:
        inputs = inputs_until(connection, settings, night, night_cut, cut)
        by_trails = model.metadata["served"] in popular.SOURCES
        if not by_trails:
            inputs = renewal.with_forecast(connection, inputs, cut, seed=settings.seed)
        listing = prepare(connection, settings, inputs, cut, rules.load(settings).in_force(cut.as_of).rules, window=model.metadata["window"])
        if by_trails:
            score = hourly.score_by(
                _learnt(connection, settings, night, inputs, night_cut), hourly.events_of(connection, inputs, cut), keep=settings.ranker.max_candidates
            )
        else:
            score = lists.by_model(lists.Order.of(model, keep=settings.ranker.max_candidates), threads=threads_of(settings))
        scored = scored_here(connection, score, n_persons=listing.n_persons, keep=settings.ranker.max_candidates)
        changes = {
            TABLES["recommendations"]: write(connection, settings, night.tables, model.version, listing, scored, table=TABLES["recommendations"]),
            TABLES["popular_items"]: [night.tables.write(connection, TABLES["popular_items"], POPULAR_ITEMS)],
            TABLES["dim_items"]: [night.tables.write(connection, TABLES["dim_items"], ITEMS)],
        }
    night.tables.commit({name: [file for file in files if file] for name, files in changes.items()}, run_id=run_id)
    return listing.n_persons


def inputs_until(connection: "duckdb.DuckDBPyConnection", settings: Settings, night: Night, night_cut: Cut, cut: Cut) -> Inputs:
    """The inputs of the night of `night_cut`, renewed by what the lake has by now, up to `cut`."""
    tables, lake = night.tables.snapshot(), Lake(settings.lake_dir).snapshot()
    variables = yaml.safe_load((PROJECT / "dbt_project" / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]
    raw = renewal.Raw(
        files={
            "events": lake.files("events", since=cut.as_of - renewal.WINDOW_DAYS * DAY, until=cut.as_of + DAY),
            "items": lake.files("items"),
            "consents": lake.files("consents"),
            "persons": tables.files("persons"),
        },
        weights=PROJECT / "dbt_project" / "seeds" / "event_weights.csv",
        bots=settings.bots,
        trend_smoothing=variables["trend_smoothing"],
        popular_items=variables["popular_items"],
    )
    made = inputs_of(tables, night_cut.as_of)
    similar = tables.files("similar_items", since=night_cut.as_of, until=night_cut.as_of + DAY)
    return renewal.renew(connection, Inputs({**made.files, "similar_items": similar}), raw, night_cut, cut, active_hours=settings.refresh.active_hours)


def _learnt(connection: "duckdb.DuckDBPyConnection", settings: Settings, night: Night, inputs: Inputs, night_cut: Cut) -> Hourly:
    """How far trails are believed: learnt once a night, from the hours of its run date, by its first refresh."""
    path = settings.night_dir(night.run_date) / LEARNT
    if not path.exists():
        found, reached = hourly.learn(hourly.events_of(connection, inputs, night_cut).events, seed=settings.seed)
        write_json(path, {**hourly.described(found), "ndcg@10": reached})
    return hourly.from_description(json.loads(path.read_text(encoding="utf-8")))
