"""Components and cuts of plain graphs."""

import random
from itertools import pairwise

import duckdb
import pytest

from dawnlist.identity.graph import components, separate


@pytest.fixture(scope="module")
def connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def draw(connection: duckdb.DuckDBPyConnection, edges: list[tuple[int, int]]) -> None:
    connection.execute("CREATE OR REPLACE TEMP TABLE edges AS SELECT unnest($1) AS a, unnest($2) AS b", [[a for a, _ in edges], [b for _, b in edges]])


def found(connection: duckdb.DuckDBPyConnection) -> dict[int, int]:
    components(connection, "edges", "found")
    return dict(connection.execute("FROM found").fetchall())


def test_what_hangs_together_has_its_smallest_node(connection: duckdb.DuckDBPyConnection) -> None:
    draw(connection, [(9, 4), (4, 7), (7, 9), (2, 3), (5, 5)])
    assert found(connection) == {4: 4, 7: 4, 9: 4, 2: 2, 3: 2, 5: 5}


@pytest.mark.parametrize("names", ["in order", "shuffled"])
def test_a_chain_of_ten_thousand_takes_few_rounds(connection: duckdb.DuckDBPyConnection, names: str) -> None:
    nodes = list(range(10_000))
    if names == "shuffled":
        random.Random(1).shuffle(nodes)
    draw(connection, list(pairwise(nodes)))
    assert components(connection, "edges", "found") <= 15
    assert connection.execute("SELECT count(*), min(component), max(component) FROM found").fetchone() == (10_000, 0, 0)


def test_a_star_is_one(connection: duckdb.DuckDBPyConnection) -> None:
    draw(connection, [(99, leaf) for leaf in range(99)])
    assert set(found(connection).values()) == {0}


@pytest.mark.parametrize(
    ("edges", "pairs", "expected"),
    [
        ([(1, 2), (2, 3), (3, 4)], [(1, 4)], {(1, 2)}),  # the one that leaves loses its link, wherever the other is
        ([(1, 2), (2, 3), (3, 4)], [(3, 1)], {(2, 3)}),  # 4 hangs on 3 alone and goes with it
        ([(1, 2), (2, 3), (3, 1)], [(1, 2)], {(1, 2), (3, 1)}),  # 3 leads to 2 on another way
        ([(1, 2), (3, 4)], [(1, 4)], set()),  # they were apart
        ([(1, 2), (2, 3)], [(1, 3), (3, 1)], {(1, 2)}),  # the first has done it
        ([(1, 2)], [(2, 2), (7, 8), (1, 7)], set()),
    ],
)
def test_a_cut_takes_the_links_of_the_one_that_leaves(
    connection: duckdb.DuckDBPyConnection, edges: list[tuple[int, int]], pairs: list[tuple[int, int]], expected: set[tuple[int, int]]
) -> None:
    draw(connection, edges)
    separate(connection, "edges", pairs, "removed")
    assert set(connection.execute("SELECT a, b FROM removed").fetchall()) == expected
    assert set(connection.execute("FROM edges").fetchall()) == set(edges) - expected
