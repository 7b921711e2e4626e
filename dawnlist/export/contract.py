"""The contract between both sides: schemas, the manifest, and the check of a bundle that was received."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from dawnlist.duck import literal
from dawnlist.errors import CorruptedError
from dawnlist.files import CHUNK_BYTES, sha256_of

Documents = Literal["users", "items", "fallbacks"]
Change = Literal["upsert", "delete"]
Format = Literal["jsonl", "parquet", "csv"]

CONTRACT_VERSION: Final = "1.3"
KINDS: Final[tuple[Documents, ...]] = ("users", "items", "fallbacks")
MANIFEST: Final = "manifest.json"
MOMENT: Final = "%Y-%m-%dT%H:%M:%SZ"
SCHEMAS: Final = Path(__file__).parent / "schemas"


@dataclass(frozen=True)
class Part:
    """One file of a bundle, as its manifest lists it. `rows` are documents, or keys of documents where `change` is delete."""

    name: str
    documents: Documents
    change: Change
    format: Format
    rows: int
    bytes: int
    sha256: str


def verify(bundle: Path) -> None:
    """Check a received bundle against its manifest: every part there, its bytes, rows and SHA-256 as listed. Raises CorruptedError."""
    manifest = read_manifest(bundle)
    for part in manifest["parts"]:
        path = bundle / part["name"]
        if not path.is_file():
            raise CorruptedError(f"{path} is missing, the manifest lists it. Transfer the bundle again.")
        found: dict[str, Any] = {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
        if found["sha256"] == part["sha256"]:  # else it may be unreadable
            found["rows"] = _rows(path)
        wrong = [f"{name} {found[name]} instead of {part[name]}" for name in found if found[name] != part[name]]
        if wrong:
            raise CorruptedError(f"{path} differs from its manifest: {', '.join(wrong)}. Transfer the bundle again.")
    for change, counts in (("upsert", manifest["rows"]), ("delete", manifest.get("deletes", {}))):
        for documents, rows in counts.items():
            _check_sum(bundle, manifest, change, documents, rows)


def read_manifest(bundle: Path) -> dict[str, Any]:
    """The manifest of `bundle`. Raises CorruptedError when it is missing or does not follow its schema."""
    from jsonschema import Draft202012Validator

    path = bundle / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CorruptedError(f"{bundle} has no {MANIFEST}: it is no bundle, or not complete. Transfer it again, the manifest last.") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CorruptedError(f"{path} is no JSON: {error}. Transfer the bundle again.") from error
    fault = next(iter(Draft202012Validator(schema("manifest")).iter_errors(manifest)), None)
    if fault:
        raise CorruptedError(f"{path} does not follow contract {CONTRACT_VERSION}: {fault.json_path}: {fault.message}.")
    return manifest


@cache
def schema(name: Literal["manifest", "user", "item", "fallback"]) -> dict[str, Any]:
    """The JSON Schema of the manifest, or of one kind of document."""
    document: dict[str, Any] = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    return document


def _check_sum(bundle: Path, manifest: dict[str, Any], change: str, documents: str, rows: int) -> None:
    """Each format of a bundle holds all of its documents."""
    listed = [part for part in manifest["parts"] if part["documents"] == documents and part.get("change", "upsert") == change]
    for kind in {_format(part["name"]) for part in manifest["parts"]} or {"jsonl"}:
        if rows != sum(part["rows"] for part in listed if _format(part["name"]) == kind):
            what = documents if change == "upsert" else f"deleted {documents}"
            raise CorruptedError(f"{bundle / MANIFEST} counts {rows} {what}, its parts do not add up to that. Transfer the bundle again.")


def _format(name: str) -> str:
    return name.rpartition(".")[2]


def _rows(path: Path) -> int:
    if path.suffix == ".jsonl":
        with path.open("rb") as stream:
            return sum(chunk.count(b"\n") for chunk in iter(lambda: stream.read(CHUNK_BYTES), b""))
    import duckdb

    reader = "read_parquet({})" if path.suffix == ".parquet" else "read_csv({}, header = true, all_varchar = true, delim = ',', quote = '\"', escape = '\"')"
    with duckdb.connect() as connection:
        row = connection.execute(f"SELECT count(*) FROM {reader.format(literal(str(path)))}").fetchone()
    return int(row[0]) if row else 0
