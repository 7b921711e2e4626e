"""Landed files behind a URL: which there are, and that nothing of them leads out of the spool. tests/integration/test_landing_s3.py reads a real store."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import fsspec
import pytest

from dawnlist import landing, remote, sources
from dawnlist.errors import LandingError, LandingStoreError, SettingsError
from dawnlist.remote import RemoteFile
from dawnlist.settings import Settings, load

SHOP = """
description: a shop
user_namespace: "shop:"
inputs:
  events:
    path: "events/**/*.csv"
    format: csv
    file_time: "%Y-%m-%d"
    period: day
    columns: {occurred_at: t}
    event_type: [{type: view}]
  items:
    path: items.csv
    format: csv
    columns: {item_id: item, updated_at: t}
"""


@pytest.fixture
def store() -> Iterator[fsspec.AbstractFileSystem]:
    system = fsspec.filesystem("memory")
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "shop.yml").write_text(SHOP)
    return load(home=tmp_path / "home", landing="memory://in/", sources_dir=tmp_path)


def test_the_files_of_a_url_are_those_of_a_folder(settings: Settings, store: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    names = ("events/2026-01-05.csv", "events/a/b/2026-01-06.csv", "events/2026-01-07.csv.part", "items.csv", "items.csv.bak", "other/2026-01-05.csv")
    for name in names:
        store.pipe(f"/in/shop/{name}", name.encode())
        (tmp_path / "land" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "land" / name).write_bytes(name.encode())
    source = sources.load(settings, "shop")
    found = landing.list_files(settings, source)
    local = landing.list_files(settings.with_(landing=tmp_path / "land"), source)
    assert [(file.input, file.name, file.file_time) for file in found] == [
        ("events", "events/2026-01-05.csv", datetime(2026, 1, 5)),
        ("events", "events/a/b/2026-01-06.csv", datetime(2026, 1, 6)),
        ("items", "items.csv", None),
    ]
    assert [(file.input, file.name, file.file_time) for file in local] == [(file.input, file.name, file.file_time) for file in found]
    with landing.spool(settings):
        assert [file.file_id for file in landing.identified(settings, source, found)] == [file.file_id for file in landing.identified(settings, source, local)]


def test_files_of_a_url_are_at_hand_only_as_long_as_they_are_needed(settings: Settings, store: fsspec.AbstractFileSystem) -> None:
    store.pipe("/in/events/2026-01-05.csv", b"t\n")
    files = landing.identified(settings, source := sources.load(settings, "shop"), landing.list_files(settings, source))
    for _ in range(2):
        with landing.at_hand(settings, files):
            assert files[0].path.read_bytes() == b"t\n"
        assert not files[0].path.parent.exists()
    store.pipe("/in/events/2026-01-05.csv", b"u\n")
    with pytest.raises(LandingStoreError, match=r"memory://in/events/2026-01-05\.csv changed while it was read"), landing.at_hand(settings, files):
        pass
    assert not files[0].path.parent.exists()


def test_a_file_that_shrinks_while_it_is_read_is_not_taken(store: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    store.pipe("/in/a", b"1234")
    with pytest.raises(LandingStoreError, match="changed while it was read"):
        remote.copy(RemoteFile("memory://in/a", "mark", 5), tmp_path / "copy")


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/..", "x'; DROP TABLE landed; --.gz", "*.csv.zst"])
def test_no_name_in_a_store_leads_out_of_the_spool(name: str) -> None:
    copy = landing._copy_name(RemoteFile(f"s3://bucket/{name}", "", 0))
    assert Path(copy).name == copy
    assert copy.partition(".")[0].isalnum()
    assert Path(copy).suffix == (Path(name).suffix if Path(name).suffix in (".gz", ".zst") else "")


@pytest.mark.parametrize(
    ("url", "message"), [("nosuchkind://bucket/in", "is no URL that files can be read from"), ("memory://in", "No file of source shop has landed")]
)
def test_a_wrong_url_is_one_sentence(settings: Settings, url: str, message: str) -> None:
    with pytest.raises(LandingError, match=message):
        landing.list_files(settings.with_(landing=url), sources.load(settings, "shop"))


def test_a_url_holds_no_secret_and_is_no_folder(settings: Settings) -> None:
    for url in ("sftp://me:a-secret@host/in", "https://host/in?token=a-secret"):
        with pytest.raises(SettingsError, match="credentials come from the environment") as refused:
            load(landing=url)
        assert "a-secret" not in str(refused.value)
    with pytest.raises(SettingsError, match="this command needs a folder of this machine"):
        settings.landing_dir("shop")


def test_a_landing_folder_may_have_one_folder_a_source(settings: Settings, tmp_path: Path) -> None:
    folder = settings.with_(landing=tmp_path)
    assert folder.landing_dir("shop") == tmp_path
    (tmp_path / "shop").mkdir()
    assert folder.landing_dir("shop") == tmp_path / "shop"
