"""A new key, with an overlap: whoever is seen meanwhile stays one person, from the landed file to the serving tables.

Day 1 has the old key, day 2 both, day 3 the new one alone. anna comes every day, dora on days 2 and 3, carl on days 1 and 3; bob's
consent is withdrawn on day 1 and he comes on day 2. eve is a device that logs in on day 2.
"""

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from dawnlist import privacy
from dawnlist.errors import SettingsError
from dawnlist.identity import resolve
from dawnlist.lake import Lake
from dawnlist.privacy import Key, load_key
from dawnlist.settings import MLflow, Settings, Site, load
from dawnlist.stages import execute
from dawnlist.stages.base import Interval, Night

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.usefixtures("one_dbt_parse")

SHOP = """
description: a shop
user_namespace: "shop:"
consent_default: granted
horizon_days: 1
exclude_bought: false
inputs:
  events:
    path: "events-*.csv"
    format: csv
    file_time: "%Y-%m-%d"
    period: day
    columns: {occurred_at: at, user_id: user, anonymous_id: device, item_id: item, search_term: query}
    event_type: [{type: view}]
  customers:
    path: "customers-*.csv"
    format: csv
    columns: {user_id: user, updated_at: at, registered_at: registered, country: country}
  consents:
    path: "consents-*.csv"
    format: csv
    columns: {user_id: user, purpose: purpose, is_granted: granted, changed_at: at}
"""
DAYS = [date(2026, 1, day) for day in (5, 6, 7)]
VISITS = {
    1: [("anna", "phone", "lamp"), ("anna", "phone", "rug"), ("bob", "", "lamp"), ("bob", "", "mug"), ("carl", "", "rug"), ("", "eves-tablet", "mug")],
    2: [("anna", "", "mug"), ("", "phone", "pen"), ("bob", "", "pen"), ("dora", "", "lamp"), ("eve", "eves-tablet", "rug")],
    3: [("anna", "", "rug"), ("carl", "", "mug"), ("dora", "", "mug")],
}


@dataclass
class Story:
    """Who was who on each of the three nights, and the keys of each day."""

    settings: Settings
    keys: dict[int, Key] = field(default_factory=dict)
    persons: dict[int, dict[str, str]] = field(default_factory=dict)


def land(folder: Path, number: int) -> None:
    day, visits = DAYS[number - 1], VISITS[number]
    lines = [
        f"{day} 10:{minute:02}:00,{user},{device},{item},{'mail to anna@example.com' if minute == 0 else ''}"
        for minute, (user, device, item) in enumerate(visits)
    ]
    (folder / f"events-{day}.csv").write_text("\n".join(["at,user,device,item,query", *lines]) + "\n")
    if number < 3:
        (folder / f"customers-{day}.csv").write_text(f"at,user,registered,country\n{day} 09:00:00,anna,2025-12-31,{'DE' if number == 1 else 'NL'}\n")
    if number == 1:
        (folder / f"consents-{day}.csv").write_text(f"at,user,purpose,granted\n{day} 11:00:00,bob,personalisation,false\n")


def take_in(story: Story, number: int) -> None:
    """Land and ingest a day."""
    land(story.settings.landing_dir("shop"), number)
    for stage in ("ingest", "validate"):
        execute(story.settings, stage, Interval.day(DAYS[number - 1]), run_id=f"{stage}-{number}")
    story.keys[number] = load_key(story.settings)
    aside = Lake(story.settings.home / "aside")
    with duckdb.connect() as connection:
        persons = resolve(connection, Lake(story.settings.lake_dir).snapshot(), DAYS[number - 1], aside).persons
        assert persons is not None
        rows = connection.execute(f"FROM '{aside.root / persons.path}'").fetchall()
    story.persons[number] = {alias: person for alias, person, _, _ in rows}


@pytest.fixture(scope="module")
def story(spark: "SparkSession", tmp_path_factory: pytest.TempPathFactory) -> Story:
    root = tmp_path_factory.mktemp("rotation")
    (root / "sources").mkdir()
    (root / "sources" / "shop.yml").write_text(SHOP)
    (root / "landing").mkdir()
    settings = load(home=root / "home", landing=str(root / "landing"), sources_dir=root / "sources", site=Site(sources=("shop",)), mlflow=MLflow(enabled=False))
    told = Story(settings)
    take_in(told, 1)
    privacy.rotate(settings)
    take_in(told, 2)
    for stage in ("open", "transform", "train", "recommend", "publish"):
        execute(settings, stage, Interval.day(DAYS[1]), run_id=f"{stage}-2")
    privacy.previous_key_path(settings).unlink()
    take_in(told, 3)
    return told


def ids(story: Story, name: str) -> tuple[str, str]:
    """The old and the new id of a user."""
    return story.keys[1].pseudonym("shop:", name), story.keys[3].pseudonym("shop:", name)


