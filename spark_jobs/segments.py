"""Segments of persons: k-means on how recently, how often and how much they visit and buy, k chosen by silhouette.

Method: Lloyd's k-means with k-means|| seeding (Bahmani et al., "Scalable K-Means++", VLDB 2012) as in Spark ML; k has the highest mean
silhouette (Rousseeuw 1987, with squared distances). Features are log-scaled and standardised. The model is fitted on a
sample that a hash picks, in one partition, so that sums have one order; everybody is then assigned to the nearest centre in parallel.
Numbers and labels last from night to night (spark_jobs/segment_matching.py).
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import reduce
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from spark_jobs.segment_labels import describe_segment, label_segments
from spark_jobs.segment_matching import Known, Memory, Scale, match

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

    from dawnlist.settings import Settings

ACTIVITY_FEATURES = (
    "days_since_last_event",
    "tenure_days",
    "n_events_28d",
    "n_sessions_28d",
    "n_active_days_28d",
    "n_categories_28d",
    "n_add_to_carts_28d",
    "n_purchases_28d",
    "avg_dwell_seconds_28d",
)
ORDER_FEATURES = ("recency_days", "frequency", "monetary")
FEATURES = ACTIVITY_FEATURES + ORDER_FEATURES
MAX_SAMPLE = 50_000  # the centres of a few segments do not move with more
MAX_ITERATIONS = 20
DIGITS = 6
KEEP_WITHIN = 0.02  # silhouette by which another number of segments must be better than the last night's, or segments would come and go by chance
USER_COLUMNS = "person_id string, segment int, segment_label string, distance double"
PROFILE_COLUMNS = "segment int, n_users bigint, segment_label string, description string, silhouette double, " + ", ".join(
    f"{name} double" for name in FEATURES
)


@dataclass(frozen=True)
class Model:
    """Centres in scaled features, by size of the segment, largest first, and the mean silhouette (None with one segment)."""

    scale: Scale
    centres: tuple[tuple[float, ...], ...]
    silhouette: float | None


@dataclass(frozen=True)
class Segments:
    """user_segments: one row per person_id (segment, segment_label, distance). profiles: one row per segment. tonight: the segments, as they will be
    known to later nights.
    """

    users: "DataFrame"
    profiles: "DataFrame"
    model: Model
    tonight: tuple[Known, ...]


@dataclass(frozen=True)
class Night:
    """What a night's job made: user_segments by person_id, segment_profiles by segment, tonight's segments and the scale that they were found in."""

    users: pa.Table
    profiles: pa.Table
    tonight: tuple[Known, ...] = ()
    scale: Scale | None = None


def run(spark: "SparkSession", settings: "Settings", *, activity: Sequence[Path], rfm: Sequence[Path], feature_date: date, memory: Memory) -> Night:
    """The segments of the persons of feat_user_activity (Parquet files, as those of feat_user_rfm) at `feature_date`. Nobody there: the tables are empty."""
    kinds = {"person_id": "string", "feature_date": "date"}
    visits = _read(spark, activity, kinds | dict.fromkeys(ACTIVITY_FEATURES, "double"), feature_date)
    orders = _read(spark, rfm, kinds | dict.fromkeys(ORDER_FEATURES, "double"), feature_date)
    table = features(visits, orders).persist()
    if table.isEmpty():
        return Night(spark.createDataFrame([], USER_COLUMNS).toArrow(), spark.createDataFrame([], PROFILE_COLUMNS).toArrow())
    options = settings.segments
    made = segment(
        table,
        min_clusters=options.min_clusters,
        max_clusters=options.max_clusters,
        seed=settings.seed,
        run_date=feature_date,
        memory=memory,
        radius=options.match_radius,
    )
    night = Night(made.users.toArrow().sort_by("person_id"), made.profiles.toArrow().sort_by("segment"), made.tonight, made.model.scale)
    spark.catalog.clearCache()
    return night


def _read(spark: "SparkSession", files: Sequence[Path], columns: dict[str, str], feature_date: date) -> "DataFrame":
    from pyspark.sql import functions as F  # noqa: N812

    if not files:
        return spark.createDataFrame([], ", ".join(f"{name} {kind}" for name, kind in columns.items()))
    return spark.read.parquet(*(str(path) for path in files)).where(F.col("feature_date") == F.lit(feature_date)).select(*columns)


def features(activity: "DataFrame", rfm: "DataFrame") -> "DataFrame":
    """One row per person_id of `activity` with all FEATURES, none of them NULL.

    Who has ordered nothing has frequency and monetary 0, and the buyers' median recency, which says nothing either way. An unknown
    dwell time is 0. Both inputs have one row per person_id.
    """
    from pyspark.sql import functions as F  # noqa: N812

    median = rfm.agg(F.percentile("recency_days", 0.5)).first()[0] or 0.0
    orders = rfm.select("person_id", *(F.col(name).cast("double") for name in ORDER_FEATURES))
    neutral = dict.fromkeys(FEATURES, 0.0) | {"recency_days": float(median)}
    counts = activity.select("person_id", *(F.col(name).cast("double") for name in ACTIVITY_FEATURES))
    return counts.join(orders, "person_id", "left").fillna(neutral)


def segment(features: "DataFrame", *, min_clusters: int, max_clusters: int, seed: int, run_date: date, memory: Memory, radius: float) -> Segments:
    """Segments of all persons of `features`. Fewer different persons than `min_clusters` are one segment.

    Segments that `memory` knows keep their number (centres within `radius`, see `match`), new ones get the next numbers by size, largest first.
    """
    sample = _sample(features, seed).persist()
    scale = _scale(sample)
    points = _scaled(sample, scale).persist()
    centres, silhouette = _choose(points, min_clusters, max_clusters, seed, memory.n_segments)
    points.unpersist()
    sample.unpersist()
    model = Model(scale, centres, silhouette)
    assigned = _assigned(features, model).persist()
    return _numbered(assigned, model, memory, run_date, radius)


def _sample(features: "DataFrame", seed: int) -> "DataFrame":
    from pyspark.sql import functions as F  # noqa: N812

    chosen = features.orderBy(F.xxhash64(F.lit(seed), F.col("person_id")), "person_id").limit(MAX_SAMPLE)
    return chosen.repartition(1).sortWithinPartitions("person_id")


def _logarithm(name: str) -> "Column":
    from pyspark.sql import functions as F  # noqa: N812

    return F.signum(name) * F.log1p(F.abs(F.col(name)))  # refunds can make the money negative


def _scale(sample: "DataFrame") -> Scale:
    from pyspark.sql import functions as F  # noqa: N812

    means = [F.avg(_logarithm(name)) for name in FEATURES]
    deviations = [F.stddev_pop(_logarithm(name)) for name in FEATURES]
    row = [value or 0.0 for value in sample.agg(*means, *deviations).first()]
    # A constant feature has no deviation: it stays at zero and separates nobody.
    return Scale(tuple(row[: len(FEATURES)]), tuple(value if value > 10**-DIGITS else 1.0 for value in row[len(FEATURES) :]))


def _scaled(features: "DataFrame", scale: Scale) -> "DataFrame":
    from pyspark.ml.functions import array_to_vector
    from pyspark.sql import functions as F  # noqa: N812

    values = [F.round((_logarithm(name) - mean) / deviation, DIGITS) for name, mean, deviation in zip(FEATURES, scale.means, scale.deviations, strict=True)]
    return features.withColumn("scaled", F.array(*values)).withColumn("features", array_to_vector("scaled"))


def _choose(points: "DataFrame", min_clusters: int, max_clusters: int, seed: int, usual: int | None) -> tuple[tuple[tuple[float, ...], ...], float | None]:
    """The centres of the best k and their silhouette: the `usual` k where it is about as good (KEEP_WITHIN), else of equally good ones the smallest."""
    n_different = points.select("scaled").distinct().count()
    if n_different < min_clusters:
        return ((0.0,) * len(FEATURES),), None
    with ThreadPoolExecutor(max_workers=points.sparkSession.sparkContext.defaultParallelism) as pool:  # a fit uses one core
        tried = list(pool.map(lambda k: _fit(points, k, seed), range(min_clusters, min(max_clusters, n_different) + 1)))
    best = max(tried, key=lambda fitted: (fitted[0], fitted[1]))
    silhouette, _, centres = next((fitted for fitted in tried if -fitted[1] == usual and fitted[0] >= best[0] - KEEP_WITHIN), best)
    return centres, silhouette


def _fit(points: "DataFrame", k: int, seed: int) -> tuple[float, int, tuple[tuple[float, ...], ...]]:
    from pyspark.ml.clustering import KMeans
    from pyspark.ml.evaluation import ClusteringEvaluator

    model = KMeans(k=k, seed=seed, maxIter=MAX_ITERATIONS).fit(points)
    centres = tuple(tuple(round(float(value), DIGITS) for value in centre) for centre in model.clusterCenters())
    return round(ClusteringEvaluator().evaluate(model.transform(points)), DIGITS), -k, centres


def _assigned(features: "DataFrame", model: Model) -> "DataFrame":
    """Every person's nearest centre (`centre`, the first of equally near ones) and the distance to it."""
    from pyspark.sql import functions as F  # noqa: N812

    squares = [reduce(lambda total, term: total + term, [F.pow(F.col("scaled")[i] - value, 2) for i, value in enumerate(centre)]) for centre in model.centres]
    near = F.array_min(F.array(*[F.struct(F.round(F.sqrt(square), DIGITS).alias("distance"), F.lit(i).alias("centre")) for i, square in enumerate(squares)]))
    return _scaled(features, model.scale).withColumn("near", near).select("person_id", "near.centre", "near.distance", *FEATURES)


