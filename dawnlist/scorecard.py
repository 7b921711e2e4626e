"""How good each source's data is for recommending: reliability, recency, completeness, relevance and their total, each from 0 to 1.

`open` scores every night; the lake's table source_scores keeps the scores, one file a run date. docs/data-quality.md has the formulas
in words, and where they come from. A part without anything to look at has the score NULL and does not count.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from dawnlist.columns import EVENTS, GATE_RESULTS, ITEMS, LEDGER, SOURCE_SCORES
from dawnlist.duck import connect, literal, scan
from dawnlist.lake import Lake, Snapshot
from dawnlist.settings import PROJECT
from dawnlist.verdicts import NOTICE, Verdict

if TYPE_CHECKING:
    import duckdb

    from dawnlist.settings import Settings

TABLE = "source_scores"
TOTAL = "total"
SUITES = ("events", "items", "customers", "consents", "day")  # of a source; those of marts and lists say something about our code
WEIGHTS = PROJECT / "dbt_project" / "seeds" / "event_weights.csv"
VISITOR = "coalesce(user_id, anonymous_id)"
OF_ITEMS = "event_type <> 'search'"
OF_SALES = "event_type IN ('purchase', 'refund')"
# A column that counts for completeness (its weight is the setting scorecard.<name>_weight) -> what must be filled, and of which events.
IMPORTANT = {
    "visitor": (VISITOR, "true"),
    "item": ("item_id", OF_ITEMS),
    "price": ("unit_price", OF_SALES),
    "quantity": ("quantity", OF_SALES),
    "session": ("session_id", "true"),
    "device": ("device", "true"),
    "country": ("country", "true"),
}

Part = tuple[float | None, str]  # a score, and in words and counts what it is made of


def keep(settings: "Settings", verdicts: Iterable[Verdict], *, run_date: date, run_id: str) -> dict[str, dict[str, float | None]]:
    """Score every source as of the end of `run_date` and put the scores in the place of earlier ones of that date. Source -> dimension -> score.

    verdicts: those of the day, whose results are not yet in the lake.
    """
    lake = Lake(settings.lake_dir)
    state = lake.snapshot()
    with connect(settings) as connection:
        connection.execute(f"CREATE TEMP TABLE scores ({', '.join(f'{name} {kind}' for name, kind in SOURCE_SCORES.items())})")
        scores = {}
        for verdict in verdicts:
            rows = score(settings, connection, state, verdict, run_date=run_date)
            scores[verdict.source] = {dimension: value for dimension, value, _, _ in rows}
            connection.executemany(
                f"INSERT INTO scores VALUES ({', '.join('?' * len(SOURCE_SCORES))})", [(run_date, verdict.source, *row, run_id) for row in rows]
            )
        file = lake.write(connection, TABLE, "SELECT * FROM scores ORDER BY ALL", partition=run_date)
    others = [one for one in state.data_files(TABLE) if one.partition != run_date.isoformat()]
    lake.commit({TABLE: [*others, *([file] if file else [])]}, run_id=run_id)
    return scores


def score(
    settings: "Settings", connection: "duckdb.DuckDBPyConnection", state: Snapshot, verdict: Verdict, *, run_date: date
) -> list[tuple[str, float | None, float, str]]:
    """(dimension, score, weight, detail) of the verdict's source, the total last. Scores are rounded to 6 digits."""
    source, card = verdict.source, settings.scorecard
    first = run_date - timedelta(days=card.days - 1)
    connection.execute(f"""CREATE OR REPLACE TEMP VIEW recent AS SELECT * FROM {scan(state.files("events", since=first, until=run_date + timedelta(days=1)), EVENTS)}
        WHERE source = {literal(source)} AND event_date BETWEEN DATE '{first}' AND DATE '{run_date}'""")
    parts: dict[str, Part] = {
        "reliability": _reliability(connection, state, verdict, first, run_date),
        "recency": _recency(connection, state, source, run_date, card.recency_half_life_days),
        "completeness": _completeness(connection, settings),
        "relevance": _relevance(connection, state, source),
    }
    rows = [(name, value if value is None else round(value, 6), float(getattr(card, f"{name}_weight")), detail) for name, (value, detail) in parts.items()]
    weight = sum(weight for _, value, weight, _ in rows if value is not None)
    total = sum(value * weight for _, value, weight, _ in rows if value is not None) / weight if weight else None
    return [*rows, (TOTAL, total if total is None else round(total, 6), weight, f"weighted mean of {card.days} days")]


