"""Nights built one on the other give what a build from nothing gives, row for row and file for file.

Twenty days of a small shop land with late rows: every night brings events of its own day and of earlier ones, devices that turn out to
belong to somebody, consents, catalogue versions, and sessions that reach over midnight.
"""

import random
from collections.abc import Collection
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dawnlist import columns, identity, mart_files, settings, warehouse
from dawnlist.duck import connect
from dawnlist.lake import DataFile, Lake
from dawnlist.settings import Sessions, Settings
from dawnlist.sources import of_site
from dawnlist.stages.base import Night
from tests.integration.test_transform import SOURCE, pseudonym

pytestmark = pytest.mark.usefixtures("one_dbt_parse")

FIRST = date(2026, 3, 1)
NIGHTS, ALL_NIGHTS = 6, 20
PEOPLE, ITEMS = 14, 12
Rows = list[dict[str, Any]]


def visit(dice: random.Random, start: datetime, number: int, *, may_log_in: bool = True) -> Rows:
    """One visit: a person with a device, or the device alone; up to six events, at most 40 minutes apart, some of them orders."""
    person = dice.randrange(PEOPLE)
    known = dice.random() < 0.4 and may_log_in
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
        row |= {"search_term": dice.choice(["lamp", "red rug"])} if kind == "search" else {"item_id": f"item {dice.randrange(ITEMS)}"}
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

    def land(self, day: date, *, latest: bool = False) -> None:
        """What arrives in the night of `day`: its own visits, some late ones, now and then a robot, a consent and a version of an item.

        `latest`: only what is of the day itself, and nothing that holds back in time (who is who, consent, machines).
        """
        changed, dice = set(), self.dice
        for number in range(9):
            late = dice.choice([0, 0, 0, 0, 1, 2, 5]) if number > 5 and not latest else 0
            hour = 12 if latest else 23 if number % 3 == 0 else dice.randrange(24)
            start = datetime(day.year, day.month, day.day, hour, dice.randrange(60)) - timedelta(days=late)
            rows = visit(dice, start, len(self.events), may_log_in=not latest)
            if dice.random() < 0.03 and not latest:
                rows += [{**rows[0], "event_id": pseudonym(f"r{len(self.events)} {n}"), "event_type": "view", "item_id": "item 1"} for n in range(25)]
            self.events += rows
            changed |= {row["occurred_at"].date() for row in rows}
        moment = datetime(day.year, day.month, day.day, 12) - timedelta(days=0 if latest else dice.choice([0, 0, 3]))
        if dice.random() < 0.5 and not latest:
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

    def rows(self, mart: str, where: str) -> list[tuple[Any, ...]]:
        """Rows of the mart as last built."""
        with connect(self.home, self.home.warehouse_file) as connection:
            return connection.execute(f"SELECT * FROM {mart_files.MARTS_SCHEMA}.{mart} WHERE {where} ORDER BY ALL").fetchall()


@pytest.fixture(autouse=True)
def without_data_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """The marts are compared with each other instead."""
    run_dbt = warehouse.run_dbt
    monkeypatch.setattr(warehouse, "run_dbt", lambda *given: run_dbt(*given[:3], [*given[3], "test"]))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A shop of which NIGHTS days have landed; no night was built yet."""
    shop = Shop(tmp_path_factory.mktemp("shop"), sessions=Sessions(midnight="local", campaign="referrer"))
    for number in range(NIGHTS):
        shop.land(FIRST + timedelta(days=number))
    return shop


def check_nights(shop: Shop, n_nights: int, others: Path, *, compared: Collection[int]) -> None:
    """Land and build `n_nights` nights, one on the other; those of the numbers `compared` are built from nothing as well, and must be the same."""
    for number in range(n_nights):
        day = FIRST + timedelta(days=number)
        shop.land(day)
        nightly = shop.make(day)
        assert (shop.made.stale_days is None) == (number == 0), shop.made.how
        if number in compared:
            assert shop.make(day, shop.another_home(others / f"{number}")) == nightly, day
            assert shop.made.stale_days is None


def test_nights_give_what_a_build_from_nothing_gives(tmp_path: Path) -> None:
    check_nights(Shop(tmp_path, seed=11), NIGHTS, tmp_path, compared={NIGHTS - 1})


@pytest.mark.long
@pytest.mark.timeout(1_800)
def test_twenty_nights_give_what_builds_from_nothing_give(tmp_path: Path) -> None:
    rules = Sessions(midnight="local", campaign="referrer")
    check_nights(Shop(tmp_path, sessions=rules), ALL_NIGHTS, tmp_path, compared=set(range(4, ALL_NIGHTS, 5)))


@pytest.mark.long
@pytest.mark.timeout(1_800)
def test_the_order_of_nights_does_not_matter(shop: Shop, tmp_path: Path) -> None:
    days = [FIRST + timedelta(days=number) for number in range(NIGHTS)]
    one, other = shop.another_home(tmp_path / "in order"), shop.another_home(tmp_path / "shuffled")
    in_order = {day: shop.make(day, one) for day in days}
    random.Random(3).shuffle(days)
    assert {day: shop.make(day, other) for day in days} == in_order


def test_a_killed_build_is_followed_by_one_from_nothing(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    day, home = FIRST + timedelta(days=NIGHTS - 1), shop.another_home(tmp_path / "killed")
    whole = shop.make(day - timedelta(days=1), home)
    run_dbt = warehouse.run_dbt

    def killed(*given: Any) -> None:
        run_dbt(*given[:3], ["build", "--select", "+int_events__sessionised", "--exclude-resource-type", "unit_test"])
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(warehouse, "run_dbt", killed)
        with pytest.raises(KeyboardInterrupt):
            shop.make(day, home)
    assert shop.make(day - timedelta(days=1), home) == whole
    assert shop.made.how == "built from nothing: there was no complete build before"


def test_nothing_after_a_feature_date_moves_a_feature(shop: Shop) -> None:
    """Feature tables have rows of the run date and of two cuts before it. Events, catalogue rows and consents after a cut leave its rows alone."""
    run_date = FIRST + timedelta(days=NIGHTS + 6)
    cut = run_date - timedelta(days=7)
    shop.make(run_date)
    features = [mart for mart in warehouse.MARTS if mart.startswith("feat_")]
    before = {mart: shop.rows(mart, f"feature_date <= DATE '{cut}'") for mart in features}
    assert [mart for mart in features if not before[mart]] == []
    newest = {mart: shop.rows(mart, f"feature_date = DATE '{run_date}'") for mart in features}
    for number in range(1, 7):
        shop.land(cut + timedelta(days=number), latest=True)
    shop.make(run_date)
    assert {mart: shop.rows(mart, f"feature_date <= DATE '{cut}'") for mart in features} == before
    moved = {mart for mart in features if shop.rows(mart, f"feature_date = DATE '{run_date}'") != newest[mart]}
    assert moved >= {"feat_user_activity", "feat_user_tastes", "feat_item_popularity", "feat_popular_items"}
