"""Run a command and sample the memory of all its processes together."""

import contextlib
import ctypes
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import psutil

SAMPLE_SECONDS = 0.2
REST = 20  # a sample walks the page tables of every process, and stops what it measures meanwhile: it rests so many times as long as it took
MIB = 1 << 20
_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)


class CommandFailedError(Exception):
    """The measured command ended with an exit code other than 0."""


@dataclass
class Measurement:
    """What one command took. `samples` holds (seconds since the epoch, bytes of all processes together), in order of time."""

    started_at: float
    seconds: float = 0.0
    samples: list[tuple[float, int]] = field(default_factory=list)

    @property
    def peak_mib(self) -> int:
        """The largest sample, in MiB, rounded; 0 without samples."""
        return self.peak_mib_between(0.0, float("inf"))

    def peak_mib_between(self, start: float, end: float) -> int:
        """The largest sample between two moments (seconds since the epoch), widened by SAMPLE_SECONDS on both sides, in MiB; 0 where none fell between them."""
        inside = [size for moment, size in self.samples if start - SAMPLE_SECONDS <= moment <= end + SAMPLE_SECONDS]
        return round(max(inside, default=0) / MIB)


class _Sampler:
    """Samples the memory of this process's descendants in a thread, from `with` to its end."""

    def __init__(self, measurement: Measurement) -> None:
        self._measurement = measurement
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        this = psutil.Process()
        while not self._stop.is_set():
            started = time.monotonic()
            self._measurement.samples.append((time.time(), sum(memory_of(process) for process in this.children(recursive=True))))
            self._stop.wait(max(SAMPLE_SECONDS, REST * (time.monotonic() - started)))


def memory_of(process: psutil.Process) -> int:
    """Bytes of memory of one process: proportional set size, which counts a shared page once, or the resident size where there is none."""
    try:
        rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii")
        found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
        return int(found.group(1)) * 1024 if found else 0
    except OSError:
        with contextlib.suppress(psutil.Error):
            return int(process.memory_info().rss)
    return 0


def measure(command: Sequence[str], *, environment: Mapping[str, str] | None = None) -> Measurement:
    """Run `command`, with `environment` added to this process's own, and measure it and everything that it starts.

    Raises CommandFailedError when it does not end with 0. Its output goes where this process's output goes.
    """
    measurement = Measurement(started_at=time.time())
    start = time.monotonic()
    with _adopted_orphans(), _Sampler(measurement):
        done = subprocess.run(command, env={**os.environ, **(environment or {})}, check=False)
    measurement.seconds = time.monotonic() - start
    if done.returncode:
        raise CommandFailedError(f"{' '.join(command)} ended with exit code {done.returncode}: see above.")
    return measurement


@contextlib.contextmanager
def _adopted_orphans() -> Iterator[None]:
    """Be the parent of descendants whose own parent has ended (Airflow's daemons): they are still counted."""
    if sys.platform != "linux":
        yield
        return
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


@contextlib.contextmanager
def timed(owner: Any, name: str) -> Iterator[list[float]]:
    """The seconds of each call of the function `name` of `owner`."""
    seconds: list[float] = []
    work = getattr(owner, name)

    def noted(*arguments: Any, **options: Any) -> Any:
        started = time.perf_counter()
        try:
            return work(*arguments, **options)
        finally:
            seconds.append(time.perf_counter() - started)

    setattr(owner, name, noted)
    try:
        yield seconds
    finally:
        setattr(owner, name, work)
