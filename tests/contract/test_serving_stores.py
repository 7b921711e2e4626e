"""What both serving stores promise. Postgres is a real server, started for these tests."""

import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import psycopg2
import pytest
from pydantic import SecretStr

from dawnlist.columns import SERVING_TABLES
from dawnlist.duck import connect
from dawnlist.errors import LockedError, MissingInputError, PublicationError, ServingError, SettingsError
from dawnlist.serving import open_store
from dawnlist.settings import Serving, Settings
from dawnlist.stages import publish
from dawnlist.stages.base import Interval
from tests import nights
from tests.nights import ANN, ANNS_PHONE, BOB, EVE, RUN_DATE
from tests.published import MORNING, NEXT_DATE, publish_night, published


@pytest.fixture
def on_postgres(database: str, tmp_path: Path) -> Settings:
    return nights.settings_in(tmp_path / "site", serving=Serving(url=SecretStr(database)))


@pytest.fixture
def on_duckdb(tmp_path: Path) -> Settings:
    return nights.settings_in(tmp_path / "site")


def session(settings: Settings) -> Any:
    """A client of the Postgres database, as a website has one."""
    assert settings.serving.url
    return psycopg2.connect(settings.serving.url.get_secret_value())


def test_an_id_leads_to_the_list_of_its_person(settings: Settings) -> None:
    publish_night(settings)
    lookup = (
        "SELECT rank, item_id FROM published.serving.user_aliases JOIN published.serving.recommendations USING (user_id) WHERE alias_id = '{}' ORDER BY rank"
    )
    assert published(settings, lookup.format(ANNS_PHONE)) == [(1, "lamp"), (2, "mug"), (3, "pen")]
    assert published(settings, lookup.format(BOB)) == [(1, "pen"), (2, "lamp")]
    assert published(settings, lookup.format(EVE)) == [(1, "mug")]  # not in persons, and found all the same


def test_rows_carry_their_origin_and_expire_days_after_the_end_of_the_run_date(settings: Settings) -> None:
    publish_night(settings, run_id="run-7")
    query = f"SELECT score, source, reason, variant, propensity, model_version, run_id, published_at, expires_at FROM published.serving.recommendations WHERE user_id = '{BOB}' AND rank = 2"
    assert published(settings, query) == [(0.5, "als", "because of lamp", None, None, "model-1", "run-7", MORNING, datetime(2026, 11, 24))]


def test_what_people_are_now_is_published_and_what_they_were_is_not(settings: Settings) -> None:
    publish_night(settings)
    found = published(settings, "SELECT user_id, kind, segment, segment_label FROM published.serving.user_segments ORDER BY ALL")
    tags = [(ANN, "tag", tag, tag) for tag in ("gift giver", "night owl")]
    assert found == [(ANN, "cluster", "0", "loyal"), *tags, (BOB, "cluster", "1", "new"), (BOB, "segment", "vip", "vip")]
    assert published(settings, "SELECT DISTINCT run_id, expires_at FROM published.serving.user_segments") == [("run-1", datetime(2026, 11, 24))]


def test_items_that_may_not_be_shown_leave_the_common_lists_and_the_ranks_close_up(settings: Settings) -> None:
    publish_night(settings)
    similar = published(settings, "SELECT item_id, rank, similar_item_id FROM published.serving.similar_items ORDER BY ALL")
    assert similar == [("lamp", 1, "mug"), ("lamp", 2, "pen"), ("mug", 1, "lamp")]
    popular = published(settings, "SELECT scope, scope_value, rank, item_id FROM published.serving.popular_items ORDER BY ALL")
    assert popular == [("country", "DE", 1, "pen"), ("global", "", 1, "mug")]


def test_the_next_night_replaces_the_lists_and_the_history_grows(settings: Settings) -> None:
    publish_night(settings)
    result = publish_night(settings, NEXT_DATE, run_id="run-2", lists={ANN: ["rug"]})
    assert published(settings, "SELECT user_id, item_id, run_id FROM published.serving.recommendations") == [(ANN, "rug", "run-2")]
    history = open_store(settings).publications()
    assert [(entry.sequence, entry.run_date, entry.run_id, entry.n_users, entry.n_recommendations) for entry in history] == [
        (1, RUN_DATE, "run-1", 3, 6),
        (2, NEXT_DATE, "run-2", 1, 1),
    ]
    assert result.counts == {"recommendations": 1, "similar_items": 3, "popular_items": 2, "user_segments": 5, "user_aliases": 3, "n_users": 1}


