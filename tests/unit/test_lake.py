"""Tables of immutable files behind one catalogue."""

from datetime import date
from pathlib import Path

import duckdb
import pytest

from dawnlist.errors import CorruptedError, MissingInputError, StorageError
from dawnlist.lake import DataFile, Lake, changed_days
from dawnlist.settings import Settings


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def written(lake: Lake, table: str, number: int, *, partition: date | None = None) -> DataFile:
    with duckdb.connect() as connection:
        file = lake.write(connection, table, f"SELECT {number} AS n", partition=partition)
    assert file is not None
    return file


def test_a_file_is_seen_from_the_commit_on(lake: Lake) -> None:
    file = written(lake, "events", 1)
    assert lake.snapshot().files("events") == []
    lake.commit({"events": [file]}, run_id="r1")
    assert lake.snapshot().files("events") == [lake.root / file.path]
    assert lake.snapshot().rows("events") == 1


def test_several_tables_change_in_one_step_and_others_stay(lake: Lake) -> None:
    first = lake.commit({"events": [written(lake, "events", 1)], "items": [written(lake, "items", 2)]}, run_id="r1")
    second = lake.commit({"events": [written(lake, "events", 3)]}, run_id="r2")
    assert (first.version, second.version) == (1, 2)
    assert second.tables["items"] == first.tables["items"]
    assert lake.snapshot(1).tables == first.tables


def test_the_same_rows_give_the_same_file(lake: Lake) -> None:
    assert written(lake, "events", 1) == written(lake, "events", 1)


def test_no_rows_are_no_file(lake: Lake) -> None:
    with duckdb.connect() as connection:
        assert lake.write(connection, "events", "SELECT 1 AS n WHERE false") is None
    assert not list((lake.root / "events").iterdir())


def test_partitions_are_chosen_by_day_end_exclusive(lake: Lake) -> None:
    days = [date(2026, 1, day) for day in (1, 2, 3)]
    lake.commit({"events": [written(lake, "events", day.day, partition=day) for day in days]}, run_id="r1")
    chosen = lake.snapshot().files("events", since=days[1], until=days[2])
    assert [path.parent.name for path in chosen] == ["event_date=2026-01-02"]


def test_a_changed_file_is_noticed(lake: Lake) -> None:
    file = written(lake, "events", 1)
    snapshot = lake.commit({"events": [file]}, run_id="r1")
    snapshot.verify()
    (lake.root / file.path).write_bytes(b"other")
    with pytest.raises(CorruptedError, match="differs from its manifest"):
        snapshot.verify()


def test_vacuum_keeps_recent_and_pinned_states_whole(lake: Lake) -> None:
    for number in range(1, 6):
        lake.commit({"events": [written(lake, "events", number)]}, run_id=f"r{number}")
    orphan = written(lake, "events", 99)
    assert lake.vacuum(keep=2, pinned=[1]) == 3  # the files of states 2 and 3, and the orphan
    for version in (1, 4, 5):
        lake.snapshot(version).verify()
    assert not (lake.root / orphan.path).exists()
    with pytest.raises(MissingInputError, match="no longer keeps version 2"):
        lake.snapshot(2)


def test_a_missing_table_names_the_stage_to_run(lake: Lake) -> None:
    with pytest.raises(MissingInputError, match="run `dawnlist transform`"):
        lake.snapshot().require("dim_users", stage="transform")


def test_changed_days_are_new_changed_and_vanished_ones(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    lake = Lake(settings.lake_dir)
    days = [date(2026, 1, day) for day in (1, 2, 3, 4)]
    same, gone, other = (written(lake, "events", day.day, partition=day) for day in days[:3])
    lake.commit({"events": [same, gone, other]}, run_id="r1")
    lake.commit({"events": [same, written(lake, "events", 30, partition=days[2]), written(lake, "events", 4, partition=days[3])]}, run_id="r2")
    lake.commit({"items": [written(lake, "items", 1)]}, run_id="r3")
    assert changed_days(settings, 1) == days[1:]
    assert changed_days(settings, 0) == [days[0], days[2], days[3]]
    assert changed_days(settings, 0, 1) == days[:3]
    assert changed_days(settings, 2) == []
    lake.vacuum(keep=1)
    with pytest.raises(MissingInputError, match="no longer keeps version 1"):
        changed_days(settings, 1)


def test_a_file_that_is_gone_is_not_committed(lake: Lake) -> None:
    kept = lake.commit({"events": [written(lake, "events", 1)]}, run_id="r1")
    lost = written(lake, "events", 2)
    lake.vacuum(keep=1)
    with pytest.raises(StorageError, match="was removed before it was committed"):
        lake.commit({"events": [lost]}, run_id="r2")
    assert lake.snapshot() == kept


@pytest.mark.parametrize("path", ["catalog.json", "events/_manifests/00000001.json"])
@pytest.mark.parametrize("text", [None, '{"version": '], ids=["missing", "cut"])
def test_a_damaged_catalogue_is_named(lake: Lake, path: str, text: str | None) -> None:
    lake.commit({"events": [written(lake, "events", 1)]}, run_id="r1")
    if text is None and path != "catalog.json":  # without a catalogue the lake is empty
        (lake.root / path).unlink()
    else:
        (lake.root / path).write_text(text or "")
    with pytest.raises(CorruptedError, match=path):
        lake.snapshot()


def test_vacuum_clears_away_what_killed_writers_left(lake: Lake) -> None:
    lake.commit({"events": [written(lake, "events", 1, partition=date(2026, 1, 1))]}, run_id="r1")
    left = [
        lake.root / name
        for name in ("events/event_date=2026-01-01/.a.tmp", "events/.a.tmp", ".catalog.json.a", "_catalogs/.00000002.json.a", "events/_manifests/.1.json.a")
    ]
    for path in left:
        path.write_text("half")
    lake.vacuum(keep=1)
    assert [path for path in left if path.exists()] == []
    lake.snapshot().verify()
