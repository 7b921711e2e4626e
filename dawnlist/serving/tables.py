"""The serving tables of a night, made in a DuckDB file aside.

Lists keep their order; an item that is blocked or unavailable is left out of `similar_items` and `popular_items`, and the ranks
close up. `recommendations` is taken as it is: the policies have been applied, and the audit refuses what slipped through.
"""

from datetime import date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dawnlist.columns import SERVING_TABLES
from dawnlist.duck import identifier, literal, scan
from dawnlist.serving.base import PRIMARY_KEYS, SCHEMA, SERVABLE, Publication

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import duckdb

    from dawnlist.lake import Snapshot

DAY: Final = timedelta(days=1)
# Left out of the content hash: they differ between two runs of the same night.
OF_THE_RUN: Final = ("run_id", "published_at")


def prepare(
    connection: "duckdb.DuckDBPyConnection",
    night: "Snapshot",
    *,
    run_date: date,
    sequence: int,
    run_id: str,
    published_at: datetime,
    expires_at: datetime,
    aged: str | None = None,
) -> Publication:
    """Create the serving tables of the night of `run_date` in schema `serving` of `connection`, ordered by their keys, and return their publication.

    A list that was made on an earlier day expires so much earlier, and keeps the run_id and published_at that `aged` has of it: a relation of the recommendations that are published now.
    `night` is the state of the night's tables. Raises MissingInputError when one of them is missing.
    """
    connection.execute(f"CREATE SCHEMA {SCHEMA}")
    for table, query in _queries(night, run_date).items():
        stamp = {"run_id": literal(run_id), "published_at": literal(f"{published_at}"), "expires_at": literal(f"{expires_at}")}
        wanted = SERVING_TABLES.get(table, {"item_id": "VARCHAR"})
        columns = ", ".join(f"CAST({stamp.get(name, identifier(name))} AS {kind}) AS {identifier(name)}" for name, kind in wanted.items())
        order = ", ".join(PRIMARY_KEYS.get(table, ("item_id",)))
        connection.execute(f"CREATE TABLE {SCHEMA}.{table} AS SELECT {columns} FROM ({query}) ORDER BY {order}")
    _age(connection, night, run_date, aged)
    return described(connection, run_date=run_date, sequence=sequence, run_id=run_id, published_at=published_at, expires_at=expires_at)


def _age(connection: "duckdb.DuckDBPyConnection", night: "Snapshot", run_date: date, aged: str | None) -> None:
    """Give the lists that were carried over their own expiry, run and moment."""
    carried = f"""
        SELECT person_id AS user_id, {literal(str(run_date))}::DATE - made_on AS days FROM {scan(night.files("recommendations"), _NIGHT_COLUMNS["recommendations"])}
        WHERE rank = 1 AND made_on < {literal(str(run_date))}::DATE
    """
    connection.execute(
        f"UPDATE {SCHEMA}.recommendations AS new SET expires_at = expires_at - to_days(days::INTEGER) FROM ({carried}) AS carried WHERE new.user_id = carried.user_id"
    )
    if aged is not None:
        connection.execute(f"""
            UPDATE {SCHEMA}.recommendations AS new SET run_id = old.run_id, published_at = old.published_at
            FROM (SELECT user_id, run_id, published_at FROM {aged} SEMI JOIN ({carried}) USING (user_id) WHERE rank = 1) AS old WHERE new.user_id = old.user_id
        """)


def renew(
    connection: "duckdb.DuckDBPyConnection", renewed: "Mapping[str, Sequence[Path]]", *, run_id: str, published_at: datetime, expires_at: datetime
) -> None:
    """Put the rows of night's tables in files into the serving tables of `connection`: new lists of some persons and of all popular scopes; other rows stay as they are."""
    stamp = {"run_id": literal(run_id), "published_at": literal(f"{published_at}"), "expires_at": literal(f"{expires_at}")}
    for table, key in (("recommendations", "user_id"), ("popular_items", "scope")):
        night = scan(renewed[table], _NIGHT_COLUMNS[table])
        own = {"user_id": "person_id"}
        columns = ", ".join(
            f"CAST({stamp.get(name, identifier(own.get(name, name)))} AS {kind}) AS {identifier(name)}" for name, kind in SERVING_TABLES[table].items()
        )
        connection.execute(f"CREATE OR REPLACE TEMP TABLE renewed AS SELECT {columns} FROM {night}")
        kept = (
            f"FROM {SCHEMA}.{table} ANTI JOIN renewed USING ({key})" if table == "recommendations" else f"FROM {SCHEMA}.{table} WHERE NOT EXISTS (FROM renewed)"
        )
        order = ", ".join(PRIMARY_KEYS[table])
        connection.execute(
            f"CREATE OR REPLACE TABLE {SCHEMA}.{table} AS SELECT {', '.join(SERVING_TABLES[table])} FROM ({kept} UNION ALL FROM renewed) ORDER BY {order}"
        )


def described(connection: "duckdb.DuckDBPyConnection", **known: Any) -> Publication:
    """The publication of the serving tables of `connection`: what is counted in them beside what is `known`."""
    return Publication(
        **known,
        model_version=_one(connection, f"SELECT max(model_version) FROM {SCHEMA}.recommendations"),
        n_users=_one(connection, f"SELECT count(DISTINCT user_id) FROM {SCHEMA}.recommendations"),
        **{f"n_{table}": _one(connection, f"SELECT count(*) FROM {SCHEMA}.{table}") for table in SERVING_TABLES},
        content_hash=content_hash(connection, SCHEMA),
    )


