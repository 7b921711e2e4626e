"""validate: staged batches -> the gate -> the lake."""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from dawnlist import duck, validation
from dawnlist.columns import QUARANTINE
from dawnlist.errors import GateError
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
    with exclusive(settings.lake_dir / ".writer.lock", wait_seconds=WRITER_WAIT_SECONDS):
        for batch in staged(settings, interval=interval.key):
            _judge(settings, batch, interval, result, run_id=run_id)
    result.rows_in, result.rows_out = result.counts.get("n_read", 0), result.counts.get("n_kept", 0)
    result.seconds = time.monotonic() - started
    return result


def _judge(settings: Settings, batch: Batch, interval: Interval, result: StageResult, *, run_id: str) -> None:
    accepted, refused = {}, [path for kind in INPUTS for path in batch.parquet(f"quarantine-{kind}")]
    for kind in INPUTS:
        if not sum(file["n_staged"] for file in batch.files if file["input"] == kind):
            continue  # a quiet hour: all that landed is of kinds that are ignored, or twice, and a suite wants rows
        for path in batch.parquet(kind):
            good, bad = _split(settings, batch, kind, path)
            accepted[kind] = [good]
            refused += bad
    _check_share(settings, batch, refused)
    stored = Lake(settings.lake_dir).snapshot()
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
    counts = promote(settings, batch, accepted, refused, run_id=run_id)
    shutil.rmtree(batch.folder)
    days = counts.pop("changed_days")
    result.counts |= {name: result.counts.get(name, 0) + count for name, count in counts.items()}
    result.metrics.setdefault("changed_days", []).extend(str(day) for day in days)
    result.metrics["checks"] = result.metrics.get("checks", 0) + sum(len(verdict.results) for verdict in verdicts)


def _split(settings: Settings, batch: Batch, kind: str, path: Path) -> tuple[Path, list[Path]]:
    """One pass over the staged rows: those that fulfil every row rule, and the others as quarantine rows with the first rule that they break."""
    rules = validation.row_rules(kind)
    if not rules:
        return path, []
    cases = " ".join(f"WHEN NOT ({rule.condition}) THEN {number}" for number, rule in enumerate(rules))
    good, bad = batch.folder / f"accepted-{kind}.parquet", batch.folder / f"refused-{kind}.parquet"
    with duck.connect(settings) as connection:
        connection.execute(
            f"CREATE TEMP TABLE broken AS SELECT file_id, CASE {cases} END AS rule FROM read_parquet({duck.literal(str(path))}) WHERE rule IS NOT NULL"
        )
        if not connection.execute("SELECT count(*) FROM broken").fetchall()[0][0]:
            return path, []
        names = (
            "(VALUES " + ", ".join(f"({duck.literal(file['file_id'])}, {duck.literal(file['name'])})" for file in batch.files if file["input"] == kind) + ")"
        )
        reasons = "(VALUES " + ", ".join(f"({number}, {duck.literal(rule.field)}, {duck.literal(rule.reason)})" for number, rule in enumerate(rules)) + ")"
        rows = (
            f"SELECT {duck.literal(batch.source)} AS source, '{kind}' AS input, file_id, file_name, NULL::BIGINT AS line, field, reason "
            f"FROM broken JOIN {names} AS names (file_id, file_name) USING (file_id) JOIN {reasons} AS reasons (rule, field, reason) USING (rule)"
        )
        connection.execute(f"COPY (SELECT {', '.join(QUARANTINE)} FROM ({rows})) TO {duck.literal(str(bad))} (FORMAT parquet)")
        connection.execute(
            f"COPY (SELECT * FROM read_parquet({duck.literal(str(path))}) WHERE CASE {cases} END IS NULL) TO {duck.literal(str(good))} (FORMAT parquet, COMPRESSION zstd)"
        )
    return good, [bad]


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
