"""Settings: who wins, and what is refused."""

from pathlib import Path

import pytest

from dawnlist.errors import SettingsError
from dawnlist.settings import load


def test_command_line_over_environment_over_file_over_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "dawnlist.toml"
    file.write_text("seed = 1\n[spark]\nmaster = 'local[1]'\nshuffle_partitions = 3\n")
    monkeypatch.setenv("DAWNLIST_CONFIG", str(file))
    monkeypatch.setenv("DAWNLIST_SPARK__MASTER", "local[3]")
    monkeypatch.setenv("DAWNLIST_HOME", str(tmp_path / "environment"))
    settings = load(home=tmp_path / "line")
    assert (settings.home, settings.spark.master, settings.spark.shuffle_partitions, settings.seed) == (tmp_path / "line", "local[3]", 3, 1)
    assert settings.recommend.list_length == 20


def test_a_misspelt_variable_is_refused_with_the_right_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAWNLIST_SPARK__MASTR", "local[1]")
    with pytest.raises(SettingsError, match="DAWNLIST_SPARK__MASTR is no setting. Did you mean DAWNLIST_SPARK__MASTER"):
        load()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sed = 1", "Setting sed: no such setting"),
        ("[recommend]\nlist_length = 0", "Setting recommend.list_length: .*greater than or equal to 1"),
        ("seed = ", "is no valid TOML"),
        ("[privacy]\nkey = 'a key that does not belong here'", "is a secret. Take it out of the file"),
    ],
)
def test_a_wrong_file_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str) -> None:
    file = tmp_path / "dawnlist.toml"
    file.write_text(text)
    monkeypatch.setenv("DAWNLIST_CONFIG", str(file))
    with pytest.raises(SettingsError, match=message):
        load()


def test_secrets_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAWNLIST_PRIVACY__KEY", "a very secret key of ours")
    settings = load()
    assert "very secret" not in repr(settings)
    assert "very secret" not in settings.model_dump_json()


@pytest.mark.parametrize(
    ("policies", "message"),
    [
        ('["pins", "pins"]', "names a policy twice"),
        ('["exploration", "pins"]', "exploration must be the last"),
        ('["pin"]', "Setting recommend.policies"),
    ],
)
def test_an_order_of_policies_that_does_not_hold_is_refused(monkeypatch: pytest.MonkeyPatch, policies: str, message: str) -> None:
    monkeypatch.setenv("DAWNLIST_RECOMMEND__POLICIES", policies)
    with pytest.raises(SettingsError, match=message):
        load()
