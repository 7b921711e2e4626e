"""`dawnlist evaluate` through the command line, on a world of two tastes."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models import evaluation

N_USERS, N_ITEMS = 120, 24


def _evaluate(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from dawnlist.cli import main; main()", "evaluate", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={"COLUMNS": "200", "PATH": "/usr/bin:/bin"})


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Even users like even items. Of the 8 items that each has, 2 are in the test; a person who is new has one there."""
    folder = tmp_path_factory.mktemp("split")
    random = np.random.default_rng(2)
    likes = [(u, 2 * i + u % 2) for u in range(N_USERS) for i in random.permutation(N_ITEMS // 2)[:8]]
    train, test = ([(f"p{u}", i) for place, (u, i) in enumerate(likes) if (place % 8 < 2) == is_test] for is_test in (False, True))
    for name, pairs in (("train", train), ("test", [*test, ("new", 3)])):
        users, items = zip(*pairs, strict=True)
        pq.write_table(pa.table({"user_id": users, "item_id": items}), folder / f"{name}.parquet")
    return folder


def test_everybody_gets_a_list_and_the_figures_are_those_of_the_lists(split: Path) -> None:
    out = split / "out"
    done = _evaluate("--train", split / "train.parquet", "--test", split / "test.parquet", "--k", "3,5", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "(served)" in done.stdout

    lists: dict[str, list[int]] = {}
    for row in pq.read_table(out / "recommendations.parquet").to_pylist():
        lists.setdefault(row["user_id"], []).append(row["item_id"])
        assert row["rank"] == len(lists[row["user_id"]])
    had, wanted = ({}, {})  # type: dict[str, set[int]], dict[str, set[int]]
    for name, into in (("train", had), ("test", wanted)):
        for row in pq.read_table(split / f"{name}.parquet").to_pylist():
            into.setdefault(row["user_id"], set()).add(row["item_id"])
    assert set(lists) == set(wanted)
    assert {len(items) for items in lists.values()} == {5}
    assert not any(had.get(user, set()) & set(items) for user, items in lists.items())

    hits = np.array([[item in wanted[user] for item in items] for user, items in lists.items()])
    n_relevant = np.array([len(wanted[user]) for user in lists])
    metrics = json.loads((out / "metrics.json").read_text())
    for name, values in evaluation.accuracy(hits, n_relevant, [3, 5]).items():
        assert metrics["metrics"][name] == pytest.approx(values.mean(), abs=1e-6), name
    # Six of the twelve items of the taste are left, two of them wanted: any model of taste finds 2 * 5 / 6 of 2 on average, popularity half of that.
    assert metrics["metrics"]["recall@5"] > 0.7
    low, _, high = metrics["differences"][metrics["baselines"]["popularity"]]["recall@5"]
    assert 0 < low < high
    assert metrics["users"] == {"all": N_USERS + 1, "warm": N_USERS, "cold": 1}
    per_user = pq.read_table(out / "per_user.parquet").to_pydict()
    assert np.mean(per_user["ndcg@3"]) == pytest.approx(metrics["metrics"]["ndcg@3"], abs=1e-6)
    assert [user for user, is_cold in zip(per_user["user_id"], per_user["is_cold"], strict=True) if is_cold] == ["new"]


def test_a_wrong_file_is_one_sentence_and_an_exit_code(split: Path) -> None:
    pq.write_table(pa.table({"user_id": ["p1"], "article": [1]}), split / "wrong.parquet")
    done = _evaluate("--train", split / "train.parquet", "--test", split / "wrong.parquet", "--out", split / "never")
    assert done.returncode == 21
    assert done.stderr.startswith("Error: ")
    assert len(done.stderr.splitlines()) == 1
    assert not (split / "never").exists()
