"""One night of a small simulated store through the command line, and what it promises to those who live with it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from dawnlist.export import verify
from dawnlist.lake import Lake
from dawnlist.settings import Settings, load
from dawnlist.simulate import DEFAULT_END_DATE

KEY = "the key of the acceptance tests"


def dawnlist(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("DAWNLIST_")}
    variables |= {"DAWNLIST_HOME": str(home), "DAWNLIST_PRIVACY__KEY": KEY, "COLUMNS": "120"}
    result = subprocess.run([sys.executable, "-m", "dawnlist.cli", *arguments], capture_output=True, text=True, timeout=400, env=variables, check=False)
    assert result.returncode == 0, result.stderr
    return result


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home in which the last night of 14 days has been run."""
    home = tmp_path_factory.mktemp("night")
    dawnlist(home, "simulate", "--users", "400", "--items", "80", "--days", "14", "--out", str(home / "landing" / "store"))
    dawnlist(home, "run", "--source", "store", "--run-date", str(DEFAULT_END_DATE))
    return load(home=home)


@pytest.fixture
def tables(settings: Settings) -> duckdb.DuckDBPyConnection:
    """The night's tables, the lake's and the served ones, as views."""
    connection = duckdb.connect()
    for lake in (Lake(settings.lake_dir), Lake(settings.night_dir(DEFAULT_END_DATE))):
        snapshot = lake.snapshot()
        for name in snapshot.tables:
            if snapshot.files(name):
                paths = [str(path) for path in snapshot.files(name)]
                connection.execute(
                    f"CREATE VIEW {'night_' if name in ('recommendations', 'similar_items', 'popular_items') else ''}{name} AS FROM read_parquet({paths})"
                )
    connection.execute(f"ATTACH '{settings.serving_file}' AS lists (READ_ONLY)")
    return connection


def rows(tables: duckdb.DuckDBPyConnection, query: str) -> list[tuple]:
    return tables.execute(query).fetchall()


def test_everybody_has_a_full_list_without_gaps(tables: duckdb.DuckDBPyConnection) -> None:
    query = """
        SELECT count(*), count(DISTINCT n), min(n), bool_and(last = n AND items = n), bool_and(user_id IS NOT NULL)
        FROM (SELECT user_id, count(*) AS n, max(rank) AS last, count(DISTINCT item_id) AS items FROM lists.serving.recommendations GROUP BY user_id)
        FULL JOIN dim_users ON user_id = person_id
    """
    people = rows(tables, "SELECT count(*) FROM dim_users")[0][0]
    assert people > 300
    assert rows(tables, query) == [(people, 1, 20, True, True)]


def test_without_consent_everybody_gets_the_same_list(tables: duckdb.DuckDBPyConnection) -> None:
    lists = rows(
        tables,
        "SELECT DISTINCT list(item_id ORDER BY rank), list(DISTINCT recommendations.source) FROM lists.serving.recommendations JOIN dim_users ON user_id = person_id "
        "WHERE NOT has_personalisation_consent GROUP BY user_id",
    )
    assert len(lists) == 1
    assert lists[0][1] == ["popular_global"]
    assert rows(tables, "SELECT count(*) FROM feat_user_activity JOIN dim_users USING (person_id) WHERE NOT has_personalisation_consent") == [(0,)]


def test_the_simulators_withdrawals_are_obeyed(settings: Settings, tables: duckdb.DuckDBPyConnection) -> None:
    landed = f"read_json('{settings.landing_dir('store')}/consents/*.jsonl.gz')"
    last = f"SELECT * FROM {landed} WHERE purpose = 'personalisation' QUALIFY row_number() OVER (PARTITION BY customer_id ORDER BY changed_at DESC) = 1"
    withdrawn = rows(tables, f"SELECT count(*) FROM ({last}) WHERE NOT granted")[0][0]
    assert withdrawn > 0
    denied = "SELECT user_id FROM consents WHERE purpose = 'personalisation' QUALIFY row_number() OVER (PARTITION BY user_id ORDER BY changed_at DESC) = 1 AND NOT is_granted"
    assert rows(tables, f"SELECT count(*) FROM ({denied})") == [(withdrawn,)]
    personal = f"SELECT count(*) FROM lists.serving.recommendations SEMI JOIN ({denied}) USING (user_id) WHERE source <> 'popular_global'"
    assert rows(tables, personal) == [(0,)]


def test_no_list_shows_what_is_blocked_unavailable_or_bought(tables: duckdb.DuckDBPyConnection) -> None:
    hidden = "SELECT item_id FROM dim_items WHERE is_blocked OR NOT is_available"
    assert rows(tables, f"SELECT count(*) > 0 FROM ({hidden})") == [(True,)]
    for table, column in (("recommendations", "item_id"), ("popular_items", "item_id"), ("similar_items", "item_id"), ("similar_items", "similar_item_id")):
        assert rows(tables, f"SELECT count(*) FROM lists.serving.{table} WHERE {column} IN ({hidden})") == [(0,)]
    bought = "SELECT DISTINCT person_id AS user_id, item_id FROM fct_interactions WHERE event_type = 'purchase' AND is_personal"
    assert rows(tables, f"SELECT count(*) FROM lists.serving.recommendations SEMI JOIN ({bought}) USING (user_id, item_id)") == [(0,)]


