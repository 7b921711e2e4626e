"""Files that land on an SFTP server: a real one on this machine."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from dawnlist import remote
from dawnlist.errors import LandingStoreError, SettingsError
from tests.sftp_server import Server, reach, sftp_serving

NINE, TEN = "hour=2026-01-05T09/a.csv", "hour=2026-01-05T10/a.csv"


@pytest.fixture
def sftp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with sftp_serving(tmp_path / "theirs") as server:
        reach(server, tmp_path / "me", monkeypatch)
        for name in (NINE, TEN):
            path = server.root / "cms" / name
            path.parent.mkdir(parents=True)
            path.write_bytes(name.encode() * 9_000)
        yield server


def test_files_are_found_and_copied_as_they_are(sftp: Server, tmp_path: Path) -> None:
    assert (remote.has_folder(sftp.url), remote.has_folder(f"{sftp.url}/none")) == (True, False)
    found = remote.matching(sftp.url, "hour=*/*.csv")
    assert {name: file.size for name, file in found.items()} == {NINE: 24 * 9_000, TEN: 24 * 9_000}
    assert remote.matching(f"{sftp.url}/none", "*") == {}
    for name, file in found.items():
        assert remote.copy(file, tmp_path / "copy") == hashlib.sha256(name.encode() * 9_000).hexdigest()
    (sftp.root / "cms" / NINE).write_bytes(b"another")
    again = remote.matching(sftp.url, "hour=*/*.csv")
    assert [name for name in found if again[name].mark != found[name].mark] == [NINE]
    assert sftp.all_left()


def test_a_folder_that_cannot_be_listed_is_not_taken_for_an_empty_one(sftp: Server) -> None:
    sftp.hidden = "cms/hour=2026-01-05T10"
    with pytest.raises(LandingStoreError, match=f"{sftp.url} cannot be read"):
        remote.matching(sftp.url, "hour=*/*.csv")


def test_an_unknown_host_is_not_read_from(sftp: Server, tmp_path: Path) -> None:
    (tmp_path / "me" / ".ssh" / "known_hosts").write_text("")
    with pytest.raises(SettingsError, match="known_hosts has none of it"):
        remote.matching(sftp.url, "*")
