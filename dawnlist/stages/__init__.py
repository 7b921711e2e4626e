"""The stages, in the order of a night, and the one way to call them."""

import contextlib
import gc
import importlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Final

from dawnlist import duck
from dawnlist.errors import DawnlistError, LockedError, MissingInputError
from dawnlist.locks import exclusive
from dawnlist.settings import Settings
from dawnlist.stages.base import Failure, Interval, StageResult

LOADING: Final = ("ingest", "validate")
NIGHT: Final = ("open", "transform", "segment", "train", "recommend", "publish", "export")
STAGES: Final = LOADING + NIGHT
REFRESH: Final = "refresh"  # of an hour after a night, beside the loading of others
REPORT: Final = "report"  # of a night, after it: a page that fails costs a note and no list
# When Python looks for cycles of unused objects: rarer than by default, (700, 10, 10).
GC_THRESHOLDS: Final = (100_000, 50, 100)


def execute(
    settings: Settings, stage: str, interval: Interval, *, run_id: str, wait_seconds: float = 0.0, is_locked: bool = False, **options: Any
) -> StageResult:
    """Run one stage and keep its result in the run record of the interval, or why it failed.

    Loading (hour by hour) and the night exclude their own kind only: hourly ingest goes on beside a night. A caller that holds the
    lock already says so by `is_locked`; `options` are the stage's own. Raises LockedError when another process holds the lock for longer than `wait_seconds`.
    """
    with ExitStack() as stack:
        stack.enter_context(_collecting_rarely())
        module = importlib.import_module(f"dawnlist.stages.{stage}")
        if not is_locked:
            stack.enter_context(lock(settings, stage, wait_seconds=wait_seconds))
        with _noting_failure(settings, stage, interval, run_id=run_id):
            result: StageResult = module.run(settings, interval, run_id=run_id, **options)
        result.run_id = run_id
        with duck.writing(settings.runs_dir):
            result.save(settings)
        return result


def lock(settings: Settings, stage: str, *, wait_seconds: float = 0.0) -> AbstractContextManager[None]:
    """The lock that `stage` runs under."""
    name = "night" if stage in NIGHT else stage
    return exclusive(settings.home / "locks" / f"{name}.lock", wait_seconds=wait_seconds)


@contextmanager
def _noting_failure(settings: Settings, stage: str, interval: Interval, *, run_id: str) -> Iterator[None]:
    """Keep why a stage failed. A call that came too early, or to a home that is busy, is no failure of a night; nor is that of its report."""
    try:
        yield
    except (MissingInputError, LockedError):
        raise
    except Exception as error:
        if stage != REPORT:
            with contextlib.suppress(OSError):  # a full disk must not hide what it led to
                Failure(stage, interval.key, run_id, str(error) if isinstance(error, DawnlistError) else type(error).__name__).save(settings)
        raise


@contextmanager
def _collecting_rarely() -> Iterator[None]:
    """Great Expectations and dbt make a million objects that stay: to look through them again and again takes a tenth of their time."""
    before = gc.get_threshold()
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
