"""What both serving stores have in common: the record of a publication, the interface, and the audit of what is to be published."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import astuple, dataclass, fields
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from dawnlist.columns import SERVING_TABLES
from dawnlist.errors import PublicationError

if TYPE_CHECKING:
    import duckdb

SCHEMA: Final = "serving"
# The items that may be shown: side table of a publication that is being made, dropped when the audit has passed.
SERVABLE: Final = "servable_items"

NIGHT, ROLLBACK, SUPPRESSION, REFRESH = "night", "rollback", "suppression", "refresh"

REFRESHED: Final = "refreshed_"  # how the tables of a night begin that its refreshes make

PRIMARY_KEYS: Final = {
    "recommendations": ("user_id", "rank"),
    "similar_items": ("item_id", "rank"),
    "popular_items": ("scope", "scope_value", "rank"),
    "user_segments": ("user_id", "kind", "segment"),
    "user_aliases": ("alias_id",),
}
# list table -> (the columns that name one list, the columns that hold shown items)
LISTS: Final = {
    "recommendations": (("user_id",), ("item_id",)),
    "similar_items": (("item_id",), ("similar_item_id", "item_id")),
    "popular_items": (("scope", "scope_value"), ("item_id",)),
}


@dataclass(frozen=True)
class Publication:
    """One row of `publications`. Times are UTC without a zone. `content_hash` covers all rows without run ids and clock times.

    `kind`: NIGHT, ROLLBACK, SUPPRESSION or REFRESH; all but the first are made from publication `of_sequence`, and have its run date. `refreshed_until`: the
    end of the newest hour that active persons' lists know; None where they know the night alone.
    """

    sequence: int
    run_date: date
    run_id: str
    model_version: str | None
    published_at: datetime
    expires_at: datetime
    n_users: int
    n_recommendations: int
    n_similar_items: int
    n_popular_items: int
    n_user_aliases: int
    content_hash: str
    kind: str = NIGHT
    of_sequence: int | None = None
    n_user_segments: int = 0
    refreshed_until: datetime | None = None

    @property
    def rows(self) -> dict[str, int]:
        """Rows per serving table."""
        return {table: getattr(self, f"n_{table}") for table in SERVING_TABLES}


PUBLICATIONS: Final = {
    "sequence": "BIGINT",  # 1 = the first publication of this store
    "run_date": "DATE",
    "run_id": "VARCHAR",
    "model_version": "VARCHAR",
    "published_at": "TIMESTAMP",
    "expires_at": "TIMESTAMP",
    "n_users": "BIGINT",
    "n_recommendations": "BIGINT",
    "n_similar_items": "BIGINT",
    "n_popular_items": "BIGINT",
    "n_user_aliases": "BIGINT",
    "content_hash": "VARCHAR",  # SHA-256
    "kind": "VARCHAR",  # night, rollback, suppression or refresh
    "of_sequence": "BIGINT",  # the publication that all but a night were made from
    "n_user_segments": "BIGINT",
    "refreshed_until": "TIMESTAMP",  # the end of the newest hour that active persons' lists know
}
PUBLICATION_COLUMNS: Final = ", ".join(field.name for field in fields(Publication))


class Store(Protocol):
    """Where publications go. Both stores keep the same tables, in the schema `serving`."""

    @property
    def location(self) -> str:
        """Where the tables are, for people; without a password."""

    def publications(self) -> list[Publication]:
        """The history, oldest first; empty when nothing was ever published. The last one is what readers see."""

    def replace(self, prepared: Path, publication: Publication) -> None:
        """Make the tables of the DuckDB file `prepared` the published ones, in one step; `prepared` is used up.

        It has passed the audit. Raises PublicationError when not all of its rows arrived, ServingError when the store cannot be written;
        then what was published stays.
        """

    def published(self, connection: "duckdb.DuckDBPyConnection") -> AbstractContextManager[Publication]:
        """Within the context, `published.serving.<table>` of `connection` are the published tables, all of one publication.

        Raises MissingInputError when nothing was published yet.
        """


def insert_of(publication: Publication, table: str) -> str:
    """An INSERT of `publication` into `table`, in SQL that both stores speak."""
    return f"INSERT INTO {table} ({PUBLICATION_COLUMNS}) VALUES ({', '.join(_literal(value) for value in astuple(publication))})"


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"


def audit(connection: "duckdb.DuckDBPyConnection", publication: Publication) -> None:
    """Raise PublicationError unless the tables of schema `serving` of `connection` hold what `publication` says, and nothing that may not be shown.

    It is done where the tables are made, whatever the store: a store then has to see that all rows have arrived, and nothing else.
    """
    found = _missing(lambda table: count(connection, f"SELECT count(*) FROM {SCHEMA}.{table}"), publication)
    for table, (keys, items) in LISTS.items():
        found += [f"{number} {fault} in {table}" for fault, number in _faults(connection, f"{SCHEMA}.{table}", keys, items) if number]
    repeated = count(connection, f"SELECT count(*) FROM (SELECT alias_id FROM {SCHEMA}.user_aliases GROUP BY alias_id HAVING count(*) > 1)")
    found += [f"{repeated} ids lead to more than one person in user_aliases"] if repeated else []
    found += [f"{table} is empty" for table in ("recommendations", "popular_items") if not publication.rows[table]]
    _refuse(found, publication)


def check_arrived(rows_in: Callable[[str], int], publication: Publication) -> None:
    """Raise PublicationError unless a store has all rows: `rows_in` counts those of a serving table there."""
    _refuse(_missing(rows_in, publication), publication)


def _missing(rows_in: Callable[[str], int], publication: Publication) -> list[str]:
    counts = {table: rows_in(table) for table in SERVING_TABLES}
    return [f"{table} has {counts[table]} rows instead of {rows}" for table, rows in publication.rows.items() if counts[table] != rows]


def _refuse(found: list[str], publication: Publication) -> None:
    if found:
        raise PublicationError(
            f"The lists of {publication.run_date} were not published: {'; '.join(found)}. What was published before stays; "
            f"run `dawnlist recommend` and `dawnlist publish` for this night again."
        )


def count(connection: "duckdb.DuckDBPyConnection", query: str) -> int:
    """The one number that `query` gives."""
    [(number,)] = connection.execute(query).fetchall()
    return int(number)


def _faults(connection: "duckdb.DuckDBPyConnection", name: str, keys: tuple[str, ...], items: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    """What the lists of table `name` must not have, and how often they have it."""
    [(misranked, repeated)] = connection.execute(f"""
        WITH lists AS (
            SELECT count(*) AS n, min(rank) AS first, max(rank) AS last, list(rank) AS ranks, list({items[0]}) AS items FROM {name} GROUP BY {", ".join(keys)}
        )
        SELECT count(*) FILTER (first <> 1 OR last <> n OR len(list_distinct(ranks)) <> n), count(*) FILTER (len(list_distinct(items)) <> n) FROM lists
    """).fetchall()
    yield "lists whose ranks are not 1, 2, 3 …", misranked
    yield "lists that name an item twice", repeated
    yield "scores that are no number", count(connection, f"SELECT count(*) FROM {name} WHERE score IS NULL OR NOT abs(score) < 'infinity'::float8")
    for column in items:
        shown = f"SELECT count(*) FROM {name} AS shown ANTI JOIN {SCHEMA}.{SERVABLE} AS may ON may.item_id = shown.{column}"
        yield f"rows whose {column} is blocked, unavailable or unknown", count(connection, shown)
