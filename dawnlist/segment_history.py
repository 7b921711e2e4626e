"""The history of segments: what every night said of every person, and the ranges of nights in which it held.

Three lake tables have one partition for each night (run_date): `user_segments` (who was what), `segment_centres` (what the numbers of
clusters mean) and `segment_nights` (how good and how stable they were). A night that runs again replaces its own partition; ranges are derived
from all partitions up to a night, so that neither a repetition nor a backfill can break them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

from dawnlist.duck import literal, scan
from dawnlist.lake import DataFile, Lake, Snapshot
from dawnlist.locks import exclusive

if TYPE_CHECKING:
    import duckdb

    from dawnlist.settings import Settings

WAIT_SECONDS: Final = 120

USER_SEGMENTS: Final = {
    "run_date": "DATE",
    "person_id": "VARCHAR",
    "kind": "VARCHAR",  # cluster, rfm, segment, engagement, tag or trigger
    "segment": "VARCHAR",  # number of the cluster, id of the trigger, else the name
    "segment_label": "VARCHAR",
}
SEGMENT_CENTRES: Final = {
    "run_date": "DATE",
    "segment": "INTEGER",
    "segment_label": "VARCHAR",
    "last_seen": "DATE",  # the last night that had the segment
    "feature": "VARCHAR",
    "position": "INTEGER",  # of the feature
    "centre": "DOUBLE",  # signed logarithm
    "scale_mean": "DOUBLE",  # of the night's signed logarithms
    "scale_deviation": "DOUBLE",
}
SEGMENT_NIGHTS: Final = {
    "run_date": "DATE",
    "previous_run_date": "DATE",
    "n_users": "BIGINT",
    "n_segments": "INTEGER",
    "n_new_segments": "INTEGER",
    "n_gone_segments": "INTEGER",
    "silhouette": "DOUBLE",
    "n_users_in_both": "BIGINT",
    "share_kept": "DOUBLE",
    "adjusted_rand_index": "DOUBLE",
}
TABLES: Final[Mapping[str, dict[str, str]]] = {"user_segments": USER_SEGMENTS, "segment_centres": SEGMENT_CENTRES, "segment_nights": SEGMENT_NIGHTS}


@dataclass(frozen=True)
class Stability:
    """How tonight's clusters agree with the night before, over the persons who have one in both. None where nobody has.

    `share_kept`: share of these persons with the same number. `adjusted_rand_index`: agreement of the partitions whatever their numbers (Hubert & Arabie
    1985), 1 = the same, 0 = as by chance.
    """

    n_users_in_both: int
    share_kept: float | None
    adjusted_rand_index: float | None


def last_night_before(lake: Snapshot, run_date: date) -> date | None:
    """The latest night before `run_date` that has a record."""
    nights = [file.partition for file in lake.data_files("segment_nights") if file.partition < run_date.isoformat()]
    return date.fromisoformat(max(nights)) if nights else None


def relation(lake: Snapshot, table: str, *, until: date) -> str:
    """A FROM item of what `table` says of the nights up to and including `until`."""
    files = [lake.root / file.path for file in lake.data_files(table) if file.partition <= until.isoformat()]
    return scan(files, TABLES[table])


def record(settings: "Settings", connection: "duckdb.DuckDBPyConnection", run_date: date, queries: Mapping[str, str], *, run_id: str) -> Snapshot:
    """Replace the partitions of `run_date` by the rows of `queries` (table -> SQL with the table's columns, in one order). Returns the lake as it then stands."""
    lake = Lake(settings.lake_dir)
    written = {table: lake.write(connection, table, query, partition=run_date) for table, query in queries.items()}
    with exclusive(lake.root / ".segments.lock", wait_seconds=WAIT_SECONDS):
        current = lake.snapshot()
        changes = {table: _replaced(current.data_files(table), file, run_date) for table, file in written.items()}
        if all(set(files) == set(current.data_files(table)) for table, files in changes.items()):
            return current
        return lake.commit(changes, run_id=run_id)


def _replaced(files: Sequence[DataFile], file: DataFile | None, run_date: date) -> list[DataFile]:
    others = [other for other in files if other.partition != run_date.isoformat()]
    return others if file is None else [*others, file]


def stability(connection: "duckdb.DuckDBPyConnection", tonight: str, before: str) -> Stability:
    """Compare two FROM items with one row per person_id and its cluster `segment`."""
    rows = connection.execute(f"""
        SELECT tonight.segment, before.segment, count(*) FROM {tonight} AS tonight JOIN {before} AS before USING (person_id) GROUP BY ALL ORDER BY ALL
    """).fetchall()
    n_users = sum(n for _, _, n in rows)
    if not n_users:
        return Stability(0, None, None)
    kept = sum(n for mine, theirs, n in rows if mine == theirs)
    return Stability(n_users, round(kept / n_users, 6), round(adjusted_rand_index(rows), 6))


def adjusted_rand_index(cells: Sequence[tuple[object, object, int]]) -> float:
    """Of a contingency table given as (row, column, count). 1 where both partitions are one segment, or all singletons: there was nothing to disagree about."""
    rows: dict[object, int] = {}
    columns: dict[object, int] = {}
    for row, column, n in cells:
        rows[row] = rows.get(row, 0) + n
        columns[column] = columns.get(column, 0) + n
    together, in_rows, in_columns = (sum(map(_pairs, counts)) for counts in ([n for *_, n in cells], rows.values(), columns.values()))
    by_chance = in_rows * in_columns / max(_pairs(sum(rows.values())), 1)
    most = (in_rows + in_columns) / 2
    return 1.0 if most == by_chance else (together - by_chance) / (most - by_chance)


def _pairs(n: int) -> int:
    return n * (n - 1) // 2


def ranges(lake: Snapshot, *, run_date: date) -> str:
    """SQL of dim_user_segments as of the night of `run_date`: one row per person_id, kind, segment and valid_from, in that order.

    valid_from: the first night of an unbroken row of nights that said so. valid_to: the first night that did not any more, NULL (is_current) while
    the last one does: half-open. Nights without a record (none was run) break nothing.
    """
    return f"""
        WITH nights AS (
            SELECT run_date, row_number() OVER (ORDER BY run_date) AS night
            FROM (SELECT DISTINCT run_date FROM {relation(lake, "segment_nights", until=run_date)})
        ), said AS (
            SELECT person_id, kind, segment, segment_label, run_date, night,
                night - row_number() OVER (PARTITION BY person_id, kind, segment ORDER BY night) AS island
            FROM {relation(lake, "user_segments", until=run_date)} JOIN nights USING (run_date)
        ), islands AS (
            SELECT person_id, kind, segment, arg_max(segment_label, night) AS segment_label, min(run_date) AS valid_from, max(night) AS last_night
            FROM said GROUP BY person_id, kind, segment, island
        )
        SELECT person_id, kind, segment, segment_label, valid_from, nights.run_date AS valid_to, nights.run_date IS NULL AS is_current
        FROM islands LEFT JOIN nights ON nights.night = last_night + 1
        ORDER BY person_id, kind, segment, valid_from
    """


def states(*, run_date: date, clusters: str, rfm: str, labels: str, firings: str) -> str:
    """SQL of a night's partition of user_segments, of four FROM items: user_segments of the night, feat_user_rfm, feat_user_labels, rule_firings.

    `clusters` has the persons with consent; of the others nothing is said.
    """
    day = f"DATE {literal(run_date.isoformat())}"
    return f"""
        SELECT {day} AS run_date, said.* FROM (
            SELECT person_id, 'cluster' AS kind, segment::VARCHAR AS segment, segment_label FROM {clusters}
            UNION ALL SELECT person_id, 'rfm', rfm_segment, rfm_segment FROM {rfm} WHERE feature_date = {day}
            UNION ALL SELECT person_id, kind, label, label FROM {labels} WHERE feature_date = {day}
            UNION ALL SELECT person_id, 'trigger', rule, outcome FROM {firings} WHERE kind = 'person'
        ) AS said SEMI JOIN {clusters} AS consenting USING (person_id) ORDER BY person_id, kind, segment
    """
