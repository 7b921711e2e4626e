"""The CMS bundle: one folder of JSON lines with a manifest, made from what is published. `docs/export-contract.md` is its contract.

    <home>/exports/cms/000007/users-00001.jsonl …   one document per person
                              items-00001.jsonl …   one document per item
                              fallbacks.jsonl       one document per list for who has none
                              manifest.json         written last: counts and SHA-256 of each part
    <home>/exports/cms/latest                       a link to the newest bundle, replaced in one step

A bundle is written aside as `.partial-000007` and renamed when it is complete. Documents are in the order of their ids and hold no
run id or clock time: equal publications make equal parts.
"""

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from dawnlist.columns import SCHEMA_VERSION
from dawnlist.duck import connect, literal, scan
from dawnlist.errors import CorruptedError, MissingInputError, PublicationError
from dawnlist.files import CHUNK_BYTES, make_folder, place_folder, sha256_of, sync, write_json
from dawnlist.lake import Snapshot
from dawnlist.serving import Publication, Store
from dawnlist.settings import Settings

if TYPE_CHECKING:
    import duckdb

Documents = Literal["users", "items", "fallbacks"]
CONTRACT_VERSION: Final = "1.0"
MANIFEST: Final = "manifest.json"
POINTER: Final = "latest"
SCHEMAS: Final = Path(__file__).parent / "schemas"
MOMENT: Final = "%Y-%m-%dT%H:%M:%SZ"
_ITEM: Final = "{item_id: item_id, rank: rank, score: score, source: source}"
_COLUMNS: Final = {
    "dim_users": {"person_id": "VARCHAR", "has_personalisation_consent": "BOOLEAN"},
    "dim_items": {"item_id": "VARCHAR", "title": "VARCHAR", "is_available": "BOOLEAN", "is_blocked": "BOOLEAN"},
    "user_segments": {"person_id": "VARCHAR", "segment_label": "VARCHAR"},
}


@dataclass(frozen=True)
class Part:
    """One file of a bundle, as its manifest lists it."""

    name: str
    documents: Documents
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Bundle:
    """A complete bundle. `is_new` is false when the newest one already had the same content."""

    folder: Path
    sequence: int
    parts: tuple[Part, ...]
    is_new: bool

    def rows(self, documents: Documents) -> int:
        return sum(part.rows for part in self.parts if part.documents == documents)


def export(settings: Settings, store: Store, night: Snapshot, *, run_date: date, run_id: str, created_at: datetime, attempt: int = 1) -> Bundle:
    """Write the bundle of what `store` has published, or find that the newest bundle is the same.

    `night` has the segments, people and items of `run_date`. Call it while holding the export lock. Raises MissingInputError when the
    published day is before `run_date`, PublicationError when it is after it.
    """
    root = settings.exports_dir
    for leftover in root.glob(".partial-*"):
        shutil.rmtree(leftover)
    sequence = max(_sequences(root), default=0) + 1
    aside = root / f".partial-{sequence:06d}"
    try:
        make_folder(aside)
        with connect(settings) as connection, store.published(connection) as publication:
            _check_day(publication, run_date, store)
            _views(connection, night)
            parts = tuple(_write_parts(connection, aside, publication, part_rows=settings.export.part_rows))
        newest = _newest_with(root, sequence - 1, publication, parts)
        if not newest:
            write_json(aside / MANIFEST, _manifest(sequence, publication, parts, run_id=run_id, attempt=attempt, created_at=created_at))
            place_folder(aside, root / f"{sequence:06d}")
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    sequence = newest or sequence
    _point_at(root, sequence)
    _forget_old(root, keep=settings.export.keep_bundles)
    return Bundle(root / f"{sequence:06d}", sequence, parts, not newest)


def latest(exports_dir: Path) -> Path:
    """The folder of the newest bundle. Raises MissingInputError when there is none."""
    pointer = exports_dir / POINTER
    if not pointer.is_symlink():
        raise MissingInputError(f"There is no bundle in {exports_dir} yet: run `dawnlist export` first.")
    return pointer.resolve()


