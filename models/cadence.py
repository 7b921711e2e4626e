"""Whether a night trains, and why, in words."""

from datetime import date

from models.aliases import Aliases


def reason(aliases: Aliases, run_date: date, *, every_days: int, is_asked: bool, unusable: str | None = None) -> str | None:
    """Why the night of `run_date` trains; None where it does not.

    It looks at the trainings of earlier nights only, so a night that is opened again decides as it did. `unusable` says why the champion
    cannot serve, if it cannot. What a night saw drift asks for holds until a later night has trained.
    """
    last = aliases.last_training(run_date)
    if last is None:
        return "all models are of later nights" if any(one.run_date > run_date.isoformat() for one in aliases.history) else "there is no model yet"
    if is_asked:
        return "it was asked for"
    if unusable:
        return unusable
    asked_by = max((day for day in aliases.requests if last.isoformat() < day < run_date.isoformat()), default=None)
    if asked_by:
        return f"drift in the night of {asked_by}: {aliases.requests[asked_by]}"
    age = (run_date - last).days
    return f"the newest model, of {last}, is {age} day{'s' * (age != 1)} old" if age >= every_days else None
