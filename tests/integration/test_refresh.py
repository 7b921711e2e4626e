"""refresh on hand-made nights: the hour's news reach who is active, everybody else keeps their list, and nothing goes back in time."""

import json
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dawnlist import duck
from dawnlist.columns import LAKE_TABLES
from dawnlist.errors import MissingInputError
from dawnlist.export import consumers
from dawnlist.lake import Lake
from dawnlist.publishing import archive, rollback
from dawnlist.serving import open_store
from dawnlist.settings import Candidates, Recommend, Settings
from dawnlist.stages import export, listing, publish, refresh, scoring, suppress
from dawnlist.stages.base import Interval, Night
from dawnlist.stages.modelling import POINTER, cut_of, inputs_of
from models import lists, registry
from tests.published import answer, item
from tests.unit.marts import Marts, at

if TYPE_CHECKING:
    from pathlib import Path

RUN_DATE = date(2026, 3, 10)
DAY = RUN_DATE + timedelta(days=1)
ANN, BOB, CAT, DAN, NEW = (letter * 32 for letter in "abcde")  # Dan has not consented, nobody has met the new person
ITEMS = [f"item{number:02d}" for number in range(8)]
VIEWS = [
    *((who, name, at(RUN_DATE, 10, minute), "view") for minute, (who, name) in enumerate([(ANN, "item00"), (BOB, "item01"), (CAT, "item02"), (DAN, "item00")])),
    *((CAT, f"item{number:02d}", at(RUN_DATE, 11, number), "view") for number in range(3, 6)),
]
MARTS = Marts([RUN_DATE], VIEWS, {name: {"category": "news"} for name in ITEMS}, {NEW: {}}, [DAN])
MORNING = datetime(2026, 3, 11, 5)


def a_night(home: "Path", *, served: str = "popular_1d") -> Settings:
    """A published night whose model serves one source."""
    settings = Settings(
        home=home,
        candidates=Candidates(sources=("own", "item_to_item")),
        recommend=Recommend(list_length=3),
        refresh={"active_hours": 6},
    )
    Lake(settings.lake_dir).commit({}, run_id="test")
    night = Night.open(settings, RUN_DATE, run_id="night")
    with duck.connect(settings) as connection:
        MARTS.write(connection, night.tables)
        persons = ", ".join(f"('{who}', '{who}')" for who in (ANN, BOB, CAT, DAN, NEW))
        files = {
            "persons": night.tables.write(connection, "persons", f"SELECT * FROM (VALUES {persons}) AS known(alias_id, person_id) ORDER BY ALL"),
            "similar_items": night.tables.write(
                connection,
                "similar_items",
                "SELECT 'item06' AS item_id, 1 AS rank, 'item07' AS similar_item_id, 0.5::DOUBLE AS score, 'item_to_item' AS source",
                partition=RUN_DATE,
            ),
        }
        night.tables.commit({name: [file] if file else [] for name, file in files.items()}, run_id="night")
        version = registry.save(
            settings.models_dir,
            RUN_DATE,
            {},
            {"served": served, "weights": dict(lists.frame.EQUAL_WEIGHTS), "window": "popular_1d", "run_date": str(RUN_DATE), "metrics": {}},
        )
        (settings.night_dir(RUN_DATE) / POINTER).write_text(json.dumps({"version": version}))
        cut = cut_of(settings, RUN_DATE, horizons_back=0)
        made = listing.prepare(connection, settings, inputs_of(night.tables.snapshot(), RUN_DATE), cut, (), window="popular_1d")
        order = lists.Order.of(registry.load(settings.models_dir, version), keep=20)
        changes = {
            "popular_items": [night.tables.write(connection, "popular_items", listing.POPULAR_ITEMS)],
            "recommendations": listing.write(
                connection, settings, night.tables, version, made, scoring.scored(connection, settings, order, n_persons=made.n_persons)
            ),
        }
    night.tables.commit({name: [file for file in files if file] for name, files in changes.items()}, run_id="night")
    publish.run(settings, Interval.day(RUN_DATE), run_id="night", published_at=MORNING)
    return settings


