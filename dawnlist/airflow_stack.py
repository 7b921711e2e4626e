"""Airflow's whole stack on this machine: SQLite in <home>/airflow, reachable from 127.0.0.1 only, and no process left at the end.

Nothing here imports Airflow: its components are child processes. Every one inherits a mark, the folder of its Airflow, by which
whatever is left over is found and stopped, even after its parent has died; what a killed start left is stopped by the next one.
"""

import json
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

from pydantic import BaseModel, SecretStr

from dawnlist.errors import OrchestrationError
from dawnlist.files import write_text
from dawnlist.locks import exclusive
from dawnlist.settings import DELIMITER, PREFIX, PROJECT, Settings

HOST = "127.0.0.1"
MARK = "AIRFLOW_STACK"
CORE = ("api-server", "scheduler", "dag-processor")
ALL = (*CORE, "triggerer")
START_SECONDS = 120
STOP_SECONDS = 20
REQUEST_SECONDS = 30
# A forked task shares what its scheduler has imported: without this, every hourly task pays for the import of its libraries again.
PRELOAD = ("dawnlist.orchestration", "dawnlist.stages.ingest", "dawnlist.stages.validate", "duckdb", "great_expectations")


@dataclass
class Stack:
    """A running Airflow. `get`, `post` and `patch` speak to its REST API and return the decoded answer."""

    url: str
    home: Path
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    token: str = ""

    def get(self, path: str) -> Any:
        return self._request("GET", path)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        return self._request("POST", path, body)

    def patch(self, path: str, body: dict[str, Any]) -> Any:
        return self._request("PATCH", path, body)

    def check(self) -> None:
        """Raises OrchestrationError, with the end of its log, when a component has ended."""
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise OrchestrationError(
                    f"Airflow's {name} has ended with code {process.returncode}. The end of its log:\n{tail(self.home / 'logs' / f'{name}.log')}"
                )

    def error_of(self, task: dict[str, Any]) -> str:
        """What a task run, as the REST API describes it, died of: the last exception of its log, in one paragraph."""
        run = self.home / "logs" / f"dag_id={task['dag_id']}" / f"run_id={task['dag_run_id']}"
        log = run / f"task_id={task['task_id']}" / f"attempt={task['try_number']}.log"
        lines = [json.loads(line) for line in tail(log, 1000).splitlines() if line.startswith("{")]
        errors = [error for line in lines for error in line.get("error_detail") or ()]
        message = f"{errors[-1]['exc_value']}" if errors else "The task ended without a message."
        return f"{message} (log: {log})"

    def _request(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        if not self.token and not path.startswith("/auth"):
            self.token = self._request("GET", "/auth/token")["access_token"]
        headers = {"Content-Type": "application/json", "Accept": "application/json"} | ({"Authorization": f"Bearer {self.token}"} if self.token else {})
        request = Request(self.url + path, None if body is None else json.dumps(body).encode(), headers, method=method)
        try:
            with build_opener(ProxyHandler({})).open(request, timeout=REQUEST_SECONDS) as answer:
                return json.loads(answer.read() or b"null")
        except HTTPError as error:
            raise OrchestrationError(f"Airflow refused {method} {path}: {error.code} {error.read().decode(errors='replace')[:500]}") from error


@contextmanager
def running(settings: Settings, *, fresh: bool = False, components: Sequence[str] = ALL) -> Iterator[Stack]:
    """Airflow, healthy and with all DAGs read, for as long as the context lasts; afterwards none of its processes is left.

    `fresh` starts with an empty Airflow database: no run of earlier times. Raises LockedError when this home's Airflow runs already, and
    OrchestrationError when it does not become healthy.
    """
    home = settings.home / "airflow"
    with exclusive(home / ".lock"), ExitStack() as stack:
        _stop(str(home))
        stack.callback(_stop, str(home))
        if fresh:
            _forget(home)
        port = free_port(settings.airflow.port)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", PREFIX))}
        ours = environment(settings, port)
        write_text(home / "environment.sh", "".join(f"export {name}={shlex.quote(value)}\n" for name, value in ours.items()), mode=0o600)
        # setproctitle would write over what /proc tells of a process's environment, and so over the mark.
        variables = inherited | ours | {MARK: str(home), "SPT_NOENV": "1", "PYTHONUNBUFFERED": "1"}
        airflow = Stack(f"http://{HOST}:{port}", home)
        (home / "logs").mkdir(parents=True, exist_ok=True)
        _migrate(home, variables)
        for name in components:
            airflow.processes[name] = _start(name, home, variables)
        _wait_until_healthy(airflow, components)
        yield airflow


def serve(settings: Settings) -> None:
    """Run Airflow until it is interrupted."""
    try:
        print("Starting Airflow …", flush=True)
        with running(settings) as airflow:
            print(f"Airflow is at {airflow.url} (for this machine alone; no password). Ctrl-C stops it.", flush=True)
            print(f"For its command line, in another terminal: source {shlex.quote(str(airflow.home / 'environment.sh'))}", flush=True)
            while True:
                airflow.check()
                time.sleep(1)
    except KeyboardInterrupt:
        print("Airflow has stopped.", flush=True)


def environment(settings: Settings, port: int) -> dict[str, str]:
    """The variables that make a process part of this home's Airflow: its configuration, and the settings."""
    home, url = settings.home / "airflow", f"http://{HOST}:{port}"
    keys = _keys(home / "secrets.json")
    configuration = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": str(max(2, min(4, os.cpu_count() or 2))),
        "AIRFLOW__CORE__MP_START_METHOD": "fork",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__FERNET_KEY": keys["fernet_key"],
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__SECRET_KEY": keys["secret_key"],
        "AIRFLOW__API_AUTH__JWT_SECRET": keys["jwt_secret"],
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",  # a task's end can go unnoticed for this many seconds
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "300",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "60",
    }
    quiet = {"GX_ANALYTICS_ENABLED": "False", "DO_NOT_TRACK": "1", "NO_PROXY": f"{HOST},localhost", "no_proxy": f"{HOST},localhost"}
    paths = [str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return configuration | quiet | settings_environment(settings) | {"PYTHONPATH": os.pathsep.join(paths)}


def settings_environment(settings: BaseModel, prefix: str = PREFIX) -> dict[str, str]:
    """The variables that make `dawnlist.settings.load` in another process return equal settings; defaults are left out."""
    variables: dict[str, str] = {}
    for name, info in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            variables |= settings_environment(value, f"{prefix}{name.upper()}{DELIMITER}")
        elif value is not None and value != info.get_default():
            plain = value.get_secret_value() if isinstance(value, SecretStr) else value
            variables[f"{prefix}{name.upper()}"] = json.dumps(plain) if isinstance(plain, list | tuple | dict) else str(plain)
    return variables


def free_port(first: int) -> int:
    """`first`, or the next port above it that nobody listens on."""
    for port in range(first, min(first + 100, 65536)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise OrchestrationError(f"No port from {first} on is free. Set airflow.port to another one.")


def tail(path: Path, lines: int = 20) -> str:
    """The last lines of a log; empty where there is none."""
    return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]) if path.exists() else ""


