"""Readers that never stop see whole states, and only such as were committed; two writers take turns."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dawnlist.lake import Lake
from tests.faults.harness import CONTEXT, completed, copied, run
from tests.faults.site import Site, Stage, analytics_state, exports_state, rows_read, serving_state, settings_of

SECONDS_LIMIT = 120


def lake_rows(home: Path) -> Any:
    """The version that a reader finds, and the rows that it reads of each table."""
    snapshot = Lake(settings_of(home).lake_dir).snapshot()
    return snapshot.version, rows_read(snapshot)


def lists(home: Path) -> Any:
    return serving_state(settings_of(home))


def marts(home: Path) -> Any:
    return analytics_state(settings_of(home).analytics_file)


def bundle(home: Path) -> Any:
    return exports_state(settings_of(home).exports_dir)


def read_on(read: Callable[[Path], Any], home: Path, report: Connection) -> None:
    """Read until told to stop, and once after that; tell every state that was seen, or what went wrong."""
    seen: list[Any] = []
    report.send("begun")
    is_last = False
    while not is_last:
        is_last = report.poll()
        try:
            found = read(home)
        except Exception as error:  # noqa: BLE001  # whatever a reader meets is told
            report.send(f"{type(error).__name__}: {error}")
            return
        if not seen or seen[-1] != found:
            seen.append(found)
    report.send(seen)


def seen_meanwhile(read: Callable[[Path], Any], home: Path, *stages: Stage) -> list[Any]:
    """The states that a reader saw, each once, while `stages` ran one after the other."""
    mine, theirs = CONTEXT.Pipe()
    reader = CONTEXT.Process(target=read_on, args=(read, home, theirs))
    reader.start()
    theirs.close()
    assert mine.recv() == "begun"
    for stage in stages:
        completed(stage, home)
    mine.send("stop")
    seen = mine.recv()
    reader.join()
    assert isinstance(seen, list), seen
    return seen


def test_a_reader_of_the_lake_sees_committed_states_only(site: Site, tmp_path: Path) -> None:
    with copied(site.before["ingest"], tmp_path / "home") as home:
        seen = seen_meanwhile(lake_rows, home, site.stages["ingest"], site.stages["validate"])
        lake = Lake(settings_of(home).lake_dir)
        for version, rows in seen:
            assert rows == {name: table.rows for name, table in lake.snapshot(version).tables.items()}
        assert [version for version, _ in seen] == sorted({version for version, _ in seen})
        assert seen[0][1] != seen[-1][1]


@pytest.mark.parametrize(("stage", "read"), [("publish", lists), ("publish", marts), ("export", bundle)])
def test_a_reader_of_what_is_published_sees_the_old_state_then_the_new_one(site: Site, stage: str, read: Callable[[Path], Any], tmp_path: Path) -> None:
    with copied(site.before[stage], tmp_path / "home") as home:
        before = read(home)
        seen = seen_meanwhile(read, home, site.stages[stage])
        assert seen == [before, read(home)]
        assert seen[0] != seen[1]


@dataclass(frozen=True)
class Scribbler:
    """Somebody who opens a published file for writing, changes it, and dies."""

    file: str

    def __call__(self, home: Path) -> object:
        (home / self.file).chmod(0o644)
        connection = duckdb.connect(str(home / self.file))
        connection.execute("SET checkpoint_threshold = '1GB'")
        connection.execute("DELETE FROM serving.recommendations")
        os.kill(os.getpid(), signal.SIGKILL)
        return connection


@pytest.mark.parametrize("file", ["serving/lists.duckdb", "analytics/analytics.duckdb"])
def test_what_a_killed_writer_left_beside_a_published_file_does_not_outlive_the_next_publication(site: Site, file: str, tmp_path: Path) -> None:
    with copied(site.before["publish"], tmp_path / "home") as home:
        assert run(Scribbler(file), home).was_killed
        assert (home / f"{file}.wal").exists()
        completed(site.stages["publish"], home)
        site.check_done("publish", home)


@dataclass(frozen=True)
class Judging:
    """The stage `validate` without the lock that `dawnlist` takes around it: only the lake's own lock keeps two of them apart."""

    stage: Stage

    def __call__(self, home: Path) -> object:
        from dawnlist.stages import validate

        return validate.run(settings_of(home), self.stage.interval, run_id="run-2")


def test_two_that_promote_the_same_batch_promote_it_once(site: Site, tmp_path: Path) -> None:
    with copied(site.before["validate"], tmp_path / "home") as home:
        work = Judging(site.stages["validate"])
        both = [CONTEXT.Process(target=work, args=(home,)) for _ in range(2)]
        for process in both:
            process.start()
        for process in both:
            process.join(SECONDS_LIMIT)
        assert [process.exitcode for process in both] == [0, 0]
        site.check_done("validate", home)


def test_a_second_run_is_refused_until_the_first_is_killed(site: Site, tmp_path: Path) -> None:
    stage = site.stages["validate"]
    with copied(site.before["validate"], tmp_path / "home") as home:
        first = CONTEXT.Process(target=stage, args=(home,))
        first.start()
        lock = home / "locks" / "validate.lock"
        while not (lock.exists() and lock.read_text() == str(first.pid)):
            assert first.is_alive()
            time.sleep(0.001)
        refused = run(stage, home)
        assert (refused.error, str(first.pid) in refused.message) == ("LockedError", True)
        first.kill()
        first.join()
        completed(stage, home)
        site.check_done("validate", home)