def test_no_record_is_lost(tables: duckdb.DuckDBPyConnection) -> None:
    wrong = "SELECT count(*) FROM ledger WHERE n_read <> n_kept + n_quarantined + n_duplicates + n_ignored"
    assert rows(tables, wrong) == [(0,)]
    assert rows(tables, "SELECT sum(n_kept) = (SELECT count(*) FROM events) FROM ledger WHERE input = 'events'") == [(True,)]
    assert rows(tables, "SELECT count(*) = count(DISTINCT event_id) FROM events") == [(True,)]
    assert rows(tables, "SELECT count(*) > 0 AND bool_and(reason IS NOT NULL AND file_name IS NOT NULL) FROM quarantine") == [(True,)]


def test_every_guarded_table_was_checked_and_nothing_critical_failed(tables: duckdb.DuckDBPyConnection) -> None:
    suites = {row[0] for row in rows(tables, "SELECT DISTINCT suite FROM gate_results")}
    assert {"events", "items", "customers", "consents", "day", "dim_users", "fct_interactions", "recommendations"} <= suites
    assert rows(tables, "SELECT count(*) FROM gate_results WHERE NOT is_success AND severity <> 'warning'") == [(0,)]


def test_the_bundle_is_whole_and_says_what_is_published(settings: Settings, tables: duckdb.DuckDBPyConnection) -> None:
    bundle = settings.exports_dir / "latest"
    verify(bundle)
    lines = (bundle / "users-00001.jsonl").read_text().splitlines()
    first = json.loads(lines[0])
    served = rows(tables, f"SELECT item_id FROM lists.serving.recommendations WHERE user_id = '{first['user_id']}' ORDER BY rank")
    assert [item["item_id"] for item in first["recommendations"]] == [row[0] for row in served]
    assert len(lines) == rows(tables, "SELECT count(*) FROM dim_users")[0][0]


def raw_identifiers(settings: Settings) -> set[str]:
    """Every raw id, e-mail address and name that the store's files hold."""
    landing, found = settings.landing_dir("store"), set()
    customers = duckdb.sql(f"SELECT DISTINCT unnest([customer_id, email, name]) FROM read_json('{landing}/customers/*.jsonl.gz')")
    found |= {row[0] for row in customers.fetchall()}
    columns = "{userId: 'VARCHAR', anonymousId: 'VARCHAR', context: 'JSON'}"
    lines = f"read_json('{landing}/events/*/*/*.gz', format = 'newline_delimited', columns = {columns}, ignore_errors = true)"
    events = f"SELECT DISTINCT unnest([userId, anonymousId, context->>'ip', context->>'userAgent']) FROM {lines}"
    found |= {row[0] for row in duckdb.sql(events).fetchall() if row[0]}
    return {value for value in found if len(value) >= 5}


def test_no_identifier_of_a_person_is_in_anything_that_the_run_wrote(settings: Settings) -> None:
    planted = raw_identifiers(settings)
    assert any("@" in value for value in planted)
    assert len(planted) > 800
    texts, n_parquet = [], 0
    for path in settings.home.rglob("*"):
        if not path.is_file() or path.is_relative_to(settings.home / "landing"):
            continue
        if path.suffix == ".parquet":
            n_parquet += 1
            strings = [
                f'"{name}"' for name, kind, *_ in duckdb.sql(f"DESCRIBE FROM read_parquet('{path}', hive_partitioning = false)").fetchall() if kind == "VARCHAR"
            ]
            for name in strings:
                values = {row[0] for row in duckdb.sql(f"SELECT DISTINCT {name} FROM read_parquet('{path}', hive_partitioning = false)").fetchall()}
                assert not values & planted, (path, name)
        elif path.suffix != ".duckdb":
            texts.append(path.read_bytes())
    texts += [database.read_bytes() for database in settings.home.rglob("*.duckdb")]
    assert n_parquet > 30
    content = b"\n".join(texts)
    assert not [value for value in planted if value.encode() in content]


def test_the_same_night_again_publishes_the_same_lists(settings: Settings) -> None:
    with duckdb.connect(str(settings.serving_file), read_only=True) as connection:
        before = connection.execute("SELECT content_hash FROM serving.publications ORDER BY sequence").fetchall()
    result = dawnlist(settings.home, "run", "--source", "store", "--run-date", str(DEFAULT_END_DATE))
    assert "the lists are the same" in " ".join(result.stdout.split())
    with duckdb.connect(str(settings.serving_file), read_only=True) as connection:
        after = connection.execute("SELECT content_hash FROM serving.publications ORDER BY sequence").fetchall()
    assert set(before) == set(after)
