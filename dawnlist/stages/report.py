"""report: the records and tables of a night -> its page."""

import time

from dawnlist import data_docs, duck
from dawnlist import report as reporting
from dawnlist.errors import MissingInputError
from dawnlist.report.document import Absent
from dawnlist.settings import Settings
from dawnlist.stages.base import Interval, StageResult


def run(settings: Settings, interval: Interval, *, run_id: str) -> StageResult:
    """Write <home>/reports/<run_date>/index.html. `rows_in` counts the parts of a report, `rows_out` those that could be made: what is missing says why on the page.

    Raises MissingInputError where nothing was ever recorded of the day, and StorageError where the page cannot be written.
    """
    started = time.monotonic()
    if not (settings.runs_dir / str(interval.run_date)).is_dir() and not data_docs.documents(settings, interval.run_date):
        raise MissingInputError(f"No night of {interval.run_date} has been run in {settings.home}. Run `dawnlist run --run-date {interval.run_date}` first.")
    document = reporting.collect(settings, interval.run_date)
    with duck.writing(settings.home):
        path = reporting.write(settings, interval.run_date, reporting.page(document))
    parts = [part for section in document.sections for part in section.parts]
    return StageResult(
        "report",
        interval.key,
        rows_in=len(parts),
        rows_out=sum(not isinstance(part, Absent) for part in parts),
        seconds=time.monotonic() - started,
        paths=[str(path)],
    )
