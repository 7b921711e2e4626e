"""A night's export: the full bundle of what is published, and a delta for every place that a consumer stands at."""

import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dawnlist.columns import SCHEMA_VERSION
from dawnlist.duck import connect
from dawnlist.errors import CorruptedError, ExportError, MissingInputError, PublicationError
from dawnlist.export import consumers, delta, documents, parts, shelf
from dawnlist.export.contract import CONTRACT_VERSION, KINDS, MANIFEST, MOMENT, Change, Documents, Part, read_manifest, verify
from dawnlist.files import make_folder, place_folder, write_json
from dawnlist.lake import Lake, Snapshot
from dawnlist.serving import Publication, Store
from dawnlist.settings import Export, Settings

if TYPE_CHECKING:
    import duckdb

SCRATCH = ".partial-documents"


@dataclass(frozen=True)
class Bundle:
    """A complete full bundle, and the deltas to it that were made with it. `is_new` is false when the newest one already had the same content."""

    folder: Path
    sequence: int
    parts: tuple[Part, ...]
    is_new: bool
    deltas: tuple[Path, ...]

    def rows(self, documents: Documents) -> int:
        """Documents of that kind."""
        first = self.parts[0].format
        return sum(part.rows for part in self.parts if part.documents == documents and part.format == first)


@dataclass(frozen=True)
class _Run:
    """What the manifests of a run have in common."""

    publication: Publication
    run_id: str
    attempt: int
    created_at: datetime
    totals: dict[str, int]
    firings: list[dict[str, Any]]


def export(
    settings: Settings, store: Store, night: Snapshot, *, run_date: date, run_id: str, created_at: datetime, attempt: int = 1, accept_churn: bool = False
) -> Bundle:
    """Write the bundle of what `store` has published, or find that the newest bundle is the same; then the deltas that are missing.

    `night` has the segments, people and items of `run_date`. Call it while holding the export lock. Raises MissingInputError when the
    published day is before `run_date`, PublicationError when it is after it, and ExportError when too many users would change and
    nobody has said that this is right (`accept_churn`).
    """
    root = settings.exports_dir
    shelf.clear_leftovers(root)
    scratch = root / SCRATCH
    try:
        make_folder(scratch)
        with connect(settings, scratch / "documents.duckdb") as connection:
            with store.published(connection) as publication:
                _check_day(publication, run_date, store)
                documents.build(connection, publication, night, Lake(settings.lake_dir).snapshot())
                firings = documents.firings(connection, night)
            run = _Run(publication, run_id, attempt, created_at, _totals(connection), firings)
            sequence, is_new = _full(connection, root, run, settings.export, accept_churn=accept_churn)
            deltas = _deltas(connection, root, sequence, run, settings.export)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    shelf.point_at(root, sequence)
    shelf.forget_old(root, keep=settings.export.keep_bundles, acknowledged=[one.sequence for one in consumers.read(root).values()])
    folder = shelf.full(root, sequence)
    return Bundle(folder, sequence, tuple(Part(**part) for part in read_manifest(folder)["parts"]), is_new, deltas)


def _check_day(publication: Publication, run_date: date, store: Store) -> None:
    if publication.run_date < run_date:
        raise MissingInputError(f"{store.location} has the lists of {publication.run_date}: run `dawnlist publish --run-date {run_date}` first.")
    if publication.run_date > run_date:
        raise PublicationError(
            f"{store.location} has the lists of {publication.run_date}; an export holds what is published: "
            f"run `dawnlist export --run-date {publication.run_date}`."
        )


def _full(connection: "duckdb.DuckDBPyConnection", root: Path, run: _Run, settings: Export, *, accept_churn: bool) -> tuple[int, bool]:
    """The sequence of the full bundle, and whether it was made now."""
    newest = max(shelf.sequences(root), default=0)
    base = shelf.hashes(root, newest)
    if base.is_file():
        delta.compare(connection, base)
        if _is_same(root, newest, run, settings) and delta.is_empty(connection):
            return newest, False
        if not accept_churn:
            _check_churn(delta.churn(connection, base), newest, run, settings)
    sequence = 1 + max([newest, *(one.sequence for one in consumers.read(root).values())])
    _write(connection, root, shelf.full(root, sequence), run, settings, {"kind": "full", "sequence": sequence}, {(kind, "upsert"): kind for kind in KINDS})
    return sequence, True


