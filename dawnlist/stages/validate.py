"""validate: staged batches -> the gate -> the lake."""

import time
from collections.abc import Sequence
from pathlib import Path

from dawnlist import duck, validation
from dawnlist.columns import QUARANTINE
from dawnlist.errors import GateError
from dawnlist.files import remove_folder
from dawnlist.ingest import Batch, staged
from dawnlist.lake import Lake
from dawnlist.locks import exclusive
from dawnlist.promote import promote
from dawnlist.settings import Settings
from dawnlist.stages import gate
from dawnlist.stages.base import Interval, StageResult

WRITER_WAIT_SECONDS = 600
INPUTS = ("items", "customers", "consents", "events")  # what events refer to comes first


def run(settings: Settings, interval: Interval, *, run_id: str) -> StageResult:
    """Check every staged batch of the interval and promote it. Raises GateError, and leaves the lake as it was, when a suite fails.

    A batch that failed stays staged: after the mapping or a rule is mended, `ingest` stages its files anew.
    """
    started = time.monotonic()
    result = StageResult("validate", interval.key)
    with exclusive(settings.lake_dir / ".writer.lock", wait_seconds=WRITER_WAIT_SECONDS), duck.writing(settings.home):
        for batch in staged(settings, interval=interval.key):
            judge(settings, batch, interval, result, run_id=run_id)
    result.rows_in, result.rows_out = result.counts.get("n_read", 0), result.counts.get("n_kept", 0)
    result.seconds = time.monotonic() - started
    return result


def judge(settings: Settings, batch: Batch, interval: Interval, result: StageResult, *, run_id: str, is_replay: bool = False) -> None:
    """Check one staged batch, promote it, and add what happened to `result`. The caller holds the lake's writer lock.

    A replay is of files that the lake has: rows of theirs that stay bad are no more than there were, so their share is not judged again.
    """
    refused = [path for kind in INPUTS for path in batch.parquet(f"quarantine-{kind}")]
    # A quiet hour: all that landed is of kinds that are ignored, or twice, and a suite wants rows.
    filled = [kind for kind in INPUTS if sum(file["n_staged"] for file in batch.files if file["input"] == kind)]
    accepted = {kind: batch.parquet(kind) for kind in filled}
    if not is_replay:
        _check_share(settings, batch, refused)
    stored = Lake(settings.lake_dir).snapshot()
    began = time.monotonic()
    verdicts = [
        validation.check(
            settings,
            kind,
            {kind: files} | ({"items": [*stored.files("items"), *accepted.get("items", [])]} if kind == "events" else {}),
            source=batch.source,
            checked_for=interval.end,
            run_id=run_id,
        )
        for kind, files in accepted.items()
    ]
    result.notes += gate.decide(settings, verdicts, f"The batch {batch.batch_id}", run_date=interval.run_date, run_id=run_id)
    judged = time.monotonic()
    counts = promote(settings, batch, accepted, refused, run_id=run_id, is_replay=is_replay)
    remove_folder(batch.folder)
    for name, seconds in (("suites_seconds", judged - began), ("promotion_seconds", time.monotonic() - judged)):
        result.metrics[name] = result.metrics.get(name, 0.0) + seconds
    days = counts.pop("changed_days")
    result.counts |= {name: result.counts.get(name, 0) + count for name, count in counts.items()}
    result.metrics.setdefault("changed_days", []).extend(str(day) for day in days)
    result.metrics["checks"] = result.metrics.get("checks", 0) + sum(len(verdict.results) for verdict in verdicts)


def _check_share(settings: Settings, batch: Batch, refused: Sequence[Path]) -> None:
    with duck.connect(settings) as connection:
        scan = duck.scan(refused, QUARANTINE)
        bad = connection.execute(f"SELECT count(*) FROM {scan}").fetchall()[0][0]
        first = connection.execute(f"SELECT file_name, field, reason, min(line), count(*) FROM {scan} GROUP BY ALL ORDER BY 5 DESC, 1, 2, 3 LIMIT 1").fetchall()
    share = bad / max(1, batch.total("n_read"))
    if share > settings.gate.max_quarantined_share:
        name, field, reason, line, count = first[0]
        where = f", first in line {line}" if line else ""
        raise GateError(
            f"{share:.1%} of the {batch.total('n_read'):,} records of batch {batch.batch_id} cannot be used, more than gate.max_quarantined_share = "
            f"{settings.gate.max_quarantined_share:.0%}. Most: {name}: {field}: {reason} ({count:,}{where}). The lake is unchanged; mend the file or the mapping and ingest again."
        )
