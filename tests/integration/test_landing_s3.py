"""Files that land on S3-compatible storage: a real server on this machine, read by the real stages."""

import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3
import duckdb
import fsspec
import pytest

from dawnlist import ingest, landing, remote, sources
from dawnlist.errors import LandingError, LandingStoreError, UnreadableFileError
from dawnlist.privacy import load_key
from dawnlist.settings import Settings, load
from dawnlist.source_tools.check import check
from dawnlist.stages import execute
from dawnlist.stages.base import Interval
from dawnlist.stages.ingest import hour_state
from tests.http_servers import s3_serving
from tests.staged import staged_rows

BUCKET = "landing"
SHOP = """
description: a shop
user_namespace: "shop:"
inputs:
  events:
    path: "events/hour=*/*"
    format: csv
    file_time: hour=%Y-%m-%dT%H
    period: hour
    columns: {occurred_at: t, user_id: who, item_id: item}
    event_type: [{type: view}]
"""
NINE, TEN = "events/hour=2026-01-05T09/a.csv.gz", "events/hour=2026-01-05T10/a.csv"
DAY = Interval.until(datetime(2026, 1, 5).date())


@pytest.fixture(scope="module")
def server() -> Iterator[dict[str, str]]:
    with s3_serving() as variables:
        yield variables


@pytest.fixture
def bucket(server: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, value in server.items():
        monkeypatch.setenv(name, value)
    made = boto3.resource("s3").create_bucket(Bucket=BUCKET)
    yield made
    made.objects.delete()
    made.delete()


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "shop.yml").write_text(SHOP)
    variables = {"HOME": tmp_path / "home", "LANDING": f"s3://{BUCKET}/in", "SOURCES_DIR": tmp_path / "sources", "SITE__SOURCES": '["shop"]'}
    for name, value in variables.items():
        monkeypatch.setenv(f"DAWNLIST_{name}", str(value))
    return load()


def rows(*visits: tuple[str, str, str]) -> bytes:
    return "\n".join(["t,who,item", *(",".join(visit) for visit in visits), ""]).encode()


def land(bucket: Any, name: str, content: bytes, *, folder: str = "in/shop") -> None:
    bucket.put_object(Key=f"{folder}/{name}", Body=gzip.compress(content, mtime=0) if name.endswith(".gz") else content)


def land_two_hours(bucket: Any) -> None:
    land(bucket, NINE, rows(("2026-01-05T09:30:00Z", "anna", "i1"), ("2026-01-05T09:31:00Z", "ben", "i2")))
    land(bucket, TEN, rows(("2026-01-05T10:30:00Z", "anna", "i3")))


def staged(settings: Settings) -> list[tuple]:
    (batch,) = ingest.staged(settings)
    return duckdb.sql(f"SELECT item_id, user_id, event_id FROM {staged_rows(batch)} ORDER BY item_id").fetchall()


def test_a_bucket_is_read_like_a_folder_and_nothing_of_it_stays(settings: Settings, bucket: Any, tmp_path: Path) -> None:
    land_two_hours(bucket)
    assert execute(settings, "ingest", DAY, run_id="r").counts["n_staged"] == 3
    found = staged(settings)
    key = load_key(settings)
    assert [(item, person) for item, person, _ in found] == [(f"i{n}", key.pseudonym("shop:", who)) for n, who in ((1, "anna"), (2, "ben"), (3, "anna"))]
    (batch,) = ingest.staged(settings)
    assert [file["name"] for file in batch.files] == [NINE, TEN]
    left = [path for path in settings.home.rglob("*") if path.is_file()]
    assert not (settings.scratch_dir / "spool").exists()
    assert not any(b"anna" in path.read_bytes() for path in left)

    folder = tmp_path / "downloaded"
    for name in (NINE, TEN):
        (folder / name).parent.mkdir(parents=True)
        bucket.download_file(f"in/shop/{name}", str(folder / name))
    local = settings.with_(
        landing=folder, home=tmp_path / "other", privacy=settings.privacy.model_copy(update={"key_file": settings.home / "secrets" / "pseudonym.key"})
    )
    execute(local, "ingest", DAY, run_id="r")
    assert staged(local) == found
    assert [file["file_id"] for file in ingest.staged(local)[0].files] == [file["file_id"] for file in batch.files]


