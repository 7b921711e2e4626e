"""The key of each person, what it was the night before, and what has changed since.

A person's key is one of its ids. The ids that were keys the night before go first, then user ids before devices, then the id that was
seen first. So a person keeps its key; of several persons that become one the oldest known one does; of the parts of one that is split the
part that has the id does; and without a night before it is the user id that was seen first.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

_ALIASES = """
CREATE OR REPLACE TEMP TABLE aliases AS
WITH named AS (
    SELECT id AS alias_id, node, 0 AS place FROM nodes
    UNION ALL SELECT alias_id, node, row_number() OVER (PARTITION BY node ORDER BY alias_id) FROM roots JOIN nodes ON root_id = id WHERE alias_id <> root_id
)
SELECT named.alias_id, node, place, coalesce(component, node) AS component, is_known, source,
    before.person_id AS previous_person_id, coalesce(before.person_id = named.alias_id, false) AS was_key
FROM named JOIN nodes USING (node) LEFT JOIN found USING (node) LEFT JOIN before USING (alias_id)
"""

# One number instead of (NOT was_key, node, place): the nodes' numbers say who is known and was first.
_PERSONS = """
CREATE OR REPLACE TEMP TABLE people AS
WITH keys AS (
    SELECT component, arg_min(alias_id, ((NOT was_key)::BIGINT << 60) + (node << 20) + place) AS person_id, NOT bool_or(is_known) AS is_anonymous
    FROM aliases GROUP BY component
)
SELECT alias_id, person_id, source, is_anonymous, node, is_known, was_key, previous_person_id FROM aliases JOIN keys USING (component)
"""

_CHANGES = """
CREATE OR REPLACE TEMP TABLE changes AS
WITH moved AS (
    SELECT previous_person_id, person_id, count(*) AS n_ids, count(*) FILTER (is_known) AS n_known_ids
    FROM people WHERE previous_person_id <> person_id GROUP BY ALL
)
SELECT moved.*, CASE
    WHEN key.person_id IS NULL THEN 'rename'
    WHEN key.person_id = moved.person_id THEN 'merge'
    WHEN target.was_key THEN 'move'
    ELSE 'split' END AS change
FROM moved LEFT JOIN people AS key ON key.alias_id = moved.previous_person_id JOIN people AS target ON target.alias_id = moved.person_id
"""

# Of a merge the links that lead from the ids to those that were somebody else's, else the cuts between the ids and those that stayed behind.
_EVIDENCE = """
CREATE OR REPLACE TEMP TABLE evidence AS
WITH both_ways AS (
    SELECT a AS node, b AS other, reason, n_days, true AS is_link FROM links UNION ALL SELECT b, a, reason, n_days, true FROM links
    UNION ALL SELECT a, b, guard, 0, false FROM cut_links UNION ALL SELECT b, a, guard, 0, false FROM cut_links
),
ends AS (
    SELECT node, any_value(person_id) AS person_id, min(previous_person_id) AS previous_person_id FROM people GROUP BY node
)
SELECT moved.previous_person_id, moved.person_id, list_sort(list(DISTINCT reason)) AS reasons, count(*) AS n_links, sum(n_days)::BIGINT AS n_days
FROM ends AS moved JOIN changes USING (previous_person_id, person_id) JOIN both_ways USING (node) JOIN ends AS opposite ON both_ways.other = opposite.node
WHERE is_link = (change = 'merge') AND CASE WHEN is_link THEN opposite.previous_person_id IS DISTINCT FROM moved.previous_person_id
    ELSE opposite.previous_person_id = moved.previous_person_id AND opposite.person_id <> moved.person_id END
GROUP BY ALL
"""

PERSONS = "SELECT alias_id, person_id, source, is_anonymous FROM people ORDER BY alias_id"
HISTORY = """
SELECT DATE '{run_date}' AS run_date, DATE '{previous_run_date}' AS previous_run_date, change, previous_person_id, person_id, n_ids, n_known_ids,
    coalesce(reasons, ['unlinked']) AS reasons, coalesce(n_links, 0) AS n_links, coalesce(n_days, 0) AS n_days, {run_id} AS run_id
FROM changes LEFT JOIN evidence USING (previous_person_id, person_id)
ORDER BY previous_person_id, person_id
"""
CUTS = """
SELECT DATE '{run_date}' AS run_date, guard, id, count(*) AS n_links, max(observed) AS observed, max(allowed) AS allowed
FROM cut_links JOIN nodes USING (node) GROUP BY guard, id ORDER BY guard, id
"""


def name(connection: "duckdb.DuckDBPyConnection") -> None:
    """Make `people` (one row per alias_id), `changes` and `evidence` from the tables of `rules.link`, the components `found` and the persons `before`."""
    for statement in (_ALIASES, _PERSONS, _CHANGES, _EVIDENCE):
        connection.execute(statement)
