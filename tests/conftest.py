"""What all tests share: a clean environment, and the real data where the machine has it."""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

REAL_DATA = "DAWNLIST_REAL_DATA"
# How many files each real data set has: fewer means that it is not all there.
REAL_DATA_FILES = {"online_retail": 305, "globo_news": 216, "deskdrop": 1, "cdnow": 1}
NOT_RUN = pytest.StashKey[list[str]]()
NOT_RUN_OUTPUT = "dawnlist_not_run"
LONGEST = ("acceptance", "integration", "dags", "faults", "contract")
# Files that one process takes, where several share the tests (pytest-xdist): Spark, dbt and the site of the faults are then made ready once.
TOGETHER = {
    "spark": (
        "acceptance/test_real_data.py",
        "contract/test_recommenders.py",
        "integration/test_day_checks.py",
        "integration/test_incremental.py",
        "integration/test_key_rotation.py",
        "integration/test_recommend_stage.py",
        "integration/test_segment_stage.py",
        "integration/test_transform.py",
        "unit/test_als.py",
        "unit/test_item_to_item.py",
        "unit/test_segments.py",
    ),
    "faults": ("faults/",),
}
AIRFLOW_HOME = pytest.StashKey["tempfile.TemporaryDirectory[str]"]()


def pytest_configure(config: pytest.Config) -> None:
    """Airflow makes its home as soon as it is imported: not the caller's."""
    config.stash[AIRFLOW_HOME] = tempfile.TemporaryDirectory(prefix="airflow-")
    os.environ["AIRFLOW_HOME"] = config.stash[AIRFLOW_HOME].name


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[AIRFLOW_HOME].cleanup()


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Take the caller's DAWNLIST_ variables away from the test, and give it a home of its own."""
    for name in os.environ:
        if name.startswith("DAWNLIST_") and name != REAL_DATA:
            monkeypatch.delenv(name)
    monkeypatch.setenv("DAWNLIST_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """`real_data("globo_news")` is the folder of that data set. A test that asks for it is run only where DAWNLIST_REAL_DATA is set."""
    return lambda name: real_data_folder(Path(os.environ[REAL_DATA]), name)


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[SparkSession]":
    """One local Spark for all tests that want it; a stage that opens a session meanwhile gets this one."""
    from dawnlist.settings import Settings, Spark
    from spark_jobs.session import session

    home = tmp_path_factory.mktemp("spark")
    with session(Settings(home=home, spark=Spark(master="local[2]", driver_memory="2g", shuffle_partitions=2))) as running:
        yield running


@pytest.fixture(scope="session")
def one_dbt_parse() -> Iterator[None]:
    """dbt parses the project once for all homes: see tests/dbt_parse.py."""
    from tests import dbt_parse

    with dbt_parse.shared():
        yield


def real_data_folder(root: Path, name: str) -> Path:
    """The folder of the real data set `name` below `root`; fails the test when files are missing."""
    folder = root.absolute() / name
    n_files = sum(path.is_file() for path in folder.rglob("*"))
    if n_files < REAL_DATA_FILES[name]:
        pytest.fail(f"{REAL_DATA} is set, but {folder} has {n_files} of {REAL_DATA_FILES[name]} files.", pytrace=False)
    return folder


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """Mark the tests that ask for `real_data`; without DAWNLIST_REAL_DATA, take them out and remember their names.

    Then the folders whose files take longest go first, for the processes that share the files to end at one time.
    """
    wanting = [item for item in items if "real_data" in getattr(item, "fixturenames", ())]
    for item in wanting:
        item.add_marker("real_data")
    config.stash[NOT_RUN] = [] if os.environ.get(REAL_DATA) else sorted(item.nodeid for item in wanting)
    if config.stash[NOT_RUN]:
        config.hook.pytest_deselected(items=wanting)
        items[:] = [item for item in items if item not in wanting]
    yield
    items.sort(key=lambda item: next((place for place, folder in enumerate(LONGEST) if folder in item.path.parts), len(LONGEST)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """`--dist loadfile`, with the files of TOGETHER as if they were one."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = str(super()._split_scope(nodeid))
            return next((name for name, parts in TOGETHER.items() if file.removeprefix("tests/").startswith(parts)), file)

    return Scheduling(config, log)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """One of several processes (pytest-xdist): tell the one that writes the summary."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput[NOT_RUN_OUTPUT] = session.config.stash[NOT_RUN]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    node.config.stash[NOT_RUN] = getattr(node, "workeroutput", {}).get(NOT_RUN_OUTPUT, [])


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> Iterator[None]:
    """Name the tests that were not run for want of real data."""
    yield
    names = config.stash.get(NOT_RUN, [])
    if names:
        terminalreporter.section(f"not run: {REAL_DATA} is not set")
        for name in names:
            terminalreporter.line(name)
