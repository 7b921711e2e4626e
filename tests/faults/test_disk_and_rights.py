"""A full disk and missing rights: one clear error, the old state stays, and after the mending the same call makes the new one."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from dawnlist.errors import StorageError
from tests.faults import harness
from tests.faults.harness import NO_FAULT, NOBODY, Fault, Outcome, copied
from tests.faults.site import STEPS, Site

DISK = "16m"
KIB = 1 << 10
# Bytes that are left on the disk: nothing fits; a lock and a batch.json do; some of the data does.
LEFT = (0, 8 * KIB, 64 * KIB)
FOLDERS = {
    "ingest": ("lake/staged", "lake", "tmp"),
    "validate": ("lake/events", "lake", "lake/_catalogs", "lake/ledger/_manifests", "lake/gate_results", "lake/staged"),
    "publish": ("serving", "analytics", "runs"),
    "export": ("exports/cms",),
}
SHORT = {("ingest", 0), ("ingest", 64 * KIB), ("validate", 64 * KIB), ("publish", 8 * KIB), ("export", 0)}
SHORT |= {("ingest", "lake/staged"), ("validate", "lake/events"), ("publish", "serving"), ("export", "exports/cms")}


def trials(*pairs: tuple[str, object]) -> list[object]:
    return [pytest.param(*pair, marks=[] if pair in SHORT else [pytest.mark.long], id=f"{pair[0]}-{pair[1]}") for pair in pairs]


def finish(site: Site, stage: str, home: Path, outcome: Outcome) -> None:
    """Whatever stopped the stage is mended: what it left must be whole, and the same call must end well."""
    if outcome.error:
        assert outcome.error == StorageError.__name__, f"{outcome.error}: {outcome.message}"
        assert outcome.message.startswith("Cannot ")
        assert str(home) in outcome.message
    site.check(stage, home)
    harness.completed(site.stages[stage], home)
    site.check_done(stage, home)


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """`folder` is a file system of its own, of DISK bytes, where this process may mount one; else it is just a folder, and this is False."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]
    is_own = not os.getuid() and shutil.which("mount") is not None and subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield is_own
    finally:
        if is_own:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(file: Path, *, left: int) -> None:
    disk = os.statvfs(file.parent)
    with file.open("wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, disk.f_bavail * disk.f_frsize - left)


@pytest.mark.parametrize(("stage", "left"), trials(*((stage, left) for stage in STEPS for left in LEFT)))
def test_a_full_disk_changes_nothing(site: Site, stage: str, left: int, tmp_path: Path) -> None:
    filler = tmp_path / "disk" / "filler"
    with small_disk(filler.parent) as is_own, copied(site.before[stage], filler.parent / "home") as home:
        if is_own:
            fill(filler, left=left)
        outcome = harness.run(site.stages[stage], home, NO_FAULT if is_own else Fault(max_file_bytes=left))
        filler.unlink(missing_ok=True)
        assert outcome.error or left
        finish(site, stage, home, outcome)


@pytest.mark.parametrize(("stage", "limit"), trials(*((stage, limit) for stage in STEPS for limit in (1, 4 * KIB, 16 * KIB, 64 * KIB))))
def test_a_file_that_may_not_grow_changes_nothing(site: Site, stage: str, limit: int, tmp_path: Path) -> None:
    with copied(site.before[stage], tmp_path / "home") as home:
        finish(site, stage, home, harness.run(site.stages[stage], home, Fault(max_file_bytes=limit)))


@pytest.mark.parametrize(("stage", "folder"), trials(*((stage, folder) for stage, folders in FOLDERS.items() for folder in folders)))
def test_without_the_right_to_write_nothing_changes(site: Site, stage: str, folder: str) -> None:
    """Root may write anywhere, so where the tests run as root the home is given to another user, who runs the stage."""
    user = None if os.getuid() else NOBODY
    with tempfile.TemporaryDirectory(prefix="dawnlist-") as name, copied(site.before[stage], Path(name) / "home") as home:
        Path(name).chmod(0o755)  # pytest's own folders are closed to others
        shutil.copytree(site.landing, Path(name) / "landing")
        for path in (home, *home.rglob("*")):
            if user and not path.is_symlink():
                os.chown(path, user, user)
        closed = [path for path in (home / folder, *(home / folder).rglob("*")) if path.is_dir() and not path.is_symlink()]
        for path in closed:
            path.chmod(0o555)
        outcome = harness.run(replace(site.stages[stage], landing=Path(name) / "landing"), home, Fault(user=user))
        for path in closed:
            path.chmod(0o755)
        assert outcome.error
        finish(site, stage, home, outcome)
