"""The candidate lists of one as-of date: every source that is switched on, fitted on what happened before its end."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc

from dawnlist.lake import DataFile, Lake
from spark_jobs import item_to_item
from spark_jobs.interactions import NO_IDS, Hidden, Interactions, build, numbers_of, pairs_until
from spark_jobs.sources import SOURCES, Past, named

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from dawnlist.settings import Settings

NOTHING = pa.table({})


def run(
    spark: "SparkSession",
    settings: "Settings",
    *,
    marts: Mapping[str, Sequence[Path]],
    as_of: date,
    tables: Lake,
    run_id: str,
    exclude_seen: bool,
    exclude_bought: bool,
    persons: Sequence[str] | None = None,
) -> dict[str, int]:
    """Fit the sources of candidates.sources at the end of `as_of` and commit their tables to `tables`, in place of what they had for that date.

    marts: Parquet files of the marts that the sources need. Blocked and unavailable items, and items that dim_items does
    not have, are never proposed; with `exclude_bought` neither is what the person has bought, with `exclude_seen` anything that the
    person has interacted with. All persons train the models; `persons` restricts who gets candidates. Returns the rows per table; the
    tables of sources that are switched off have none.
    """
    hide: Hidden = "seen" if exclude_seen else "bought" if exclude_bought else "nothing"
    past = _past(spark, settings, marts, as_of, hide, persons)
    made: dict[str, pa.Table] = {}
    for source in SOURCES:
        is_on = source.name in settings.candidates.sources
        fitted = source.fit(past) if is_on else None
        made[source.table] = _candidates(source.recommend(past, fitted), past.matrix) if is_on else NOTHING
        made |= {name: keep(past, fitted) if is_on else NOTHING for name, keep in source.keeps.items()}
    return _publish(tables, made, as_of, run_id)


def _past(spark: "SparkSession", settings: "Settings", marts: Mapping[str, Sequence[Path]], as_of: date, hide: Hidden, persons: Sequence[str] | None) -> Past:
    options = settings.candidates
    events = spark.read.parquet(*(str(path) for path in marts["fct_interactions"]))
    content = _content_until(spark, marts["feat_item_content"], as_of) if "content" in options.sources else None
    known = NO_IDS if content is None else content.select("item_id").toArrow().column("item_id").combine_chunks().cast(pa.string())
    matrix = build(spark, pairs_until(events, as_of), hide=hide, items=known)
    newest = item_to_item.newest(matrix, max_items=options.max_items_per_user)
    return Past(
        spark=spark,
        options=options,
        seed=settings.seed,
        matrix=matrix,
        newest=newest,
        half_life=options.half_life_days or item_to_item.half_life(newest),
        content=content,
        eligible=numbers_of(matrix.item_ids, proposable(marts["dim_items"])),
        wanted=None if persons is None else numbers_of(matrix.person_ids, pa.array(persons, pa.string())),
    )


def _content_until(spark: "SparkSession", files: Sequence[Path], as_of: date) -> "DataFrame | None":
    """The words of the items as of the date; None where there is no catalogue."""
    if not files:
        return None
    read = spark.read.parquet(*(str(path) for path in files))
    return read.where(read["feature_date"] == as_of).select("item_id", "content")


def proposable(items: Sequence[Path]) -> pa.Array:
    """The ids of the items of dim_items that are neither blocked nor unavailable; an unknown availability counts as available."""
    import pyarrow.parquet as pq

    tables = [pq.read_table(path, columns=["item_id", "is_available", "is_blocked"], partitioning=None) for path in items]
    if not tables:
        return pa.array([], pa.string())
    table = pa.concat_tables(tables)
    shown = pc.and_(pc.fill_null(table.column("is_available"), True), pc.invert(pc.fill_null(table.column("is_blocked"), False)))
    return pa.array(table.filter(shown).column("item_id").to_pylist(), pa.string())


def _candidates(ranked: pa.Table, matrix: Interactions) -> pa.Table:
    ranked = ranked.sort_by([("row", "ascending"), ("rank", "ascending")])
    person, item = named(ranked.column("row"), matrix.person_ids), named(ranked.column("item"), matrix.item_ids)
    return pa.table({"person_id": person, "item_id": item, "score": ranked.column("score"), "rank": ranked.column("rank")})


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