def verify(bundle: Path) -> None:
    """Check a received bundle against its manifest: every part there, its bytes, rows and SHA-256 as listed. Raises CorruptedError."""
    manifest = _read_manifest(bundle)
    for part in manifest["parts"]:
        path = bundle / part["name"]
        if not path.is_file():
            raise CorruptedError(f"{path} is missing, the manifest lists it. Transfer the bundle again.")
        found = {"bytes": path.stat().st_size, "sha256": sha256_of(path), "rows": _lines(path)}
        wrong = [f"{name} {found[name]} instead of {part[name]}" for name in found if found[name] != part[name]]
        if wrong:
            raise CorruptedError(f"{path} differs from its manifest: {', '.join(wrong)}. Transfer the bundle again.")
    for documents, rows in manifest["rows"].items():
        if rows != sum(part["rows"] for part in manifest["parts"] if part["documents"] == documents):
            raise CorruptedError(f"{bundle / MANIFEST} counts {rows} {documents}, its parts do not add up to that. Transfer the bundle again.")


@cache
def schema(name: Literal["manifest", "user", "item", "fallback"]) -> dict[str, Any]:
    """The JSON Schema of the manifest, or of one kind of document."""
    document: dict[str, Any] = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    return document


def _check_day(publication: Publication, run_date: date, store: Store) -> None:
    if publication.run_date < run_date:
        raise MissingInputError(f"{store.location} has the lists of {publication.run_date}: run `dawnlist publish --run-date {run_date}` first.")
    if publication.run_date > run_date:
        raise PublicationError(
            f"{store.location} has the lists of {publication.run_date}; an export holds what is published: "
            f"run `dawnlist export --run-date {publication.run_date}`."
        )


def _views(connection: "duckdb.DuckDBPyConnection", night: Snapshot) -> None:
    for table, stage in (("dim_users", "transform"), ("dim_items", "transform"), ("user_segments", "segment")):
        connection.execute(f"CREATE VIEW {table} AS FROM {scan(night.require(table, stage=stage), _COLUMNS[table])}")


def _write_parts(connection: "duckdb.DuckDBPyConnection", folder: Path, publication: Publication, *, part_rows: int) -> Iterator[Part]:
    expires_at = literal(publication.expires_at.strftime(MOMENT))
    users, items = "published.serving.recommendations", "dim_items"
    for number, span in enumerate(_spans(connection, users, "user_id", part_rows), start=1):
        yield _write(connection, folder / f"users-{number:05d}.jsonl", "users", _users(span, expires_at))
    for number, span in enumerate(_spans(connection, items, "item_id", part_rows), start=1):
        yield _write(connection, folder / f"items-{number:05d}.jsonl", "items", _items(span, expires_at))
    yield _write(connection, folder / "fallbacks.jsonl", "fallbacks", _fallbacks(expires_at))


def _spans(connection: "duckdb.DuckDBPyConnection", table: str, key: str, part_rows: int) -> list[str]:
    """Conditions on `key` that cut `table` into parts of `part_rows` keys, in the order of the keys."""
    firsts = connection.execute(
        f"SELECT {key} FROM (SELECT {key}, row_number() OVER (ORDER BY {key}) AS number FROM (SELECT DISTINCT {key} FROM {table})) "
        f"WHERE (number - 1) % {part_rows} = 0 ORDER BY {key}"
    ).fetchall()
    bounds = [literal(first) for (first,) in firsts]
    return [f"{key} >= {low}" + (f" AND {key} < {high}" if high else "") for low, high in zip(bounds, [*bounds[1:], None], strict=True)]


def _users(span: str, expires_at: str) -> str:
    return f"""
        WITH lists AS (
            SELECT user_id, list({{item_id: item_id, rank: rank, score: score, source: source, reason: reason}} ORDER BY rank) AS recommendations
            FROM published.serving.recommendations WHERE {span} GROUP BY user_id
        ),
        other_ids AS (
            SELECT user_id, list(alias_id ORDER BY alias_id) AS aliases
            FROM published.serving.user_aliases WHERE {span} AND alias_id <> user_id GROUP BY user_id
        )
        SELECT user_id, coalesce(aliases, []::VARCHAR[]) AS aliases, segment_label AS segment,
            coalesce(has_personalisation_consent, false) AS personalised, {expires_at} AS expires_at, recommendations
        FROM lists LEFT JOIN other_ids USING (user_id)
        LEFT JOIN dim_users ON dim_users.person_id = user_id LEFT JOIN user_segments ON user_segments.person_id = user_id
        ORDER BY user_id"""


