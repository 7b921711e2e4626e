"""What DuckDB leaves on the disk, and what it says when it cannot write there."""

import os
import time
from pathlib import Path

import duckdb
import pytest

from dawnlist import duck
from dawnlist.errors import StorageError
from dawnlist.settings import Settings, load


def test_what_killed_processes_have_spilled_is_cleared_away_after_a_day(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    folder = settings.scratch_dir / "duckdb"
    duck.clear_spill(settings)
    folder.mkdir(parents=True)
    for name, hours in (("duckdb_temp_1_0_storage_DEFAULT-0.tmp", 25), ("duckdb_temp_2_0_storage_DEFAULT-0.tmp", 23), ("mine", 25)):
        (folder / name).write_text("rows")
        os.utime(folder / name, (time.time() - hours * 3600,) * 2)
    duck.clear_spill(settings)
    assert sorted(path.name for path in folder.iterdir()) == ["duckdb_temp_2_0_storage_DEFAULT-0.tmp", "mine"]


@pytest.mark.parametrize("error", [duckdb.IOException, duckdb.TransactionException, duckdb.FatalException])
def test_a_write_that_does_not_fit_is_a_storage_error(tmp_path: Path, error: type[duckdb.Error]) -> None:
    with pytest.raises(StorageError, match="No space left on device"), duck.writing(tmp_path):
        raise error('Failed to commit: Could not write file "x.wal": No space left on device')


def test_another_failed_transaction_is_none(tmp_path: Path) -> None:
    with pytest.raises(duckdb.TransactionException), duck.writing(tmp_path):
        raise duckdb.TransactionException("Transaction conflict")


def test_what_spills_can_not_be_read(tmp_path: Path) -> None:
    settings = load(home=tmp_path)
    with duck.connect(settings) as connection:
        duck.encrypt_spill(connection)
        connection.execute("SET memory_limit = '60MB'")
        connection.execute("CREATE TABLE ids AS SELECT 'anna-' || n AS id FROM range(1_500_000) AS numbers (n)")
        connection.execute("CREATE TABLE sorted AS FROM ids ORDER BY hash(id)")
        spilled = b"".join(path.read_bytes() for path in (settings.scratch_dir / "duckdb").iterdir())
    assert len(spilled) > 1_000_000
    assert b"anna-" not in spilled


def test_ctrl_c_during_a_query_is_a_keyboard_interrupt(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), duck.connect(Settings(home=tmp_path)):
        raise RuntimeError("Query interrupted")  # as DuckDB says it, in a main thread and at moments of its own
    with pytest.raises(RuntimeError, match="another"), duck.connect(Settings(home=tmp_path)):
        raise RuntimeError("another")
