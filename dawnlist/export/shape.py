"""A CMS of its own REST shape, brought to the state of a full bundle: what it lists is compared, and what differs is sent.

Nothing needs to be remembered: what was cut short, refused or lost differs the next time. The manifest is the last document.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dawnlist.duck import literal
from dawnlist.export import compare
from dawnlist.export.compare import MANIFEST_KIND, Action
from dawnlist.export.contract import KINDS
from dawnlist.export.http import ABOUT_CONTENT, Client, kept, reason
from dawnlist.export.presets import Preset, Write, Writes, at, fill, fill_path

if TYPE_CHECKING:
    import duckdb
    import urllib3

ROUNDS: Final = 2  # what was refused, or sent twice, is looked at and sent once more
GONE: Final = 404
Refused = dict[str, Any]


@dataclass(frozen=True)
class Brought:
    """What was sent in all rounds. `refused`: documents that the CMS did not take in the last one."""

    documents: int
    refused: list[Refused]


def bring(connection: "duckdb.DuckDBPyConnection", client: Client, preset: Preset, writes: Writes, *, expires_at: str) -> Brought:
    """Send what differs, after `compare.load` and `compare.listed`. Raises DeliveryError; the same call goes on."""
    sender, n_documents = _Sender(client, writes, expires_at), 0
    refused: list[Refused] = []
    for number in range(ROUNDS):
        if number:
            compare.listed(connection, client, preset)
        n_retried, refused = client.n_retried, []
        for kind in (*KINDS, MANIFEST_KIND):
            for action in ("create", "update", "delete"):
                for batch in _batches(connection, kind, action, getattr(writes, action).size):
                    refused += sender.send(kind, action, batch)
                    n_documents += len(batch)
        if not refused and client.n_retried == n_retried:
            break
    return Brought(n_documents, refused)


def _batches(connection: "duckdb.DuckDBPyConnection", kind: str, action: Action, size: int) -> Iterator[list[dict[str, Any]]]:
    """The changes of one kind in the order of the ids, `size` at a time: dictionaries of id, handle, hash and document."""
    chosen = f"(SELECT id, handle FROM changes WHERE kind = {literal(kind)} AND change = {literal(action)}) AS chosen"
    documents = f"JOIN (SELECT id, hash, document FROM documents WHERE kind = {literal(kind)}) AS documents USING (id)"
    columns, rest = ("hash, document", documents) if action != "delete" else ("NULL, NULL", "")
    found = connection.execute(f"SELECT id, handle, {columns} FROM {chosen} {rest} ORDER BY id, handle")
    names = ("id", "handle", "hash", "document_text")
    while rows := found.fetchmany(size):
        yield [dict(zip(names, row, strict=True)) for row in rows]


class _Sender:
    """Changes as requests of the shape `writes`."""

    def __init__(self, client: Client, writes: Writes, expires_at: str) -> None:
        self._client, self._writes, self._expires_at = client, writes, expires_at

    def send(self, kind: str, action: Action, batch: list[dict[str, Any]]) -> list[Refused]:
        """Send one batch; the documents that are refused, with the reasons."""
        write: Write = getattr(self._writes, action)
        values = [self._values(kind, action, document) for document in batch]
        each = [fill(write.each, one) for one in values]
        body = None if write.body is None else json.dumps(fill(write.body, values[0] | {"each": each}))
        answer = self._client.request(write.method, fill_path(write.path, values[0]), body, passed=() if action == "create" else (GONE,))
        if answer.status in ABOUT_CONTENT and len(batch) > 1:
            half = len(batch) // 2
            return self.send(kind, action, batch[:half]) + self.send(kind, action, batch[half:])
        return [
            {"documents": kind, "id": batch[place]["id"], "change": action, "status": status, "reason": why}
            for place, status, why in _refused(answer, write, len(batch))
            if (action, status) != ("delete", GONE)
        ]

    def _values(self, kind: str, action: Action, document: dict[str, Any]) -> dict[str, Any]:
        values = document | {"documents": kind, "collection": self._writes.collections[kind], "expires_at": self._expires_at}
        if action == "delete":
            return values
        values["document"] = json.loads(document["document_text"])
        return values | {"entry": fill(self._writes.entry, values)}


def _refused(answer: "urllib3.BaseHTTPResponse", write: Write, size: int) -> list[tuple[int, int, str]]:
    """Place within the batch, status and reason of the documents that an answer refuses."""
    if answer.status >= 300:
        return [(place, answer.status, reason(answer)) for place in range(size)]
    if write.refusals is None:
        return []
    try:
        answers = at(json.loads(answer.data), write.refusals.entries) or []
    except ValueError:
        answers = []
    found = [(place, int(at(one, write.refusals.status) or 0), kept(str(at(one, write.refusals.reason) or ""))) for place, one in enumerate(answers[:size])]
    return [(place, status, why) for place, status, why in found if status >= 300] + [
        (place, answer.status, "not answered") for place in range(len(found), size)
    ]
