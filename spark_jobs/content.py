"""How alike items are by their words: cosine of TF-IDF vectors of title, category, brand and text. It knows items that nobody has come to yet.

Weights: Salton & Buckley, "Term-weighting approaches in automatic text retrieval" (Information Processing & Management 1988): (1 + log tf) * log(N / df),
each item's vector of length 1. A term of one item says nothing of others, and a term of more than half of the items little: both are left out.
"""

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.recommenders.neighbours import Product

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

WORDS = r"[\p{L}\p{N}]{2,}"
MIN_ITEMS = 2
MAX_SHARE = 0.5


def terms_of(content: "DataFrame") -> pa.Table:
    """content: item_id and content (NULL where nothing is known). One row per (item_id, term): n, how often; ordered by both."""
    from pyspark.sql import functions as F  # noqa: N812  (the name that Spark's documentation uses)

    words = content.select("item_id", F.explode(F.regexp_extract_all(F.lower("content"), F.lit(WORDS), F.lit(0))).alias("term"))
    return words.groupBy("item_id", "term").agg(F.count("*").alias("n")).toArrow().sort_by([("item_id", "ascending"), ("term", "ascending")])


def product(terms: pa.Table, item_ids: pa.Array) -> Product:
    """terms: see `terms_of`. The cosine of the items, by their numbers in `item_ids`; items that `item_ids` lacks are left out."""
    from scipy.sparse import csr_matrix, diags

    n_items = len(item_ids)
    terms = terms.filter(pc.is_in(terms.column("item_id"), value_set=item_ids))
    item = pc.index_in(terms.column("item_id"), value_set=item_ids).to_numpy()
    words = pc.unique(terms.column("term"))
    term = pc.index_in(terms.column("term"), value_set=words).to_numpy()
    counts = np.bincount(term, minlength=len(words))
    kept = (counts >= MIN_ITEMS) & (counts <= max(MIN_ITEMS, MAX_SHARE * len(np.unique(item))))
    weight = np.where(kept[term], (1.0 + np.log(terms.column("n").to_numpy())) * np.log(n_items / np.maximum(counts, 1))[term], 0.0)
    vectors = csr_matrix((weight, (item, term)), shape=(n_items, len(words)))
    vectors.eliminate_zeros()
    length = np.sqrt(np.asarray(vectors.power(2).sum(axis=1)).ravel())
    vectors = (diags(1.0 / np.where(length > 0, length, 1.0)) @ vectors).tocsr()
    ones = np.ones(n_items)
    return Product(vectors, vectors.T.tocsr(), ones, ones)
