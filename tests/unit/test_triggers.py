"""Triggers: in whom a condition has held for long enough, how click-through is counted, and when it has fallen."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from dawnlist import duck, segment_history, triggers
from dawnlist.columns import EVENTS
from dawnlist.lake import Lake
from dawnlist.rules import Condition, Rules, Trigger
from dawnlist.settings import Settings
from dawnlist.stages import trigger as trigger_stage
from dawnlist.stages.base import Night
from dawnlist.triggers import Clicks
from models import aliases, frame, registry
from models.aliases import Aliases, Decision
from tests import nights
from tests.nights import ANN, ANNS_PHONE, BOB, EVE, RUN_DATE

WIN_BACK = {"id": "win-back", "when": {"feature": "engagement_score", "below": 20}, "for_days": 3, "then": {"tag": "win_back"}}
DAY = timedelta(days=1)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


def trigger(**changes: Any) -> Trigger:
    return Rules.model_validate({"triggers": [{**WIN_BACK, **changes}]}).triggers[0]


def night(settings: Settings, day: int, scores: Mapping[str, float], *asked: Trigger, consenting: Sequence[str] = (ANN, BOB)) -> list[str]:
    """Judge a night of March as the stage does, and keep it. Who fired."""
    run_date = date(2026, 3, day)
    tables = Lake(settings.night_dir(run_date))
    with duck.connect(settings) as connection:
        rows = " UNION ALL ".join(f"SELECT '{person}' AS person_id, {score}::DOUBLE AS score" for person, score in sorted(scores.items()))
        activity = f"SELECT person_id, DATE '{run_date}' AS feature_date, score AS engagement_score, if(score > 50, 'DE', NULL) AS country FROM ({rows})"
        file = tables.write(connection, "feat_user_activity", f"{activity} ORDER BY ALL") if rows else None
        tables.commit({"feat_user_activity": [file] if file else []}, run_id="test")
        connection.execute("CREATE TABLE clusters (person_id VARCHAR)")
        connection.executemany("INSERT INTO clusters VALUES (?)", [[person] for person in consenting])
        triggers.create_tables(connection)
        triggers.judge_persons(connection, asked or (trigger(),), Lake(settings.lake_dir).snapshot(), tables.snapshot(), run_date)
        queries = {table: f"FROM {table} ORDER BY ALL" for table in (triggers.STATES, triggers.NIGHTS)}
        segment_history.record(settings, connection, run_date, queries, run_id="test")
        return [person for (person,) in connection.execute(f"SELECT person_id FROM {triggers.FIRINGS} ORDER BY 1").fetchall()]


def test_a_trigger_fires_when_it_has_held_in_every_night_of_its_days(settings: Settings) -> None:
    assert night(settings, 1, {ANN: 19, BOB: 19}) == []
    assert night(settings, 2, {ANN: 3, BOB: 20}) == [], "two days; and 20 is not below 20"
    assert night(settings, 3, {ANN: 19.9, BOB: 1}) == [ANN]
    assert night(settings, 4, {ANN: 25, BOB: 1}) == []
    assert night(settings, 5, {ANN: 19, BOB: 1}) == [BOB], "from the 3rd on; Ann begins anew"


def test_days_without_a_night_count_by_their_dates(settings: Settings) -> None:
    assert night(settings, 1, {ANN: 19, BOB: 30}) == []
    assert night(settings, 4, {ANN: 19, BOB: 19}) == [ANN], "from the 1st to the 4th nothing else is known"
    assert night(settings, 5, {ANN: 19, BOB: 19}) == [ANN], "Bob: the 4th and the 5th are two days"
    assert night(settings, 6, {ANN: 19, BOB: 19}) == [ANN, BOB]


def test_a_first_night_is_one_day(settings: Settings) -> None:
    assert night(settings, 9, {ANN: 1, BOB: 1}, trigger(for_days=2)) == []
    assert night(settings, 9, {ANN: 1, BOB: 30}, trigger(for_days=1)) == [ANN]


def test_without_consent_nothing_is_judged_and_the_days_begin_anew(settings: Settings) -> None:
    for day in (1, 2):
        night(settings, day, {ANN: 1, BOB: 1})
    assert night(settings, 3, {ANN: 1, BOB: 1}, consenting=[ANN]) == [ANN]
    assert night(settings, 4, {ANN: 1, BOB: 1}) == [ANN]
    with duck.connect(settings) as connection:
        lake = Lake(settings.lake_dir).snapshot()
        states = duck.scan(lake.files(triggers.STATES), triggers.TABLES[triggers.STATES])
        assert connection.execute(f"SELECT day(run_date) FROM {states} WHERE person_id = '{BOB}' ORDER BY 1").fetchall() == [(1,), (2,), (4,)]


def test_another_condition_under_the_same_name_begins_anew(settings: Settings) -> None:
    for day in (1, 2):
        night(settings, day, {ANN: 1})
    assert night(settings, 3, {ANN: 1}, trigger(when={"feature": "engagement_score", "below": 21})) == []
    assert night(settings, 3, {ANN: 1}) == [ANN]


def test_a_night_again_and_a_backfill_replace_what_they_said(settings: Settings) -> None:
    for day in (1, 2, 3):
        night(settings, day, {ANN: 1})
    assert night(settings, 3, {ANN: 1}) == [ANN]
    night(settings, 2, {ANN: 50})
    assert night(settings, 3, {ANN: 1}) == []


def test_each_night_records_what_it_judged(settings: Settings) -> None:
    from_germany = trigger(id="from-germany", when={"feature": "country", "equals": "DE"}, for_days=1, then={"tag": "german"})
    above = trigger(id="alive", when={"feature": "engagement_score", "above": 50}, for_days=2, then={"tag": "alive"})
    assert night(settings, 1, {ANN: 60, BOB: 10}, from_germany, above, trigger()) == [ANN]
    with duck.connect(settings) as connection:
        rows = connection.execute(f"FROM {triggers.relation(Lake(settings.lake_dir).snapshot(), until=date(2026, 3, 1))} ORDER BY trigger").fetchall()
    assert [row[1:] for row in rows] == [
        ("alive", "person", "engagement_score above 50", 2, 1, 0, None, None, "tag alive"),
        ("from-germany", "person", "country equals DE", 1, 1, 1, None, None, "tag german"),
        ("win-back", "person", "engagement_score below 20", 2, 1, 0, None, None, "tag win_back"),
    ]


def happened(settings: Settings, day: date, *events: tuple[str, str, str, int]) -> None:
    """(id, item, type, hour) of a day into the lake."""
    rows = [
        {"event_id": f"{day}-{number}", "event_type": kind, "occurred_at": f"{day} {hour:02}:00:00", "user_id": who, "item_id": item, "is_bot": who == "bot"}
        for number, (who, item, kind, hour) in enumerate(events)
    ]
    columns = [f"CAST({{{name}}} AS {kind}) AS {name}" for name, kind in EVENTS.items()]
    query = " UNION ALL ".join(
        "SELECT " + ", ".join(column.format(**{name: "NULL" if row.get(name) is None else f"'{row[name]}'" for name in EVENTS}) for column in columns)
        for row in rows
    )
    lake = Lake(settings.lake_dir)
    with duck.connect(settings) as connection:
        file = lake.write(connection, "events", f"{query} ORDER BY event_id", partition=day)
    lake.commit({"events": [*lake.snapshot().data_files("events"), *([file] if file else [])]}, run_id="say")


def clicks(settings: Settings, run_date: date, version: str = "model-1") -> tuple[Clicks, Clicks]:
    with duck.connect(settings) as connection:
        return triggers.click_through(connection, settings, Lake(settings.lake_dir).snapshot(), run_date, version)


def test_click_through_counts_what_was_shown_from_the_lists_once_a_day(settings: Settings) -> None:
    nights.write(settings)  # Ann has lamp, mug, pen; Bob pen, lamp; Eve, without consent, mug
    happened(
        settings,
        RUN_DATE + DAY,
        (ANNS_PHONE, "lamp", "impression", 9),
        (ANN, "lamp", "click", 10),
        (ANN, "lamp", "click", 11),
        (BOB, "pen", "impression", 9),
        (BOB, "pen", "impression", 12),
        (BOB, "lamp", "click", 9),  # never shown
        (ANN, "mug", "click", 8),  # before it was shown
        (ANN, "mug", "impression", 9),
        (ANN, "rug", "impression", 9),  # not on her list
        (ANN, "rug", "click", 10),
        (EVE, "mug", "impression", 9),
        (EVE, "mug", "click", 10),
        ("bot", "pen", "impression", 9),
        ("stranger", "pen", "impression", 9),
    )
    assert clicks(settings, RUN_DATE + DAY) == (Clicks(3, 1), Clicks(0, 0))
    assert clicks(settings, RUN_DATE + DAY, "model-2") == (Clicks(0, 0), Clicks(0, 0)), "the lists were not of that version"
    assert clicks(settings, RUN_DATE + 8 * DAY, "model-2") == (Clicks(0, 0), Clicks(3, 1)), "the 7 days before count whoever made the lists"
    assert clicks(settings, RUN_DATE + 9 * DAY) == (Clicks(0, 0), Clicks(0, 0))


def test_the_lists_of_a_day_are_those_of_the_newest_night_before_it(settings: Settings) -> None:
    nights.write(settings)
    nights.write(settings, RUN_DATE + DAY, lists={ANN: ["rug"]})
    for back in (0, 1, 2):
        happened(settings, RUN_DATE + back * DAY, (ANN, "rug", "impression", 9), (ANN, "pen", "impression", 9), (ANN, "pen", "click", 9))
    # On the 20th nobody had a list yet; on the 21st the pen is on it, on the 22nd the rug.
    assert clicks(settings, RUN_DATE + 2 * DAY) == (Clicks(1, 0), Clicks(1, 1))


@pytest.mark.parametrize(
    ("day", "before", "holds", "why"),
    [
        # 8% after 10%: a fall of 20%, but z = 0.02 / sqrt(0.0982 * 0.9018 * (1/1000 + 1/10000)) = 2.03
        (Clicks(1000, 80), Clicks(10_000, 1000), False, "which may be chance"),
        (Clicks(10_000, 800), Clicks(100_000, 10_000), True, "8.00% of 10,000 shown items were clicked, 10.00% of 100,000 in the 7 days before"),
        (Clicks(100_000, 9000), Clicks(100_000, 10_000), True, "9.00%"),  # a fall of just 10%
        (Clicks(100_000, 9001), Clicks(100_000, 10_000), False, "9.00%"),
        (Clicks(100_000, 12_000), Clicks(100_000, 10_000), False, "12.00%"),
        (Clicks(100_000, 0), Clicks(100_000, 0), False, "0.00%"),
        (Clicks(999, 0), Clicks(100_000, 10_000), None, "cannot be judged: 999 listed items were shown on the run date, it takes 1,000"),
        (Clicks(1000, 0), Clicks(0, 0), None, "0 listed items were shown in the 7 days before, it takes 1,000; does a source send impressions?"),
    ],
)
def test_a_fall_is_as_great_as_asked_and_no_chance(day: Clicks, before: Clicks, holds: bool | None, why: str) -> None:
    found = triggers.fall(Condition(metric="click_through", falls_by=0.1), day, before)
    assert (found.holds, why in found.why) == (holds, True), found.why


def test_the_number_of_impressions_that_it_takes_is_the_triggers() -> None:
    condition = Condition(metric="click_through", falls_by=0.1, min_impressions=100)
    assert triggers.fall(condition, Clicks(100, 0), Clicks(700, 350)).holds is True


FELL = """
triggers:
  - {id: fell, when: {metric: click_through, falls_by: 0.1, min_impressions: 5}, then: {model: previous, pause_days: 3}}
