"""Who is champion: by the decisions up to a night, in whatever order they were made."""

import json
from datetime import date
from pathlib import Path

import pytest

from dawnlist.errors import CorruptedError
from models import aliases
from models.aliases import KEPT, OPERATOR, PROMOTED, ROLLED_BACK, TRAINING, TRIGGER, Aliases, Decision


def said(day: int, action: str, version: str, before: str | None, after: str | None, by: str = TRAINING, run_id: str = "run") -> Decision:
    return Decision(f"2026-03-{day:02d}", run_id, action, by, version, before, after, "")


FIRST, SECOND = said(1, PROMOTED, "a", None, "a"), said(8, PROMOTED, "b", "a", "b")


def on(day: int) -> date:
    return date(2026, 3, day)


def test_a_night_has_the_champion_of_its_day_whatever_came_first() -> None:
    for history in ((FIRST, SECOND), (SECOND, FIRST)):
        known = Aliases(history)
        assert [known.champion_of(on(day)) for day in (7, 8, 20)] == ["a", "b", "b"]
        assert known.champion == "b"
    assert Aliases((SECOND,)).champion_of(on(7)) is None


def test_a_training_that_is_run_again_has_to_beat_the_champion_before_it() -> None:
    known = Aliases((FIRST, SECOND))
    assert known.incumbent_of(on(8)) == "a"
    rolled_back = known.with_(said(8, ROLLED_BACK, "b", "b", "a", OPERATOR))
    assert (rolled_back.champion_of(on(8)), rolled_back.incumbent_of(on(8))) == ("a", "a")
    assert Aliases((FIRST,)).incumbent_of(on(1)) is None


def test_the_same_training_again_is_one_decision() -> None:
    known = Aliases((FIRST, SECOND))
    assert known.with_(said(8, PROMOTED, "b", "a", "b", run_id="another run")) is known
    assert len(known.with_(said(8, PROMOTED, "c", "a", "c")).history) == 3


def test_the_challenger_is_the_newest_version_that_was_not_promoted() -> None:
    kept = Aliases((FIRST, said(8, KEPT, "b", "a", "a")))
    assert (kept.champion, kept.challenger) == ("a", "b")
    assert kept.with_(said(9, PROMOTED, "b", "a", "b", OPERATOR)).challenger is None


def test_what_was_rolled_back_stays_rejected_until_somebody_promotes_it() -> None:
    known = Aliases((FIRST, SECOND, said(8, ROLLED_BACK, "b", "b", "a", OPERATOR)))
    assert known.is_rejected("b")
    assert not known.is_rejected("a")
    assert not known.with_(said(9, PROMOTED, "b", "a", "b", OPERATOR)).is_rejected("b")


def test_what_a_trigger_decides_is_decided_once_a_night_and_rejects_the_version() -> None:
    known = Aliases((FIRST, SECOND))
    fell = said(9, ROLLED_BACK, "b", "b", "a", TRIGGER)
    back = known.with_(fell)
    assert [back.champion_of(on(day)) for day in (8, 9)] == ["b", "a"]
    assert (back.evening_of(on(9)).champion, back.evening_of(on(10)).champion, back.last_fall_back()) == ("b", "a", on(9))
    assert back.is_rejected("b")
    trained = back.with_(said(9, PROMOTED, "c", "a", "c"))
    assert trained.incumbent_of(on(9)) == "a", "what the night trained has to beat whom the trigger brought back"
    assert trained.with_(said(9, ROLLED_BACK, "b", "b", "a", TRIGGER, run_id="again")) is trained, "the same night again leaves what it trained the champion"


def test_the_manifest_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    assert aliases.read(tmp_path / "models") == Aliases()
    known = Aliases((FIRST,), {"2026-03-02": "prices"})
    assert aliases.update(tmp_path / "models", lambda _: known) == aliases.read(tmp_path / "models") == known
    document = json.loads((tmp_path / "models" / "aliases.json").read_text())
    assert (document["champion"], document["challenger"]) == ("a", None)


def test_a_manifest_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "aliases.json").write_text('{"history": [{"run_date": "2026-03-01"}], "requests": {}}')
    with pytest.raises(CorruptedError, match="aliases.json was changed by hand"):
        aliases.read(tmp_path)
