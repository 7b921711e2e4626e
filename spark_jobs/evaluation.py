"""The figures of models.evaluation and models.list_quality over tables that are too large for one machine: the same numbers, by Spark.

Definitions and their sources: models/evaluation.py, models/list_quality.py. `lists`: one row per (user_id, rank) with item_id, rank 1 = best, no gaps;
`relevant`: one row per (user_id, item_id), every user with one at least; `train`: events with user_id and item_id. Users are those of `relevant`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as sf
from pyspark.sql.window import Window

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def accuracy(lists: "DataFrame", relevant: "DataFrame", ks: Sequence[int]) -> dict[str, float]:
    """ndcg, precision, recall, map, mrr and hit_rate at each k: means over the users of `relevant`, those without a list included."""
    hits = lists.join(relevant.select("user_id", "item_id").distinct(), ["user_id", "item_id"])
    numbered = hits.withColumn("n_hits", sf.row_number().over(Window.partitionBy("user_id").orderBy("rank")))
    per_user = numbered.groupBy("user_id").agg(*(column for k in ks for column in _gains(k)))
    users = relevant.groupBy("user_id").agg(sf.count_distinct("item_id").alias("n_relevant")).join(per_user, "user_id", "left").na.fill(0.0)
    return _row(users, {name: sf.avg(column) for k in ks for name, column in _metrics(k).items()})


def exposure(lists: "DataFrame", train: "DataFrame", ks: Sequence[int]) -> dict[str, float]:
    """coverage, gini, novelty and popularity at each k. The catalogue is what `train` has; lists hold nothing else."""
    n_users = train.select("user_id").distinct().count()
    items = train.groupBy("item_id").agg(sf.count_distinct("user_id").alias("n_users"))
    found: dict[str, float] = {}
    for k in ks:
        shown = lists.filter(sf.col("rank") <= k)
        counts = items.join(shown.groupBy("item_id").agg(sf.count("*").alias("n")), "item_id", "left").na.fill(0, ["n"])
        place = sf.row_number().over(Window.orderBy("n"))
        size = sf.count("*").over(Window.partitionBy())
        spread = counts.select("n", ((2 * place - size - 1) * sf.col("n")).alias("weighted"), size.alias("size"))
        gini = sf.coalesce(sf.sum("weighted") / (sf.max("size") * sf.sum("n")), sf.lit(0.0))
        found |= _row(spread, {f"coverage@{k}": sf.avg((sf.col("n") > 0).cast("double")), f"gini@{k}": gini})
        share = sf.col("n_users") / n_users
        means = shown.join(items, "item_id").groupBy("user_id").agg(sf.avg(-sf.log2(share)).alias("novelty"), sf.avg(share).alias("popularity"))
        found |= _row(means, {f"{name}@{k}": sf.avg(name) for name in ("novelty", "popularity")})
    return found


def diversity(lists: "DataFrame", train: "DataFrame", ks: Sequence[int]) -> dict[str, float]:
    """Intra-list diversity at each k: mean of 1 - cosine of the persons behind two items, over the pairs of each list, then over the lists of two or more."""
    seen = train.select("user_id", "item_id").distinct()
    first, second = (lists.select("user_id", sf.col("item_id").alias(name), sf.col("rank").alias(f"{name}_rank")) for name in ("a", "b"))
    pairs = first.join(second, "user_id").filter("a_rank < b_rank")
    wanted = pairs.select("a", "b").distinct()
    persons = [seen.select(sf.col("user_id").alias("person"), sf.col("item_id").alias(name)) for name in ("a", "b")]
    together = wanted.join(persons[0], "a").join(persons[1], ["b", "person"]).groupBy("a", "b").agg(sf.count("*").alias("n_both"))
    sizes = seen.groupBy("item_id").agg(sf.count("*").alias("n"))
    scored = (
        pairs.join(together, ["a", "b"], "left")
        .na.fill(0, ["n_both"])
        .join(sizes.select(sf.col("item_id").alias("a"), sf.col("n").alias("n_a")), "a")
        .join(sizes.select(sf.col("item_id").alias("b"), sf.col("n").alias("n_b")), "b")
        .withColumn("distance", 1 - sf.col("n_both") / sf.sqrt(sf.col("n_a") * sf.col("n_b")))
    )
    per_list = scored.groupBy("user_id").agg(*(sf.avg(sf.when(sf.col("b_rank") <= k, sf.col("distance"))).alias(f"diversity@{k}") for k in ks))
    return _row(per_list, {f"diversity@{k}": sf.avg(f"`diversity@{k}`") for k in ks})


def _gains(k: int) -> list["Column"]:
    inside = sf.col("rank") <= k
    return [
        sf.sum(sf.when(inside, 1 / sf.log2(sf.col("rank") + 1))).alias(f"gain_{k}"),
        sf.sum(sf.when(inside, 1.0)).alias(f"hits_{k}"),
        sf.sum(sf.when(inside, sf.col("n_hits") / sf.col("rank"))).alias(f"precisions_{k}"),
        sf.max(sf.when(inside, 1 / sf.col("rank"))).alias(f"reciprocal_{k}"),
    ]


def _metrics(k: int) -> dict[str, "Column"]:
    reachable = sf.least(sf.col("n_relevant"), sf.lit(k))
    ideal = sf.aggregate(sf.sequence(sf.lit(1), reachable.cast("int")), sf.lit(0.0), lambda total, rank: total + 1 / sf.log2(rank + 1))
    return {
        f"ndcg@{k}": sf.col(f"gain_{k}") / ideal,
        f"precision@{k}": sf.col(f"hits_{k}") / k,
        f"recall@{k}": sf.col(f"hits_{k}") / sf.col("n_relevant"),
        f"map@{k}": sf.col(f"precisions_{k}") / reachable,
        f"mrr@{k}": sf.col(f"reciprocal_{k}"),
        f"hit_rate@{k}": (sf.col(f"hits_{k}") > 0).cast("double"),
    }


def _row(frame: "DataFrame", columns: dict[str, "Column"]) -> dict[str, float]:
    """The aggregates of a frame by name; NaN where there is nothing to aggregate."""
    row = frame.agg(*(column.alias(name) for name, column in columns.items())).collect()[0]
    return {name: float("nan") if row[name] is None else float(row[name]) for name in columns}
