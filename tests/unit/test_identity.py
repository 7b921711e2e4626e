"""Who is who: hand-drawn graphs of user ids and devices, night after night."""

from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pytest
from hypothesis import given, strategies
from hypothesis import settings as examples

from dawnlist import columns, identity
from dawnlist.duck import scan
from dawnlist.lake import Lake
from dawnlist.settings import Identity

RUN_DATE = date(2026, 3, 31)
NOON = "2026-03-31 12:00:00"


class House:
    """A lake that is filled by hand, and the persons that identity finds in it."""

    def __init__(self, root: Path) -> None:
        self.lake, self.tables = Lake(root / "lake"), Lake(root / "night")
        self.connection = duckdb.connect()

    def land(self, table: str, rows: list[dict[str, Any]], day: date | None = None) -> None:
        kinds = columns.LAKE_TABLES[table]
        self.connection.execute(f"CREATE OR REPLACE TABLE landed ({', '.join(f'{name} {kind}' for name, kind in kinds.items())})")
        for row in rows:
            self.connection.execute(f"INSERT INTO landed VALUES ({', '.join('?' * len(kinds))})", [{"source": "shop", **row}.get(name) for name in kinds])
        file = self.lake.write(self.connection, table, "FROM landed", partition=day)
        self.lake.commit({table: {*self.lake.snapshot().data_files(table), file} if file else []}, run_id="landed")

    def see(self, *pairs: tuple[str | None, str | None], at: str = NOON, **more: Any) -> None:
        """Land one event for each (user_id, anonymous_id)."""
        rows = [{"user_id": user, "anonymous_id": device, "occurred_at": at, **more} for user, device in pairs]
        self.land("events", rows, date.fromisoformat(at[:10]))

    def link(self, *pairs: tuple[str, str]) -> None:
        """Link each (id, id under the key before)."""
        if pairs:
            self.land("key_links", [{"id": new, "previous_id": old} for new, old in pairs])

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        files = self.lake.snapshot().files(table)
        return self.connection.execute(f"FROM {scan(files, columns.LAKE_TABLES[table])}").fetchall()

    def night(self, run_date: date = RUN_DATE, **rules: Any) -> list[tuple[Any, ...]]:
        """Resolve a night and keep it; the rows of its persons."""
        resolution = identity.resolve(self.connection, self.lake.snapshot(), run_date, self.tables, Identity(**rules), run_id=f"night-{run_date}")
        resolution.keep(self.lake, nights=14, run_id=f"night-{run_date}")
        if resolution.persons is None:
            return []
        rows = self.connection.execute(f"FROM '{self.tables.root / resolution.persons.path}'").fetchall()
        aliases = [row[0] for row in rows]
        assert aliases == sorted(set(aliases))
        persons = {alias: person for alias, person, _, _ in rows}
        assert all(persons[person] == person for person in persons.values()), "a key is an id of its person"
        return rows

    def persons(self, run_date: date = RUN_DATE, **rules: Any) -> dict[str, str]:
        return {alias: person for alias, person, _, _ in self.night(run_date, **rules)}


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_a_device_with_one_user_is_that_user_also_before_the_login(house: House) -> None:
    house.see((None, "phone"), at="2026-03-01 08:00:00")
    house.see(("ann", "phone"))
    assert house.persons() == {"ann": "ann", "phone": "ann"}


def test_a_shared_device_and_an_unknown_one_are_persons_of_their_own(house: House) -> None:
    house.see(("ann", "tablet"), ("bob", "tablet"), (None, "kiosk"), (None, None))
    assert house.persons() == {"ann": "ann", "bob": "bob", "kiosk": "kiosk", "tablet": "tablet"}


def test_one_user_may_have_several_devices(house: House) -> None:
    house.see(("ann", "phone"), ("ann", "laptop"), ("ann", None))
    assert house.persons() == {"ann": "ann", "laptop": "ann", "phone": "ann"}


def test_the_rule_goes_one_hop_only(house: House) -> None:
    """bob's laptop is his although the tablet that he shares with ann joins the two."""
    house.see(("ann", "tablet"), ("bob", "tablet"), ("bob", "laptop"))
    assert house.persons()["laptop"] == "bob"


def test_a_login_after_the_run_date_is_not_known_yet(house: House) -> None:
    house.see((None, "phone"), at="2026-03-31 23:59:59")
    house.see(("ann", "phone"), at="2026-04-01 00:00:00")
    assert house.persons() == {"phone": "phone"}


