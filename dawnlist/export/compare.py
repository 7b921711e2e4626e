"""What a CMS says that it has, against a full bundle.

`load` makes the view `documents` (kind, id, hash, document as JSON text) and the table `wanted` (the same without the documents); `listed` fills the table `there`
(kind, id, handle, hash). The view `changes` (kind, id, handle, change) is what has to be created, updated and deleted there. `manifest` is a kind of its own, with one document.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from dawnlist.duck import literal
from dawnlist.errors import CorruptedError, DeliveryError, SettingsError
from dawnlist.export.contract import KINDS, read_manifest
from dawnlist.export.http import ABOUT_CONTENT, Client
from dawnlist.export.presets import Listing, Preset, at, fill_path

if TYPE_CHECKING:
    import duckdb

Action = Literal["create", "update", "delete"]
MANIFEST_KIND: Final = "manifest"
MANIFEST_ID: Final = "latest"
_ID: Final = {
    "users": "json ->> '$.user_id'",
    "items": "json ->> '$.item_id'",
    "fallbacks": "concat(json ->> '$.scope', ':', json ->> '$.scope_value')",
}
_CHANGES: Final = """
    CREATE VIEW changes AS
    WITH known AS (SELECT *, row_number() OVER (PARTITION BY kind, id ORDER BY handle) AS number FROM there)
    SELECT wanted.kind, wanted.id, handle, CASE WHEN handle IS NULL THEN 'create' ELSE 'update' END AS change
    FROM wanted LEFT JOIN (FROM known WHERE number = 1) AS known USING (kind, id)
    WHERE known.hash IS DISTINCT FROM wanted.hash
    UNION ALL
    SELECT kind, id, handle, 'delete' AS change FROM known ANTI JOIN wanted USING (kind, id)
    UNION ALL
    SELECT kind, id, handle, 'delete' AS change FROM known SEMI JOIN wanted USING (kind, id) WHERE number > 1"""


@dataclass(frozen=True)
class Difference:
    """How the CMS differs from the bundle in one kind of document: documents that it lacks, that are too many, and that say something else, of `wanted`."""

    kind: str
    wanted: int
    missing: int
    surplus: int
    differing: int

    def __str__(self) -> str:
        return f"{self.kind}: {self.missing:,} missing, {self.surplus:,} surplus, {self.differing:,} differing, of {self.wanted:,}"


def look(connection: "duckdb.DuckDBPyConnection", folder: Path, client: Client, preset: Preset) -> None:
    """Make the tables and views of the full bundle in `folder`, and ask the CMS what it has. Raises what `load` and `listed` raise."""
    load(connection, folder, with_manifest=preset.writes is not None)
    listed(connection, client, preset)


def load(connection: "duckdb.DuckDBPyConnection", folder: Path, *, with_manifest: bool = False) -> None:
    """Make `documents` and `wanted` of the full bundle in `folder`, an empty `there`, and `changes`.

    Raises SettingsError when the bundle has no JSON lines, and CorruptedError when its documents have no hashes (contract 1.1 and older).
    """
    manifest = read_manifest(folder)
    selects = []
    for kind in KINDS:
        files = [str(folder / part["name"]) for part in manifest["parts"] if (part["documents"], part["format"]) == (kind, "jsonl")]
        if files:
            selects.append(
                f"SELECT {literal(kind)} AS kind, {_ID[kind]} AS id, json ->> '$.hash' AS hash, json::VARCHAR AS document "
                f"FROM read_json_objects([{', '.join(map(literal, files))}], format = 'newline_delimited')"
            )
    if not selects:
        raise SettingsError("Documents go by HTTP from parts in JSON lines: add jsonl to export.formats and export again.")
    if with_manifest:
        text = json.dumps(manifest, sort_keys=True)
        row = ", ".join(map(literal, (MANIFEST_KIND, MANIFEST_ID, sha256(text.encode()).hexdigest(), text)))
        selects.append(f"SELECT * FROM (VALUES ({row}))")
    connection.execute(f"CREATE VIEW documents AS {' UNION ALL '.join(selects)}")
    connection.execute("CREATE TABLE wanted AS SELECT kind, id, hash FROM documents")
    connection.execute("CREATE TABLE there (kind VARCHAR, id VARCHAR, handle VARCHAR, hash VARCHAR)")
    connection.execute(_CHANGES)
    if connection.execute("SELECT 1 FROM wanted WHERE hash IS NULL LIMIT 1").fetchall():
        raise CorruptedError(f"{folder} is of a release whose documents had no hash: run `dawnlist export` again.")


def listed(connection: "duckdb.DuckDBPyConnection", client: Client, preset: Preset) -> None:
    """Fill `there` with what the CMS lists. Raises DeliveryError when it cannot be understood."""
    import pyarrow as pa

    connection.execute("DELETE FROM there")
    columns = pa.schema([(name, pa.string()) for name in ("id", "handle", "hash")])
    for kind in (*KINDS, MANIFEST_KIND) if preset.writes else KINDS:
        for page in _pages(client, preset.list, kind, preset.writes.collections[kind] if preset.writes else kind):
            connection.register("page", pa.Table.from_pylist(page, schema=columns))
            connection.execute(f"INSERT INTO there SELECT {literal(kind)}, id, handle, hash FROM page WHERE id <> ''")
            connection.unregister("page")


def _pages(client: Client, listing: Listing, kind: str, collection: str) -> Iterator[list[dict[str, str | None]]]:
    """The entries of one kind, until a page is empty: id, handle and hash."""
    offset, before = 0, None
    while True:
        values = {"documents": kind, "collection": collection, "offset": offset, "limit": listing.limit}
        answer = client.request("GET", fill_path(listing.path, values))
        try:
            entries: Sequence[Any] | None = None if answer.status in ABOUT_CONTENT else at(json.loads(answer.data), listing.entries)
        except ValueError:
            entries = None
        if not isinstance(entries, list):
            raise DeliveryError(f"{client.to} answered with status {answer.status} and no list of {kind} that it has: see docs/cms.md for what it needs.")
        if not entries:
            return
        page = [{name: _text(at(entry, getattr(listing, name))) for name in ("id", "handle", "hash")} for entry in entries]
        if not any(entry["id"] for entry in page) or page == before:
            raise DeliveryError(f"{client.to} lists {kind} without {listing.id}, or the same page twice: see docs/cms.md for the fields that it needs.")
        yield page
        offset, before = offset + len(entries), page


def differences(connection: "duckdb.DuckDBPyConnection") -> list[Difference]:
    """One for each kind of document."""
    found = {
        kind: counts
        for kind, *counts in connection.execute("""
            SELECT kind, count(*) FILTER (change = 'create'), count(*) FILTER (change = 'delete'), count(*) FILTER (change = 'update') FROM changes GROUP BY kind
        """).fetchall()
    }
    wanted = dict(connection.execute("SELECT kind, count(*) FROM wanted GROUP BY kind").fetchall())
    return [Difference(kind, wanted.get(kind, 0), *found.get(kind, (0, 0, 0))) for kind in (*KINDS, MANIFEST_KIND) if kind in KINDS or kind in wanted]


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