def test_an_older_day_is_published_only_by_force(settings: Settings) -> None:
    publish_night(settings, NEXT_DATE)
    with pytest.raises(PublicationError, match="--force"):
        publish_night(settings, RUN_DATE, run_id="run-2")
    assert [entry.run_date for entry in open_store(settings).publications()] == [NEXT_DATE]
    publish_night(settings, RUN_DATE, run_id="run-3", force=True)
    assert [entry.run_date for entry in open_store(settings).publications()] == [NEXT_DATE, RUN_DATE]


def test_the_same_night_again_has_the_same_content_hash(settings: Settings) -> None:
    first, second = publish_night(settings), publish_night(settings, run_id="run-2")
    assert second.metrics["content_hash"] == first.metrics["content_hash"]
    assert second.notes == ["the lists are the same as those of publication 1"]
    third = publish_night(settings, run_id="run-3", lists={ANN: ["lamp", "mug", "pen"], BOB: ["lamp", "pen"], EVE: ["mug"]})
    assert third.metrics["content_hash"] != first.metrics["content_hash"]


def test_both_stores_give_a_night_the_same_content_hash(on_duckdb: Settings, on_postgres: Settings) -> None:
    assert publish_night(on_duckdb).metrics["content_hash"] == publish_night(on_postgres).metrics["content_hash"]


def rows_of(table: str, change: Callable[[list[Any]], list[Any]]) -> dict[str, list[Any]]:
    return {table: change([list(row) for row in nights.tables()[table][1]])}


