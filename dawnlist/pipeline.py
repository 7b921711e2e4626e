"""One night without a scheduler: the stages one after the other, with progress that a person can follow."""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date
from typing import Any

from dawnlist import duck, landing, sources
from dawnlist.columns import LEDGER
from dawnlist.errors import DawnlistError, SettingsError
from dawnlist.lake import Lake
from dawnlist.settings import Settings
from dawnlist.stages import NIGHT, REPORT, STAGES, execute, lock
from dawnlist.stages.base import Interval, StageResult
from spark_jobs.session import session

FIRST_ON_SPARK, LAST_ON_SPARK = "segment", "recommend"
Report = Callable[[str, StageResult | None], None]


def run(settings: Settings, run_date: date, *, run_id: str, report: Report, stages: Sequence[str] = STAGES, train: bool = False) -> list[StageResult]:
    """Ingest everything that has landed, then run the night of `run_date`; `train` asks it to train. `report(stage, None)` is called before, `report(stage, result)` after each stage.

    Rows of later days are ingested into their own days; the night's windows end with `run_date`. The last result is that of the report, which fails no night. The stages on Spark share one session: a JVM
    takes seconds to start and to warm up.
    """
    _refuse_other_sources(settings)
    bulk, night = Interval.until(max(run_date, _last_landed_day(settings))), Interval.day(run_date)
    results = []
    with ExitStack() as stack:
        for stage in ("ingest", "validate", NIGHT[0]):
            stack.enter_context(lock(settings, stage))
        stopped = stack.enter_context(_noting_ctrl_c())
        spark = stack.enter_context(ExitStack())
        for stage in stages:
            if stopped.is_set():
                raise KeyboardInterrupt
            report(stage, None)
            if stage == FIRST_ON_SPARK:
                spark.enter_context(session(settings))
            options = {"train": True} if train and stage == "open" else {}
            with _suppressing(settings, night, run_id=run_id, report=report):
                results.append(execute(settings, stage, night if stage in NIGHT else bulk, run_id=run_id, is_locked=True, **options))
            report(stage, results[-1])
            if stage == LAST_ON_SPARK:
                spark.close()
        report(REPORT, None)
        results.append(_report_of(settings, night, run_id=run_id))
        report(REPORT, results[-1])
    return results


def _report_of(settings: Settings, night: Interval, *, run_id: str) -> StageResult:
    """Write the page of the night. No night fails for it: whatever goes wrong is a note."""
    try:
        return execute(settings, REPORT, night, run_id=run_id)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it
        said = str(error) if isinstance(error, DawnlistError) else f"{type(error).__name__}: {error}"
        return StageResult(REPORT, night.key, notes=[f"the report was not made: {said}"])


@contextmanager
def _suppressing(settings: Settings, night: Interval, *, run_id: str, report: Report) -> Iterator[None]:
    """Where a stage fails, yesterday's lists stand, but not yesterday's consent; and the night has its report."""
    try:
        yield
    except DawnlistError as error:
        try:
            result = execute(settings, "suppress", night, run_id=run_id)
        except DawnlistError as another:
            error.add_note(f"What is published was not checked for withdrawn consent: {another}")
        else:
            if result.rows_out:
                report("suppress", result)
        _report_of(settings, night, run_id=run_id)  # it has what the gate said
        raise


@contextmanager
def _noting_ctrl_c() -> Iterator[threading.Event]:
    """Set when Ctrl-C was pressed: it ends the run before its next stage where a library swallows it, as DuckDB does while it imports pandas, and whatever that stage says of it."""
    stopped, before = threading.Event(), signal.getsignal(signal.SIGINT)
    is_heard = callable(before) and threading.current_thread() is threading.main_thread()  # a process in the background may ignore it

    def note(_signal: int, _frame: Any) -> None:
        stopped.set()
        raise KeyboardInterrupt

    if is_heard:
        signal.signal(signal.SIGINT, note)
    try:
        yield stopped
    except DawnlistError as error:
        if stopped.is_set():
            raise KeyboardInterrupt from error
        raise
    finally:
        if is_heard:
            signal.signal(signal.SIGINT, before)


def check_landing(settings: Settings) -> None:
    """Raise LandingError before anything is made when a source's folder is missing or has no file."""
    for source in sources.of_site(settings):
        landing.list_files(settings, source)


def for_source(settings: Settings, name: str, *, has_own_home: bool) -> Settings:
    """Settings that run the one source `name`. A home serves one site, so a source that is not the site's gets a home of its own beside it."""
    if name in settings.site.sources and len(settings.site.sources) == 1:
        return settings
    home = settings.home if has_own_home else settings.home / "sites" / name
    return settings.with_(home=home, site=settings.site.model_copy(update={"sources": (name,)}))


def default_run_date(settings: Settings) -> date:
    """The last complete day of the site's sources, where all of them say one."""
    days = [source.complete_through for source in sources.of_site(settings)]
    known = [day for day in days if day]
    if len(known) < len(days):
        raise SettingsError(
            f"Say which day to run with --run-date YYYY-MM-DD: the last day whose events have all landed. ({', '.join(settings.site.sources)} does not say it.)"
        )
    return min(known)


def _last_landed_day(settings: Settings) -> date:
    times = [file.file_time.date() for source in sources.of_site(settings) for file in landing.list_files(settings, source) if file.file_time]
    return max(times, default=date.min)


def _refuse_other_sources(settings: Settings) -> None:
    """Two sites are two homes: their lists must not mix."""
    files = Lake(settings.lake_dir).snapshot().files("ledger")
    with duck.connect(settings) as connection:
        there = {row[0] for row in connection.execute(f"SELECT DISTINCT source FROM {duck.scan(files, LEDGER)}").fetchall()}
    others = there - set(settings.site.sources)
    if others:
        raise SettingsError(
            f"The home {settings.home} holds {', '.join(sorted(others))}, which is not among site.sources = {', '.join(settings.site.sources)}. "
            "Set DAWNLIST_HOME to another folder, or name all sources of the site in site.sources."
        )
