"""What train and recommend share: the night's tables as the models' input, and Spark's candidates."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from dawnlist.duck import connect
from dawnlist.errors import MissingInputError
from dawnlist.lake import Lake, Snapshot
from dawnlist.settings import Settings
from dawnlist.sources import of_site
from dawnlist.stages.base import DAY, Night
from models import registry
from models.forecast import create_forecast
from models.inputs import CANDIDATES, FORECASTS, MARTS, SEGMENTS, Cut, Inputs

if TYPE_CHECKING:
    from pathlib import Path

RESOLUTION: Final = timedelta(microseconds=1)  # of the lake's times
POINTER: Final = "model.json"  # in the night's folder: the version of the model that the night uses


def cut_of(settings: Settings, run_date: date, *, horizons_back: int) -> Cut:
    """The cut so many label windows before the run date, with the rules of the site's first source."""
    source = of_site(settings)[0]
    as_of = run_date - horizons_back * source.horizon_days * DAY
    return Cut(as_of, source.horizon_days, source.exclude_seen, source.exclude_bought, is_serving=horizons_back == 0)


def hour_cut_of(settings: Settings, until: datetime) -> Cut:
    """The cut at the end of an hour (UTC), on the day that the hour belongs to."""
    return replace(cut_of(settings, (until - RESOLUTION).date(), horizons_back=0), until=until)


def model_of(settings: Settings, night: Night) -> registry.Model:
    """The model that the night uses. Raises MissingInputError where train has not run, CorruptedError where the model was changed."""
    try:
        pointer = json.loads((settings.night_dir(night.run_date) / POINTER).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingInputError(f"The night of {night.run_date} has no model: run `dawnlist train --run-date {night.run_date}` first.") from None
    return registry.load(settings.models_dir, str(pointer["version"]))


def inputs_of(tables: Snapshot, as_of: date) -> Inputs:
    """The marts, the segments if they were made, and the candidates and the forecast of `as_of` as far as there are any. Raises MissingInputError where transform has not run."""
    files = _marts_of(tables) | {SEGMENTS: tables.files(SEGMENTS)}
    return Inputs(files | {table: tables.files(table, since=as_of, until=as_of + DAY) for table in (*CANDIDATES, FORECASTS)})


def _marts_of(tables: Snapshot) -> "dict[str, Sequence[Path]]":
    return {mart: tables.require(mart, stage="transform") for mart in MARTS}


def make_forecasts(settings: Settings, tables: Lake, cuts: Iterable[Cut], *, run_id: str, marts: "Mapping[str, Sequence[Path]] | None" = None) -> int:
    """Write what is expected to be popular after each cut into `tables`, in place of what they had for its date. Returns the rows. marts: as in `make_candidates`."""
    snapshot = tables.snapshot()
    inputs = Inputs(marts or _marts_of(snapshot))
    files = {file.partition: file for file in snapshot.data_files(FORECASTS)}
    n_rows = 0
    with connect(settings) as connection:
        for cut in cuts:
            files.pop(cut.as_of.isoformat(), None)
            query = create_forecast(connection, inputs.relation("fct_interactions"), cut, seed=settings.seed)
            if made := tables.write(connection, FORECASTS, query, partition=cut.as_of):
                files[made.partition] = made
                n_rows += made.rows
    tables.commit({FORECASTS: files.values()}, run_id=run_id)
    return n_rows


def make_candidates(
    settings: Settings, tables: Lake, cuts: Mapping[Cut, Sequence[str] | None], *, run_id: str, marts: "Mapping[str, Sequence[Path]] | None" = None
) -> dict[str, int]:
    """Write the candidates of each cut for its persons (None: everybody; none for nobody) into `tables`. Returns rows per table, summed over the cuts.

    marts: the files of the marts; default: those in `tables`, which are then a night's.
    """
    from spark_jobs import candidates
    from spark_jobs.session import session

    wanted = {cut: persons for cut, persons in cuts.items() if persons is None or persons}
    marts = marts or _marts_of(tables.snapshot())
    counts: dict[str, int] = {}
    if not wanted or not marts["fct_interactions"]:
        return counts
    with session(settings) as spark:
        for cut, persons in wanted.items():
            found = candidates.run(
                spark,
                settings,
                marts=marts,
                as_of=cut.as_of,
                tables=tables,
                run_id=run_id,
                exclude_seen=cut.exclude_seen,
                exclude_bought=cut.exclude_bought,
                persons=persons,
            )
            counts = {name: counts.get(name, 0) + found.get(name, 0) for name in {*counts, *found}}
    return dict(sorted(counts.items()))


def threads_of(settings: Settings) -> int:
    """Threads of DuckDB and LightGBM: the setting, else one per core."""
    return settings.duckdb.threads or os.cpu_count() or 1