def _reliability(connection: "duckdb.DuckDBPyConnection", state: Snapshot, verdict: Verdict, first: date, run_date: date) -> Part:
    """The mean of the share of records that were kept, of those that the source meant for us, and of the share of gate checks that passed."""
    days = f"BETWEEN DATE '{first}' AND DATE '{run_date}'"
    kept, read = connection.execute(
        f"SELECT coalesce(sum(n_kept), 0)::BIGINT, coalesce(sum(n_read - n_ignored), 0)::BIGINT FROM {scan(state.files('ledger'), LEDGER)} "
        f"WHERE source = {literal(verdict.source)} AND coalesce(file_time::DATE, list_max(changed_days)) {days}"
    ).fetchall()[0]
    begin, end = datetime.combine(first, datetime.min.time()), datetime.combine(run_date, datetime.min.time()) + timedelta(days=1)
    passed, checks = connection.execute(
        f"SELECT count(*) FILTER (is_success), count(*) FROM {scan(state.files('gate_results'), GATE_RESULTS)} WHERE source = {literal(verdict.source)} "
        f"AND suite IN ({', '.join(map(literal, SUITES))}) AND severity <> {literal(NOTICE)} AND checked_for > TIMESTAMP '{begin}' AND checked_for <= TIMESTAMP '{end}'"
    ).fetchall()[0]
    own = [result.is_success for result in verdict.results if result.severity != NOTICE]
    passed, checks = passed + sum(own), checks + len(own)
    shares = [part / whole for part, whole in ((kept, read), (passed, checks)) if whole]
    return (sum(shares) / len(shares) if shares else None), f"{kept:,} of {read:,} records kept; {passed:,} of {checks:,} checks passed"


def _recency(connection: "duckdb.DuckDBPyConnection", state: Snapshot, source: str, run_date: date, half_life: float) -> Part:
    """Half after each half-life that the newest event is older than the run date; 0 when there is none."""
    files = scan(state.files("events", until=run_date + timedelta(days=1)), EVENTS)
    newest = connection.execute(f"SELECT max(event_date) FROM {files} WHERE source = {literal(source)} AND event_date <= DATE '{run_date}'").fetchall()[0][0]
    if newest is None:
        return 0.0, "no event"
    age = (run_date - newest).days
    return 0.5 ** (age / half_life), f"newest event of {newest}, {age} days before the run date"


def _completeness(connection: "duckdb.DuckDBPyConnection", settings: "Settings") -> Part:
    """The weighted mean of the fill rates of the important columns, each over the events that it applies to; columns that apply to none are left out."""
    rates = ", ".join(f"avg(({value} IS NOT NULL)::INTEGER) FILTER ({applies}) AS {name}" for name, (value, applies) in IMPORTANT.items())
    found = dict(zip(IMPORTANT, connection.execute(f"SELECT {rates} FROM recent").fetchall()[0], strict=True))
    weights = {name: getattr(settings.scorecard, f"{name}_weight") for name, rate in found.items() if rate is not None}
    detail = "; ".join(f"{name} {found[name]:.1%}" for name in weights) or "no event"
    total = sum(weights.values())
    return (sum(weights[name] * found[name] for name in weights) / total if total else None), detail


def _relevance(connection: "duckdb.DuckDBPyConnection", state: Snapshot, source: str) -> Part:
    """The share of the events that a list can be made of: of a person, about a known item, and of a type with a positive weight."""
    items = f"(SELECT DISTINCT item_id FROM {scan(state.files('items'), ITEMS)} WHERE source = {literal(source)})"
    usable, n = connection.execute(f"""
        SELECT count(*) FILTER (
            NOT coalesce(is_bot, false) AND {VISITOR} IS NOT NULL AND weight > 0 AND recent.item_id IS NOT NULL
            AND (known.item_id IS NOT NULL OR NOT EXISTS (FROM {items}))
        ), count(*)
        FROM recent LEFT JOIN {items} AS known USING (item_id) LEFT JOIN read_csv({literal(str(WEIGHTS))}, columns = {{'event_type': 'VARCHAR', 'weight': 'DOUBLE'}}) USING (event_type)
    """).fetchall()[0]
    return (usable / n if n else None), f"{usable:,} of {n:,} events"