BROKEN = {
    "ranks are not 1, 2, 3": rows_of("recommendations", lambda rows: rows[1:]),
    "name an item twice in recommendations": {"lists": {ANN: ["lamp", "lamp"]}},
    "item_id is blocked, unavailable or unknown in recommendations": {"lists": {ANN: ["lamp"], BOB: ["blocked"]}},
    "1 rows whose item_id is blocked, unavailable or unknown": {"lists": {ANN: ["never heard of"]}},
    "scores that are no number in recommendations": rows_of("recommendations", lambda rows: [[*row[:3], "nan", *row[4:]] for row in rows]),
    "1 ids lead to more than one person": rows_of("persons", lambda rows: [*rows, [ANN, BOB]]),
    "recommendations is empty": {"recommendations": []},
    "popular_items is empty": {"popular_items": []},
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_failed_audit_leaves_what_was_published(settings: Settings, fault: str) -> None:
    publish_night(settings)
    with pytest.raises(PublicationError, match=fault):
        publish_night(settings, NEXT_DATE, run_id="run-2", **BROKEN[fault])
    assert published(settings, "SELECT DISTINCT run_id FROM published.serving.recommendations") == [("run-1",)]
    assert [entry.run_id for entry in open_store(settings).publications()] == ["run-1"]
    assert not list(settings.serving_file.parent.glob(".serving-*"))


def test_nothing_published_yet_says_what_to_do(settings: Settings) -> None:
    assert open_store(settings).publications() == []
    with pytest.raises(MissingInputError, match="dawnlist publish"):
        published(settings, "SELECT 1")


def test_a_reader_beside_publications_sees_one_of_them_whole(settings: Settings) -> None:
    publish_night(settings)
    seen: list[Any] = []
    done = threading.Event()
    query = """
        SELECT (SELECT arg_max(run_id, sequence) FROM published.serving.publications), min(run_id), max(run_id), count(*)
        FROM published.serving.recommendations"""

    def read() -> None:
        while not done.is_set():
            seen.extend(published(settings, query))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(2, 6):
        publish.run(settings, Interval.day(RUN_DATE), run_id=f"run-{number}", published_at=MORNING)
    done.set()
    reader.join()
    assert seen
    assert set(seen) <= {(f"run-{number}", f"run-{number}", f"run-{number}", 6) for number in range(1, 6)}


def test_a_website_that_reads_postgres_never_misses_a_list(on_postgres: Settings) -> None:
    publish_night(on_postgres)
    connection = session(on_postgres)
    connection.autocommit = True
    seen: list[Any] = []
    done = threading.Event()

    def read() -> None:
        cursor = connection.cursor()
        while not done.is_set():
            cursor.execute(
                "SELECT count(*), count(DISTINCT run_id) FROM serving.user_aliases JOIN serving.recommendations USING (user_id) WHERE alias_id = %s", (ANN,)
            )
            seen.append(cursor.fetchone())

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(2, 6):
        publish.run(on_postgres, Interval.day(RUN_DATE), run_id=f"run-{number}", published_at=MORNING)
    done.set()
    reader.join()
    connection.close()
    assert set(seen) == {(3, 1)}


def test_rights_on_a_postgres_table_pass_to_its_successor(on_postgres: Settings) -> None:
    publish_night(on_postgres)
    connection = session(on_postgres)
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute('DROP ROLE IF EXISTS "web site"; CREATE ROLE "web site"; GRANT SELECT ON serving.recommendations TO "web site"')
    publish.run(on_postgres, Interval.day(RUN_DATE), run_id="run-2", published_at=MORNING)
    cursor.execute(
        "SELECT has_table_privilege('web site', 'serving.recommendations', 'SELECT'), has_table_privilege('web site', 'serving.popular_items', 'SELECT')"
    )
    assert cursor.fetchone() == (True, False)
    cursor.execute('REVOKE ALL ON serving.recommendations FROM "web site"; DROP ROLE "web site"')
    connection.close()


def test_the_roles_of_the_settings_may_read_what_is_theirs(database: str, tmp_path: Path) -> None:
    serving = Serving(url=SecretStr(database), website_role='the "site"', analyst_role="analysts")
    site = nights.settings_in(tmp_path / "site", serving=serving)
    connection = psycopg2.connect(database)
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute('DROP ROLE IF EXISTS "the ""site"""; DROP ROLE IF EXISTS analysts; CREATE ROLE analysts')
    with pytest.raises(ServingError, match=r'role "the "site"" does not exist. Create the role .* What was published before stays.'):
        publish_night(site)
    cursor.execute('CREATE ROLE "the ""site"""')
    for number in range(2):
        publish_night(site, run_id=f"run-{number}")
    rights = "SELECT has_table_privilege(%s, 'serving.' || name, 'SELECT') FROM unnest(ARRAY['recommendations', 'user_aliases', 'publications']) WITH ORDINALITY AS t (name, n) ORDER BY n"
    found = []
    for role in ('the "site"', "analysts"):
        cursor.execute(rights, (role,))
        found.append([may for (may,) in cursor.fetchall()])
        cursor.execute("SELECT has_table_privilege(%s, 'serving.recommendations', 'INSERT, UPDATE, DELETE')", (role,))
        assert cursor.fetchone() == (False,)
    assert found == [[True, True, False], [True, True, True]]
    cursor.execute('DROP SCHEMA serving CASCADE; DROP ROLE "the ""site"""; DROP ROLE analysts')
    connection.close()


def test_autovacuum_is_not_in_the_way_of_the_next_swap(on_postgres: Settings, database: str) -> None:
    """It would begin after a publication of many rows, and hold the table longer than a swap waits; Postgres calls it off after a second of waiting, a swap waits less."""
    publish_night(on_postgres)
    with psycopg2.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'serving'::regnamespace AND relkind = 'r' AND reloptions @> '{autovacuum_enabled=false}'"
        )
        assert {table for (table,) in cursor.fetchall()} == set(SERVING_TABLES)
        cursor.execute("SELECT reltuples FROM pg_class WHERE oid = 'serving.recommendations'::regclass")
        assert cursor.fetchone() == (float(sum(map(len, nights.LISTS.values()))),)  # analyzed by the publication itself
    connection.close()


def test_what_a_killed_publication_left_in_postgres_is_cleared_away(on_postgres: Settings) -> None:
    publish_night(on_postgres)
    connection = session(on_postgres)
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute("CREATE TABLE serving.recommendations__000002 (left_over text); CREATE TABLE serving.notes__1 (of_somebody_else text)")
    publish.run(on_postgres, Interval.day(RUN_DATE), run_id="run-2", published_at=MORNING)
    cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'serving' ORDER BY 1")
    assert [name for (name,) in cursor.fetchall()] == [
        "notes__1",
        "popular_items",
        "publications",
        "recommendations",
        "similar_items",
        "user_aliases",
        "user_segments",
    ]
    connection.close()


