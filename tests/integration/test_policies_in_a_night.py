"""recommend with rules, caps and exploration, and `dawnlist explain` of what it made."""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from dawnlist import duck, explain, privacy, sources
from dawnlist.cli import app
from dawnlist.errors import MissingInputError, SettingsError
from dawnlist.lake import Lake
from dawnlist.settings import Recommend, Settings
from dawnlist.stages import recommend
from dawnlist.stages.base import Interval, Night, StageResult
from tests.integration.test_recommend_stage import BLOCKED, LENGTH, MARTS, N_PERSONS, RUN_DATE, USERS, WITHOUT_CONSENT, opened, person, query, run

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

RULES = f"""
rules:
  - {{id: gone, action: exclude, items: [item05]}}
  - {{id: only-in-finland, action: restrict, items: [item07], when: {{countries: [FI]}}}}
  - {{id: campaign, action: pin, items: [item22, {BLOCKED}], position: 2, reason: of the week}}
  - {{id: for-friends, action: pin, items: [item23], position: 1, when: {{segments: [friends]}}}}
  - {{id: last-year, action: pin, items: [item21], position: 1, last_day: 2026-03-09}}
  - {{id: nowhere, action: boost, items: [item99], factor: 3, when: {{segments: [nobody]}}}}
"""
FRIENDS = [person(number) for number in (0, 5, 6)]  # person 0 has not consented: nothing may be known of them
RAW, SEEN_AS = "customer-5", person(5)
SLOT = 4  # one slot of six places: the fourth


@pytest.fixture(scope="module")
def night(spark: "SparkSession", tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, StageResult]:
    home = tmp_path_factory.mktemp("ruled") / "home"
    rules = home.parent / "rules.yml"
    rules.write_text(RULES)
    settings = opened(home, MARTS, rules_file=rules, recommend=Recommend(list_length=LENGTH, exploration_share=0.17, exploration_pool=10))
    add(Night.load(settings, RUN_DATE).tables, settings)
    return settings, run(settings)[1]


def add(tables: Lake, settings: Settings) -> None:
    """Segments, and the pseudonym of a raw id."""
    [source] = sources.of_site(settings)
    alias = privacy.load_key(settings).pseudonym(source.user_namespace, RAW)
    friends = " UNION ALL ".join(f"SELECT '{who}' AS person_id, 'cluster' AS kind, 'friends' AS segment_label, true AS is_current" for who in FRIENDS)
    with duck.connect(settings) as connection:
        # The stage segment leaves out who has not consented; here it has not, and nothing may come of it.
        files = {"dim_user_segments": tables.write(connection, "dim_user_segments", friends)}
        files["persons"] = tables.write(
            connection, "persons", f"SELECT '{alias}' AS alias_id, '{SEEN_AS}' AS person_id, 'store' AS source, false AS is_anonymous"
        )
    tables.commit({table: [file] if file else [] for table, file in files.items()}, run_id="made")


Night_ = tuple[Settings, StageResult]


def test_excluded_items_are_on_no_list_and_restricted_ones_where_they_may_be(night: Night_) -> None:
    settings, _ = night
    shown = "SELECT item_id FROM recommendations UNION ALL SELECT item_id FROM popular_items"
    assert query(settings, f"SELECT count(*) FROM ({shown}) WHERE item_id = 'item05'") == [(0,)]
    countries = query(settings, "SELECT DISTINCT country FROM recommendations JOIN dim_users USING (person_id) WHERE item_id = 'item07'")
    assert countries == [("FI",)]
    assert query(settings, "SELECT DISTINCT scope, scope_value FROM popular_items WHERE item_id = 'item07'") in ([], [("country", "FI")])


def test_pins_hold_for_everybody_and_conditions_only_with_consent(night: Night_) -> None:
    settings, _ = night
    rows = query(settings, "SELECT person_id, rank, reason, rules FROM recommendations WHERE list_contains(rules, 'campaign')")
    assert {row[0] for row in rows} == set(USERS)
    assert {row[1] for row in rows} == {2}
    assert {row[2] for row in rows} == {"of the week"}
    friends = query(settings, "SELECT person_id, rank, item_id, source FROM recommendations WHERE list_contains(rules, 'for-friends') ORDER BY person_id")
    assert [row[:3] for row in friends] == [(who, 1, "item23") for who in sorted(FRIENDS[1:])]
    assert query(settings, f"SELECT count(*) FROM recommendations WHERE item_id = '{BLOCKED}'") == [(0,)]