def test_robots_are_no_persons_and_do_not_share_devices(house: House) -> None:
    house.see(("robot", "phone"), at="2026-03-30 12:00:00", is_bot=True)
    house.see(("ann", "phone"))
    assert house.persons() == {"ann": "ann", "phone": "ann"}


def test_customers_and_consents_are_known_without_events(house: House) -> None:
    house.land("customers", [{"user_id": "carla", "updated_at": NOON}, {"user_id": "late", "updated_at": "2026-04-01"}])
    house.land("consents", [{"user_id": "dora", "purpose": "marketing", "is_granted": True, "changed_at": NOON}])
    assert house.persons() == {"carla": "carla", "dora": "dora"}


def test_an_id_that_is_a_user_and_a_device_is_the_user(house: House) -> None:
    house.see(("ann", "ann"), ("bob", "ann"))
    assert house.persons() == {"ann": "ann", "bob": "bob"}


def test_the_source_is_the_first_one(house: House) -> None:
    house.see(("ann", None), at="2026-03-30 12:00:00", source="web")
    house.see(("ann", "phone"), source="app")
    assert house.night() == [("ann", "ann", "web", False), ("phone", "ann", "app", False)]


def test_the_same_people_make_the_same_file(house: House, tmp_path: Path) -> None:
    other = House(tmp_path / "other")
    sightings = [("ann", "phone"), ("bob", "tablet"), ("ann", "tablet"), (None, "kiosk")]
    house.see(*sightings)
    other.see(*reversed(sightings))
    files = [identity.resolve(each.connection, each.lake.snapshot(), RUN_DATE, each.tables).persons for each in (house, other)]
    assert files[0] is not None
    assert files[0] == files[1]


def test_an_empty_lake_knows_nobody(house: House) -> None:
    assert identity.resolve(house.connection, house.lake.snapshot(), RUN_DATE, house.tables).persons is None


def test_ids_of_two_keys_are_one_person_under_the_old_id(house: House) -> None:
    house.see(("ann1", "phone1"), at="2026-03-01 08:00:00")
    house.see(("ann2", None), (None, "phone2"))
    house.link(("ann2", "ann1"), ("phone2", "phone1"))
    assert house.persons() == {"ann1": "ann1", "ann2": "ann1", "phone1": "ann1", "phone2": "ann1"}


def test_the_oldest_of_many_keys_wins_also_where_the_lake_never_saw_it(house: House) -> None:
    house.see(("ann3", None), ("bob2", None))
    house.link(("ann3", "ann2"), ("ann2", "ann1"), ("bob2", "bob1"))
    assert house.persons() == {"ann1": "ann1", "ann2": "ann1", "ann3": "ann1", "bob1": "bob1", "bob2": "bob1"}


def test_a_device_of_one_user_under_two_keys_is_not_shared(house: House) -> None:
    house.see(("ann1", "phone1"), at="2026-03-01 08:00:00")
    house.see(("ann2", "phone2"))
    house.link(("ann2", "ann1"), ("phone2", "phone1"))
    assert set(house.persons().values()) == {"ann1"}


def test_a_link_alone_is_nobody(house: House) -> None:
    house.link(("ann2", "ann1"))
    assert house.persons() == {}


def test_a_ring_of_keys_ends_at_the_smallest_id(house: House) -> None:
    house.see(("b", None))
    house.link(("a", "b"), ("b", "c"), ("c", "a"))
    assert house.persons() == {"a": "a", "b": "a", "c": "a"}


@examples(max_examples=10, deadline=None)
@given(order=strategies.permutations(range(5)), cut=strategies.integers(0, 5))
def test_neither_the_order_nor_the_batches_of_links_matter(order: list[int], cut: int) -> None:
    links = [("ann2", "ann1"), ("ann3", "ann2"), ("bob3", "bob2"), ("phone2", "phone1"), ("phone3", "phone2")]
    with TemporaryDirectory() as folder:
        house = House(Path(folder))
        house.see(("ann3", "phone3"), ("bob3", None), (None, "phone1"))
        house.link(*(links[number] for number in order[:cut]))
        house.link(*(links[number] for number in order[cut:]))
        people = house.persons()
    assert people == {**dict.fromkeys(("ann1", "ann2", "ann3", "phone1", "phone2", "phone3"), "ann1"), "bob2": "bob2", "bob3": "bob2"}
