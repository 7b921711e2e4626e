"""export: what is published -> bundles for the CMS, delivered where `delivery.to` says."""

import time
from datetime import UTC, date, datetime

from dawnlist import duck, export
from dawnlist.export import deliver, shelf
from dawnlist.serving import Store, open_store
from dawnlist.serving.base import NIGHT
from dawnlist.settings import Settings
from dawnlist.stages.base import Interval, Night, StageResult


def run(settings: Settings, interval: Interval, *, run_id: str, created_at: datetime | None = None, accept_churn: bool = False) -> StageResult:
    """Export the publication of `interval.run_date`, or the older one that a rollback or a suppression has published; `created_at` is UTC, and now when it is None.

    When the newest bundle has the same day and content, it stays the newest and the result says so. Consumers that stand at an older
    bundle get a delta each. A delivery that fails leaves the bundles: the same call goes on with it. Raises MissingInputError when that day is not published yet, PublicationError when a later one is, and
    ExportError when too many users would change and nobody has said `accept_churn`, and what `deliver` raises.
    """
    started = time.monotonic()
    created_at = (created_at or datetime.now(UTC)).replace(tzinfo=None, microsecond=0)
    store = open_store(settings)
    run_date = _published_day(store, interval.run_date)
    night = Night.load(settings, run_date)
    with shelf.lock(settings.exports_dir), duck.writing(settings.home):
        bundle = export.export(
            settings,
            store,
            night.tables.snapshot(),
            run_date=night.run_date,
            run_id=run_id,
            created_at=created_at,
            accept_churn=accept_churn,
        )
    notes = [] if run_date == interval.run_date else [f"the lists of {run_date} are published, and exported"]
    notes += [] if bundle.is_new else [f"bundle {bundle.sequence:06d} already has this content: no new one was made"]
    if settings.delivery.to:
        notes += deliver.deliver(settings, now=created_at)
    rows = {"users": bundle.rows("users"), "items": bundle.rows("items"), "fallbacks": bundle.rows("fallbacks")}
    return StageResult(
        "export",
        interval.key,
        rows_in=rows["users"] + rows["items"],
        rows_out=sum(rows.values()),
        seconds=time.monotonic() - started,
        paths=[str(bundle.folder), *map(str, bundle.deltas)],
        counts=rows | {"parts": len(bundle.parts), "bytes": sum(part.bytes for part in bundle.parts), "deltas": len(bundle.deltas)},
        metrics={"sequence": bundle.sequence, "is_new": bundle.is_new},
        notes=notes,
    )


def _published_day(store: Store, run_date: date) -> date:
    """`run_date`; where a rollback or a suppression shows an earlier day, that one."""
    history = store.publications()
    return history[-1].run_date if history and history[-1].kind != NIGHT and history[-1].run_date < run_date else run_date
