"""What every recommender of spark_jobs promises, held against the same small worlds."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dawnlist.lake import Lake
from dawnlist.settings import Candidates, Settings
from models.inputs import CANDIDATES
from spark_jobs import candidates
from spark_jobs.sources import SOURCES

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

RECOMMENDERS = [source.table for source in SOURCES]
AS_OF = date(2026, 3, 10)
NIGHT_END = datetime(2026, 3, 11)
USERS, ITEMS = [f"user{n:02d}" for n in range(12)], [f"item{n:02d}" for n in range(10)]

Event = tuple[str | None, str, str, datetime, bool]


def _checkerboard() -> list[Event]:
    """Even users like even items, odd users odd ones, and item 4 is withheld from user 4."""
    return [
        (user, item, "view", NIGHT_END - timedelta(days=1 + u % 3, hours=i), True)
        for u, user in enumerate(USERS)
        for i, item in enumerate(ITEMS)
        if u % 2 == i % 2 and (u, i) != (4, 4)
    ]


WORDS = ("an even thing", "something odd")


def marts_of(folder: Path) -> dict[str, list[Path]]:
    return {"fct_interactions": [folder / "interactions.parquet"], "dim_items": [folder / "items.parquet"], "feat_item_content": [folder / "content.parquet"]}


class World:
    """Files of the two marts, and the lists that a run makes of them."""

    def __init__(self, spark: "SparkSession", folder: Path) -> None:
        self.spark, self.folder = spark, folder
        self.settings = Settings(home=folder, candidates=Candidates(als_factors=2, als_iterations=4, per_source=8))

    def lists(
        self,
        events: Iterable[Event],
        *,
        hidden: Sequence[str] = (),
        seen: bool = True,
        bought: bool = False,
        persons: Sequence[str] | None = None,
        run: str = "a",
        **options: Any,
    ) -> Lake:
        folder = self.folder / run
        folder.mkdir()
        person, item, kind, moment, personal = zip(*events, strict=True)
        pq.write_table(
            pa.table(
                {
                    "person_id": pa.array(person, pa.string()),
                    "item_id": item,
                    "event_type": kind,
                    "occurred_at": pa.array(moment, pa.timestamp("us")),
                    "weight": [1.0] * len(item),
                    "is_personal": personal,
                }
            ),
            folder / "interactions.parquet",
        )
        blocked = [name in hidden[:1] for name in ITEMS]
        available = [name not in hidden[1:] for name in ITEMS]
        pq.write_table(pa.table({"item_id": ITEMS, "is_available": available, "is_blocked": blocked}), folder / "items.parquet")
        words = {"item_id": ITEMS, "feature_date": [AS_OF] * len(ITEMS), "content": [WORDS[n % 2] + f" number{n}" for n in range(len(ITEMS))]}
        pq.write_table(pa.table(words), folder / "content.parquet")
        lake = Lake(folder / "night")
        candidates.run(
            self.spark,
            self.settings.with_(candidates=self.settings.candidates.model_copy(update=options)),
            marts=marts_of(folder),
            as_of=AS_OF,
            tables=lake,
            run_id="test",
            exclude_seen=seen,
            exclude_bought=bought,
            persons=persons,
        )
        return lake


@pytest.fixture
def world(spark: "SparkSession", tmp_path: Path) -> World:
    return World(spark, tmp_path)


def _lists(lake: Lake, table: str) -> dict[str, list[str]]:
    """Each person's items, best first."""
    lists: dict[str, list[str]] = {}
    for file in lake.snapshot().files(table):
        for row in pq.read_table(file, partitioning=None).to_pylist():
            lists.setdefault(row["person_id"], []).append(row["item_id"])
            assert row["rank"] == len(lists[row["person_id"]])
    return lists


def test_the_withheld_item_comes_first(world: World) -> None:
    lake = world.lists(_checkerboard())
    for table in RECOMMENDERS:
        assert _lists(lake, table)["user04"][0] == "item04", table


def test_nothing_seen_blocked_or_unavailable_is_proposed(world: World) -> None:
    events = [*_checkerboard(), ("user00", "item01", "view", NIGHT_END - timedelta(days=1), True)]
    lake = world.lists(events, hidden=["item03", "item04"])
    seen = {(person, item) for person, item, *_ in events}
    for table in RECOMMENDERS:
        lists = _lists(lake, table)
        assert lists["user00"], table
        assert not {(person, item) for person, items in lists.items() for item in items} & seen, table
        assert not {"item03", "item04"} & {item for items in lists.values() for item in items}, table
    neighbours = pq.read_table(lake.snapshot().files("similar_items")[0], partitioning=None).to_pylist()
    assert neighbours
    assert not {"item03", "item04"} & {row["similar_item_id"] for row in neighbours}


