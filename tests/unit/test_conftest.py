"""What happens to tests on real data: never left out silently."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dawnlist.settings import PROJECT

TESTS = """
def test_real(real_data):
    assert real_data("deskdrop").name == "deskdrop"

def test_plain():
    pass
"""


def run_pytest(folder: Path, real_data: Path | None, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run TESTS beside a copy of the project's conftest, with DAWNLIST_REAL_DATA set to `real_data`."""
    shutil.copy(PROJECT / "tests" / "conftest.py", folder)
    (folder / "test_it.py").write_text(TESTS)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = real_data\naddopts = --strict-markers\n")
    environment = {name: value for name, value in os.environ.items() if name != "DAWNLIST_REAL_DATA"}
    environment |= {} if real_data is None else {"DAWNLIST_REAL_DATA": str(real_data)}
    # A folder of its own for temporary files: pytest takes the rights on the common one from other users, and another test's Postgres is one.
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--basetemp", folder / "tmp", *arguments, folder]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


# Of several processes none tells the others what it took out.
@pytest.mark.parametrize(("arguments", "counted"), [([], "1 passed, 1 deselected"), (["--numprocesses", "2", "--dist", "loadfile"], "1 passed")])
def test_without_real_data_the_summary_names_what_was_not_run(tmp_path: Path, arguments: list[str], counted: str) -> None:
    done = run_pytest(tmp_path, None, *arguments)
    assert done.returncode == 0
    assert counted in done.stdout
    summary = done.stdout.partition("not run: DAWNLIST_REAL_DATA is not set")[2]
    assert "test_it.py::test_real" in summary
    assert "test_plain" not in summary


def test_with_incomplete_real_data_a_test_fails(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, tmp_path / "data")
    assert done.returncode == 1
    assert "1 failed, 1 passed" in done.stdout
    assert "data/deskdrop has 0 of 1 files" in done.stdout


def test_with_real_data_all_tests_are_run(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "deskdrop"
    folder.mkdir(parents=True)
    (folder / "users_interactions.csv.gz").write_bytes(b"")
    done = run_pytest(tmp_path, folder.parent)
    assert done.returncode == 0
    assert "2 passed" in done.stdout
    assert "not run" not in done.stdout


def test_the_callers_variables_do_not_reach_a_test(tmp_path: Path) -> None:
    assert {name for name in os.environ if name.startswith("DAWNLIST_")} <= {"DAWNLIST_HOME", "DAWNLIST_REAL_DATA"}
    assert os.environ["DAWNLIST_HOME"] == str(tmp_path / "home")


@pytest.mark.parametrize("name", ["online_retail", "globo_news", "deskdrop"])
def test_the_real_data_is_all_there(name: str, real_data: object) -> None:
    assert callable(real_data)
    assert real_data(name).is_dir()
