"""How well the persons that identity finds are the visitors that the simulator made: pairwise precision and recall.

Two ids are a true pair when one visitor has used both; a device that two visitors shared makes pairs with the ids of both. A found pair
has one person_id. An id that never was in one event with the visitor's user id cannot be told to be theirs by anything that landed:
`recall_of_findable` leaves pairs with such ids out.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dawnlist.columns import IDENTITY_EDGES, PERSONS
from dawnlist.duck import scan

if TYPE_CHECKING:
    import duckdb

    from dawnlist.privacy import Key

_TRUTH = """
CREATE OR REPLACE TEMP TABLE truth AS
WITH visitors AS (SELECT customer_id, pseudonym('{namespace}' || customer_id) AS user_id FROM '{folder}/users.parquet'),
logins AS (SELECT DISTINCT user_id, anonymous_id FROM {edges} WHERE user_id IS NOT NULL AND anonymous_id IS NOT NULL)
SELECT user_id AS id, customer_id, true AS is_findable FROM visitors
UNION ALL
SELECT devices.id, customer_id, logins.user_id IS NOT NULL
FROM (SELECT customer_id, pseudonym('{namespace}anonymous:' || anonymous_id) AS id FROM '{folder}/anonymous_users.parquet' WHERE bot = 0) AS devices
JOIN visitors USING (customer_id) LEFT JOIN logins ON visitors.user_id = logins.user_id AND devices.id = logins.anonymous_id
"""

_PAIRS = """
WITH known AS (SELECT truth.* FROM truth JOIN people ON id = alias_id),
true_pairs AS (
    SELECT a.id AS one, b.id AS other, bool_or(a.is_findable AND b.is_findable) AS is_findable
    FROM known AS a JOIN known AS b ON a.customer_id = b.customer_id AND a.id < b.id GROUP BY ALL
),
found AS (SELECT a.alias_id AS one, b.alias_id AS other FROM people AS a JOIN people AS b ON a.person_id = b.person_id AND a.alias_id < b.alias_id)
SELECT (SELECT count(*) FROM found), (SELECT count(*) FROM true_pairs), (SELECT count(*) FROM true_pairs WHERE is_findable),
    count(*), count(*) FILTER (is_findable)
FROM found JOIN true_pairs USING (one, other)
"""


@dataclass(frozen=True)
class Judgement:
    """Counts of pairs of ids."""

    n_found: int
    n_true: int
    n_findable: int
    n_right: int
    n_right_of_findable: int

    @property
    def precision(self) -> float:
        return self.n_right / self.n_found

    @property
    def recall(self) -> float:
        return self.n_right / self.n_true

    @property
    def recall_of_findable(self) -> float:
        return self.n_right_of_findable / self.n_findable


def judge(
    connection: "duckdb.DuckDBPyConnection", truth: Path, persons: Iterable[Path], edges: Iterable[Path], *, key: "Key", namespace: str = "store:"
) -> Judgement:
    """Compare files of `persons` with the folder `truth` of the simulation. `edges`: files of identity_edges; `namespace`: that of the source's user ids."""
    key.define_macro(connection)
    connection.execute(_TRUTH.format(namespace=namespace, folder=truth, edges=scan(edges, IDENTITY_EDGES)))
    connection.execute(f"CREATE OR REPLACE TEMP TABLE people AS FROM {scan(persons, PERSONS)}")
    return Judgement(*connection.execute(_PAIRS).fetchall()[0])
