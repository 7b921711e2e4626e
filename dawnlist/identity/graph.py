"""Connected components in DuckDB, and cuts: plain graphs of numbered nodes in temporary tables.

Components are found by contraction: every node takes the smallest of its neighbours and itself as its parent, in an order that is
drawn anew each round by hashing; chains of parents are shortened by jumping; what has one root becomes one node, and the edges that
are left go into the next round. The rounds grow with the logarithm of the nodes, for long chains too (after Bögeholz, Brand & Todor,
"In-database connected component analysis", ICDE 2020). Numbers and hashes alone decide, so threads and the order of rows do not matter.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


def components(connection: "duckdb.DuckDBPyConnection", edges: str, into: str) -> int:
    """Make the table `into` from the table `edges` (a, b: node numbers): one row per node of an edge, with `component`, its smallest node. Returns the rounds."""
    connection.execute(f"CREATE OR REPLACE TEMP TABLE _links AS SELECT DISTINCT least(a, b) AS a, greatest(a, b) AS b FROM {edges} WHERE a <> b")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE _labels AS SELECT node, node AS label FROM (SELECT a AS node FROM {edges} UNION SELECT b FROM {edges})")
    rounds = 0
    while _count(connection, "_links"):
        rounds += 1
        _choose_parents(connection, rounds)
        _jump(connection)
        connection.execute("""
            CREATE OR REPLACE TEMP TABLE _labels AS
            SELECT _labels.node, coalesce(_parents.parent, _labels.label) AS label FROM _labels LEFT JOIN _parents ON _labels.label = _parents.node
        """)
        connection.execute("""
            CREATE OR REPLACE TEMP TABLE _links AS
            SELECT DISTINCT least(x.parent, y.parent) AS a, greatest(x.parent, y.parent) AS b
            FROM _links JOIN _parents AS x ON _links.a = x.node JOIN _parents AS y ON _links.b = y.node WHERE x.parent <> y.parent
        """)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {into} AS SELECT node, min(node) OVER (PARTITION BY label) AS component FROM _labels")
    return rounds


def _choose_parents(connection: "duckdb.DuckDBPyConnection", number: int) -> None:
    """`_parents`: the first of each node and its neighbours in the order of this round. There are no rings: a parent is never behind its child."""
    order = f"hash(parent, {number}), parent"
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE _parents AS
        SELECT node, arg_min(parent, ({order})) AS parent
        FROM (SELECT a AS node, unnest([a, b]) AS parent FROM _links UNION ALL SELECT b, unnest([a, b]) FROM _links)
        GROUP BY node
    """)


def _jump(connection: "duckdb.DuckDBPyConnection") -> None:
    """Every node's parent becomes the root: each pass halves the way that is left."""
    while _count(connection, "(SELECT 1 FROM _parents AS child JOIN _parents AS above ON child.parent = above.node WHERE above.parent <> child.parent)"):
        connection.execute("""
            CREATE OR REPLACE TEMP TABLE _parents AS
            SELECT child.node, above.parent FROM _parents AS child JOIN _parents AS above ON child.parent = above.node
        """)


def separate(connection: "duckdb.DuckDBPyConnection", edges: str, pairs: Iterable[tuple[int, int]], removed: str) -> None:
    """Take edges out of the table `edges` until no pair (leaving, staying) is connected, and add them to the table `removed` (leaving, a, b).

    A node leaves with everything that hangs on it alone: of its edges those go that lead to the other by a way that does not pass it. The
    pairs are taken in their order; a pair that is not connected, or is one node, changes nothing. Each costs the size of its component.
    """
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {removed} (leaving BIGINT, a BIGINT, b BIGINT)")
    pairs = [(leaving, staying) for leaving, staying in pairs if leaving != staying]
    if not pairs:
        return
    components(connection, edges, "_whole")
    for leaving, staying in pairs:
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE _part AS SELECT {edges}.a, {edges}.b FROM {edges} JOIN _whole ON {edges}.a = _whole.node "
            "WHERE component = (SELECT component FROM _whole WHERE node = ?)",
            [leaving],
        )
        connection.execute("CREATE OR REPLACE TEMP TABLE _rest AS SELECT a, b FROM _part WHERE a <> ? AND b <> ?", [leaving, leaving])
        components(connection, "_rest", "_sides")
        connection.execute("INSERT INTO _sides SELECT ?, ? WHERE NOT EXISTS (SELECT 1 FROM _sides WHERE node = ?)", [staying, staying, staying])
        connection.execute(
            f"INSERT INTO {removed} SELECT DISTINCT ?, a, b FROM _part JOIN _sides ON node = CASE WHEN a = ? THEN b ELSE a END "
            "WHERE (a = ? OR b = ?) AND component = (SELECT component FROM _sides WHERE node = ?)",
            [leaving, leaving, leaving, leaving, staying],
        )
        connection.execute(f"DELETE FROM {edges} USING {removed} WHERE {edges}.a = {removed}.a AND {edges}.b = {removed}.b")


def _count(connection: "duckdb.DuckDBPyConnection", relation: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {relation}").fetchone()
    return row[0] if row else 0