def test_every_list_is_full_and_every_person_with_a_history_has_one_drawn_item(night: Night_) -> None:
    settings, result = night
    assert query(settings, "SELECT DISTINCT n FROM (SELECT count(*) AS n FROM recommendations GROUP BY person_id)") == [(LENGTH,)]
    drawn = query(settings, "SELECT person_id, rank, propensity FROM recommendations WHERE source = 'exploration'")
    # Whoever has met all items that could be drawn gets none.
    assert 0 < len({row[0] for row in drawn}) == len(drawn) <= N_PERSONS - len(WITHOUT_CONSENT)
    assert all(rank == SLOT and 0.1 <= propensity <= 1 for _, rank, propensity in drawn)
    assert not {row[0] for row in drawn} & set(WITHOUT_CONSENT)
    assert [note for note in result.notes if note.startswith("rule ")] == [
        "rule nowhere: nothing tonight has these items: item99",
        "rule nowhere: nothing tonight has these segments: nobody",
    ]


def test_contributions_and_bias_make_the_score(night: Night_) -> None:
    settings, result = night
    assert result.metrics["served"] == "ranker"
    found = explain.explain(settings, SEEN_AS, RUN_DATE, n_features=3)
    items = found["items"]
    listed = query(settings, f"SELECT rank, item_id, score, source FROM recommendations WHERE person_id = '{SEEN_AS}' ORDER BY rank")
    assert [(item["rank"], item["item_id"], item["score"], item["source"]) for item in items] == listed
    assert found["note"] is None
    scored = [item for item in items if item["bias"] is not None and item["source"] not in ("rule", "exploration")]
    assert len(scored) >= 3
    for item in scored:
        parts = [one["contribution"] for one in item["features"]]
        assert len(parts) == 3 or item["other_features"] == 0
        assert parts
        assert sorted(parts, key=abs, reverse=True) == parts
        assert item["bias"] + sum(parts) + item["other_features"] == pytest.approx(item["score"], abs=1e-4)
    assert all(any(one["source"] == item["source"] for one in item["proposals"]) for item in scored)


def test_rules_draws_and_model_are_told(night: Night_) -> None:
    settings, result = night
    found = explain.explain(settings, SEEN_AS, RUN_DATE, n_features=3)
    assert found["model_version"] == result.metrics["model_version"]
    assert [item["rules"] for item in found["items"]][:2] == [["for-friends"], ["campaign"]]
    assert [item["item_id"] for item in found["items"]][:2] == ["item23", "item22"]


def test_a_raw_id_leads_to_the_same_list_and_json_says_the_same(night: Night_, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, _ = night
    monkeypatch.setenv("DAWNLIST_RECOMMEND__LIST_LENGTH", str(LENGTH))
    monkeypatch.setenv("DAWNLIST_CANDIDATES__POPULAR", "12")
    monkeypatch.setenv("DAWNLIST_CANDIDATES__PER_SOURCE", "12")
    done = CliRunner().invoke(app, ["explain", "--user", RAW, "--run-date", str(RUN_DATE), "--home", str(settings.home), "--format", "json", "--features", "3"])
    assert json.loads(done.output) == json.loads(json.dumps(explain.explain(settings, SEEN_AS, RUN_DATE, n_features=3)))
    table = CliRunner().invoke(app, ["explain", "--user", SEEN_AS, "--home", str(settings.home)]).output
    assert all(word in table for word in ("item23", "for-friends", "everybody's bias", "of the week"))


def test_scores_that_no_longer_come_out_are_noted(night: Night_) -> None:
    settings, _ = night
    other = settings.with_(candidates=settings.candidates.model_copy(update={"sources": ("als",), "per_source": 1, "popular": 1}))
    assert "come out differently: settings of candidates have changed" in explain.explain(other, SEEN_AS, RUN_DATE, n_features=3)["note"]


def test_whoever_has_not_consented_is_not_looked_at(night: Night_) -> None:
    settings, _ = night
    items = explain.explain(settings, WITHOUT_CONSENT[0], RUN_DATE, n_features=3)["items"]
    assert {item["source"] for item in items} <= {"popular_global", "rule"}
    assert all(item["bias"] is None and item["features"] == () for item in items)


def test_an_id_that_nobody_has_is_told_without_repeating_it(night: Night_) -> None:
    settings, _ = night
    with pytest.raises(MissingInputError, match="has no list of this person") as refused:
        explain.explain(settings, "somebody@example.org", RUN_DATE, n_features=3)
    assert "somebody" not in str(refused.value)


def test_a_mistake_in_the_rules_stops_the_stage_and_leaves_the_lists(night: Night_, tmp_path: Path) -> None:
    settings, _ = night
    home = tmp_path / "home"
    shutil.copytree(settings.home, home)
    rules = tmp_path / "rules.yml"
    rules.write_text("rules:\n  - {id: a, action: pin, items: [item02]}\n")
    broken = settings.with_(home=home, rules_file=rules)
    before = listed(broken)
    with pytest.raises(SettingsError, match=r"rules.yml:2: rules.0: a pin must have a position"):
        recommend.run(broken, Interval.day(RUN_DATE), run_id="broken")
    assert listed(broken) == before


def listed(settings: Settings) -> list[Any]:
    return [file.sha256 for file in Night.load(settings, RUN_DATE).tables.snapshot().data_files("recommendations")]
