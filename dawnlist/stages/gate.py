"""How a stage lets the gate decide."""

from collections.abc import Sequence
from datetime import date

from dawnlist import validation
from dawnlist.data_docs import build_docs
from dawnlist.settings import Settings
from dawnlist.verdicts import Verdict


def decide(settings: Settings, verdicts: Sequence[Verdict], what: str, *, run_date: date, run_id: str) -> list[str]:
    """Keep the verdicts, then raise GateError for the first that failed, with the Data Docs of the day brought up to date.

    `what` begins the error's sentence. Returns the warnings.
    """
    validation.save(settings, verdicts, run_id=run_id)
    if not all(verdict.passed for verdict in verdicts):
        build_docs(settings, run_date)
    for verdict in verdicts:
        verdict.raise_if_failed(what)
    return [warning for verdict in verdicts for warning in verdict.warnings()]