def test_a_file_is_read_once_and_again_only_when_it_changes(settings: Settings, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[str] = []
    copy = remote.copy
    monkeypatch.setattr(remote, "copy", lambda file, target: copied.append(file.url) or copy(file, target))
    land_two_hours(bucket)
    for _ in range(2):
        execute(settings, "ingest", DAY, run_id="r")
    execute(settings, "validate", DAY, run_id="r")
    assert "nothing new" in execute(settings, "ingest", DAY, run_id="r").notes[0]
    assert copied == [f"s3://{BUCKET}/in/shop/{NINE}", f"s3://{BUCKET}/in/shop/{TEN}"]
    copied.clear()
    land(bucket, TEN, rows(("2026-01-05T10:30:00Z", "anna", "i3"), ("2026-01-05T10:31:00Z", "ben", "i4")))
    assert execute(settings, "ingest", DAY, run_id="r").counts["n_staged"] == 2
    assert copied == [f"s3://{BUCKET}/in/shop/{TEN}"]


def test_the_copies_of_a_killed_process_are_removed_by_the_next(settings: Settings, bucket: Any) -> None:
    land_two_hours(bucket)
    killed = """
import os, signal
from dawnlist import ingest, settings, stages
from dawnlist.stages.base import Interval
from datetime import date
ingest.stage_batch = lambda *arguments, **options: os.kill(os.getpid(), signal.SIGKILL)
stages.execute(settings.load(), "ingest", Interval.until(date(2026, 1, 5)), run_id="r")
"""
    assert subprocess.run([sys.executable, "-c", killed], env=os.environ, check=False).returncode == -signal.SIGKILL
    spool = settings.scratch_dir / "spool"
    copies = list(spool.iterdir())
    assert spool.stat().st_mode & 0o777 == 0o700
    assert b"anna" in next(path.read_bytes() for path in copies if not path.suffix)
    (spool / "stray").write_text("anna")
    assert execute(settings, "ingest", DAY, run_id="r").counts["n_staged"] == 3
    assert not spool.exists()


def test_a_marker_or_a_file_says_that_an_hour_is_in(settings: Settings, bucket: Any) -> None:
    hour = Interval.hour(datetime(2026, 1, 5, 10))
    before, after = datetime(2026, 1, 5, 11, 59), datetime(2026, 1, 5, 12)
    land(bucket, NINE, rows())
    assert (hour_state(settings, hour, before), hour_state(settings, hour, after)) == ("waiting", "empty")
    land(bucket, "events/hour=2026-01-05T10/_SUCCESS", b"")
    assert hour_state(settings, hour, before) == "in"
    bucket.Object("in/shop/events/hour=2026-01-05T10/_SUCCESS").delete()
    land(bucket, TEN, rows())
    assert hour_state(settings, hour, before) == "in"


def test_without_a_folder_of_the_sources_name_the_files_lie_in_landing_itself(settings: Settings, bucket: Any) -> None:
    source = sources.load(settings, "shop")
    with pytest.raises(LandingError, match=rf"nothing below s3://{BUCKET}/in matches events/hour"):
        landing.list_files(settings, source)
    land(bucket, TEN, rows(("2026-01-05T10:30:00Z", "anna", "i3")), folder="in")
    assert [file.name for file in landing.list_files(settings, source)] == [TEN]


def test_a_broken_object_is_named_by_its_url(settings: Settings, bucket: Any) -> None:
    land(bucket, NINE, rows())
    bucket.put_object(Key=f"in/shop/{NINE}", Body=gzip.compress(rows(("2026-01-05T09:30:00Z", "anna", "i1")) * 999)[:-20])
    with pytest.raises(UnreadableFileError, match=rf"s3://{BUCKET}/in/shop/{NINE} cannot be read"):
        execute(settings, "ingest", DAY, run_id="r")
    assert not (settings.scratch_dir / "spool").exists()


def test_what_keeps_a_store_from_being_read_is_said_without_its_secrets(settings: Settings, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    command = [str(Path(sys.executable).with_name("dawnlist")), "ingest", "--until", "2026-01-05", "--landing"]
    result = subprocess.run([*command, "s3://no-such-bucket/in"], env=os.environ, capture_output=True, text=True, check=False)
    assert result.returncode == LandingStoreError.exit_code
    assert "s3://no-such-bucket/in is not there" in result.stderr
    assert "a-secret" not in result.stderr + result.stdout
    land_two_hours(bucket)
    assert subprocess.run([*command, f"s3://{BUCKET}/in"], env=os.environ, check=False).returncode == 0
    assert json.loads((ingest.staged(settings)[0].folder / "batch.json").read_text())["files"][0]["n_read"] == 2

    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules[fsspec.get_filesystem_class.__module__]._registry, "s3", raising=False)
    with pytest.raises(LandingError, match=r"needs a Python package that is not installed: .*s3fs"):
        landing.list_files(settings, sources.load(settings, "shop"))


def test_a_source_is_checked_against_files_behind_a_url(settings: Settings, bucket: Any) -> None:
    land_two_hours(bucket)
    report = check(settings, settings.sources_dir / "shop.yml")
    assert not report.mistakes
    assert report.landing == f"s3://{BUCKET}/in/shop"
    (sample,) = report.samples
    assert (sample.files, sample.n_kept) == ([NINE, TEN], 3)
    assert [path for path in settings.scratch_dir.rglob("*") if path.is_file()] == []


def test_a_check_says_when_nothing_behind_a_url_matches(settings: Settings, bucket: Any) -> None:
    land(bucket, "other/a.csv", rows())
    (mistake,) = check(settings, settings.sources_dir / "shop.yml").mistakes
    assert mistake.message == f"matches no file below s3://{BUCKET}/in/shop"
