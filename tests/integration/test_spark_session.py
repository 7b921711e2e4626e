"""What a session leaves behind when its process is ended from outside: nothing that runs."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

PROJECT = Path(__file__).resolve().parents[2]
SECONDS = 30
CHILD = """
import signal, sys, time
from pathlib import Path
from dawnlist.settings import Settings, Spark
from spark_jobs.session import session

signal.signal(signal.SIGINT, signal.default_int_handler)
with session(Settings(home=Path(sys.argv[1]), spark=Spark(master="local[1]", driver_memory="512m"))) as spark:
    print("up", flush=True)
    spark.range(1).mapInPandas(lambda batches: (time.sleep(600), batches)[1], "id bigint").collect()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_no_process_outlives_the_one_that_was_stopped(tmp_path: Path, number: signal.Signals) -> None:
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "up\n"
    time.sleep(1)  # into the job
    family = psutil.Process(child.pid).children(recursive=True)
    assert any("java" in process.name() for process in family)
    child.send_signal(number)
    _, errors = child.communicate(timeout=SECONDS)
    _, alive = psutil.wait_procs(family, timeout=SECONDS)
    assert alive == []
    if number is signal.SIGINT:
        assert errors.rstrip().endswith("KeyboardInterrupt")
        assert "while sending command" not in errors
        assert "Py4J" not in errors
        assert list((tmp_path / "tmp").iterdir()) == []


LOST = """
import sys
from pathlib import Path
import psutil
from dawnlist.errors import SystemRequirementError
from dawnlist.settings import Settings, Spark
from spark_jobs.session import session

try:
    with session(Settings(home=Path(sys.argv[1]), spark=Spark(master="local[1]", driver_memory="512m"))) as spark:
        [java] = [process for process in psutil.Process().children() if "java" in process.name()]
        java.kill()
        spark.range(1).count()
except SystemRequirementError as error:
    print(error)
with session(Settings(home=Path(sys.argv[1]), spark=Spark(master="local[1]", driver_memory="512m"))) as spark:
    print(spark.range(7).count(), "rows in the next one")
"""


def test_a_jvm_that_ends_in_the_middle_is_told_as_what_it_is(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", LOST, str(tmp_path)], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "JVM ended with -9 in the middle of the work" in done.stdout
    assert "It may take 512m: raise spark.driver_memory" in done.stdout
    assert "7 rows in the next one" in done.stdout
    assert list((tmp_path / "tmp").iterdir()) == []
