"""The frame: who proposes what to whom, and what is known of it, as of a cut."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, get_args

import duckdb
import pytest

from dawnlist.lake import Lake
from dawnlist.settings import Candidates, CandidateSource
from models import frame
from models.inputs import MARTS, Cut, Inputs, judged_persons, listed_persons
from tests.unit.marts import Marts, at

DAY = date(2026, 3, 10)
NEXT = DAY + timedelta(days=1)
CUT = Cut(DAY, horizon_days=2, exclude_seen=False, exclude_bought=True)
EVENTS = [
    ("anna", "hat", at(DAY - timedelta(days=180)), "view"),
    ("anna", "hat", at(DAY), "view"),
    ("anna", "coat", at(DAY), "purchase"),
    ("bert", "coat", at(DAY), "view"),
    ("bert", "shoe", at(DAY, 23, 30), "view"),
    ("carl", "coat", at(DAY - timedelta(days=3)), "view"),
    # labels
    ("anna", "coat", at(NEXT), "view"),
    ("anna", "shoe", at(NEXT), "view"),
    ("bert", "coat", at(NEXT), "view"),
    ("carl", "hat", at(DAY + timedelta(days=3)), "view"),  # after the window
    ("dora", "hat", at(NEXT), "view"),  # not known before the cut
]
ITEMS = {"hat": {"category": "head", "price": 10}, "coat": {"category": "body", "price": 30}, "shoe": {"price": 20}}


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def made(connection: duckdb.DuckDBPyConnection, folder: Path, **changes: Any) -> Inputs:
    marts = replace(Marts([DAY], EVENTS, ITEMS, {"anna": {"country": "SE"}, "bert": {"country": "SE"}, "carl": {"country": "FI"}}), **changes)
    snapshot = marts.write(connection, Lake(folder / "night"))
    als = folder / "als.parquet"
    connection.execute(f"COPY (SELECT 'carl' AS person_id, 'shoe' AS item_id, 1::INTEGER AS rank, 0.25::DOUBLE AS score) TO '{als}' (FORMAT parquet)")
    return Inputs({mart: snapshot.files(mart) for mart in MARTS} | {"candidates_als": [als]})


def rows(connection: duckdb.DuckDBPyConnection, inputs: Inputs, cut: Cut = CUT, columns: str = "place", **options: Any) -> dict[tuple[str, str], Any]:
    """(person, item) -> the columns of its row of the frame; None for NaN."""
    frame.prepare(connection, inputs, cut, ["anna", "bert", "carl"], options.pop("candidates", Candidates()))
    query = frame.frame(**{"first": 0, "last": 3, "keep": 40, "weights": frame.EQUAL_WEIGHTS, **options})
    found = connection.execute(f"SELECT person_id, item_id, {columns} FROM ({query}) JOIN person USING (p) JOIN item USING (i)").fetchall()
    clean = [[None if value != value else value for value in row] for row in found]
    return {(person, item): rest[0] if len(rest) == 1 else tuple(rest) for person, item, *rest in clean}


def test_every_source_proposes_and_bought_items_stay_off(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    found = rows(connection, made(connection, tmp_path), columns="own_rank, als_rank, popular_1h_rank, popular_1d_rank")
    assert set(found) == {(person, item) for person in ("anna", "bert", "carl") for item in ("hat", "coat", "shoe")} - {("anna", "coat")}
    assert found["carl", "shoe"] == (None, 1, 1, 3)  # the only item of the last hour; coat has two events of the day, hat and shoe one
    assert found["anna", "hat"] == (1, None, None, 2)
    assert found["bert", "coat"] == (1, None, None, 1)


def test_where_seen_items_are_excluded_nothing_of_the_past_is_left(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    found = rows(connection, made(connection, tmp_path), replace(CUT, exclude_seen=True), columns="own_rank")
    assert found == {("anna", "shoe"): None, ("bert", "hat"): None, ("carl", "hat"): None, ("carl", "shoe"): None}


def test_where_nothing_is_excluded_bought_items_come_back(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    found = rows(connection, made(connection, tmp_path), replace(CUT, exclude_bought=False), columns="own_rank, own_n_purchases")
    assert found["anna", "coat"] == (1, 1)  # a purchase weighs 5, two views of the hat 1.5


def test_blocked_items_never_appear_and_unavailable_ones_not_on_the_run_date(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    inputs = made(connection, tmp_path, items=ITEMS | {"hat": {"is_blocked": True}, "shoe": {"is_available": False}})
    assert {item for _, item in rows(connection, inputs)} == {"coat", "shoe"}
    assert {item for _, item in rows(connection, inputs, replace(CUT, is_serving=True))} == {"coat"}


def test_own_events_count_half_after_the_half_life_and_features_stop_at_the_cut(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    found = rows(
        connection, made(connection, tmp_path), columns="own_score, own_n_events, own_days_since, category_n_events, round(category_share * 3), price_ratio"
    )
    assert found["anna", "hat"] == (1.5, 2, 0, 2, 2, 0.5)  # three events, two on heads; mean price of hat and coat is 20
    assert found["anna", "shoe"] == (None, None, None, None, None, 1.0)


def test_the_countrys_list_counts_for_its_people_only(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    found = rows(connection, made(connection, tmp_path), columns="country_1d_rank, country_7d_rank")
    assert found["bert", "shoe"] == (3, 3)
    assert found["carl", "coat"] == (None, 1)
    assert found["carl", "shoe"] == (None, None)


def test_what_was_bought_before_is_proposed_where_it_may_be(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    again = [*EVENTS, ("anna", "hat", at(DAY - timedelta(days=90)), "purchase"), ("anna", "hat", at(DAY - timedelta(days=180)), "purchase")]
    inputs = made(connection, tmp_path, events=again)
    columns = "repeats_rank, round(repeats_score, 4)"
    free = rows(connection, inputs, replace(CUT, exclude_bought=False), columns, candidates=Candidates(own_half_life_days=90))
    assert {pair: found for pair, found in free.items() if found[0]} == {("anna", "coat"): (1, 1.0), ("anna", "hat"): (2, 0.75)}
    assert {found[0] for found in rows(connection, inputs, columns=columns).values()} == {None}


def test_a_category_and_a_segment_have_popular_items_of_their_own(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    more = [*EVENTS, ("emil", "boots", at(DAY - timedelta(days=7)), "view")]
    users = {"anna": {"segment": "vip"}, "bert": {"segment": "new"}, "emil": {"segment": "vip"}}
    inputs = made(connection, tmp_path, events=more, users=users, items=ITEMS | {"boots": {"category": "head"}})
    found = rows(connection, inputs, columns="popular_category_rank, popular_category_score, popular_segment_rank, popular_segment_score")
    # anna's top category is head: the hat of today, and the boots of a half-life ago. Her segment, without the coat that she has bought, came to the same two.
    assert found["anna", "hat"] == (1, 1.0, 1, 1.0)
    assert found["anna", "boots"] == (2, 0.5, 2, 0.5)
    assert found["bert", "coat"][2:] == (1, 1.0)
    assert found["carl", "shoe"][2:] == (None, None)  # no segment


def test_a_source_that_is_switched_off_proposes_nothing(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    inputs = made(connection, tmp_path)
    found = rows(connection, inputs, columns="own_rank, als_rank", candidates=Candidates(sources=("als",)))
    assert {own for own, _ in found.values()} == {None}
    assert found["carl", "shoe"] == (None, 1)
    assert set(get_args(CandidateSource)) == set(frame.PERSONAL)


def test_the_source_is_the_one_that_has_the_item_highest(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    found = rows(connection, made(connection, tmp_path), columns="source")
    assert {pair: frame.SOURCES[source] for pair, source in found.items()} == {
        ("anna", "hat"): "own",
        ("anna", "shoe"): "popular_country",
        ("bert", "coat"): "own",
        ("bert", "hat"): "popular_country",
        ("bert", "shoe"): "popular_country",
        ("carl", "coat"): "own",
        ("carl", "hat"): "popular_1d",
        ("carl", "shoe"): "als",
    }


def test_fusion_adds_weight_over_sixty_plus_rank(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    weights = dict.fromkeys(frame.SINGLE, 0.0) | {"als": 0.5, "popular_1d": 0.25}
    found = rows(connection, made(connection, tmp_path), columns="fusion, place", weights=weights)
    assert found["carl", "shoe"] == (pytest.approx(0.5 / 61 + 0.25 / 63), 1)
    assert found["carl", "coat"] == (pytest.approx(0.25 / 61), 2)
    assert found["carl", "hat"] == (pytest.approx(0.25 / 62), 3)


def test_a_leader_goes_before_the_fusion(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    weights = dict.fromkeys(frame.SINGLE, 0.0) | {"als": 1.0}
    found = rows(connection, made(connection, tmp_path), columns="place, source", weights=weights, leader="popular_1d")
    popular_1d = frame.SOURCES.index("popular_1d")
    assert [found["carl", item] for item in ("coat", "hat", "shoe")] == [(1, popular_1d), (2, popular_1d), (3, popular_1d)]


def test_what_is_expected_is_one_more_popular_list(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    expected = tmp_path / "forecast.parquet"
    connection.execute(
        f"COPY (SELECT * FROM (VALUES (DATE '{DAY}', 1::INTEGER, 'hat', 9.0::DOUBLE), (DATE '{NEXT}', 1, 'coat', 9.0)) AS f (feature_date, rank, item_id, score)) "
        f"TO '{expected}' (FORMAT parquet)"
    )
    inputs = made(connection, tmp_path)
    found = rows(connection, replace(inputs, files={**inputs.files, "forecast_items": [expected]}), columns="popular_forecast_rank, country_forecast_rank")
    assert found["bert", "hat"] == (1, None)
    assert {rank for (_, item), (rank, _) in found.items() if item != "hat"} == {None}


def test_only_the_first_candidates_are_kept_and_a_range_has_only_its_persons(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    weights = dict.fromkeys(frame.SINGLE, 0.0) | {"popular_1d": 1.0}
    found = rows(connection, made(connection, tmp_path), weights=weights, keep=1, first=1, last=3)
    assert found == {("bert", "coat"): 1, ("carl", "coat"): 1}


def test_who_may_not_have_the_first_popular_items_has_the_next_ones(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    inputs = made(connection, tmp_path)
    assert rows(connection, inputs, replace(CUT, exclude_seen=True), keep=1) == {("anna", "shoe"): 1, ("bert", "hat"): 1, ("carl", "shoe"): 1}


@pytest.mark.parametrize("leader", [None, "als", "popular_1h", "popular_country"])
def test_the_first_candidates_are_those_of_all(connection: duckdb.DuckDBPyConnection, tmp_path: Path, leader: str | None) -> None:
    days = [DAY - timedelta(days=age) for age in range(20)]
    crowd = [(f"reader {n % 31}", f"item {n * n % 47}", at(days[n % 20]), "purchase" if n % 5 == 0 else "view") for n in range(600)]
    inputs = made(
        connection, tmp_path, events=[*EVENTS, *crowd, *((name, f"item {n}", at(DAY), "purchase") for name in ("anna", "bert") for n in range(0, 47, 3))]
    )
    found = rows(connection, inputs, columns="place, source, fusion", leader=leader)
    assert max(place for place, *_ in found.values()) > 20
    for keep in (1, 3, 10):
        few = rows(connection, inputs, columns="place, source, fusion", leader=leader, keep=keep)
        assert few == {pair: row for pair, row in found.items() if row[0] <= keep}


def test_the_frame_has_every_feature_with_a_direction(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    rows(connection, made(connection, tmp_path))
    columns = connection.execute(frame.frame(first=0, last=3, keep=40, weights=frame.EQUAL_WEIGHTS)).description
    assert [name for name, *_ in columns] == ["p", "i", "source", "place", *frame.FEATURES]
    assert len(frame.DIRECTIONS) == len(frame.FEATURES)
    directions = dict(zip(frame.FEATURES, frame.DIRECTIONS, strict=True))
    assert (directions["als_score"], directions["als_rank"], directions["person_tenure_days"]) == (1, -1, 0)


def test_labels_are_what_was_taken_in_the_window_and_may_be_listed(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    inputs = made(connection, tmp_path)
    frame.prepare(connection, inputs, CUT, ["anna", "bert", "carl"], Candidates())
    frame.create_labels(connection, inputs, CUT)
    labels = connection.execute("SELECT person_id, label.item_id FROM label JOIN person USING (p) ORDER BY ALL").fetchall()
    assert labels == [("anna", "shoe"), ("bert", "coat")]  # anna has bought the coat


def test_judged_are_known_persons_with_a_label(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    inputs = made(connection, tmp_path)
    assert judged_persons(connection, inputs, CUT, limit=9, seed=1) == ["anna", "bert"]
    assert judged_persons(connection, inputs, replace(CUT, exclude_seen=True), limit=9, seed=1) == ["anna"]
    assert len(judged_persons(connection, inputs, CUT, limit=1, seed=1)) == 1


def test_whoever_has_not_consented_is_neither_judged_nor_listed(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    inputs = made(connection, tmp_path, without_consent=["anna"])
    assert judged_persons(connection, inputs, CUT, limit=9, seed=1) == ["bert"]
    assert listed_persons(connection, inputs) == ["bert", "carl", "dora"]
