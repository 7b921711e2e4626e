"""Model versions: folders that are written aside, renamed into place and never changed. Models travel as text and JSON with hashes, never as pickles.

    <models>/<run_date>-<12 hex digits>/ranker.txt       LightGBM's text form; absent where no ranker was trained
    <models>/<run_date>-<12 hex digits>/metadata.json    what it was made of, what it reached, and the SHA-256 of every file

The digits are of the hash of all content: the same input gives the same version.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final

from dawnlist.errors import CorruptedError, MissingInputError
from dawnlist.files import sha256_of, sync, write_text

METADATA: Final = "metadata.json"
RANKER: Final = "ranker.txt"
VERSION_DIGITS: Final = 12
_ASIDE: Final = ".aside-"


@dataclass(frozen=True)
class Model:
    """One version as it was read: `ranker` is LightGBM's text, None where the served strategy needs none."""

    version: str
    ranker: str | None
    metadata: Mapping[str, Any]


def save(models: Path, run_date: date, ranker: str | None, metadata: Mapping[str, Any]) -> str:
    """Write a version below the folder `models` and give back its name. A version that is there already and whole is left as it is."""
    files = {} if ranker is None else {RANKER: ranker}
    hashes = {name: sha256(text.encode()).hexdigest() for name, text in files.items()}
    content = {**metadata, "run_date": run_date.isoformat(), "files": hashes}
    version = f"{run_date}-{_digest(content)[:VERSION_DIGITS]}"
    if _is_whole(models, version):
        return version
    models.mkdir(parents=True, exist_ok=True)
    aside = Path(mkdtemp(prefix=_ASIDE, dir=models))
    try:
        for name, text in files.items():
            write_text(aside / name, text)
        write_text(aside / METADATA, json.dumps({**content, "content_hash": _digest(content)}, indent=1, sort_keys=True) + "\n")
        aside.chmod(0o755)
        shutil.rmtree(models / version, ignore_errors=True)
        aside.rename(models / version)
        sync(models)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return version


def load(models: Path, version: str) -> Model:
    """The version, after its hashes were checked. Raises MissingInputError where there is none, CorruptedError where a file was changed."""
    folder = models / version
    if not (folder / METADATA).is_file():
        raise MissingInputError(f"There is no model {version} in {models}: run `dawnlist train` for its night again.")
    try:
        metadata = json.loads((folder / METADATA).read_text(encoding="utf-8"))
        content = {name: value for name, value in metadata.items() if name != "content_hash"}
        is_intact = metadata["content_hash"] == _digest(content) and metadata["content_hash"].startswith(version[-VERSION_DIGITS:])
        is_intact = is_intact and all((folder / name).is_file() and sha256_of(folder / name) == digest for name, digest in metadata["files"].items())
    except (ValueError, KeyError, TypeError):
        is_intact = False
    if not is_intact:
        raise CorruptedError(f"The model {folder} was changed after it was written. Remove it and run `dawnlist train` for its night again.")
    ranker = (folder / RANKER).read_text(encoding="utf-8") if RANKER in metadata["files"] else None
    return Model(version, ranker, metadata)


def _is_whole(models: Path, version: str) -> bool:
    try:
        load(models, version)
    except (MissingInputError, CorruptedError):
        return False
    return True


def _digest(content: Mapping[str, Any]) -> str:
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
