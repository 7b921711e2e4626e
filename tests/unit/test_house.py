"""The house itself: layout, commands, locks, documents, and who imports whom."""

import ast
import fnmatch
import importlib.metadata
import os
import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from dawnlist.settings import PROJECT

PRODUCT = ("dags", "dawnlist", "spark_jobs", "models", "expectations")
MEBIBYTE = 1 << 20
PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text())


@cache
def files() -> tuple[Path, ...]:
    """Every file of the project that .gitignore does not leave out, relative to the project."""
    ignored = [".git/", *(PROJECT / ".gitignore").read_text().split()]
    found = []
    for folder, folders, names in os.walk(PROJECT):
        here = Path(folder).relative_to(PROJECT)
        folders[:] = [name for name in folders if not is_ignored(here / name, [pattern[:-1] for pattern in ignored if pattern.endswith("/")])]
        found += [here / name for name in names if not is_ignored(here / name, [pattern for pattern in ignored if not pattern.endswith("/")])]
    return tuple(sorted(found))


def is_ignored(path: Path, patterns: list[str]) -> bool:
    return any(fnmatch.fnmatch(str(path) if "/" in pattern else path.name, pattern) for pattern in patterns)


def text_of(path: Path) -> str:
    return (PROJECT / path).read_text(encoding="utf-8", errors="replace")


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z%-]*):", text_of(Path("Makefile")), re.MULTILINE))


def test_the_layout_is_there() -> None:
    wanted = [
        "benchmarks",
        "config/sources",
        "dags",
        "dawnlist",
        "dbt_project",
        "docs/adr",
        "expectations",
        "models",
        "spark_jobs",
        "tests/acceptance",
        "tests/contract",
        "tests/dags",
        "tests/integration",
        "tests/unit",
        ".ci/run",
        ".pre-commit-config.yaml",
        ".sqlfluff",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE",
        "Makefile",
        "README.md",
        "docker-compose.yml",
        "docs/architecture.md",
        "docs/glossary.md",
        "pyproject.toml",
        "requirements-dev.lock",
        "requirements.lock",
    ]
    assert [name for name in wanted if not (PROJECT / name).exists()] == []


def test_no_file_is_larger_than_a_mebibyte() -> None:
    assert [str(path) for path in files() if (PROJECT / path).stat().st_size > MEBIBYTE] == []


# --- the commands ---


@pytest.mark.parametrize("command", ["demo", "test"])
def test_the_readmes_two_commands_are_there(command: str) -> None:
    assert f"make {command}" in text_of(Path("README.md"))
    assert command in make_targets()


def test_every_make_command_that_a_document_names_exists() -> None:
    targets = make_targets()
    named = {(str(path), name) for path in files() if path.suffix == ".md" for name in re.findall(r"(?:`|^\s*)make ([a-z][\w-]*)", text_of(path), re.MULTILINE)}
    assert named
    assert [pair for pair in named if pair[1] not in targets and not (pair[1].startswith("bench-") and "bench-%" in targets)] == []


