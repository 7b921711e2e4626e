"""The documents of a publication, as tables: users, items, fallbacks. One row per document.

Each has its columns as the contract names them, and beside them `id` (the key as text), `hash` (SHA-256 of the document as JSON without
`expires_at`, which changes every night) and `n_bytes` (the length of that JSON).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dawnlist.duck import literal, scan
from dawnlist.export.contract import MOMENT, Documents
from dawnlist.serving import suppression
from dawnlist.serving.base import LISTS, NIGHT, REFRESHED

if TYPE_CHECKING:
    import duckdb

    from dawnlist.lake import Snapshot
    from dawnlist.serving import Publication

SPAN_KEYS: Final = 50_000  # documents that are put together at once: bounds the memory
_ITEM: Final = "{item_id: item_id, rank: rank, score: score, source: source}"
_ITEMS: Final = {"item_id": "VARCHAR", "title": "VARCHAR", "is_available": "BOOLEAN", "is_blocked": "BOOLEAN"}  # columns of dim_items


@dataclass(frozen=True)
class Kind:
    """A kind of document. `columns`: what a document has, in order; `nested`: those that are lists; `key`: column of the key -> SQL that has it from `id`."""

    columns: tuple[str, ...]
    nested: tuple[str, ...]
    key: dict[str, str]


KIND: Final[dict[Documents, Kind]] = {
    "users": Kind(
        ("user_id", "aliases", "segment", "tags", "personalised", "expires_at", "hash", "recommendations"),
        ("aliases", "tags", "recommendations"),
        {"user_id": "id"},
    ),
    "items": Kind(("item_id", "title", "available", "expires_at", "hash", "similar_items"), ("similar_items",), {"item_id": "id"}),
    "fallbacks": Kind(  # no scope has a colon in it
        ("scope", "scope_value", "expires_at", "hash", "items"),
        ("items",),
        {"scope": "split_part(id, ':', 1)", "scope_value": "substr(id, strpos(id, ':') + 1)"},
    ),
}


def build(connection: "duckdb.DuckDBPyConnection", publication: "Publication", night: "Snapshot", lake: "Snapshot") -> None:
    """Make the tables of all documents in `connection`, which has the publication as `published.serving`, and the view `hashes` of them all.

    `night` has the items of the publication's run date, and those of the hour that it was refreshed until. What a refresh, a rollback or a suppression took off the lists since, by the
    items of the `lake`, is not available either; an item that is on a list is. Segments are published of people with consent alone: nobody else has one, or tags.
    """
    table, stage = (f"{REFRESHED}dim_items", "refresh") if publication.refreshed_until else ("dim_items", "transform")
    connection.execute(f"CREATE TEMP VIEW dim_items AS FROM {scan(night.require(table, stage=stage), _ITEMS)}")
    taken_off = suppression.hidden(lake, publication.published_at) if publication.kind != NIGHT else "SELECT NULL::VARCHAR AS item_id WHERE false"
    shown = " UNION ALL ".join(f"SELECT {item} AS item_id FROM published.serving.{table}" for table, (_, items) in LISTS.items() for item in items)
    connection.execute(f"CREATE TEMP TABLE hidden AS SELECT item_id FROM ({taken_off}) ANTI JOIN ({shown}) USING (item_id)")
    expires_at = literal(publication.expires_at.strftime(MOMENT))
    fill(connection, "users", expires_at, [_users(span) for span in _spans(connection, "published.serving.recommendations", "user_id")])
    fill(connection, "items", expires_at, [_items(span) for span in _spans(connection, "dim_items", "item_id")])
    fill(connection, "fallbacks", expires_at, [_FALLBACKS])
    view(connection)


def firings(connection: "duckdb.DuckDBPyConnection", night: "Snapshot") -> list[dict[str, Any]]:
    """Which triggers fired, as the manifest lists them: those on persons as published, and those on the site as the `night` has them."""
    site = scan(night.files("rule_firings"), {"rule": "VARCHAR", "kind": "VARCHAR"})
    rows = connection.execute(f"""
        SELECT segment, 'person', segment_label, count(*) FROM published.serving.user_segments WHERE kind = 'trigger' GROUP BY ALL
        UNION ALL SELECT rule, kind, NULL, NULL FROM {site} WHERE kind = 'site' ORDER BY ALL
    """).fetchall()
    return [dict(zip(("rule", "kind", "tag", "users"), row, strict=True)) for row in rows]


def view(connection: "duckdb.DuckDBPyConnection") -> None:
    """Make the view `hashes`: kind, id and hash of every document."""
    connection.execute(f"CREATE TEMP VIEW hashes AS {' UNION ALL '.join(f'SELECT {literal(kind)} AS kind, id, hash FROM {kind}' for kind in KIND)}")


def fill(connection: "duckdb.DuckDBPyConnection", kind: Documents, expires_at: str, queries: list[str]) -> None:
    """Make the table of one kind from queries for its documents without `expires_at` (an SQL literal), one after the other."""
    for number, query in enumerate(queries):
        rows = f"""
            SELECT document.*, {expires_at} AS expires_at, {_ID[kind]} AS id,
                unhex(sha256(to_json(document)::VARCHAR)) AS hash, strlen(to_json(document)::VARCHAR) AS n_bytes
            FROM ({query}) AS document ORDER BY id"""
        connection.execute(f"{'INSERT INTO' if number else 'CREATE TABLE'} {kind} {'' if number else 'AS'} {rows}")


def _spans(connection: "duckdb.DuckDBPyConnection", table: str, key: str) -> list[str]:
    """Conditions on `key` that cut `table` into spans of SPAN_KEYS keys, in the order of the keys. One that holds for none where there is nothing."""
    firsts = connection.execute(
        f"SELECT {key} FROM (SELECT {key}, row_number() OVER (ORDER BY {key}) AS number FROM (SELECT DISTINCT {key} FROM {table})) "
        f"WHERE (number - 1) % {SPAN_KEYS} = 0 ORDER BY {key}"
    ).fetchall()
    return spans(key, [first for (first,) in firsts]) or ["false"]


def spans(key: str, firsts: list[str]) -> list[str]:
    """Conditions for the half-open spans of `key` that begin at `firsts`, which are in order; the last one has no end."""
    bounds = [literal(first) for first in firsts]
    return [f"{key} >= {low}" + (f" AND {key} < {high}" if high else "") for low, high in zip(bounds, [*bounds[1:], None], strict=False)]


def _users(span: str) -> str:
    return f"""
        WITH lists AS (
            SELECT user_id, list({{item_id: item_id, rank: rank, score: score, source: source, reason: reason}} ORDER BY rank) AS recommendations
            FROM published.serving.recommendations WHERE {span} GROUP BY user_id
        ),
        other_ids AS (
            SELECT user_id, list(alias_id ORDER BY alias_id) AS aliases
            FROM published.serving.user_aliases WHERE {span} AND alias_id <> user_id GROUP BY user_id
        ),
        known AS (
            SELECT user_id, min(segment_label) FILTER (kind = 'cluster') AS segment,
                list_sort(list(DISTINCT segment_label) FILTER (kind IN ('tag', 'trigger'))) AS tags
            FROM published.serving.user_segments WHERE {span} GROUP BY user_id
        )
        SELECT user_id, coalesce(aliases, []::VARCHAR[]) AS aliases, known.segment, coalesce(tags, []::VARCHAR[]) AS tags,
            known.user_id IS NOT NULL AS personalised, recommendations
        FROM lists LEFT JOIN other_ids USING (user_id) LEFT JOIN known USING (user_id)"""


def _items(span: str) -> str:
    similar = _ITEM.replace("item_id: item_id", "item_id: similar_item_id")
    return f"""
        WITH neighbours AS (
            SELECT item_id, list({similar} ORDER BY rank) AS similar_items FROM published.serving.similar_items WHERE {span} GROUP BY item_id
        )
        SELECT item_id, title, is_available IS NOT FALSE AND is_blocked IS NOT TRUE AND item_id NOT IN (FROM hidden) AS available, coalesce(similar_items, []) AS similar_items
        FROM (FROM dim_items WHERE {span}) LEFT JOIN neighbours USING (item_id)"""


_FALLBACKS: Final = f"SELECT scope, scope_value, list({_ITEM} ORDER BY rank) AS items FROM published.serving.popular_items GROUP BY scope, scope_value"
_ID: Final = {"users": "user_id", "items": "item_id", "fallbacks": "concat(scope, ':', scope_value)"}
