"""What a new user gets wrong: each mistake gets one clear sentence, its own exit code, and leaves what was published as it was."""

import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

PUBLISHED = "what the website reads"
WITHOUT_PRIVILEGE = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
EVENT = {
    "messageId": "m",
    "type": "track",
    "event": "Product Viewed",
    "userId": "anna@example.com",
    "timestamp": "2026-02-28T10:00:00Z",
    "properties": {"product_id": "p1"},
}

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home in which something is published."""
    folder = tmp_path / "home"
    (folder / "serving").mkdir(parents=True)
    (folder / "serving" / "lists.duckdb").write_text(PUBLISHED)
    (folder / "landing" / "store" / "events").mkdir(parents=True)
    return folder


@pytest.fixture
def dawnlist(home: Path) -> Run:
    def call(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        variables = {name: value for name, value in os.environ.items() if not name.startswith("DAWNLIST_")} | {"DAWNLIST_HOME": str(home)} | environment
        return subprocess.run([sys.executable, "-m", "dawnlist.cli", *arguments], capture_output=True, text=True, timeout=120, env=variables, check=False)

    return call


def land(home: Path, hour: str, *lines: object, cut: int | None = None) -> Path:
    day, clock = hour.split("T")
    path = home / "landing" / "store" / "events" / f"date={day}" / f"hour={clock}" / "events-0001.jsonl.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines).encode())[:cut])
    return path


def assert_refused(result: subprocess.CompletedProcess[str], home: Path, *, code: int, sentence: str) -> None:
    assert result.returncode == code, result.stderr
    assert sentence in " ".join(result.stderr.split())
    assert result.stderr.startswith("Error: ")
    assert "Traceback" not in result.stderr
    assert (home / "serving" / "lists.duckdb").read_text() == PUBLISHED


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "sentence"),
    [
        (["run", "--source", "shop", "--run-date", "2026-02-28"], {}, 4, "There is no source 'shop'"),
        (
            ["run", "--source", "store", "--landing", "/nowhere/at/all", "--run-date", "2026-02-28"],
            {},
            5,
            "The landing folder /nowhere/at/all of source store does not exist.",
        ),
        (["run", "--source", "store", "--run-date", "2026-02-28"], {}, 5, "No file of source store has landed"),
        (["run", "--source", "store", "--run-date", "yesterday"], {}, 2, "'yesterday' does not match the format"),
        (["run", "--source", "store"], {}, 3, "Say which day to run with --run-date"),
        (["ingest", "--source", "store"], {}, 3, "exactly one of --hour"),
        (["run", "--sauce", "store"], {}, 2, "No such option"),
        (["transform", "--run-date", "2026-02-28"], {}, 13, "The night of 2026-02-28 has not been opened"),
        (["summary"], {"DAWNLIST_SPRK__MASTER": "local[1]"}, 3, "DAWNLIST_SPRK__MASTER is no setting. Did you mean DAWNLIST_SPARK__MASTER"),
        (["summary"], {"DAWNLIST_SEED": "many"}, 3, "Setting seed: Input should be a valid integer"),
        (["summary"], {"DAWNLIST_CONFIG": "/nowhere.toml"}, 3, "Cannot read the settings file /nowhere.toml"),
        (["simulate", "--out", "out", "--users", "0"], {}, 18, "users"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_mistake_in_the_call(dawnlist: Run, home: Path, arguments: list[str], environment: dict[str, str], code: int, sentence: str) -> None:
    assert_refused(dawnlist(*arguments, **environment), home, code=code, sentence=sentence)


def test_a_truncated_file(dawnlist: Run, home: Path) -> None:
    path = land(
        home, "2026-02-28T10", *[EVENT | {"messageId": f"{number}-{hashlib.sha256(str(number).encode()).hexdigest()}"} for number in range(500)], cut=2000
    )
    assert_refused(dawnlist("run", "--source", "store", "--run-date", "2026-02-28"), home, code=6, sentence=f"{path} cannot be read: it is truncated")


def test_a_renamed_column(dawnlist: Run, home: Path, tmp_path: Path) -> None:
    (tmp_path / "land").mkdir()
    (tmp_path / "land" / "2011-01-10.csv").write_text("x")
    with gzip.open(tmp_path / "land" / "2011-01-10.csv.gz", "wt") as stream:
        stream.write("InvoiceNo,Code,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n1,22,X,1,2011-01-10 09:00:00,1.0,5.0,France\n")
    result = dawnlist("run", "--source", "online_retail", "--landing", str(tmp_path / "land"), "--run-date", "2011-01-10")
    assert_refused(result, home, code=7, sentence="2011-01-10.csv.gz has no column 'StockCode'; it has InvoiceNo, Code")


def test_lines_that_nobody_can_read(dawnlist: Run, home: Path) -> None:
    """One bad line of many goes to quarantine; when most are bad, the batch is kept out."""
    land(home, "2026-02-28T10", EVENT, json.dumps(EVENT)[:60], EVENT | {"messageId": "n", "timestamp": "32 February"})
    result = dawnlist("run", "--source", "store", "--run-date", "2026-02-28")
    assert_refused(result, home, code=8, sentence="66.7% of the 3 records of batch store-until-2026-02-28")
    assert "anna" not in result.stderr + result.stdout
    assert not (home / "lake" / "catalog.json").exists()


def test_a_second_run_at_the_same_time(dawnlist: Run, home: Path) -> None:
    hold = "import sys; from pathlib import Path; from dawnlist.locks import exclusive\nwith exclusive(Path(sys.argv[1])):\n    print('held', flush=True); sys.stdin.read()"
    lock = home / "locks" / "night.lock"
    land(home, "2026-02-28T10", EVENT)
    with subprocess.Popen([sys.executable, "-c", hold, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert_refused(
            dawnlist("run", "--source", "store", "--run-date", "2026-02-28"), home, code=9, sentence=f"Another run holds {lock} (process {holder.pid})"
        )
        holder.kill()


def test_ctrl_c_stops_at_once_and_says_what_stands(home: Path) -> None:
    """The run is interrupted while it waits in its first stage; nothing of it stays behind."""
    first = land(home, "2026-02-28T00", *[EVENT | {"messageId": str(number)} for number in range(5_000)])
    for hour in range(1, 24):
        land(home, f"2026-02-28T{hour:02}").write_bytes(first.read_bytes())
    command = [sys.executable, "-m", "dawnlist.cli", "run", "--source", "store", "--run-date", "2026-02-28"]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("DAWNLIST_")} | {"DAWNLIST_HOME": str(home)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=variables) as process:
        assert process.stdout is not None
        while "ingest" not in process.stdout.readline():
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Stopped. What was published is unchanged" in errors
    assert "Traceback" not in errors
    assert (home / "serving" / "lists.duckdb").read_text() == PUBLISHED


def test_a_home_that_cannot_be_written(home: Path) -> None:
    """Root may write anywhere, so where the tests run as root the command is started without that privilege."""
    land(home, "2026-02-28T10", EVENT)
    variables = {name: value for name, value in os.environ.items() if not name.startswith("DAWNLIST_")} | {"DAWNLIST_HOME": str(home)}
    command = [sys.executable, "-m", "dawnlist.cli", "run", "--source", "store", "--run-date", "2026-02-28"]
    home.chmod(0o555)
    try:
        result = subprocess.run(
            [*(WITHOUT_PRIVILEGE if os.getuid() == 0 else []), *command], capture_output=True, text=True, timeout=60, env=variables, check=False
        )
    finally:
        home.chmod(0o755)
    assert_refused(result, home, code=11, sentence="set DAWNLIST_HOME to another")


def test_no_java(dawnlist: Run, home: Path, tmp_path: Path) -> None:
    land(home, "2026-02-28T10", EVENT)
    result = dawnlist("run", "--source", "store", "--run-date", "2026-02-28", PATH=str(tmp_path), JAVA_HOME="")
    assert_refused(result, home, code=10, sentence="Java")


def test_a_source_that_the_home_does_not_serve(dawnlist: Run, home: Path, tmp_path: Path) -> None:
    land(home, "2026-02-28T10", EVENT)
    assert dawnlist("ingest", "--source", "store", "--until", "2026-02-28").returncode == 0
    assert dawnlist("validate", "--source", "store", "--until", "2026-02-28").returncode == 0
    (tmp_path / "land").mkdir()
    with gzip.open(tmp_path / "land" / "users_interactions.csv.gz", "wt") as stream:
        stream.write("timestamp,eventType,contentId,personId,sessionId,userAgent,userRegion,userCountry\n1465413032,VIEW,1,2,3,,,\n")
    result = dawnlist("run", "--source", "deskdrop", "--landing", str(tmp_path / "land"))
    assert_refused(result, home, code=3, sentence="holds store, which is not among site.sources = deskdrop")
