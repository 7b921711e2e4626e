"""scripts/setup.sh, on machines made up of the few commands that it may find."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dawnlist.settings import PROJECT

SETUP = PROJECT / "scripts" / "setup.sh"
JAVA_17 = "echo 'openjdk version \"17.0.9\"' >&2"
PYTHON_THAT_CANNOT_MAKE_ENVIRONMENTS = f'case "$2" in *ensurepip*) exit 1 ;; esac; exec {sys.executable} "$@"'


class Machine:
    """A folder of commands that stands for a whole PATH."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.log = folder / "log"
        for name in ("bash", "cat", "dirname", "env", "head", "sed", "sha256sum", "chmod"):
            (self.bin / name).symlink_to(str(shutil.which(name)))
        self.has("python3", f'exec {sys.executable} "$@"')
        self.has("id", "echo 1000")

    def has(self, name: str, script: str) -> None:
        """A command of this name, which runs `script`."""
        path = self.bin / name
        path.write_text(f"#!{shutil.which('sh')}\n{script}\n")
        path.chmod(0o755)

    def run(self, what: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([SETUP, what], env={"PATH": str(self.bin), **environment}, capture_output=True, text=True, check=False)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_nothing_is_done_where_all_is_there(machine: Machine) -> None:
    machine.has("java", JAVA_17)
    done = machine.run("system")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_without_rights_it_says_what_to_type(machine: Machine) -> None:
    machine.has("python3", PYTHON_THAT_CANNOT_MAKE_ENVIRONMENTS)
    machine.has("java", "echo 'openjdk version \"11.0.2\"' >&2")
    machine.has("apt-get", "exit 99")
    machine.has("sudo", "exit 1")
    done = machine.run("system")
    assert done.returncode == 1
    assert "Type: sudo apt-get install -y openjdk-17-jre-headless python3-venv" in done.stderr


def test_root_gets_what_is_missing(machine: Machine) -> None:
    machine.has("id", "echo 0")
    java = machine.bin / "java"
    machine.has(
        "apt-get",
        f'echo "$@" >>{machine.log}; [ "$1" = update ] || {{ printf \'#!/bin/sh\\n%s\\n\' "echo \'version \\"17.0.1\\"\' >&2" >{java}; chmod +x {java}; }}',
    )
    done = machine.run("system")
    assert done.returncode == 0, done.stderr
    assert machine.log.read_text().splitlines() == ["update -qq", "install -y -qq --no-install-recommends openjdk-17-jre-headless"]


def test_the_browser_of_the_tests_is_asked_for_by_name(machine: Machine) -> None:
    asked = machine.run("browser")
    assert (asked.returncode, asked.stderr) == (1, "These system packages are missing. Type: sudo apt-get install -y chromium\n")
    machine.has("chromium-browser", "exit 0")
    found = machine.run("browser")
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


def test_a_newer_release_gets_its_own_java(machine: Machine) -> None:
    machine.has("apt-cache", "exit 100")
    assert "Type: sudo apt-get install -y default-jre-headless" in machine.run("system").stderr


def test_a_java_home_that_stays_wrong_is_named(machine: Machine, tmp_path: Path) -> None:
    machine.has("id", "echo 0")
    machine.has("apt-get", "exit 0")
    done = machine.run("system", JAVA_HOME=str(tmp_path))
    assert done.returncode == 1
    assert f"JAVA_HOME is {tmp_path}" in done.stderr


@pytest.mark.parametrize("what", ["system", "environment"])
def test_a_machine_without_a_fitting_python_is_told_so(machine: Machine, tmp_path: Path, what: str) -> None:
    machine.has("python3", "exit 1")
    copy = shutil.copytree(PROJECT / "scripts", tmp_path / "project" / "scripts") / "setup.sh"
    (tmp_path / "project" / "requirements-dev.lock").write_text("")
    done = subprocess.run([copy, what], env={"PATH": str(machine.bin)}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Dawnlist needs Python 3.11, 3.12 or 3.13." in done.stderr


def test_a_python_without_venv_is_told_what_to_run(machine: Machine, tmp_path: Path) -> None:
    machine.has("python3", PYTHON_THAT_CANNOT_MAKE_ENVIRONMENTS)
    copy = shutil.copytree(PROJECT / "scripts", tmp_path / "project" / "scripts") / "setup.sh"
    (tmp_path / "project" / "requirements-dev.lock").write_text("")
    done = subprocess.run([copy, "environment"], env={"PATH": str(machine.bin)}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "run `make system`" in done.stderr
    assert not (tmp_path / "project" / ".venv").exists()


def test_an_environment_that_is_broken_is_not_asked_for_its_python(machine: Machine, tmp_path: Path) -> None:
    copy = shutil.copytree(PROJECT / "scripts", tmp_path / "project" / "scripts") / "setup.sh"
    broken = tmp_path / "project" / ".venv" / "bin"
    broken.mkdir(parents=True)
    (broken / "python3").write_text("#!/bin/sh\nexit 1\n")
    (broken / "python3").chmod(0o755)
    machine.has("java", JAVA_17)
    done = subprocess.run([copy, "system"], env={"PATH": f"{broken}:{machine.bin}"}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_wrong_word_shows_the_usage(machine: Machine) -> None:
    assert "Usage: setup.sh system | environment | browser" in machine.run("everything").stderr


def test_no_environment_is_made_twice(tmp_path: Path) -> None:
    """The stamp holds what the environment was made from: with the same lock in the same place nothing is started."""
    project = tmp_path / "project"
    shutil.copytree(PROJECT / "scripts", project / "scripts")
    (project / "requirements-dev.lock").write_text("# empty\n")
    (project / ".venv" / "bin").mkdir(parents=True)
    (project / ".venv" / "bin" / "python").symlink_to(sys.executable)
    stamp = subprocess.run(
        ["bash", "-c", 'cat requirements-dev.lock scripts/setup.sh <(echo "$PWD/.venv") | sha256sum'], cwd=project, capture_output=True, text=True, check=True
    ).stdout
    (project / ".venv" / ".made-from").write_text(stamp)
    done = subprocess.run([project / "scripts" / "setup.sh", "environment"], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