"""
LISTED = [(who, item) for who in (ANN, BOB) for item in nights.LISTS[who]]  # five pairs of a person with consent and an item


@pytest.fixture
def versions(settings: Settings) -> list[str]:
    """Two versions; the second took the place of the first a day before the run date."""
    metadata = {"weights": dict(frame.EQUAL_WEIGHTS), "features": list(frame.FEATURES)}
    first, second = (registry.save(settings.models_dir, RUN_DATE - back * DAY, {}, metadata) for back in (9, 1))
    decisions = [(RUN_DATE - 9 * DAY, first, None), (RUN_DATE - DAY, second, first)]
    known = Aliases(tuple(Decision(str(day), "run", aliases.PROMOTED, aliases.TRAINING, version, before, version, "") for day, version, before in decisions))
    aliases.update(settings.models_dir, lambda _: known)
    return [first, second]


def judged(settings: Settings, tmp_path: Path, run_date: date = RUN_DATE) -> tuple[list[str], list[Any], list[Any]]:
    """The notes, firings and records of the triggers on the site in a night."""
    (tmp_path / "rules.yml").write_text(FELL)
    night = Night.open(settings, run_date, run_id="test")
    with duck.connect(settings) as connection:
        connection.execute("CREATE TABLE clusters (person_id VARCHAR)")
        notes = trigger_stage.judge(connection, settings.with_(rules_file=tmp_path / "rules.yml"), night, run_id="test")
        return notes, connection.execute(f"FROM {triggers.FIRINGS}").fetchall(), connection.execute(f"FROM {triggers.NIGHTS}").fetchall()


def clicked_until_it_fell(settings: Settings, version: str, *, until: date = RUN_DATE) -> None:
    """In the 7 days before the run date all that was shown was clicked, from then on nothing. The lists are of `version`."""
    lists = [(*row[:8], version) for row in nights.tables()["recommendations"][1]]
    nights.write(settings, RUN_DATE - 8 * DAY, recommendations=lists)
    for back in range(-(until - RUN_DATE).days, 8):
        events = [(who, item, "impression", 9) for who, item in LISTED] + [(who, item, "click", 10) for who, item in LISTED if back > 0]
        happened(settings, RUN_DATE - back * DAY, *events)


def test_a_fall_takes_the_champion_back_once_and_says_why(settings: Settings, versions: list[str], tmp_path: Path) -> None:
    first, second = versions
    clicked_until_it_fell(settings, second)
    for _ in range(2):  # the night again does the same
        notes, firings, records = judged(settings, tmp_path)
        why = "0.00% of 5 shown items were clicked, 100.00% of 35 in the 7 days before"
        done = f"{first} is champion again instead of {second}"
        assert notes == [f"trigger fell: {why}: {done}"]
        assert firings == [(RUN_DATE, "fell", "site", None, 0.0, 0.9, "click_through falls by 10%", done)]
        assert records == [(RUN_DATE, "fell", "site", "click_through falls by 10%", 1, 1, 1, 0.0, 1.0, f"{why}: {done}")]
        known = aliases.read(settings.models_dir)
        assert [known.champion_of(RUN_DATE - DAY), known.champion_of(RUN_DATE)] == [second, first]
        assert [(one.by, one.action, one.reason) for one in known.history[2:]] == [("trigger", "rolled back", f"trigger fell: {why}")]
        assert known.is_rejected(second)


def test_it_does_not_go_back_again_within_its_pause(settings: Settings, versions: list[str], tmp_path: Path) -> None:
    first, second = versions
    clicked_until_it_fell(settings, second, until=RUN_DATE + 3 * DAY)
    judged(settings, tmp_path)
    aliases.update(settings.models_dir, lambda known: aliases.promoted(known, second, RUN_DATE, run_id="by hand", reason="again"))
    for later in (1, 2):
        _, firings, [record] = judged(settings, tmp_path, RUN_DATE + later * DAY)
        assert (firings, record[5:7]) == ([], (1, 0))
        assert record[-1].endswith(f"a trigger went back on {RUN_DATE}, and none does again within 3 days")
    assert aliases.read(settings.models_dir).champion == second
    assert judged(settings, tmp_path, RUN_DATE + 3 * DAY)[1][0][-1] == f"{first} is champion again instead of {second}"


def test_lists_of_another_version_take_nobody_back(settings: Settings, versions: list[str], tmp_path: Path) -> None:
    clicked_until_it_fell(settings, versions[0])
    _, firings, [record] = judged(settings, tmp_path)
    assert (firings, record[4:7]) == ([], (0, 0, 0))
    assert "cannot be judged: 0 listed items were shown on the run date" in record[-1]


def test_the_first_champion_stays_and_one_that_cannot_serve_does_not_come_back(settings: Settings, versions: list[str], tmp_path: Path) -> None:
    first, second = versions
    clicked_until_it_fell(settings, second)
    (settings.models_dir / first / "metadata.json").unlink()
    _, firings, [record] = judged(settings, tmp_path)
    assert (firings, record[-1].rpartition(": ")[0].endswith(f"{first}, the champion before, cannot serve")) == ([], True)
    aliases.update(settings.models_dir, lambda known: Aliases(known.history[1:]))
    aliases.update(settings.models_dir, lambda known: Aliases((replace(known.history[0], before=None),)))
    assert judged(settings, tmp_path)[2][0][-1].endswith("there is no champion before this one to go back to")
    assert aliases.read(settings.models_dir).champion == second
