"""Whose list stands: the dormant on any day but theirs, unless something says otherwise."""

from datetime import date, timedelta
from hashlib import md5
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from dawnlist.lake import Lake
from dawnlist.rules import Rule
from dawnlist.settings import Refresh
from models import carrying, frame, merchandising
from models.inputs import MARTS as NAMES
from models.inputs import Cut, Inputs
from tests.unit.marts import Marts, at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RUN_DATE = date(2026, 3, 10)
EVERY = 4
ACTIVE, DORMANT, NEW_HERE, WITHDRAWN = (letter * 32 for letter in "abcd")
LONG_AGO = RUN_DATE - timedelta(days=40)
EVENTS = [(ACTIVE, "lamp", at(RUN_DATE)), *((who, "mug", at(LONG_AGO)) for who in (DORMANT, NEW_HERE, WITHDRAWN))]
CUT = Cut(RUN_DATE, 3, False, False, is_serving=True)
SETTINGS = Refresh(dormant_after_days=28, dormant_every_days=EVERY)


def day_of(person: str) -> int:
    """On which remainder of the days since 1970 the person's list is made: MD5 as a little-endian number of 128 bits, as DuckDB has it."""
    return int.from_bytes(md5(person.encode(), usedforsecurity=False).digest(), "little") % EVERY


@pytest.fixture
def connection() -> "Iterator[duckdb.DuckDBPyConnection]":
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def carried(
    connection: "duckdb.DuckDBPyConnection",
    folder: "Path",
    *,
    run_date: date = RUN_DATE,
    made_on: date | None = None,
    items: dict[str, dict[str, Any]] | None = None,
    rules: tuple[Rule, ...] = (),
    before_without: tuple[str, ...] = (NEW_HERE,),
    settings: Refresh = SETTINGS,
    model: str = "m1",
    expires_days: int = 7,
) -> set[str]:
    """Whose list is carried over, of four that were all made on `made_on` (the day before), each with the two items lamp and mug."""
    cut = Cut(run_date, 3, False, False, is_serving=True)
    tables = Lake(folder / "night")
    marts = Marts([run_date], EVENTS, {"lamp": {}, "mug": {}} | (items or {}), {}, [WITHDRAWN])
    snapshot = marts.write(connection, tables)
    earlier = Lake(folder / "before")
    before = Marts([run_date], EVENTS, {}, {}, before_without).write(connection, earlier)
    made = made_on or run_date - timedelta(days=1)
    rows = " UNION ALL ".join(
        f"SELECT '{who}' AS person_id, {rank}::INTEGER AS rank, '{name}' AS item_id, 1.0::DOUBLE AS score, 'own' AS source, 'm1' AS model_version, DATE '{made}' AS made_on"
        for who in (ACTIVE, DORMANT, NEW_HERE, WITHDRAWN)
        for rank, name in enumerate(("lamp", "mug"), 1)
    )
    file = earlier.write(connection, "recommendations", f"SELECT * FROM ({rows}) ORDER BY ALL")
    assert file is not None
    inputs = Inputs({name: snapshot.files(name) for name in NAMES})
    frame.create_items(connection, inputs, cut)
    merchandising.create_rules(connection, rules)
    n_persons = carrying.create_carried(
        connection, inputs, cut, ([earlier.root / file.path], before.files("dim_users")), settings, model_version=model, expires_days=expires_days
    )
    found = {who for (who,) in connection.execute("SELECT DISTINCT person_id FROM carried").fetchall()}
    assert n_persons == len(found)
    return found


def not_a_day_of(person: str) -> date:
    return next(day for day in (RUN_DATE + timedelta(days=n) for n in range(EVERY)) if (day - date(1970, 1, 1)).days % EVERY != day_of(person))


QUIET_DAY = not_a_day_of(DORMANT)


def test_the_list_of_who_is_dormant_stands_and_of_nobody_else(connection: "duckdb.DuckDBPyConnection", tmp_path: "Path") -> None:
    """Not that of who is active, who had no consent the night before, or has none now."""
    assert carried(connection, tmp_path, run_date=QUIET_DAY) == {DORMANT}
    rows = connection.execute("SELECT rank, item_id, made_on FROM carried ORDER BY rank").fetchall()
    assert rows == [(1, "lamp", QUIET_DAY - timedelta(days=1)), (2, "mug", QUIET_DAY - timedelta(days=1))]


def test_on_one_day_of_n_the_list_is_made_anew(connection: "duckdb.DuckDBPyConnection", tmp_path: "Path") -> None:
    days = [RUN_DATE + timedelta(days=n) for n in range(EVERY)]
    anew = [day for number, day in enumerate(days) if DORMANT not in carried(connection, tmp_path / str(number), run_date=day)]
    assert anew == [day for day in days if (day - date(1970, 1, 1)).days % EVERY == day_of(DORMANT)]
    assert len(anew) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"settings": Refresh(dormant_every_days=1)},
        {"settings": Refresh(dormant_every_days=EVERY, dormant_after_days=60)},
        {"model": "m2"},
        {"items": {"mug": {"is_available": False}}},
        {"items": {"lamp": {"is_blocked": True}}},
        {"rules": (Rule(id="no", action="exclude", items=("mug",)),)},
        {"made_on": QUIET_DAY - timedelta(days=EVERY)},
        {"expires_days": 2},
        {"before_without": (DORMANT,)},
    ],
    ids=["every night", "not dormant yet", "another model", "unavailable", "blocked", "a rule", "too old", "would expire", "no consent before"],
)
def test_it_is_made_anew_when(connection: "duckdb.DuckDBPyConnection", tmp_path: "Path", changes: dict[str, Any]) -> None:
    assert DORMANT not in carried(connection, tmp_path, run_date=QUIET_DAY, **changes)


def test_without_a_night_before_everybodys_list_is_made(connection: "duckdb.DuckDBPyConnection", tmp_path: "Path") -> None:
    snapshot = Marts([RUN_DATE], EVENTS).write(connection, Lake(tmp_path / "night"))
    inputs = Inputs({name: snapshot.files(name) for name in NAMES})
    frame.create_items(connection, inputs, CUT)
    merchandising.create_rules(connection, ())
    assert carrying.create_carried(connection, inputs, CUT, None, SETTINGS, model_version="m1", expires_days=7) == 0
    assert connection.execute(f"SELECT count(*) FROM {carrying.without_carried(inputs).relation('dim_users')}").fetchall() == [(4,)]
