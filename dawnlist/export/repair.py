"""A delta for one consumer: chosen documents of a full bundle, and keys that are to go.

    deliveries/<consumer>/000007-repair-1a2b3c4d/     the name is of the content: the same repair has the same name

It is from the bundle that the consumer has to the newest one, and is kept until it has arrived.
"""

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dawnlist.duck import literal
from dawnlist.export.contract import KINDS, MANIFEST, Change, Documents, Part, read_manifest
from dawnlist.export.documents import KIND
from dawnlist.files import make_folder, place_folder, sha256_of, write_json

if TYPE_CHECKING:
    import duckdb

ROWS: Final = 10_000  # lines that are fetched at once


def write(connection: "duckdb.DuckDBPyConnection", full: Path, place: Path, *, base_sequence: int) -> Path:
    """Write the delta of the table `chosen` (kind, id, change: upsert or delete), after `compare.load` of the bundle `full`, below `place`."""
    manifest = read_manifest(full)
    shutil.rmtree(place, ignore_errors=True)
    aside = place / ".partial"
    make_folder(aside)
    parts = [part for kind in KINDS for change in ("upsert", "delete") for part in _part(connection, aside, kind, change)]  # type: ignore[arg-type]
    counts = {
        change: {kind: sum(part.rows for part in parts if (part.documents, part.change) == (kind, change)) for kind in KINDS} for change in ("upsert", "delete")
    }
    changed = {
        "kind": "delta",
        "base_sequence": base_sequence,
        "rows": counts["upsert"],
        "deletes": counts["delete"],
        "parts": [asdict(part) for part in parts],
    }
    write_json(aside / MANIFEST, manifest | changed)
    content = hashlib.sha256("".join(f"{part.name}{part.sha256}" for part in parts).encode()).hexdigest()[:8]
    folder = place / f"{manifest['sequence']:06d}-repair-{content}"
    place_folder(aside, folder)
    return folder


def _part(connection: "duckdb.DuckDBPyConnection", folder: Path, kind: Documents, change: Change) -> Iterator[Part]:
    line = "document" if change == "upsert" else f"to_json({{{', '.join(f'{name}: {value}' for name, value in KIND[kind].key.items())}}})::VARCHAR"
    relation = "documents SEMI JOIN {} USING (id)" if change == "upsert" else "{}"
    chosen = f"(SELECT id FROM chosen WHERE kind = {literal(kind)} AND change = {literal(change)}) AS chosen"
    where = f"WHERE kind = {literal(kind)}" if change == "upsert" else ""
    found = connection.execute(f"SELECT {line} FROM {relation.format(chosen)} {where} ORDER BY id")
    stem = kind if change == "upsert" else f"{kind}-deleted"
    path, n_rows = folder / (f"{stem}.jsonl" if kind == "fallbacks" else f"{stem}-00001.jsonl"), 0
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        while rows := found.fetchmany(ROWS):
            stream.writelines(f"{text}\n" for (text,) in rows)
            n_rows += len(rows)
    if n_rows:
        yield Part(path.name, kind, change, "jsonl", n_rows, path.stat().st_size, sha256_of(path))
    else:
        path.unlink()
