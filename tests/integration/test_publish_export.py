"""Publish and export as the night runs them: both stages, the analysts' snapshot, kills at any moment, missing rights."""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from shutil import rmtree
from typing import Any

import duckdb
import pytest

from dawnlist import export
from dawnlist.duck import connect
from dawnlist.errors import MissingInputError, StorageError
from dawnlist.lake import Lake
from dawnlist.serving import open_store
from dawnlist.settings import PROJECT, Settings
from dawnlist.stages import export as export_stage
from dawnlist.stages import publish
from dawnlist.stages.base import Interval, StageResult
from tests import nights
from tests.nights import ANN, RUN_DATE

NEXT_DATE = date(2026, 11, 21)
MORNING = datetime(2026, 11, 21, 5, 0)
NOBODY = 65534
# Runs a stage in a process of its own. Says when the stage begins, and kills itself before or after the nth file that is moved.
CHILD = """
import importlib, os, signal, sys
from datetime import date, datetime
from pathlib import Path
from dawnlist.settings import Settings
from dawnlist.stages.base import Interval

stage, home, day, moment, number, user = sys.argv[1:]
module = importlib.import_module(f"dawnlist.stages.{stage}")
import duckdb
moved = 0

def deadly(move):
    def call(*arguments):
        global moved
        moved += 1
        if moved == int(number) and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = move(*arguments)
        if moved == int(number) and moment == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return call

Path.replace, Path.rename = deadly(Path.replace), deadly(Path.rename)
if user != "0":
    os.setgroups([])
    os.setgid(int(user))
    os.setuid(int(user))
print("begins", flush=True)
try:
    module.run(Settings(home=Path(home)), Interval.day(date.fromisoformat(day)), run_id="run-2")
except Exception as error:
    print(type(error).__name__, error, flush=True)
    sys.exit(getattr(error, "exit_code", 1))
print("ended", flush=True)
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return nights.settings_in(tmp_path / "site")


def run_night(settings: Settings, run_date: date = RUN_DATE, *, run_id: str = "run-1", **changes: Any) -> tuple[StageResult, StageResult]:
    nights.write(settings, run_date, **changes)
    interval = Interval.day(run_date)
    published = publish.run(settings, interval, run_id=run_id, published_at=MORNING)
    published.save(settings)
    return published, export_stage.run(settings, interval, run_id=run_id, created_at=MORNING)


def child(settings: Settings, stage: str, *, day: date = NEXT_DATE, moment: str = "never", number: int = 0, user: int = 0) -> "subprocess.Popen[str]":
    arguments = [sys.executable, "-c", CHILD, stage, str(settings.home), str(day), moment, str(number), str(user)]
    return subprocess.Popen(arguments, cwd=PROJECT, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"})


def finish(process: "subprocess.Popen[str]") -> tuple[int, str]:
    output, _ = process.communicate(timeout=60)
    return process.returncode, output


def state_of_serving(settings: Settings) -> tuple[str, list[Any]]:
    """The run of the publication, and its lists; every row must be of that run."""
    with connect(settings) as connection, open_store(settings).published(connection) as publication:
        for table in ("recommendations", "similar_items", "popular_items"):
            assert connection.execute(f"SELECT DISTINCT run_id FROM published.serving.{table}").fetchall() == [(publication.run_id,)]
        lists = connection.execute("SELECT user_id, rank, item_id FROM published.serving.recommendations ORDER BY ALL").fetchall()
    return publication.run_id, lists


def test_publish_and_export_of_a_good_night(settings: Settings) -> None:
    published, exported = run_night(settings)
    assert (published.stage, published.rows_in, published.rows_out) == ("publish", 6, 20)
    assert published.counts == {"recommendations": 6, "similar_items": 3, "popular_items": 2, "user_segments": 5, "user_aliases": 4, "n_users": 3}
    assert published.paths == [str(settings.serving_file), str(settings.analytics_file)]
    assert exported.paths == [str(settings.exports_dir / "000001")]
    assert (settings.exports_dir / "latest").resolve() == settings.exports_dir / "000001"
    export.verify(settings.exports_dir / "latest")


def test_the_analysts_find_marts_lists_and_records_in_one_file(settings: Settings) -> None:
    run_night(settings)
    with connect(settings) as connection:
        rows = "SELECT 'run-1' AS run_id, TIMESTAMP '2026-11-21' AS checked_for, 'events' AS suite, 'store' AS source, 'x' AS expectation, 'y' AS column_name, "
        rows += "'critical' AS severity, true AS is_success, '0' AS observed, 0::BIGINT AS n_unexpected, 5::BIGINT AS n_checked"
        lake = Lake(settings.lake_dir)
        lake.append("gate_results", lake.write(connection, "gate_results", rows), run_id="run-1")
    publish.run(settings, Interval.day(RUN_DATE), run_id="run-2", published_at=MORNING)
    with duckdb.connect(str(settings.analytics_file), read_only=True) as connection:
        tables = dict(connection.execute("SELECT schema_name || '.' || table_name, estimated_size FROM duckdb_tables()").fetchall())
        assert tables == {
            "marts.dim_items": 6,
            "marts.dim_user_segments": 7,
            "marts.dim_users": 3,
            "marts.user_segments": 2,
            "operations.gate_results": 1,
            "operations.ledger": 0,
            "operations.quarantine": 0,
            "operations.source_scores": 0,
            "operations.identity_history": 0,
            "operations.identity_cuts": 0,
            "operations.identity_corrections": 0,
            "operations.stage_runs": 1,
            "serving.popular_items": 2,
            "serving.publications": 2,
            "serving.recommendations": 6,
            "serving.similar_items": 3,
            "serving.user_aliases": 4,
            "serving.user_segments": 5,
        }
        stage_runs = connection.execute("SELECT stage, interval, rows_out, counts->>'$.n_users' FROM operations.stage_runs").fetchall()
        assert stage_runs == [("publish", "2026-11-20", 20, "3")]
        assert connection.execute("SELECT count(*) FROM duckdb_tables() WHERE comment IS NULL OR comment NOT LIKE '% Night of 2026-11-20.'").fetchall() == [
            (0,)
        ]
        with pytest.raises(duckdb.InvalidInputException):
            connection.execute("CREATE TABLE marts.mine (a INTEGER)")
    assert settings.analytics_file.stat().st_mode & 0o777 == 0o444


def test_the_analysts_get_the_dbt_descriptions_as_comments(settings: Settings) -> None:
    run_night(settings)
    with duckdb.connect(str(settings.analytics_file), read_only=True) as connection:
        tables = dict(connection.execute("SELECT table_name, comment FROM duckdb_tables() WHERE schema_name = 'marts'").fetchall())
        columns = dict(connection.execute("SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'dim_items'").fetchall())
    assert "item_id" in tables["dim_items"]  # its grain
    assert columns["title"]


def test_a_night_that_was_not_opened_cannot_be_published(settings: Settings) -> None:
    with pytest.raises(MissingInputError, match="dawnlist open --run-date 2026-11-20"):
        publish.run(settings, Interval.day(RUN_DATE), run_id="run-1")


def test_a_night_without_lists_cannot_be_published(settings: Settings) -> None:
    night = nights.write(settings)
    night.tables.commit({}, run_id="x")
    manifest = json.loads((settings.night_dir(RUN_DATE) / "catalog.json").read_text())
    del manifest["tables"]["recommendations"]
    (settings.night_dir(RUN_DATE) / "catalog.json").write_text(json.dumps(manifest))
    with pytest.raises(MissingInputError, match="dawnlist recommend"):
        publish.run(settings, Interval.day(RUN_DATE), run_id="run-1")
    assert not settings.serving_file.exists()


def test_the_content_of_the_documents_does_not_depend_on_the_threads(settings: Settings) -> None:
    from dawnlist.settings import DuckDB

    _, first = run_night(settings.with_(duckdb=DuckDB(threads=1)))
    _, second = run_night(settings.with_(duckdb=DuckDB(threads=4)))
    assert (first.metrics["sequence"], second.metrics) == (1, {"sequence": 1, "is_new": False})


def prepare_kill(settings: Settings) -> tuple[tuple[str, list[Any]], tuple[str, list[Any]]]:
    """Publish and export one night, and make the next one ready. The states of serving before and after its publication."""
    run_night(settings, lists={ANN: ["lamp", "mug"]})
    nights.write(settings, NEXT_DATE, lists={ANN: ["rug"]})
    return ("run-1", [(ANN, 1, "lamp"), (ANN, 2, "mug")]), ("run-2", [(ANN, 1, "rug")])


def check_recovery(settings: Settings, after: tuple[str, list[Any]]) -> None:
    """The same stages again make the new state, and clear away what the kill left."""
    for stage in (publish, export_stage):
        stage.run(settings, Interval.day(NEXT_DATE), run_id="run-2")
    assert state_of_serving(settings) == after
    export.verify(settings.exports_dir / "latest")
    users = (settings.exports_dir / "latest" / "users-00001.jsonl").read_text().splitlines()
    assert [entry["item_id"] for line in users for entry in json.loads(line)["recommendations"]] == ["rug"]
    assert not [path for path in settings.home.rglob(".*") if path.suffix not in (".lock", "")]
    with duckdb.connect(str(settings.analytics_file), read_only=True) as connection:
        assert connection.execute("SELECT item_id FROM serving.recommendations").fetchall() == [("rug",)]


# Record and folder of the archive, the serving file, the snapshot.
@pytest.mark.parametrize(
    ("number", "moment", "is_published"),
    [
        (1, "before", False),
        (1, "after", False),
        (2, "before", False),
        (2, "after", False),
        (3, "before", False),
        (3, "after", True),
        (4, "before", True),
        (4, "after", True),
    ],
)
def test_a_kill_around_the_swaps_of_publish_leaves_the_old_lists_or_the_new_ones(settings: Settings, number: int, moment: str, is_published: bool) -> None:
    before, after = prepare_kill(settings)
    code, output = finish(child(settings, "publish", moment=moment, number=number))
    assert (code, output) == (-signal.SIGKILL, "begins\n")
    assert state_of_serving(settings) == (after if is_published else before)
    check_recovery(settings, after)


@pytest.mark.parametrize(
    ("number", "moment", "newest"),
    [*((number, moment, "000001") for number in (1, 2, 3) for moment in ("before", "after")), (4, "before", "000001"), (4, "after", "000002")],
)
def test_a_kill_around_the_swaps_of_export_leaves_the_old_bundle_or_the_new_one(settings: Settings, number: int, moment: str, newest: str) -> None:
    _, after = prepare_kill(settings)
    publish.run(settings, Interval.day(NEXT_DATE), run_id="run-2", published_at=MORNING)
    code, output = finish(child(settings, "export", moment=moment, number=number))
    assert (code, output) == (-signal.SIGKILL, "begins\n")
    assert (settings.exports_dir / "latest").resolve().name == newest
    export.verify(settings.exports_dir / "latest")
    check_recovery(settings, after)
    assert (settings.exports_dir / "latest").resolve().name == "000002"


@pytest.mark.parametrize("stage", ["publish", "export"])
def test_a_kill_at_any_moment_leaves_one_whole_state(settings: Settings, stage: str) -> None:
    before, after = prepare_kill(settings)
    if stage == "export":
        publish.run(settings, Interval.day(NEXT_DATE), run_id="run-2", published_at=MORNING)
    moments = random.Random(20_261_121)
    for _ in range(3):
        process = child(settings, stage)
        assert process.stdout
        assert process.stdout.readline() == "begins\n"
        time.sleep(moments.uniform(0.0, 0.4))  # the stage takes about as long
        process.kill()
        process.communicate(timeout=60)
        assert state_of_serving(settings) in (before, after)
        export.verify(settings.exports_dir / "latest")
    check_recovery(settings, after)


@pytest.fixture
def open_home() -> Iterator[Path]:
    """A home that another user can reach, too: pytest's own folders are closed to others."""
    home = Path(tempfile.mkdtemp(prefix="dawnlist-"))
    home.chmod(0o755)
    yield home
    for folder in home.rglob("*"):
        if folder.is_dir():
            folder.chmod(0o755)
    rmtree(home)


