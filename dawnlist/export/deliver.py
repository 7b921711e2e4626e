"""The newest bundle to where it is wanted: a folder, a store that fsspec knows, or a CMS by HTTP."""

import json
import shutil
from collections.abc import Generator, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from dawnlist import remote
from dawnlist.duck import connect, literal
from dawnlist.errors import BaseMissingError, DawnlistError, RefusedDocumentsError, SettingsError
from dawnlist.export import compare, consumers, post, presets, repair, shape, shelf
from dawnlist.export.contract import KINDS, MANIFEST, MOMENT, read_manifest, verify
from dawnlist.export.http import Client
from dawnlist.export.presets import Preset
from dawnlist.locks import exclusive
from dawnlist.settings import Settings

if TYPE_CHECKING:
    import duckdb

POINTER_FILE: Final = "latest.json"


def deliver(settings: Settings, *, now: datetime, is_dry_run: bool = False) -> Iterator[str]:
    """Deliver what waits, say so in sentences, and note for `dawnlist status` how it went. `now` (UTC) is when a CMS that took a bundle is noted to have it.

    Raises SettingsError when `delivery.to` is missing or cannot be used, MissingInputError when there is no bundle, CorruptedError when it is
    damaged, and DeliveryError when the other side cannot be reached or refuses; the same call goes on where it stopped. When only some documents were
    refused, the bundle counts as delivered, and RefusedDocumentsError says so.
    """
    if settings.delivery.to is None:
        raise SettingsError("Say where to: delivery.to in dawnlist.toml, or DAWNLIST_DELIVERY__TO.")
    root = settings.exports_dir
    shelf.latest(root)
    with exclusive(root / ".deliver.lock"):
        send = _by_http if urlsplit(settings.delivery.to).scheme in ("http", "https") else _as_files
        try:
            yield from send(settings, root, now, is_dry_run=is_dry_run)
        except DawnlistError as error:
            _note(settings, root, now, error=str(error), is_dry_run=is_dry_run)
            raise
        _note(settings, root, now, error=None, is_dry_run=is_dry_run)


def _note(settings: Settings, root: Path, now: datetime, *, error: str | None, is_dry_run: bool) -> None:
    if not is_dry_run:
        consumers.note_delivery(
            root, settings.delivery.consumer, consumers.Delivered(now.strftime(MOMENT), str(settings.delivery.to), int(shelf.latest(root).name), error)
        )


def _by_http(settings: Settings, root: Path, now: datetime, *, is_dry_run: bool) -> Iterator[str]:
    name, to = settings.delivery.consumer, settings.delivery.to
    standing = next((one for one in consumers.status(root) if one.consumer == name), None)
    folder = shelf.latest(root) if standing is None else root / standing.waiting if standing.waiting else None
    if folder is None:
        yield f"{name} has the newest bundle: nothing to send."
        return
    preset = presets.load(settings.delivery)
    if preset.writes:
        folder = shelf.latest(root)
    verify(folder)
    if is_dry_run:
        yield f"Would post {folder.name} to {to}: {_counts(read_manifest(folder))}."
        return
    if preset.writes:
        with connect(settings) as connection:
            client = Client(settings.delivery, preset)
            compare.look(connection, folder, client, preset)
            yield from by_shape(settings, folder, preset, connection, client, now)
        return
    try:
        sent = post.post(folder, settings.delivery, _record(settings))
    except BaseMissingError as error:
        yield f"{error} The full bundle is sent instead."
        folder = shelf.latest(root)
        sent = post.post(folder, settings.delivery, _record(settings))
    manifest, refused = read_manifest(folder), sent.refused
    yield f"{to} has {folder.name}: {sent.documents:,} documents in {sent.requests:,} requests."
    if sent.again and manifest["kind"] == "delta":  # a full bundle has had them all
        refused = refused + (yield from _again(settings, manifest, sent.again))
    finish(settings, folder, now, refused)


def by_shape(settings: Settings, folder: Path, preset: Preset, connection: "duckdb.DuckDBPyConnection", client: Client, now: datetime) -> Iterator[str]:
    """Bring a CMS of a shape of its own to the bundle in `folder`, after `compare.look`."""
    assert preset.writes
    brought = shape.bring(connection, client, preset, preset.writes, expires_at=read_manifest(folder)["expires_at"])
    yield f"{client.to} has {folder.name}: {brought.documents:,} documents in {client.n_requests:,} requests."
    finish(settings, folder, now, brought.refused)


