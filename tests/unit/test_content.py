"""The cosine of items by words and by embeddings, against answers by hand, and files of embeddings that are none."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dawnlist.errors import ColumnsError, MissingInputError
from models.recommenders.neighbours import Product, nearest
from spark_jobs import content

ITEMS = pa.array(["a", "b", "c"])
TERMS = pa.table({"item_id": ["a", "b", "b", "c"], "term": ["red", "red", "blue", "blue"], "n": [1, 1, 1, 1]})


def _cells(product: Product) -> np.ndarray[Any, Any]:
    return nearest(product, per_item=3).toarray()


def _file(folder: Path, item_id: Any, embedding: Any) -> Path:
    pq.write_table(pa.table({"item_id": item_id, "embedding": embedding}), folder / "embeddings.parquet")
    return folder / "embeddings.parquet"


def test_words_alone_are_the_cosine_of_tf_idf() -> None:
    """Both words are in two of three items and weigh the same: a and b, b and c have one of one and of two words in common."""
    half = np.sqrt(0.5)
    np.testing.assert_allclose(_cells(content.product(TERMS, ITEMS)), [[0, half, 0], [half, 0, half], [0, half, 0]], atol=1e-6)


def test_with_embeddings_it_is_the_mean_of_both_cosines(tmp_path: Path) -> None:
    """c and a are at 60 degrees, whatever the lengths of their embeddings; b has none."""
    file = _file(tmp_path, ["c", "a", "elsewhere"], [[3.0, 0.0], [0.5, np.sqrt(0.75)], [0.0, 1.0]])
    found = _cells(content.product(TERMS, ITEMS, content.read_embeddings(file, ITEMS)))
    quarter = np.sqrt(0.5) / 2
    np.testing.assert_allclose(found, [[0, quarter, 0.25], [quarter, 0, quarter], [0.25, quarter, 0]], atol=1e-6)


def test_lists_of_a_fixed_size_and_whole_numbers_will_do(tmp_path: Path) -> None:
    fixed = pa.FixedSizeListArray.from_arrays(pa.array([3, 4, 0, 0, 0, -2], pa.int16()), 2)
    found = content.read_embeddings(_file(tmp_path, pa.array([2, 1, 3], pa.int64()), fixed), pa.array(["1", "2", "3"]))
    np.testing.assert_allclose(found, [[0, 0], [0.6, 0.8], [0, -1]], atol=1e-6)


@pytest.mark.parametrize(
    ("item_id", "embedding"),
    [
        (["a", "a"], [[1.0], [2.0]]),
        (["a", None], [[1.0], [2.0]]),
        (["a", "b"], [[1.0], None]),
        (["a", "b"], [[1.0], [1.0, 2.0]]),
        (["a", "b"], [[1.0], [float("nan")]]),
        (["a", "b"], pa.array([[1.0], [None]])),
        (["a", "b"], [["x"], ["y"]]),
        (["a", "b"], [1.0, 2.0]),
    ],
    ids=["an item twice", "no item", "no list", "two lengths", "not a number", "a value is missing", "words", "no lists"],
)
def test_what_is_no_file_of_embeddings_is_told(tmp_path: Path, item_id: Any, embedding: Any) -> None:
    with pytest.raises(ColumnsError, match="item_embeddings"):
        content.read_embeddings(_file(tmp_path, item_id, embedding), ITEMS)


def test_a_file_that_is_none_or_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="there is no"):
        content.read_embeddings(tmp_path / "nothing.parquet", ITEMS)
    for text in ("", "item_id,embedding"):
        (tmp_path / "text.parquet").write_text(text)
        with pytest.raises(ColumnsError, match="must be Parquet"):
            content.read_embeddings(tmp_path / "text.parquet", ITEMS)
    pq.write_table(pa.table({"item": ["a"]}), tmp_path / "other.parquet")
    with pytest.raises(ColumnsError, match="item_id and embedding"):
        content.read_embeddings(tmp_path / "other.parquet", ITEMS)


def test_an_empty_file_knows_nothing(tmp_path: Path) -> None:
    found = content.read_embeddings(_file(tmp_path, pa.array([], pa.string()), pa.array([], pa.list_(pa.float32()))), ITEMS)
    assert not found.any()
    assert len(found) == len(ITEMS)
