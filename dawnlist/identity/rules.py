"""Which links count: from who was seen with whom to the links between ids, in temporary tables. docs/identity.md has the rules in words.

    nodes       node: id, is_known (a user id), source, first_seen_at, and of events only first_event_at, last_event_at. Nodes are numbered as
                they may give a person its key: user ids first, then by when they were seen first
    pairs       (user_node, device_node): first_seen_at, last_seen_at, n_days: who was logged in on which device, days counted by source and id
    links       (a, b): reason, n_days: what joins
    cut_links   (guard, node, a, b): what does not, and the node for whose sake; `node` and `observed`, `allowed` as in identity_cuts

Ids that a change of key has linked are one node: the oldest, the one that no other stands behind (of several, or of none in a ring of
keys, the smallest).
"""

from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from dawnlist.columns import CONSENTS, CUSTOMERS, IDENTITY_EDGES, KEY_LINKS
from dawnlist.duck import scan
from dawnlist.identity.graph import components, separate

if TYPE_CHECKING:
    import duckdb

    from dawnlist.lake import Snapshot
    from dawnlist.settings import Identity

_ROOTS = """
CREATE OR REPLACE TEMP TABLE roots AS
WITH RECURSIVE links AS (
    SELECT id, previous_id FROM {key_links}
),
behind AS (
    SELECT id, previous_id FROM links
    UNION SELECT behind.id, links.previous_id FROM behind JOIN links ON behind.previous_id = links.id
)
SELECT behind.id AS alias_id, coalesce(min(previous_id) FILTER (WHERE newer.id IS NULL), min(previous_id)) AS root_id
FROM behind LEFT JOIN (SELECT DISTINCT id FROM links) AS newer ON behind.previous_id = newer.id
GROUP BY behind.id
"""

_SEEN = """
CREATE OR REPLACE TEMP TABLE seen AS
SELECT {user_id} AS user_id, {anonymous_id} AS anonymous_id, source, min(first_seen_at) AS first_seen_at, max(last_seen_at) AS last_seen_at, count(*) AS n_days
FROM {edges} {links}
GROUP BY ALL
"""

# Records make a user id known, too, but are no sign that somebody was there.
_NODES = """
CREATE OR REPLACE TEMP TABLE nodes AS
WITH known AS (
    SELECT user_id AS id, source, first_seen_at AS seen_at, first_seen_at AS first_event_at, last_seen_at AS last_event_at FROM seen WHERE user_id IS NOT NULL
    UNION ALL
    SELECT coalesce(root_id, user_id), source, seen_at, NULL, NULL
    FROM (SELECT source, user_id, updated_at AS seen_at FROM {customers} UNION ALL SELECT source, user_id, changed_at FROM {consents})
    LEFT JOIN roots ON user_id = alias_id
    WHERE seen_at < TIMESTAMP '{end}' AND user_id IS NOT NULL
),
users AS (
    SELECT id, true AS is_known, arg_min(source, (seen_at, source)) AS source, min(seen_at) AS first_seen_at,
        min(first_event_at) AS first_event_at, max(last_event_at) AS last_event_at
    FROM known GROUP BY id
),
devices AS (
    SELECT anonymous_id AS id, false AS is_known, arg_min(source, (first_seen_at, source)) AS source, min(first_seen_at) AS first_seen_at,
        min(first_seen_at) AS first_event_at, max(last_seen_at) AS last_event_at
    FROM seen WHERE anonymous_id IS NOT NULL AND anonymous_id NOT IN (SELECT id FROM users)
    GROUP BY anonymous_id
)
SELECT row_number() OVER (ORDER BY NOT is_known, first_seen_at, id) AS node, * FROM (FROM users UNION ALL FROM devices)
"""

_PAIRS = """
CREATE OR REPLACE TEMP TABLE pairs AS
SELECT users.node AS user_node, devices.node AS device_node, min(seen.first_seen_at) AS first_seen_at, max(seen.last_seen_at) AS last_seen_at,
    sum(n_days)::BIGINT AS n_days
FROM seen JOIN nodes AS users ON user_id = users.id AND users.is_known JOIN nodes AS devices ON anonymous_id = devices.id AND NOT devices.is_known
GROUP BY ALL
"""

