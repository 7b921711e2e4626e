"""One person for an operator's eyes: its ids, what links them, what was cut, and how it became what it is. Pseudonyms only."""

from typing import TYPE_CHECKING, Any

from dawnlist.columns import IDENTITY_CUTS, IDENTITY_EDGES, IDENTITY_HISTORY, PERSONS
from dawnlist.duck import connect, scan
from dawnlist.errors import MissingInputError
from dawnlist.identity.corrections import TABLE, holding, require_pseudonym
from dawnlist.lake import Lake, Snapshot

if TYPE_CHECKING:
    import duckdb

    from dawnlist.settings import Settings

Rows = list[dict[str, Any]]

_PARTS = {
    "ids": """
        SELECT alias_id AS id, CASE WHEN alias_id IN (SELECT user_id FROM edges) THEN 'user' ELSE 'device' END AS kind, own.source,
            min(first_seen_at) AS first_seen_at, max(last_seen_at) AS last_seen_at, coalesce(sum(n_events), 0)::BIGINT AS n_events
        FROM own LEFT JOIN edges ON alias_id IN (user_id, anonymous_id) GROUP BY alias_id, own.source ORDER BY first_seen_at NULLS LAST, id
    """,
    "logins": """
        SELECT user_id, anonymous_id AS device_id, people.person_id AS person_of_the_user, min(first_seen_at) AS first_seen_at, max(last_seen_at) AS last_seen_at,
            count(DISTINCT event_date) AS n_days
        FROM edges LEFT JOIN persons AS people ON user_id = people.alias_id WHERE user_id IS NOT NULL AND anonymous_id IS NOT NULL
        GROUP BY ALL ORDER BY first_seen_at, user_id, device_id
    """,
    "cuts": "SELECT guard, id, n_links, observed, allowed FROM {cuts} WHERE id IN (SELECT alias_id FROM own) ORDER BY guard, id",
    "history": """
        SELECT run_date, change, previous_person_id, person_id, n_ids, reasons, n_links, n_days FROM {history}
        WHERE previous_person_id IN (SELECT alias_id FROM own) OR person_id IN (SELECT alias_id FROM own) ORDER BY run_date, previous_person_id, person_id
    """,
    "corrections": "SELECT id, other_id, said_at FROM ({said}) WHERE id IN (SELECT alias_id FROM own) OR other_id IN (SELECT alias_id FROM own) ORDER BY ALL",
}


def person(settings: "Settings", pseudonym: str) -> dict[str, Rows]:
    """The person of an id as of the newest night: ids, logins on its devices, cuts, history, corrections; each a list of rows.

    Raises SettingsError for what is no pseudonym, MissingInputError when no night has resolved anybody, or nobody has the id.
    """
    require_pseudonym(pseudonym)
    lake = Lake(settings.lake_dir).snapshot()
    night = max((file.partition for file in lake.data_files("persons")), default=None)
    if night is None:
        raise MissingInputError("No night has resolved any person yet: run `dawnlist run` first.")
    with connect(settings) as connection:
        _select(connection, lake, night, pseudonym)
        tables = {
            "cuts": scan(_of(lake, "identity_cuts", night), IDENTITY_CUTS),
            "history": scan(lake.files("identity_history"), IDENTITY_HISTORY),
            "said": holding(lake),
        }
        return {"person": _rows(connection, _PERSON)} | {part: _rows(connection, query.format(**tables)) for part, query in _PARTS.items()}


_PERSON = "SELECT any_value(person_id) AS person_id, count(*) AS n_ids, bool_and(is_anonymous) AS is_anonymous, any_value(night) AS as_of FROM own"


def said(settings: "Settings") -> Rows:
    """The record of corrections, in its order; `holds` says whether the split holds today."""
    lake = Lake(settings.lake_dir).snapshot()
    with connect(settings) as connection:
        return _rows(
            connection,
            f"SELECT said.said_at, action, said.id, said.other_id, note, held.id IS NOT NULL AS holds FROM {scan(lake.files(TABLE), {})} AS said "
            f"LEFT JOIN ({holding(lake)}) AS held ON said.id = held.id AND said.other_id = held.other_id ORDER BY ALL"
            if TABLE in lake
            else "SELECT 1 AS nothing WHERE false",
        )


def _select(connection: "duckdb.DuckDBPyConnection", lake: Snapshot, night: str, pseudonym: str) -> None:
    """`persons` of the night; `own`: its ids; `edges`: what was seen of them by then."""
    connection.execute(f"CREATE TEMP VIEW persons AS FROM {scan(_of(lake, 'persons', night), PERSONS)}")
    connection.execute(
        "CREATE TEMP TABLE own AS SELECT *, ?::DATE AS night FROM persons WHERE person_id = (SELECT person_id FROM persons WHERE alias_id = ?)",
        [night, pseudonym],
    )
    if not connection.execute("SELECT count(*) FROM own").fetchall()[0][0]:
        raise MissingInputError(f"The night of {night} knows nobody with this id. Was it seen later, or only as a bot?")
    days = scan([lake.root / file.path for file in lake.data_files("identity_edges") if file.partition <= night], IDENTITY_EDGES)
    connection.execute(f"CREATE TEMP TABLE edges AS FROM {days} WHERE user_id IN (SELECT alias_id FROM own) OR anonymous_id IN (SELECT alias_id FROM own)")


def _of(lake: Snapshot, table: str, night: str) -> list[Any]:
    return [lake.root / file.path for file in lake.data_files(table) if file.partition == night]


def _rows(connection: "duckdb.DuckDBPyConnection", query: str) -> Rows:
    found = connection.execute(query)
    names = [column[0] for column in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
