"""What came in, and what the gate said of it."""

from collections import Counter
from datetime import date, timedelta
from statistics import median
from typing import Any, Final

from dawnlist import data_docs
from dawnlist.errors import MissingInputError
from dawnlist.report.document import Bar, Bars, Cell, Days, Flag, Lines, State, Table
from dawnlist.report.known import Known
from dawnlist.verdicts import SEVERITIES

DAYS: Final = 28
REASONS: Final = 8
FAILURES: Final = 20
INPUT_SUITES: Final = ("events", "items", "customers", "consents")
DAY_SUITE: Final = "day"
LIST_SUITES: Final = ("recommendations", "similar_items", "popular_items")
GROUPS: Final = (*INPUT_SUITES, "the day", "marts", "lists")
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


def counts_by_day(known: Known) -> list[tuple[date, int]]:
    """Events of the lake in each of the last DAYS days, oldest first; 0 for a day without any. Raises MissingInputError where the lake has none at all."""
    first = known.run_date - timedelta(days=DAYS - 1)
    found = {date.fromisoformat(file.partition): 0 for file in known.lake.data_files("events") if file.partition}
    if not found:
        raise MissingInputError("The lake has no events yet.")
    for file in known.lake.data_files("events"):
        found[date.fromisoformat(file.partition)] += file.rows
    begin = max(first, min(found))
    days = [begin + timedelta(days=n) for n in range((known.run_date - begin).days + 1)]
    return [(day, found.get(day, 0)) for day in days]


def events_by_day(known: Known) -> Table:
    """How many events each day has."""
    days = counts_by_day(known)
    return Table("Events by day", ("day", "events"), [(str(day), n) for day, n in days], charts=[Days("events", days)], folded=True)


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
    bars = [Bar(field or reason, n, f"{n:,}", "warned") for _, _, field, reason, n in rows]
    return Table("Why records went to quarantine", ("source", "input", "field", "reason", "records"), rows, charts=[Bars(bars)])


def figures(known: Known) -> Table:
    """The figures of the day beside their median over the days before it."""
    columns = ", ".join(f"list({name}::DOUBLE ORDER BY event_date)" for name in KPIS)
    kpis = known.of_night("fct_daily_kpis")
    found = known.rows(
        f"SELECT source, list(event_date ORDER BY event_date), {columns} FROM {kpis} "
        f"WHERE event_date BETWEEN {known.day} - {DAYS - 1} AND {known.day} GROUP BY source ORDER BY source"
    )
    if not found:
        raise MissingInputError(f"There was no event in the {DAYS} days up to {known.run_date}.")
    first = min(days[0] for _, days, *_ in found)
    axis = [first + timedelta(days=n) for n in range((known.run_date - first).days + 1)]
    rows, lines = list[tuple[Cell, ...]](), list[tuple[str, list[float | None]]]()
    for source, days, *lists in found:
        for (label, form), values in zip(KPIS.values(), lists, strict=True):
            of_day = dict(zip(days, values, strict=True))
            before = [value for day, value in of_day.items() if value is not None and day < known.run_date]
            shown = (of_day.get(known.run_date), median(before) if before else None)
            rows.append((source, label, *("" if value is None else format(value, form) for value in shown)))
            lines.append((_named(source, label, len(found)), [of_day.get(day) for day in axis]))
    return Table("The day's figures", ("source", "figure", "the day", "median before"), rows, charts=[Lines(axis, lines)])


def _named(source: str, label: str, n_sources: int) -> str:
    return label if n_sources == 1 else f"{source}: {label}"


def _group(suite: str) -> str:
    """What a suite is counted with: its own input, the day, the lists, or the marts all together."""
    return suite if suite in INPUT_SUITES else "the day" if suite == DAY_SUITE else "lists" if suite in LIST_SUITES else "marts"


def _outcomes(known: Known) -> list[dict[str, Any]]:
    """The newest outcome of each check of this night and of the batches of its day, with the group that it counts for."""
    found = [document | {"group": _group(document["suite"])} for document in data_docs.documents(known.settings, known.run_date).values()]
    if not found:
        raise MissingInputError("No suite has run for this night, or its outcomes are no longer kept (retention.nights).")
    return found


def gate(known: Known) -> Table:
    """How many expectations held, by what was checked."""
    outcomes = _outcomes(known)
    rows: list[tuple[Cell, ...]] = []
    for group in (name for name in GROUPS if any(one["group"] == name for one in outcomes)):
        of_group = [one for one in outcomes if one["group"] == group]
        failed = Counter(result["severity"] for one in of_group for result in one["results"] if not result["success"])
        n_bad, n_warned = failed["critical"] + failed["row"], failed["warning"]
        held = sum(result["success"] for one in of_group for result in one["results"])
        rows.append((group, _verdict(n_warned, n_bad), len(of_group), held, failed["notice"], n_warned, n_bad))
    return Table("Expectations", ("what", "verdict", "checks", "held", "noted", "warned", "failed"), rows, "Data Docs have each of them.")


def _verdict(n_warned: int, n_bad: int) -> Flag:
    return Flag("failed", "bad") if n_bad else Flag("warned", "warned") if n_warned else Flag("passed", "good")


def not_held(known: Known) -> Table:
    """What did not hold, the most severe first."""
    found = sorted(
        (SEVERITIES.index(result["severity"]), one["suite"], one["source"], result["column"] or "", result["expected"], result["observed"], one["checked_for"])
        for one in _outcomes(known)
        for result in one["results"]
        if not result["success"]
    )
    if not found:
        raise MissingInputError("All of them held.")
    rows = [(Flag(SEVERITIES[place], STATES[SEVERITIES[place]]), *rest, until.replace("T", " ")) for place, *rest, until in found[:FAILURES]]
    note = "" if len(found) <= FAILURES else f"The first {FAILURES} of {len(found):,}."
    return Table("Expectations that did not hold", ("severity", "suite", "source", "column", "expected", "found", "up to (UTC)"), rows, note)


def scores(known: Known) -> Table:
    """How good each source's data was on the run date."""
    rows = known.rows(f"""
        SELECT source, dimension, score, detail FROM {known.of_lake("source_scores")} WHERE run_date = {known.day}
        QUALIFY row_number() OVER (PARTITION BY source, dimension ORDER BY run_id DESC) = 1 ORDER BY source, dimension = 'total', dimension
    """)
    if not rows:
        raise MissingInputError("No source was scored for this night.")
    n_sources = len({source for source, *_ in rows})
    bars = [Bar(_named(source, dimension, n_sources), score, f"{score:.3f}") for source, dimension, score, _ in rows if score is not None]
    shown = [(source, dimension, "" if score is None else f"{score:.3f}", detail or "") for source, dimension, score, detail in rows]
    return Table("Scores of the sources", ("source", "dimension", "score", "made of"), shown, "0 to 1; docs/data-quality.md", [Bars(bars)])