def _numbered(assigned: "DataFrame", model: Model, memory: Memory, run_date: date, radius: float) -> Segments:
    rows, overall = _means(assigned, model)
    centres = tuple(model.centres[row["centre"]] for row in rows)
    before = match(centres, model.scale, memory, radius=radius)
    fresh = count(memory.next_number)
    numbers = [next(fresh) if known is None else known.number for known in before]
    labels = label_segments(FEATURES, centres, [row["frequency"] for row in rows], [None if known is None else known.label for known in before])
    named = list(zip(numbers, labels, centres, rows, strict=True))
    profiles = [_profile(number, label, centre, row, overall, model.silhouette) for number, label, centre, row in named]
    users = _named(assigned, [(row["centre"], number, label) for number, label, _, row in named])
    tonight = tuple(Known(number, label, model.scale.unscaled(centre), run_date) for number, label, centre, _ in named)
    return Segments(users, assigned.sparkSession.createDataFrame(profiles, PROFILE_COLUMNS), Model(model.scale, centres, model.silhouette), tonight)


def _means(assigned: "DataFrame", model: Model) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Per centre, the largest first, its number `centre`, n_users and the mean of each feature; and the same over everybody."""
    from pyspark.sql import functions as F  # noqa: N812

    # Decimals add up to the same sum in any order.
    means = [F.avg(F.col(name).cast("decimal(28,6)")).cast("double").alias(name) for name in FEATURES]
    rows = [row.asDict() for row in assigned.groupBy("centre").agg(F.count("*").alias("n_users"), *means).collect()]
    (overall,) = assigned.agg(F.count("*").alias("n_users"), *means).collect()
    return sorted(rows, key=lambda row: (-row["n_users"], model.centres[row["centre"]])), overall.asDict()


def _named(assigned: "DataFrame", names: list[tuple[int, int, str]]) -> "DataFrame":
    from pyspark.sql import functions as F  # noqa: N812

    named = assigned.sparkSession.createDataFrame(names, "centre int, segment int, segment_label string")
    return assigned.join(F.broadcast(named), "centre").select("person_id", "segment", "segment_label", "distance")


def _profile(number: int, label: str, centre: tuple[float, ...], row: dict[str, Any], overall: dict[str, Any], silhouette: float | None) -> tuple[Any, ...]:
    sentence = describe_segment(dict(zip(FEATURES, centre, strict=True)), row, overall, n_users=row["n_users"], n_all=overall["n_users"])
    return (number, row["n_users"], label, sentence, silhouette, *(round(row[name], DIGITS) for name in FEATURES))
