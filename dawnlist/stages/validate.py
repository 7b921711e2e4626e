"""validate: staged batches -> the gate -> the lake."""

import time
from collections.abc import Sequence
from pathlib import Path

from dawnlist import duck, validation
from dawnlist.columns import INPUT_KEYS, LAKE_TABLES, ORIGIN, QUARANTINE
from dawnlist.errors import GateError
from dawnlist.files import remove_folder
from dawnlist.ingest import Batch, content_order, staged
from dawnlist.lake import Lake
from dawnlist.locks import exclusive
from dawnlist.promote import promote
from dawnlist.row_rules import RowRule
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
    accepted: dict[str, list[Path]] = {}
    conditions: dict[str, str] = {}
    refused = [path for kind in INPUTS for path in batch.parquet(f"quarantine-{kind}")]
    for kind in INPUTS:
        if not sum(file["n_staged"] for file in batch.files if file["input"] == kind):
            continue  # a quiet hour: all that landed is of kinds that are ignored, or twice, and a suite wants rows
        accepted[kind] = batch.parquet(kind)
        condition = _split(settings, batch, kind, accepted[kind], refused)
        if condition:
            conditions[kind] = condition
    if not is_replay:
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
            conditions=conditions,
        )
        for kind, files in accepted.items()
    ]
    result.notes += gate.decide(settings, verdicts, f"The batch {batch.batch_id}", run_date=interval.run_date, run_id=run_id)
    counts = promote(settings, batch, accepted, refused, run_id=run_id, is_replay=is_replay, conditions=conditions)
    remove_folder(batch.folder)
    days = counts.pop("changed_days")
    result.counts |= {name: result.counts.get(name, 0) + count for name, count in counts.items()}
    result.metrics.setdefault("changed_days", []).extend(str(day) for day in days)
    result.metrics["checks"] = result.metrics.get("checks", 0) + sum(len(verdict.results) for verdict in verdicts)


def _split(settings: Settings, batch: Batch, kind: str, accepted: list[Path], refused: list[Path]) -> str:
    """Judge the staged rows by the row rules. Returns the condition (SQL) that the good ones fulfil, '' when all do; the others are added to
    `refused` as quarantine rows, with the first rule that they break.

    Doubles are judged, too: whether a row is good must not depend on which other rows are in its batch. Those that step in for a bad row
    are added to `accepted`.
    """
    rules = validation.row_rules(kind)
    if not rules:
        return ""
    cases = " ".join(f"WHEN NOT ({rule.condition}) THEN {number}" for number, rule in enumerate(rules))
    keys = ", ".join(INPUT_KEYS[kind])
    first, doubles = (duck.scan(files, LAKE_TABLES[kind] | ORIGIN) for files in (accepted, batch.parquet(f"doubles-{kind}")))
    with duck.connect(settings) as connection:
        connection.execute(
            "CREATE TEMP TABLE broken AS "
            + " UNION ALL ".join(
                f"SELECT {keys}, file_id, CASE {cases} END AS rule, {is_first} AS is_first FROM {rows} WHERE rule IS NOT NULL"
                for rows, is_first in ((first, "true"), (doubles, "false"))
            )
        )
        broken = [rules[row[0]] for row in connection.execute("SELECT DISTINCT rule FROM broken ORDER BY rule").fetchall()]
        if not broken:
            return ""
        refused.append(batch.folder / f"refused-{kind}.parquet")
        connection.execute(f"COPY ({_as_quarantine(batch, kind, rules)}) TO {duck.literal(str(refused[-1]))} (FORMAT parquet)")
        heirs = (
            f"SELECT * FROM {doubles} SEMI JOIN (SELECT {keys} FROM broken WHERE is_first) USING ({keys}) WHERE CASE {cases} END IS NULL "
            f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {content_order(kind)}, file_id) = 1"
        )
        path = batch.folder / f"heirs-{kind}.parquet"
        written = connection.execute(f"COPY ({heirs}) TO {duck.literal(str(path))} (FORMAT parquet)").fetchall()[0][0]
        accepted += [path] if written else []
    return " AND ".join(f"coalesce({rule.condition}, true)" for rule in broken)


def _as_quarantine(batch: Batch, kind: str, rules: Sequence[RowRule]) -> str:
    """The rows of `broken` as the lake's quarantine has them."""
    names = ", ".join(f"({duck.literal(file['file_id'])}, {duck.literal(file['name'])})" for file in batch.files if file["input"] == kind)
    reasons = ", ".join(f"({number}, {duck.literal(rule.field)}, {duck.literal(rule.reason)})" for number, rule in enumerate(rules))
    return (
        f"SELECT {', '.join(QUARANTINE)} FROM (SELECT {duck.literal(batch.source)} AS source, '{kind}' AS input, file_id, file_name, NULL::BIGINT AS line, field, reason "
        f"FROM broken JOIN (VALUES {names}) AS names (file_id, file_name) USING (file_id) JOIN (VALUES {reasons}) AS reasons (rule, field, reason) USING (rule))"
    )


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
