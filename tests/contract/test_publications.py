"""What goes back and what is taken out, the same in both serving stores."""

from datetime import timedelta
from typing import Any

import pytest

from dawnlist import publishing
from dawnlist.errors import CorruptedError, MissingInputError, PublicationError
from dawnlist.serving import Publication, open_store
from dawnlist.settings import Settings
from dawnlist.stages import execute
from dawnlist.stages.base import Interval
from tests.nights import ANN, ANNS_PHONE, BOB, EVE, RUN_DATE
from tests.published import MORNING, NEXT_DATE, answer, item, publish_night, published, say

NOON = MORNING + timedelta(hours=7)
COMMON = ["mug"]  # what the global popular list shows: `gone` may not be shown
ROWS = "SELECT user_id, item_id FROM published.serving.recommendations ORDER BY user_id, rank"


def back(settings: Settings, to: int | None = None, run_id: str = "back") -> Publication:
    return publishing.rollback(settings, to=to, run_id=run_id, moment=NOON)[0]


def lists(settings: Settings) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for user, shown in published(settings, ROWS):
        found.setdefault(user, []).append(shown)
    return found


def test_a_rollback_shows_the_earlier_lists_again_as_a_new_publication(settings: Settings) -> None:
    publish_night(settings)
    publish_night(settings, NEXT_DATE, run_id="run-2", lists={ANN: ["rug"]})
    made = back(settings)
    assert lists(settings) == {ANN: ["lamp", "mug", "pen"], BOB: ["pen", "lamp"], EVE: ["mug"]}
    history = open_store(settings).publications()
    assert [(one.sequence, one.run_date, one.kind, one.of_sequence) for one in history] == [
        (1, RUN_DATE, "night", None),
        (2, NEXT_DATE, "night", None),
        (3, RUN_DATE, "rollback", 1),
    ]
    assert made.content_hash == history[0].content_hash
    assert (made.expires_at, made.published_at) == (history[0].expires_at, NOON)
    assert published(settings, "SELECT DISTINCT run_id, published_at FROM published.serving.recommendations") == [("back", NOON)]


def test_a_second_rollback_goes_back_to_what_the_first_one_left(settings: Settings) -> None:
    publish_night(settings)
    publish_night(settings, NEXT_DATE, run_id="run-2", lists={ANN: ["rug"]})
    back(settings)
    assert back(settings, run_id="forth").of_sequence == 2
    assert lists(settings) == {ANN: ["rug"]}


def test_the_snapshot_shows_what_a_rollback_published_and_keeps_its_marts(settings: Settings) -> None:
    import duckdb

    publish_night(settings)
    publish_night(settings, NEXT_DATE, run_id="run-2", lists={ANN: ["rug"]})
    with duckdb.connect(str(settings.analytics_file), read_only=True) as connection:
        marts = connection.execute("SELECT table_name, comment FROM duckdb_tables() WHERE schema_name = 'marts' ORDER BY 1").fetchall()
    back(settings)
    with duckdb.connect(str(settings.analytics_file), read_only=True) as connection:
        assert connection.execute("SELECT count(*), max(run_id) FROM serving.recommendations").fetchall() == [(6, "back")]
        assert connection.execute("SELECT max(sequence) FROM serving.publications").fetchall() == [(3,)]
        assert connection.execute("SELECT table_name, comment FROM duckdb_tables() WHERE schema_name = 'marts' ORDER BY 1").fetchall() == marts
        [(comment,)] = connection.execute("SELECT comment FROM duckdb_tables() WHERE schema_name || '.' || table_name = 'serving.recommendations'").fetchall()
    assert comment.endswith(f"Night of {RUN_DATE}.")


def test_who_has_withdrawn_and_what_is_blocked_does_not_come_back(settings: Settings) -> None:
    publish_night(settings)
    publish_night(settings, NEXT_DATE, run_id="run-2", lists={ANN: ["rug"]})
    say(settings, consents=[answer(ANNS_PHONE, False, MORNING)], items=[item("pen", is_blocked=True)])  # Ann says it on her phone
    made, found = publishing.rollback(settings, to=1, run_id="back", moment=NOON)
    assert lists(settings) == {ANN: COMMON, BOB: ["lamp"], EVE: ["mug"]}
    assert (found.n_users, found.n_items, found.n_short) == (1, 1, 1)
    assert published(settings, "SELECT item_id, rank, similar_item_id FROM published.serving.similar_items ORDER BY ALL") == [
        ("lamp", 1, "mug"),
        ("mug", 1, "lamp"),
    ]
    assert published(settings, "SELECT scope, item_id FROM published.serving.popular_items") == [("global", "mug")]
    assert published(settings, f"SELECT rank, source, reason, variant, model_version FROM published.serving.recommendations WHERE user_id = '{ANN}'") == [
        (1, "popular_1d", "popular with everybody", None, None)
    ]
    assert made.n_users == 3
    assert published(settings, "SELECT user_id, segment_label FROM published.serving.user_segments ORDER BY ALL") == [(BOB, "new"), (BOB, "vip")]


