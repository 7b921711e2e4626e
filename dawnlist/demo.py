"""The demonstration: a shop that does not exist, three weeks of its events, and its last night run by Airflow."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from dawnlist import airflow_stack
from dawnlist.airflow_stack import Stack
from dawnlist.errors import DawnlistError, OrchestrationError
from dawnlist.settings import Settings
from dawnlist.stages import LOADING, NIGHT, REPORT, execute
from dawnlist.stages.base import HOUR, Interval

SOURCE = "store"
HOURS = 24
POLL_SECONDS = 1.0
IDLE_SECONDS = 120  # without a running task
STATES = ("running", "success", "failed", "upstream_failed", "up_for_retry")


def run(settings: Settings, *, users: int = 2000, items: int = 500, days: int = 21, seed: int = 7, console: Console | None = None) -> int:
    """Simulate, load the history, run the last day hour by hour and its night in Airflow, and print the summary. Returns 0.

    A second run in the same home finds nothing new to load, runs the night again and publishes the same lists. Raises
    OrchestrationError, which names the stage, when one fails.
    """
    from dawnlist import simulate, summary

    console = console or Console(highlight=False)
    started = time.monotonic()
    settings = settings.with_(landing=None, site=settings.site.model_copy(update={"sources": (SOURCE,)}))
    run_date = simulate.DEFAULT_END_DATE
    with _step(console, f"simulate {users:,} visitors, {items:,} items, {days} days"):
        simulate.run(users=users, items=items, days=days, seed=seed, out=settings.landing_dir(SOURCE))
    for stage in LOADING:
        with _step(console, f"{stage}, the history in one batch"):
            _load_history(settings, stage, run_date - timedelta(days=1))
    _run_in_airflow(settings, run_date, console)
    console.print(f"[bold]Done in {time.monotonic() - started:.0f} s.[/]")
    summary.show(settings, run_date, console)
    return 0


@contextmanager
def _step(console: Console, what: str) -> Iterator[None]:
    started = time.monotonic()
    with console.status(f"{what} …"):
        if not console.is_terminal:
            console.print(f"{what} …")
        yield
    _print_done(console, what, time.monotonic() - started)


def _print_done(console: Console, what: str, seconds: float) -> None:
    console.print(f"[green]done[/] {what}: {seconds:.1f} s")


def _load_history(settings: Settings, stage: str, until: date) -> None:
    interval = Interval.until(until)
    try:
        execute(settings, stage, interval, run_id=f"demo-{interval.key}")
    except DawnlistError as error:
        raise OrchestrationError(f"The stage {stage} failed while the history was loaded. {error}") from error


def _run_in_airflow(settings: Settings, run_date: date, console: Console) -> None:
    started = time.monotonic()
    with console.status("starting Airflow …") as status, airflow_stack.running(settings, fresh=True, components=airflow_stack.CORE) as airflow:
        status.stop()
        _print_done(console, f"start Airflow at {airflow.url}", time.monotonic() - started)
        day = Interval.day(run_date)
        airflow.post("/api/v2/backfills", {"dag_id": "ingest", "from_date": f"{day.start}Z", "to_date": f"{day.end - HOUR}Z", "max_active_runs": HOURS})
        _follow(airflow, console)


def _follow(airflow: Stack, console: Console) -> None:
    """Show the tasks as they end, until the report has. Raises OrchestrationError when one fails, or when nothing happens for too long."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("ingest, hour by hour", total=HOURS * len(LOADING) + len((*NIGHT, REPORT)))
        seen: dict[str, str] = {}
        changed = time.monotonic()
        while (REPORT, "success") not in {(task.split()[0], state) for task, state in seen.items()}:
            time.sleep(POLL_SECONDS)
            airflow.check()
            for task in _tasks(airflow):
                key = f"{task['task_id']} {task['dag_run_id']}"
                if seen.get(key) != task["state"]:
                    seen[key], changed = task["state"], time.monotonic()
                    _report(airflow, console, task, seen)
            progress.update(bar, completed=list(seen.values()).count("success"), description=_running(seen))
            if "running" in seen.values():
                changed = time.monotonic()
            elif time.monotonic() - changed > IDLE_SECONDS:
                raise OrchestrationError(f"Nothing has happened in Airflow for {IDLE_SECONDS} seconds. Its logs are in {airflow.home / 'logs'}.")


def _tasks(airflow: Stack) -> list[dict[str, Any]]:
    """The task runs of the demonstration, in the order in which they ended."""
    wanted = "&".join(f"state={state}" for state in STATES)
    tasks = airflow.get(f"/api/v2/dags/~/dagRuns/~/taskInstances?limit=100&order_by=start_date&{wanted}")["task_instances"]
    ours = [task for task in tasks if not task["dag_run_id"].startswith("scheduled")]  # an hour of today may begin meanwhile
    return sorted(ours, key=lambda task: task["end_date"] or "~")


def _running(seen: dict[str, str]) -> str:
    names = sorted({task.split()[0] for task, state in seen.items() if state == "running"})
    return ", ".join(names) or "waiting for the scheduler"


def _report(airflow: Stack, console: Console, task: dict[str, Any], seen: dict[str, str]) -> None:
    stage, state = task["task_id"], task["state"]
    if state in ("failed", "up_for_retry"):  # nobody waits for the retries of a demonstration
        raise OrchestrationError(f"The stage {stage} failed in Airflow. {airflow.error_of(task)}")
    if state != "success":
        return
    if stage not in LOADING:
        _print_done(console, stage, task["duration"])
    elif (n := sum(key.startswith(f"{stage} ") and value == "success" for key, value in seen.items())) in (1, HOURS // 2, HOURS):
        _print_done(console, f"{stage}, {n} of {HOURS} hours", task["duration"])