_CROWDED = """
INSERT INTO cut_links SELECT '{guard}', {node}, user_node, device_node, n_others, {allowed}
FROM (SELECT *, count(*) OVER (PARTITION BY {node}) AS n_others FROM pairs) WHERE n_others > {allowed}
"""

# Two user ids of one device that follow each other on it.
_NEIGHBOURS = """
SELECT user_node AS a, next_node AS b, n_days, next_days, last_seen_at, next_seen_at FROM (
    SELECT *, lead(user_node) OVER device AS next_node, lead(n_days) OVER device AS next_days, lead(first_seen_at) OVER device AS next_seen_at
    FROM logins SEMI JOIN (SELECT device_node FROM logins GROUP BY device_node HAVING count(*) > 1) USING (device_node)
    WINDOW device AS (PARTITION BY device_node ORDER BY first_seen_at, user_node)
) WHERE next_node IS NOT NULL
"""

# The one's last event of all and the other's first of all were on this device, one after the other, and that was it.
_SUCCESSIONS = """
SELECT a, b, 'succession' AS reason, n_days + next_days AS n_days
FROM ({neighbours}) AS neighbours JOIN nodes AS first ON a = first.node JOIN nodes AS second ON b = second.node
WHERE last_seen_at = first.last_event_at AND next_seen_at = second.first_event_at AND next_seen_at > last_seen_at
    AND next_seen_at <= last_seen_at + to_days({gap}) AND next_seen_at + to_days({quiet}) <= TIMESTAMP '{end}' AND least(n_days, next_days) >= {days}
"""

_SHARED = "SELECT a, b, 'shared_device' AS reason, sum(n_days + next_days)::BIGINT AS n_days FROM ({neighbours}) GROUP BY a, b"

_LARGE = """
CREATE OR REPLACE TEMP TABLE large AS
SELECT component, count(DISTINCT user_node) + count(DISTINCT device_node) AS n_ids
FROM joined JOIN logins ON node = user_node GROUP BY component HAVING n_ids > {allowed}
"""

_OWNED = """
CREATE OR REPLACE TEMP TABLE claims AS
SELECT user_node, device_node, n_days, sum(n_days) OVER owner AS owner_days, sum(n_days) OVER device AS device_days
FROM (SELECT logins.*, coalesce(component, user_node) AS owner FROM logins LEFT JOIN joined ON user_node = node)
WINDOW owner AS (PARTITION BY device_node, owner), device AS (PARTITION BY device_node)
"""


def link(connection: "duckdb.DuckDBPyConnection", lake: "Snapshot", edges: Iterable[Path], end: date, rules: "Identity") -> None:
    """Make the tables above from the files of `edges` and the lake's other tables, as of the beginning of the day `end`."""
    connection.execute(_ROOTS.format(key_links=scan(lake.files("key_links"), KEY_LINKS)))
    _see(connection, edges)
    connection.execute(_NODES.format(customers=scan(lake.files("customers"), CUSTOMERS), consents=scan(lake.files("consents"), CONSENTS), end=end))
    connection.execute(_PAIRS)
    connection.execute("CREATE OR REPLACE TEMP TABLE cut_links (guard VARCHAR, node BIGINT, a BIGINT, b BIGINT, observed BIGINT, allowed BIGINT)")
    for guard, node, allowed in (
        ("users_per_device", "device_node", rules.max_users_per_device),
        ("devices_per_user", "user_node", rules.max_devices_per_user),
    ):
        connection.execute(_CROWDED.format(guard=guard, node=node, allowed=allowed))
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE logins AS SELECT * FROM pairs ANTI JOIN (SELECT a AS user_node, b AS device_node FROM cut_links) USING (user_node, device_node)"
    )
    corrections = _corrections(connection, lake)
    _join_users(connection, end, rules, corrections)
    _own_devices(connection, rules)
    _separate(connection, "links", corrections)


