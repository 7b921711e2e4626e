"""A Spark session of this process alone, quiet and in UTC, that ends with its block.

The JVM writes to a log file in the session's own folder below the scratch folder, never to the terminal. It reads a pipe from this
process: when this process dies, however it dies, the pipe closes and the JVM ends itself.
"""

import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from dawnlist.errors import LockedError, StorageError, SystemRequirementError
from dawnlist.locks import exclusive
from dawnlist.system import require_java

if TYPE_CHECKING:
    from pyspark import SparkConf
    from pyspark.sql import SparkSession

    from dawnlist.settings import Settings

PROJECT = Path(__file__).resolve().parent.parent
LOG4J = Path(__file__).with_name("log4j2.properties")
# The heavy work is in native kernels outside the JVM: optimising its own code and collecting in many threads cost more than they save.
# With the first compiler alone the room for compiled code is 48 MB: a warehouse of generated queries fills it, and the JVM ends.
JVM_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m -XX:+UseSerialGC -Duser.timezone=UTC"
LOG_TAIL_LINES = 5
FOLDER_PREFIX = "spark-"
LOCK = ".lock"
JVM_EXIT_SECONDS = 30
JVM_DEATH_SECONDS = 0.5
PY4J_MODULE = "java_gateway"


@contextmanager
def session(settings: "Settings") -> "Iterator[SparkSession]":
    """The Spark session of the settings. One that already runs in this process is handed out and left running; else it ends with the block.

    Raises SystemRequirementError when there is no Java 17 or newer, when the JVM does not start and when it ends before the block does, StorageError when the
    scratch folder cannot be written.
    """
    from pyspark.sql import SparkSession

    running = SparkSession.getActiveSession()
    if running is not None:
        yield running
        return
    require_java()
    with _scratch_folder(settings.scratch_dir) as folder, _python_of_workers(), _interruptible() as set_handler:
        spark = _start(_configuration(settings, folder), folder / "jvm.log")
        set_handler()
        try:
            yield spark
        except Exception as error:
            if (code := _exit_code(wait=JVM_DEATH_SECONDS)) is None:
                raise
            raise SystemRequirementError(
                f"Spark's JVM ended with {code} in the middle of the work, as it does for want of memory. It may take {settings.spark.driver_memory}: raise "
                "spark.driver_memory in the settings, or see that the machine has so much to give. Nothing of this run was published; run it again."
            ) from error
        finally:
            _stop(spark)


@contextmanager
def _scratch_folder(scratch: Path) -> Iterator[Path]:
    """A folder of this session below `scratch`, removed at the end; those of processes that were killed are removed first."""
    try:
        scratch.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(scratch)
        folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir=scratch))
    except OSError as error:
        raise StorageError(f"Cannot write the scratch folder {scratch}: {error.strerror}. Check its rights, or set DAWNLIST_HOME to another folder.") from error
    try:
        with exclusive(folder / LOCK):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned(scratch: Path) -> None:
    for lock in scratch.glob(f"{FOLDER_PREFIX}*/{LOCK}"):
        try:
            with exclusive(lock):
                shutil.rmtree(lock.parent, ignore_errors=True)
        except LockedError:
            continue  # its session is alive


@contextmanager
def _python_of_workers() -> Iterator[None]:
    """The workers run this Python: another one would miss our packages."""
    before = os.environ.get("PYSPARK_PYTHON")
    os.environ["PYSPARK_PYTHON"] = sys.executable
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYSPARK_PYTHON"]
        else:
            os.environ["PYSPARK_PYTHON"] = before


def _pass_on(before: object, number: int, frame: FrameType | None) -> None:
    """Tell whoever handled the signal before, and notes it for what comes after the block."""
    if callable(before):
        before(number, frame)


