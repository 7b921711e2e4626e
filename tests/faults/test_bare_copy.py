"""The harness can fail: DuckDB's bare COPY with OVERWRITE, given the same data, is caught losing it."""

from dataclasses import dataclass
from pathlib import Path

import duckdb

from dawnlist.duck import literal, path_list
from dawnlist.lake import Lake
from tests.faults import harness
from tests.faults.harness import completed
from tests.faults.site import Site, content, settings_of

TRIES = 40


@dataclass(frozen=True)
class Copy:
    """Write the events of the lake `source` to `home`, one folder a day, over what is there."""

    source: Path

    def __call__(self, home: Path) -> object:
        files = Lake(self.source).snapshot().files("events")
        rows = f"SELECT * FROM read_parquet({path_list(files)}, hive_partitioning = false), range(50) AS copies (number)"  # or it is over too soon
        with duckdb.connect() as connection:
            return connection.execute(f"COPY ({rows}) TO {literal(str(home / 'events'))} (FORMAT parquet, PARTITION_BY (event_date), OVERWRITE)")


def rows_of(home: Path) -> tuple[int, int]:
    with duckdb.connect() as connection:
        return content(connection, f"read_parquet({literal(str(home / 'events' / '**' / '*.parquet'))})")


def test_a_bare_copy_that_is_killed_is_caught_corrupting_data(site: Site, tmp_path: Path) -> None:
    old, new = (Copy(settings_of(site.before[moment]).lake_dir) for moment in ("validate", "night"))
    for name, copy in (("old", old), ("new", new)):
        (tmp_path / name).mkdir()
        completed(copy, tmp_path / name)
    states = [rows_of(tmp_path / "old"), rows_of(tmp_path / "new")]
    assert states[0] != states[1]

    def check(home: Path) -> None:
        assert rows_of(home) in states, "neither the old rows nor the new ones"

    def check_done(home: Path) -> None:
        assert rows_of(home) == states[1]

    found: list[str] = []
    for seed in range(TRIES):
        found += harness.kill(new, tmp_path / "old", tmp_path, n_operations=0, n_moments=1, seed=seed, after_kill=check, after_rerun=check_done).found
        if found:
            return
    raise AssertionError(f"{TRIES} kills of a bare COPY, and nothing was found")
