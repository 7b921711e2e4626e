"""The first lines of a report: how much there was, what the gate said, how good the lists are, what went out, how long it took."""

from collections.abc import Callable
from typing import Final

from dawnlist.errors import DawnlistError
from dawnlist.report import arrivals, output, quality
from dawnlist.report.document import Flag, Tile
from dawnlist.report.known import Known


def tiles(known: Known) -> list[Tile]:
    """One tile a maker; what is not known has none."""
    found = []
    for make in _MAKERS:
        try:
            found.append(make(known))
        except (DawnlistError, KeyError, TypeError):
            continue  # the section says why
    return found


def _events(known: Known) -> Tile:
    days = arrivals.counts_by_day(known)
    before = f"the day before: {days[-2][1]:,}" if len(days) > 1 else ""
    return Tile("events of the day", f"{days[-1][1]:,}", before, "none" if days[-1][1] else "warned")


def _gate(known: Known) -> Tile:
    table = arrivals.gate(known)
    states = [verdict.state for _, verdict, *_ in table.rows if isinstance(verdict, Flag)]
    n_bad, n_warned = states.count("bad"), states.count("warned")
    held = sum(n for _, _, _, n, *_ in table.rows if isinstance(n, int))
    said = "failed" if n_bad else "warned" if n_warned else "passed"
    return Tile("gate", said, f"{held:,} expectations held", "bad" if n_bad else "warned" if n_warned else "good")


def _lists(known: Known) -> Tile:
    record = known.stage("recommend")
    return Tile("people with a list", f"{record['rows_in']:,}", f"{record['counts'].get('n_ranked_persons', 0):,} of them with a history")


def _quality(known: Known) -> Tile:
    served, popular = quality.figures(known)
    return Tile("nDCG@10 on held-out days", f"{served:.3f}", "" if popular is None else f"most popular: {popular:.3f}")


def _published(known: Known) -> Tile:
    record = known.stage("publish")
    return Tile("publication", str(record["metrics"]["sequence"]), f"{record['rows_out']:,} rows")


def _seconds(known: Known) -> Tile:
    seconds, before = output.total_seconds(known)
    return Tile("seconds for the night", f"{seconds:,.0f}", "" if before is None else f"median before: {before:,.0f}")


_MAKERS: Final[tuple[Callable[[Known], Tile], ...]] = (_events, _gate, _lists, _quality, _published, _seconds)
