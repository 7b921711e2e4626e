"""A bundle to a CMS by HTTP: batches of documents, then the manifest.

Every request is a POST of JSON to one address, with `Idempotency-Key`: the same batch has the same key, whenever it is sent. What has been
taken is noted after each batch, so that a delivery that was cut short goes on where it stopped, and at most one batch comes twice.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

from dawnlist.errors import BaseMissingError, DeliveryError, ManifestRefusedError, SettingsError
from dawnlist.export.contract import MANIFEST, read_manifest
from dawnlist.files import write_json
from dawnlist.settings import Delivery

if TYPE_CHECKING:
    import urllib3

# Statuses after which the same request may pass later; urllib3 heeds Retry-After.
PASSING: Final = (408, 425, 429, 500, 502, 503, 504)
# Statuses that are about the content of a batch: it is halved until the document is found that is refused.
ABOUT_CONTENT: Final = (400, 413, 422)
BACKOFF_MOST_SECONDS: Final = 120
BASE_MISSING: Final = 409  # the CMS does not have the bundle that a delta is from
LOCAL: Final = ("localhost", "127.0.0.1", "::1")


@dataclass
class Progress:
    """What the CMS has of `bundle`: all parts before `part`, and the first `line` lines of that one.

    `refused`: documents that it did not take. `key`: what the idempotency keys of this delivery begin with. `is_done`: the CMS has taken the manifest, and that is noted.
    """

    bundle: str
    to: str
    part: int = 0
    line: int = 0
    refused: list[dict[str, Any]] = field(default_factory=list)
    key: str = field(default_factory=lambda: uuid4().hex)
    is_done: bool = False


@dataclass(frozen=True)
class Sent:
    """What one call sent. `refused` has the documents of the whole bundle that were refused, also by earlier calls; `record` is the file that names them."""

    documents: int
    requests: int
    refused: list[dict[str, Any]]
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
    client, n_documents = _Client(settings, progress, manifest), 0
    for number, part in enumerate(parts[progress.part :], start=progress.part):
        for line, batch in _batches(folder / part["name"], progress.line, settings.batch_documents):
            progress.refused += client.send(part, line, batch)
            progress.line = line + len(batch)
            n_documents += len(batch)
            write_json(record, asdict(progress))
        progress.part, progress.line = number + 1, 0
    try:
        client.finish()
    except ManifestRefusedError:
        record.unlink()
        raise
    return Sent(n_documents, client.n_requests, progress.refused, record)


def close(record: Path) -> None:
    """Note that the delivery is over: the same bundle again would be a new one."""
    write_json(record, json.loads(record.read_text(encoding="utf-8")) | {"is_done": True})


def _progress(record: Path, bundle: str, to: str) -> Progress:
    """Where the delivery of `bundle` stopped; its beginning where it has not begun, or is over."""
    try:
        found = Progress(**json.loads(record.read_text(encoding="utf-8")))
    except (FileNotFoundError, json.JSONDecodeError, TypeError):  # a repeated batch does no harm
        return Progress(bundle, to)
    return found if (found.bundle, found.to, found.is_done) == (bundle, to, False) else Progress(bundle, to)


def _batches(path: Path, first: int, size: int) -> Iterator[tuple[int, list[str]]]:
    """The lines of `path` from `first` on, in lists of `size`, each with the number of its first line."""
    with path.open(encoding="utf-8", newline="\n") as stream:
        lines = islice(stream, first, None)
        while batch := [line.rstrip("\n") for line in islice(lines, size)]:
            yield first, batch
            first += len(batch)


class _Client:
    """Requests to one address: paced, tried again, never redirected, TLS verified."""

    def __init__(self, settings: Delivery, progress: Progress, manifest: dict[str, Any]) -> None:
        import urllib3

        self._to, self._pause, self._sent_at = str(settings.to), 1 / settings.requests_per_second, 0.0
        self.n_requests = 0
        self._bundle, self._key, self._manifest = progress.bundle, progress.key, manifest
        self._head = {"bundle": progress.bundle, **{name: manifest[name] for name in ("kind", "sequence", "base_sequence") if name in manifest}}
        self._headers = {"Content-Type": "application/json"}
        if settings.token:
            if urlsplit(self._to).scheme != "https" and urlsplit(self._to).hostname not in LOCAL:
                raise SettingsError(f"delivery.to = {self._to} would carry the token in the clear: use https://.")
            self._headers["Authorization"] = f"Bearer {settings.token.get_secret_value()}"
        retries = urllib3.Retry(
            total=settings.attempts - 1,
            redirect=False,
            allowed_methods=None,  # POST too: the key makes it safe
            status_forcelist=PASSING,
            backoff_factor=settings.backoff_seconds,
            backoff_max=BACKOFF_MOST_SECONDS,
            backoff_jitter=settings.backoff_seconds,
            raise_on_status=False,
        )
        self._pool = urllib3.PoolManager(retries=retries, timeout=settings.timeout_seconds)

    def send(self, part: dict[str, Any], line: int, batch: list[str]) -> list[dict[str, Any]]:
        """Send one batch; the documents that are refused, with the reasons."""
        head = json.dumps(self._head | {"documents": part["documents"], "change": part["change"]})
        answer = self._post(f'{head[:-1]}, "entries": [{",".join(batch)}]}}', f"{self._key}/{part['name']}/{line}-{line + len(batch)}")
        if answer.status in ABOUT_CONTENT and len(batch) > 1:
            half = len(batch) // 2
            return self.send(part, line, batch[:half]) + self.send(part, line + half, batch[half:])
        if answer.status in ABOUT_CONTENT:
            return [{"part": part["name"], "line": line + 1, "status": answer.status, "reason": _reason(answer)}]
        return [{"part": part["name"], "line": line + 1 + index, "status": answer.status, "reason": reason} for index, reason in _errors(answer, len(batch))]

    def finish(self) -> None:
        """Send the manifest: from now on the documents count."""
        answer = self._post(json.dumps(self._head | {"manifest": self._manifest}), f"{self._key}/{MANIFEST}")
        if answer.status in ABOUT_CONTENT:
            raise ManifestRefusedError(
                f"{self._to} refused the manifest of {self._bundle} with status {answer.status}, and shows what it had before. Ask its operator; "
                f"run this again and everything is sent anew."
            )

    def _post(self, body: str, key: str) -> "urllib3.BaseHTTPResponse":
        import urllib3

        time.sleep(max(0.0, self._sent_at + self._pause - time.monotonic()))
        self._sent_at = time.monotonic()
        self.n_requests += 1
        try:
            answer = self._pool.request("POST", self._to, body=body.encode(), headers={**self._headers, "Idempotency-Key": key}, redirect=False)
        except urllib3.exceptions.HTTPError as error:
            raise DeliveryError(f"{self._to} cannot be reached ({type(error).__name__}). Run this again: it goes on where it stopped.") from error
        if answer.status == BASE_MISSING and self._manifest["kind"] == "delta":
            raise BaseMissingError(f"{self._to} does not have bundle {self._manifest['base_sequence']:06d}, which {self._bundle} is from.")
        if answer.status >= 300 and answer.status not in ABOUT_CONTENT:
            what = "check DAWNLIST_DELIVERY__TOKEN" if answer.status in (401, 403) else "check delivery.to, or ask its operator"
            raise DeliveryError(f"{self._to} answered with status {answer.status}: {what}. Run this again: it goes on where it stopped.")
        return answer


def _errors(answer: "urllib3.BaseHTTPResponse", size: int) -> list[tuple[int, str]]:
    """Index within the batch and reason of the documents that an answer names in `errors`: [{"index": 0, "reason": "…"}, …]."""
    try:
        found = json.loads(answer.data)["errors"]
        return [(int(one["index"]), str(one.get("reason", ""))) for one in found if 0 <= int(one["index"]) < size]
    except (ValueError, KeyError, TypeError):
        return []


def _reason(answer: "urllib3.BaseHTTPResponse") -> str:
    return answer.data[:200].decode(errors="replace")