def test_a_second_publisher_in_the_same_database_is_kept_out(on_postgres: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from dawnlist.serving import postgres_store

    monkeypatch.setattr(postgres_store, "PUBLISHER_WAIT", "100ms")
    publish_night(on_postgres)
    holder = session(on_postgres)
    holder.cursor().execute(f"SELECT pg_advisory_lock({postgres_store.ADVISORY_LOCK})")
    with pytest.raises(LockedError):
        publish.run(on_postgres, Interval.day(RUN_DATE), run_id="run-2", published_at=MORNING)
    holder.close()
    assert len(open_store(on_postgres).publications()) == 1


def test_a_swap_waits_for_a_long_reader_and_gives_up_without_harm(on_postgres: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from dawnlist.serving import postgres_store

    monkeypatch.setattr(postgres_store, "SWAP_ATTEMPTS", 2)
    publish_night(on_postgres)
    reader = session(on_postgres)
    cursor = reader.cursor()
    cursor.execute("SELECT count(*) FROM serving.similar_items")  # the transaction stays open
    with pytest.raises(LockedError, match="reading transaction"):
        publish.run(on_postgres, Interval.day(RUN_DATE), run_id="run-2", published_at=MORNING)
    cursor.execute("SELECT DISTINCT run_id FROM serving.recommendations")
    assert cursor.fetchall() == [("run-1",)]
    reader.close()


def test_an_unreachable_database_is_told_without_its_password(tmp_path: Path) -> None:
    settings = nights.settings_in(tmp_path, serving=Serving(url=SecretStr("postgresql://web:s3cretword@127.0.0.1:1/site")))
    nights.write(settings)
    with pytest.raises(ServingError, match=r"Cannot reach .*127\.0\.0\.1:1/site.*Connection refused") as caught:
        publish.run(settings, Interval.day(RUN_DATE), run_id="run-1")
    assert "s3cretword" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "url",
    [
        "mysql://web:s3cretword@host/site",
        "postgresql://web:s3cret%word@host/site",
        "postgresql://web:s3cret@word@host/site",
        "postgresql://web:s3cretword@host:port/site",
    ],
)
def test_a_malformed_url_is_refused_without_repeating_it(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError, match="DAWNLIST_SERVING__URL") as caught:
        open_store(nights.settings_in(tmp_path, serving=Serving(url=SecretStr(url))))
    assert "s3cret" not in str(caught.value)


def test_the_duckdb_file_is_read_by_schema_and_table(on_duckdb: Settings) -> None:
    publish_night(on_duckdb)
    with duckdb.connect(str(on_duckdb.serving_file), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM serving.recommendations").fetchall() == [(6,)]
        assert connection.execute("SELECT index_name FROM duckdb_indexes() ORDER BY 1").fetchall() == [
            ("recommendations_by_user_id",),
            ("similar_items_by_item_id",),
            ("user_aliases_by_alias_id",),
            ("user_segments_by_user_id",),
        ]


def test_who_has_the_old_duckdb_file_open_keeps_reading_it(on_duckdb: Settings) -> None:
    publish_night(on_duckdb)
    with connect(on_duckdb) as reader, open_store(on_duckdb).published(reader):
        publish_night(on_duckdb, NEXT_DATE, run_id="run-2", lists={ANN: ["rug"]})
        assert reader.execute("SELECT count(*) FROM published.serving.recommendations").fetchall() == [(6,)]
    assert published(on_duckdb, "SELECT count(*) FROM published.serving.recommendations") == [(1,)]


def test_a_damaged_duckdb_file_is_named_and_left_alone(on_duckdb: Settings) -> None:
    nights.write(on_duckdb)
    on_duckdb.serving_file.parent.mkdir(parents=True)
    on_duckdb.serving_file.write_text("no database" * 1000)
    with pytest.raises(ServingError, match="move it away"):
        publish.run(on_duckdb, Interval.day(RUN_DATE), run_id="run-1", published_at=MORNING)
    assert on_duckdb.serving_file.read_text().startswith("no database")
