"""train and recommend on a small night: everybody has a list, and nobody has what they must not have."""

import json
import shutil
from datetime import date, timedelta
from hashlib import md5
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from dawnlist import duck, explain
from dawnlist.errors import CorruptedError, MissingInputError
from dawnlist.lake import Lake
from dawnlist.settings import Candidates, MLflow, Ranker, Recommend, Refresh, Settings
from dawnlist.stages import recommend, train
from dawnlist.stages.base import Interval, Night, StageResult
from models import aliases, cadence, ranker, registry
from tests.unit.marts import Marts, at

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

RUN_DATE = date(2026, 3, 10)
CUTS = [RUN_DATE - timedelta(days=days) for days in (0, 3, 6)]  # the store's lists are judged by three days
N_PERSONS, N_ITEMS, DAYS = 140, 24, 12
LENGTH = 6
BLOCKED, UNAVAILABLE = "item00", "item01"


def person(name: object) -> str:
    return md5(f"{name}".encode(), usedforsecurity=False).hexdigest()


def taste(number: int) -> list[int]:
    """Even persons like the even items, odd persons the odd ones."""
    return [item for item in range(N_ITEMS) if item % 2 == number % 2]


def events() -> list[tuple[Any, ...]]:
    """On each day everybody views two items of their taste, in an order of their own; every seventh person has bought one. Strangers are anonymous."""
    viewed = [
        (person(number), f"item{taste(number)[(2 * day + step + number) % 12]:02d}", at(RUN_DATE - timedelta(days=DAYS - 1 - day), 8 + step), "view")
        for number in range(N_PERSONS)
        for day in range(DAYS)
        for step in range(2)
    ]
    bought = [(person(number), f"item{taste(number)[3]:02d}", at(RUN_DATE - timedelta(days=8)), "purchase") for number in range(0, N_PERSONS, 7)]
    strangers = [(None, "item05", at(RUN_DATE, 20, minute), "view") for minute in range(59)]
    return [*viewed, *bought, *strangers]


WITHOUT_CONSENT = [person(number) for number in (0, 1)]
USERS = {person(number): {"country": "SE" if number % 4 < 2 else "FI", "device": "phone"} for number in range(N_PERSONS)} | {
    person("new in SE"): {"country": "SE"},
    person("new on a phone"): {"device": "phone"},
    person("new"): {},
}
MARTS = Marts(CUTS, events(), {BLOCKED: {"is_blocked": True}, UNAVAILABLE: {"is_available": False}, "item23": {"category": "hats"}}, USERS, WITHOUT_CONSENT)


def opened(home: Path, marts: Marts, **changes: Any) -> Settings:
    sections = {
        "candidates": Candidates(als_factors=4, als_iterations=3, per_source=12, popular=12),
        "ranker": Ranker(trees=15, early_stopping=5),
        "recommend": Recommend(list_length=LENGTH),
        "mlflow": MLflow(enabled=False),
    }
    settings = Settings(home=home, **{**sections, **changes})
    Lake(settings.lake_dir).commit({}, run_id="test")
    night = Night.open(settings, RUN_DATE, run_id="test", training="there is no model yet")
    with duck.connect(settings) as connection:
        marts.write(connection, night.tables)
    return settings


def run(settings: Settings) -> tuple[StageResult, StageResult]:
    return train.run(settings, Interval.day(RUN_DATE), run_id="test"), recommend.run(settings, Interval.day(RUN_DATE), run_id="test")


