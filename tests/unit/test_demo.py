"""What the demonstration shows while Airflow works, on an Airflow that is played from a script."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from dawnlist import demo
from dawnlist.airflow_stack import Stack
from dawnlist.errors import GateError, OrchestrationError
from dawnlist.settings import load
from dawnlist.stages import NIGHT, REPORT


class Played(Stack):
    """Gives the next scene each time it is asked for the tasks, and the last one for ever."""

    def __init__(self, scenes: list[list[dict[str, Any]]]) -> None:
        super().__init__("http://played", Path("played"))
        self.scenes = scenes

    def get(self, path: str) -> Any:
        return {"task_instances": self.scenes.pop(0) if len(self.scenes) > 1 else self.scenes[0]}

    def error_of(self, task: dict[str, Any]) -> str:
        return f"GateError: {task['task_id']} is wrong"


def task(stage: str, state: str, run: str = "asset_triggered__1", end: str | None = "2026-03-02T00:00:00Z") -> dict[str, Any]:
    return {"task_id": stage, "dag_run_id": run, "state": state, "duration": 1.5, "end_date": end}


def hours(stage: str, n: int) -> list[dict[str, Any]]:
    return [task(stage, "success", f"backfill__{hour:02}", f"2026-03-01T{hour:02}:00:00Z") for hour in range(n)]


@pytest.fixture
def console() -> Console:
    return Console(record=True, width=200, highlight=False)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "POLL_SECONDS", 0)


def test_each_stage_is_shown_once_with_its_seconds(console: Console) -> None:
    whole = hours("ingest", 24) + hours("validate", 24) + [task(stage, "success") for stage in (*NIGHT, REPORT)]
    demo._follow(Played([hours("ingest", 3), hours("ingest", 24) + hours("validate", 24), whole]), console)
    lines = [line for line in console.export_text().splitlines() if line.startswith("done")]
    loading = [f"done {stage}, {n} of 24 hours: 1.5 s" for stage in ("ingest", "validate") for n in (1, 12, 24)]
    assert sorted(lines) == sorted(loading + [f"done {stage}: 1.5 s" for stage in (*NIGHT, REPORT)])


@pytest.mark.parametrize("state", ["failed", "up_for_retry"])
def test_a_failed_task_ends_the_demonstration_and_names_the_stage(console: Console, state: str) -> None:
    with pytest.raises(OrchestrationError, match="The stage train failed in Airflow. GateError: train is wrong"):
        demo._follow(Played([[task("open", "success"), task("train", state)]]), console)


def test_hours_of_today_are_no_part_of_it(console: Console) -> None:
    demo._follow(Played([[task("ingest", "failed", "scheduled__2026-11-21"), task("report", "success")]]), console)


def test_silence_is_an_error(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "IDLE_SECONDS", 0.01)
    with pytest.raises(OrchestrationError, match="Nothing has happened in Airflow"):
        demo._follow(Played([[]]), console)


def test_a_history_that_cannot_be_loaded_names_the_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    def execute(*_: Any, **__: Any) -> None:
        raise GateError("too many bad rows")

    monkeypatch.setattr(demo, "execute", execute)
    with pytest.raises(OrchestrationError, match="The stage validate failed while the history was loaded. too many bad rows"):
        demo._load_history(load(), "validate", date(2026, 2, 28))
