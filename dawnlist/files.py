"""Files that are there whole or not at all."""

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

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


def write_text(target: Path, text: str, *, mode: int = 0o644) -> None:
    """Write `text` to `target` in one step: readers see the old content or the new one."""
    target.parent.mkdir(parents=True, exist_ok=True)
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
