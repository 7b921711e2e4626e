"""Whose list is whose, and what fills it up."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import duckdb
import pytest

from dawnlist.rules import Rules
from models import lists, merchandising, popular
from models.inputs import Cut, Inputs

CUT = Cut(date(2026, 3, 10), 3, exclude_seen=False, exclude_bought=True, is_serving=True)


class _Tables(Inputs):
    """Tables of the connection in the place of files."""

    def relation(self, table: str) -> str:
        return table


INPUTS = _Tables({})


@pytest.fixture
def site() -> Iterator[duckdb.DuckDBPyConnection]:
    """Ann has a history, in SE and the cluster of friends. Bob and Cid are new in FI, Dan on a phone; Eve has not consented."""
    with duckdb.connect() as connection:
        connection.execute("""
            CREATE TABLE person AS SELECT 0 AS p, 'ann' AS person_id, 'SE' AS country, NULL::VARCHAR AS device;
            CREATE TABLE dim_users AS FROM (VALUES ('ann', true, 'SE', NULL), ('bob', true, 'FI', NULL), ('cid', true, 'FI', NULL), ('dan', true, NULL, 'phone'),
                ('eve', false, 'FI', 'phone')) AS made(person_id, has_personalisation_consent, country, device);
            CREATE TABLE dim_user_segments AS FROM (VALUES ('ann', 'cluster', 'friends', true), ('ann', 'rfm', 'champions', true), ('ann', 'rfm', 'lost', false),
                ('bob', 'cluster', 'new', true), ('cid', 'cluster', 'new', true), ('eve', 'cluster', 'friends', true)) AS made(person_id, kind, segment_label, is_current);
            CREATE TABLE item AS SELECT i::INTEGER AS i, 'item' || i AS item_id, 'tea' AS category, NULL::VARCHAR AS brand, true AS is_listable FROM range(8) AS numbers(i);
            CREATE TABLE scope_list AS
                SELECT 'global' AS scope, '' AS scope_value, i + 1 AS place, i, 9.0::DOUBLE AS score, 'popular_7d' AS source FROM item WHERE i < 6
                UNION ALL FROM (VALUES ('country', 'FI', 1, 3, 5.0, 'popular_7d'), ('country', 'FI', 2, 0, 4.0, 'popular_7d'));
            CREATE TABLE fct_interactions AS
                FROM (VALUES ('ann', 'item5', true, TIMESTAMP '2026-03-10 12:00:00'), ('ann', 'item5', true, TIMESTAMP '2026-03-01 12:00:00'),
                    ('ann', 'item4', true, TIMESTAMP '2026-03-09 12:00:00'), ('ann', 'item1', true, TIMESTAMP '2025-01-01 12:00:00'),
                    (NULL, 'item7', false, TIMESTAMP '2025-03-12 00:00:00'), (NULL, 'item6', false, TIMESTAMP '2025-04-08 23:00:00'),
                    (NULL, 'item6', false, TIMESTAMP '2025-04-09 00:00:00'), (NULL, 'item7', false, TIMESTAMP '2025-03-20 00:00:00')
                ) AS made(person_id, item_id, is_personal, occurred_at);
        """)
        yield connection


def recipients(site: duckdb.DuckDBPyConnection) -> dict[int, tuple[Any, ...]]:
    return {p: tuple(rest) for p, *rest in site.execute("SELECT p, country, device, segment, segments FROM recipient").fetchall()}


def test_whoever_is_known_by_the_same_shares_a_list_and_nothing_is_known_without_consent(site: duckdb.DuckDBPyConnection) -> None:
    assert lists.create_recipients(site, INPUTS) == 4  # Ann, the two in FI, Dan, Eve
    whose = dict(site.execute("SELECT person_id, p FROM other").fetchall())
    assert whose["bob"] == whose["cid"]
    assert len(set(whose.values())) == 3
    assert set(whose.values()) == {1, 2, 3}
    found = recipients(site)
    assert found[0] == ("SE", None, "friends", ["champions", "friends"])
    assert found[whose["bob"]] == ("FI", None, "new", ["new"])
    assert found[whose["dan"]] == (None, "phone", None, None)
    assert found[whose["eve"]] == (None, None, None, None)
    scopes = dict(site.execute("SELECT scope_value, p FROM scope").fetchall())
    assert [found[scopes[value]] for value in ("FI", "")] == [("FI", None, None, None), (None, None, None, None)]
    assert len(found) == 6


def fallbacks(site: duckdb.DuckDBPyConnection, *, season_every: int) -> dict[Any, list[tuple[int, str]]]:
    lists.create_recipients(site, INPUTS)
    popular.add_segment_lists(site, INPUTS, CUT)
    popular.add_season_list(site, INPUTS, CUT)
    lists.create_fallback(site, season_every=season_every)
    ordered = site.execute("SELECT segment, country, device, i, source FROM fallback ORDER BY place").fetchall()
    found: dict[Any, list[tuple[int, str]]] = {}
    for segment, country, device, i, source in ordered:
        found.setdefault((segment, country, device), []).append((i, source.removeprefix("popular_")))
    return found


def test_a_list_is_filled_from_the_nearest_group_to_everybody(site: duckdb.DuckDBPyConnection) -> None:
    found = fallbacks(site, season_every=0)
    everybody = [(i, "global") for i in range(6)]
    # Of friends: item 5 twice and 4 once in 28 days; the year before does not count.
    assert found["friends", "SE", None] == [(5, "segment"), (4, "segment"), *everybody[:4]]
    assert found["new", "FI", None] == [(3, "country"), (0, "country"), (1, "global"), (2, "global"), (4, "global"), (5, "global")]
    assert found[None, None, "phone"] == found[None, None, None] == everybody


def test_every_third_place_is_for_the_season(site: duckdb.DuckDBPyConnection) -> None:
    # 28 days from 2025-03-12: item 7 twice, item 6 once (its other event is a day too late).
    expected = [(0, "global"), (1, "global"), (7, "season"), (2, "global"), (3, "global"), (6, "season"), (4, "global"), (5, "global")]
    assert fallbacks(site, season_every=3)[None, None, None] == expected


def test_popular_lists_leave_out_what_rules_do_not_let_their_scope_see(site: duckdb.DuckDBPyConnection) -> None:
    document = {
        "rules": [
            {"id": "gone", "action": "exclude", "items": ["item0"]},
            {"id": "finland", "action": "restrict", "items": ["item3"], "when": {"countries": ["FI"]}},
        ]
    }
    rules = Rules.model_validate(document).rules
    site.execute("CREATE TABLE excluded (p INTEGER, i INTEGER)")
    lists.create_recipients(site, INPUTS)
    merchandising.create_rules(site, rules)
    rows = site.execute(lists.popular_items(merchandising.eligible(rules), length=3)).fetchall()
    assert [row[:4] for row in rows] == [("country", "FI", 1, "item3"), ("global", "", 1, "item1"), ("global", "", 2, "item2"), ("global", "", 3, "item4")]


def test_the_reason_is_that_of_the_first_rule_that_has_one(site: duckdb.DuckDBPyConnection) -> None:
    boost = {"action": "boost", "items": ["item0"], "factor": 2}
    rules = [{"id": "silent", **boost}, {"id": "loud", **boost, "reason": "our choice"}, {"id": "later", **boost, "reason": "no"}]
    merchandising.create_rules(site, Rules.model_validate({"rules": rules}).rules)
    site.execute("""
        CREATE TABLE listed AS FROM (VALUES (0, 1, 0, 0.5, 'als', NULL::DOUBLE, ['silent', 'loud', 'later']), (0, 2, 1, 0.4, 'als', NULL, ['silent']),
            (0, 3, 2, 0.0, 'exploration', 0.25, [])) AS made(p, rank, i, score, source, propensity, rules)
    """)
    rows = site.execute(
        f"SELECT item_id, reason, propensity, rules FROM ({lists.recommendations(whose='person', model_version='m', made_on='NULL')})"
    ).fetchall()
    assert rows == [
        ("item0", "our choice", None, ["silent", "loud", "later"]),
        ("item1", "liked by people with a similar taste", None, ["silent"]),
        ("item2", "new for you to discover", 0.25, []),
    ]
