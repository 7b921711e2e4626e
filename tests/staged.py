"""Staged batches: what the rows of one are, and how a test makes one of a few events."""

from pathlib import Path

import duckdb

from dawnlist.columns import EVENTS, ORIGIN
from dawnlist.duck import scan
from dawnlist.ingest import Batch
from dawnlist.mapping import TYPES
from dawnlist.staging import events_with_origin, write_day


def staged_rows(batch: Batch, kind: str = "events") -> str:
    """A FROM item with the columns of the lake and `file_id`; no rows where the batch has none of that kind."""
    files = batch.parquet(kind)
    if kind == "events" and files:
        return events_with_origin(files, [file["file_id"] for file in batch.files if file["input"] == "events"])
    return scan(files, TYPES[kind] | ORIGIN)


def stage_events(folder: Path, known: dict[str, str], feed: str) -> list[Path]:
    """Write the files of staged events of the FROM item `feed` into `folder`. `known`: column -> expression, and `number`, the place of
    the event's file in its batch; other columns are NULL.
    """
    columns = ", ".join(f"({known.get(column, 'NULL')})::{kind} AS {column}" for column, kind in EVENTS.items())
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE feed AS SELECT {columns}, {known['number']} AS number FROM {feed} ORDER BY occurred_at, event_id")
        for (day,) in connection.execute("SELECT DISTINCT event_date FROM feed").fetchall():
            write_day(connection, "feed", {name: name for name in EVENTS}, day, folder / f"events.{day}.0.parquet")
    return sorted(folder.glob("events.*.parquet"))
