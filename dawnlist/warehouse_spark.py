"""The same dbt project on Spark SQL, for a warehouse that outgrows one machine: `warehouse.engine = "spark"`.

dbt works in the session of spark_jobs/session.py, with the catalogue in memory and the tables in the session's own folder, so that nothing
is left beside the home. The marts come back as the build database, which is put in place when it is complete: whatever follows
does not know which engine made them.
"""

import logging
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from dawnlist.duck import connect, scan
from dawnlist.files import replace_file
from dawnlist.mart_files import MARTS_SCHEMA
from dawnlist.settings import Settings
from dawnlist.warehouse import MARTS, Build, lake_tables, run_dbt
from spark_jobs.session import session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TARGET = "spark"
# The schemas of dbt_project.yml and of the profile, and the lake's.
SCHEMAS = ("main", "lake", "staging", "intermediate", "marts", "seeds")
# What dbt-spark and the profile set for the session, which may be another's.
SESSION_SETTINGS = ("spark.sql.ansi.enabled", "spark.sql.timestampType", "spark.sql.session.timeZone")
# Spark logs each query that fails; dbt tells of it.
_QUERY_LOGGER = "SQLQueryContextLogger"
_TYPES = {"VARCHAR": "STRING", "TIMESTAMP": "TIMESTAMP_NTZ"}
_ASIDE = ".spark-"


def build(settings: Settings, inputs: Build, *, data_tests: bool = True) -> None:
    """Make all models anew on Spark, test them (or not, without `data_tests`), and put their marts into the build database in one step.

    Raises TransformError, naming the models and tests that failed; the database of the night before then stays.
    """
    target = settings.warehouse_file
    target.parent.mkdir(parents=True, exist_ok=True)
    for left_behind in target.parent.glob(f"{_ASIDE}*"):
        shutil.rmtree(left_behind)
    folder = Path(mkdtemp(prefix=_ASIDE, dir=target.parent))
    try:
        with lake_on_spark(settings, inputs, folder) as spark:
            left_out = ["unit_test"] if data_tests else ["unit_test", "test"]
            run_dbt(settings, target, inputs, ["build", "--exclude-resource-type", *left_out], target=TARGET)
            marts = {mart: _data_files(spark, mart) for mart in MARTS}
            _keep_marts(settings, folder / target.name, marts)
        replace_file(folder / target.name, target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def lake_on_spark(settings: Settings, inputs: Build, folder: Path) -> "Iterator[SparkSession]":
    """A session whose schema `lake` has the pinned tables; all schemas of the project are gone afterwards. `folder` takes links to the lake's files."""
    logger = logging.getLogger(_QUERY_LOGGER)
    with session(settings) as spark:
        before, level = {name: spark.conf.get(name) for name in SESSION_SETTINGS}, logger.level
        logger.setLevel(logging.CRITICAL)
        try:
            _create_lake(spark, inputs, folder / "lake")
            yield spark
        finally:
            for schema in SCHEMAS:
                spark.sql(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
            for name, value in before.items():
                spark.conf.set(name, value)
            logger.setLevel(level)


def _create_lake(spark: "SparkSession", inputs: Build, folder: Path) -> None:
    spark.sql("CREATE SCHEMA IF NOT EXISTS lake")
    for name, (files, columns) in lake_tables(inputs).items():
        _link(files, folder / name)
        kinds = ", ".join(f"`{column}` {_spark_type(kind)}" for column, kind in columns.items())
        spark.sql(f"CREATE TABLE lake.`{name}` ({kinds}) USING parquet LOCATION {_literal(str(folder / name))}")


def _link(files: Iterable[Path], folder: Path) -> None:
    """A folder that holds exactly `files`: a table of Spark SQL is a folder, and a version of a lake table is a list of files.

    A column that a file does not have is NULL there, as the table names its columns itself.
    """
    folder.mkdir(parents=True)
    for number, path in enumerate(files):
        (folder / f"{number:06}{path.suffix}").symlink_to(path.resolve())


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _spark_type(kind: str) -> str:
    return _TYPES.get(kind, kind)


def _data_files(spark: "SparkSession", mart: str) -> list[Path]:
    # A table made by dbt has no other files than its own.
    return [Path(unquote(urlsplit(url).path)) for url in sorted(spark.table(f"{MARTS_SCHEMA}.{mart}").inputFiles())]


def _keep_marts(settings: Settings, database: Path, marts: Mapping[str, list[Path]]) -> None:
    with connect(settings, database) as connection:
        connection.execute(f"CREATE SCHEMA {MARTS_SCHEMA}")
        for mart, files in marts.items():
            connection.execute(f"CREATE TABLE {MARTS_SCHEMA}.{mart} AS SELECT * FROM {scan(files, {})}")
        connection.execute("CHECKPOINT")