def _deltas(connection: "duckdb.DuckDBPyConnection", root: Path, sequence: int, run: _Run, settings: Export) -> tuple[Path, ...]:
    """Make the deltas to `sequence` that are not there, one from each bundle that a consumer stands at and whose hashes are kept."""
    made = []
    for base in sorted({one.sequence for one in consumers.read(root).values()} - {sequence}):
        folder = shelf.delta(root, sequence, base)
        if folder.exists() or not shelf.hashes(root, base).is_file():
            continue
        delta.compare(connection, shelf.hashes(root, base))
        contents: dict[tuple[Documents, Change], str] = {(kind, "upsert"): delta.changed(kind) for kind in KINDS}
        contents |= {(kind, "delete"): delta.gone(kind) for kind in KINDS}
        _write(connection, root, folder, run, settings, {"kind": "delta", "sequence": sequence, "base_sequence": base}, contents)
        made.append(folder)
    return tuple(made)


def _is_same(root: Path, sequence: int, run: _Run, settings: Export) -> bool:
    """Whether the bundle `sequence` is whole and is of the same day, with the same expiry and formats."""
    folder = shelf.full(root, sequence)
    with suppress(CorruptedError):
        verify(folder)
        manifest = read_manifest(folder)
        day = {
            "contract_version": CONTRACT_VERSION,
            "run_date": run.publication.run_date.isoformat(),
            "expires_at": run.publication.expires_at.strftime(MOMENT),
        }
        return {name: manifest[name] for name in day} == day and {part["format"] for part in manifest["parts"]} == set(settings.formats)
    return False


def _check_churn(churn: delta.Churn, newest: int, run: _Run, settings: Export) -> None:
    if churn.before < settings.churn_min_users:
        return
    n_changed = churn.deleted + churn.changed + churn.new
    for what, number, limit in (("deleted", churn.deleted, settings.max_deleted_users_share), ("changed", n_changed, settings.max_changed_users_share)):
        share = number / churn.before
        if limit is not None and share > limit:
            raise ExportError(
                f"The export of {run.publication.run_date} would change {churn.changed:,}, add {churn.new:,} and delete {churn.deleted:,} of the {churn.before:,} "
                f"users of bundle {newest:06d}: {share:.1%} {what}, export.max_{what}_users_share allows {limit:.1%}. Bundle {newest:06d} stays the newest. "
                f"If this is right: `dawnlist export --run-date {run.publication.run_date} --accept-churn`."
            )


def _write(
    connection: "duckdb.DuckDBPyConnection",
    root: Path,
    target: Path,
    run: _Run,
    settings: Export,
    head: dict[str, Any],
    contents: dict[tuple[Documents, Change], str],
) -> None:
    """Write one bundle aside, the manifest last, and give it its name. A full bundle's hashes are there before it is."""
    aside = root / f".partial-{target.name}"
    make_folder(aside)
    written = [part for (kind, change), relation in contents.items() for part in parts.write(connection, aside, kind, change, relation, settings)]
    write_json(aside / MANIFEST, head | _manifest(run, written, settings))
    if head["kind"] == "full":
        delta.keep_hashes(connection, shelf.hashes(root, head["sequence"]))
    place_folder(aside, target)


def _manifest(run: _Run, written: list[Part], settings: Export) -> dict[str, Any]:
    publication = run.publication

    def count(change: Change) -> dict[str, int]:
        return {kind: sum(part.rows for part in written if (part.documents, part.change, part.format) == (kind, change, settings.formats[0])) for kind in KINDS}

    return {
        "contract_version": CONTRACT_VERSION,
        "run_date": publication.run_date.isoformat(),
        "run_id": run.run_id,
        "attempt": run.attempt,
        "schema_version": SCHEMA_VERSION,
        "created_at": run.created_at.strftime(MOMENT),
        "expires_at": publication.expires_at.strftime(MOMENT),
        "model_version": publication.model_version,
        "publication": {
            "sequence": publication.sequence,
            "published_at": publication.published_at.strftime(MOMENT),
            "content_hash": publication.content_hash,
        },
        "rows": count("upsert"),
        "deletes": count("delete"),
        "totals": run.totals,
        "firings": run.firings,
        "parts": [asdict(part) for part in written],
    }


def _totals(connection: "duckdb.DuckDBPyConnection") -> dict[str, int]:
    counts = dict(connection.execute("SELECT kind, count(*) FROM hashes GROUP BY kind").fetchall())
    return {kind: counts.get(kind, 0) for kind in KINDS}