def by_repair(settings: Settings, full: Path, connection: "duckdb.DuckDBPyConnection", *, base_sequence: int) -> Generator[str, None, list[dict[str, Any]]]:
    """Send the delta of the table `chosen`, see `repair`. Returns what was refused."""
    place, record = consumers.deliveries(settings.exports_dir) / settings.delivery.consumer, _record(settings)
    folder = repair.write(connection, full, place, base_sequence=base_sequence)
    sent = post.post(folder, settings.delivery, record.with_suffix(".repair.json"))
    sent.record.unlink()
    shutil.rmtree(place)
    yield f"{settings.delivery.to} has {folder.name}: {sent.documents:,} documents in {sent.requests:,} requests."
    return sent.refused


def finish(settings: Settings, folder: Path, now: datetime, refused: list[dict[str, Any]]) -> None:
    """Note that the consumer has the bundle in `folder`, without what it `refused`. Raises RefusedDocumentsError when that is something."""
    root, record, to = settings.exports_dir, _record(settings), str(settings.delivery.to)
    with shelf.lock(root):
        consumers.acknowledge(root, settings.delivery.consumer, read_manifest(folder)["sequence"], at=now, went_back=True)
    post.close(record, folder.name, to, refused)
    if refused:
        raise RefusedDocumentsError(
            f"{to} has {folder.name}, but refused {len(refused):,} of its documents: {record} names them and the reasons. "
            f"They are sent again with the next delivery."
        )


def _again(settings: Settings, manifest: dict[str, Any], refused: list[dict[str, Any]]) -> Generator[str, None, list[dict[str, Any]]]:
    """Send what earlier deliveries could not, and the delta of `manifest` did not have. Returns what was refused once more."""
    import pyarrow as pa

    full, base = shelf.full(settings.exports_dir, manifest["sequence"]), shelf.hashes(settings.exports_dir, manifest["base_sequence"])
    with connect(settings) as connection:
        compare.load(connection, full)
        connection.register("refused", pa.table({"kind": [one["documents"] for one in refused], "id": [one["id"] for one in refused]}))
        connection.execute(f"""
            CREATE TABLE chosen AS SELECT DISTINCT kind, id, if(wanted.hash IS NULL, 'delete', 'upsert') AS change
            FROM refused LEFT JOIN wanted USING (kind, id) LEFT JOIN read_parquet({literal(str(base))}) AS base USING (kind, id)
            WHERE wanted.hash IS NOT DISTINCT FROM lower(hex(base.hash))""")
        if connection.execute("SELECT 1 FROM chosen LIMIT 1").fetchall():
            return (yield from by_repair(settings, full, connection, base_sequence=manifest["sequence"]))
    return []


def _record(settings: Settings) -> Path:
    """The file that says how far a delivery got, and what was refused."""
    return consumers.deliveries(settings.exports_dir) / f"{settings.delivery.consumer}.json"


def _as_files(settings: Settings, root: Path, _now: datetime, *, is_dry_run: bool) -> Iterator[str]:
    """The newest full bundle and its deltas, each with its manifest last, and then the pointer. What is there with the same size is not sent again."""
    sequence, to = int(shelf.latest(root).name), str(settings.delivery.to)
    with remote.target(to) as target:
        for folder in sorted(root.glob(f"{sequence:06d}*")):
            verify(folder)
            if is_dry_run:
                yield f"Would copy {folder.name} to {to}: {_counts(read_manifest(folder))}."
                continue
            names = [*(part["name"] for part in read_manifest(folder)["parts"]), MANIFEST]
            missing = [name for name in names if not target.has(f"{folder.name}/{name}", (folder / name).stat().st_size)]
            for name in missing:
                target.put(folder / name, f"{folder.name}/{name}")
            yield f"{to} has {folder.name}: {len(missing)} of {len(names)} files were sent now."
        if not is_dry_run:
            target.write(POINTER_FILE, json.dumps({"sequence": sequence, "bundle": f"{sequence:06d}"}).encode())


def _counts(manifest: dict[str, Any]) -> str:
    counted = [f"{manifest['rows'][kind]:,} {kind}" for kind in KINDS]
    return ", ".join(counted + [f"{manifest['deletes'][kind]:,} {kind} to delete" for kind in KINDS if manifest["deletes"][kind]])
