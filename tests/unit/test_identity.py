"""Who is who: hand-drawn graphs of user ids and devices."""

from collections.abc import Iterable
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, strategies
from hypothesis import settings as examples
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from dawnlist import identity
from tests.unit.houses import NOON, RUN_DATE, House


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


def test_a_shared_device_does_not_join_its_users(house: House) -> None:
    """bob's laptop is his although the tablet that he shares with ann lies between the two."""
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


@examples(max_examples=5, deadline=None)
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


def hand_over(house: House, n_users: int) -> list[str]:
    """One person with a new account each minute: user k comes to device k - 1, then to device k, and is never seen again. Returns all ids."""
    clock = [f"2026-03-01 {minute // 60:02}:{minute % 60:02}:00" for minute in range(2 * n_users)]
    rows = [
        {"user_id": f"u{number:02}", "anonymous_id": f"d{number + step:02}", "occurred_at": clock[2 * number + step]}
        for number in range(n_users)
        for step in (0, 1)
    ]
    house.land("events", rows, date(2026, 3, 1))
    return sorted({row[key] for row in rows for key in ("user_id", "anonymous_id")})


def test_a_chain_of_thirty_accounts_is_one_person(house: House) -> None:
    ids = hand_over(house, 30)
    assert len(ids) == 61
    assert house.persons(succession_min_days=1) == dict.fromkeys(ids, "u00")
    assert len(set(house.persons(join_users="never", succession_min_days=1).values())) == 30 + 29  # of the devices the outer two have one user each


def test_a_chain_of_25_keys_is_one_id(house: House) -> None:
    house.see(("key25", None), (None, "key07"))
    house.link(*((f"key{number:02}", f"key{number - 1:02}") for number in range(1, 26)))
    assert house.persons() == {f"key{number:02}": "key00" for number in range(26)}


FOLLOWED = [("ann", "phone", "2026-02-01"), ("ann", "phone", "2026-02-02"), ("ann", "phone", "2026-02-03")]
FOLLOWS = [("ann2", "phone", "2026-02-20"), ("ann2", "phone", "2026-02-21"), ("ann2", "phone", "2026-03-30")]


def visit(house: House, visits: Iterable[tuple[str | None, str | None, str]]) -> None:
    for user, device, day in visits:
        house.see((user, device), at=f"{day} 12:00:00")


def test_a_user_id_that_follows_another_for_good_is_the_same_person(house: House) -> None:
    visit(house, FOLLOWED + FOLLOWS)
    assert house.persons() == {"ann": "ann", "ann2": "ann", "phone": "ann"}


@pytest.mark.parametrize(
    ("more", "rules"),
    [
        ([("ann", None, "2026-03-15")], {}),  # the first one came back
        ([("ann", "laptop", "2026-02-20")], {}),  # the first one lived on elsewhere
        ([("ann2", "laptop", "2026-02-10")], {}),  # the second one was there before
        ([], {"succession_gap_days": 16}),  # 17 days lie between
        ([], {"succession_quiet_days": 40}),  # 39 days and a half since
        ([], {"succession_min_days": 4}),
        ([], {"join_users": "never"}),
    ],
)
def test_each_condition_of_a_succession_keeps_two_people_apart(house: House, more: list[tuple[str, str, str]], rules: dict[str, Any]) -> None:
    visit(house, FOLLOWED + FOLLOWS + more)
    assert house.persons(**rules)["ann2"] == "ann2"


def test_a_family_stays_several_people_however_long(house: House) -> None:
    visit(house, [(user, "tablet", f"2026-0{month}-{day:02}") for month in (1, 2) for day in (5, 12) for user in ("ann", "bob", "cleo")])
    assert house.persons() == {"ann": "ann", "bob": "bob", "cleo": "cleo", "tablet": "tablet"}
    assert house.rows("identity_cuts") == [(RUN_DATE, "owner_share", "tablet", 3, 3, None)]


def test_one_login_of_a_friend_takes_no_device_from_its_owner(house: House) -> None:
    visit(house, [("ann", "laptop", f"2026-03-{day:02}") for day in range(1, 10)] + [("bob", "laptop", "2026-03-05")])
    assert house.persons()["laptop"] == "ann"  # 9 of 10 days
    assert house.persons(min_owner_share=0.91)["laptop"] == "laptop"


def test_a_kiosk_belongs_to_nobody_and_is_recorded(house: House) -> None:
    guests = [f"guest{number:02}" for number in range(11)]
    house.see(*((guest, "kiosk") for guest in guests), (None, "kiosk"), ("guest00", "phone"))
    assert house.persons(join_users="shared_device") == {**{guest: guest for guest in guests}, "kiosk": "kiosk", "phone": "guest00"}
    assert house.rows("identity_cuts") == [(RUN_DATE, "users_per_device", "kiosk", 11, 11, 10)]
    assert house.persons(join_users="shared_device", max_users_per_device=11)["kiosk"] == "guest00"


def test_a_shared_account_owns_none_of_its_devices(house: House) -> None:
    devices = [f"d{number:03}" for number in range(101)]
    house.see(*(("tester", device) for device in devices), ("ann", "d000"))
    assert house.persons() == {**{device: device for device in devices}, "tester": "tester", "ann": "ann", "d000": "ann"}
    assert house.rows("identity_cuts") == [(RUN_DATE, "devices_per_user", "tester", 101, 101, 100)]
    assert house.persons(max_devices_per_user=101)["d100"] == "tester"


def test_a_person_that_would_get_too_large_is_not_joined(house: House) -> None:
    ids = hand_over(house, 5)
    house.see(("zoe", "zoes"), ("zac", "zoes"))
    assert set(house.persons(join_users="shared_device", max_ids_per_person=11).values()) == {"u00", "zac"}
    persons = house.persons(join_users="shared_device", max_ids_per_person=10)
    assert {persons[user] for user in ids if user.startswith("u")} == {"u00", "u01", "u02", "u03", "u04"}
    assert persons["zoe"] == persons["zac"]
    assert (RUN_DATE, "ids_per_person", "u00", 4, 11, 10) in house.rows("identity_cuts")


SIGHTINGS = strategies.lists(strategies.tuples(strategies.integers(0, 11), strategies.integers(0, 11)), min_size=1, max_size=24, unique=True)


@examples(max_examples=6, deadline=None)
@given(sightings=SIGHTINGS, data=strategies.data())
def test_persons_are_the_components_whatever_the_order(sightings: list[tuple[int, int]], data: strategies.DataObject) -> None:
    """Beside scipy's components of the same graph."""
    shuffled = data.draw(strategies.permutations(sightings))
    results = []
    for order in (sightings, shuffled):
        with TemporaryDirectory() as folder:
            house = House(Path(folder))
            house.see(*((f"u{user}", f"d{device}") for user, device in order))
            results.append(house.persons(join_users="shared_device"))
    assert results[0] == results[1]
    users, devices = zip(*sightings, strict=True)
    _, labels = connected_components(coo_array(([1] * len(users), (users, [12 + device for device in devices])), shape=(24, 24)), directed=False)
    for one, person in results[0].items():
        for other, other_person in results[0].items():
            number, other_number = (int(name[1:]) + (12 if name[0] == "d" else 0) for name in (one, other))
            assert (person == other_person) == (labels[number] == labels[other_number])
