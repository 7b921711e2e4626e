"""The folder of bundles: their names, the pointer to the newest, and what is kept."""

import re
import shutil
from collections.abc import Collection
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from dawnlist.errors import MissingInputError
from dawnlist.files import remove_folder, sync
from dawnlist.locks import exclusive

POINTER: Final = "latest"
LOCK_SECONDS: Final = 60
_BUNDLE: Final = re.compile(r"(\d{6,})(-from-\d{6,})?")


def lock(root: Path) -> AbstractContextManager[None]:
    """The lock that everything holds that changes the folder of bundles."""
    return exclusive(root / ".export.lock", wait_seconds=LOCK_SECONDS)


def latest(root: Path) -> Path:
    """The folder of the newest full bundle. Raises MissingInputError when there is none."""
    pointer = root / POINTER
    if not pointer.is_symlink():
        raise MissingInputError(f"There is no bundle in {root} yet: run `dawnlist export` first.")
    return pointer.resolve()


def newest(root: Path) -> int | None:
    """The sequence of the bundle that `latest` leads to."""
    return int(latest(root).name) if (root / POINTER).is_symlink() else None


def full(root: Path, sequence: int) -> Path:
    """The folder of the full bundle `sequence`."""
    return root / f"{sequence:06d}"


def delta(root: Path, sequence: int, base: int) -> Path:
    """The folder of the delta that makes bundle `sequence` of bundle `base`."""
    return root / f"{sequence:06d}-from-{base:06d}"


def hashes(root: Path, sequence: int) -> Path:
    """The file with the hashes of the documents of bundle `sequence`."""
    return root / "hashes" / f"{sequence:06d}.parquet"


def sequences(root: Path) -> list[int]:
    """The sequences of the full bundles, in order."""
    return sorted(int(path.name) for path in root.glob("*") if path.is_dir() and path.name.isdecimal() and _BUNDLE.fullmatch(path.name))


def clear_leftovers(root: Path) -> None:
    """Remove what a kill left unfinished."""
    for leftover in (*root.glob(".[0-9]*"), *root.glob(".partial-*"), *(root / "hashes").glob(".*")):
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()


def point_at(root: Path, sequence: int) -> None:
    """Let `latest` lead to the full bundle `sequence`, in one step."""
    aside = root / ".latest.aside"
    aside.unlink(missing_ok=True)
    aside.symlink_to(full(root, sequence).name, target_is_directory=True)
    aside.replace(root / POINTER)
    sync(root)


def forget_old(root: Path, *, keep: int, acknowledged: Collection[int]) -> None:
    """Remove all but the `keep` newest bundles and their deltas.

    Hashes stay from the oldest bundle on that a consumer stands at: whatever it acknowledges next, a delta can be made from there.
    """
    kept = sequences(root)[-keep:]
    for folder in sorted(root.glob("[0-9]*")):
        bundle = _BUNDLE.fullmatch(folder.name)
        if bundle and int(bundle.group(1)) < kept[0]:
            remove_folder(folder)
    oldest = min([kept[0], *acknowledged])
    for file in (root / "hashes").glob("[0-9]*.parquet"):
        if int(file.stem) < oldest:
            file.unlink()
