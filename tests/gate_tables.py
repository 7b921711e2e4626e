"""Small tables for the tests of the gate: one good row of each, and a writer of Parquet files."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb

from dawnlist.columns import CONSENTS, CUSTOMERS, EVENTS, ITEMS

ANNA, BERTA, CARLA = "a" * 32, "b" * 32, "c" * 32
NOON = datetime(2026, 3, 10, 12)
MIDNIGHT = datetime(2026, 3, 11)

EVENT: dict[str, Any] = {
    "source": "store",
    "event_id": "1" * 32,
    "event_type": "purchase",
    "occurred_at": NOON,
    "event_date": NOON.date(),
    "user_id": ANNA,
    "key_id": "k1",
    "item_id": "lamp",
    "quantity": 2,
    "unit_price": 9.5,
    "dwell_seconds": 1.0,
    "is_bot": False,
}
ITEM: dict[str, Any] = {"source": "store", "item_id": "lamp", "updated_at": NOON, "title": "A lamp", "category": "light", "price": 9.5}
CUSTOMER: dict[str, Any] = {"source": "store", "user_id": ANNA, "key_id": "k1", "updated_at": NOON, "registered_at": NOON, "birth_year": 1980}
CONSENT: dict[str, Any] = {"source": "store", "user_id": ANNA, "key_id": "k1", "purpose": "personalisation", "is_granted": True, "changed_at": NOON}
STAGED = {"events": (EVENT, EVENTS), "items": (ITEM, ITEMS), "customers": (CUSTOMER, CUSTOMERS), "consents": (CONSENT, CONSENTS)}


def write(path: Path, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> Path:
    """`rows` as a Parquet file of these columns (column -> DuckDB type); a column that a row lacks is NULL."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE rows ({', '.join(f'{name} {kind}' for name, kind in columns.items())})")
        for row in rows:
            connection.execute(f"INSERT INTO rows VALUES ({', '.join('?' for _ in columns)})", [row.get(name) for name in columns])
        connection.execute(f"COPY rows TO '{path}' (FORMAT parquet)")
    return path


def batch(path: Path, kind: str, *changes: Mapping[str, Any]) -> Path:
    """A staged batch: the good row of `kind` once per change, with the change in it, and the column that only staged files have."""
    good, columns = STAGED[kind]
    return write(path / f"{kind}.parquet", [good | {"file_id": "f"} | change for change in changes], {**columns, "file_id": "VARCHAR"})


def infer(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """`rows` as a Parquet file; the first row says the types."""
    kinds: dict[type, str] = {str: "VARCHAR", int: "BIGINT", float: "DOUBLE", bool: "BOOLEAN", datetime: "TIMESTAMP", date: "DATE"}
    return write(path, rows, {name: kinds[type(value)] for name, value in rows[0].items()})
