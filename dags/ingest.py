"""Land one hour of events in the lake."""

from airflow.sdk import DAG, CronPartitionTimetable

from dawnlist.orchestration import DEFAULT_ARGS, LAKE_EVENTS, stage_task

with DAG(
    dag_id="ingest",
    schedule=CronPartitionTimetable("0 * * * *", timezone="UTC", run_offset=-1),  # at 06:00 the hour 05:00 to 06:00
    catchup=False,
    max_active_runs=24,  # a day of waiting hours must not keep the next ones out
    max_active_tasks=4,
    default_args=DEFAULT_ARGS,
    tags=["dawnlist", "hourly"],
    doc_md="""
### ingest: one hour of landed files into the lake

`ingest` waits until the hour's marker or files have landed or `ingest.grace_minutes` are over, and stages them; `validate` runs the
Great Expectations suite and promotes the batch. When all 24 hours of a day are in, `nightly` starts by itself.

**When it fails**
- `GateError` in `validate`: the batch was kept out, the lake is as before. Read the failed expectation in the task's log or in the
  data docs, have the sender land a corrected file, then clear the run. A wrong threshold is a setting under `gate`.
- `UnreadableFileError`, `ColumnsError`: the message names the file. Have it landed again, then clear the run.
- `LockedError`, `StorageError`: retried four times in all; look for a second pipeline on this home, or for a full disk.
- Up for reschedule: the hour has not landed yet. Nothing to do until the grace is over.

**Load days again or for the first time**: `airflow backfill create --dag-id ingest --from-date 2026-11-01 --to-date 2026-11-03T23:00`.
See `docs/runbook.md`.
""",
) as dag:
    stage_task("ingest") >> stage_task("validate", outlets=[LAKE_EVENTS])