def _keys(path: Path) -> dict[str, str]:
    """The keys of this home's Airflow, made at the first start, readable by their owner only."""
    if not path.exists():
        keys = {"secret_key": secrets.token_hex(32), "jwt_secret": secrets.token_hex(32), "fernet_key": urlsafe_b64encode(secrets.token_bytes(32)).decode()}
        write_text(path, json.dumps(keys), mode=0o600)
    found: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _forget(home: Path) -> None:
    for path in home.glob("airflow.db*"):
        path.unlink()
    shutil.rmtree(home / "logs", ignore_errors=True)


def _migrate(home: Path, variables: dict[str, str]) -> None:
    log = home / "logs" / "migrate.log"
    with log.open("wb") as stream:
        done = subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], env=variables, cwd=home, stdout=stream, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise OrchestrationError(f"Airflow could not set up its database in {home}. The end of its log:\n{tail(log)}")


def _start(name: str, home: Path, variables: dict[str, str]) -> "subprocess.Popen[bytes]":
    """Start one component in a session of its own, so that Ctrl-C reaches this process alone and it ends them in order."""
    options = ["--skip-serve-logs"] if name in ("scheduler", "triggerer") else []
    command = [sys.executable, "-m", "airflow", name, *options]
    if name == "scheduler":
        command = [sys.executable, "-c", f"import {', '.join(PRELOAD)}, runpy; runpy.run_module('airflow', run_name='__main__')", name, *options]
    with (home / "logs" / f"{name}.log").open("wb") as stream:
        return subprocess.Popen(command, env=variables, cwd=home, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True)


def _wait_until_healthy(airflow: Stack, components: Sequence[str]) -> None:
    wanted = {"metadatabase", *(name.replace("-", "_") for name in components if name != "api-server")}
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        airflow.check()
        try:
            health = airflow.get("/api/v2/monitor/health")
            if all((health.get(name) or {}).get("status") == "healthy" for name in wanted) and _has_read_dags(airflow):
                return
        except (URLError, OrchestrationError, OSError):
            pass  # the API server is not up yet
        time.sleep(0.3)
    raise OrchestrationError(f"Airflow was not healthy after {START_SECONDS} seconds. Look at the logs in {airflow.home / 'logs'}.")


def _has_read_dags(airflow: Stack) -> bool:
    wanted = {path.stem for path in (PROJECT / "dags").glob("*.py")}
    return wanted <= {dag["dag_id"] for dag in airflow.get("/api/v2/dags")["dags"]}


def _stop(mark: str, seconds: float = STOP_SECONDS) -> None:
    """End every process that carries `mark`: first asked, then, after `seconds`, killed. A second Ctrl-C does not stop the stopping."""
    import psutil

    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        for process in (family := _family(mark)):
            _signal(process, signal.SIGTERM)
        psutil.wait_procs(family, timeout=seconds)
        while family := _family(mark):
            for process in family:
                _signal(process, signal.SIGKILL)
            psutil.wait_procs(family, timeout=1)
    finally:
        signal.signal(signal.SIGINT, previous)


def _family(mark: str) -> list[Any]:
    import psutil

    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue  # ended meanwhile, or another user's
    return found


def _signal(process: Any, number: int) -> None:
    import psutil

    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)
