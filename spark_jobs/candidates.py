"""The candidate lists of one as-of date: matrix factorisation and item-to-item, fitted on what happened before its end."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dawnlist.lake import DataFile, Lake
from spark_jobs import als, item_to_item
from spark_jobs.interactions import Hidden, Interactions, build, numbers_of, pairs_until

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from dawnlist.settings import Settings

SOURCE = "item_to_item"


def run(
    spark: "SparkSession",
    settings: "Settings",
    *,
    interactions: Sequence[Path],
    items: Sequence[Path],
    as_of: date,
    tables: Lake,
    run_id: str,
    exclude_seen: bool,
    exclude_bought: bool,
    persons: Sequence[str] | None = None,
) -> dict[str, int]:
    """Fit both models at the end of `as_of` and commit their tables to `tables`, in place of what they had for that date.

    interactions, items: Parquet files of fct_interactions and dim_items. Blocked and unavailable items, and items that dim_items does
    not have, are never proposed; with `exclude_bought` neither is what the person has bought, with `exclude_seen` anything that the
    person has interacted with. All persons train the models; `persons` restricts who gets candidates. Returns the rows per table.
    """
    hide: Hidden = "seen" if exclude_seen else "bought" if exclude_bought else "nothing"
    events = spark.read.parquet(*(str(path) for path in interactions))
    matrix = build(spark, pairs_until(events, as_of), hide=hide)
    eligible = numbers_of(matrix.item_ids, proposable(items))
    wanted = None if persons is None else numbers_of(matrix.person_ids, pa.array(persons, pa.string()))
    newest = item_to_item.newest(matrix, max_items=settings.candidates.max_items_per_user)
    half_life = settings.candidates.half_life_days or item_to_item.half_life(newest)
    made = _item_to_item_tables(spark, settings, matrix, newest, eligible, wanted, half_life)
    made |= _als_tables(settings, matrix, eligible, wanted, half_life)
    return _publish(tables, made, as_of, run_id)


def proposable(items: Sequence[Path]) -> pa.Array:
    """The ids of the items of dim_items that are neither blocked nor unavailable; an unknown availability counts as available."""
    import pyarrow.parquet as pq

    tables = [pq.read_table(path, columns=["item_id", "is_available", "is_blocked"], partitioning=None) for path in items]
    if not tables:
        return pa.array([], pa.string())
    table = pa.concat_tables(tables)
    shown = pc.and_(pc.fill_null(table.column("is_available"), True), pc.invert(pc.fill_null(table.column("is_blocked"), False)))
    return pa.array(table.filter(shown).column("item_id").to_pylist(), pa.string())


def _item_to_item_tables(
    spark: "SparkSession",
    settings: "Settings",
    matrix: Interactions,
    newest: pa.Table,
    eligible: np.ndarray,
    wanted: np.ndarray | None,
    half_life: float | None,
) -> dict[str, pa.Table]:
    options = settings.candidates
    similar = item_to_item.similar(
        spark,
        newest,
        n_items=len(matrix.item_ids),
        per_item=options.similar_items,
        eligible=eligible,
        half_life_days=half_life,
        shrinkage=options.similarity_shrinkage,
    )
    listed = item_to_item.recommend(matrix, similar, per_person=options.per_source, wanted=wanted)
    neighbours = {
        "item_id": _named(similar.column("row"), matrix.item_ids),
        "rank": similar.column("rank"),
        "similar_item_id": _named(similar.column("item"), matrix.item_ids),
        "score": similar.column("score"),
        "source": pa.array([SOURCE] * similar.num_rows, pa.string()),
    }
    return {"similar_items": pa.table(neighbours), "candidates_item_to_item": _candidates(listed, matrix)}


def _als_tables(settings: "Settings", matrix: Interactions, eligible: np.ndarray, wanted: np.ndarray | None, half_life: float | None) -> dict[str, pa.Table]:
    options = settings.candidates
    fitted = als.fit(
        matrix,
        factors=options.als_factors,
        iterations=options.als_iterations,
        regularisation=options.als_regularisation,
        confidence=als.Confidence(options.als_alpha, half_life),
        seed=settings.seed,
    )
    return {
        "candidates_als": _candidates(als.recommend(matrix, fitted, per_person=options.per_source, eligible=eligible, wanted=wanted), matrix),
        "als_user_factors": pa.table({"person_id": matrix.person_ids, "factors": _lists(fitted.persons)}),
        "als_item_factors": pa.table({"item_id": matrix.item_ids, "factors": _lists(fitted.items)}),
    }


def _candidates(ranked: pa.Table, matrix: Interactions) -> pa.Table:
    ranked = ranked.sort_by([("row", "ascending"), ("rank", "ascending")])
    person, item = _named(ranked.column("row"), matrix.person_ids), _named(ranked.column("item"), matrix.item_ids)
    return pa.table({"person_id": person, "item_id": item, "score": ranked.column("score"), "rank": ranked.column("rank")})


def _named(numbers: pa.ChunkedArray, ids: pa.Array) -> pa.Array:
    return pa.DictionaryArray.from_arrays(numbers.combine_chunks().cast(pa.int32()), ids)


def _lists(factors: np.ndarray) -> pa.Array:
    offsets = np.arange(len(factors) + 1, dtype=np.int32) * factors.shape[1]
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(factors.ravel()))


def _publish(tables: Lake, made: dict[str, pa.Table], as_of: date, run_id: str) -> dict[str, int]:
    """Commit the tables in one step: the files of other as-of dates stay, those of `as_of` are replaced."""
    files = {name: _write(tables, name, table, as_of) for name, table in made.items()}
    before = tables.snapshot()
    others = {name: {file for file in before.data_files(name) if file.partition != as_of.isoformat()} for name in made}
    tables.commit({name: others[name] | files[name] for name in made}, run_id=run_id)
    return {name: table.num_rows for name, table in made.items()}


def _write(tables: Lake, name: str, table: pa.Table, as_of: date) -> set[DataFile]:
    import pyarrow.parquet as pq

    if not table.num_rows:
        return set()
    folder = tables.root / name
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f".{uuid4().hex}.tmp"
    try:
        pq.write_table(table, aside, compression="zstd", store_schema=False)  # plain strings, not the dictionaries of the memory
        return {tables.adopt(name, aside, rows=table.num_rows, partition=as_of)}
    finally:
        aside.unlink(missing_ok=True)
