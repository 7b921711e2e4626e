"""Tables of immutable files behind one catalogue."""

from datetime import date
from pathlib import Path

import duckdb
import pytest

from dawnlist.errors import CorruptedError, MissingInputError
from dawnlist.lake import DataFile, Lake


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
