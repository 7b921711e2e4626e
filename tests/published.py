"""Nights that are published, and what readers see of them."""

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

from dawnlist.columns import LAKE_TABLES
from dawnlist.duck import connect, literal
from dawnlist.export import consumers
from dawnlist.lake import Lake
from dawnlist.serving import open_store
from dawnlist.settings import Settings
from dawnlist.stages import export as export_stage
from dawnlist.stages import publish
from dawnlist.stages.base import Interval
from tests import nights
from tests.nights import ANN, BOB, RUN_DATE

NEXT_DATE = date(2026, 11, 21)
MORNING = datetime(2026, 11, 21, 5, 0)


def publish_night(settings: Settings, run_date: date = RUN_DATE, *, run_id: str = "run-1", force: bool = False, **changes: Any) -> Any:
    nights.write(settings, run_date, **changes)
    return publish.run(settings, Interval.day(run_date), run_id=run_id, force=force, published_at=MORNING)


def published(settings: Settings, query: str) -> list[Any]:
    with connect(settings) as connection, open_store(settings).published(connection):
        return connection.execute(query).fetchall()


def say(settings: Settings, **rows: Sequence[dict[str, Any]]) -> None:
    """Put rows into tables of the lake, as ingest does."""
    lake = Lake(settings.lake_dir)
    files = {}
    with connect(settings) as connection:
        for table, found in rows.items():
            columns = LAKE_TABLES[table]
            values = " UNION ALL ".join(
                "SELECT " + ", ".join(f"CAST({_sql(row.get(name))} AS {kind}) AS {name}" for name, kind in columns.items()) for row in found
            )
            files[table] = [file for file in [lake.write(connection, table, values)] if file]
    lake.commit(files, run_id="say")


def _sql(value: Any) -> str:
    return "NULL" if value is None else literal(str(value))


def answer(user: str, granted: bool, at: datetime, purpose: str = "personalisation") -> dict[str, Any]:
    return {"source": "store", "user_id": user, "purpose": purpose, "is_granted": granted, "changed_at": at}


def item(name: str, at: datetime = MORNING, **state: Any) -> dict[str, Any]:
    return {"source": "store", "item_id": name, "updated_at": at, **state}


def two_bundles(home: Path, *, at: datetime) -> Path:
    """A home with two bundles; the consumer `cms` has the first, and a delta from it waits. The second has no Eve, and another list for Ann."""
    settings = nights.settings_in(home)
    for lists in (nights.LISTS, {ANN: ["rug"], BOB: ["pen", "lamp"]}):
        nights.write(settings, lists=lists)
        publish.run(settings, Interval.day(RUN_DATE), run_id="run-1", published_at=at)
        export_stage.run(settings, Interval.day(RUN_DATE), run_id="run-1", created_at=at)
        consumers.acknowledge(settings.exports_dir, "cms", 1, at=at)
    return home
