"""Keys that last, and what the lake keeps of every night."""

from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from dawnlist import identity
from dawnlist.errors import MissingInputError, SettingsError
from dawnlist.identity import corrections, show
from dawnlist.settings import Settings
from tests.unit.houses import House

FIRST, SECOND, THIRD, FOURTH = (date(2026, 3, day) for day in (1, 2, 3, 4))


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def history(house: House) -> list[tuple[Any, ...]]:
    """run_date, change, previous_person_id, person_id, n_ids, n_known_ids, reasons."""
    return sorted((row[0], *row[2:8]) for row in house.rows("identity_history"))


def test_a_visitor_keeps_the_key_with_a_new_account(house: House) -> None:
    house.see((None, "phone"), at="2026-03-01 08:00:00")
    assert house.persons(FIRST) == {"phone": "phone"}
    house.see(("ann", "phone"), at="2026-03-02 08:00:00")
    assert house.night(SECOND) == [("ann", "phone", "shop", False), ("phone", "phone", "shop", False)]
    assert history(house) == []


def test_a_customer_keeps_the_key_whatever_device_comes(house: House) -> None:
    house.see((None, "old-laptop"), (None, "new-phone"), at="2026-03-01 08:00:00")
    house.see(("ann", "phone"), at="2026-03-01 20:00:00")
    house.persons(FIRST)
    house.see(("ann", "old-laptop"), at="2026-03-02 08:00:00")
    assert house.persons(SECOND) == {"ann": "ann", "old-laptop": "ann", "phone": "ann", "new-phone": "new-phone"}
    assert history(house) == [(SECOND, "merge", "old-laptop", "ann", 1, 0, ["login"])]


def test_merge_and_split_over_the_nights(house: House) -> None:
    """ann gets a new account on her phone; when the old one comes back, the two are people of their own again."""
    rules = {"succession_min_days": 1, "succession_quiet_days": 1}
    house.see(("ann", "phone"), at="2026-03-01 08:00:00")
    assert house.persons(FIRST, **rules) == {"ann": "ann", "phone": "ann"}
    house.see(("ann2", "phone"), at="2026-03-02 08:00:00")
    assert house.persons(SECOND, **rules)["ann2"] == "ann2"
    assert house.persons(THIRD, **rules) == {"ann": "ann", "ann2": "ann", "phone": "ann"}
    house.see(("ann", None), at="2026-03-04 08:00:00")
    assert house.persons(FOURTH, **rules) == {"ann": "ann", "ann2": "ann2", "phone": "phone"}
    assert history(house) == [
        (SECOND, "split", "ann", "phone", 1, 0, ["owner_share"]),
        (THIRD, "merge", "ann2", "ann", 1, 1, ["login", "succession"]),
        (THIRD, "merge", "phone", "ann", 1, 0, ["login"]),
        (FOURTH, "split", "ann", "ann2", 1, 1, ["owner_share"]),
        (FOURTH, "split", "ann", "phone", 1, 0, ["owner_share"]),
    ]


def test_a_night_again_has_the_same_bytes_and_a_backfill_changes_nothing_newer(house: House) -> None:
    house.see((None, "phone"), at="2026-03-01 08:00:00")
    house.see((None, "phone"), (None, "tablet"), at="2026-03-02 08:00:00")
    house.see(("ann", "phone"), at="2026-03-03 08:00:00")
    house.night(SECOND), house.night(THIRD)
    before = house.lake.snapshot()
    house.night(THIRD)
    assert house.lake.snapshot().data_files("persons") == before.data_files("persons")
    assert house.persons(FIRST) == {"phone": "phone"}
    newer = {file for file in house.lake.snapshot().data_files("persons") if file.partition > "2026-03-01"}
    assert newer == set(before.data_files("persons"))
    assert house.persons(THIRD) == {"ann": "phone", "phone": "phone", "tablet": "tablet"}


def test_a_key_whose_id_is_gone_is_renamed(house: House) -> None:
    house.see(("ann", "phone"), at="2026-03-01 08:00:00")
    house.night(FIRST)
    house.lake.commit({"events": []}, run_id="forgotten")
    house.see((None, "phone"), at="2026-03-02 08:00:00")
    assert house.persons(SECOND) == {"phone": "phone"}
    assert history(house) == [(SECOND, "rename", "ann", "phone", 1, 0, ["unlinked"])]