def query(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    snapshot = Night.load(settings, RUN_DATE).tables.snapshot()
    with duck.connect(settings) as connection:
        for table in ("recommendations", "popular_items", "fct_interactions", "dim_users"):
            connection.execute(f"CREATE VIEW {table} AS FROM {duck.scan(snapshot.files(table), {})}")
        return connection.execute(sql).fetchall()


@pytest.fixture(scope="module")
def night(spark: "SparkSession", tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, StageResult, StageResult]:
    settings = opened(tmp_path_factory.mktemp("night") / "home", MARTS)
    return settings, *run(settings)


Night_ = tuple[Settings, StageResult, StageResult]


def test_everybody_has_a_full_list_with_ranks_from_one(night: Night_) -> None:
    settings, _, result = night
    lists = query(settings, "SELECT count(*), min(rank), max(rank), count(DISTINCT rank), count(DISTINCT item_id) FROM recommendations GROUP BY person_id")
    assert lists == [(LENGTH, 1, LENGTH, LENGTH, LENGTH)] * len(USERS)
    assert (result.rows_in, result.rows_out) == (len(USERS), LENGTH * len(USERS))
    assert result.counts["n_ranked_persons"] == N_PERSONS - len(WITHOUT_CONSENT)


def test_blocked_and_unavailable_items_are_on_no_list(night: Night_) -> None:
    settings = night[0]
    shown = {item for (item,) in query(settings, "SELECT item_id FROM recommendations UNION SELECT item_id FROM popular_items")}
    assert BLOCKED not in shown
    assert UNAVAILABLE not in shown
    assert len(shown) > LENGTH


def test_nobody_with_a_history_is_offered_what_they_have_bought(night: Night_) -> None:
    settings = night[0]
    bought = "SELECT person_id, item_id FROM fct_interactions WHERE event_type = 'purchase' AND is_personal"
    assert len(query(settings, bought)) == 19  # twenty buyers, one of them without consent
    assert query(settings, f"SELECT * FROM recommendations SEMI JOIN ({bought}) USING (person_id, item_id)") == []


def test_lists_follow_the_taste(night: Night_) -> None:
    settings = night[0]
    rows = query(settings, "SELECT person_id, item_id FROM recommendations WHERE rank <= 3")
    parity = {person(number): number % 2 for number in range(len(WITHOUT_CONSENT), N_PERSONS)}
    own = [int(item[-2:]) % 2 == parity[who] for who, item in rows if who in parity]
    assert sum(own) / len(own) > 0.95


def test_whoever_has_not_consented_gets_the_list_for_everybody(night: Night_) -> None:
    settings = night[0]
    everybody = query(settings, "SELECT item_id, score FROM popular_items WHERE scope = 'global' ORDER BY rank")
    for who in WITHOUT_CONSENT:
        rows = query(settings, f"SELECT item_id, score, source, reason FROM recommendations WHERE person_id = '{who}' ORDER BY rank")
        assert rows == [(item, score, "popular_global", "popular with everybody") for item, score in everybody]


@pytest.mark.parametrize(
    ("who", "scope", "value", "reason"),
    [
        ("new in SE", "country", "SE", "popular in your country"),
        ("new on a phone", "device", "phone", "popular on your device"),
        ("new", "global", "", "popular with everybody"),
    ],
)
def test_whoever_is_new_gets_what_is_popular_where_they_are(night: Night_, who: str, scope: str, value: str, reason: str) -> None:
    settings = night[0]
    expected = query(settings, f"SELECT item_id FROM popular_items WHERE scope = '{scope}' AND scope_value = '{value}' ORDER BY rank")
    found = query(settings, f"SELECT item_id, source, reason FROM recommendations WHERE person_id = '{person(who)}' ORDER BY rank")
    assert found == [(item, f"popular_{scope}", reason) for (item,) in expected]
    assert len(found) == LENGTH


def test_the_columns_are_the_contracts_and_every_reason_is_said(night: Night_) -> None:
    settings, trained, _ = night
    described = [name for name, *_ in query(settings, "DESCRIBE recommendations")]
    assert described == ["person_id", "rank", "item_id", "score", "source", "reason", "variant", "propensity", "model_version", "rules", "made_on"]
    assert query(settings, "SELECT count(*) FROM recommendations WHERE reason IS NULL OR score IS NULL OR variant IS NOT NULL OR propensity IS NOT NULL") == [
        (0,)
    ]
    assert query(settings, "SELECT DISTINCT model_version FROM recommendations") == [(trained.metrics["model_version"],)]


def test_the_ranker_is_judged_on_the_later_slice_and_beats_popularity(night: Night_) -> None:
    _, trained, _ = night
    metrics = trained.metrics
    assert metrics["cuts"] == {"training": "2026-03-04", "evaluation": "2026-03-07"}
    assert metrics["n_training_users"] == N_PERSONS - len(WITHOUT_CONSENT)
    assert metrics["n_users"] + metrics["n_stopping_users"] == metrics["n_training_users"]  # whoever stops the training judges nothing
    assert metrics["n_stopping_users"] > ranker.MIN_PERSONS
    low, middle, high = metrics["difference"]["ndcg@10"]
    assert 0 < low <= middle <= high
    assert middle == pytest.approx(metrics["ranker"]["ndcg@10"] - metrics["most_popular"]["ndcg@10"], abs=1e-5)
    assert metrics["served"] in {"ranker", *metrics["sources"]}


def test_the_same_night_again_gives_the_same_model_and_the_same_bytes(night: Night_) -> None:
    settings, trained, _ = night
    tables = Night.load(settings, RUN_DATE).tables
    before = tables.snapshot()
    again, _ = run(settings)
    after = tables.snapshot()
    assert again.metrics == trained.metrics
    for table in ("recommendations", "popular_items"):
        assert [file.sha256 for file in after.data_files(table)] == [file.sha256 for file in before.data_files(table)]


def test_scoring_in_spark_gives_the_same_bytes(night: Night_) -> None:
    settings, trained, _ = night
    assert trained.metrics["served"] == "ranker"
    tables = Night.load(settings, RUN_DATE).tables
    before = tables.snapshot()
    recommend.run(settings.model_copy(update={"ranker": settings.ranker.model_copy(update={"scoring": "spark"})}), Interval.day(RUN_DATE), run_id="test")
    after = tables.snapshot()
    assert [file.sha256 for file in after.data_files("recommendations")] == [file.sha256 for file in before.data_files("recommendations")]
    assert not (settings.scratch_dir / "frames").exists()


def test_a_changed_model_is_not_served(night: Night_, tmp_path: Path) -> None:
    settings = opened(tmp_path / "home", MARTS)
    version = night[1].metrics["model_version"]
    (settings.models_dir / version).mkdir(parents=True)
    (settings.models_dir / version / "metadata.json").write_text((night[0].models_dir / version / "metadata.json").read_text().replace("features", "traits"))
    (settings.night_dir(RUN_DATE) / "model.json").write_text(json.dumps({"version": version}))
    with pytest.raises(CorruptedError, match=version):
        recommend.run(settings, Interval.day(RUN_DATE), run_id="test")


def test_recommend_before_train_names_the_stage_to_run(tmp_path: Path) -> None:
    settings = opened(tmp_path / "home", MARTS)
    with pytest.raises(MissingInputError, match="dawnlist train"):
        recommend.run(settings, Interval.day(RUN_DATE), run_id="test")


def test_a_site_of_three_people_has_lists_without_a_ranker(spark: "SparkSession", tmp_path: Path) -> None:
    few = [
        (person("anna"), "item02", at(RUN_DATE - timedelta(days=1)), "view"),
        (person("bert"), "item03", at(RUN_DATE), "purchase"),
        (person("carl"), "item02", at(RUN_DATE), "view"),
    ]
    settings = opened(tmp_path / "home", Marts(CUTS, few))
    trained, _ = run(settings)
    assert trained.metrics["ranker"] is None
    assert trained.metrics["served"] == "fusion"
    assert any("No ranker" in note for note in trained.notes)
    lists = query(settings, "SELECT person_id, list(item_id ORDER BY rank) FROM recommendations GROUP BY person_id")
    assert dict(lists) == {person("anna"): ["item02", "item03"], person("bert"): ["item02"], person("carl"): ["item02", "item03"]}


def test_a_cap_on_categories_holds_for_the_whole_list(spark: "SparkSession", tmp_path: Path) -> None:
    hats = {f"item{number:02d}": {"category": "hats"} for number in range(0, N_ITEMS, 2)}
    marts = Marts(CUTS, events(), hats, USERS, WITHOUT_CONSENT)
    settings = opened(tmp_path / "home", marts, recommend=Recommend(list_length=LENGTH, max_per_category=2))
    run(settings)
    most = query(
        settings,
        "SELECT max(n) FROM (SELECT count(*) AS n FROM recommendations WHERE item_id[-1]::INT % 2 = 0 "
        "AND person_id IN (SELECT person_id FROM fct_interactions WHERE is_personal) GROUP BY person_id)",
    )
    assert most == [(2,)]


def test_the_lists_of_the_dormant_stand_till_their_day_and_nobody_elses(night: Night_, tmp_path: Path) -> None:
    """The day after, on which nobody came but every tenth person, one more has withdrawn, and item02 is gone. Everybody else is dormant, and has a list of their own every second day."""
    home = shutil.copytree(night[0].home, tmp_path / "home")  # the drift that this night sees is not for the others
    settings = night[0].with_(
        home=home, refresh=Refresh(dormant_after_days=1, dormant_every_days=2), recommend=night[0].recommend.model_copy(update={"expires_days": 7})
    )
    day, withdrawn = RUN_DATE + timedelta(days=1), person(11)
    came = [person(number) for number in range(10, N_PERSONS, 10)]
    marts = Marts(
        [day],
        [*events(), *((who, "item05", at(day, 9), "view") for who in came)],
        MARTS.items | {"item02": {"is_available": False}},
        USERS,
        [*WITHOUT_CONSENT, withdrawn],
    )
    with duck.connect(settings) as connection:
        marts.write(connection, Night.open(settings, day, run_id="dormant").tables)
    train.run(settings, Interval.day(day), run_id="dormant")
    result = recommend.run(settings, Interval.day(day), run_id="dormant")
    with duck.connect(settings) as connection:
        for name, run_date in (("before", RUN_DATE), ("now", day)):
            files = Night.load(settings, run_date).tables.snapshot().files("recommendations")
            connection.execute(f"CREATE VIEW {name} AS FROM {duck.scan(files, {})}")
        carried = {who for (who,) in connection.execute(f"SELECT DISTINCT person_id FROM now WHERE made_on = DATE '{RUN_DATE}'").fetchall()}
        had_item02 = {who for (who,) in connection.execute("SELECT DISTINCT person_id FROM before WHERE item_id = 'item02'").fetchall()}
        assert connection.execute(f"SELECT count(*) FROM (SELECT * FROM now WHERE made_on = DATE '{RUN_DATE}' EXCEPT FROM before)").fetchall() == [(0,)]
        assert connection.execute("SELECT count(DISTINCT person_id), count(*) FROM now").fetchall() == [(len(USERS), LENGTH * len(USERS))]
        assert connection.execute("SELECT count(*) FROM now WHERE item_id = 'item02'").fetchall() == [(0,)]
        assert connection.execute(f"SELECT DISTINCT source FROM now WHERE person_id = '{withdrawn}'").fetchall() == [("popular_global",)]
    days = (day - date(1970, 1, 1)).days
    expected = {
        person(number)
        for number in range(len(WITHOUT_CONSENT), N_PERSONS)
        if int.from_bytes(md5(person(number).encode(), usedforsecurity=False).digest(), "little") % 2 != days % 2
    } - {*came, withdrawn, *had_item02}
    assert carried == expected
    assert explain.explain(settings, min(expected), day, n_features=0)["run_date"] == str(RUN_DATE)
    assert 0 < len(expected) == result.counts["n_carried_persons"] < result.counts["n_ranked_persons"]


NEXT = RUN_DATE + timedelta(days=3)  # a label window later


@pytest.fixture(scope="module")
def later(night: Night_) -> tuple[Settings, StageResult, StageResult]:
    """A night that does not train, in which half of the people have come to like what they did not: its marts have no features of cuts."""
    settings = night[0]
    opened_later = Night.open(settings, NEXT, run_id="later")
    turned = [
        (person(number), f"item{taste(number + number // 70)[(2 * day + step + number) % 12]:02d}", at(NEXT - timedelta(days=2 - day), 8 + step), "view")
        for number in range(N_PERSONS)
        for day in range(3)
        for step in range(2)
    ]
    marts = Marts([NEXT], [*events(), *turned], MARTS.items, USERS, WITHOUT_CONSENT)
    with duck.connect(settings) as connection:
        marts.write(connection, opened_later.tables)
    interval = Interval.day(NEXT)
    return settings, train.run(settings, interval, run_id="later"), recommend.run(settings, interval, run_id="later")


def test_the_first_model_is_champion_and_keeps_what_it_was_made_of(night: Night_) -> None:
    settings, trained, _ = night
    version = trained.metrics["model_version"]
    known = aliases.read(settings.models_dir)
    assert (known.champion, known.challenger) == (version, None)
    assert (known.history[0].action, known.history[0].reason) == ("promoted", "there is no champion that can serve")
    checks = known.history[0].checks
    assert checks["popularity"]["value"] == pytest.approx(trained.metrics["difference_served"]["ndcg@10"][0], abs=0.02)
    files = registry.load(settings.models_dir, version).metadata["files"]
    assert set(files) == {"ranker.txt", "judged.txt", "reference.json", "als_item_factors.parquet"}
    columns = duckdb.read_parquet(str(settings.models_dir / version / "als_item_factors.parquet")).columns
    assert columns == ["item_id", "factors"]


def test_a_night_that_does_not_train_serves_the_champion_and_says_so(night: Night_, later: Night_) -> None:
    _, trained, recommended = later
    version = night[1].metrics["model_version"]
    assert (trained.metrics["model_version"], trained.rows_out) == (version, 0)
    assert trained.notes == [
        f"not trained: the champion {version} serves; to train, run `dawnlist open --train --run-date {NEXT}` and `dawnlist transform --run-date {NEXT}`, then this again"
    ]
    assert (recommended.metrics["model_version"], recommended.rows_out) == (version, LENGTH * len(USERS))


def test_lists_that_lost_their_worth_ask_the_next_night_to_train(later: Night_) -> None:
    settings, _, recommended = later
    assert recommended.metrics["decay"] > settings.drift.max_decay
    why = recommended.metrics["asks_for_training"]
    assert "its lists reached less than the model's held-out figure" in why
    known = aliases.read(settings.models_dir)
    assert known.requests == {str(NEXT): why}
    day = NEXT + timedelta(days=1)
    assert cadence.reason(known, day, every_days=7, is_asked=False) == f"drift in the night of {NEXT}: {why}"


def test_training_without_the_features_of_the_cuts_says_what_to_run(later: Night_) -> None:
    settings = later[0]
    record = settings.night_dir(NEXT) / "night.json"
    before = record.read_text()
    Night.open(settings, NEXT, run_id="asked", training="it was asked for")
    with pytest.raises(MissingInputError, match=f"run `dawnlist transform --run-date {NEXT}`, then this again"):
        train.run(settings, Interval.day(NEXT), run_id="asked")
    record.write_text(before)


def test_a_night_before_all_models_has_none_and_says_how_to_train(later: Night_) -> None:
    settings, day = later[0], RUN_DATE - timedelta(days=1)
    Night.open(settings, day, run_id="backfill")
    with pytest.raises(MissingInputError, match=f"There is no model for the night of {day}: run `dawnlist open --train"):
        train.run(settings, Interval.day(day), run_id="backfill")
    assert cadence.reason(aliases.read(settings.models_dir), day, every_days=7, is_asked=False) == "all models are of later nights"
