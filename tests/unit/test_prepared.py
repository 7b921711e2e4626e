"""What `evaluate` refuses, in one sentence, and what it makes of a good split."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dawnlist.cli_evaluate import _lengths
from dawnlist.errors import SplitError
from dawnlist.evaluate import prepared

START = datetime(2026, 1, 1)
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, **columns: Any) -> Path:
        path = tmp_path / f"{name}.parquet"
        pq.write_table(pa.table(columns), path)
        return path

    return write


@pytest.fixture
def train(write: Write) -> Path:
    return write(
        "train", user_id=["a", "a", "a", "b"], item_id=[7, 7, 9, 7], weight=[1.0, 2.0, 0.5, 1.0], occurred_at=[START + timedelta(days=d) for d in range(4)]
    )


def test_ids_are_numbered_in_order_and_those_of_the_test_alone_come_last(write: Write, train: Path) -> None:
    test = write("test", user_id=["b", "b", "0"], item_id=[5, 5, 9], occurred_at=[START + timedelta(days=d) for d in (4, 5, 6)])
    split = prepared.read(train, test)
    assert split.user_ids.to_pylist() == ["a", "b", "0"]
    assert split.item_ids.to_pylist() == [7, 9, 5]
    assert list(zip(split.test_user.tolist(), split.test_item.tolist(), strict=True)) == [(1, 2), (2, 1)]
    assert split.events.matrix().toarray().tolist() == [[3.0, 0.5], [1.0, 0.0]]
    assert split.events.pair_age.toarray().tolist() == [[2, 1], [0, 0]]
    assert (split.method, split.horizon) == ("time", 3.0)


def test_how_the_test_lies_in_time_is_seen_from_its_times(write: Write, train: Path) -> None:
    def shape(*days: float) -> str:
        return prepared.read(train, write("test", user_id=["a", "b"], item_id=[9, 9], occurred_at=[START + timedelta(days=d) for d in days])).method

    assert shape(2.5, 3.5) == "last"  # after the newest of the same user in train: day 2 and day 3
    assert shape(0.5, 1.5) == "random"
    assert prepared.read(write("old", user_id=[1], item_id=[1]), write("test", user_id=[1], item_id=[1])).method == "random"


def test_categories_are_numbered_and_items_without_one_are_one_more(write: Write, train: Path) -> None:
    test = write("test", user_id=["a"], item_id=[9])
    split = prepared.read(train, test, write("items", item_id=[7, 8], category=["x", "y"]))
    assert split.category_of is not None
    assert split.category_of.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"user_id": ["a"], "article": [1]}, "lacks the column item_id; it has user_id, article"),
        ({"user_id": pa.array([], pa.string()), "item_id": pa.array([], pa.int64())}, "has no rows"),
        ({"user_id": ["a"], "item_id": [1.5]}, "item_id is DOUBLE, but has to hold integers or strings"),
        ({"user_id": ["a", None], "item_id": [7, 7]}, "user_id is missing in 1 of 2 rows"),
        ({"user_id": ["a"], "item_id": [7], "weight": [float("nan")]}, "weight is missing, not a number, infinite or negative in 1 of 1 rows"),
        ({"user_id": ["a"], "item_id": [7], "weight": [-1]}, "Weights are 0 or more"),
        ({"user_id": ["a"], "item_id": [7], "occurred_at": ["yesterday"]}, "occurred_at is VARCHAR, but has to hold timestamps or dates"),
        ({"user_id": [1], "item_id": [7]}, "user_id is VARCHAR in train and BIGINT in test"),
        ({"user_id": ["c"], "item_id": [7]}, "No user of the test file occurs in the train file"),
        ({"user_id": ["a"], "item_id": [8]}, "No item of the test file occurs in the train file"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(write: Write, train: Path, columns: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SplitError) as caught:
        prepared.read(train, write("test", **columns))
    assert sentence in str(caught.value)


def test_a_file_that_is_not_there_or_is_no_parquet_is_named(train: Path, tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text("user_id,item_id\na,7\n")
    with pytest.raises(SplitError, match="test.csv is not a Parquet file"):
        prepared.read(train, tmp_path / "test.csv")
    with pytest.raises(SplitError, match="There is no file .*nowhere"):
        prepared.read(train, tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["", "ten", "10,", "0", "501", "1.5", "-3"])
def test_lengths_are_whole_numbers(text: str) -> None:
    assert _lengths("20, 10,10") == (10, 20)
    with pytest.raises(SplitError, match="give whole numbers from 1 to 500"):
        _lengths(text)
