"""A bundle to a CMS by HTTP: batches of documents, then the manifest.

Every request is a POST of JSON to one address, with `Idempotency-Key`: the same batch has the same key, whenever it is sent. What has been
taken is noted after each batch, so that a delivery that was cut short goes on where it stopped, and at most one batch comes twice.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from dawnlist.errors import BaseMissingError, ManifestRefusedError, SettingsError
from dawnlist.export import presets
from dawnlist.export.contract import MANIFEST, read_manifest
from dawnlist.export.documents import KIND
from dawnlist.export.http import ABOUT_CONTENT, Client, kept, reason
from dawnlist.files import write_json
from dawnlist.settings import Delivery

if TYPE_CHECKING:
    import urllib3

BASE_MISSING: Final = 409  # the CMS does not have the bundle that a delta is from


@dataclass
class Progress:
    """What the CMS has of `bundle`: all parts before `part`, and the first `line` lines of that one.

    `refused`: documents that it did not take; `again`: those of earlier bundles, which are to come with this delivery. `key`: what the idempotency keys of this delivery begin with. `is_done`: the CMS has taken the manifest, and that is noted.
    """

    bundle: str
    to: str
    part: int = 0
    line: int = 0
    refused: list[dict[str, Any]] = field(default_factory=list)
    again: list[dict[str, Any]] = field(default_factory=list)
    key: str = field(default_factory=lambda: uuid4().hex)
    is_done: bool = False


@dataclass(frozen=True)
class Sent:
    """What one call sent. `refused` has the documents of the whole bundle that were refused, also by earlier calls, `again` those of earlier bundles; `record` is the file that names them."""

    documents: int
    requests: int
    refused: list[dict[str, Any]]
    again: list[dict[str, Any]]
    record: Path


def post(folder: Path, settings: Delivery, record: Path) -> Sent:
    """Send the bundle in `folder` to `settings.to`, and note in the file `record` how far it got. `close` ends the delivery.

    Raises SettingsError, BaseMissingError, and DeliveryError; when the CMS refused the manifest, the next call sends everything again.
    """
    manifest = read_manifest(folder)
    parts = [part for part in manifest["parts"] if part["format"] == "jsonl"]
    if len(parts) < len(manifest["parts"]) and not parts:
        raise SettingsError("Documents go by HTTP from parts in JSON lines: add jsonl to export.formats and export again.")
    progress = _progress(record, folder.name, str(settings.to))
    write_json(record, asdict(progress))
    sender, n_documents = _Sender(settings, progress, manifest), 0
    for number, part in enumerate(parts[progress.part :], start=progress.part):
        for line, batch in _batches(folder / part["name"], progress.line, settings.batch_documents):
            progress.refused += sender.send(part, line, batch)
            progress.line = line + len(batch)
            n_documents += len(batch)
            write_json(record, asdict(progress))
        progress.part, progress.line = number + 1, 0
    try:
        sender.finish()
    except ManifestRefusedError:
        write_json(record, asdict(Progress(progress.bundle, progress.to, again=progress.again)))
        raise
    return Sent(n_documents, sender.n_requests, progress.refused, progress.again, record)


def close(record: Path, bundle: str, to: str, refused: list[dict[str, Any]]) -> None:
    """Note that the delivery of `bundle` is over, and what the CMS lacks: the same bundle again would be a new one."""
    write_json(record, asdict(Progress(bundle, to, refused=refused, is_done=True)))


def _progress(record: Path, bundle: str, to: str) -> Progress:
    """Where the delivery of `bundle` stopped; its beginning where it has not begun, or is over."""
    try:
        found = Progress(**json.loads(record.read_text(encoding="utf-8")))
    except (FileNotFoundError, json.JSONDecodeError, TypeError):  # a repeated batch does no harm
        return Progress(bundle, to)
    if (found.bundle, found.to, found.is_done) == (bundle, to, False):
        return found
    earlier = found.refused + found.again if found.to == to else []
    return Progress(bundle, to, again=[one for one in earlier if "id" in one])  # records of earlier releases name no ids


def _batches(path: Path, first: int, size: int) -> Iterator[tuple[int, list[str]]]:
    """The lines of `path` from `first` on, in lists of `size`, each with the number of its first line."""
    with path.open(encoding="utf-8", newline="\n") as stream:
        lines = islice(stream, first, None)
        while batch := [line.rstrip("\n") for line in islice(lines, size)]:
            yield first, batch
            first += len(batch)


class _Sender:
    """The requests of one bundle."""

    def __init__(self, settings: Delivery, progress: Progress, manifest: dict[str, Any]) -> None:
        self._client = Client(settings, presets.load(settings))
        self._bundle, self._key, self._manifest = progress.bundle, progress.key, manifest
        self._head = {"bundle": progress.bundle, **{name: manifest[name] for name in ("kind", "sequence", "base_sequence") if name in manifest}}

    @property
    def n_requests(self) -> int:
        return self._client.n_requests

    def send(self, part: dict[str, Any], line: int, batch: list[str]) -> list[dict[str, Any]]:
        """Send one batch; the documents that are refused, with the reasons."""
        head = json.dumps(self._head | {"documents": part["documents"], "change": part["change"]})
        answer = self._post(f'{head[:-1]}, "entries": [{",".join(batch)}]}}', f"{self._key}/{part['name']}/{line}-{line + len(batch)}")
        if answer.status in ABOUT_CONTENT and len(batch) > 1:
            half = len(batch) // 2
            return self.send(part, line, batch[:half]) + self.send(part, line + half, batch[half:])
        if answer.status in ABOUT_CONTENT:
            return [self._refused(part, line, batch[0], answer.status, reason(answer))]
        return [self._refused(part, line + index, batch[index], answer.status, why) for index, why in _errors(answer, len(batch))]

    def _refused(self, part: dict[str, Any], line: int, entry: str, status: int, why: str) -> dict[str, Any]:
        key = json.loads(entry)
        name = {"documents": part["documents"], "id": ":".join(key[column] for column in KIND[part["documents"]].key), "change": part["change"]}
        return name | {"bundle": self._bundle, "part": part["name"], "line": line + 1, "status": status, "reason": why}

    def finish(self) -> None:
        """Send the manifest: from now on the documents count."""
        answer = self._post(json.dumps(self._head | {"manifest": self._manifest}), f"{self._key}/{MANIFEST}")
        if answer.status in ABOUT_CONTENT:
            raise ManifestRefusedError(
                f"{self._client.to} refused the manifest of {self._bundle} with status {answer.status}, and shows what it had before. Ask its operator; "
                f"run this again and everything is sent anew."
            )

    def _post(self, body: str, key: str) -> "urllib3.BaseHTTPResponse":
        answer = self._client.request("POST", body=body, key=key, passed=(BASE_MISSING,) if self._manifest["kind"] == "delta" else ())
        if answer.status == BASE_MISSING:
            raise BaseMissingError(f"{self._client.to} does not have bundle {self._manifest['base_sequence']:06d}, which {self._bundle} is from.")
        return answer


def _errors(answer: "urllib3.BaseHTTPResponse", size: int) -> list[tuple[int, str]]:
    """Index within the batch and reason of the documents that an answer names in `errors`: [{"index": 0, "reason": "…"}, …]."""
    try:
        found = json.loads(answer.data)["errors"]
        return [(int(one["index"]), kept(str(one.get("reason", "")))) for one in found if 0 <= int(one["index"]) < size]
    except (ValueError, KeyError, TypeError):
        return []
