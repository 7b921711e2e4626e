"""suppress: who has withdrawn, and what is blocked or unavailable since, out of what is published. It runs where a night has failed, whatever failed."""

import time
from datetime import UTC, datetime

from dawnlist.publishing import suppress_published
from dawnlist.settings import Settings
from dawnlist.stages.base import Interval, StageResult

STAGE = "suppress"


def run(settings: Settings, interval: Interval, *, run_id: str, moment: datetime | None = None) -> StageResult:
    """Publish once more what is published without them, by the consents and items that the lake has until `moment` (UTC; now when it is None).

    `rows_out` counts the published rows; 0 where nothing was to be taken out, or nothing is published: then nothing is changed.
    """
    started = time.monotonic()
    done = suppress_published(settings, run_id=run_id, moment=(moment or datetime.now(UTC)).replace(tzinfo=None, microsecond=0))
    result = StageResult(STAGE, interval.key, seconds=time.monotonic() - started)
    if done is not None:
        publication, found = done
        result.rows_out = sum(publication.rows.values())
        result.counts = publication.rows | {"n_users": found.n_users, "n_items": found.n_items, "n_short": found.n_short}
        result.metrics = {"sequence": publication.sequence, "content_hash": publication.content_hash}
    return result
