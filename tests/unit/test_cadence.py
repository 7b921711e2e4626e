"""When a night trains: by the trainings of earlier nights, whatever later nights did."""

from datetime import date

import pytest

from models.aliases import KEPT, PROMOTED, TRAINING, Aliases, Decision
from models.cadence import reason

RUN_DATE = date(2026, 3, 10)


def trained(*days: str, drift: dict[str, str] | None = None) -> Aliases:
    history = tuple(Decision(day, "run", PROMOTED, TRAINING, f"{day}-model", None, f"{day}-model", "") for day in days)
    return Aliases(history, drift or {})


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (trained(), "there is no model yet"),
        (trained("2026-03-03"), "the newest model, of 2026-03-03, is 7 days old"),
        (trained("2026-03-04"), None),
        (trained("2026-03-03", "2026-03-10"), "the newest model, of 2026-03-03, is 7 days old"),  # this night, opened again
        (trained("2026-03-11"), "all models are of later nights"),
        (trained("2026-03-04", "2026-03-17"), None),  # a backfill does not look ahead
        (trained("2026-03-04", drift={"2026-03-09": "prices"}), "drift in the night of 2026-03-09: prices"),
        (trained("2026-03-04", drift={"2026-03-04": "prices"}), None),  # that night trained
        (trained("2026-03-04", drift={"2026-03-10": "prices"}), None),  # what this night saw is for the next
    ],
)
def test_the_age_of_the_newest_model_and_drift_decide(known: Aliases, expected: str | None) -> None:
    assert reason(known, RUN_DATE, every_days=7, is_asked=False) == expected


def test_whoever_asks_is_heard_and_one_day_means_every_night() -> None:
    yesterday = trained("2026-03-09")
    assert reason(yesterday, RUN_DATE, every_days=7, is_asked=True) == "it was asked for"
    assert reason(yesterday, RUN_DATE, every_days=1, is_asked=False) == "the newest model, of 2026-03-09, is 1 day old"


def test_a_challenger_that_was_not_promoted_counts_as_a_training() -> None:
    kept = Decision("2026-03-09", "run", KEPT, TRAINING, "new", "old", "old", "")
    known = Aliases((*trained("2026-03-02").history, kept))
    assert reason(known, RUN_DATE, every_days=7, is_asked=False) is None


def test_a_champion_that_cannot_serve_is_replaced() -> None:
    assert reason(trained("2026-03-09"), RUN_DATE, every_days=7, is_asked=False, unusable="it has other features") == "it has other features"
