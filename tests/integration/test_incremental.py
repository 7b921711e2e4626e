"""Nights built one on the other give what a build from nothing gives, row for row and file for file.

Twenty days of a small shop land with late rows: every night brings events of its own day and of earlier ones, devices that turn out to
belong to somebody, consents, catalogue versions, and sessions that reach over midnight.
"""

import random
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dawnlist import columns, identity, settings, warehouse
from dawnlist.duck import connect
from dawnlist.lake import DataFile, Lake
from dawnlist.settings import Sessions, Settings
from dawnlist.sources import of_site
from dawnlist.stages.base import Night
from tests.integration.test_transform import SOURCE, pseudonym

FIRST = date(2026, 3, 1)
NIGHTS = 5
PEOPLE, ITEMS = 14, 12
Rows = list[dict[str, Any]]


def visit(dice: random.Random, start: datetime, number: int) -> Rows:
    """One visit: a person with a device, or the device alone; up to six events, at most 40 minutes apart, some of them orders."""
    person = dice.randrange(PEOPLE)
    known = dice.random() < 0.4
    device = {
        "anonymous_id": pseudonym(f"device {person} {dice.randrange(2)}"),
        "device": dice.choice(["mobile", "desktop"]),
        "country": dice.choice(["NL", "DE"]),
    }
    rows, moment = [], start
    for step in range(dice.randrange(1, 7)):
        kind = dice.choice(["view", "view", "view", "click", "search", "add_to_cart", "purchase", "refund"])
        row = {
            "event_id": pseudonym(f"e{number} {step}"),
            "occurred_at": moment,
            "event_type": kind,
            **device,
            "user_id": pseudonym(f"user {person}") if known else None,
        }
        row["referrer"] = dice.choice([None, None, "mail", "search"])
        if kind != "search":
            row["item_id"] = f"item {dice.randrange(ITEMS)}"
        if kind in ("purchase", "refund"):
            row |= {"order_id": f"o{number // 3}", "quantity": dice.randrange(1, 4), "unit_price": dice.randrange(100, 900) / 100, "currency": "EUR"}
        if kind == "view":
            row |= {"dwell_seconds": dice.choice([None, 12.345]), "properties": dice.choice([None, '{"scroll_depth": 0.5}'])}
        rows.append(row)
        moment += timedelta(minutes=dice.randrange(40), seconds=dice.randrange(60), milliseconds=dice.randrange(1000))
    return rows


class Shop:
    """A lake that days land in, and the numbers of its visits."""

    def __init__(self, root: Path, *, seed: int = 7, **sections: Any) -> None:
        (root / "sources").mkdir(parents=True)
        (root / "sources" / "shop.yml").write_text(SOURCE, encoding="utf-8")
        self.home = settings.load(home=root / "home", sources_dir=root / "sources", site=settings.Site(sources=("shop",)), **sections)
        self.lake = Lake(self.home.lake_dir)
        self.dice = random.Random(seed)
        self.events: Rows = []
        self.items: Rows = []
        self.consents: Rows = []

    def land(self, day: date) -> None:
        """What arrives in the night of `day`: its own visits, some late ones, now and then a robot, a consent and a version of an item."""
        changed, dice = set(), self.dice
        for number in range(9):
            late = dice.choice([0, 0, 0, 0, 1, 2, 5]) if number > 5 else 0
            hour = 23 if number % 3 == 0 else dice.randrange(24)
            start = datetime(day.year, day.month, day.day, hour, dice.randrange(60)) - timedelta(days=late)
            rows = visit(dice, start, len(self.events))
            if dice.random() < 0.03:
                rows += [{**rows[0], "event_id": pseudonym(f"r{len(self.events)} {n}"), "event_type": "view", "item_id": "item 1"} for n in range(25)]
            self.events += rows
            changed |= {row["occurred_at"].date() for row in rows}
        moment = datetime(day.year, day.month, day.day, 12) - timedelta(days=dice.choice([0, 0, 3]))
        if dice.random() < 0.5:
            purpose = dice.choice(["personalisation", "personalisation", "analytics"])
            self.consents.append(
                {"user_id": pseudonym(f"user {dice.randrange(PEOPLE)}"), "purpose": purpose, "is_granted": dice.random() < 0.4, "changed_at": moment}
            )
        self.items.append({"item_id": f"item {dice.randrange(ITEMS)}", "updated_at": moment, "title": f"as of {day}", "category": f"c{dice.randrange(3)}"})
        self._write(changed)

    def _write(self, changed: set[date]) -> None:
        days = {file.partition: file for file in self.lake.snapshot().data_files("events")}
        days |= {str(day): self._file("events", [row for row in self.events if row["occurred_at"].date() == day], day) for day in changed}
        files = {"events": list(days.values()), **{name: [self._file(name, getattr(self, name))] for name in ("items", "consents") if getattr(self, name)}}
        self.lake.commit(files, run_id="landed")

    def _file(self, table: str, rows: Rows, day: date | None = None) -> DataFile:
        kinds = columns.LAKE_TABLES[table]
        with duckdb.connect() as connection:
            connection.execute(f"CREATE TABLE landed ({', '.join(f'{name} {kind}' for name, kind in kinds.items())})")
            full = [{"source": "shop", "event_date": day, **row} for row in rows]
            connection.executemany(f"INSERT INTO landed VALUES ({', '.join('?' * len(kinds))})", [[row.get(name) for name in kinds] for row in full])
            file = self.lake.write(connection, table, "SELECT * FROM landed ORDER BY ALL", partition=day)
        assert file is not None
        return file

    def make(self, day: date, home: Settings | None = None) -> dict[str, list[tuple[str, str]]]:
        """Build the night of `day` from the lake as it is, on what `home` (default: the shop's) has; the files of every mart: partition and hash."""
        home = home or self.home
        night = Night.open(self.home, day, run_id="night")
        tables = Lake(home.night_dir(day))
        with connect(home) as connection:
            who = identity.resolve(connection, night.lake, day, tables, home.identity, run_id="night")
        self.made = warehouse.make(home, warehouse.plan(night.lake, who.persons, tables, day, of_site(home)), tables)
        return {name: sorted((file.partition, file.sha256) for file in files) for name, files in self.made.files.items()}

    def another_home(self, root: Path) -> Settings:
        """A home that has this shop's lake and nothing else."""
        root.mkdir()
        (root / "lake").symlink_to(self.home.lake_dir)
        return self.home.with_(home=root)


@pytest.fixture
def without_data_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """The marts are compared with each other instead."""
    run_dbt = warehouse.run_dbt
    monkeypatch.setattr(warehouse, "run_dbt", lambda *given: run_dbt(*given[:3], [*given[3], "test"]))


@pytest.mark.usefixtures("without_data_tests")
def test_nights_give_what_a_build_from_nothing_gives(tmp_path: Path) -> None:
    shop = Shop(tmp_path, sessions=Sessions(midnight="local", campaign="referrer"))
    for number in range(NIGHTS):
        day = FIRST + timedelta(days=number)
        shop.land(day)
        nightly = shop.make(day)
        assert (shop.made.stale_days is None) == (number == 0), shop.made.how
        if number in (NIGHTS // 2, NIGHTS - 1):
            assert shop.make(day, shop.another_home(tmp_path / f"other {number}")) == nightly, day
            assert shop.made.stale_days is None
