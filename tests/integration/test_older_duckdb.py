"""What is written for analysts and websites opens in the DuckDB releases that they have."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dawnlist.duck import OLDEST_READER, connect
from dawnlist.settings import Settings
from dawnlist.stages import publish
from dawnlist.stages.base import Interval
from tests.nights import RUN_DATE, settings_in, write

LOCKS = sorted((Path(__file__).parents[1] / "data").glob("older-duckdb-*.lock"))
COUNT = """
import duckdb, json, sys
connection = duckdb.connect(sys.argv[1], read_only=True)
names = connection.execute("SELECT schema_name, table_name FROM duckdb_tables() ORDER BY ALL").fetchall()
print(json.dumps([duckdb.__version__, {".".join(name): len(connection.execute('SELECT * FROM "{}"."{}"'.format(*name)).fetchall()) for name in names}]))
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home in which the small night is published."""
    made = settings_in(tmp_path / "home")
    write(made)
    publish.run(made, Interval.day(RUN_DATE), run_id="published")
    return made


def count(file: Path, packages: Path | None) -> tuple[str, dict[str, int]]:
    """The version of the DuckDB in `packages` (None: the project's), and how many rows it reads from each table."""
    environment = os.environ | ({"PYTHONPATH": str(packages)} if packages else {})
    done = subprocess.run([sys.executable, "-c", COUNT, str(file)], capture_output=True, text=True, check=True, env=environment)
    version, tables = json.loads(done.stdout)
    return version, tables


def test_the_files_are_written_for_the_oldest_reader(settings: Settings) -> None:
    for file in (settings.analytics_file, settings.serving_file):
        with connect(settings) as connection:
            connection.execute(f"ATTACH '{file}' AS written (READ_ONLY)")
            ((tags,),) = connection.execute("SELECT tags FROM duckdb_databases() WHERE database_name = 'written'").fetchall()
        assert tags["storage_version"].startswith(OLDEST_READER)


@pytest.mark.long
@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_an_older_duckdb_reads_every_table(settings: Settings, lock: Path, tmp_path: Path) -> None:
    subprocess.run(
        [Path(sys.executable).with_name("uv"), "pip", "install", "--quiet", "--require-hashes", "--target", str(tmp_path / "older"), "-r", str(lock)],
        check=True,
    )
    for file in (settings.analytics_file, settings.serving_file):
        version, tables = count(file, tmp_path / "older")
        assert f"older-duckdb-{version}" == lock.stem
        assert tables == count(file, None)[1]
        assert tables["serving.recommendations"] == 6
