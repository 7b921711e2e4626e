"""An alert for the night that has not started."""

from airflow.sdk import DAG, CronTriggerTimetable

from dawnlist.orchestration import DEFAULT_ARGS, check_night, start_incomplete_night
from dawnlist.settings import load

with DAG(
    dag_id="watchdog",
    schedule=CronTriggerTimetable(f"0 {load().airflow.deadline_hour} * * *", timezone="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["dawnlist", "daily"],
    doc_md="""
### watchdog: has the night of yesterday started?

Runs at `airflow.deadline_hour` (UTC). A night whose hours are not all in makes no run, and so no failure: this DAG fails in its place
and names the missing hours. With `airflow.start_incomplete_nights` it also starts the night with the hours that are there.

**When it fails**, look at the runs of `ingest` for the named hours.
- A failed run: see there what to do, and clear it. The night starts by itself when the last hour is in.
- No run at all (the scheduler was down): `airflow backfill create --dag-id ingest` over the day.
- The hours will never come: trigger `nightly` with the day as its partition key; see `docs/runbook.md`.
- All hours are in, yet no night: `nightly` is paused, or another night is still running.
""",
) as dag:
    start_incomplete_night() >> check_night()