def test_a_suppression_changes_what_is_published_and_nothing_else(settings: Settings) -> None:
    publish_night(settings)
    say(settings, consents=[answer(BOB, False, MORNING)], items=[item("lamp", is_available=False)])
    result = execute(settings, "suppress", Interval.day(RUN_DATE), run_id="out", moment=NOON)
    assert lists(settings) == {ANN: ["mug", "pen"], BOB: COMMON, EVE: ["mug"]}
    assert published(settings, f"SELECT rank, score FROM published.serving.recommendations WHERE user_id = '{ANN}' ORDER BY rank") == [(1, 1 / 2), (2, 1 / 3)]
    assert (result.counts["n_users"], result.counts["n_items"], result.counts["n_short"]) == (1, 1, 1)
    last = open_store(settings).publications()[-1]
    assert (last.sequence, last.run_date, last.kind, last.of_sequence) == (2, RUN_DATE, "suppression", 1)
    assert execute(settings, "suppress", Interval.day(RUN_DATE), run_id="again", moment=NOON).rows_out == 0  # nothing is left to take out
    assert len(open_store(settings).publications()) == 2


@pytest.mark.parametrize(
    ("consents", "is_personal"),
    [
        ([answer(BOB, True, MORNING)], True),
        ([answer(BOB, False, MORNING), answer(BOB, True, MORNING + timedelta(hours=1))], True),
        ([answer(BOB, True, MORNING - timedelta(hours=1)), answer(BOB, False, MORNING)], False),
        ([answer(BOB, True, MORNING), answer(BOB, False, MORNING)], False),  # of two answers at one moment the refusal counts
        ([answer(BOB, False, NOON + timedelta(hours=1))], True),  # not yet
        ([answer(BOB, False, MORNING, purpose="marketing")], True),
    ],
)
def test_the_last_answer_until_now_counts(settings: Settings, consents: list[dict[str, Any]], is_personal: bool) -> None:
    publish_night(settings)
    say(settings, consents=consents)
    execute(settings, "suppress", Interval.day(RUN_DATE), run_id="out", moment=NOON)
    assert (lists(settings)[BOB] == ["pen", "lamp"]) is is_personal


def test_who_had_refused_before_the_night_keeps_the_list_of_the_night(settings: Settings) -> None:
    shown = [
        (ANN, 1, "lamp", 1.0, "als", "why", None, None, "model-1"),
        *((EVE, rank, one, 1.0, "popular_global", "why", None, None, "model-1") for rank, one in ((1, "rug"), (2, "mug"))),
    ]
    publish_night(settings, recommendations=shown)
    say(settings, consents=[answer(EVE, False, MORNING)])
    assert execute(settings, "suppress", Interval.day(RUN_DATE), run_id="out", moment=NOON).rows_out == 0
    say(settings, consents=[answer(EVE, False, MORNING), answer(ANN, False, MORNING)])
    assert execute(settings, "suppress", Interval.day(RUN_DATE), run_id="out", moment=NOON).counts["n_users"] == 1
    assert lists(settings) == {ANN: COMMON, EVE: ["rug", "mug"]}


def test_who_has_nothing_left_gets_the_common_list(settings: Settings) -> None:
    publish_night(settings)
    say(settings, items=[item("pen", is_blocked=True), item("lamp", is_blocked=True)])
    execute(settings, "suppress", Interval.day(RUN_DATE), run_id="out", moment=NOON)
    assert lists(settings) == {ANN: ["mug"], BOB: COMMON, EVE: ["mug"]}


def test_a_night_that_fails_its_audit_takes_out_what_has_to_go(settings: Settings) -> None:
    publish_night(settings)
    say(settings, consents=[answer(BOB, False, MORNING)])
    with pytest.raises(PublicationError, match="popular_items is empty"):
        publish_night(settings, NEXT_DATE, run_id="run-2", popular_items=[])
    assert lists(settings)[BOB] == COMMON
    assert [one.kind for one in open_store(settings).publications()] == ["night", "suppression"]


def test_nothing_published_has_nothing_to_go_back_to_or_to_take_out(settings: Settings) -> None:
    with pytest.raises(MissingInputError, match="dawnlist publish"):
        back(settings)
    assert execute(settings, "suppress", Interval.day(RUN_DATE), run_id="out", moment=NOON).rows_out == 0
    publish_night(settings)
    with pytest.raises(PublicationError, match="no other publication"):
        back(settings)
    with pytest.raises(MissingInputError, match="no publication 7"):
        back(settings, to=7)


def test_the_newest_publications_are_kept_and_a_changed_file_is_refused(settings: Settings) -> None:
    settings = settings.with_(serving=settings.serving.model_copy(update={"keep_publications": 2}))
    for number in range(1, 4):
        publish_night(settings, run_id=f"run-{number}", lists={ANN: ["lamp", "mug", "pen"][:number]})
    assert publishing.archive(settings).sequences() == [2, 3]
    with pytest.raises(MissingInputError, match="not kept. There are: 2, 3"):
        back(settings, to=1)
    file = settings.serving_file.parent / "publications" / "000002" / "recommendations.parquet"
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(CorruptedError, match="was changed"):
        back(settings, to=2)
    assert lists(settings) == {ANN: ["lamp", "mug", "pen"]}
