"""The key of the pseudonyms."""

import hashlib
import hmac
from pathlib import Path

import duckdb
import pytest

from dawnlist.errors import SettingsError
from dawnlist.privacy import Key, load_key
from dawnlist.settings import load


@pytest.mark.parametrize("secret", [b"k" * 16, b"k" * 64, b"k" * 100], ids=["short", "one block", "longer than a block"])
@pytest.mark.parametrize("raw", ["shop:anna", "shop:zoë 日本", "shop:"])
def test_the_database_computes_hmac_sha256(secret: bytes, raw: str) -> None:
    with duckdb.connect() as connection:
        Key(secret).define_macro(connection)
        found = connection.execute("SELECT pseudonym(?)", [raw]).fetchone()
    assert found == (hmac.new(secret, raw.encode(), hashlib.sha256).hexdigest()[:32],)


def test_a_new_home_gets_a_key_of_its_own_that_stays(tmp_path: Path) -> None:
    settings = load(home=tmp_path)
    first = load_key(settings)
    path = tmp_path / "secrets" / "pseudonym.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_key(settings) == first
    assert load_key(load(home=tmp_path / "other")) != first
    assert path.read_text().strip() not in repr(first)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    settings = load(home=tmp_path)
    load_key(settings)
    (tmp_path / "secrets" / "pseudonym.key").chmod(0o640)
    with pytest.raises(SettingsError, match="can be read by others"):
        load_key(settings)


def test_a_key_file_that_is_named_must_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAWNLIST_PRIVACY__KEY_FILE", str(tmp_path / "none"))
    with pytest.raises(SettingsError, match="does not exist"):
        load_key(load(home=tmp_path))