def night(story: Story, sql: str) -> list[tuple]:
    """`sql` over the tables of the night of day 2."""
    tables = Night.load(story.settings, DAYS[1]).tables.snapshot()
    with duckdb.connect() as connection:
        for name in tables.tables:
            if tables.files(name):
                connection.execute(f"CREATE VIEW {name} AS FROM read_parquet({[str(path) for path in tables.files(name)]})")
        return connection.execute(sql).fetchall()


def test_the_overlap_has_both_keys_and_no_more(story: Story) -> None:
    assert [key.previous.key_id if key.previous else None for key in story.keys.values()] == [None, story.keys[1].key_id, None]
    assert story.keys[2].key_id == story.keys[3].key_id != story.keys[1].key_id


def test_whoever_is_seen_in_the_overlap_keeps_the_person(story: Story) -> None:
    old, new = ids(story, "anna")
    assert [story.persons[number][old] for number in (1, 2, 3)] == [old] * 3
    assert [story.persons[number][new] for number in (2, 3)] == [old] * 2
    phone_old, phone_new = (key.pseudonym("shop:anonymous:", "phone") for key in (story.keys[1], story.keys[2]))
    assert story.persons[3][phone_old] == story.persons[3][phone_new] == old


def test_a_device_of_the_old_key_belongs_to_the_user_who_logs_in_under_both(story: Story) -> None:
    tablet = story.keys[1].pseudonym("shop:anonymous:", "eves-tablet")
    assert story.persons[1][tablet] == tablet
    assert story.persons[2][tablet] == ids(story, "eve")[0]


def test_whoever_is_new_in_the_overlap_stays_the_same_after_it(story: Story) -> None:
    old, new = ids(story, "dora")
    assert story.persons[2][new] == story.persons[3][new] == story.persons[3][old] == old


def test_whoever_misses_the_overlap_is_somebody_new(story: Story) -> None:
    old, new = ids(story, "carl")
    assert story.persons[3][old] == old
    assert story.persons[3][new] == new


def test_marts_have_one_row_for_a_person_of_two_ids(story: Story) -> None:
    anna = ids(story, "anna")[0]
    assert {row[0] for row in night(story, "SELECT person_id FROM dim_users")} == {ids(story, name)[0] for name in ("anna", "bob", "carl", "dora", "eve")}
    profile = f"SELECT registered_at::DATE, country, n_events FROM dim_users WHERE person_id = '{anna}'"
    assert night(story, profile) == [(date(2025, 12, 31), "NL", 4)]  # what the new id's record says is the newer
    assert night(story, f"SELECT count(*) FROM fct_interactions WHERE person_id = '{anna}'") == [(4,)]


def test_a_consent_that_was_withdrawn_under_the_old_id_holds(story: Story) -> None:
    bob = ids(story, "bob")[0]
    assert night(story, f"SELECT has_personalisation_consent, n_events FROM dim_users WHERE person_id = '{bob}'") == [(False, None)]
    assert night(story, f"SELECT count(*) FROM feat_user_activity WHERE person_id = '{bob}'") == [(0,)]


def test_the_served_list_is_found_under_both_ids(story: Story) -> None:
    with duckdb.connect(str(story.settings.serving_file), read_only=True) as connection:
        for name in ("anna", "bob", "dora"):
            query = "SELECT list(item_id ORDER BY rank) FROM serving.user_aliases JOIN serving.recommendations USING (user_id) WHERE alias_id = ?"
            old, new = (connection.execute(query, [one]).fetchone() for one in ids(story, name))
            assert old == new
            assert old != (None,)
        listed = {row[0] for row in connection.execute("SELECT DISTINCT user_id FROM serving.recommendations").fetchall()}
    assert listed == {row[0] for row in night(story, "SELECT person_id FROM dim_users")}
    assert not listed & {ids(story, name)[1] for name in ("anna", "bob", "carl", "dora", "eve")}


def test_a_row_that_lands_again_after_the_rotation_is_no_new_event(story: Story) -> None:
    """Ids of rows without one are hashes; their salt outlives the key."""
    folder = story.settings.landing_dir("shop")
    again = (folder / f"events-{DAYS[0]}.csv").read_text().splitlines()
    (folder / f"events-{DAYS[2]}-again.csv").write_text("\n".join(again) + "\n\n")
    rows = Lake(story.settings.lake_dir).snapshot().rows("events")
    for stage in ("ingest", "validate"):
        execute(story.settings, stage, Interval.day(DAYS[2]), run_id=f"{stage}-again")
    assert Lake(story.settings.lake_dir).snapshot().rows("events") == rows


def test_an_overlap_must_end_before_the_next_rotation(tmp_path: Path) -> None:
    settings = load(home=tmp_path)
    first = load_key(settings)
    second = privacy.rotate(settings)
    assert second.previous is not None
    assert second.previous.key_id == first.key_id
    assert privacy.previous_key_path(settings).stat().st_mode & 0o777 == 0o600
    assert second.salt == first.salt
    with pytest.raises(SettingsError, match="overlap already. End that overlap first"):
        privacy.rotate(settings)
