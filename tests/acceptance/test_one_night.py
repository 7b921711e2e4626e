"""One night of a small simulated store through the command line, and what it promises to those who live with it."""

import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pytest
from typer.testing import CliRunner

from dawnlist import privacy
from dawnlist.cli import app
from dawnlist.export import verify
from dawnlist.lake import Lake
from dawnlist.settings import PROJECT, Settings, load
from dawnlist.simulate import DEFAULT_END_DATE
from dawnlist.simulate.judge import judge

KEY = "the key of the acceptance tests"
COOKBOOK_DIR = PROJECT / "docs" / "queries"
WORD, REMAINDERS = 8, 1_000_003


def dawnlist(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("DAWNLIST_")}
    variables |= {"DAWNLIST_HOME": str(home), "DAWNLIST_PRIVACY__KEY": KEY, "COLUMNS": "120", "DAWNLIST_SPARK__SHUFFLE_PARTITIONS": "2"}
    result = subprocess.run([sys.executable, "-m", "dawnlist.cli", *arguments], capture_output=True, text=True, timeout=400, env=variables, check=False)
    assert result.returncode == 0, result.stderr
    return result


# What no field of an event may carry past the door, wherever a client puts it.
PLANTED = {
    "email": "planted.person@mail.example",
    "phone": "+49 170 5550123",
    "name": "Planted Personname",
    "ip": "198.51.100.77",
    "latitude": "52.5200661",
    "longitude": "13.4049543",
    "agent": "Mozilla/5.0 (X11; Planted x86_64) Gecko/20100101",
    "user": "planted-user-4711",
    "device": "planted-device-4711",
}


PLANTED_FILE = f"events/date={DEFAULT_END_DATE}/hour=10/planted.jsonl.gz"


