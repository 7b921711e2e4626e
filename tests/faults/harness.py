"""Faults on purpose: run a piece of work in a process of its own, and kill it, stop its writes or take its rights away.

The processes come from the standard library's fork server, which has all imports loaded: a trial costs little more than the work.
"""

import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import duckdb

from dawnlist.errors import DawnlistError

NOBODY = 65534
SECONDS_LIMIT = 120
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["pytest", "great_expectations", "tests.faults.site"])

# Audit events (https://docs.python.org/3.11/library/audit_events.html) that change the file system; `open` counts when it is for writing.
CHANGES = {
    "open": "open",
    "os.rename": "rename",
    "os.remove": "remove",
    "os.mkdir": "mkdir",
    "os.rmdir": "rmdir",
    "os.symlink": "symlink",
    "os.link": "link",
    "os.truncate": "truncate",
}

Work = Callable[[Path], object]
Check = Callable[[Path], None]


@dataclass(frozen=True)
class Fault:
    """What happens to the process. Nothing by default.

    operation: SIGKILL before its n-th change of the file system, 1 = the first; seconds: SIGKILL so long after its begin; max_file_bytes: no
    file may grow beyond that (EFBIG); user: it runs as this user.
    """

    operation: int | None = None
    seconds: float | None = None
    max_file_bytes: int | None = None
    user: int | None = None


NO_FAULT = Fault()


@dataclass(frozen=True)
class Outcome:
    """How the process ended: killed, with an error (its class and its text), or well. `operations`: its changes of the file system, in order."""

    was_killed: bool = False
    error: str = ""
    message: str = ""
    operations: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass
class Tally:
    """Kills that hit, by the operation that was about to happen or `any moment`, and what the checks found afterwards."""

    kills: dict[str, int] = field(default_factory=dict)
    found: list[str] = field(default_factory=list)

    @property
    def n_kills(self) -> int:
        return sum(self.kills.values())

    def count(self, moment: str) -> None:
        self.kills[moment] = self.kills.get(moment, 0) + 1


def run(work: Work, home: Path, fault: Fault = NO_FAULT) -> Outcome:
    """Do `work` on `home` in a process of its own. `work` must be picklable; its errors are told, not raised."""
    receiver, sender = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=_child, args=(work, home, fault, sender))
    process.start()
    sender.close()
    try:
        assert receiver.recv() == "begun"
        if fault.seconds is not None and not receiver.poll(fault.seconds):
            process.kill()
        if not receiver.poll(SECONDS_LIMIT):
            process.kill()
            raise TimeoutError(f"{work} did not end within {SECONDS_LIMIT} s")
        outcome: Outcome = receiver.recv()
    except EOFError:
        outcome = Outcome(was_killed=True)
    finally:
        process.join()
        receiver.close()
    if outcome.was_killed:
        assert process.exitcode == -signal.SIGKILL, f"{work} died of {process.exitcode}"
    return outcome


def completed(work: Work, home: Path) -> Outcome:
    """Like `run` without a fault, and the work must end well."""
    outcome = run(work, home)
    assert not outcome.error, f"{work}: {outcome.error}: {outcome.message}"
    return outcome


def kills(undisturbed: Outcome, *, n_operations: int, n_moments: int, seed: int) -> Iterator[Fault]:
    """Kills before `n_operations` different operations of the work, in order, and at `n_moments` moments of it."""
    chance = random.Random(seed)
    total = len(undisturbed.operations)
    for operation in sorted(chance.sample(range(1, total + 1), min(n_operations, total))):
        yield Fault(operation=operation)
    for _ in range(n_moments):
        yield Fault(seconds=chance.uniform(0, undisturbed.seconds))


def kill(work: Work, template: Path, folder: Path, *, n_operations: int, n_moments: int, seed: int, after_kill: Check, after_rerun: Check) -> Tally:
    """Again and again: copy the home `template`, do `work` on the copy, be killed, check, do it once more, check. `folder` is for the copies."""
    with copied(template, folder / "undisturbed") as home:
        undisturbed = completed(work, home)
    tally = Tally()
    for fault in kills(undisturbed, n_operations=n_operations, n_moments=n_moments, seed=seed):
        with copied(template, folder / "home") as home:
            if run(work, home, fault).was_killed:
                tally.count("any moment" if fault.operation is None else undisturbed.operations[fault.operation - 1])
            try:
                after_kill(home)
                completed(work, home)
                after_rerun(home)
            except (AssertionError, DawnlistError, OSError, duckdb.Error) as error:
                tally.found.append(f"{fault}: {type(error).__name__}: {error}")
    return tally


@contextmanager
def copied(template: Path, target: Path) -> Iterator[Path]:
    """A copy of the folder `template`, removed at the end."""
    shutil.copytree(template, target, symlinks=True)
    try:
        yield target
    finally:
        shutil.rmtree(target)


def _child(work: Work, home: Path, fault: Fault, report: Connection) -> None:
    sys.dont_write_bytecode = True
    operations: list[str] = []
    _count_changes(operations, fault.operation)
    if fault.user is not None:
        os.setgroups([])
        os.setgid(fault.user)
        os.setuid(fault.user)
    report.send("begun")
    if fault.max_file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (fault.max_file_bytes, fault.max_file_bytes))
    error, message, began = "", "", time.monotonic()
    try:
        work(home)
    except Exception as failure:  # noqa: BLE001  # any error is an outcome
        error, message = type(failure).__name__, str(failure)
    report.send(Outcome(False, error, message, tuple(operations), time.monotonic() - began))


def _count_changes(operations: list[str], deadly: int | None) -> None:
    def happens(kind: str) -> None:
        operations.append(kind)
        if len(operations) == deadly:
            os.kill(os.getpid(), signal.SIGKILL)

    def listen(event: str, arguments: tuple[object, ...]) -> None:
        if event in CHANGES and (event != "open" or (isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR))):
            happens(CHANGES[event])

    def fsync(descriptor: int, flush: Callable[[int], None] = os.fsync) -> None:  # no audit event tells of it
        happens("fsync")
        flush(descriptor)

    os.fsync = fsync
    sys.addaudithook(listen)
