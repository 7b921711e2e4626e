"""The DAGs as Airflow reads them, and as the person on call finds them."""

import ast
import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dawnlist.errors import GateError, LockedError

PROJECT = Path(__file__).parents[2]
DAGS = PROJECT / "dags"
DAG_IDS = {"export", "ingest", "nightly", "refresh", "watchdog"}
IMPORT_SECONDS = 1.0


@pytest.fixture(scope="module")
def dagbag() -> Any:
    from airflow.dag_processing.dagbag import DagBag

    assert any(DAGS.glob("*.py"))
    return DagBag(DAGS)


@pytest.fixture(scope="module")
def dags(dagbag: Any) -> dict[str, Any]:
    return dict(dagbag.dags)


def test_the_dags_are_these_and_import_without_error(dagbag: Any) -> None:
    assert dagbag.import_errors == {}
    assert set(dagbag.dags) == DAG_IDS


def test_each_file_has_the_dag_of_its_name(dags: dict[str, Any]) -> None:
    assert {Path(dag.fileloc).stem: dag.dag_id for dag in dags.values()} == {name: name for name in DAG_IDS}
    assert {path.stem for path in DAGS.glob("*.py")} == DAG_IDS


def test_the_order_of_the_tasks(dags: dict[str, Any]) -> None:
    edges = {(dag.dag_id, task.task_id, below) for dag in dags.values() for task in dag.tasks for below in task.downstream_task_ids}
    assert edges == {
        ("ingest", "ingest", "validate"),
        ("export", "export", "report"),
        ("nightly", "open", "transform"),
        ("nightly", "transform", "segment"),
        ("nightly", "segment", "train"),
        ("nightly", "train", "recommend"),
        ("nightly", "recommend", "publish"),
        *(("nightly", stage, "suppress") for stage in ("open", "transform", "segment", "train", "recommend")),
        ("refresh", "refresh", "export"),
        ("watchdog", "start_incomplete_night", "check_night"),
    }


def test_every_task_has_an_owner_and_an_alert(dags: dict[str, Any]) -> None:
    for dag in dags.values():
        assert "dawnlist" in dag.tags
        for task in dag.tasks:
            assert task.owner == "data-engineering"
            assert [callback.__name__ for callback in task.on_failure_callback] == ["alert"]


def test_every_stage_is_retried_with_a_growing_pause(dags: dict[str, Any]) -> None:
    for name in DAG_IDS - {"watchdog"}:
        for task in dags[name].tasks:
            assert (task.retries, task.retry_delay, task.retry_exponential_backoff) == (3, timedelta(seconds=30), 2.0)
            assert task.max_retry_delay == timedelta(minutes=15)
    assert dags["watchdog"].get_task("check_night").retries == 0  # an alert that comes late is none


def test_the_docs_tell_the_person_on_call_what_to_do(dags: dict[str, Any]) -> None:
    for dag in dags.values():
        assert f"### {dag.dag_id}: " in dag.doc_md
        assert "**When it fails**" in dag.doc_md
        assert len(dag.doc_md.splitlines()) > 6


def test_assets_join_the_dags(dags: dict[str, Any]) -> None:
    outlets = {(dag.dag_id, task.task_id): {asset.name for asset in task.outlets} for dag in dags.values() for task in dag.tasks if task.outlets}
    assert outlets == {
        ("ingest", "validate"): {"lake_events"},
        ("nightly", "publish"): {"serving.recommendations", "serving.similar_items", "serving.popular_items", "serving.user_segments", "published"},
        ("nightly", "suppress"): {"serving.recommendations", "serving.similar_items", "serving.popular_items", "serving.user_segments", "published"},
        ("watchdog", "start_incomplete_night"): {"lake_events"},
    }
    assert {name: dags[name].timetable.asset_condition.name for name in ("nightly", "export")} == {"nightly": "lake_events", "export": "published"}


