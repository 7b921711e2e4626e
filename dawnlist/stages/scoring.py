"""The ranker over everybody's candidates, bucket by bucket: in this process, or in the executors of Spark."""

import shutil
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dawnlist.duck import literal
from dawnlist.settings import Settings
from dawnlist.stages.modelling import threads_of
from models import lists, ranker

if TYPE_CHECKING:
    import duckdb

BUCKET_ROWS = 400_000  # with some 60 features, the frame of a bucket takes about 0.25 GB; larger ones are slower by the row, as they leave the caches


def scored(connection: "duckdb.DuckDBPyConnection", settings: Settings, order: lists.Order, *, n_persons: int) -> Iterator[tuple[int, int]]:
    """For each bucket of persons, first <= p < last, the table `scored` in `connection` (lists.score). Buckets and their rows do not depend on `ranker.scoring`."""
    ranges = _buckets(n_persons, order.keep)
    if settings.ranker.scoring == "spark" and order.booster is not None and ranges:
        return _in_spark(connection, settings, order, ranges)
    return scored_here(connection, lists.by_model(order, threads=threads_of(settings)), n_persons=n_persons, keep=order.keep)


def scored_here(connection: "duckdb.DuckDBPyConnection", score: lists.Score, *, n_persons: int, keep: int) -> Iterator[tuple[int, int]]:
    """The same by any `score`, in this process."""
    for first, last in _buckets(n_persons, keep):
        score(connection, first, last)
        yield first, last


def _buckets(n_persons: int, keep: int) -> Sequence[tuple[int, int]]:
    return lists.buckets(n_persons, max(1, BUCKET_ROWS // keep))


def _in_spark(connection: "duckdb.DuckDBPyConnection", settings: Settings, order: lists.Order, ranges: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The frames go to the executors as one Parquet file a bucket, below the home, which executors on other machines have to share."""
    import pyarrow.parquet as pq

    from spark_jobs import scoring
    from spark_jobs.session import session

    assert order.booster is not None
    folder = settings.scratch_dir / "frames"
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed: one recommends at a time
    folder.mkdir(parents=True)
    try:
        frames = {bucket: folder / f"{bucket[0]:010}.parquet" for bucket in ranges}
        for (first, last), path in frames.items():
            connection.execute(f"COPY ({order.frame(first, last)}) TO {literal(str(path))} (FORMAT parquet, COMPRESSION lz4)")
        with session(settings) as spark:
            scoring.run(spark, list(frames.values()), ranker.to_text(order.booster), order.cascade)
        for bucket, path in frames.items():
            lists.create_scored(connection, pq.read_table(scoring.scores_of(path)))
            yield bucket
    finally:
        shutil.rmtree(folder, ignore_errors=True)
