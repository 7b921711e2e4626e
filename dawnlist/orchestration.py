"""The one module that imports Airflow: stages as tasks, partition keys as intervals, failures as alerts.

Every run of `ingest`, `nightly` and `export` works on one partition, and its key says the time span: `2026-11-20T05:00:00` is an
hour, `2026-11-20` a day. No frame travels between tasks: a stage leaves its tables in the home and returns a few counts.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from airflow.sdk import Asset, get_current_context, task
from airflow.sdk.definitions.xcom_arg import XComArg
from airflow.sdk.exceptions import AirflowFailException, AirflowRescheduleException, AirflowSkipException

from dawnlist.columns import SERVING_TABLES
from dawnlist.errors import DawnlistError, SettingsError
from dawnlist.settings import Settings, load
from dawnlist.stages import execute
from dawnlist.stages.base import Interval, StageResult

log = logging.getLogger(__name__)

HOUR_KEY = "%Y-%m-%dT%H:%M:%S"
HOURS_OF_A_DAY = 24
POLL = timedelta(minutes=5)
ALERT_TIMEOUT_SECONDS = 10
LOCK_WAIT_SECONDS = 600  # hours that are loaded side by side take turns; past this the task fails and is retried

NOTHING_TO_DO = {"suppress": "Nothing is published that has to go.", "refresh": "Nothing was to be refreshed."}

LAKE_EVENTS = Asset(name="lake_events", uri="x-dawnlist://lake/events")  # partitioned by hour
PUBLISHED = Asset(name="published", uri="x-dawnlist://serving")  # partitioned by day
SERVING = {name: Asset(name=f"serving.{name}", uri=f"x-dawnlist://serving/{name}") for name in SERVING_TABLES if name != "user_aliases"}


def interval_of(key: str | None) -> Interval:
    """The hour or the day that a partition key names. Raises SettingsError for a run without a key, and for a key of another form."""
    try:
        return Interval.hour(datetime.strptime(key or "", HOUR_KEY)) if "T" in (key or "") else Interval.day(date.fromisoformat(key or ""))
    except ValueError:
        raise SettingsError(f"The partition key {key!r} is neither an hour (2026-11-20T05:00:00) nor a day (2026-11-20). Trigger the run with one.") from None


def hour_keys(run_date: date) -> list[str]:
    """The partition keys of the hours of `run_date`, in order."""
    start = Interval.day(run_date).start
    return [(start + timedelta(hours=hour)).strftime(HOUR_KEY) for hour in range(HOURS_OF_A_DAY)]


def missing_hours(settings: Settings, run_date: date) -> list[str]:
    """The partition keys of those hours of `run_date` that no validation has let in yet, in order."""
    return [key for key in hour_keys(run_date) if not (settings.runs_dir / interval_of(key).key / "validate.json").exists()]


def has_started(settings: Settings, run_date: date) -> bool:
    """Whether the night of `run_date` has been opened."""
    return (settings.night_dir(run_date) / "night.json").exists()


def stage_task(stage: str, *, outlets: Sequence[Asset] = (), trigger_rule: str = "all_success") -> XComArg:
    """A task that runs `stage` on its run's partition and returns the counts of its result.

    Its assets get one event each, with the row counts as `extra`. What cannot pass by waiting (a failed gate, a bad setting) fails
    at once; everything else is retried as the DAG says. A run whose conf has {"train": true} asks its night to train.
    """

    @task(task_id=stage, outlets=list(outlets), trigger_rule=trigger_rule)
    def call() -> dict[str, Any]:
        context: Mapping[str, Any] = get_current_context()
        try:
            run, options = context["dag_run"], {}
            if stage == "open" and (run.conf or {}).get("train"):
                options = {"train": True}
            result = run_stage(stage, run.partition_key, run_id=run.run_id, **options)
        except DawnlistError as error:
            if error.is_retryable:
                raise
            raise AirflowFailException(f"{type(error).__name__}: {error}") from error
        if stage in NOTHING_TO_DO and not result.rows_out:
            raise AirflowSkipException("; ".join(result.notes) or NOTHING_TO_DO[stage])
        for asset in outlets:
            context["outlet_events"][asset].extra = {"run_id": context["dag_run"].run_id, **rows_of(asset, result)}
        return {"interval": result.interval, "rows_in": result.rows_in, "rows_out": result.rows_out, "seconds": result.seconds, "counts": result.counts}

    return call()


def run_stage(stage: str, key: str | None, *, run_id: str, **options: Any) -> StageResult:
    """Run `stage` on the partition `key`. `run_id` is Airflow's; what is no word character in it becomes a hyphen, so that it can name files. `options` are the stage's own."""
    settings = load()
    interval = interval_of(key)
    if stage == "ingest":
        wait_for_hour(settings, interval)
    result = execute(settings, stage, interval, run_id=re.sub(r"[^\w.-]", "-", run_id), wait_seconds=LOCK_WAIT_SECONDS, **options)
    for note in result.notes:
        log.warning("%s %s: %s", stage, interval.key, note)
    return result


def rows_of(asset: Asset, result: StageResult) -> dict[str, int]:
    """The row counts that an event of `asset` carries: those of its serving table, else all of the stage's."""
    table = asset.name.removeprefix("serving.")
    return {"rows": result.counts[table]} if asset.name.startswith("serving.") else {"rows": result.rows_out, **result.counts}


