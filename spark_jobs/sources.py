"""Who proposes candidates in Spark. A source is one entry of SOURCES: its name, the marts that it needs, how it is fitted, and how it recommends."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from models.recommenders.neighbours import CoVisitation, Product, Rp3Beta
from spark_jobs import als, content, item_to_item
from spark_jobs.interactions import Interactions
from spark_jobs.item_to_item import Query
from spark_jobs.ranking import ARROW_SCHEMA

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from dawnlist.settings import Candidates


@dataclass(frozen=True)
class Past:
    """What happened before the end of an as-of date, as all sources see it.

    matrix: who did what with which item; newest: see item_to_item.newest; half_life: of an interaction, in days (None: none fades); content: what
    is known of the items' words (item_id, content); eligible: numbers of the items that may be proposed, sorted; wanted: numbers of the
    persons who get candidates (None: all).
    """

    spark: "SparkSession"
    options: "Candidates"
    seed: int
    matrix: Interactions
    newest: pa.Table
    half_life: float | None
    content: "DataFrame | None"
    eligible: np.ndarray
    wanted: np.ndarray | None

    def similar(self, product: Product) -> pa.Table:
        """The neighbours of each item."""
        return item_to_item.similar(self.spark, product, per_item=self.options.similar_items, eligible=self.eligible)

    def listed(self, similar: pa.Table, query: Query | None = None) -> pa.Table:
        """The lists that follow from neighbours."""
        return item_to_item.recommend(self.matrix, similar, per_person=self.options.per_source, query=query, wanted=self.wanted)


@dataclass(frozen=True)
class Source:
    """One source. `recommend` gives one row per (row = number of the person, rank) with item (a number) and score, at most candidates.per_source a
    person: eligible items, nothing that is hidden from the person, higher scores first, ties by item. `keeps` makes further tables of what was fitted, by name.
    """

    name: str
    needs: tuple[str, ...]
    fit: Callable[[Past], Any]
    recommend: Callable[[Past, Any], pa.Table]
    keeps: Mapping[str, Callable[[Past, Any], pa.Table]]

    @property
    def table(self) -> str:
        """The table of its candidates."""
        return f"candidates_{self.name}"


def _item_to_item(past: Past) -> pa.Table:
    """Cosine of who came to both, fading."""
    cosine = CoVisitation(half_life=past.half_life, balance=1.0, shrinkage=past.options.similarity_shrinkage)
    return past.similar(cosine.product(_events(past)))


def _covisitation(past: Past) -> pa.Table:
    return past.similar(CoVisitation(half_life=past.half_life, balance=past.options.covisitation_balance).product(_events(past)))


def _rp3beta(past: Past) -> pa.Table:
    return past.similar(Rp3Beta(alpha=past.options.rp3_alpha, beta=past.options.rp3_beta).product(_events(past)))


def _content(past: Past) -> pa.Table:
    if past.content is None:
        return ARROW_SCHEMA.empty_table()
    file, item_ids = past.options.item_embeddings, past.matrix.item_ids
    embeddings = None if file is None else content.read_embeddings(file, item_ids)
    return past.similar(content.product(content.terms_of(past.content), item_ids, embeddings))


def _als(past: Past) -> als.Factors:
    options, confidence = past.options, als.Confidence(past.options.als_alpha, past.half_life)
    shared: dict[str, Any] = {"factors": options.als_factors, "iterations": options.als_iterations, "confidence": confidence, "seed": past.seed}
    if options.als_engine == "mllib":
        return als.fit_mllib(past.matrix, regularisation=options.als_regularisation, **shared)
    return als.fit(past.matrix, regularisation=options.als_regularisation, nu=options.als_nu, **shared)


def _als_lists(past: Past, fitted: als.Factors) -> pa.Table:
    return als.recommend(past.matrix, fitted, per_person=past.options.per_source, eligible=past.eligible, wanted=past.wanted)


def _whole_past(past: Past, similar: pa.Table) -> pa.Table:
    """A random walk starts from all that a person came to, not from the last items only."""
    return past.listed(similar, Query(past.options.max_items_per_user, 1.0, past.half_life))


def _events(past: Past) -> Any:
    return item_to_item.events_of(past.newest, n_items=len(past.matrix.item_ids))


def _similar_items(past: Past, similar: pa.Table) -> pa.Table:
    return pa.table(
        {
            "item_id": named(similar.column("row"), past.matrix.item_ids),
            "rank": similar.column("rank"),
            "similar_item_id": named(similar.column("item"), past.matrix.item_ids),
            "score": similar.column("score"),
            "source": pa.array(["item_to_item"] * similar.num_rows, pa.string()),
        }
    )


def _user_factors(past: Past, fitted: als.Factors) -> pa.Table:
    return pa.table({"person_id": past.matrix.person_ids, "factors": _lists(fitted.persons)})


def _item_factors(past: Past, fitted: als.Factors) -> pa.Table:
    known = fitted.items.any(axis=1)
    return pa.table({"item_id": past.matrix.item_ids.filter(pa.array(known)), "factors": _lists(fitted.items[known])})


def named(numbers: pa.ChunkedArray, ids: pa.Array) -> pa.Array:
    """The ids of a column of numbers."""
    return pa.DictionaryArray.from_arrays(numbers.combine_chunks().cast(pa.int32()), ids)


def _lists(factors: np.ndarray) -> pa.Array:
    offsets = np.arange(len(factors) + 1, dtype=np.int32) * factors.shape[1]
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(factors.ravel()))


EVENTS: Final = ("fct_interactions", "dim_items")
SOURCES: Final = (
    Source("item_to_item", EVENTS, _item_to_item, Past.listed, {"similar_items": _similar_items}),
    Source("covisitation", EVENTS, _covisitation, Past.listed, {}),
    Source("rp3beta", EVENTS, _rp3beta, _whole_past, {}),
    Source("als", EVENTS, _als, _als_lists, {"als_user_factors": _user_factors, "als_item_factors": _item_factors}),
    Source("content", (*EVENTS, "feat_item_content"), _content, Past.listed, {}),
)
