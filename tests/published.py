"""Nights that are published, and what readers see of them."""

from datetime import date, datetime
from typing import Any

from dawnlist.duck import connect
from dawnlist.serving import open_store
from dawnlist.settings import Settings
from dawnlist.stages import publish
from dawnlist.stages.base import Interval
from tests import nights
from tests.nights import RUN_DATE

NEXT_DATE = date(2026, 11, 21)
MORNING = datetime(2026, 11, 21, 5, 0)


def publish_night(settings: Settings, run_date: date = RUN_DATE, *, run_id: str = "run-1", force: bool = False, **changes: Any) -> Any:
    nights.write(settings, run_date, **changes)
    return publish.run(settings, Interval.day(run_date), run_id=run_id, force=force, published_at=MORNING)


def published(settings: Settings, query: str) -> list[Any]:
    with connect(settings) as connection, open_store(settings).published(connection):
        return connection.execute(query).fetchall()
