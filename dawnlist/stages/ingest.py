"""ingest: landed files -> staged batches, one per source."""

import time
from datetime import datetime

from dawnlist import duck, ingest, landing, sources
from dawnlist.landing import HourState
from dawnlist.locks import exclusive
from dawnlist.privacy import load_key
from dawnlist.settings import Settings
from dawnlist.stages.base import Interval, StageResult

STAGING_WAIT_SECONDS = 600
COUNTS = ("n_read", "n_staged", "n_quarantined", "n_duplicates", "n_ignored")


def run(settings: Settings, interval: Interval, *, run_id: str) -> StageResult:
    """Stage what has landed for the interval, and what landed late for earlier ones, and is not in the lake yet.

    An interval without new files is no error: it is noted. Raises LandingError when no file of a source has landed at all.
    """
    started = time.monotonic()
    result = StageResult("ingest", interval.key)
    with exclusive(settings.lake_dir / ".staging.lock", wait_seconds=STAGING_WAIT_SECONDS), duck.writing(settings.home), landing.spool(settings):
        ingest.clear_leftovers(settings)
        duck.clear_spill(settings)
        _stage(settings, interval, result)
    result.rows_in, result.rows_out = result.counts.get("n_read", 0), result.counts.get("n_staged", 0)
    result.seconds = time.monotonic() - started
    return result


def _stage(settings: Settings, interval: Interval, result: StageResult) -> None:
    key = load_key(settings)
    for source in sources.of_site(settings):
        landed = landing.within(landing.list_files(settings, source), interval.start, interval.end, max_lateness_days=settings.ingest.max_lateness_days)
        waiting = {
            (file["input"], file["file_id"]) for batch in ingest.staged(settings, source=source.name) if batch.interval != interval.key for file in batch.files
        }
        files = landing.unseen(landing.identified(settings, source, landed), ingest.ingested(settings, source.name) | waiting)
        if not files:
            result.notes.append(f"{source.name}: nothing new has landed for {interval.key}")
            continue
        batch = ingest.stage_batch(settings, source, files, key=key, interval=interval.key)
        for name in COUNTS:
            result.counts[name] = result.counts.get(name, 0) + batch.total(name)
        result.paths.append(str(batch.folder))
        if batch.total("n_quarantined"):
            result.notes.append(f"{source.name}: {batch.total('n_quarantined'):,} of {batch.total('n_read'):,} records cannot be read and go to quarantine")


def hour_state(settings: Settings, interval: Interval, now: datetime) -> HourState:
    """Whether the hour is in for every source of the site: 'waiting' while one may still come, 'empty' when one's grace is over. `now` in UTC."""
    states = {landing.hour_state(settings, source, interval.start, now=now) for source in sources.of_site(settings)}
    return "waiting" if "waiting" in states else "empty" if "empty" in states else "in"
