"""Who withdrew and what may no longer be shown, taken out of serving tables that were made before: by the newest consents and items of the lake."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from dawnlist.columns import LAKE_TABLES, PERSONALISATION, SERVING_RECOMMENDATIONS, SERVING_TABLES
from dawnlist.duck import literal, scan
from dawnlist.serving.base import LISTS, PRIMARY_KEYS, SCHEMA, SERVABLE
from models.lists import REASONS

if TYPE_CHECKING:
    import duckdb

    from dawnlist.lake import Snapshot


@dataclass(frozen=True)
class Suppressed:
    """`n_users`: whose list was personal and is the common one now, or who had segments. `n_items`: that were on some list. `n_short`: lists that lost an item."""

    n_users: int
    n_items: int
    n_short: int

    def __bool__(self) -> bool:
        return bool(self.n_users or self.n_items)


def suppress(connection: "duckdb.DuckDBPyConnection", lake: "Snapshot", *, moment: datetime) -> Suppressed:
    """Change the serving tables of `connection`, and create the table of what may be shown.

    Who answered last, until `moment`, that personalisation is refused has no segment and gets the global popular list. Items whose newest version until then is blocked or
    unavailable leave every list; the ranks close up. A list may so become shorter; one that loses all its items becomes the common one.
    """
    until = f"TIMESTAMP {literal(str(moment))}"
    connection.execute(f"CREATE OR REPLACE TEMP TABLE hidden AS {hidden(lake, moment)}")
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE withdrawn AS SELECT user_id FROM (
            SELECT aliases.user_id, consents.is_granted
            FROM {scan(lake.files("consents"), LAKE_TABLES["consents"])} AS consents JOIN {SCHEMA}.user_aliases AS aliases ON aliases.alias_id = consents.user_id
            WHERE purpose = {literal(PERSONALISATION)} AND is_granted IS NOT NULL AND changed_at <= {until}
            QUALIFY row_number() OVER (PARTITION BY aliases.user_id ORDER BY changed_at DESC, is_granted) = 1
        ) WHERE NOT is_granted
    """)
    connection.execute(f"""
        DELETE FROM withdrawn WHERE user_id NOT IN (
            SELECT user_id FROM {SCHEMA}.user_segments UNION ALL SELECT user_id FROM {SCHEMA}.recommendations WHERE source NOT IN ({_COMMON_SOURCES})
        )
    """)  # who had no consent before has the common list already, and keeps it
    shown = " UNION ".join(f"SELECT {item} AS item_id FROM {SCHEMA}.{table}" for table, (_, items) in LISTS.items() for item in items)
    n_items = _one(connection, f"SELECT count(*) FROM hidden SEMI JOIN ({shown}) USING (item_id)")
    n_short = _one(
        connection, f"SELECT count(DISTINCT user_id) FROM {SCHEMA}.recommendations SEMI JOIN hidden USING (item_id) ANTI JOIN withdrawn USING (user_id)"
    )
    for table in ("popular_items", "similar_items"):
        keys, items = LISTS[table]
        _replace(
            connection,
            table,
            " ".join([f"FROM {SCHEMA}.{table}", *(f"ANTI JOIN (SELECT item_id AS {item} FROM hidden) USING ({item})" for item in items)]),
            keys,
        )
    n_users = _one(connection, "SELECT count(*) FROM withdrawn")
    _replace(connection, "recommendations", _recommendations(), LISTS["recommendations"][0])
    connection.execute(f"DELETE FROM {SCHEMA}.user_segments WHERE user_id IN (FROM withdrawn)")
    connection.execute(f"CREATE TABLE {SCHEMA}.{SERVABLE} AS SELECT item_id FROM ({shown}) ANTI JOIN hidden USING (item_id) ORDER BY item_id")
    return Suppressed(n_users, n_items, n_short)


def hidden(lake: "Snapshot", moment: datetime) -> str:
    """SQL of the items (item_id) whose newest version until `moment` is blocked or unavailable."""
    return f"""
        SELECT item_id FROM (
            FROM {scan(lake.files("items"), LAKE_TABLES["items"])} WHERE updated_at <= TIMESTAMP {literal(str(moment))}
            QUALIFY row_number() OVER (PARTITION BY item_id ORDER BY updated_at DESC, source) = 1
        ) WHERE is_blocked IS TRUE OR is_available IS FALSE
    """


# Of lists that are made from nobody's own behaviour: those of everybody, the season's, and what editors pin; popular_items names its windows.
_COMMON_SOURCES: Final = f"SELECT source FROM {SCHEMA}.popular_items UNION ALL VALUES ('popular_global'), ('popular_season'), ('rule')"


def _recommendations() -> str:
    """The lists that stay, and the common list for whoever withdrew or has nothing left."""
    common = {name: name for name in SERVING_RECOMMENDATIONS} | {
        "reason": literal(REASONS["popular_global"]),
        "variant": "NULL",
        "propensity": "NULL",
        "model_version": "NULL",
    }
    return f"""
        FROM (
            WITH kept AS (FROM {SCHEMA}.recommendations ANTI JOIN hidden USING (item_id) ANTI JOIN withdrawn USING (user_id)),
            others AS (SELECT DISTINCT user_id FROM {SCHEMA}.recommendations ANTI JOIN kept USING (user_id)),
            longest AS (SELECT max(rank) AS length FROM {SCHEMA}.recommendations)
            SELECT {", ".join(SERVING_RECOMMENDATIONS)} FROM kept UNION ALL
            SELECT {", ".join(f"{value} AS {name}" for name, value in common.items())}
            FROM others CROSS JOIN (FROM {SCHEMA}.popular_items WHERE scope = 'global' AND rank <= (SELECT length FROM longest))
        )
    """


def _replace(connection: "duckdb.DuckDBPyConnection", table: str, query: str, keys: tuple[str, ...]) -> None:
    """The rows of `query` in the place of the table's, ranks closed up within the `keys`."""
    close_up = f"CAST(row_number() OVER (PARTITION BY {', '.join(keys)} ORDER BY rank) AS INTEGER) AS rank"
    columns = ", ".join(close_up if name == "rank" else name for name in SERVING_TABLES[table])
    connection.execute(f"CREATE OR REPLACE TABLE {SCHEMA}.{table} AS SELECT {columns} FROM ({query}) ORDER BY {', '.join(PRIMARY_KEYS[table])}")


def _one(connection: "duckdb.DuckDBPyConnection", query: str) -> Any:
    row = connection.execute(query).fetchone()
    return row[0] if row else None