def test_bought_items_are_left_out_where_the_source_says_so_and_seen_ones_stay(world: World) -> None:
    events = [*_checkerboard(), ("user02", "item02", "purchase", NIGHT_END - timedelta(hours=5), True)]
    lake = world.lists(events, seen=False, bought=True)
    for table in RECOMMENDERS:
        items = _lists(lake, table)["user02"]
        assert "item02" not in items, table
        assert "item06" in items, table


def test_cold_and_unconsenting_people_get_nothing_and_later_events_change_nothing(world: World) -> None:
    board = _checkerboard()
    later: list[Event] = [("late", "item00", "view", NIGHT_END, True), ("user01", "item00", "view", NIGHT_END + timedelta(days=1), True)]
    private: list[Event] = [("private", "item00", "view", NIGHT_END - timedelta(days=1), False), (None, "item02", "view", NIGHT_END - timedelta(days=1), False)]
    with_them, without = world.lists(board + later + private, seen=False, run="with"), world.lists(board, seen=False, run="without")
    for table in RECOMMENDERS:
        assert _lists(with_them, table) == _lists(without, table)
        assert set(_lists(without, table)) == set(USERS)


def test_the_same_events_in_any_order_give_the_same_bytes(world: World) -> None:
    first, second = world.lists(_checkerboard(), run="first"), world.lists(_checkerboard()[::-1], run="second")
    for table in (*RECOMMENDERS, "similar_items", "als_user_factors", "als_item_factors"):
        hashes = [[file.sha256 for file in lake.snapshot().data_files(table)] for lake in (first, second)]
        assert hashes[0] == hashes[1] != [], table


def test_only_the_persons_asked_for_get_lists_and_all_train(world: World) -> None:
    everybody, few = world.lists(_checkerboard(), run="everybody"), world.lists(_checkerboard(), persons=["user04", "stranger"], run="few")
    for table in RECOMMENDERS:
        assert _lists(few, table) == {"user04": _lists(everybody, table)["user04"]}
    assert few.snapshot().rows("als_user_factors") == len(USERS)


def test_another_date_stays_and_the_same_date_is_replaced(world: World) -> None:
    lake = world.lists(_checkerboard())
    files = {"marts": marts_of(world.folder / "a")}
    options = {"tables": lake, "run_id": "test", "exclude_seen": True, "exclude_bought": False}
    before = lake.snapshot().data_files("candidates_als")
    earlier = candidates.run(world.spark, world.settings, as_of=AS_OF - timedelta(days=2), **files, **options)  # type: ignore[arg-type]
    candidates.run(world.spark, world.settings, as_of=AS_OF, **files, **options)  # type: ignore[arg-type]
    after = lake.snapshot().data_files("candidates_als")
    assert sorted(file.partition for file in after) == ["2026-03-08", "2026-03-10"]
    assert set(before) < set(after)
    assert earlier["candidates_als"] == next(file.rows for file in after if file.partition == "2026-03-08")


def test_the_nights_tables_are_those_that_the_frame_reads() -> None:
    assert sorted(RECOMMENDERS) == sorted(CANDIDATES)


def test_a_source_that_is_switched_off_has_no_rows_and_the_others_have_the_same(world: World) -> None:
    every, some = world.lists(_checkerboard(), run="every"), world.lists(_checkerboard(), run="some", sources=("als", "content"))
    assert {table for table in RECOMMENDERS if _lists(some, table)} == {"candidates_als", "candidates_content"}
    assert _lists(some, "candidates_als") == _lists(every, "candidates_als")
    assert _lists(some, "similar_items" if some.snapshot().files("similar_items") else "candidates_rp3beta") == {}


def test_mllib_is_an_engine_of_als(world: World) -> None:
    lake = world.lists(_checkerboard(), als_engine="mllib", sources=("als",))
    assert _lists(lake, "candidates_als")["user04"][0] == "item04"


def test_a_new_item_is_proposed_for_its_words_alone(world: World) -> None:
    """Nobody has come to item 8; it is described as the even things are."""
    lake = world.lists([event for event in _checkerboard() if event[1] != "item08"])
    for table in RECOMMENDERS:
        people = {person for person, items in _lists(lake, table).items() if "item08" in items}
        assert people == ({user for user in USERS if int(user[-2:]) % 2 == 0} if table == "candidates_content" else set()), table


def test_a_new_item_is_proposed_for_its_embedding(world: World) -> None:
    """Nobody has come to item 8: its words are those of the even things, its embedding that of the odd ones."""
    file = world.folder / "embeddings.parquet"
    pq.write_table(pa.table({"item_id": ITEMS, "embedding": [[1.0, 0.0] if n % 2 or n == 8 else [0.0, 1.0] for n in range(len(ITEMS))]}), file)
    events = [event for event in _checkerboard() if event[1] != "item08"]
    lake = world.lists(events, sources=("content",), item_embeddings=file)
    assert {person for person, items in _lists(lake, "candidates_content").items() if "item08" in items} == set(USERS)
