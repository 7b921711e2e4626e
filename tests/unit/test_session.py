from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from dawnlist.errors import SystemRequirementError
from dawnlist.settings import Settings
from spark_jobs import session


def test_without_java_no_session_starts_and_nothing_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(SparkSession, "getActiveSession", lambda: None)  # that of other tests
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "nowhere"))
    with pytest.raises(SystemRequirementError, match="make system"), session.session(Settings(home=tmp_path / "home")):
        pytest.fail("there is no Java")
    assert not (tmp_path / "home").exists()


def test_folders_of_killed_sessions_are_removed_and_live_ones_stay(tmp_path: Path) -> None:
    abandoned = tmp_path / "spark-dead"
    abandoned.mkdir()
    (abandoned / ".lock").touch()
    with session._scratch_folder(tmp_path) as first, session._scratch_folder(tmp_path) as second:
        assert sorted(tmp_path.iterdir()) == sorted([first, second])
    assert list(tmp_path.iterdir()) == []
