import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dawnlist import system
from dawnlist.errors import StorageError, SystemRequirementError

NOBODY = 65534


def java_home(folder: Path, script: str) -> dict[str, str]:
    """An environment whose JAVA_HOME holds a `java` that runs `script`."""
    java = folder / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\n{script}\n")
    java.chmod(0o755)
    return {"JAVA_HOME": str(folder), "PATH": os.defpath}


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may write everywhere: be somebody else for a while."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_412"', 8),
        ('openjdk version "25" 2025-09-16', 25),
        ('Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nopenjdk version "21.0.2-ea" 2024-01-16', 21),
        ("no such thing", None),
    ],
)
def test_the_java_version_is_read_from_what_java_prints(text: str, version: int | None) -> None:
    assert system.java_version(text) == version


def test_java_17_at_java_home_will_do(tmp_path: Path) -> None:
    system.require_java(java_home(tmp_path, "echo 'openjdk version \"17.0.1\"' >&2"))


def test_java_on_the_path_is_taken_without_java_home(tmp_path: Path) -> None:
    java_home(tmp_path, "echo 'openjdk version \"21.0.1\"' >&2")
    system.require_java({"PATH": str(tmp_path / "bin")})


def test_java_11_is_too_old(tmp_path: Path) -> None:
    with pytest.raises(SystemRequirementError, match=r"is version 11: Spark needs Java 17 or newer.*make system"):
        system.require_java(java_home(tmp_path, "echo 'openjdk version \"11.0.2\"' >&2"))


def test_a_java_that_does_not_start_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemRequirementError, match=rf"{tmp_path}/bin/java does not start"):
        system.require_java(java_home(tmp_path, "exit 1"))


def test_no_java_at_all_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(SystemRequirementError, match=r"no Java on the PATH.*openjdk-17-jre-headless"):
        system.require_java({"PATH": str(tmp_path)})


def test_a_java_home_without_java_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemRequirementError, match=rf"no Java at JAVA_HOME \({tmp_path}\)"):
        system.require_java({"JAVA_HOME": str(tmp_path), "PATH": os.environ["PATH"]})


def test_a_missing_libgomp_says_what_to_install() -> None:
    with pytest.raises(SystemRequirementError, match=r"libgomp\.so\.404 is missing.*libgomp1"):
        system.require_libgomp("libgomp.so.404")


def test_a_home_is_made_and_left_empty(tmp_path: Path) -> None:
    home = tmp_path / "a" / "home"
    system.require_writable(home)
    assert home.is_dir()
    assert list(home.iterdir()) == []


def test_a_home_without_rights_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with as_nobody(), pytest.raises(StorageError, match=rf"Cannot write in {tmp_path}/home: Permission denied.*DAWNLIST_HOME"):
        system.require_writable(tmp_path / "home")


def test_a_file_in_the_place_of_the_home_is_named(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.write_text("")
    with pytest.raises(StorageError, match=rf"Cannot write in {home}: File exists"):
        system.require_writable(home)