@pytest.mark.parametrize("is_hourly", [False, True])
def test_hours_are_refreshed_where_the_settings_say_so(monkeypatch: pytest.MonkeyPatch, is_hourly: bool) -> None:
    """Where they do not, no run is made: a site without it has 24 runs a day less."""
    from airflow.dag_processing.dagbag import DagBag

    monkeypatch.setenv("DAWNLIST_REFRESH__HOURLY", str(is_hourly))
    waits_for = DagBag(DAGS / "refresh.py").dags["refresh"].timetable.asset_condition
    assert getattr(waits_for, "name", None) == ("lake_events" if is_hourly else None)


def test_a_night_that_fails_ends_with_a_suppression_and_is_failed_all_the_same(dags: dict[str, Any]) -> None:
    night = dags["nightly"]
    assert {task.task_id: task.trigger_rule.value for task in night.tasks if task.trigger_rule.value != "all_success"} == {"suppress": "one_failed"}
    assert {task.task_id for task in night.leaves} == {"publish", "suppress"}  # a run is failed when one of them is: publish, as upstream_failed


def test_a_night_waits_for_the_24_hours_of_its_day() -> None:
    """The keys as Airflow's scheduler works them out, not as our own code does."""
    from airflow.partition_mappers.base import RollupMapper
    from airflow.partition_mappers.temporal import StartOfDayMapper
    from airflow.partition_mappers.window import DayWindow

    from dawnlist.orchestration import hour_keys, interval_of

    mapper = RollupMapper(upstream_mapper=StartOfDayMapper(), window=DayWindow())
    wanted = mapper.to_upstream("2026-11-20")
    assert len(wanted) == 24
    assert sorted(wanted) == hour_keys(interval_of("2026-11-20").run_date)


def test_the_hour_that_ends_when_a_run_starts_is_its_partition(dags: dict[str, Any]) -> None:
    import pendulum
    from airflow.serialization.serialized_objects import DagSerialization

    timetable = DagSerialization.from_dict(DagSerialization.to_dict(dags["ingest"])).timetable
    _, key = timetable._get_partition_info(pendulum.datetime(2026, 11, 20, 6))
    assert key == "2026-11-20T05:00:00"


READING = """
import json, runpy, sys, time
import airflow.sdk, airflow.dag_processing.dagbag
seconds = {}
for path in sys.argv[1:]:
    started = time.process_time()
    runpy.run_path(path)
    seconds[path] = time.process_time() - started
heavy = {"duckdb", "pyspark", "great_expectations", "dbt", "lightgbm", "pandas", "pyarrow"} & set(sys.modules)
print(json.dumps([seconds, sorted(heavy)]))
"""


def test_reading_the_dags_is_fast_and_loads_no_heavy_library() -> None:
    """In a process of its own: the first file also pays for what all of them import."""
    files = sorted(str(path) for path in DAGS.glob("*.py"))
    done = subprocess.run([sys.executable, "-c", READING, *files], capture_output=True, text=True, check=True, cwd=PROJECT)
    seconds, heavy = json.loads(done.stdout.splitlines()[-1])
    assert {path: took for path, took in seconds.items() if took >= IMPORT_SECONDS} == {}
    assert len(seconds) == len(DAG_IDS)
    assert heavy == []


@pytest.mark.parametrize("path", sorted(DAGS.glob("*.py")), ids=lambda path: path.stem)
def test_a_dag_file_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 80


@pytest.mark.parametrize("path", sorted(DAGS.glob("*.py")), ids=lambda path: path.stem)
def test_a_dag_file_imports_only_airflow_and_our_orchestration(path: Path) -> None:
    modules = {node.module for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.ImportFrom)}
    plain = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Import)]
    assert plain == []
    assert modules <= {"airflow.sdk", "dawnlist.orchestration", "dawnlist.settings"}


def test_the_scheduler_knows_what_can_pass() -> None:
    assert LockedError.is_retryable
    assert not GateError.is_retryable
