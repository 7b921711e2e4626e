"""The parts of the Airflow stack that need no Airflow; tests/integration/test_airflow.py has the whole."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from dawnlist import airflow_stack
from dawnlist.airflow_stack import MARK, Stack
from dawnlist.errors import LockedError, OrchestrationError
from dawnlist.locks import exclusive
from dawnlist.settings import load


def test_another_process_loads_equal_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DAWNLIST_PRIVACY__KEY", "0123456789abcdef")
    monkeypatch.setenv("DAWNLIST_SITE__SOURCES", '["globo_news", "store"]')
    monkeypatch.setenv("DAWNLIST_AIRFLOW__START_INCOMPLETE_NIGHTS", "true")
    settings = load(home=tmp_path / "a b", seed=5)
    variables = airflow_stack.settings_environment(settings)
    for name in ("DAWNLIST_PRIVACY__KEY", "DAWNLIST_SITE__SOURCES", "DAWNLIST_AIRFLOW__START_INCOMPLETE_NIGHTS", "DAWNLIST_HOME"):
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert load() == settings
    assert "DAWNLIST_SPARK__MASTER" not in variables  # defaults stand in one place


def test_a_port_that_is_taken_is_passed_over_and_every_address_follows() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        found = airflow_stack.free_port(port)
    assert found > port
    variables = airflow_stack.environment(load(), found)
    assert variables["AIRFLOW__API__PORT"] == str(found)
    assert variables["AIRFLOW__API__BASE_URL"] == f"http://127.0.0.1:{found}"
    assert variables["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == f"http://127.0.0.1:{found}/execution/"


def test_no_free_port_is_said() -> None:
    with pytest.raises(OrchestrationError, match="Set airflow.port"):
        airflow_stack.free_port(65536)


def test_the_keys_are_made_once_and_are_their_owners_alone() -> None:
    settings = load()
    first, second = (airflow_stack.environment(settings, 8080) for _ in range(2))
    names = ("AIRFLOW__API__SECRET_KEY", "AIRFLOW__API_AUTH__JWT_SECRET", "AIRFLOW__CORE__FERNET_KEY")
    assert [first[name] for name in names] == [second[name] for name in names]
    assert len({first[name] for name in names}) == 3
    assert (settings.home / "airflow" / "secrets.json").stat().st_mode & 0o777 == 0o600


def test_airflow_listens_to_this_machine_alone_and_calls_nobody() -> None:
    variables = airflow_stack.environment(load(), 8080)
    assert variables["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert variables["GX_ANALYTICS_ENABLED"] == "False"
    assert "127.0.0.1" in variables["NO_PROXY"]


def test_every_option_that_is_set_is_one_of_airflows() -> None:
    from airflow.configuration import conf

    for name in airflow_stack.environment(load(), 8080):
        if name.startswith("AIRFLOW__"):
            _, section, option = name.lower().split("__", 2)
            assert option in conf.configuration_description[section]["options"], name


def test_two_stacks_of_one_home_are_refused() -> None:
    settings = load()
    with exclusive(settings.home / "airflow" / ".lock"), pytest.raises(LockedError), airflow_stack.running(settings):
        pass


def test_every_process_with_the_mark_is_stopped_whoever_its_parent_is() -> None:
    """A grandchild whose parent has gone, and one that does not listen to SIGTERM, are found; a process without the mark lives on."""
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
    mark = f"test-{os.getpid()}-{time.monotonic_ns()}"
    marked = os.environ | {MARK: mark}
    shell = subprocess.run(["sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!"], env=marked, capture_output=True, text=True, check=True)
    orphan = psutil.Process(int(shell.stdout))
    deaf = subprocess.Popen([sys.executable, "-c", stubborn], env=marked, stdout=subprocess.PIPE, start_new_session=True)
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        assert deaf.stdout is not None
        deaf.stdout.readline()
        airflow_stack._stop(mark, seconds=0.2)
        assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE
        assert not psutil.pid_exists(deaf.pid)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()
        deaf.stdout.close()  # type: ignore[union-attr]


def test_a_component_that_has_ended_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "scheduler.log").write_text("first\ndatabase is gone\n")
    ended = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    ended.wait()
    with pytest.raises(OrchestrationError, match=r"scheduler has ended with code 3[\s\S]*database is gone"):
        Stack("http://127.0.0.1:1", tmp_path, {"scheduler": ended}).check()


def test_the_error_of_a_task_is_the_last_exception_of_its_log(tmp_path: Path) -> None:
    folder = tmp_path / "logs" / "dag_id=nightly" / "run_id=r" / "task_id=open"
    folder.mkdir(parents=True)
    lines = [
        {"event": "starting"},
        {
            "event": "failed",
            "error_detail": [{"exc_type": "GateError", "exc_value": "cause"}, {"exc_type": "AirflowFailException", "exc_value": "GateError: too few"}],
        },
    ]
    (folder / "attempt=2.log").write_text("\n".join(map(json.dumps, lines)))
    task = {"dag_id": "nightly", "dag_run_id": "r", "task_id": "open", "try_number": 2}
    assert Stack("", tmp_path).error_of(task).startswith("GateError: too few (log: ")
    assert "without a message" in Stack("", tmp_path).error_of(task | {"try_number": 1})
