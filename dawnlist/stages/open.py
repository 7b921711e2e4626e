"""open: the day-level suites pass -> the night pins the lake, and whether it trains."""

import time

from dawnlist import duck, rules, scorecard, validation
from dawnlist.lake import Lake
from dawnlist.locks import exclusive
from dawnlist.settings import Settings
from dawnlist.stages import gate
from dawnlist.stages.base import Interval, Night, StageResult
from dawnlist.stages.champion import why_unusable
from models import aliases, cadence

WRITER_WAIT_SECONDS = 600


def run(settings: Settings, interval: Interval, *, run_id: str, train: bool = False) -> StageResult:
    """Check and score the day of every source, then pin the lake, and whether the night of the interval's run date trains: `train` asks for it.

    Raises SettingsError for a mistake in the rules file: it would stop the night hours later. Raises GateError, and leaves the night as it was, when a critical check fails: a source has no events or only old ones, or far fewer
    than on the same weekday before. It holds the lake's writer lock, so that the night pins the state that was checked. `rows_in` and
    `rows_out` count the events of the pinned state; the metric `scores` has the total of each source.
    """
    started = time.monotonic()
    rules.load(settings)
    result = StageResult("open", interval.key)
    with exclusive(settings.lake_dir / ".writer.lock", wait_seconds=WRITER_WAIT_SECONDS), duck.writing(settings.home):
        lake = Lake(settings.lake_dir).snapshot()
        verdicts = [validation.check_day(settings, lake, source, run_date=interval.run_date, run_id=run_id) for source in settings.site.sources]
        scores = scorecard.keep(settings, verdicts, run_date=interval.run_date, run_id=run_id)
        result.notes += gate.decide(settings, verdicts, f"The night of {interval.run_date}", run_date=interval.run_date, run_id=run_id)
        known, unusable = aliases.read(settings.models_dir), why_unusable(settings, interval.run_date)
        training = cadence.reason(known, interval.run_date, every_days=settings.training.every_days, is_asked=train, unusable=unusable)
        night = Night.open(settings, interval.run_date, run_id=run_id, training=training)
    result.notes += [f"this night trains: {training}"] if training else []
    result.rows_in = result.rows_out = night.lake.rows("events")
    result.counts = {table: night.lake.rows(table) for table in sorted(night.lake.tables)}
    result.metrics = {"lake_version": night.lake_version, "training": training, "checks": sum(len(verdict.results) for verdict in verdicts)}
    result.metrics["scores"] = {source: score["total"] for source, score in scores.items()}
    result.seconds = time.monotonic() - started
    return result
