"""What came in, and what the gate said of it."""

from datetime import date, timedelta
from statistics import median
from typing import Final

from dawnlist.errors import MissingInputError
from dawnlist.report.document import Bar, Cell, Days, Flag, Line, State, Table
from dawnlist.report.known import Known

DAYS: Final = 28
REASONS: Final = 8
FAILURES: Final = 20
INPUT_SUITES: Final = ("events", "items", "customers", "consents")
MADE_OF: Final = ("read", "kept", "quarantined", "duplicates", "ignored")
STATES: Final[dict[str, State]] = {"critical": "bad", "row": "bad", "warning": "warned", "notice": "none"}
# column of fct_daily_kpis -> its name here, and its form
KPIS: Final = {
    "n_visitors": ("visitors", ",.0f"),
    "n_sessions": ("sessions", ",.0f"),
    "bounce_rate": ("bounce rate", ".1%"),
    "n_orders": ("orders", ",.0f"),
    "net_revenue": ("net revenue", ",.2f"),
    "conversion_rate": ("conversion rate", ".2%"),
    "cart_abandonment_rate": ("carts abandoned", ".1%"),
}


def events_by_day(known: Known) -> Days:
    """Events of the lake in each of the last DAYS days; 0 for a day without any."""
    first = known.run_date - timedelta(days=DAYS - 1)
    found = {date.fromisoformat(file.partition): 0 for file in known.lake.data_files("events") if file.partition}
    if not found:
        raise MissingInputError("The lake has no events yet.")
    for file in known.lake.data_files("events"):
        found[date.fromisoformat(file.partition)] += file.rows
    begin = max(first, min(found))
    days = [begin + timedelta(days=n) for n in range((known.run_date - begin).days + 1)]
    return Days("Events by day", "events", [(day, found.get(day, 0)) for day in days])


def _files(known: Known) -> str:
    """The files of the ledger that had records of the run date, or landed for it."""
    return f"(FROM {known.of_lake('ledger')} WHERE list_contains(changed_days, {known.day}) OR file_time::DATE = {known.day})"


def records(known: Known) -> Table:
    """What became of every record of the files that concern the day: read = kept + quarantined + duplicates + ignored."""
    sums = ", ".join(f"sum(n_{name})::BIGINT" for name in MADE_OF)
    rows = known.rows(f"SELECT source, input, count(*), {sums} FROM {_files(known)} GROUP BY ALL ORDER BY 1, 2")
    if not rows:
        raise MissingInputError(f"No file with records of {known.run_date} has landed.")
    return Table("Records of the day's files", ("source", "input", "files", *MADE_OF), rows, "read = kept + quarantined + duplicates + ignored")


def quarantine(known: Known) -> Table:
    """The commonest reasons of the same files."""
    rows = known.rows(f"""
        SELECT source, input, field, reason, count(*) AS n FROM {known.of_lake("quarantine")} SEMI JOIN {_files(known)} USING (file_id, input)
        GROUP BY ALL ORDER BY n DESC, 1, 2, 3, 4 LIMIT {REASONS}
    """)
    if not rows:
        raise MissingInputError("None did.")
    most = rows[0][-1]
    return Table(
        "Why records went to quarantine",
        ("source", "input", "field", "reason", "records"),
        [(*row[:4], Bar(f"{row[4]:,}", row[4] / most, "warned")) for row in rows],
    )


def figures(known: Known) -> Table:
    """The figures of the day beside their median over the days before it."""
    columns = ", ".join(f"list({name}::DOUBLE ORDER BY event_date)" for name in KPIS)
    kpis = known.of_night("fct_daily_kpis")
    found = known.rows(
        f"SELECT source, list(event_date ORDER BY event_date), {columns} FROM {kpis} "
        f"WHERE event_date BETWEEN {known.day} - {DAYS - 1} AND {known.day} GROUP BY source ORDER BY source"
    )
    rows: list[tuple[Cell, ...]] = []
    for source, days, *lists in found:
        for (label, form), values in zip(KPIS.values(), lists, strict=True):
            today = values[-1] if days[-1] == known.run_date else None
            before = [value for day, value in zip(days, values, strict=True) if value is not None and day < known.run_date]
            usual = median(before) if before else None
            rows.append((source, label, *("" if value is None else format(value, form) for value in (today, usual)), Line(tuple(values))))
    if not rows:
        raise MissingInputError(f"There was no event in the {DAYS} days up to {known.run_date}.")
    return Table("The day's figures", ("source", "figure", "the day", "median before", f"last {DAYS} days"), rows)


def _results(known: Known) -> str:
    """The verdicts on the batches of the day, and those of the night's own runs: a night that ran again counts once."""
    runs = sorted({str(record["run_id"]) for record in known.nights.get(known.run_date, {}).values()})
    listed = ", ".join(f"'{run.replace(chr(39), chr(39) * 2)}'" for run in runs) or "NULL"
    suites = ", ".join(f"'{suite}'" for suite in INPUT_SUITES)
    return (
        f"(FROM {known.of_lake('gate_results')} WHERE run_id IN ({listed}) "
        f"OR suite IN ({suites}) AND checked_for > {known.day} AND checked_for <= TIMESTAMP '{known.end}')"
    )


def gate(known: Known) -> Table:
    """How many expectations of each suite held."""
    rows = known.rows(f"""
        SELECT suite, source, count(*) FILTER (is_success), count(*) FILTER (NOT is_success AND severity = 'notice'),
            count(*) FILTER (NOT is_success AND severity = 'warning'), count(*) FILTER (NOT is_success AND severity IN ('critical', 'row'))
        FROM {_results(known)} GROUP BY ALL ORDER BY 1, 2
    """)
    if not rows:
        raise MissingInputError("No suite has run for this night.")
    shown = [(suite, source, held, noted, warned, failed, _verdict(warned, failed)) for suite, source, held, noted, warned, failed in rows]
    return Table("Expectations", ("suite", "source", "held", "noted", "warned", "failed", "verdict"), shown)


def _verdict(warned: int, failed: int) -> Flag:
    return Flag("failed", "bad") if failed else Flag("warned", "warned") if warned else Flag("passed", "good")


def not_held(known: Known) -> Table:
    """What did not hold, the most severe first."""
    rows = known.rows(f"""
        SELECT severity, suite, source, coalesce(column_name, ''), expectation, coalesce(observed, '') FROM {_results(known)} WHERE NOT is_success
        ORDER BY list_position(['critical', 'row', 'warning', 'notice'], severity), 2, 3, 4, 5, 6 LIMIT {FAILURES}
    """)
    if not rows:
        raise MissingInputError("All of them held.")
    shown = [(Flag(severity, STATES.get(severity, "none")), *rest) for severity, *rest in rows]
    return Table("Expectations that did not hold", ("severity", "suite", "source", "column", "expected", "found"), shown, f"At most {FAILURES} are shown.")


def scores(known: Known) -> Table:
    """How good each source's data was on the run date."""
    rows = known.rows(f"""
        SELECT source, dimension, score, detail FROM {known.of_lake("source_scores")} WHERE run_date = {known.day}
        QUALIFY row_number() OVER (PARTITION BY source, dimension ORDER BY run_id DESC) = 1 ORDER BY source, dimension = 'total', dimension
    """)
    if not rows:
        raise MissingInputError("No source was scored for this night.")
    return Table(
        "Scores of the sources",
        ("source", "dimension", "score", "made of"),
        [(source, dimension, "" if score is None else Bar(f"{score:.3f}", score), detail or "") for source, dimension, score, detail in rows],
        "0 to 1; docs/data-quality.md",
    )