@contextmanager
def _interruptible() -> Iterator[Callable[[], None]]:
    """Ctrl-C leaves the block as KeyboardInterrupt at once, whatever the command that it cuts short answers, and py4j does not tell of it.

    Yields the function that puts the handler in place; call it again once Spark has started, which sets its own.
    """
    before = signal.getsignal(signal.SIGINT)
    interrupted = threading.Event()

    def handler(number: int, frame: FrameType | None) -> None:
        interrupted.set()
        py4j.setLevel(logging.CRITICAL)
        _pass_on(before, number, frame)
        raise KeyboardInterrupt

    def set_handler() -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)

    def is_wanted(record: logging.LogRecord) -> bool:
        return not (interrupted.is_set() and record.module == PY4J_MODULE)

    py4j, level = logging.getLogger("py4j"), logging.getLogger("py4j").level
    root = logging.getLogger()  # where py4j logs commands that failed
    root.addFilter(is_wanted)
    set_handler()
    try:
        yield set_handler
    except Exception:
        if interrupted.is_set():
            raise KeyboardInterrupt from None
        raise
    finally:
        root.removeFilter(is_wanted)
        py4j.setLevel(level)
        if before is not None and signal.getsignal(signal.SIGINT) is not before:
            signal.signal(signal.SIGINT, before)


def _configuration(settings: "Settings", folder: Path) -> "SparkConf":
    from pyspark import SparkConf

    options = {
        "spark.app.name": "dawnlist",
        "spark.master": settings.spark.master,
        "spark.driver.memory": settings.spark.driver_memory,
        "spark.driver.maxResultSize": "0",
        "spark.driver.extraJavaOptions": f'-Dlog4j2.configurationFile="{LOG4J.as_uri()}" -Djava.io.tmpdir="{folder}" {JVM_OPTIONS}',
        "spark.local.dir": str(folder),
        "spark.checkpoint.dir": str(folder / "checkpoints"),
        "spark.sql.warehouse.dir": (folder / "warehouse").as_uri(),
        "spark.sql.artifact.root.dir": str(folder / "artifacts"),
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": str(settings.spark.shuffle_partitions),
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    # Nobody looks at the page of a run that is over, whose record would keep every plan in memory.
    options |= {f"spark.{kept}": "1" for kept in ("ui.retainedJobs", "ui.retainedStages", "ui.retainedTasks", "sql.ui.retainedExecutions")}
    # One thread per task: Spark runs as many tasks as there are cores.
    options |= {f"spark.executorEnv.{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
    if settings.spark.master.startswith("local"):
        # No name look-up, so that it starts without a network; the workers find the jobs where this process has them.
        options |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1", "spark.executorEnv.PYTHONPATH": str(PROJECT)}
    return SparkConf().setAll(list(options.items()))


def _start(configuration: "SparkConf", log: Path) -> "SparkSession":
    from py4j.protocol import Py4JError
    from pyspark import SparkContext
    from pyspark.errors import PySparkException
    from pyspark.java_gateway import launch_gateway
    from pyspark.sql import SparkSession

    try:
        with log.open("wb") as output:
            gateway = launch_gateway(configuration, popen_kwargs={"stdout": output, "stderr": output})
        context = SparkContext(conf=configuration, gateway=gateway)
    except (PySparkException, Py4JError, OSError) as error:
        _end_jvm()
        said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-LOG_TAIL_LINES:]
        raise SystemRequirementError(f"Spark did not start: {' '.join(said) or error}. Check spark.master and spark.driver_memory in the settings.") from error
    return SparkSession(context)


def _stop(spark: "SparkSession") -> None:
    try:
        if _exit_code() is not None:
            spark.sparkContext._jsc = None  # nobody is there to be told
            spark.sparkContext.stop()
        else:
            spark.stop()
    finally:
        _end_jvm()


def _exit_code(wait: float = 0) -> int | None:
    """What the JVM has ended with, or ends with in so many seconds; None while it runs, and where there is none."""
    from pyspark import SparkContext

    gateway = SparkContext._gateway
    with suppress(subprocess.TimeoutExpired):
        return None if gateway is None else gateway.proc.wait(wait)  # its sockets close before it is gone
    return None


def _end_jvm() -> None:
    """End the JVM too: it would keep its memory until this process ends."""
    from pyspark import SparkContext

    gateway, SparkContext._gateway, SparkContext._jvm = SparkContext._gateway, None, None
    if gateway is None:
        return
    gateway.shutdown()
    process: subprocess.Popen[bytes] = gateway.proc
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(JVM_EXIT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
