"""Lake files from before a column was added, or was widened, stay readable and are merged like all others."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from dawnlist import duck, staging, warehouse
from dawnlist.columns import EVENTS, ITEMS
from dawnlist.ingest import Batch
from dawnlist.lake import Lake
from dawnlist.promote import promote
from dawnlist.settings import Settings, load

DAY, NEXT_DAY = date(2026, 1, 5), date(2026, 1, 6)
LATER = ("region", "properties")  # columns that the older files lack


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(home=tmp_path)


def event(event_id: str, day: date, *, without: tuple[str, ...] = (), quantity: str = "2::DECIMAL(18,3)") -> str:
    known = {
        "source": "'shop'",
        "event_id": f"'{event_id}'",
        "event_type": "'view'",
        "occurred_at": f"TIMESTAMP '{day} 10:00'",
        "event_date": f"DATE '{day}'",
        "quantity": quantity,
        "region": "'BE'",
    }
    columns = {name: f"{known[name]} AS {name}" if name in known else f"NULL::{kind} AS {name}" for name, kind in EVENTS.items() if name not in without}
    return f"SELECT {', '.join(columns.values())}"


def stored(settings: Settings) -> list[tuple]:
    with duck.connect(settings) as connection:
        scan = duck.scan(Lake(settings.lake_dir).snapshot().files("events"), EVENTS)
        return connection.execute(f"SELECT event_id, quantity, region, properties FROM {scan} ORDER BY event_id").fetchall()


@pytest.fixture
def older(settings: Settings) -> Settings:
    """A lake of two days, written before `region` and `properties` were columns and while quantities were whole numbers."""
    lake = Lake(settings.lake_dir)
    with duck.connect(settings) as connection:
        files = [
            lake.write(connection, "events", event(name, day, without=LATER, quantity="1::INTEGER"), partition=day)
            for name, day in (("e1", DAY), ("e2", NEXT_DAY))
        ]
        item = lake.write(connection, "items", "SELECT 'shop' AS source, 'i1' AS item_id, TIMESTAMP '2026-01-01' AS updated_at")
    lake.commit({"events": [file for file in files if file], "items": [item] if item else []}, run_id="older")
    return settings


def promote_events(settings: Settings, day: date, *queries: str) -> None:
    folder = settings.staged_dir / "batch"
    folder.mkdir(parents=True)
    path = folder / f"events.{day}.0.parquet"
    with duck.connect(settings) as connection:
        connection.execute(f"COPY ({' UNION ALL BY NAME '.join(queries)}) TO '{path}'")
        connection.execute(f"COPY (SELECT 0 AS number FROM range({len(queries)})) TO '{staging.origins_of(path)}'")
    file = {"input": "events", "name": "f", "file_id": "f", "file_time": None, "n_read": len(queries), "n_ignored": 0, "n_duplicates": 0}
    promote(settings, Batch(folder, "batch", "shop", "test", (file,)), {"events": [path]}, [], run_id="new")


def test_older_files_have_no_value_in_a_new_column(older: Settings) -> None:
    assert stored(older) == [("e1", Decimal(1), None, None), ("e2", Decimal(1), None, None)]


def test_a_batch_is_merged_over_older_files(older: Settings) -> None:
    promote_events(older, DAY, event("e0", DAY), event("e1", DAY))  # e1 has another content now: the older one stays, its quantity is smaller
    assert stored(older) == [("e0", Decimal(2), "BE", None), ("e1", Decimal(1), None, None), ("e2", Decimal(1), None, None)]


def test_a_batch_staged_before_the_column_came_is_merged(older: Settings) -> None:
    promote_events(older, NEXT_DAY, event("e3", NEXT_DAY, without=LATER))
    assert stored(older)[-1] == ("e3", Decimal(2), None, None)


def test_dbt_reads_older_files_with_all_columns(older: Settings, tmp_path: Path) -> None:
    snapshot = Lake(older.lake_dir).snapshot()
    database = tmp_path / "build.duckdb"
    with duck.connect(older, database) as connection:
        warehouse.create_lake_views(connection, warehouse.Build(snapshot, [], NEXT_DAY, (NEXT_DAY,), ()))
        described = {
            table: dict(connection.execute(f"SELECT column_name, column_type FROM (DESCRIBE lake.{table})").fetchall()) for table in ("events", "items")
        }
        assert connection.execute("SELECT count(*), count(region), sum(quantity) FROM lake.events").fetchall() == [(2, 0, Decimal(2))]
    assert described == {"events": EVENTS, "items": ITEMS}