def test_help_lists_every_command() -> None:
    shown = subprocess.run(["make", "help"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    listed = {line.split()[1].replace("NAME", "%") for line in shown.splitlines()}
    assert listed == make_targets()


def test_the_continuous_integration_runs_the_readmes_test_command_on_the_data_beside_the_repository(tmp_path: Path) -> None:
    make = tmp_path / "bin" / "make"
    make.parent.mkdir()
    make.write_text('#!/bin/sh\necho "$DAWNLIST_REAL_DATA|$PWD|$*"\n')
    make.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if name != "DAWNLIST_REAL_DATA"} | {"PATH": f"{make.parent}:{os.environ['PATH']}"}
    shown = subprocess.run([PROJECT / ".ci" / "run"], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert shown.strip() == f"{PROJECT.parent}/shared/data|{PROJECT}|test"


# --- the locks ---


def locked(name: str) -> dict[str, str]:
    """Version by package of a lock file, as far as it is for this Python; fails when a package has no hash."""
    entries = re.split(r"^(?=[a-z0-9])", re.sub(r"^\s*#.*\n", "", text_of(Path(name)), flags=re.MULTILINE), flags=re.MULTILINE)
    found = {}
    for entry in filter(None, entries):
        pin, *hashes = entry.split("\\\n")
        requirement = Requirement(pin.strip())
        assert hashes, f"{pin} in {name} has no hash"
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", text.strip()) for text in hashes), f"{pin} in {name}"
        if requirement.marker is None or requirement.marker.evaluate():
            found[requirement.name] = str(requirement.specifier).removeprefix("==")
    return found


@pytest.mark.parametrize(
    ("lock", "requirements"),
    [
        ("requirements.lock", PYPROJECT["project"]["dependencies"] + PYPROJECT["dependency-groups"]["install"]),
        ("requirements-dev.lock", PYPROJECT["project"]["dependencies"] + PYPROJECT["dependency-groups"]["dev"] + PYPROJECT["dependency-groups"]["install"]),
    ],
)
def test_a_lock_holds_a_fitting_version_of_every_dependency(lock: str, requirements: list[str]) -> None:
    versions = locked(lock)
    for requirement in map(Requirement, requirements):
        assert requirement.specifier.contains(versions[requirement.name.lower()], prereleases=True), requirement


def test_both_locks_hold_the_same_versions() -> None:
    assert locked("requirements.lock").items() <= locked("requirements-dev.lock").items()


def test_no_lock_names_a_host() -> None:
    locks = [path for path in files() if path.suffix == ".lock"]
    assert {Path("requirements.lock"), Path("requirements-dev.lock")} <= set(locks)
    assert [str(path) for path in locks if "://" in text_of(path)] == []


def test_the_environment_is_that_of_the_lock() -> None:
    versions = locked("requirements.lock")
    names = [Requirement(text).name.lower() for text in PYPROJECT["project"]["dependencies"]]
    assert {name: importlib.metadata.version(name) for name in names} == {name: versions[name] for name in names}


# --- who imports whom ---


def imports_of(path: Path) -> set[str]:
    """The modules that a Python file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(text_of(path))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def product_imports() -> set[str]:
    modules = (path for path in files() if path.suffix == ".py" and path.parts[0] in PRODUCT)
    return {name.split(".")[0] for path in modules for name in imports_of(path)}


@pytest.mark.parametrize("module", ["airflow", "pyspark", "great_expectations", "dbt", "duckdb", "lightgbm", "pyarrow"])
def test_the_product_uses_the_library(module: str) -> None:
    assert module in product_imports()


def test_the_product_uses_dbt_on_duckdb() -> None:
    profiles = yaml.safe_load(text_of(Path("dbt_project/profiles.yml")))
    profile = yaml.safe_load(text_of(Path("dbt_project/dbt_project.yml")))["profile"]
    outputs = profiles[profile]["outputs"]
    assert outputs[profiles[profile]["target"]]["type"] == "duckdb"


def test_dags_say_when_and_not_how() -> None:
    allowed = {"airflow", "dawnlist", "datetime", "collections", "typing"}
    dags = [path for path in files() if path.parts[0] == "dags" and path.suffix == ".py"]
    assert dags
    for path in dags:
        assert {name.split(".")[0] for name in imports_of(path)} <= allowed, path
        assert {name for name in imports_of(path) if name.startswith("dawnlist")} <= {"dawnlist.orchestration", "dawnlist.settings"}, path


def test_every_module_has_its_place_in_the_layers() -> None:
    layers = " ".join(PYPROJECT["tool"]["importlinter"]["contracts"][0]["layers"])
    placed = set(re.findall(r"[\w.]+", layers))
    modules = {f"dawnlist.{path.stem}" for path in (PROJECT / "dawnlist").iterdir() if path.suffix == ".py" and path.stem != "__init__"}
    modules |= {f"dawnlist.{path.parent.name}" for path in (PROJECT / "dawnlist").glob("*/__init__.py")}
    assert modules - placed == set()


# --- the documents ---


def links() -> list[tuple[Path, str]]:
    """Every relative link of every Markdown file."""
    found = [
        (path, link)
        for path in files()
        if path.suffix == ".md"
        for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", text_of(path), flags=re.DOTALL))
    ]
    return [(path, link) for path, link in found if not re.match(r"[a-z]+:", link)]


def anchors(path: Path) -> set[str]:
    """The anchors that a Markdown file's headings get."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_relative_links_lead_somewhere() -> None:
    assert links()
    for path, link in links():
        name, _, anchor = link.partition("#")
        target = (PROJECT / path).parent / name if name else PROJECT / path
        assert target.exists(), f"{path} links to {link}"
        assert not anchor or anchor in anchors(target), f"{path} links to {link}"


def test_every_decision_has_a_number_a_status_and_three_sections() -> None:
    records = sorted((PROJECT / "docs" / "adr").glob("[0-9]*.md"))
    assert [int(path.name[:4]) for path in records] == list(range(1, len(records) + 1))
    for path in records:
        text = path.read_text(encoding="utf-8")
        assert text.startswith(f"# {int(path.name[:4])}. "), path.name
        assert re.search(r"^Date: \d{4}-\d\d-\d\d\. Status: (proposed|accepted|superseded by \d{4})\.$", text, re.MULTILINE), path.name
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"], path.name


def test_no_file_names_a_place_of_the_machine_that_it_was_written_on() -> None:
    place = re.compile(r"(?<![\w.])/(?:work|Users)/[\w.-]+|(?<![\w.])/root/[\w.]|/\.pyenv/")
    assert [(str(path), place.findall(text_of(path))) for path in files() if place.search(text_of(path))] == []


def test_only_ci_and_the_benchmarks_know_where_the_real_data_lies() -> None:
    name = re.compile("shared" + r"\W+(?:data|\.\.)")
    knowing = {str(path) for path in files() if name.search(text_of(path))}
    assert knowing <= {".ci/run", "benchmarks/nights.py", "tests/unit/test_house.py"}
