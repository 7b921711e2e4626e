"""transform: resolve the persons, build the warehouse with dbt, write the marts into the night's tables, and estimate what buyers are worth."""

import time

from dawnlist import customer_value, identity, mart_files, sources, validation, warehouse, warehouse_spark
from dawnlist.duck import connect
from dawnlist.lake import Lake
from dawnlist.settings import Settings
from dawnlist.stages import gate
from dawnlist.stages.base import DAY, Interval, Night, StageResult

STAGE = "transform"


def run(settings: Settings, interval: Interval, *, run_id: str, full: bool = False) -> StageResult:
    """Build the night of `interval.run_date` from the lake that it pinned. `rows_in` counts its events, `rows_out` the rows of all marts.

    What has not changed since the build before is kept, unless `full`. Raises MissingInputError when the night was not opened,
    TransformError when a model or a test fails, and GateError when a suite does: the night's tables then stay as they were.
    """
    started = time.monotonic()
    night = Night.load(settings, interval.run_date)
    with connect(settings) as connection:
        who = identity.resolve(connection, night.lake, night.run_date, night.tables, settings.identity, run_id=run_id)
    persons = who.persons
    plan = warehouse.plan(night.lake, persons, night.tables, night.run_date, sources.of_site(settings), trains=night.training is not None)
    made = _make(settings, plan, night.tables, is_full=full)
    with connect(settings) as connection:
        value = customer_value.write(connection, night.tables, made.files["feat_user_purchases"], settings.customer_value, run_date=night.run_date)
    changes = {"persons": [persons] if persons else [], **made.files, **value.files}
    verdicts = validation.check_marts(settings, night.tables.preview(changes, run_id=run_id), run_date=night.run_date, run_id=run_id)
    notes = [made.how, *made.notes, *gate.decide(settings, verdicts, f"The marts of {night.run_date}", run_date=night.run_date, run_id=run_id)]
    snapshot = night.tables.commit(changes, run_id=run_id)
    who.keep(Lake(settings.lake_dir), nights=settings.retention.nights, run_id=run_id)

    end = (interval.run_date + DAY).isoformat()
    return StageResult(
        stage=STAGE,
        interval=interval.key,
        rows_in=sum(file.rows for file in night.lake.data_files("events") if file.partition < end),
        rows_out=sum(snapshot.rows(mart) for mart in warehouse.MARTS),
        seconds=time.monotonic() - started,
        paths=[str(settings.warehouse_file), *(str(path) for mart in warehouse.MARTS for path in snapshot.files(mart))],
        counts={table: snapshot.rows(table) for table in ("persons", *warehouse.MARTS, *value.files)} | who.counts,
        metrics=value.metrics,
        notes=notes + value.notes,
    )


def _make(settings: Settings, plan: warehouse.Build, tables: Lake, *, is_full: bool) -> warehouse.Made:
    if settings.warehouse.engine != "spark":
        return warehouse.make(settings, plan, tables, is_full=is_full)
    warehouse_spark.build(settings, plan)
    with connect(settings, settings.warehouse_file) as connection:
        files = mart_files.write(connection, tables, warehouse.MARTS, is_incremental=False)
        return warehouse.Made(files, None, "built from nothing on Spark", warehouse.notes_on(connection))
