"""A real Airflow on SQLite: 24 hours of a tiny shop set off exactly one night, and no process is left."""

import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import psutil
import pytest

from dawnlist import airflow_stack, simulate
from dawnlist.airflow_stack import MARK, Stack
from dawnlist.lake import Lake
from dawnlist.settings import Settings, load
from dawnlist.stages import execute
from dawnlist.stages.base import Interval

DAY = simulate.DEFAULT_END_DATE
WAIT_SECONDS = 240


@dataclass
class Story:
    """What was seen while Airflow ran, and after."""

    settings: Settings
    port_wanted: int
    url: str = ""
    nights_after_23_hours: list[Any] = field(default_factory=list)
    nights: list[Any] = field(default_factory=list)
    opened: dict[str, Any] = field(default_factory=dict)
    hours: list[Any] = field(default_factory=list)
    events: list[Any] = field(default_factory=list)
    left_over: list[str] = field(default_factory=list)


def wait_for(airflow: Stack, what: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        airflow.check()
        found = what()
        if found:
            return found
        time.sleep(0.5)
    pytest.fail(f"Airflow did not get there in {WAIT_SECONDS} seconds: {airflow_stack.tail(airflow.home / 'logs' / 'scheduler.log')}")


def runs(airflow: Stack, dag: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = airflow.get(f"/api/v2/dags/{dag}/dagRuns?limit=100")["dag_runs"]
    return found


def ended(airflow: Stack) -> list[dict[str, Any]]:
    """The hours of the day that have ended; Airflow may begin one of today beside them."""
    return [run for run in runs(airflow, "ingest") if str(DAY) in run["partition_key"] and run["state"] in ("success", "failed")]


def first_task(airflow: Stack, night: dict[str, Any]) -> dict[str, Any] | None:
    tasks = airflow.get(f"/api/v2/dags/nightly/dagRuns/{night['dag_run_id']}/taskInstances")["task_instances"]
    (task,) = (task for task in tasks if task["task_id"] == "open")
    return task if task["state"] in ("success", "failed") else None


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    home: Path = tmp_path_factory.mktemp("airflow-home")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        settings = load(home=home)
        settings = settings.with_(airflow=settings.airflow.model_copy(update={"port": port}))
        simulate.run(users=80, items=30, days=2, seed=1, out=settings.landing_dir("store"))
        for stage in ("ingest", "validate"):
            execute(settings, stage, Interval.until(DAY - timedelta(days=1)), run_id="history")
        told = Story(settings, port)
        with airflow_stack.running(settings, components=airflow_stack.CORE) as airflow:
            tell(airflow, told)
        told.left_over = [process.name() for process in airflow_stack._family(str(home / "airflow"))]
        yield told


def tell(airflow: Stack, told: Story) -> None:
    told.url = airflow.url
    airflow.post("/api/v2/backfills", {"dag_id": "ingest", "from_date": f"{DAY}T00:00:00Z", "to_date": f"{DAY}T22:00:00Z", "max_active_runs": 24})
    wait_for(airflow, lambda: len(ended(airflow)) == 23)
    time.sleep(3)  # several turns of the scheduler: enough for a night that should not be
    told.nights_after_23_hours = runs(airflow, "nightly")
    airflow.post("/api/v2/dags/ingest/dagRuns", {"logical_date": None, "partition_key": f"{DAY}T23:00:00"})
    (night,) = wait_for(airflow, lambda: runs(airflow, "nightly"))
    told.opened = wait_for(airflow, lambda: first_task(airflow, night))
    told.nights, told.hours = runs(airflow, "nightly"), ended(airflow)
    told.events = [event for event in airflow.get("/api/v2/assets/events?limit=100")["asset_events"] if str(DAY) in (event["partition_key"] or "")]


def test_every_hour_was_loaded(story: Story) -> None:
    assert sorted(run["partition_key"] for run in story.hours) == [f"{DAY}T{hour:02}:00:00" for hour in range(24)]
    assert {run["state"] for run in story.hours} == {"success"}
    days = {file.partition for file in Lake(story.settings.lake_dir).snapshot().data_files("events")}
    assert str(DAY) in days


def test_the_night_waits_for_the_last_hour_and_then_comes_once(story: Story) -> None:
    assert story.nights_after_23_hours == []
    assert [(run["partition_key"], run["run_type"], run["logical_date"]) for run in story.nights] == [(str(DAY), "asset_triggered", None)]


def test_the_night_opened_its_own_day(story: Story) -> None:
    assert story.opened["state"] == "success"
    assert (story.settings.night_dir(DAY) / "night.json").exists()


def test_each_hour_left_one_event_with_its_rows(story: Story) -> None:
    rows = {event["partition_key"]: event["extra"]["rows"] for event in story.events if event["name"] == "lake_events"}
    assert len(rows) == 24
    kept = [result["rows_out"] for result in results(story.settings)]
    assert sorted(rows.values()) == sorted(kept)
    assert sum(kept) > 0


def results(settings: Settings) -> list[dict[str, Any]]:
    import json

    return [json.loads(path.read_text()) for path in settings.runs_dir.glob(f"{DAY}T*/validate.json")]


def test_a_taken_port_is_passed_over(story: Story) -> None:
    assert int(story.url.rpartition(":")[2]) > story.port_wanted


def test_no_process_is_left(story: Story) -> None:
    assert story.left_over == []
    home = str(story.settings.home)
    assert [process.info["cmdline"] for process in psutil.process_iter(["cmdline"]) if home in " ".join(process.info["cmdline"] or [])] == []


def test_secrets_are_their_owners_alone(story: Story) -> None:
    folder = story.settings.home / "airflow"
    assert {path.stat().st_mode & 0o777 for path in (folder / "secrets.json", folder / "environment.sh")} == {0o600}
    assert MARK not in (folder / "environment.sh").read_text()  # or the stack would end its user's shell


def test_nothing_that_airflow_wrote_holds_a_raw_id_or_an_address(story: Story) -> None:
    landing, folder = story.settings.landing_dir("store"), story.settings.home / "airflow"
    people = duckdb.sql(f"SELECT DISTINCT unnest([customer_id, email, name]) FROM read_json('{landing}/customers/*.jsonl.gz')").fetchall()
    devices = duckdb.sql(
        f"SELECT DISTINCT \"anonymousId\"::VARCHAR FROM read_json('{landing}/events/*/*/*.gz', format = 'newline_delimited', ignore_errors = true)"
    ).fetchall()
    known = [row[0].encode() for row in people + devices if row[0]]
    assert len(known) > 80
    written = [path for path in folder.rglob("*") if path.is_file()]
    assert sum(path.suffix == ".log" for path in written) > 24
    content = b"\n".join(path.read_bytes() for path in written)
    assert [value for value in known if value in content] == []