def happened(settings: Settings, *events: tuple[str, str, datetime], **tables: Any) -> None:
    """Events of the day in the lake, in the place of those that were there, and rows of other tables."""
    lake = Lake(settings.lake_dir)
    rows = [
        {
            "source": "store",
            "event_id": f"{number:032d}",
            "event_type": "view",
            "occurred_at": moment,
            "event_date": moment.date(),
            "user_id": who,
            "item_id": name,
        }
        for number, (who, name, moment) in enumerate(events)
    ]
    with duck.connect(settings) as connection:
        files = {}
        for table, found in {"events": rows, **tables}.items():
            columns = LAKE_TABLES[table]
            query = " UNION ALL ".join(
                "SELECT "
                + ", ".join(f"{'NULL' if row.get(name) is None else duck.literal(str(row[name]))}::{kind} AS {name}" for name, kind in columns.items())
                for row in found
            )
            file = lake.write(connection, table, query, partition=DAY if table == "events" else None)
            files[table] = [file] if file else []
    lake.commit(files, run_id="load")


def run(settings: Settings, hour: int, **options: Any) -> Any:
    return refresh.run(settings, Interval.hour(at(DAY, hour)), run_id=f"hour-{hour}", published_at=at(DAY, hour + 1, 5), **options)


def published(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    with duck.connect(settings) as connection, open_store(settings).published(connection):
        return connection.execute(sql).fetchall()


def list_of(settings: Settings, who: str) -> list[str]:
    return [name for (name,) in published(settings, f"SELECT item_id FROM published.serving.recommendations WHERE user_id = '{who}' ORDER BY rank")]


NEWS = [(ANN, "item06", at(DAY, 8, 10)), (BOB, "item06", at(DAY, 8, 20)), (ANN, "item07", at(DAY, 9, 10)), (BOB, "item07", at(DAY, 9, 20))]


def test_the_hours_news_reach_who_is_active_and_everybody_else_keeps_their_list(tmp_path: "Path") -> None:
    settings = a_night(tmp_path / "home", served="fusion")
    night = {who: list_of(settings, who) for who in (ANN, BOB, CAT)}
    assert "item06" not in night[ANN]
    happened(settings, (ANN, "item06", at(DAY, 8, 10)), (DAN, "item06", at(DAY, 8, 30)), (DAN, "item06", at(DAY, 8, 31)))
    result = run(settings, 8)
    assert result.rows_in == 1  # Ann alone: Dan has not consented
    assert "item06" in list_of(settings, ANN)
    assert "item07" in list_of(settings, ANN)  # like her newest item, by the night's similar items
    assert (list_of(settings, BOB), list_of(settings, CAT)) == (night[BOB], night[CAT])
    common = published(settings, "SELECT item_id FROM published.serving.popular_items WHERE scope = 'global' ORDER BY rank")
    assert common[0] == ("item06",)
    assert list_of(settings, DAN) == list_of(settings, NEW) == [name for (name,) in common]


def test_what_is_not_renewed_keeps_its_age_and_expiry(tmp_path: "Path") -> None:
    settings = a_night(tmp_path / "home")
    happened(settings, *NEWS)
    run(settings, 8)
    ages = "SELECT DISTINCT run_id, published_at, expires_at FROM published.serving.recommendations WHERE user_id = '{}'"
    assert published(settings, ages.format(CAT)) == [("night", MORNING, datetime(2026, 3, 14))]
    assert published(settings, ages.format(ANN)) == [("hour-8", at(DAY, 9, 5), datetime(2026, 3, 14, 9))]
    newest = open_store(settings).publications()[-1]
    assert (newest.kind, newest.of_sequence, newest.run_date, newest.refreshed_until, newest.expires_at) == (
        "refresh",
        1,
        RUN_DATE,
        at(DAY, 9),
        datetime(2026, 3, 14),
    )


def test_nothing_after_the_hour_is_known(tmp_path: "Path") -> None:
    settings = a_night(tmp_path / "home")
    happened(settings, *NEWS)
    run(settings, 8)
    first = published(settings, "FROM published.serving.recommendations ORDER BY ALL")
    other = a_night(tmp_path / "other")
    happened(other, *NEWS[:2])
    run(other, 8)
    assert published(other, "FROM published.serving.recommendations ORDER BY ALL") == first


def test_the_same_hour_again_changes_nothing_and_an_earlier_one_does_not_go_back(tmp_path: "Path") -> None:
    settings = a_night(tmp_path / "home")
    happened(settings, *NEWS)
    run(settings, 9)
    again, earlier, within_night = run(settings, 9), run(settings, 8), refresh.run(settings, Interval.hour(at(RUN_DATE, 23)), run_id="late")
    assert [one.sequence for one in open_store(settings).publications()] == [1, 2]
    assert (again.rows_out, again.notes) == (0, ["what is published is the same already"])
    assert earlier.notes == ["the published lists know the hours before 2026-03-11 10:00:00 already"]
    assert within_night.notes == ["the published night of 2026-03-10 knows this hour"]


def test_who_withdraws_and_what_is_blocked_leave_every_list_within_the_hour(tmp_path: "Path") -> None:
    settings = a_night(tmp_path / "home")
    blocked = list_of(settings, CAT)[0]
    happened(
        settings,
        *NEWS,
        consents=[answer(ANN, False, at(DAY, 8, 40))],
        items=[item(blocked, at(DAY, 8, 45), is_blocked=True)],
    )
    run(settings, 8)
    shown = {
        name
        for (name,) in published(settings, "SELECT item_id FROM published.serving.recommendations UNION SELECT item_id FROM published.serving.popular_items")
    }
    assert blocked not in shown
    assert list_of(settings, ANN) == [
        name for (name,) in published(settings, "SELECT item_id FROM published.serving.popular_items WHERE scope = 'global' ORDER BY rank")
    ]


def test_a_suppression_keeps_the_hour_and_refreshes_do_not_push_the_night_out(tmp_path: "Path") -> None:
    settings = a_night(tmp_path / "home")
    happened(settings, *NEWS)
    run(settings, 8)
    run(settings, 9)
    assert archive(settings).sequences() == [1, 3]
    happened(settings, *NEWS, consents=[answer(BOB, False, at(DAY, 10, 20))])
    suppress.run(settings, Interval.day(DAY), run_id="s", moment=at(DAY, 10, 30))
    newest = open_store(settings).publications()[-1]
    assert (newest.kind, newest.refreshed_until) == ("suppression", at(DAY, 10))


def test_a_rollback_stands_until_the_next_night(tmp_path: "Path") -> None:
    settings = a_night(tmp_path / "home")
    happened(settings, *NEWS)
    run(settings, 8)
    rollback(settings, to=1, run_id="back", moment=at(DAY, 9, 30))
    assert run(settings, 9).notes == ["publication 3 shows a rollback: it stands until the next night is published"]
    assert open_store(settings).publications()[-1].sequence == 3
    happened(settings, *NEWS, items=[item("item00", at(DAY, 9, 40), is_blocked=True)])
    suppress.run(settings, Interval.day(DAY), run_id="s", moment=at(DAY, 9, 50))
    assert run(settings, 10).notes == ["publication 4 shows a rollback: it stands until the next night is published"]


def test_a_cms_gets_the_change_as_a_small_delta(tmp_path: "Path") -> None:
    """Of five people, those whose list changed and no others: Ann and Bob, who were active, and the two with the common list; Cat has hers."""
    settings = a_night(tmp_path / "home")
    export.run(settings, Interval.day(RUN_DATE), run_id="night", created_at=MORNING)
    consumers.acknowledge(settings.exports_dir, "cms", 1, at=MORNING)
    happened(settings, *NEWS, (BOB, "brand new", at(DAY, 9, 30)))
    run(settings, 9)
    result = export.run(settings, Interval.hour(at(DAY, 9)), run_id="hour-9", created_at=at(DAY, 10, 10))
    assert result.counts["deltas"] == 1
    (part,) = (settings.exports_dir / "000002-from-000001").glob("users-*.jsonl")
    changed = {json.loads(line)["user_id"] for line in part.read_text(encoding="utf-8").splitlines()}
    assert CAT not in changed
    items = (settings.exports_dir / "000002-from-000001" / "items-00001.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["item_id"] for line in items] == ["brand new"]  # nobody knew it at night
    assert {ANN, BOB} <= changed <= {ANN, BOB, DAN, NEW}


def test_before_the_first_night_it_says_what_to_run(tmp_path: "Path") -> None:
    settings = Settings(home=tmp_path / "home")
    with pytest.raises(MissingInputError, match="dawnlist run"):
        run(settings, 8)
