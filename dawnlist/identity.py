"""Who is who: every id that the lake knows, and the person behind it.

The rule goes one hop: an anonymous id that was seen together with exactly one user id belongs to that user's person; with none, or
with several (a shared device), it is a person of its own. A person's key is its user id where there is one.

Ids that a change of key has linked are one id to the rule: the oldest, the one that no other stands behind (of several, or of none in
a ring of keys, the smallest). So a person who was seen while two keys overlapped keeps the `person_id` that the old key gave, however
often the key changes, and all its ids lead to it.
"""

from datetime import date, timedelta
from typing import TYPE_CHECKING

from dawnlist.columns import CONSENTS, CUSTOMERS, EVENTS, KEY_LINKS
from dawnlist.duck import scan
from dawnlist.lake import DataFile, Lake, Snapshot

if TYPE_CHECKING:
    import duckdb

PERSONS = {"alias_id": "VARCHAR", "person_id": "VARCHAR", "source": "VARCHAR", "is_anonymous": "BOOLEAN"}

_QUERY = """
WITH RECURSIVE links AS (
    SELECT id, previous_id FROM {key_links}
),
behind AS (
    SELECT id, previous_id FROM links
    UNION SELECT behind.id, links.previous_id FROM behind JOIN links ON behind.previous_id = links.id
),
roots AS (
    SELECT behind.id AS alias_id, coalesce(min(previous_id) FILTER (WHERE newer.id IS NULL), min(previous_id)) AS root_id
    FROM behind LEFT JOIN (SELECT DISTINCT id FROM links) AS newer ON behind.previous_id = newer.id
    GROUP BY behind.id
),
seen AS (
    SELECT source, user_id, anonymous_id, min(occurred_at) AS seen_at
    FROM {events}
    WHERE NOT coalesce(is_bot, false) AND occurred_at < {end}
    GROUP BY ALL
    UNION ALL SELECT source, user_id, NULL, updated_at FROM {customers} WHERE updated_at < {end}
    UNION ALL SELECT source, user_id, NULL, changed_at FROM {consents} WHERE changed_at < {end}
),
sightings AS (
    SELECT source, coalesce(users.root_id, user_id) AS user_id, coalesce(devices.root_id, anonymous_id) AS anonymous_id, seen_at
    FROM seen LEFT JOIN roots AS users ON user_id = users.alias_id LEFT JOIN roots AS devices ON anonymous_id = devices.alias_id
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
    FROM sightings
    WHERE user_id IS NOT NULL
    GROUP BY user_id
),
persons AS (
    SELECT alias_id, person_id, source, is_anonymous FROM known
    UNION ALL
    SELECT anonymous_id, coalesce(owner_id, anonymous_id), source, owner_id IS NULL
    FROM devices ANTI JOIN known ON devices.anonymous_id = known.alias_id
)
SELECT alias_id, person_id, source, is_anonymous FROM persons
UNION ALL
SELECT roots.alias_id, person_id, source, is_anonymous
FROM roots JOIN persons ON roots.root_id = persons.alias_id
WHERE roots.alias_id <> roots.root_id
ORDER BY alias_id
"""


def persons_query(lake: Snapshot, run_date: date) -> str:
    """The query of `persons` as of the end of `run_date`: one row per alias_id, in its order.

    alias_id is a user id or an anonymous id, `source` the one where it was first seen; is_anonymous says that no single user id is known for it.
    Bots are no persons. An id that is a user's and a device's alike is the user's. Of linked ids of two keys each is an alias.
    """
    end = run_date + timedelta(days=1)
    return _QUERY.format(
        events=scan(lake.files("events", until=end), EVENTS),
        customers=scan(lake.files("customers"), CUSTOMERS),
        consents=scan(lake.files("consents"), CONSENTS),
        key_links=scan(lake.files("key_links"), KEY_LINKS),
        end=f"TIMESTAMP '{end} 00:00:00'",
    )


def resolve(connection: "duckdb.DuckDBPyConnection", lake: Snapshot, run_date: date, tables: Lake) -> DataFile | None:
    """Write `persons` into the night's `tables`, not yet committed; None when the lake knows nobody."""
    return tables.write(connection, "persons", persons_query(lake, run_date))