def stamp(connection: "duckdb.DuckDBPyConnection", *, run_id: str, published_at: datetime) -> None:
    """Say in all rows who publishes them now, and when."""
    for table, columns in SERVING_TABLES.items():
        if "run_id" in columns:
            connection.execute(f"UPDATE {SCHEMA}.{table} SET run_id = {literal(run_id)}, published_at = TIMESTAMP {literal(str(published_at))}")


def expiry(run_date: date, expires_days: int) -> datetime:
    """When the lists of `run_date` are no longer to be shown: so many days after the end of that day."""
    return datetime(run_date.year, run_date.month, run_date.day) + DAY + timedelta(days=expires_days)


def content_hash(connection: "duckdb.DuckDBPyConnection", schema: str) -> str:
    """SHA-256 over a table's number of rows and two sums of their hashes, for all tables: equal content, equal hash, whatever the order of the rows.

    Run ids and clock times do not count. Each row is hashed by DuckDB, to 64 bits; another version of DuckDB may hash otherwise, and then takes equal content for new.
    """
    digest = sha256()
    for table, columns in SERVING_TABLES.items():
        row = ", ".join(identifier(name) for name in columns if name not in OF_THE_RUN)
        rows = connection.execute(f"SELECT count(*), bit_xor(hash({row})), sum(hash({row})::HUGEINT) FROM {schema}.{table}").fetchone()
        digest.update(f"{table} {rows}\n".encode())
    return digest.hexdigest()


def _queries(night: "Snapshot", run_date: date) -> dict[str, str]:
    """Serving table -> the query that makes its rows from the night's tables, without run id and times."""

    def read(table: str, stage: str) -> str:
        night.require(table, stage=stage)
        return scan(files_of(night, table, run_date), _NIGHT_COLUMNS[table])

    items, persons = read("dim_items", "transform"), read("persons", "transform")
    recommendations, similar, popular = (read(table, "recommend") for table in ("recommendations", "similar_items", "popular_items"))
    # A night without the stage segment has lists all the same.
    segments = scan(files_of(night, "dim_user_segments", run_date) if "dim_user_segments" in night else [], _NIGHT_COLUMNS["dim_user_segments"])
    servable = f"SELECT item_id FROM {items} WHERE is_available IS NOT FALSE AND is_blocked IS NOT TRUE"
    return {
        "recommendations": f"SELECT person_id AS user_id, * EXCLUDE (person_id) FROM {recommendations}",
        "similar_items": f"SELECT * EXCLUDE (rank), NULL AS model_version, {_closed_up('item_id')} FROM {similar} AS shown "
        f"SEMI JOIN ({servable}) AS origin ON origin.item_id = shown.item_id SEMI JOIN ({servable}) AS target ON target.item_id = shown.similar_item_id",
        "popular_items": f"SELECT * EXCLUDE (rank), {_closed_up('scope, scope_value')} FROM {popular} AS shown "
        f"SEMI JOIN ({servable}) AS may ON may.item_id = shown.item_id",
        "user_segments": f"SELECT person_id AS user_id, kind, segment, segment_label FROM {segments} WHERE is_current",
        "user_aliases": f"SELECT alias_id, person_id AS user_id FROM {persons} UNION "
        f"SELECT person_id, person_id FROM {recommendations} AS listed ANTI JOIN {persons} AS known ON known.alias_id = listed.person_id",
        SERVABLE: servable,
    }


def _closed_up(keys: str) -> str:
    return f"row_number() OVER (PARTITION BY {keys} ORDER BY rank) AS rank"


def files_of(night: "Snapshot", table: str, run_date: date) -> list[Path]:
    """The files of a night's table that hold `run_date`: tables that are also made for training cuts have one partition a date."""
    return [night.root / file.path for file in night.data_files(table) if file.partition in ("", run_date.isoformat())]


# The columns that the queries need of a table that has no file: a site without people or without neighbours is no error.
_NIGHT_COLUMNS: Final[dict[str, dict[str, str]]] = {
    "dim_items": {"item_id": "VARCHAR", "is_available": "BOOLEAN", "is_blocked": "BOOLEAN"},
    "persons": {"alias_id": "VARCHAR", "person_id": "VARCHAR"},
    "recommendations": {"person_id": "VARCHAR"}
    | {name: kind for name, kind in SERVING_TABLES["recommendations"].items() if name != "user_id"}
    | {"made_on": "DATE"},
    "similar_items": {name: kind for name, kind in SERVING_TABLES["similar_items"].items() if name != "model_version"},
    "popular_items": dict(SERVING_TABLES["popular_items"]),
    "dim_user_segments": {"person_id": "VARCHAR", "kind": "VARCHAR", "segment": "VARCHAR", "segment_label": "VARCHAR", "is_current": "BOOLEAN"},
}


def _one(connection: "duckdb.DuckDBPyConnection", query: str) -> Any:
    row = connection.execute(query).fetchone()
    return row[0] if row else None
