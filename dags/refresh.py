"""Popular lists and the lists of active persons, made anew after each hour of the day."""

from airflow.sdk import DAG, PartitionedAssetTimetable

from dawnlist.orchestration import DEFAULT_ARGS, LAKE_EVENTS, stage_task
from dawnlist.settings import load

with DAG(
    dag_id="refresh",
    schedule=PartitionedAssetTimetable(assets=LAKE_EVENTS) if load().refresh.hourly else None,  # an hour that is in
    catchup=False,
    max_active_runs=1,  # hours are published one after the other
    default_args=DEFAULT_ARGS,
    tags=["dawnlist", "hourly"],
    doc_md="""
### refresh: the lists of an hour

Starts when `ingest` has let an hour in, where `refresh.hourly` is set; else only by hand, with the hour as its partition key. `refresh` renews the popular lists and the lists of who was active in the last
`refresh.active_hours`, by the model of the published night, and publishes that as a small change; `export` writes the bundle and the deltas.
Everybody else keeps their list of the night with its age and expiry.

**When it fails**, what was published before stands, and the next hour makes up for it: there is nothing that must be cleared.
- Skipped: a later hour or the night itself knows this hour already, or a rollback stands. Nothing to do.
- `MissingInputError`: nothing is published yet, or the night's tables or model are gone. Run `nightly` first.
- `PublicationError`: a night was published meanwhile, or the audit found a list wrong. The next hour goes on from what is published.
- `LockedError`: another publisher held the lock for long; retried.

To stop refreshing, set `refresh.hourly = false`; `dawnlist rollback` goes back to the night's lists, and no hour touches them before the next night.
See `docs/refresh.md`.
""",
) as dag:
    stage_task("refresh") >> stage_task("export")