def _items(span: str, expires_at: str) -> str:
    similar = _ITEM.replace("item_id: item_id", "item_id: similar_item_id")
    return f"""
        WITH neighbours AS (
            SELECT item_id, list({similar} ORDER BY rank) AS similar_items FROM published.serving.similar_items WHERE {span} GROUP BY item_id
        )
        SELECT item_id, title, is_available IS NOT FALSE AND is_blocked IS NOT TRUE AS available, {expires_at} AS expires_at,
            coalesce(similar_items, []) AS similar_items
        FROM (FROM dim_items WHERE {span}) LEFT JOIN neighbours USING (item_id) ORDER BY item_id"""


def _fallbacks(expires_at: str) -> str:
    return f"""
        SELECT scope, scope_value, {expires_at} AS expires_at, list({_ITEM} ORDER BY rank) AS items
        FROM published.serving.popular_items GROUP BY scope, scope_value ORDER BY scope, scope_value"""


def _write(connection: "duckdb.DuckDBPyConnection", path: Path, documents: Documents, query: str) -> Part:
    copied = connection.execute(f"COPY ({query}) TO {literal(str(path))} (FORMAT json)").fetchone()
    return Part(path.name, documents, copied[0] if copied else 0, path.stat().st_size, sha256_of(path))


def _manifest(sequence: int, publication: Publication, parts: Sequence[Part], *, run_id: str, attempt: int, created_at: datetime) -> dict[str, Any]:
    kinds: tuple[Documents, ...] = ("users", "items", "fallbacks")
    return {
        "contract_version": CONTRACT_VERSION,
        "kind": "full",
        "sequence": sequence,
        "run_date": publication.run_date.isoformat(),
        "run_id": run_id,
        "attempt": attempt,
        "schema_version": SCHEMA_VERSION,
        "created_at": created_at.strftime(MOMENT),
        "expires_at": publication.expires_at.strftime(MOMENT),
        "model_version": publication.model_version,
        "publication": {
            "sequence": publication.sequence,
            "published_at": publication.published_at.strftime(MOMENT),
            "content_hash": publication.content_hash,
        },
        "rows": {kind: sum(part.rows for part in parts if part.documents == kind) for kind in kinds},
        "parts": [asdict(part) for part in parts],
    }


def _sequences(root: Path) -> list[int]:
    return sorted(int(path.name) for path in root.glob("*") if path.is_dir() and re.fullmatch(r"\d{6,}", path.name))


def _newest_with(root: Path, sequence: int, publication: Publication, parts: Sequence[Part]) -> int | None:
    """`sequence` when that bundle is whole and has the same day and parts, so that a new one would tell the CMS nothing."""
    if not sequence:
        return None
    try:
        verify(root / f"{sequence:06d}")
    except CorruptedError:
        return None
    manifest = _read_manifest(root / f"{sequence:06d}")
    same = manifest["run_date"] == publication.run_date.isoformat() and manifest["parts"] == [asdict(part) for part in parts]
    return sequence if same else None


def _point_at(root: Path, sequence: int) -> None:
    aside = root / ".latest.aside"
    aside.unlink(missing_ok=True)
    aside.symlink_to(f"{sequence:06d}", target_is_directory=True)
    aside.replace(root / POINTER)
    sync(root)


def _forget_old(root: Path, *, keep: int) -> None:
    for sequence in _sequences(root)[:-keep]:
        aside = root / f".partial-{sequence:06d}"  # nobody sees half of it, and the next export finishes what a kill cut short
        (root / f"{sequence:06d}").rename(aside)
        shutil.rmtree(aside)


def _read_manifest(bundle: Path) -> dict[str, Any]:
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


def _lines(path: Path) -> int:
    with path.open("rb") as stream:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: stream.read(CHUNK_BYTES), b""))
