"""Matrix factorisation in a process of its own, so that its memory can be measured: python -m benchmarks.factors WHAT ENGINE FOLDER.

WHAT is `fit` or `topn`. FOLDER has the files of benchmarks.pairs; the figures go to FOLDER/WHAT-ENGINE.json.
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.pairs import RANK
from dawnlist.files import write_json
from dawnlist.settings import Candidates, Settings, Spark
from spark_jobs import als, session
from spark_jobs.interactions import Interactions, build

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FEW, MANY = 2, 10  # iterations: the cost of one is the difference, so that reading and warming up do not count
SEED = 1
LENGTH, PLACES = 50, 10
JUDGED = 20_000  # persons that nDCG@10 is averaged over
RUNS = 3
DRIVER_MEMORY = "6g"
PEER_JVM_OPTIONS = "-Duser.timezone=UTC"  # MLlib's kernels are the JVM's: it gets both compilers, as Spark starts it; ours are outside


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found


def _fit(interactions: Interactions, iterations: int, engine: str = "dawnlist") -> als.Factors:
    """With the settings that a night has by default, but for the rank."""
    options = Candidates()
    shared: dict[str, Any] = {"factors": RANK, "iterations": iterations, "confidence": als.Confidence(options.als_alpha), "seed": SEED}
    if engine == "mllib":
        return als.fit_mllib(interactions, regularisation=options.als_regularisation, **shared)
    return als.fit(interactions, regularisation=options.als_regularisation, nu=options.als_nu, **shared)


def _ndcg(fitted: als.Factors, interactions: Interactions, folder: Path) -> float:
    """Mean nDCG@10 of the first persons, one held-out item each, among the items that the person does not have."""
    ids = (interactions.person_ids, interactions.item_ids)
    test, train = (_pairs_of(pq.read_table(folder / f"{name}.parquet", columns=["person_id", "item_id"]), ids) for name in ("test", "train"))
    n_judged = min(JUDGED, len(interactions.person_ids))
    gains = np.zeros(n_judged)
    for start in range(0, n_judged, als.TOP_ROWS):
        persons = np.arange(start, min(start + als.TOP_ROWS, n_judged))
        scores = fitted.persons[persons] @ fitted.items.T
        known = train[(train[:, 0] >= persons[0]) & (train[:, 0] <= persons[-1])]
        scores[known[:, 0] - start, known[:, 1]] = -np.inf
        asked = test[(test[:, 0] >= persons[0]) & (test[:, 0] <= persons[-1])]
        own = scores[asked[:, 0] - start, asked[:, 1]]
        rank = (scores[asked[:, 0] - start] > own[:, None]).sum(axis=1) + 1
        gains[asked[:, 0]] = np.where(rank <= PLACES, 1 / np.log2(rank + 1), 0.0)
    return round(float(gains.mean()), 4)


def _pairs_of(table: pa.Table, ids: tuple[pa.Array, pa.Array]) -> np.ndarray:
    columns = [pc.fill_null(pc.index_in(table.column(name), value_set=known), -1) for name, known in zip(("person_id", "item_id"), ids, strict=True)]
    pairs = np.stack([column.to_numpy() for column in columns], axis=1)
    return pairs[(pairs >= 0).all(axis=1)]


def fit(spark: "SparkSession", engine: str, folder: Path) -> dict[str, float]:
    """Seconds of one iteration, and the quality after MANY."""
    interactions = build(spark, spark.read.parquet(str(folder / "train.parquet")), hide="seen")
    few, _ = _timed(lambda: _fit(interactions, FEW, engine))
    many, fitted = _timed(lambda: _fit(interactions, MANY, engine))
    return {"seconds": (many - few) / (MANY - FEW), "ndcg": _ndcg(fitted, interactions, folder)}


def topn(spark: "SparkSession", engine: str, folder: Path) -> dict[str, float]:
    """Seconds for the LENGTH best items of every person, without what the person has; MLlib leaves nothing out."""
    interactions = build(spark, spark.read.parquet(str(folder / "train.parquet")), hide="seen")
    fitted = _fit(interactions, FEW)
    work = {"dawnlist": _ours, "mllib": _recommend_for_all, "implicit": _implicit}[engine](spark, interactions, fitted)
    return {"seconds": statistics.median(_timed(work)[0] for _ in range(RUNS))}


def _ours(_spark: "SparkSession", interactions: Interactions, fitted: als.Factors) -> Callable[[], Any]:
    eligible = np.arange(len(fitted.items))
    return lambda: als.recommend(interactions, fitted, per_person=LENGTH, eligible=eligible)


def _recommend_for_all(spark: "SparkSession", _interactions: Interactions, fitted: als.Factors) -> Callable[[], Any]:
    def frame(factors: np.ndarray) -> Any:
        lists = pa.FixedSizeListArray.from_arrays(pa.array(factors.ravel()), RANK).cast(pa.list_(pa.float32()))
        rows = spark.createDataFrame(pa.table({"id": pa.array(np.arange(len(factors), dtype=np.int32)), "features": lists}))
        rows.cache().count()
        return rows._jdf

    assert spark._jvm is not None
    model = spark._jvm.org.apache.spark.ml.recommendation.ALSModel("same-factors", RANK, frame(fitted.persons), frame(fitted.items))
    model.setUserCol("person").setItemCol("item")
    return lambda: model.recommendForAllUsers(LENGTH).write().format("noop").mode("overwrite").save()


def _implicit(_spark: "SparkSession", interactions: Interactions, fitted: als.Factors) -> Callable[[], Any]:
    from implicit.cpu.als import AlternatingLeastSquares
    from scipy.sparse import vstack

    from spark_jobs.interactions import read_blocks

    blocks = sorted(read_blocks(iter(interactions.by_person.toArrow().to_batches())), key=lambda block: block.start)
    liked = vstack([block.matrix(np.ones(len(block.columns), np.float32), len(fitted.items)) for block in blocks], format="csr")
    model = AlternatingLeastSquares(factors=RANK, num_threads=0)
    model.user_factors, model.item_factors = fitted.persons, fitted.items
    return lambda: model.recommend(np.arange(len(fitted.persons)), liked, N=LENGTH, filter_already_liked_items=True)


def main(what: str, engine: str, folder: Path) -> None:
    """Write the figures of one engine."""
    work = {"fit": fit, "topn": topn}[what]
    if engine == "mllib":
        session.JVM_OPTIONS = PEER_JVM_OPTIONS
    with session.session(Settings(home=folder / "home", spark=Spark(driver_memory=DRIVER_MEMORY))) as spark:
        write_json(folder / f"{what}-{engine}.json", work(spark, engine, folder))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
