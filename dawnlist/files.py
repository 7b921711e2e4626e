"""Files and folders that are there whole or not at all, also after a kill or a power cut."""

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any
from uuid import uuid4

CHUNK_BYTES = 1 << 20


def sha256_of(path: Path) -> str:
    """SHA-256 of the file's bytes, 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Flush a file or a folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(aside: Path, target: Path) -> None:
    """Put the finished file `aside` in the place of `target` in one durable step."""
    sync(aside)
    aside.replace(target)
    sync(target.parent)


def link_or_copy(source: Path, target: Path) -> None:
    """Make the immutable file `source` also the new file `target`: a link where the file system has them, else a copy. Raises FileNotFoundError."""
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(source, target)


def make_folder(folder: Path) -> None:
    """Make `folder` and the parents that it lacks, and flush each new name: what is put there survives a power cut."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync(folder.parent)


def place_folder(aside: Path, target: Path) -> None:
    """Give the finished folder `aside` and the files in it the free name `target`, in one durable step."""
    for path in aside.iterdir():
        sync(path)
    sync(aside)
    aside.rename(target)
    sync(target.parent)


def remove_folder(folder: Path) -> None:
    """Remove `folder` in one step: a kill leaves a hidden rest, but nothing under its name that looks whole."""
    aside = folder.with_name(f".{folder.name}.{uuid4().hex}")
    folder.rename(aside)
    sync(folder.parent)
    shutil.rmtree(aside)


def write_text(target: Path, text: str, *, mode: int = 0o644) -> None:
    """Write `text` to `target` in one step: readers see the old content or the new one."""
    make_folder(target.parent)
    descriptor, aside = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        os.fchmod(descriptor, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        replace_file(Path(aside), target)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise


def write_json(target: Path, document: Any) -> None:
    """Write `document` as indented JSON with sorted keys, in one step."""
    write_text(target, json.dumps(document, indent=1, sort_keys=True, default=str) + "\n")
