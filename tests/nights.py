"""A small night, written by hand: three people, six items, of which `blocked` and `gone` may not be shown."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from dawnlist.duck import connect, literal
from dawnlist.lake import Lake
from dawnlist.settings import Settings
from dawnlist.stages.base import Night

RUN_DATE = date(2026, 11, 20)
ANN, BOB, EVE = "a" * 32, "b" * 32, "e" * 32
ANNS_PHONE = "0" * 32  # a second id of Ann
ITEMS = {"lamp": "Lamp", "mug": "Mug", "pen": "Pen", "rug": "Rug"}
LISTS = {ANN: ["lamp", "mug", "pen"], BOB: ["pen", "lamp"], EVE: ["mug"]}

Row = Sequence[Any]


def tables(lists: Mapping[str, Sequence[str]] = LISTS) -> dict[str, tuple[str, list[Row]]]:
    """Table -> its columns with types, and its rows. The score is 1 / rank."""
    shown = [
        (person, rank, item, 1 / rank, "als", f"because of {item}", None, None, "model-1")
        for person, items in sorted(lists.items())
        for rank, item in enumerate(items, 1)
    ]
    return {
        "persons": ("alias_id VARCHAR, person_id VARCHAR", [(ANNS_PHONE, ANN), (ANN, ANN), (BOB, BOB)]),
        "dim_users": (
            "person_id VARCHAR, source VARCHAR, has_personalisation_consent BOOLEAN",
            [(ANN, "store", True), (BOB, "store", True), (EVE, "store", False)],
        ),
        "user_segments": ("person_id VARCHAR, segment INTEGER, segment_label VARCHAR, distance DOUBLE", [(ANN, 0, "loyal", 0.1), (BOB, 1, "new", 0.2)]),
        "dim_user_segments": (
            "person_id VARCHAR, kind VARCHAR, segment VARCHAR, segment_label VARCHAR, valid_from DATE, valid_to DATE, is_current BOOLEAN",
            [
                (ANN, "cluster", "0", "loyal", str(RUN_DATE), None, True),
                (ANN, "tag", "night owl", "night owl", str(RUN_DATE), None, True),
                (ANN, "tag", "gift giver", "gift giver", str(RUN_DATE), None, True),
                (ANN, "tag", "old", "old", "2026-10-01", str(RUN_DATE), False),
                (BOB, "cluster", "0", "loyal", "2026-11-01", str(RUN_DATE), False),
                (BOB, "cluster", "1", "new", str(RUN_DATE), None, True),
                (BOB, "segment", "vip", "vip", str(RUN_DATE), None, True),
            ],
        ),
        "dim_items": (
            "item_id VARCHAR, source VARCHAR, title VARCHAR, is_available BOOLEAN, is_blocked BOOLEAN",
            sorted(
                [(item, "store", title, True, False) for item, title in ITEMS.items()]
                + [("blocked", "store", "Blocked", True, True), ("gone", "store", None, False, False)]
            ),
        ),
        "recommendations": (
            "person_id VARCHAR, rank INTEGER, item_id VARCHAR, score DOUBLE, source VARCHAR, reason VARCHAR, variant VARCHAR, propensity DOUBLE, model_version VARCHAR",
            shown,
        ),
        "similar_items": (
            "item_id VARCHAR, rank INTEGER, similar_item_id VARCHAR, score DOUBLE, source VARCHAR",
            [
                ("blocked", 1, "lamp", 0.9, "item_to_item"),
                ("lamp", 1, "gone", 0.9, "item_to_item"),
                ("lamp", 2, "mug", 0.8, "item_to_item"),
                ("lamp", 3, "blocked", 0.7, "item_to_item"),
                ("lamp", 4, "pen", 0.6, "item_to_item"),
                ("mug", 1, "lamp", 0.8, "item_to_item"),
            ],
        ),
        "popular_items": (
            "scope VARCHAR, scope_value VARCHAR, rank INTEGER, item_id VARCHAR, score DOUBLE, source VARCHAR",
            [("country", "DE", 1, "pen", 5.0, "popular_1d"), ("global", "", 1, "gone", 9.0, "popular_1d"), ("global", "", 2, "mug", 7.0, "popular_1d")],
        ),
    }


def write(settings: Settings, run_date: date = RUN_DATE, *, lists: Mapping[str, Sequence[str]] = LISTS, **changed: list[Row]) -> Night:
    """Open the night of `run_date` and write its tables; `changed` has other rows for some of them."""
    if not Lake(settings.lake_dir).snapshot().version:
        Lake(settings.lake_dir).commit({}, run_id="load")
    night = Night.open(settings, run_date, run_id=f"night-{run_date}")
    files = {}
    with connect(settings) as connection:
        for table, (columns, rows) in tables(lists).items():
            connection.execute(f"CREATE TABLE {table} ({columns})")
            values = ", ".join(f"({', '.join(_sql(value) for value in row)})" for row in changed.get(table, rows))
            if values:
                connection.execute(f"INSERT INTO {table} VALUES {values}")
            file = night.tables.write(connection, table, f"SELECT * FROM {table} ORDER BY ALL", partition=run_date if table == "similar_items" else None)
            files[table] = [file] if file else []
        # What training wrote for an earlier cut is not for publication.
        earlier = "SELECT 'pen' AS item_id, 1 AS rank, 'rug' AS similar_item_id, 0.5::DOUBLE AS score, 'item_to_item' AS source"
        old = night.tables.write(connection, "similar_items", earlier, partition=date(2026, 10, 1))
        files["similar_items"] += [old] if old else []
    night.tables.commit(files, run_id=night.run_id)
    return night


def settings_in(home: Path, **sections: Any) -> Settings:
    """Settings of a site that lives in `home`."""
    return Settings(home=home, **sections)


def _sql(value: Any) -> str:
    return "NULL" if value is None else literal(value) if isinstance(value, str) else str(value)
