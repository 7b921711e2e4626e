"""The events of one source as a night finds them. One row per event_date up to the run date; parameter: run_date."""

from datetime import timedelta

import great_expectations.expectations as gxe

from dawnlist.duck import literal
from expectations.kinds import Expectation, Scope, critical, share

COMPARED_DAYS = 28


def view(scope: Scope) -> str:
    """Events per day, of the days that have any."""
    return (
        "SELECT event_date, count(*) AS n_events FROM events "
        f"WHERE source = {literal(scope.source)} AND event_date <= DATE '{scope.parameters['run_date']}' GROUP BY event_date"
    )


def suite(scope: Scope) -> list[Expectation]:
    """There are events, the newest are fresh, and the run date has about as many as usual."""
    run_date, gate = scope.parameters["run_date"], scope.settings.gate
    oldest = run_date - timedelta(days=gate.max_stale_days)
    fresh = f"the newest event is of {oldest} or later (gate.max_stale_days = {gate.max_stale_days})"
    usual = f"{run_date} has at least {gate.min_volume_share:.0%} of the median of the days before it"
    on_the_day = f"SELECT coalesce(sum(n_events) FILTER (event_date = DATE '{run_date}'), 0) AS value FROM {{batch}}"
    return [
        critical(gxe.ExpectTableRowCountToBeBetween, f"there are days with events up to {run_date}", min_value=1),
        critical(gxe.ExpectColumnMaxToBeBetween, fresh, column="event_date", min_value=oldest),
        share(usual, _volume(run_date.isoformat()), min_value=gate.min_volume_share),
        share(f"there are events on {run_date}", on_the_day, min_value=1),
    ]


def _volume(day: str) -> str:
    """The day's events over the median of the days with events in the four weeks before it. NULL when either is missing."""
    before = f"event_date >= DATE '{day}' - INTERVAL {COMPARED_DAYS} DAY AND event_date < DATE '{day}'"
    return f"SELECT sum(n_events) FILTER (event_date = DATE '{day}') / median(n_events) FILTER ({before}) AS value FROM {{batch}}"
