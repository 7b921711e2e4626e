"""Each policy lets through what it should and nothing else."""

from collections.abc import Iterator

import duckdb
import pytest

from models.policies import Policy, applied, category_cap, listable, not_excluded, top

OFFERED = "SELECT p, i, place FROM (VALUES (0, 0, 1), (0, 1, 2), (0, 2, 3), (0, 3, 4), (1, 3, 1), (1, 0, 2)) AS offered(p, i, place)"


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """Items 0 and 1 are hats, 2 a shoe that must not be shown, 3 has no category; person 0 has bought item 1."""
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE item AS SELECT * FROM (VALUES (0, 'hat', true), (1, 'hat', true), (2, 'shoe', false), (3, NULL, true)) AS made(i, category, is_listable)"
        )
        connection.execute("CREATE TABLE excluded AS SELECT 0 AS p, 1 AS i")
        yield connection


def lists(connection: duckdb.DuckDBPyConnection, *policies: Policy) -> dict[int, list[int]]:
    rows = connection.execute(f"SELECT p, list(i ORDER BY place) FROM ({applied(OFFERED, *policies)}) GROUP BY p").fetchall()
    return dict(rows)


def test_without_a_policy_everything_passes(connection: duckdb.DuckDBPyConnection) -> None:
    assert lists(connection) == {0: [0, 1, 2, 3], 1: [3, 0]}


def test_an_item_that_is_not_listable_is_on_no_list(connection: duckdb.DuckDBPyConnection) -> None:
    assert lists(connection, listable) == {0: [0, 1, 3], 1: [3, 0]}


def test_an_excluded_pair_concerns_its_person_only(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("INSERT INTO excluded VALUES (1, 3)")
    assert lists(connection, not_excluded) == {0: [0, 2, 3], 1: [0]}


def test_the_cap_keeps_the_first_items_of_a_category_and_ignores_items_without_one(connection: duckdb.DuckDBPyConnection) -> None:
    assert lists(connection, category_cap(1)) == {0: [0, 2, 3], 1: [3, 0]}


def test_no_cap_limits_nothing(connection: duckdb.DuckDBPyConnection) -> None:
    assert lists(connection, category_cap(0)) == lists(connection)


def test_ranks_run_from_one_without_gaps_after_the_policies(connection: duckdb.DuckDBPyConnection) -> None:
    query = applied(OFFERED, not_excluded, listable, top(2))
    assert sorted(connection.execute(f"SELECT p, rank, i FROM ({query})").fetchall()) == [(0, 1, 0), (0, 2, 3), (1, 1, 3), (1, 2, 0)]


def test_equal_places_are_ordered_by_item(connection: duckdb.DuckDBPyConnection) -> None:
    query = applied("SELECT 0 AS p, unnest([3, 0]) AS i, 1 AS place", top(2))
    assert connection.execute(f"SELECT i FROM ({query}) ORDER BY rank").fetchall() == [(0,), (3,)]
