"""export: what is published -> bundles for the CMS, delivered where `delivery.to` says."""

import time
from datetime import UTC, datetime

from dawnlist import duck, export
from dawnlist.export import deliver, shelf
from dawnlist.serving import open_store
from dawnlist.settings import Settings
from dawnlist.stages.base import Interval, Night, StageResult


def run(settings: Settings, interval: Interval, *, run_id: str, created_at: datetime | None = None, accept_churn: bool = False) -> StageResult:
    """Export the publication of `interval.run_date`; `created_at` is UTC, and now when it is None.

    When the newest bundle has the same day and content, it stays the newest and the result says so. Consumers that stand at an older
    bundle get a delta each. A delivery that fails leaves the bundles: the same call goes on with it. Raises MissingInputError when that day is not published yet, PublicationError when a later one is, and
    ExportError when too many users would change and nobody has said `accept_churn`, and what `deliver` raises.
    """
    started = time.monotonic()
    created_at = (created_at or datetime.now(UTC)).replace(tzinfo=None, microsecond=0)
    night = Night.load(settings, interval.run_date)
    with shelf.lock(settings.exports_dir), duck.writing(settings.home):
        bundle = export.export(
            settings,
            open_store(settings),
            night.tables.snapshot(),
            run_date=night.run_date,
            run_id=run_id,
            created_at=created_at,
            accept_churn=accept_churn,
        )
    notes = [] if bundle.is_new else [f"bundle {bundle.sequence:06d} already has this content: no new one was made"]
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
