"""Locks between processes."""

import subprocess
import sys
from pathlib import Path

import pytest

from dawnlist.errors import LockedError
from dawnlist.locks import exclusive

HOLD = "import sys, time; from pathlib import Path; from dawnlist.locks import exclusive\nwith exclusive(Path(sys.argv[1])):\n    print('held', flush=True); time.sleep(60)"


def test_a_second_process_is_refused_until_the_first_dies(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(lock)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LockedError, match=f"process {holder.pid}"), exclusive(lock):
            pass
        holder.kill()
        holder.wait()
        with exclusive(lock, wait_seconds=5):
            pass


def test_a_lock_can_be_taken_again_after_it_was_left(tmp_path: Path) -> None:
    for _ in range(2):
        with exclusive(tmp_path / "a.lock"):
            pass
