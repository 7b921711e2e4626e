"""The figures on Spark and on one machine are the same numbers, and those of accuracy are trec_eval's."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import pytrec_eval
from scipy.sparse import csr_matrix

from models import evaluation, list_quality
from spark_jobs import evaluation as on_spark

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

KS = (3, 10)
N_USERS, N_ITEMS, LENGTH = 40, 30, 10


@pytest.fixture(scope="module")
def lists() -> np.ndarray:
    random = np.random.default_rng(5)
    return np.array([random.permutation(N_ITEMS)[:LENGTH] for _ in range(N_USERS)])


@pytest.fixture(scope="module")
def relevant() -> np.ndarray:
    """Of each user at least one item is relevant: user by item."""
    found = np.random.default_rng(6).random((N_USERS, N_ITEMS)) < 0.15
    found[:, 7] |= ~found.any(axis=1)
    return found


@pytest.fixture(scope="module")
def measured(lists: np.ndarray, relevant: np.ndarray) -> dict[str, np.ndarray]:
    return evaluation.accuracy(np.take_along_axis(relevant, lists, axis=1), relevant.sum(axis=1), KS)


def _frame(cells: np.ndarray) -> pd.DataFrame:
    user, item = np.nonzero(cells)
    return pd.DataFrame({"user_id": [f"u{u}" for u in user], "item_id": item})


def test_accuracy_agrees_with_trec_eval(lists: np.ndarray, relevant: np.ndarray, measured: dict[str, np.ndarray]) -> None:
    truth = {str(u): {str(i): 1 for i in np.flatnonzero(row)} for u, row in enumerate(relevant)}
    for k in KS:
        run = {str(u): {str(i): float(-place) for place, i in enumerate(row[:k])} for u, row in enumerate(lists)}
        names = {
            f"ndcg_cut_{k}": "ndcg",
            f"P_{k}": "precision",
            f"recall_{k}": "recall",
            "recip_rank": "mrr",
            f"success_{k}": "hit_rate",
            f"map_cut_{k}": "map",
        }
        asked = {f"ndcg_cut.{k}", f"P.{k}", f"recall.{k}", f"success.{k}", f"map_cut.{k}", "recip_rank"}
        theirs = pytrec_eval.RelevanceEvaluator(truth, asked).evaluate(run)
        for name, ours in names.items():
            values = np.array([theirs[str(u)][name] for u in range(N_USERS)])
            if ours == "map":  # trec_eval divides by all relevant items, also where k places cannot hold them
                values = values * relevant.sum(axis=1) / np.minimum(relevant.sum(axis=1), k)
            assert measured[f"{ours}@{k}"] == pytest.approx(values, abs=1e-9), name


def test_spark_gives_the_same_numbers(spark: "SparkSession", lists: np.ndarray, relevant: np.ndarray, measured: dict[str, np.ndarray]) -> None:
    seen = np.random.default_rng(7).random((N_USERS, N_ITEMS)) < 0.4
    users = [f"u{u}" for u in range(N_USERS)]
    long = pd.DataFrame({"user_id": np.repeat(users, LENGTH), "item_id": lists.ravel(), "rank": np.tile(np.arange(1, LENGTH + 1), N_USERS)})
    recommended, truth = spark.createDataFrame(long), spark.createDataFrame(_frame(relevant))
    train = spark.createDataFrame(pd.concat([_frame(seen), _frame(seen).head(20)]))  # some pairs twice: they count once

    assert on_spark.accuracy(recommended, truth, KS) == pytest.approx({name: value.mean() for name, value in measured.items()}, abs=1e-9)
    k = KS[0]
    shown = lists[:, :k]
    exposures = list_quality.exposure(shown, N_ITEMS)
    assert on_spark.exposure(recommended, train, [k]) | on_spark.diversity(recommended, train, [k]) == pytest.approx(
        {
            f"coverage@{k}": evaluation.coverage(int((exposures > 0).sum()), N_ITEMS),
            f"gini@{k}": list_quality.gini(exposures),
            f"novelty@{k}": list_quality.novelty(shown, seen.sum(axis=0), N_USERS).mean(),
            f"popularity@{k}": list_quality.popularity(shown, seen.sum(axis=0), N_USERS).mean(),
            f"diversity@{k}": list_quality.diversity(shown, csr_matrix(seen.astype(np.float64)), [k])[k].mean(),
        },
        abs=1e-9,
    )
