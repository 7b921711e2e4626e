"""The key of the pseudonyms."""

import hashlib
import hmac
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from dawnlist import privacy
from dawnlist.cli import app
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


def test_a_rotation_keeps_the_old_key_beside_the_new_one_until_it_is_taken_away(tmp_path: Path) -> None:
    settings = load(home=tmp_path)
    old = load_key(settings)
    new = privacy.rotate(settings)
    assert new.secret != old.secret
    assert new.previous is not None
    assert (new.previous.secret, new.salt) == (old.secret, old.salt)
    folder = tmp_path / "secrets"
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == dict.fromkeys(
        ("pseudonym.key", "pseudonym.key.previous", "event-ids.salt"), 0o600
    )
    assert load_key(settings) == new
    with pytest.raises(SettingsError, match=f"The keys {old.key_id} and {new.key_id} overlap already"):
        privacy.rotate(settings)
    privacy.previous_key_path(settings).unlink()
    assert (load_key(settings).secret, load_key(settings).previous, load_key(settings).salt) == (new.secret, None, old.salt)
    assert old.secret.decode() not in repr(new)
    assert old.salt not in repr(new)


def test_a_rotation_that_was_killed_half_way_can_be_done_again(tmp_path: Path) -> None:
    settings = load(home=tmp_path)
    old = load_key(settings)
    (tmp_path / "secrets" / "pseudonym.key.previous").hardlink_to(tmp_path / "secrets" / "pseudonym.key")
    assert load_key(settings).previous is None
    assert privacy.rotate(settings).previous == Key(old.secret)


def test_keys_in_the_environment_overlap_too_and_are_rotated_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAWNLIST_PRIVACY__KEY", "the first key of them")
    first = load_key(load(home=tmp_path))
    with pytest.raises(SettingsError, match="Set DAWNLIST_PRIVACY__PREVIOUS_KEY to what DAWNLIST_PRIVACY__KEY is now"):
        privacy.rotate(load(home=tmp_path))
    monkeypatch.setenv("DAWNLIST_PRIVACY__KEY", "the second key of them")
    monkeypatch.setenv("DAWNLIST_PRIVACY__PREVIOUS_KEY", "the first key of them")
    second = load_key(load(home=tmp_path))
    assert second.previous == Key(first.secret)
    assert second.salt == first.salt
    assert "of them" not in repr(load(home=tmp_path))


def test_a_previous_key_file_that_is_named_must_exist_and_be_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "previous"
    monkeypatch.setenv("DAWNLIST_PRIVACY__PREVIOUS_KEY_FILE", str(path))
    with pytest.raises(SettingsError, match="privacy.previous_key_file .* does not exist"):
        load_key(load(home=tmp_path))
    path.write_text("a key that all can read")
    path.chmod(0o644)
    with pytest.raises(SettingsError, match="can be read by others"):
        load_key(load(home=tmp_path))


def test_the_key_is_not_made_by_looking(tmp_path: Path) -> None:
    assert not privacy.has_key(load(home=tmp_path))
    assert not (tmp_path / "secrets").exists()


def test_the_commands_name_the_keys_and_never_show_them(tmp_path: Path) -> None:
    def said(*arguments: str) -> str:
        result = CliRunner().invoke(app, ["keys", *arguments, "--home", str(tmp_path)])
        assert result.exit_code == 0, result.output
        return " ".join(result.output.split())

    assert "There is no key yet" in said("show")
    old = load_key(load(home=tmp_path))
    assert f"key {old.key_id}:" in said("show")
    assert "No overlap" in said("show")
    said("rotate")
    new = load_key(load(home=tmp_path))
    shown = said("show")
    assert f"key {new.key_id}:" in shown
    assert f"key before it {old.key_id}:" in shown
    assert "The two overlap: 0 ids are linked so far" in shown
    assert not [secret for secret in (old.secret, new.secret) if secret.decode() in shown]
