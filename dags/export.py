"""The published lists as a bundle for the CMS, and the report of the night."""

from airflow.sdk import DAG, PartitionedAssetTimetable

from dawnlist.orchestration import DEFAULT_ARGS, PUBLISHED, stage_task

with DAG(
    dag_id="export",
    schedule=PartitionedAssetTimetable(assets=PUBLISHED),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["dawnlist", "daily"],
    doc_md="""
### export: the CMS bundles of one night, and its report

Starts when `nightly` has published. Writes `exports/cms/<sequence>/`, the manifest last: a bundle without a manifest is not finished
and must not be imported. Consumers that have acknowledged an older bundle get a delta from it, `exports/cms/<sequence>-from-<base>/`.

**When it fails**, the serving tables are already up to date; only the CMS is behind. Clear the task: it writes the bundle anew.
- `StorageError`: the disk is full, or the folder cannot be written.
- `DeliveryError`: the CMS cannot be reached, or refuses (`delivery.to`). The task tries again by itself, and goes on where it stopped; so does `dawnlist export deliver`.
- `RefusedDocumentsError`: the CMS has the bundle without some documents; `exports/cms/deliveries/` names them and the reasons. Nothing to clear.
- `ExportError`: more users would change than the settings allow. If that is right, `dawnlist export --run-date DAY --accept-churn`.
- `MissingInputError`: the day was never published. Run `nightly` with its key first.

`report` comes last and writes `reports/<run_date>/index.html`. When it fails, lists and bundles are out all the same; clear it when the cause is mended.
""",
) as dag:
    stage_task("export") >> stage_task("report")
