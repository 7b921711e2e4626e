"""Exclusive locks between processes. The operating system frees a lock when its process dies, however it dies."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dawnlist.errors import LockedError, StorageError
from dawnlist.files import make_folder

POLL_SECONDS = 0.1


@contextmanager
def exclusive(path: Path, *, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold the lock file `path`; wait for at most `wait_seconds` seconds.

    Raises LockedError, naming the holder's process id, when another process holds it for longer.
    """
    try:
        make_folder(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StorageError(f"Cannot write the lock {path}: {error.strerror}. Check the rights of the folder, or set DAWNLIST_HOME to another one.") from error
    try:
        _acquire(descriptor, path, time.monotonic() + wait_seconds)
        _sign(descriptor)
        yield
    finally:
        os.close(descriptor)


def _sign(descriptor: int) -> None:
    """Say who holds the lock. It is held without that, too: on a full disk the holder stays unnamed."""
    with suppress(OSError):
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)


def _acquire(descriptor: int, path: Path, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                holder = os.pread(descriptor, 32, 0).decode(errors="replace") or "unknown"
                raise LockedError(f"Another run holds {path} (process {holder}). Wait for it to end, or stop it, and run this again.") from None
            time.sleep(POLL_SECONDS)
        else:
            return
