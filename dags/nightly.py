"""From a day of events to published lists."""

from airflow.sdk import DAG, DayWindow, PartitionedAssetTimetable, RollupMapper, StartOfDayMapper, chain

from dawnlist.orchestration import DEFAULT_ARGS, LAKE_EVENTS, PUBLISHED, SERVING, stage_task

with DAG(
    dag_id="nightly",
    schedule=PartitionedAssetTimetable(  # the night of a day starts when its 24 hours are in
        assets=LAKE_EVENTS,
        default_partition_mapper=RollupMapper(upstream_mapper=StartOfDayMapper(), window=DayWindow()),
    ),
    catchup=False,
    max_active_runs=1,  # the build database has one writer
    default_args=DEFAULT_ARGS,
    tags=["dawnlist", "daily"],
    doc_md="""
### nightly: the lists of one day

`open` checks the day's volume and freshness, pins the lake and decides whether this night trains; `transform` builds the marts with dbt;
`segment`, `train` and `recommend` make segments, ranker (or take the champion) and lists; `publish` checks them and swaps them in. Until `publish` is done, readers see the lists
of the night before.

**When it fails**, nothing was published: yesterday's lists stand until they expire (`recommend.expires_days`). `suppress` takes out of them who has
withdrawn since, and what is blocked or unavailable.
- `GateError` in `open`: too few or too old events. Look for missing senders before you lower `gate.*`.
- `TransformError`: the message names the dbt model or test. Fix it and clear the task with everything downstream.
- `GateError` in `transform` or `recommend`: a mart or a list is wrong. Read the Data Docs of the day; yesterday's lists stand.
- `SystemRequirementError`: Java or libgomp is missing on the worker.
- `PublicationError`: a newer night has been published; an old night is never put over it.

Clear `open` with everything downstream to run the night on the lake as it is now; clear a later task to go on with the pinned lake.

**Run one night again**: trigger this DAG with the day as its partition key (`2026-11-20`); see `docs/runbook.md`.
""",
) as dag:
    before = [stage_task(stage) for stage in ("open", "transform", "segment", "train", "recommend")]
    chain(*before, stage_task("publish", outlets=[*SERVING.values(), PUBLISHED]))
    chain(before, stage_task("suppress", outlets=[*SERVING.values(), PUBLISHED], trigger_rule="one_failed"))