def _see(connection: "duckdb.DuckDBPyConnection", edges: Iterable[Path]) -> None:
    """`seen`: (source, user_id, anonymous_id) with the ids that stand for others. Without a change of key there is nothing to look up for millions of rows."""
    user_id, anonymous_id, links = "user_id", "anonymous_id", ""
    if connection.execute("SELECT count(*) FROM roots").fetchall()[0][0]:
        user_id, anonymous_id = "coalesce(users.root_id, user_id)", "coalesce(devices.root_id, anonymous_id)"
        links = "LEFT JOIN roots AS users ON user_id = users.alias_id LEFT JOIN roots AS devices ON anonymous_id = devices.alias_id"
    connection.execute(_SEEN.format(user_id=user_id, anonymous_id=anonymous_id, edges=scan(edges, IDENTITY_EDGES), links=links))


def _corrections(connection: "duckdb.DuckDBPyConnection", lake: "Snapshot") -> list[tuple[int, int]]:
    """(leaving, staying) nodes of the corrections that hold, by id. What the lake does not know is nobody's."""
    from dawnlist.identity.corrections import holding

    return connection.execute(f"""
        SELECT one.node, other.node FROM ({holding(lake)}) AS said
        LEFT JOIN roots AS a ON said.id = a.alias_id LEFT JOIN roots AS b ON said.other_id = b.alias_id
        JOIN nodes AS one ON one.id = coalesce(a.root_id, said.id) JOIN nodes AS other ON other.id = coalesce(b.root_id, said.other_id)
        ORDER BY one.id, other.id
    """).fetchall()


def _separate(connection: "duckdb.DuckDBPyConnection", edges: str, corrections: list[tuple[int, int]]) -> None:
    separate(connection, edges, corrections, "separated")
    connection.execute("INSERT INTO cut_links SELECT 'correction', leaving, a, b, NULL, NULL FROM separated")


def _join_users(connection: "duckdb.DuckDBPyConnection", end: date, rules: "Identity", corrections: list[tuple[int, int]]) -> None:
    """`joins`: links between user ids; `joined`: the components that they make."""
    found = "SELECT NULL::BIGINT AS a, NULL::BIGINT AS b, NULL::VARCHAR AS reason, NULL::BIGINT AS n_days WHERE false"
    if rules.join_users == "succession":
        found = _SUCCESSIONS.format(
            neighbours=_NEIGHBOURS, gap=rules.succession_gap_days, quiet=rules.succession_quiet_days, days=rules.succession_min_days, end=end
        )
    elif rules.join_users == "shared_device":
        found = _SHARED.format(neighbours=_NEIGHBOURS)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE joins AS {found}")
    _separate(connection, "joins", corrections)
    components(connection, "joins", "joined")
    connection.execute(_LARGE.format(allowed=rules.max_ids_per_person))
    connection.execute(f"""
        INSERT INTO cut_links SELECT 'ids_per_person', component, a, b, n_ids, {rules.max_ids_per_person}
        FROM joins JOIN joined ON a = node JOIN large USING (component)
    """)
    connection.execute("DELETE FROM joins USING joined, large WHERE a = node AND joined.component = large.component")
    connection.execute("DELETE FROM joined USING large WHERE joined.component = large.component")


def _own_devices(connection: "duckdb.DuckDBPyConnection", rules: "Identity") -> None:
    """`links`: the joins, and each device that has an owner with the owner's user ids."""
    connection.execute(_OWNED)
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE links AS
        SELECT user_node AS a, device_node AS b, 'login' AS reason, n_days FROM claims WHERE owner_days >= round({rules.min_owner_share} * device_days, 6)
        UNION ALL SELECT a, b, reason, n_days FROM joins
    """)
    connection.execute("""
        INSERT INTO cut_links SELECT 'owner_share', device_node, user_node, device_node, count(*) OVER (PARTITION BY device_node), NULL
        FROM claims ANTI JOIN links ON user_node = a AND device_node = b
    """)
