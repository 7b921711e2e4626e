"""How alike items are by their words: cosine of TF-IDF vectors of title, category, brand and text, and of embeddings where a site has them. It knows items
that nobody has come to yet.

Weights: Salton & Buckley, "Term-weighting approaches in automatic text retrieval" (Information Processing & Management 1988): (1 + log tf) * log(N / df),
each item's vector of length 1. A term of one item says nothing of others, and a term of more than half of the items little: both are left out.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dawnlist.errors import ColumnsError, MissingInputError
from models.recommenders.events import Floats
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


def product(terms: pa.Table, item_ids: pa.Array, embeddings: Floats | None = None) -> Product:
    """terms: see `terms_of`. The cosine of the items, by their numbers in `item_ids`; items that `item_ids` lacks are left out.

    embeddings: see `read_embeddings`; with them the mean of both cosines, so that an item without an embedding is known by half of its words' cosine.
    """
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
    if embeddings is None:
        return Product(vectors, vectors.T.tocsr(), ones, ones)
    return Product(vectors, vectors.T.tocsr(), 2.0 * ones, ones, dense=embeddings)


def read_embeddings(file: Path, item_ids: pa.Array) -> Floats:
    """A Parquet file of item_id and embedding (a list of numbers, of all items as many): one row of length 1 per item of `item_ids`, zeros for items that it lacks.

    Raises MissingInputError where there is no such file, ColumnsError where it has not this form: other columns, lists of several lengths, a value that is no number, an item twice.
    """
    import pyarrow.parquet as pq

    wanted = f"candidates.item_embeddings: {file} must be Parquet with the columns item_id and embedding (lists of numbers)"
    try:
        table = pq.read_table(file, columns=["item_id", "embedding"], partitioning=None)
    except FileNotFoundError:
        raise MissingInputError(
            f"candidates.item_embeddings: there is no {file}. Write it, or name another: a model that was trained with embeddings goes on with them."
        ) from None
    except (pa.ArrowInvalid, OSError) as error:
        raise ColumnsError(f"{wanted}: {error}") from None
    if table.column_names != ["item_id", "embedding"] or not _is_vector(table.schema.field("embedding").type):
        raise ColumnsError(f"{wanted}; it has {', '.join(f'{field.name} ({field.type})' for field in table.schema)}.")
    ids, lists = table.column("item_id").cast(pa.string()).combine_chunks(), table.column("embedding").combine_chunks()
    lengths = pc.list_value_length(lists)
    values = pc.list_flatten(lists).cast(pa.float32()).to_numpy(zero_copy_only=False)
    if ids.null_count or lists.null_count or len(pc.unique(lengths)) > 1 or not np.isfinite(values).all() or len(pc.unique(ids)) < len(ids):
        raise ColumnsError(f"{wanted}: each item once, lists of one length, no value that is missing or infinite.")
    vectors = values.reshape(len(ids), len(values) // max(len(ids), 1))
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    place = pc.index_in(item_ids, value_set=ids)
    known = pc.is_valid(place).to_numpy(zero_copy_only=False)
    found = np.zeros((len(item_ids), vectors.shape[1]), dtype=np.float32)
    found[known] = vectors[place.drop_null().to_numpy()]
    return found


def _is_vector(kind: pa.DataType) -> bool:
    return (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)) and (
        pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)
    )
