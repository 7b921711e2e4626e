"""The newest bundle to where it is wanted: a folder, a store that fsspec knows, or a CMS by HTTP."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from dawnlist.errors import BaseMissingError, DeliveryError, RefusedDocumentsError, SettingsError
from dawnlist.export import consumers, post, shelf
from dawnlist.export.contract import KINDS, MANIFEST, read_manifest, verify
from dawnlist.locks import exclusive
from dawnlist.settings import Settings

POINTER_FILE: Final = "latest.json"


def deliver(settings: Settings, *, now: datetime, is_dry_run: bool = False) -> Iterator[str]:
    """Deliver what waits, and say so in sentences. `now` (UTC) is when a CMS that took a bundle is noted to have it.

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
        yield from send(settings, root, now, is_dry_run=is_dry_run)


def _by_http(settings: Settings, root: Path, now: datetime, *, is_dry_run: bool) -> Iterator[str]:
    name, to = settings.delivery.consumer, settings.delivery.to
    standing = next((one for one in consumers.status(root) if one.consumer == name), None)
    folder = shelf.latest(root) if standing is None else root / standing.waiting if standing.waiting else None
    if folder is None:
        yield f"{name} has the newest bundle: nothing to send."
        return
    verify(folder)
    if is_dry_run:
        yield f"Would post {folder.name} to {to}: {_counts(read_manifest(folder))}."
        return
    record = root / "deliveries" / f"{name}.json"
    try:
        sent = post.post(folder, settings.delivery, record)
    except BaseMissingError as error:
        yield f"{error} The full bundle is sent instead."
        folder = shelf.latest(root)
        sent = post.post(folder, settings.delivery, record)
    with shelf.lock(root):
        consumers.acknowledge(root, name, read_manifest(folder)["sequence"], at=now, went_back=True)
    post.close(record)
    yield f"{to} has {folder.name}: {sent.documents:,} documents in {sent.requests:,} requests."
    if sent.refused:
        raise RefusedDocumentsError(f"{to} has {folder.name}, but refused {len(sent.refused):,} of its documents: {sent.record} names them and the reasons.")


def _as_files(settings: Settings, root: Path, _now: datetime, *, is_dry_run: bool) -> Iterator[str]:
    """The newest full bundle and its deltas, each with its manifest last, and then the pointer. What is there with the same size is not sent again."""
    from fsspec.core import url_to_fs

    sequence, to = int(shelf.latest(root).name), str(settings.delivery.to)
    try:
        system, place = url_to_fs(to, use_listings_cache=False)
        for folder in sorted(root.glob(f"{sequence:06d}*")):
            verify(folder)
            if is_dry_run:
                yield f"Would copy {folder.name} to {to}: {_counts(read_manifest(folder))}."
                continue
            names = [part["name"] for part in read_manifest(folder)["parts"]]
            n_sent = sum(_put(system, folder / name, f"{place}/{folder.name}/{name}") for name in (*names, MANIFEST))
            yield f"{to} has {folder.name}: {n_sent} of {len(names) + 1} files were sent now."
        if not is_dry_run:
            with system.open(f"{place}/{POINTER_FILE}", "wb") as stream:
                stream.write(json.dumps({"sequence": sequence, "bundle": f"{sequence:06d}"}).encode())
    except ImportError as error:
        raise SettingsError(f"{to} needs a Python package that is not installed: {error.name or error}. For s3:// install s3fs.") from error
    except ValueError as error:
        raise SettingsError(f"delivery.to = {to} is no URL that files can be written to.") from error
    except OSError as error:
        raise DeliveryError(
            f"{to} cannot be written ({type(error).__name__}). Check it and the credentials in the environment; then run this again."
        ) from error


def _put(system: Any, source: Path, target: str) -> bool:
    """Whether the file had to be sent: the target lacked it, or had it in another size, as a transfer that was cut short leaves it."""
    if system.exists(target) and system.size(target) == source.stat().st_size:
        return False
    system.makedirs(target.rpartition("/")[0], exist_ok=True)
    system.put_file(str(source), target)
    return True


def _counts(manifest: dict[str, Any]) -> str:
    counted = [f"{manifest['rows'][kind]:,} {kind}" for kind in KINDS]
    return ", ".join(counted + [f"{manifest['deletes'][kind]:,} {kind} to delete" for kind in KINDS if manifest["deletes"][kind]])