def wait_for_hour(settings: Settings, interval: Interval) -> None:
    """Return when the hour is in. While it is awaited, the task gives its slot back and comes again."""
    from dawnlist.stages.ingest import hour_state

    now = datetime.now(UTC)
    state = hour_state(settings, interval, now.replace(tzinfo=None))
    if state == "waiting":
        raise AirflowRescheduleException(now + POLL)
    if state == "empty":
        log.warning("The hour %s is empty: no file landed within %d minutes of its end.", interval.key, settings.ingest.grace_minutes)


def watched_day() -> date:
    """The day whose night the watchdog looks for: the day before its own run."""
    context: Mapping[str, Any] = get_current_context()
    run_after: datetime = context["dag_run"].run_after
    return run_after.date() - timedelta(days=1)


@task(outlets=[LAKE_EVENTS])
def start_incomplete_night() -> None:
    """Declare all hours of yesterday as in, so that its night starts with what there is. Skipped unless hours are missing and the settings say so."""
    settings, run_date = load(), watched_day()
    if not settings.airflow.start_incomplete_nights:
        raise AirflowSkipException("airflow.start_incomplete_nights is off: incomplete nights wait.")
    if has_started(settings, run_date) or not missing_hours(settings, run_date):
        raise AirflowSkipException(f"Nothing to start: the night of {run_date} has started, or all its hours are in.")
    get_current_context()["outlet_events"][LAKE_EVENTS].add_partitions(hour_keys(run_date))


@task(trigger_rule="all_done", retries=0)
def check_night() -> None:
    """Fail, and so alert, when the night of yesterday has not started by the deadline; the message names the missing hours."""
    settings, run_date = load(), watched_day()
    if has_started(settings, run_date):
        return
    missing = missing_hours(settings, run_date)
    if not missing:
        raise AirflowFailException(f"The night of {run_date} has not started although all its hours are in. Is nightly paused, or is another night running?")
    started = " It is started with what there is." if settings.airflow.start_incomplete_nights else ""
    raise AirflowFailException(f"The night of {run_date} has not started: {len(missing)} of its hours are missing: {', '.join(missing)}.{started}")


def alert(context: Mapping[str, Any]) -> None:
    """Airflow calls this when a task has failed for good: one error line in the log and, where the settings name a URL, a POST to it."""
    ti, dag_run = context["ti"], context["dag_run"]
    message = {"dag": ti.dag_id, "task": ti.task_id, "partition": dag_run.partition_key, "run": dag_run.run_id, "error": str(context.get("exception"))}
    log.error("ALERT %(dag)s.%(task)s, partition %(partition)s: %(error)s", message)
    url = load().airflow.alert_url
    if url is not None:
        post_alert(url.get_secret_value(), message)


def post_alert(url: str, message: Mapping[str, Any]) -> None:
    """POST `message` as JSON. An alert that cannot be delivered is logged: it must not hide the failure that it tells of."""
    import json
    from urllib.request import Request, urlopen

    body = json.dumps({"text": f"{message['dag']}.{message['task']} failed for {message['partition']}: {message['error']}", **message})
    try:
        urlopen(Request(url, body.encode(), {"Content-Type": "application/json"}), timeout=ALERT_TIMEOUT_SECONDS).close()
    except (OSError, ValueError) as error:
        log.error("The alert could not be delivered to airflow.alert_url: %s", type(error).__name__)


DEFAULT_ARGS: dict[str, Any] = {
    "owner": "data-engineering",
    "retries": 3,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=15),
    "execution_timeout": timedelta(hours=3),
    "on_failure_callback": alert,
}
