"""Model versions: folders that are written aside, renamed into place and never changed. Models travel as text and JSON with hashes, never as pickles.

    <models>/<run_date>-<12 hex digits>/
        ranker.txt                  LightGBM's text form; absent where the served strategy needs none
        judged.txt                  the same before it was fitted to the evaluation slice: what later challengers are compared with
        als_item_factors.parquet    as of the evaluation cut. Those of persons stay in the night: a version must not keep what erasure removes
        reference.json              how features and scores were spread, for drift
        purchase.txt, churn.txt     trees that foresee what persons will do, and outcomes.json, their calibration; where there was enough to learn from
        metadata.json               what it was made of (settings, hashes of the data), what it reached, and the SHA-256 of every file

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
from types import MappingProxyType
from typing import Any, Final

from dawnlist.errors import CorruptedError, MissingInputError
from dawnlist.files import link_or_copy, make_folder, place_folder, sha256_of, write_text

METADATA: Final = "metadata.json"
RANKER: Final = "ranker.txt"
JUDGED: Final = "judged.txt"
REFERENCE: Final = "reference.json"
ITEM_FACTORS: Final = "als_item_factors.parquet"
VERSION_DIGITS: Final = 12
_ASIDE: Final = ".aside-"


@dataclass(frozen=True)
class Model:
    """One version as it was read: `texts` are its text files by name; `ranker` and `judged` are None where the served strategy needs none."""

    version: str
    texts: Mapping[str, str]
    metadata: Mapping[str, Any]

    @property
    def ranker(self) -> str | None:
        return self.texts.get(RANKER)

    @property
    def judged(self) -> str | None:
        return self.texts.get(JUDGED)


def save(models: Path, run_date: date, texts: Mapping[str, str], metadata: Mapping[str, Any], *, tables: Mapping[str, Path] = MappingProxyType({})) -> str:
    """Write a version below the folder `models` and give back its name. A version that is there already and whole is left as it is.

    `texts` maps names to contents, `tables` names to immutable files, which the version shares where the file system has links.
    """
    hashes = {name: sha256(text.encode()).hexdigest() for name, text in texts.items()} | {name: sha256_of(path) for name, path in tables.items()}
    content = {**metadata, "run_date": run_date.isoformat(), "files": hashes}
    version = f"{run_date}-{_digest(content)[:VERSION_DIGITS]}"
    if _is_whole(models, version):
        return version
    make_folder(models)
    aside = Path(mkdtemp(prefix=_ASIDE, dir=models))
    try:
        for name, text in texts.items():
            write_text(aside / name, text)
        for name, path in tables.items():
            link_or_copy(path, aside / name)
        write_text(aside / METADATA, json.dumps({**content, "content_hash": _digest(content)}, indent=1, sort_keys=True) + "\n")
        aside.chmod(0o755)
        shutil.rmtree(models / version, ignore_errors=True)
        place_folder(aside, models / version)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return version


def run_date_of(version: str) -> date:
    """The run date in the name of a version."""
    return date.fromisoformat(version[:10])


def names(models: Path) -> list[str]:
    """The versions below `models`, oldest run date first."""
    return sorted(path.parent.name for path in models.glob(f"[!.]*/{METADATA}"))


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
    texts = {name: (folder / name).read_text(encoding="utf-8") for name in metadata["files"] if not name.endswith(".parquet")}
    return Model(version, texts, metadata)


def _is_whole(models: Path, version: str) -> bool:
    try:
        load(models, version)
    except (MissingInputError, CorruptedError):
        return False
    return True


def _digest(content: Mapping[str, Any]) -> str:
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
