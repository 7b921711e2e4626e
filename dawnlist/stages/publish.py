"""publish: the night's lists -> the serving tables and the analysts' snapshot, each replaced in one step."""

import time
from contextlib import nullcontext
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from dawnlist import analytics
from dawnlist.errors import PublicationError
from dawnlist.publishing import publisher, suppress_published
from dawnlist.serving import Publication, tables
from dawnlist.settings import Settings
from dawnlist.stages.base import Interval, Night, StageResult

if TYPE_CHECKING:
    import duckdb


def run(settings: Settings, interval: Interval, *, run_id: str, force: bool = False, published_at: datetime | None = None) -> StageResult:
    """Publish the lists of `interval.run_date`; `published_at` is UTC, and now when it is None.

    A day that is published already is replaced. Raises PublicationError for a day before the published one unless `force` is set, and
    when the audit fails: then what was published stays, but for who has withdrawn and what may no longer be shown.
    """
    started = time.monotonic()
    night = Night.load(settings, interval.run_date)
    moment = (published_at or datetime.now(UTC)).replace(tzinfo=None, microsecond=0)
    try:
        publication, notes, snapshot = _publish(settings, night, run_id=run_id, moment=moment, force=force)
    except PublicationError:
        suppress_published(settings, run_id=run_id, moment=moment)
        raise
    return StageResult(
        "publish",
        interval.key,
        rows_in=night.tables.snapshot().rows("recommendations"),
        rows_out=sum(publication.rows.values()),
        seconds=time.monotonic() - started,
        paths=snapshot,
        counts=publication.rows | {"n_users": publication.n_users},
        metrics={"sequence": publication.sequence, "content_hash": publication.content_hash, "model_version": publication.model_version},
        notes=notes,
    )


def _publish(settings: Settings, night: Night, *, run_id: str, moment: datetime, force: bool) -> tuple[Publication, list[str], list[str]]:
    """The publication, what is to be said about it, and where it and the snapshot are."""
    with publisher(settings) as current:
        _refuse_going_back(current.history, night.run_date, force=force)

        def fill(connection: "duckdb.DuckDBPyConnection") -> Publication:
            with current.store.published(connection) if current.history else nullcontext():
                return tables.prepare(
                    connection,
                    night.tables.snapshot(),
                    run_date=night.run_date,
                    sequence=current.next_sequence,
                    run_id=run_id,
                    published_at=moment,
                    expires_at=tables.expiry(night.run_date, settings.recommend.expires_days),
                    aged="published.serving.recommendations" if current.history else None,
                )

        publication = current.publish(fill, run_id=run_id)
        snapshot = analytics.snapshot(settings, current.store, night.tables.snapshot(), run_date=night.run_date)
        return publication, _notes(current.history, publication), [current.store.location, str(snapshot)]


def _refuse_going_back(history: list[Publication], run_date: date, *, force: bool) -> None:
    if history and run_date < history[-1].run_date and not force:
        raise PublicationError(
            f"The lists of {history[-1].run_date} are published; those of {run_date} are older and do not replace them. "
            f"Run `dawnlist publish --run-date {run_date} --force` if that is what you want."
        )


def _notes(history: list[Publication], publication: Publication) -> list[str]:
    if history and history[-1].content_hash == publication.content_hash:
        return [f"the lists are the same as those of publication {history[-1].sequence}"]
    return []