@pytest.mark.parametrize(("stage", "folder"), [("publish", "serving"), ("publish", "analytics"), ("export", "exports/cms")])
def test_without_the_right_to_write_nothing_changes_and_the_folder_is_named(open_home: Path, stage: str, folder: str) -> None:
    settings = nights.settings_in(open_home)
    before, after = prepare_kill(settings)
    if stage == "export":
        publish.run(settings, Interval.day(NEXT_DATE), run_id="run-2", published_at=MORNING)
    for path in (*open_home.rglob("*"), open_home):  # everything may be written but that folder
        if not path.is_symlink():
            path.chmod(0o777 if path.is_dir() else 0o666)
    (open_home / folder).chmod(0o555)
    code, output = finish(child(settings, stage, user=NOBODY if os.getuid() == 0 else 0))
    assert code == StorageError.exit_code, output
    assert output.startswith("begins\nStorageError Cannot")
    assert folder.partition("/")[0] in output or str(open_home) in output
    assert state_of_serving(settings) == (after if stage == "export" or folder == "analytics" else before)
    assert (settings.exports_dir / "latest").resolve().name == "000001"


def test_a_list_that_was_carried_over_keeps_its_run_its_age_and_its_expiry(settings: Settings) -> None:
    """Bob's list of the first night stands in the second one; Ann's was made anew."""
    publish_at = {RUN_DATE: MORNING, NEXT_DATE: MORNING + timedelta(days=1)}
    for run_date, made_on in ((RUN_DATE, {}), (NEXT_DATE, {nights.BOB: RUN_DATE})):
        night = nights.write(settings, run_date)
        with connect(settings) as connection:
            carried = " ".join(f"WHEN person_id = '{who}' THEN DATE '{day}'" for who, day in made_on.items())
            paths = [str(path) for path in night.tables.snapshot().files("recommendations")]
            made = f"CASE {carried} ELSE DATE '{run_date}' END" if carried else f"DATE '{run_date}'"
            file = night.tables.write(connection, "recommendations", f"SELECT *, {made} AS made_on FROM read_parquet({paths}) ORDER BY person_id, rank")
        assert file is not None
        night.tables.commit({"recommendations": [file]}, run_id="carried")
        publish.run(settings, Interval.day(run_date), run_id=f"run-{run_date}", published_at=publish_at[run_date])
    with connect(settings) as connection, open_store(settings).published(connection):
        rows = connection.execute(
            "SELECT DISTINCT user_id, run_id, published_at, expires_at::DATE FROM published.serving.recommendations ORDER BY ALL"
        ).fetchall()
    ages = {user: (run, moment, expires) for user, run, moment, expires in rows}
    assert ages[nights.BOB] == (f"run-{RUN_DATE}", MORNING, date(2026, 11, 24))
    assert ages[nights.ANN] == (f"run-{NEXT_DATE}", MORNING + timedelta(days=1), date(2026, 11, 25))