def plant(path: Path) -> None:
    """Land five lines that carry the planted identifiers in every field that may hold text: one is kept, four go to quarantine or are ignored."""
    said = f"I am at {PLANTED['latitude']}, {PLANTED['longitude']}: {PLANTED['email']} or {PLANTED['phone']} from {PLANTED['ip']}"
    line = {
        "type": "track",
        "event": "Products Searched",
        "messageId": "planted-0",
        "userId": PLANTED["user"],
        "anonymousId": PLANTED["device"],
        "timestamp": f"{DEFAULT_END_DATE}T09:59:00Z",
        "traits": PLANTED,
        "context": {
            "ip": PLANTED["ip"],
            "userAgent": PLANTED["agent"],
            "device": {"type": PLANTED["agent"], "id": PLANTED["device"]},
            "os": {"name": PLANTED["agent"]},
            "location": {"country": "DE", "latitude": float(PLANTED["latitude"]), "longitude": float(PLANTED["longitude"])},
            "referrer": {"type": f"https://{PLANTED['email']}:secret@search.example/find?by={PLANTED['user']}#{PLANTED['device']}"},
            "campaign": {"name": said},
        },
        "properties": {"query": said, "list_id": said, "share_via": {"to": PLANTED["email"], "phone": PLANTED["phone"], "agent": PLANTED["agent"]}},
    }
    changes: list[dict[str, object]] = [{}, {"timestamp": "never"}, {"event": "Identity Shared"}, {"type": "identify"}]
    lines = [json.dumps(line | {"messageId": f"planted-{number}"} | change) for number, change in enumerate(changes)]
    path.write_bytes(gzip.compress("\n".join([*lines, lines[0][:-40]]).encode()))


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home in which the last night of 14 days has been run."""
    home = tmp_path_factory.mktemp("night")
    dawnlist(home, "simulate", "--users", "400", "--items", "80", "--days", "14", "--out", str(home / "landing" / "store"))
    plant(home / "landing" / "store" / PLANTED_FILE)
    dawnlist(home, "run", "--source", "store", "--run-date", str(DEFAULT_END_DATE))
    return load(home=home)


@pytest.fixture
def tables(settings: Settings) -> duckdb.DuckDBPyConnection:
    """The night's tables, the lake's and the served ones, as views; of a name that both have the night's."""
    connection = duckdb.connect()
    for lake in (Lake(settings.lake_dir), Lake(settings.night_dir(DEFAULT_END_DATE))):
        snapshot = lake.snapshot()
        for name in snapshot.tables:
            if snapshot.files(name):
                paths = [str(path) for path in snapshot.files(name)]
                connection.execute(
                    f"CREATE OR REPLACE VIEW {'night_' if name in ('recommendations', 'similar_items', 'popular_items') else ''}{name} AS FROM read_parquet({paths})"
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


def test_the_persons_are_the_visitors_as_far_as_anything_shows_it(settings: Settings) -> None:
    """Found pairs of ids beside the truth: nobody is taken for somebody else, and most of what a login shows is found."""
    lake, night = Lake(settings.lake_dir).snapshot(), Lake(settings.night_dir(DEFAULT_END_DATE)).snapshot()
    with duckdb.connect() as connection:
        found = judge(connection, settings.landing_dir("store") / "truth", night.files("persons"), lake.files("identity_edges"), key=privacy.Key(KEY.encode()))
    assert found.n_findable > 200
    assert found.precision >= 0.99
    assert found.recall_of_findable >= 0.9
    assert found.recall >= 0.6


def test_an_operator_splits_a_person_of_the_night(settings: Settings, tables: duckdb.DuckDBPyConnection) -> None:
    owner, device = rows(
        tables,
        "SELECT min(person_id), min(alias_id) FROM persons SEMI JOIN (SELECT anonymous_id AS alias_id FROM events WHERE user_id IS NOT NULL) USING (alias_id) "
        "WHERE alias_id <> person_id AND NOT is_anonymous GROUP BY person_id HAVING count(*) > 1 ORDER BY 1 LIMIT 1",
    )[0]
    shown = json.loads(dawnlist(settings.home, "identity", "show", device, "--json").stdout)
    assert shown["person"][0]["person_id"] == owner
    assert device in {row["device_id"] for row in shown["logins"]}
    dawnlist(settings.home, "identity", "split", device, "--from", owner, "--note", "sold")
    assert "sold" in dawnlist(settings.home, "identity", "corrections").stdout
    dawnlist(settings.home, "identity", "undo", device, "--from", owner)
    assert [row["holds"] for row in json.loads(dawnlist(settings.home, "identity", "corrections", "--json").stdout)] == ["False", "False"]


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
    assert rows(tables, "SELECT count(*) FROM gate_results WHERE NOT is_success AND severity IN ('critical', 'row')") == [(0,)]


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


def columns_of(home: Path) -> Iterator[tuple[str, set[str]]]:
    """Every column of every Parquet file and DuckDB table below `home` but landing: its place, and its distinct values as text."""
    with duckdb.connect(config={"threads": 1}) as connection:  # the tables are small
        for number, path in enumerate(written(home)):
            if path.suffix == ".parquet":
                relations = [f"read_parquet('{path}', hive_partitioning = false)"]
            elif path.suffix == ".duckdb":
                connection.execute(f"ATTACH '{path}' AS file_{number} (READ_ONLY)")
                listed = connection.execute(f"SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'file_{number}'").fetchall()
                relations = [f'file_{number}."{schema}"."{table}"' for schema, table in listed]
            else:
                continue
            for relation in relations:
                names = [name for name, *_ in connection.execute(f"DESCRIBE FROM {relation}").fetchall()]
                (row,) = connection.execute(f"SELECT list(DISTINCT CAST(COLUMNS(*) AS VARCHAR)) FROM {relation}").fetchall()
                for name, values in zip(names, row, strict=True):
                    yield f"{path}: {relation}.{name}", set(filter(None, values or ()))


def written(home: Path) -> list[Path]:
    return [path for path in home.rglob("*") if path.is_file() and not path.is_relative_to(home / "landing")]


def found_in(content: bytes, values: set[bytes]) -> list[bytes]:
    """Those of `values` that `content` holds. It is read once, and not once for each value: all its words of eight bytes are looked up by remainder."""
    wanted: dict[bytes, list[bytes]] = {}
    for value in values:
        wanted.setdefault(value[:WORD], []).append(value)
    is_wanted = np.zeros(REMAINDERS, dtype=bool)
    is_wanted[[int.from_bytes(word, "little") % REMAINDERS for word in wanted if len(word) == WORD]] = True
    found = {value for value in values if len(value) < WORD and value in content}
    for offset in range(min(WORD, len(content) - WORD + 1)):
        numbers = np.frombuffer(content, "<u8", count=(len(content) - offset) // WORD, offset=offset)
        for place in (np.flatnonzero(is_wanted[numbers % np.uint64(REMAINDERS)]) * WORD + offset).tolist():
            found |= {value for value in wanted.get(content[place : place + WORD], ()) if content.startswith(value, place)}
    return sorted(found)


def bytes_of(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def test_the_report_tells_of_the_night_and_of_no_person(settings: Settings, tables: duckdb.DuckDBPyConnection) -> None:
    page = (settings.reports_dir / "latest" / "index.html").read_text(encoding="utf-8")
    [(n_people,)] = tables.execute("SELECT count(DISTINCT user_id) FROM lists.serving.recommendations").fetchall()
    assert f'<dd class="value">{n_people:,}</dd>' in page
    assert "another form than this release reads" not in page
    known = {alias for (alias,) in tables.execute("SELECT alias_id FROM lists.serving.user_aliases").fetchall()}
    assert known.isdisjoint(re.findall(r"[0-9a-f]{32}", page))


def test_no_identifier_of_a_person_is_in_anything_that_the_run_wrote(settings: Settings) -> None:
    """Nor in what the commands around quarantine print, which read the landed lines again."""
    shown = ("show", "--content", "--file", PLANTED_FILE, "--json")
    said = [dawnlist(settings.home, "quarantine", *arguments).stdout for arguments in (("list", "--json"), shown, ("replay",))]
    assert "Identity Shared" in said[1]
    assert "in quarantine" in said[2]
    known, planted = raw_identifiers(settings), set(PLANTED.values())
    assert any("@" in value for value in known)
    assert len(known) > 800
    n_columns = 0
    for place, values in columns_of(settings.home):
        n_columns += 1
        assert not values & known, place
        text = "\n".join(values)
        assert not [value for value in planted if value in text], place
    assert n_columns > 300
    content = b"\n".join([*(bytes_of(path) for path in written(settings.home)), *(text.encode() for text in said)])
    assert found_in(content, {value.encode() for value in known | planted}) == []
    mail, address = PLANTED["email"].encode(), b"mail"  # the search finds what is there, wherever it begins
    assert [found_in(b"." * offset + mail, {mail, address, b"nowhere"}) for offset in range(WORD)] == [[address, mail]] * WORD


def test_what_a_visitor_typed_is_kept_without_what_identifies(tables: duckdb.DuckDBPyConnection) -> None:
    kept = rows(tables, "SELECT search_term, referrer, device, os, properties FROM events WHERE search_term LIKE 'I am at%'")
    said = "I am at [redacted], [redacted]: [redacted] or [redacted] from [redacted]"
    assert [row[:4] for row in kept] == [(said, "https://search.example/find", "[redacted]", "[redacted]")]
    properties = json.loads(kept[0][4])
    assert {name: value for name, value in properties.items() if isinstance(value, str)} == {"campaign": said, "list_id": said}
    assert {value for value in properties["share_via"].values() if value} == {"[redacted]"}


# Rows that each query of the cookbook gives over this night, fewest and most.
COOKBOOK = {
    "revenue_by_week": (2, 4),
    "daily_kpis": (14, 14),
    "conversion_funnel": (3, 3),
    "cohort_retention": (3, 10),
    "rfm_segments": (2, 11),
    "rfm_segment_moves": (2, 132),
    "top_items_by_category": (3, 240),
    "trending_items": (20, 20),
    "abandoned_items": (20, 20),
    "revenue_concentration": (10, 10),
    "time_between_purchases": (1, 5),
    "sessions_by_device": (2, 5),
    "sessions_by_hour": (100, 168),
    "entry_items": (20, 20),
    "price_bands": (4, 4),
    "bots_by_day": (0, 60),
    "late_data": (1, 15),
    "quarantine_reasons": (1, 50),
    "consent_share": (3, 3),
    "list_coverage": (2, 2),
    "list_of_a_person": (20, 20),
    "identity_changes": (0, 50),
    "segments": (2, 9),
    "failed_checks": (0, 50),
}


def test_the_cookbook_lists_its_queries() -> None:
    index = (COOKBOOK_DIR / "README.md").read_text(encoding="utf-8")
    files = sorted(path.name for path in COOKBOOK_DIR.glob("*.sql"))
    assert [name[3:-4] for name in files] == list(COOKBOOK)
    for name in files:
        question, grain, *_ = (COOKBOOK_DIR / name).read_text(encoding="utf-8").splitlines()
        assert f"| [{name}]({name}) | {question.removeprefix('-- ')} | {grain.removeprefix('-- One row per ').split('.')[0]} |" in index


@pytest.mark.parametrize("path", sorted(COOKBOOK_DIR.glob("*.sql")), ids=lambda path: path.stem)
def test_a_query_of_the_cookbook_gives_one_row_per_grain(settings: Settings, path: Path) -> None:
    sql = path.read_text(encoding="utf-8")
    shown = CliRunner().invoke(app, ["query", "--file", str(path), "--home", str(settings.home)])
    assert shown.exit_code == 0, shown.output
    with duckdb.connect(str(settings.analytics_file), read_only=True) as connection:
        found = connection.sql(sql)
        columns, answer = found.columns, found.fetchall()
    fewest, most = COOKBOOK[path.stem[3:]]
    assert fewest <= len(answer) <= most
    grain = [name for name in re.findall(r"\w+", sql.splitlines()[1].removeprefix("-- One row per ").split(".")[0]) if name != "and"]
    assert set(grain) <= set(columns)
    keys = [tuple(row[columns.index(name)] for name in grain) for row in answer]
    assert len(set(keys)) == len(keys)


def test_the_cookbook_agrees_with_the_marts(settings: Settings, tables: duckdb.DuckDBPyConnection) -> None:
    """Totals come out again: revenue over the weeks and over the days, sessions over the hours of the week, people over the purposes."""

    def total(query: str, column: str) -> object:
        (path,) = COOKBOOK_DIR.glob(f"*_{query}.sql")
        with duckdb.connect(str(settings.analytics_file), read_only=True) as connection:
            return connection.sql(f"SELECT sum({column}) FROM ({path.read_text(encoding='utf-8')})").fetchall()[0][0]

    revenue = rows(tables, "SELECT sum(net_revenue) FROM fct_orders")[0][0]
    assert revenue > 0
    assert total("revenue_by_week", "net_revenue") == total("daily_kpis", "net_revenue") == revenue
    assert total("sessions_by_hour", "n_sessions") == rows(tables, "SELECT count(*) FROM fct_sessions")[0][0]
    assert total("consent_share", "n_persons") == rows(tables, "SELECT 3 * count(*) FROM dim_users")[0][0]


@pytest.mark.long
def test_the_same_night_again_publishes_the_same_lists(settings: Settings) -> None:
    with duckdb.connect(str(settings.serving_file), read_only=True) as connection:
        before = connection.execute("SELECT content_hash FROM serving.publications ORDER BY sequence").fetchall()
    result = dawnlist(settings.home, "run", "--source", "store", "--run-date", str(DEFAULT_END_DATE))
    assert "the lists are the same" in " ".join(result.stdout.split())
    with duckdb.connect(str(settings.serving_file), read_only=True) as connection:
        after = connection.execute("SELECT content_hash FROM serving.publications ORDER BY sequence").fetchall()
    assert set(before) == set(after)
