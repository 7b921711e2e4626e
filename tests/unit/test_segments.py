from datetime import date
from math import isfinite, sqrt
from typing import TYPE_CHECKING

import pytest

from spark_jobs import segments
from spark_jobs.segment_labels import label_segments
from spark_jobs.segment_matching import Memory
from spark_jobs.segments import ACTIVITY_FEATURES, FEATURES, ORDER_FEATURES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

RUN_DATE = date(2026, 3, 31)
NOTHING = Memory()
ACTIVITY = "person_id string, " + ", ".join(f"{name} double" for name in ACTIVITY_FEATURES)
RFM = "person_id string, " + ", ".join(f"{name} double" for name in ORDER_FEATURES)


def _activity(spark: "SparkSession", people: dict[str, dict[str, float | None]], *, partitions: int = 2) -> "DataFrame":
    rows = [(person, *(told.get(name, 0.0) for name in ACTIVITY_FEATURES)) for person, told in people.items()]
    return spark.createDataFrame(rows, ACTIVITY).repartition(partitions)


def _features(spark: "SparkSession", people: dict[str, dict[str, float | None]], *, partitions: int = 2) -> "DataFrame":
    return segments.features(_activity(spark, people, partitions=partitions), spark.createDataFrame([], RFM))


def _segment(features: "DataFrame", *, min_clusters: int, max_clusters: int, memory: Memory = NOTHING) -> segments.Segments:
    return segments.segment(features, min_clusters=min_clusters, max_clusters=max_clusters, seed=1, run_date=RUN_DATE, memory=memory, radius=0.5)


def _crowd() -> dict[str, dict[str, float | None]]:
    """Seven who were here often and lately, three who came once long ago; small differences within each."""
    busy = {f"busy{n}": {"n_events_28d": 100.0 + n, "n_active_days_28d": 20.0, "days_since_last_event": 0.0} for n in range(7)}
    gone = {f"gone{n}": {"n_events_28d": 1.0, "n_active_days_28d": 1.0, "days_since_last_event": 60.0 + n} for n in range(3)}
    return busy | gone


def test_two_crowds_are_two_segments_the_larger_one_first(spark: "SparkSession") -> None:
    made = _segment(_features(spark, _crowd()), min_clusters=2, max_clusters=3)
    assert {row["person_id"]: row["segment"] for row in made.users.collect()} == {person: int(person.startswith("gone")) for person in _crowd()}
    busy, gone = made.profiles.orderBy("segment").collect()
    assert (busy["n_users"], gone["n_users"]) == (7, 3)
    assert busy["n_events_28d"] == 103.0  # the mean of 100 to 106
    assert gone["days_since_last_event"] == 61.0
    assert busy["silhouette"] == gone["silhouette"] > 0.9
    assert busy["segment_label"] != gone["segment_label"]
    # Constant features stay out of it: every number is one.
    assert all(isfinite(row["distance"]) for row in made.users.collect())
    assert all(isfinite(value) for profile in (busy, gone) for name, value in profile.asDict().items() if name in FEATURES)


def test_segments_do_not_depend_on_partitions(spark: "SparkSession") -> None:
    one, many = (_segment(_features(spark, _crowd(), partitions=partitions), min_clusters=2, max_clusters=2) for partitions in (1, 5))
    assert sorted(one.users.collect()) == sorted(many.users.collect())
    assert sorted(one.profiles.collect()) == sorted(many.profiles.collect())


def test_fewer_different_people_than_clusters_are_one_segment(spark: "SparkSession") -> None:
    crowd: dict[str, dict[str, float | None]] = {"a": {"n_events_28d": 1.0}, "b": {"n_events_28d": 3.0}, "c": {"n_events_28d": 3.0}}
    made = _segment(_features(spark, crowd), min_clusters=3, max_clusters=5)
    (profile,) = made.profiles.collect()
    assert (profile["segment"], profile["n_users"], profile["segment_label"], profile["silhouette"]) == (0, 3, "average visitors", None)
    # log1p: ln 2, ln 4, ln 4. Standardised: -2/3 and 1/3 over sqrt(2)/3, so a is sqrt(2) from the middle.
    assert {row["person_id"]: row["distance"] for row in made.users.collect()} == pytest.approx({"a": sqrt(2), "b": 1 / sqrt(2), "c": 1 / sqrt(2)}, abs=1e-5)


def test_who_never_ordered_gets_neutral_order_features(spark: "SparkSession") -> None:
    orders = spark.createDataFrame([("buyer", 10.0, 2.0, 50.0), ("other", 30.0, 1.0, -5.0)], RFM)
    people: dict[str, dict[str, float | None]] = {"buyer": {}, "looker": {"avg_dwell_seconds_28d": None}}
    rows = {row["person_id"]: row for row in segments.features(_activity(spark, people), orders).collect()}
    assert set(rows) == {"buyer", "looker"}
    assert [rows["buyer"][name] for name in ORDER_FEATURES] == [10.0, 2.0, 50.0]
    assert [rows["looker"][name] for name in ORDER_FEATURES] == [20.0, 0.0, 0.0]  # the median of 10 and 30
    assert rows["looker"]["avg_dwell_seconds_28d"] == 0.0


def test_labels_say_what_sets_a_segment_apart_and_are_all_different() -> None:
    names = ("n_events_28d", "days_since_last_event", "monetary")
    centres = [(0.5, -0.2, 2.0), (0.1, 1.5, -3.0), (0.2, 1.4, 0.0), (0.05, 1.3, 0.0), (0.0, 0.0, 0.0)]
    orders = [2.0, 0.1, 0.0, 0.0, 0.0]
    assert label_segments(names, centres, orders) == [
        "high-spending buyers",
        "dormant visitors",  # money says nothing about people who do not buy
        "busy visitors",  # dormant is taken
        "dormant visitors 2",
        "average visitors",
    ]
