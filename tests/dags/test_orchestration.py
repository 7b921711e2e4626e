"""How a stage behaves as a task: partitions, failures, asset events, alerts. Airflow's context is a plain dictionary here."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dawnlist import orchestration
from dawnlist.errors import DawnlistError, GateError, LockedError, SettingsError
from dawnlist.orchestration import LAKE_EVENTS, PUBLISHED, SERVING, interval_of, stage_task
from dawnlist.settings import Settings, load
from dawnlist.stages.base import Interval, StageResult

DAY = date(2026, 11, 20)


class Events(dict[Any, Any]):
    """What the context gives for outlet events: made on first touch."""

    def __missing__(self, asset: Any) -> Any:
        self[asset] = SimpleNamespace(extra={}, keys=[])
        self[asset].add_partitions = self[asset].keys.extend
        return self[asset]


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    dag_run = SimpleNamespace(
        partition_key="2026-11-20", run_id="asset_triggered__2026-11-21T01:00:00+00:00_x", run_after=datetime(2026, 11, 21, 6, tzinfo=UTC), conf=None
    )
    made = {"dag_run": dag_run, "outlet_events": Events(), "ti": SimpleNamespace(dag_id="nightly", task_id="open")}
    monkeypatch.setattr(orchestration, "get_current_context", lambda: made)
    return made


def call(stage: str, *, outlets: Any = ()) -> Any:
    from airflow.sdk import DAG

    with DAG("d", schedule=None):
        return stage_task(stage, outlets=outlets).operator.python_callable()


def stub(monkeypatch: pytest.MonkeyPatch, outcome: StageResult | Exception) -> list[tuple[Any, ...]]:
    calls: list[tuple[Any, ...]] = []

    def execute(_settings: Settings, stage: str, interval: Interval, *, run_id: str, wait_seconds: float, **options: Any) -> StageResult:
        calls.append((stage, interval, run_id, wait_seconds, *options.items()))
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(orchestration, "execute", execute)
    return calls


def finish_hours(settings: Settings, hours: range) -> None:
    for hour in hours:
        StageResult("validate", f"2026-11-20T{hour:02}").save(settings)


def test_a_key_with_a_time_is_an_hour_and_one_without_a_day() -> None:
    assert interval_of("2026-11-20T05:00:00") == Interval(datetime(2026, 11, 20, 5), datetime(2026, 11, 20, 6))
    assert interval_of("2026-11-20") == Interval(datetime(2026, 11, 20), datetime(2026, 11, 21))


@pytest.mark.parametrize("key", [None, "", "yesterday", "2026-11-31", "2026-11-20T25:00:00"])
def test_a_run_without_a_usable_key_says_what_to_do(key: str | None) -> None:
    with pytest.raises(SettingsError, match="Trigger the run with one"):
        interval_of(key)


def test_a_stage_gets_its_partition_and_a_run_id_that_can_name_a_file(context: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    calls = stub(monkeypatch, StageResult("open", "2026-11-20", rows_in=3, rows_out=2, counts={"n": 1}))
    assert call("open") == {"interval": "2026-11-20", "rows_in": 3, "rows_out": 2, "seconds": 0.0, "counts": {"n": 1}}
    assert calls == [("open", Interval.day(DAY), "asset_triggered__2026-11-21T01-00-00-00-00_x", orchestration.LOCK_WAIT_SECONDS)]


def test_a_run_whose_conf_asks_for_it_opens_a_night_that_trains(context: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    calls = stub(monkeypatch, StageResult("open", "2026-11-20"))
    context["dag_run"].conf = {"train": True}
    call("open")
    call("transform")
    assert [(stage, options) for stage, _, _, _, *options in calls] == [("open", [("train", True)]), ("transform", [])]


def test_a_failed_gate_is_not_retried(context: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    stub(monkeypatch, GateError("too few events"))
    with pytest.raises(AirflowFailException, match="GateError: too few events"):
        call("open")


@pytest.mark.parametrize("error", [LockedError("held"), RuntimeError("a bug")])
def test_what_may_pass_is_raised_as_it_is_so_that_airflow_retries_it(context: dict[str, Any], monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    stub(monkeypatch, error)
    with pytest.raises(type(error)) as raised:
        call("open")
    assert raised.value is error


def test_each_published_table_gets_one_event_with_its_rows(context: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {"recommendations": 40, "similar_items": 30, "popular_items": 20, "user_segments": 15, "user_aliases": 10}
    stub(monkeypatch, StageResult("publish", "2026-11-20", rows_out=100, counts=counts))
    call("publish", outlets=[*SERVING.values(), PUBLISHED])
    rows = {asset.name: event.extra["rows"] for asset, event in context["outlet_events"].items()}
    assert rows == {"serving.recommendations": 40, "serving.similar_items": 30, "serving.popular_items": 20, "serving.user_segments": 15, "published": 100}
    assert {event.extra["run_id"] for event in context["outlet_events"].values()} == {context["dag_run"].run_id}


def test_a_suppression_that_changed_nothing_is_skipped_and_tells_nobody(context: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    stub(monkeypatch, StageResult("suppress", "2026-11-20"))
    with pytest.raises(AirflowSkipException):
        call("suppress", outlets=[PUBLISHED])
    assert dict(context["outlet_events"]) == {}
    stub(monkeypatch, StageResult("suppress", "2026-11-20", rows_out=7))
    call("suppress", outlets=[PUBLISHED])
    assert context["outlet_events"][PUBLISHED].extra["rows"] == 7


def test_an_hour_that_had_nothing_to_refresh_is_skipped_and_says_why(context: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    stub(monkeypatch, StageResult("refresh", "2026-11-20T05", notes=["the published night of 2026-11-20 knows this hour"]))
    with pytest.raises(AirflowSkipException, match="knows this hour"):
        call("refresh")


def test_an_hour_that_has_not_landed_gives_its_slot_back(context: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk.exceptions import AirflowRescheduleException

    calls = stub(monkeypatch, StageResult("ingest", "x"))
    monkeypatch.setattr("dawnlist.stages.ingest.hour_state", lambda *_: "waiting")
    context["dag_run"].partition_key = "2026-11-20T05:00:00"
    before = datetime.now(UTC)
    with pytest.raises(AirflowRescheduleException) as raised:
        call("ingest")
    assert orchestration.POLL <= raised.value.reschedule_date - before < 2 * orchestration.POLL
    assert calls == []


@pytest.mark.parametrize(("state", "warnings"), [("in", 0), ("empty", 1)])
def test_an_hour_that_is_in_or_empty_is_ingested(
    context: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, state: str, warnings: int
) -> None:
    calls = stub(monkeypatch, StageResult("ingest", "x"))
    monkeypatch.setattr("dawnlist.stages.ingest.hour_state", lambda *_: state)
    context["dag_run"].partition_key = "2026-11-20T05:00:00"
    call("ingest")
    assert [stage for stage, *_ in calls] == ["ingest"]
    assert sum("is empty" in record.message for record in caplog.records) == warnings


def test_the_watchdog_is_silent_when_the_night_has_started(context: dict[str, Any]) -> None:
    folder = load().night_dir(DAY)
    folder.mkdir(parents=True)
    (folder / "night.json").write_text("{}")
    orchestration.check_night.function()


def test_the_watchdog_names_the_hours_that_are_missing(context: dict[str, Any]) -> None:
    finish_hours(load(), range(22))
    with pytest.raises(Exception, match=r"The night of 2026-11-20 has not started: 2 of its hours are missing: 2026-11-20T22:00:00, 2026-11-20T23:00:00\.$"):
        orchestration.check_night.function()


def test_the_watchdog_tells_a_night_that_does_not_start_from_one_that_cannot(context: dict[str, Any]) -> None:
    finish_hours(load(), range(24))
    with pytest.raises(Exception, match="although all its hours are in"):
        orchestration.check_night.function()


def test_incomplete_nights_wait_unless_the_settings_say_so(context: dict[str, Any]) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    with pytest.raises(AirflowSkipException, match="is off"):
        orchestration.start_incomplete_night.function()
    assert context["outlet_events"] == {}


def test_an_incomplete_night_is_started_by_declaring_all_its_hours(context: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAWNLIST_AIRFLOW__START_INCOMPLETE_NIGHTS", "true")
    finish_hours(load(), range(3))
    orchestration.start_incomplete_night.function()
    assert context["outlet_events"][LAKE_EVENTS].keys == [f"2026-11-20T{hour:02}:00:00" for hour in range(24)]


def test_a_complete_night_is_left_to_start_by_itself(context: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    monkeypatch.setenv("DAWNLIST_AIRFLOW__START_INCOMPLETE_NIGHTS", "true")
    finish_hours(load(), range(24))
    with pytest.raises(AirflowSkipException, match="Nothing to start"):
        orchestration.start_incomplete_night.function()


@pytest.fixture
def pager() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that keeps what is POSTed to it."""
    received: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", received
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_failure_is_posted_to_the_alert_url(context: dict[str, Any], monkeypatch: pytest.MonkeyPatch, pager: tuple[str, list[dict[str, Any]]]) -> None:
    url, received = pager
    monkeypatch.setenv("DAWNLIST_AIRFLOW__ALERT_URL", url)
    orchestration.alert(context | {"exception": GateError("too few events")})
    (message,) = received
    assert (message["dag"], message["task"], message["partition"], message["error"]) == ("nightly", "open", "2026-11-20", "too few events")
    assert message["text"] == "nightly.open failed for 2026-11-20: too few events"


def test_an_alert_that_cannot_be_delivered_is_logged_without_its_url(
    context: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DAWNLIST_AIRFLOW__ALERT_URL", "http://127.0.0.1:9/secret-token")
    orchestration.alert(context | {"exception": GateError("too few events")})
    assert "could not be delivered" in caplog.text
    assert "too few events" in caplog.text
    assert "secret-token" not in caplog.text


def test_every_error_class_says_whether_it_can_pass() -> None:
    retryable = {error.__name__ for error in DawnlistError.__subclasses__() if error.is_retryable}
    assert retryable == {"DeliveryError", "LandingStoreError", "LockedError", "ServingError", "StorageError"}


def test_the_project_is_where_the_dags_are() -> None:
    assert (Path(orchestration.__file__).parents[1] / "dags").is_dir()
