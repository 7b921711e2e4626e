"""Who is who: every id that the lake knows, and the person behind it.

The rule goes one hop: an anonymous id that was seen together with exactly one user id belongs to that user's person; with none, or
with several (a shared device), it is a person of its own. A person's key is its user id where there is one.
"""

from datetime import date, timedelta
from typing import TYPE_CHECKING

from dawnlist.columns import CONSENTS, CUSTOMERS, EVENTS
from dawnlist.duck import scan
from dawnlist.lake import DataFile, Lake, Snapshot

if TYPE_CHECKING:
    import duckdb

PERSONS = {"alias_id": "VARCHAR", "person_id": "VARCHAR", "source": "VARCHAR", "is_anonymous": "BOOLEAN"}

_QUERY = """
WITH sightings AS (
    SELECT source, user_id, anonymous_id, min(occurred_at) AS seen_at
    FROM {events}
    WHERE NOT coalesce(is_bot, false) AND occurred_at < {end}
    GROUP BY ALL
),
users AS (
    SELECT source, user_id, seen_at FROM sightings
    UNION ALL SELECT source, user_id, updated_at FROM {customers} WHERE updated_at < {end}
    UNION ALL SELECT source, user_id, changed_at FROM {consents} WHERE changed_at < {end}
),
devices AS (
    SELECT
        anonymous_id, arg_min(source, (seen_at, source)) AS source,
        CASE WHEN count(DISTINCT user_id) = 1 THEN min(user_id) END AS owner_id
    FROM sightings
    WHERE anonymous_id IS NOT NULL
    GROUP BY anonymous_id
),
known AS (
    SELECT user_id AS alias_id, user_id AS person_id, arg_min(source, (seen_at, source)) AS source, false AS is_anonymous
    FROM users
    WHERE user_id IS NOT NULL
    GROUP BY user_id
)
SELECT alias_id, person_id, source, is_anonymous FROM known
UNION ALL
SELECT anonymous_id, coalesce(owner_id, anonymous_id), source, owner_id IS NULL
FROM devices ANTI JOIN known ON devices.anonymous_id = known.alias_id
ORDER BY alias_id
"""


def persons_query(lake: Snapshot, run_date: date) -> str:
    """The query of `persons` as of the end of `run_date`: one row per alias_id, in its order.

    alias_id is a user id or an anonymous id, `source` the one where it was first seen; is_anonymous says that no single user id is known for it.
    Bots are no persons. An id that is a user's and a device's alike is the user's.
    """
    end = run_date + timedelta(days=1)
    return _QUERY.format(
        events=scan(lake.files("events", until=end), EVENTS),
        customers=scan(lake.files("customers"), CUSTOMERS),
        consents=scan(lake.files("consents"), CONSENTS),
        end=f"TIMESTAMP '{end} 00:00:00'",
    )


def resolve(connection: "duckdb.DuckDBPyConnection", lake: Snapshot, run_date: date, tables: Lake) -> DataFile | None:
    """Write `persons` into the night's `tables`, not yet committed; None when the lake knows nobody."""
    return tables.write(connection, "persons", persons_query(lake, run_date))
