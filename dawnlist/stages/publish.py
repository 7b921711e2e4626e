"""publish: the night's lists -> the serving tables and the analysts' snapshot, each replaced in one step."""

import re
import time
from datetime import UTC, date, datetime
from pathlib import Path

from dawnlist import analytics, duck
from dawnlist.errors import PublicationError
from dawnlist.locks import exclusive
from dawnlist.serving import Publication, Store, open_store, tables
from dawnlist.settings import Settings
from dawnlist.stages.base import Interval, Night, StageResult

WAIT_SECONDS = 60


def run(settings: Settings, interval: Interval, *, run_id: str, force: bool = False, published_at: datetime | None = None) -> StageResult:
    """Publish the lists of `interval.run_date`; `published_at` is UTC, and now when it is None.

    A day that is published already is replaced. Raises PublicationError for a day before the published one unless `force` is set, and
    when the audit fails: then what was published stays.
    """
    started = time.monotonic()
    night = Night.load(settings, interval.run_date)
    store = open_store(settings)
    moment = (published_at or datetime.now(UTC)).replace(tzinfo=None, microsecond=0)
    folder = settings.serving_file.parent
    with exclusive(folder / ".publish.lock", wait_seconds=WAIT_SECONDS), duck.writing(settings.home):
        history = store.publications()
        _refuse_going_back(history, night.run_date, force=force)
        publication = _publish(settings, store, night, sequence=history[-1].sequence + 1 if history else 1, run_id=run_id, published_at=moment)
        snapshot = analytics.snapshot(settings, store, night.tables.snapshot(), run_date=night.run_date)
    return StageResult(
        "publish",
        interval.key,
        rows_in=night.tables.snapshot().rows("recommendations"),
        rows_out=sum(publication.rows.values()),
        seconds=time.monotonic() - started,
        paths=[store.location, str(snapshot)],
        counts=publication.rows | {"n_users": publication.n_users},
        metrics={"sequence": publication.sequence, "content_hash": publication.content_hash, "model_version": publication.model_version},
        notes=_notes(history, publication),
    )


def _refuse_going_back(history: list[Publication], run_date: date, *, force: bool) -> None:
    if history and run_date < history[-1].run_date and not force:
        raise PublicationError(
            f"The lists of {history[-1].run_date} are published; those of {run_date} are older and do not replace them. "
            f"Run `dawnlist publish --run-date {run_date} --force` if that is what you want."
        )


def _publish(settings: Settings, store: Store, night: Night, *, sequence: int, run_id: str, published_at: datetime) -> Publication:
    folder = settings.serving_file.parent
    for leftover in folder.glob(".serving-*"):  # of a run that was killed: this run holds the lock
        leftover.unlink()
    prepared = folder / f".serving-{re.sub(r'[^A-Za-z0-9_.-]', '-', run_id)}.duckdb"
    try:
        with duck.connect(settings, prepared) as connection:
            publication = tables.prepare(
                connection,
                night.tables.snapshot(),
                run_date=night.run_date,
                sequence=sequence,
                run_id=run_id,
                published_at=published_at,
                expires_at=tables.expiry(night.run_date, settings.recommend.expires_days),
            )
        store.replace(prepared, publication)
    finally:
        _remove(prepared)
    return publication


def _remove(prepared: Path) -> None:
    for path in (prepared, prepared.with_name(f"{prepared.name}.wal")):
        path.unlink(missing_ok=True)


def _notes(history: list[Publication], publication: Publication) -> list[str]:
    if history and history[-1].content_hash == publication.content_hash:
        return [f"the lists are the same as those of publication {history[-1].sequence}"]
    return []
