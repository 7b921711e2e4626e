"""Each policy lets through what it should and nothing else, moves what it should and notes it; and a chain of them keeps every promise at once."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from dawnlist.rules import Rule, Rules
from dawnlist.settings import Recommend
from models import lists, merchandising
from models.inputs import Cut, Inputs
from models.policies import Policy, applied, cap, diverse, exploration, fresh, listable, not_excluded, seen_less_than, top
from models.policy_chain import chain

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


def listed(connection: duckdb.DuckDBPyConnection, *policies: Policy) -> dict[int, list[int]]:
    rows = connection.execute(f"SELECT p, list(i ORDER BY place) FROM ({applied(OFFERED, *policies)}) GROUP BY p").fetchall()
    return dict(rows)


def test_without_a_policy_everything_passes(connection: duckdb.DuckDBPyConnection) -> None:
    assert listed(connection) == {0: [0, 1, 2, 3], 1: [3, 0]}


def test_an_item_that_is_not_listable_is_on_no_list(connection: duckdb.DuckDBPyConnection) -> None:
    assert listed(connection, listable) == {0: [0, 1, 3], 1: [3, 0]}


def test_an_excluded_pair_concerns_its_person_only(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("INSERT INTO excluded VALUES (1, 3)")
    assert listed(connection, not_excluded) == {0: [0, 2, 3], 1: [0]}


def test_the_cap_keeps_the_first_items_of_a_category_and_ignores_items_without_one(connection: duckdb.DuckDBPyConnection) -> None:
    assert listed(connection, cap("category", 1)) == {0: [0, 2, 3], 1: [3, 0]}


def test_ranks_run_from_one_without_gaps_after_the_policies(connection: duckdb.DuckDBPyConnection) -> None:
    query = applied(OFFERED, not_excluded, listable, top(2))
    assert sorted(connection.execute(f"SELECT p, rank, i FROM ({query})").fetchall()) == [(0, 1, 0), (0, 2, 3), (1, 1, 3), (1, 2, 0)]


def test_equal_places_are_ordered_by_item(connection: duckdb.DuckDBPyConnection) -> None:
    query = applied("SELECT 0 AS p, unnest([3, 0]) AS i, 1 AS place", top(2))
    assert connection.execute(f"SELECT i FROM ({query}) ORDER BY rank").fetchall() == [(0,), (3,)]


# Ten items in the order of their numbers; the person 0 likes them in that order. Even items are tea, odd ones coffee; brands are a for 0 to 4, b for others.
DAY = date(2026, 3, 10)
CUT = Cut(DAY, 3, exclude_seen=False, exclude_bought=True, is_serving=True)
RANKED = (
    "SELECT p, i, i + 1 AS place, 1.0 / (i + 1) AS score, 'als' AS source, NULL::DOUBLE AS propensity, []::VARCHAR[] AS rules FROM recipient CROSS JOIN item"
)


def rules_of(*rules: dict[str, Any]) -> tuple[Rule, ...]:
    return Rules.model_validate({"rules": [{"id": f"rule-{number}", **rule} for number, rule in enumerate(rules, 1)]}).rules


@pytest.fixture
def shop() -> Iterator[duckdb.DuckDBPyConnection]:
    """Recipients: 0 a champion in SE, 1 somebody in FI, 2 the group of whom nothing is known."""
    with duckdb.connect() as connection:
        connection.execute("""
            CREATE TABLE item AS SELECT i::INTEGER AS i, 'item' || i AS item_id, if(i % 2 = 0, 'tea', 'coffee') AS category, if(i < 5, 'a', 'b') AS brand,
                10 - i AS age_days, true AS is_listable FROM range(10) AS numbers(i);
            CREATE TABLE person AS FROM (VALUES (0, 'ann'), (1, 'bob')) AS made(p, person_id);
            CREATE TABLE recipient AS FROM (VALUES (0, 'SE', ['champions']), (1, 'FI', ['new']), (2, NULL, NULL)) AS made(p, country, segments);
            CREATE TABLE excluded (p INTEGER, i INTEGER);
            CREATE TABLE history (p INTEGER, i INTEGER);
            CREATE TABLE viewed (p INTEGER, i INTEGER, n_views BIGINT);
        """)
        yield connection


def order(shop: duckdb.DuckDBPyConnection, *policies: Policy, p: int = 0, length: int = 10) -> list[int]:
    query = applied(RANKED, *policies, top(length))
    return [i for (i,) in shop.execute(f"SELECT i FROM ({query}) WHERE p = {p} ORDER BY rank").fetchall()]


def rules_on(shop: duckdb.DuckDBPyConnection, *policies: Policy, p: int = 0) -> dict[int, list[str]]:
    return dict(shop.execute(f"SELECT i, rules FROM ({applied(RANKED, *policies)}) WHERE p = {p} AND len(rules) > 0").fetchall())


def test_what_was_viewed_so_often_is_not_listed(shop: duckdb.DuckDBPyConnection) -> None:
    shop.execute("INSERT INTO viewed VALUES (0, 3, 5), (0, 4, 4), (1, 5, 9)")
    assert order(shop, seen_less_than(5)) == [0, 1, 2, 4, 5, 6, 7, 8, 9]


def test_new_items_move_up_and_their_advantage_halves_with_age(shop: duckdb.DuckDBPyConnection) -> None:
    shop.execute("UPDATE item SET age_days = CASE i WHEN 9 THEN 0 WHEN 7 THEN 7 ELSE NULL END")
    # Item 9: place 10 / (1 + 4) = 2, after item 1, which was second before. Item 7: place 8 / (1 + 4 / 2) = 2.67, before item 2 on the third place.
    assert order(shop, fresh(4, half_life_days=7)) == [0, 1, 9, 7, 2, 3, 4, 5, 6, 8]


def test_a_boost_divides_the_place_and_boosts_multiply(shop: duckdb.DuckDBPyConnection) -> None:
    rules = rules_of({"action": "boost", "items": ["item9"], "factor": 2}, {"action": "boost", "categories": ["coffee"], "factor": 2})
    merchandising.create_rules(shop, rules)
    # Coffee: places 2, 4, 6, 8 become 1, 2, 3, 4; item 9: 10 / 4 = 2.5. Where places are equal, who was first before is first: 0 (1) before 1 (1).
    assert order(shop, merchandising.boosts) == [0, 1, 3, 9, 2, 5, 7, 4, 6, 8]
    assert rules_on(shop, merchandising.boosts) == {1: ["rule-2"], 3: ["rule-2"], 5: ["rule-2"], 7: ["rule-2"], 9: ["rule-1", "rule-2"]}


def test_a_factor_below_one_moves_down(shop: duckdb.DuckDBPyConnection) -> None:
    merchandising.create_rules(shop, rules_of({"action": "boost", "brands": ["a"], "factor": 0.25}))
    assert order(shop, merchandising.boosts) == [0, 5, 6, 1, 7, 8, 9, 2, 3, 4]  # places 4, 8, 12, 16, 20; 1 and 7 tie at 8


def test_pins_stand_at_their_positions_and_the_others_close_up(shop: duckdb.DuckDBPyConnection) -> None:
    merchandising.create_rules(shop, rules_of({"action": "pin", "items": ["item8"], "position": 2}, {"action": "pin", "items": ["item7"], "position": 4}))
    assert order(shop, merchandising.pins) == [0, 8, 1, 7, 2, 3, 4, 5, 6, 9]
    assert rules_on(shop, merchandising.pins) == {8: ["rule-1"], 7: ["rule-2"]}


def test_of_two_pins_of_one_position_the_first_rule_has_it(shop: duckdb.DuckDBPyConnection) -> None:
    pins = [{"action": "pin", "items": [item], "position": 1} for item in ("item5", "item3")]
    merchandising.create_rules(shop, rules_of(*pins, {"action": "pin", "items": ["item9"], "position": 2}))
    assert order(shop, merchandising.pins) == [5, 3, 9, 0, 1, 2, 4, 6, 7, 8]


def test_a_pin_that_was_no_candidate_is_listed_unless_it_may_not_be_shown(shop: duckdb.DuckDBPyConnection) -> None:
    merchandising.create_rules(shop, rules_of({"action": "pin", "items": ["item7", "item8", "item9"], "position": 1}))
    shop.execute("INSERT INTO excluded VALUES (0, 8); UPDATE item SET is_listable = false WHERE i = 9")

    def few(query: str) -> str:
        return f"SELECT * FROM ({query}) WHERE i < 3"

    assert order(shop, few, merchandising.pins) == [7, 0, 1, 2]
    found = shop.execute(f"SELECT score, source, rules FROM ({applied(RANKED, few, merchandising.pins)}) WHERE p = 0 AND i = 7").fetchall()
    assert found == [(0.0, "rule", ["rule-1"])]


def test_conditions_hold_for_whom_they_name_and_never_for_whom_nothing_is_known_of(shop: duckdb.DuckDBPyConnection) -> None:
    rules = rules_of(
        {"action": "exclude", "items": ["item0"], "when": {"countries": ["SE"]}},
        {"action": "exclude", "items": ["item1"], "when": {"segments": ["new", "champions"]}},
        {"action": "exclude", "items": ["item2"], "when": {"segments": ["champions"], "countries": ["FI"]}},
        {"action": "exclude", "items": ["item3"]},
        {"action": "restrict", "items": ["item4"], "when": {"countries": ["SE", "NO"]}},
    )
    merchandising.create_rules(shop, rules)
    assert order(shop, merchandising.permitted, p=0) == [2, 4, 5, 6, 7, 8, 9]
    assert order(shop, merchandising.permitted, p=1) == [0, 2, 5, 6, 7, 8, 9]
    assert order(shop, merchandising.permitted, p=2) == [0, 1, 2, 5, 6, 7, 8, 9]


def test_names_that_nothing_has_are_told_by_rule(shop: duckdb.DuckDBPyConnection) -> None:
    known = {"action": "boost", "items": ["item1"], "categories": ["tea"], "brands": ["b"], "factor": 2, "when": {"segments": ["new"], "countries": ["SE"]}}
    unknown = {"action": "exclude", "items": ["itemX", "item2", "itemA"], "when": {"segments": ["winners"], "countries": ["XX"]}}
    merchandising.create_rules(shop, rules_of(known, unknown))
    assert merchandising.unknown_names(shop) == [
        "rule rule-2: nothing tonight has these countries: XX",
        "rule rule-2: nothing tonight has these items: itemA, itemX",
        "rule rule-2: nothing tonight has these segments: winners",
    ]


def test_the_order_of_policies_is_the_order_of_what_happens(shop: duckdb.DuckDBPyConnection) -> None:
    merchandising.create_rules(shop, rules_of({"action": "pin", "items": ["item8"], "position": 1}))
    one_each = cap("category", 1)
    assert order(shop, one_each, merchandising.pins) == [8, 0, 1]  # the cap did not see the pin
    assert order(shop, merchandising.pins, one_each) == [8, 1]  # tea is the pinned item


def test_diversity_changes_the_pool_alone_and_zero_weight_changes_nothing(shop: duckdb.DuckDBPyConnection) -> None:
    # Items 0 to 3 have relevances 1, .75, .5, .25; 0 and 2 are tea, 1 and 3 coffee, all of brand a. Likeness to 0: of 1 and 3 a third, of 2 all.
    # First 0; then 1: .5 * .75 - .5 / 3 = .208, 2: .25 - .5 = -.25, 3: .125 - .167 = -.042. Then 2: .25 - .5, 3: .125 - .5: item 2.
    assert order(shop, diverse(shop, 0.5, pool=4, length=10))[:4] == [0, 1, 2, 3]
    shop.execute("UPDATE item SET category = 'tea' WHERE i < 3")
    # Now 1 and 2 are all like 0 (-.125, -.25), and 3 is a third (-.042): it comes second. Then 1 before 2.
    assert order(shop, diverse(shop, 0.5, pool=4, length=10)) == [0, 3, 1, 2, 4, 5, 6, 7, 8, 9]
    assert order(shop, diverse(shop, 0.0, pool=4, length=10)) == list(range(10))


EXPLORE = {"length": 4, "key": "7/2026-03-10/", "eligible": (listable, not_excluded)}


def test_drawn_items_have_their_places_and_propensities(shop: duckdb.DuckDBPyConnection) -> None:
    shop.execute("CREATE TABLE explorable AS SELECT unnest([0, 6, 7, 8, 9]) AS i; INSERT INTO history VALUES (0, 9); INSERT INTO excluded VALUES (0, 8)")
    drawn = exploration(1, **EXPLORE)  # type: ignore[arg-type]
    rows = shop.execute(f"SELECT p, rank, i, source, propensity FROM ({applied(RANKED, drawn, top(4))}) ORDER BY p, rank").fetchall()
    # Item 0 is on the list anyway, 9 was met and 8 is excluded: 6 or 7 for the person 0, one of four for 1. One slot of four is the third place.
    [of_ann] = [row for row in rows if row[0] == 0 and row[3] == "exploration"]
    [of_bob] = [row for row in rows if row[0] == 1 and row[3] == "exploration"]
    assert (of_ann[1], of_ann[2] in {6, 7}, of_ann[4]) == (3, True, 0.5)
    assert (of_bob[1], of_bob[2] in {6, 7, 8, 9}, of_bob[4]) == (3, True, 0.25)
    assert [row[2] for row in rows if row[0] == 0 and row[3] == "als"] == [0, 1, 2]
    assert [row[2:] for row in rows if row[0] == 2] == [(i, "als", None) for i in range(4)], "the list of a group is not drawn"


def test_every_item_is_drawn_as_often_as_its_propensity_says(shop: duckdb.DuckDBPyConnection) -> None:
    shop.execute("CREATE OR REPLACE TABLE person AS SELECT p::INTEGER AS p, 'person' || p AS person_id FROM range(4000) AS numbers(p)")
    shop.execute("CREATE OR REPLACE TABLE recipient AS SELECT p, NULL::VARCHAR AS country, NULL::VARCHAR[] AS segments FROM person")
    shop.execute("CREATE TABLE explorable AS SELECT unnest(range(5, 10))::INTEGER AS i")
    drawn = exploration(2, **EXPLORE)  # type: ignore[arg-type]
    query = f"SELECT i, count(*), min(propensity), max(propensity) FROM ({applied(RANKED, drawn)}) WHERE source = 'exploration' GROUP BY i ORDER BY i"
    rows = shop.execute(query).fetchall()
    assert [row[0] for row in rows] == [5, 6, 7, 8, 9]
    # 4000 draws of 2 of 5: 1600 each, standard deviation 31; four of them.
    assert all(abs(n - 1600) < 124 and low == high == 0.4 for _, n, low, high in rows)


def test_a_draw_is_the_same_again_and_another_one_on_another_day(shop: duckdb.DuckDBPyConnection) -> None:
    shop.execute("CREATE OR REPLACE TABLE person AS SELECT p::INTEGER AS p, 'person' || p AS person_id FROM range(50) AS numbers(p)")
    shop.execute("CREATE OR REPLACE TABLE recipient AS SELECT p, NULL::VARCHAR AS country, NULL::VARCHAR[] AS segments FROM person")
    shop.execute("CREATE TABLE explorable AS SELECT unnest(range(5, 10))::INTEGER AS i")

    def drawn(key: str) -> list[tuple[int, int]]:
        draw = exploration(1, length=4, key=key, eligible=(listable, not_excluded))
        return shop.execute(f"SELECT p, i FROM ({applied(RANKED, draw)}) WHERE source = 'exploration' ORDER BY p").fetchall()

    assert drawn("7/2026-03-10/") == drawn("7/2026-03-10/")
    same = [pair for pair in drawn("7/2026-03-10/") if pair in drawn("7/2026-03-11/")]
    assert 0 < len(same) < 25, "a fifth is the same by chance"


def test_a_pool_that_is_smaller_than_the_slots_is_shown_for_certain(shop: duckdb.DuckDBPyConnection) -> None:
    shop.execute("CREATE TABLE explorable AS SELECT 9 AS i")
    drawn = exploration(2, **EXPLORE)  # type: ignore[arg-type]
    rows = shop.execute(f"SELECT rank, i, propensity FROM ({applied(RANKED, drawn, top(4))}) WHERE p = 0 ORDER BY rank").fetchall()
    assert rows == [(1, 0, None), (2, 9, 1.0), (3, 1, None), (4, 2, None)]


@st.composite
def shops(draw: st.DrawFn) -> tuple[list[tuple[Any, ...]], set[int], set[int], tuple[Rule, ...], Recommend]:
    """Items (category, is_listable), what person 0 has bought and viewed too often, rules and settings."""
    items = draw(st.lists(st.tuples(st.sampled_from(["tea", "coffee", None]), st.sampled_from(["a", "b", None]), st.booleans()), min_size=1, max_size=14))
    some = st.sets(st.integers(0, len(items) - 1), max_size=4)
    named = st.lists(st.integers(0, 13).map(lambda i: f"item{i}"), min_size=1, max_size=3, unique=True)
    when = st.sampled_from([None, {"countries": ["SE"]}, {"countries": ["FI"]}, {"segments": ["champions"]}])
    pin = st.fixed_dictionaries({"action": st.just("pin"), "items": named, "position": st.integers(1, 6), "when": when})
    boost = st.fixed_dictionaries({"action": st.just("boost"), "items": named, "factor": st.sampled_from([0.5, 2.0, 3.0]), "when": when})
    bar = st.fixed_dictionaries({"action": st.just("exclude"), "items": named, "when": when})
    restrict = st.fixed_dictionaries({"action": st.just("restrict"), "items": named, "when": when.filter(bool)})
    rules = draw(st.lists(pin | boost | bar | restrict, max_size=5))
    names = draw(st.permutations(["seen", "freshness", "boosts", "diversity", "category_cap", "brand_cap", "pins"]))
    settings = Recommend(
        list_length=draw(st.integers(1, 6)),
        policies=(*names, "exploration"),
        max_views=3,
        freshness=draw(st.sampled_from([0.0, 2.0])),
        diversity=draw(st.sampled_from([0.0, 0.5])),
        diversity_pool=5,
        max_per_category=draw(st.integers(0, 2)),
        max_per_brand=draw(st.integers(0, 2)),
        exploration_share=draw(st.sampled_from([0.0, 0.3])),
    )
    return items, draw(some), draw(some), rules_of(*rules), settings


@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(shops())
def test_whatever_the_policies_and_their_order_nothing_that_may_not_be_shown_is_shown(made: Any) -> None:
    items, bought, viewed, rules, settings = made
    with duckdb.connect() as connection:
        rows = shown(connection, items, bought, viewed, rules, settings)
        pinned = {rule.id for rule in rules if rule.action == "pin"}
    context = {0: ("SE", {"champions"}), 1: (None, set[str]())}
    for p in context:
        listed_items = [row for row in rows if row[0] == p]
        allowed = {i for i, (_, _, is_listable) in enumerate(items) if is_listable and not (p == 0 and i in bought) and not is_barred(i, rules, *context[p])}
        numbers = [i for _, _, i, *_ in listed_items]
        assert set(numbers) <= allowed
        assert len(set(numbers)) == len(numbers) <= settings.list_length
        assert [rank for _, rank, *_ in listed_items] == list(range(1, len(numbers) + 1))
        free = [i for _, _, i, source, _, ids in listed_items if source != "exploration" and not pinned & set(ids)]
        assert not (p == 0 and set(free) & viewed and settings.policies.index("seen") > settings.policies.index("pins"))
        for attribute, limit in ((0, settings.max_per_category), (1, settings.max_per_brand)):
            values = [items[i][attribute] for i in free if items[i][attribute]]
            assert not limit or all(values.count(value) <= limit for value in values)
        if not (settings.max_per_category or settings.max_per_brand):
            wanted = allowed - (viewed if p == 0 else set())
            assert len(numbers) >= min(settings.list_length, len(wanted))
        assert all((propensity is not None) == (source == "exploration") for _, _, _, source, propensity, _ in listed_items)


def shown(
    connection: duckdb.DuckDBPyConnection, items: Sequence[tuple[Any, ...]], bought: set[int], viewed: set[int], rules: Sequence[Rule], settings: Recommend
) -> list[tuple[Any, ...]]:
    """(p, rank, i, source, propensity, rules) of the lists of the person 0 and of the group 1: the first half are candidates of 0, all are popular."""
    connection.execute("CREATE TABLE item (i INTEGER, item_id VARCHAR, category VARCHAR, brand VARCHAR, age_days INTEGER, is_listable BOOLEAN)")
    connection.executemany("INSERT INTO item VALUES (?, ?, ?, ?, ?, ?)", [(i, f"item{i}", *of[:2], i, of[2]) for i, of in enumerate(items)])
    connection.execute("""
        CREATE TABLE person AS SELECT 0 AS p, 'ann' AS person_id;
        CREATE TABLE recipient AS FROM (VALUES (0, 'SE', NULL, NULL, ['champions']), (1, NULL, NULL, NULL, NULL)) AS made(p, country, device, segment, segments);
        CREATE TABLE excluded (p INTEGER, i INTEGER); CREATE TABLE history (p INTEGER, i INTEGER);
        CREATE TABLE fallback AS
        SELECT country, device, segment, i, i + 1 AS place, 9.0 AS score, 'popular_global' AS source FROM recipient CROSS JOIN item WHERE is_listable
    """)
    connection.execute("CREATE TABLE scored AS SELECT 0 AS p, i, i + 1 AS place, 1.0 AS score, 'als' AS source FROM item WHERE i < ?", [len(items) // 2])
    for i in bought:
        connection.execute("INSERT INTO excluded VALUES (0, ?)", [i])
    connection.execute("CREATE TABLE met (person_id VARCHAR, item_id VARCHAR, event_type VARCHAR, occurred_at TIMESTAMP, is_personal BOOLEAN)")
    for i in viewed:
        connection.execute("INSERT INTO met SELECT 'ann', ?, 'view', TIMESTAMP '2026-03-10 08:00:00', true FROM range(3)", [f"item{i}"])
    merchandising.create_rules(connection, rules)
    lists.create_lists(connection, chain(connection, _Met({}), CUT, rules, settings, seed=7), first=0, last=2, length=settings.list_length)
    return connection.execute("SELECT p, rank, i, source, propensity, rules FROM listed ORDER BY p, rank").fetchall()


class _Met(Inputs):
    """The table met in the place of the interactions' files."""

    def relation(self, table: str) -> str:
        return "met"


def is_barred(i: int, rules: Sequence[Rule], country: str | None, segments: set[str]) -> bool:
    """What the rules mean, said again without SQL."""

    def holds(rule: Rule) -> bool:
        when = rule.when
        return when is None or ((when.countries is None or country in when.countries) and (when.segments is None or bool(segments & set(when.segments))))

    concerned = [rule for rule in rules if rule.items and f"item{i}" in rule.items]
    return any((rule.action == "exclude" and holds(rule)) or (rule.action == "restrict" and not holds(rule)) for rule in concerned)
