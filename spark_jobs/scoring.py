"""The ranker over many frames at once: each task scores the persons of one frame with the model that was broadcast."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from models import cascade, ranker

if TYPE_CHECKING:
    from pyspark import Broadcast
    from pyspark.sql import SparkSession

THREADS = 1  # of a task: Spark runs one a core


def run(spark: "SparkSession", frames: Sequence[Path], text: str, stages: cascade.Cascade | None) -> None:
    """Write the scores of each frame (frame.frame, whole persons) beside it: `scores_of(path)` has what `cascade.ranked` gives, with the ranker `text`."""
    shared = spark.sparkContext.broadcast((text, stages))
    paths = spark.createDataFrame([(str(path),) for path in frames], "path string").repartitionByRange(len(frames), "path")
    paths.mapInArrow(partial(_score_frames, shared=shared), "path string").toArrow()
    shared.destroy()


def scores_of(frame: Path) -> Path:
    """Where the scores of a frame are."""
    return frame.with_suffix(".scores")


def _score_frames(batches: Iterator[pa.RecordBatch], *, shared: "Broadcast[tuple[str, cascade.Cascade | None]]") -> Iterator[pa.RecordBatch]:
    text, stages = shared.value
    booster = ranker.from_text(text)
    for batch in batches:
        for path in map(Path, batch.column("path").to_pylist()):
            pq.write_table(cascade.ranked(booster, stages, pq.read_table(path), threads=THREADS), scores_of(path))
        yield batch