def test_only_the_days_that_changed_are_read_again(house: House) -> None:
    def n_days(run_date: date) -> int:
        return identity.resolve(house.connection, house.lake.snapshot(), run_date, house.tables).counts["n_edge_days"]

    house.see(("ann", "phone"), at="2026-03-01 08:00:00")
    house.see(("ann", "phone"), ("robot", None), at="2026-03-02 08:00:00")
    assert [n_days(SECOND), n_days(SECOND)] == [2, 0]
    house.see(("bob", "phone"), at="2026-03-01 09:00:00")
    house.see(("cleo", None), at="2026-03-03 09:00:00")
    assert [n_days(SECOND), n_days(THIRD), n_days(THIRD), n_days(FIRST)] == [1, 1, 0, 0]
    assert [row[0] for row in house.rows("identity_edges")] == [FIRST, FIRST, SECOND, SECOND, THIRD]
    assert house.persons(FIRST)["phone"] == "phone"


def test_so_many_nights_are_kept(house: House) -> None:
    house.see(("ann", "phone"), at="2026-03-01 08:00:00")
    for night in (FIRST, SECOND, THIRD):
        identity.resolve(house.connection, house.lake.snapshot(), night, house.tables).keep(house.lake, nights=2, run_id="run")
    assert [file.partition for file in house.lake.snapshot().data_files("persons")] == ["2026-03-02", "2026-03-03"]


ANN, BOB, PHONE, LAPTOP = (letter * 32 for letter in "abcd")


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)  # whose lake is the house's


def say(home: Settings, action: str, one: str, other: str, hour: int) -> None:
    corrections.record(home, action, one, other, note="a call", said_at=datetime(2026, 3, 3, hour), run_id="call")


def test_a_split_holds_until_it_is_undone(house: House, home: Settings) -> None:
    house.see((ANN, PHONE), (ANN, LAPTOP), at="2026-03-01 08:00:00")
    assert set(house.persons(FIRST).values()) == {ANN}
    say(home, corrections.SPLIT, LAPTOP, PHONE, 1)
    assert house.persons(SECOND) == {ANN: ANN, PHONE: ANN, LAPTOP: LAPTOP}
    assert house.rows("identity_cuts") == [(SECOND, "correction", LAPTOP, 1, None, None)]
    say(home, corrections.UNDO, LAPTOP, PHONE, 2)
    assert set(house.persons(THIRD).values()) == {ANN}
    assert history(house) == [(SECOND, "split", ANN, LAPTOP, 1, 0, ["correction"]), (THIRD, "merge", LAPTOP, ANN, 1, 0, ["login"])]
    assert [(row["action"], row["holds"]) for row in show.said(home)] == [("split", False), ("undo", False)]


def test_a_split_comes_before_the_question_whose_a_device_is(house: House, home: Settings) -> None:
    house.see((ANN, PHONE), at="2026-03-01 08:00:00")
    house.see((BOB, PHONE), at="2026-03-01 09:00:00")
    assert set(house.persons(FIRST, join_users="shared_device").values()) == {ANN}
    say(home, corrections.SPLIT, BOB, ANN, 1)
    assert house.persons(SECOND, join_users="shared_device") == {ANN: ANN, BOB: BOB, PHONE: PHONE}


def test_an_operator_sees_why(house: House, home: Settings) -> None:
    house.see((ANN, PHONE), (BOB, LAPTOP), at="2026-03-01 08:00:00")
    house.night(FIRST)
    say(home, corrections.SPLIT, LAPTOP, ANN, 1)
    parts = show.person(home, PHONE)
    assert parts["person"] == [{"person_id": ANN, "n_ids": 2, "is_anonymous": False, "as_of": FIRST}]
    assert [(row["id"], row["kind"], row["n_events"]) for row in parts["ids"]] == [(ANN, "user", 1), (PHONE, "device", 1)]
    assert [(row["user_id"], row["device_id"], row["n_days"]) for row in parts["logins"]] == [(ANN, PHONE, 1)]
    assert parts["cuts"] == parts["history"] == []
    assert [(row["id"], row["other_id"]) for row in parts["corrections"]] == [(LAPTOP, ANN)]


def test_what_cannot_be_said_is_refused_without_being_repeated(home: Settings) -> None:
    with pytest.raises(SettingsError, match="32 hex digits") as refused:
        say(home, corrections.SPLIT, "ann@example.com", ANN, 1)
    assert "example" not in str(refused.value)
    with pytest.raises(SettingsError, match="from itself"):
        say(home, corrections.SPLIT, ANN, ANN, 1)
    with pytest.raises(SettingsError, match="no such split"):
        say(home, corrections.UNDO, ANN, BOB, 1)
    say(home, corrections.SPLIT, ANN, BOB, 1)
    with pytest.raises(SettingsError, match="split already"):
        say(home, corrections.SPLIT, ANN, BOB, 2)
    with pytest.raises(MissingInputError, match="No night"):
        show.person(home, ANN)
