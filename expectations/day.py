"""The events of one source as a night finds them. One row per event_date of the last weeks up to the run date; parameter: run_date.

The run date's row also has what only that day is asked: its distributions against those of the days before, and its references to other
tables. Two scans of the needed columns and days make all of it. docs/data-quality.md has every check, its formula and its settings.
"""

from datetime import timedelta

import great_expectations.expectations as gxe

from expectations.day_tables import CATEGORIES, NUMBERS, relations
from expectations.kinds import Expectation, ExpectQueryValueToBeBetween, Scope, critical, notice, share
from expectations.statistics import robust_z

__all__ = ["relations", "suite"]

# A count of the day -> in words, the setting of its bound, and what it is a share of.
SHARES = {
    "n_unknown_items": ("name an item that no catalogue has", "max_unknown_items_share", "n_item_events"),
    "n_bots": ("are of bots", "max_bots_share", "n_events"),
    "n_null_ids": ("have neither a user nor a device", "max_null_ids_share", "n_events"),
}
UNKNOWN_USERS = {"unknown_users_share": "events of known users", "unknown_consents_share": "consents"}


def suite(scope: Scope) -> list[Expectation]:
    """There are events, the newest are fresh, and the run date is as the days before it were."""
    run_date, gate = scope.parameters["run_date"], scope.settings.gate
    oldest = run_date - timedelta(days=gate.max_stale_days)
    fresh = f"the newest event is of {oldest} or later (gate.max_stale_days = {gate.max_stale_days})"
    usual = f"{run_date} has at least {gate.min_volume_share:.0%} of the median of the days before it"
    return [
        critical(gxe.ExpectTableRowCountToBeBetween, f"there are days with events up to {run_date}", min_value=1),
        critical(gxe.ExpectColumnMaxToBeBetween, fresh, column="event_date", min_value=oldest),
        share(usual, _share_of_the_usual(scope), min_value=gate.min_volume_share),
        share(f"there are events on {run_date}", _events_of_the_day(scope), min_value=1),
        *_usual_volume(scope),
        share("no hour is missing that usually has events", _on_the_day(scope, "n_missing_hours"), max_value=0),
        critical(ExpectQueryValueToBeBetween, "no event_id of the day comes twice", unexpected_rows_query=_on_the_day(scope, "n_repeated_ids"), max_value=0),
        *[one for count in SHARES for one in _usual_share(scope, count)],
        *[
            share(
                f"at most {gate.max_unknown_users_share:.0%} of the {what} are of a user without a customer record",
                _on_the_day(scope, name),
                max_value=gate.max_unknown_users_share,
            )
            for name, what in UNKNOWN_USERS.items()
        ],
        *[one for name in CATEGORIES for one in _steady(scope, name, "psi", gate.psi_notice, gate.psi_warning)],
        *[one for name in (*NUMBERS, "events_per_visitor") for one in _steady(scope, name, "ks", gate.ks_notice, gate.ks_warning)],
    ]


def _usual_volume(scope: Scope) -> list[Expectation]:
    """Only a drop against the same weekday stops the night: a record day is no fault, and a weekend after one week of history is none either."""
    gate = scope.settings.gate
    least_spread = f"greatest({gate.volume_min_spread} * middle, 1)"
    volume = _distance(scope, "coalesce(n_events, 0)", least_spread)
    of_weekdays = _distance(scope, "coalesce(n_events, 0)", least_spread, of_weekdays_only=True)
    stop = f"the volume is no more than {gate.volume_z_critical:g} robust deviations below that of the same weekday"
    return [
        share(
            f"the volume is within {gate.volume_z_warning:g} robust deviations of the usual",
            volume,
            min_value=-gate.volume_z_warning,
            max_value=gate.volume_z_warning,
        ),
        critical(ExpectQueryValueToBeBetween, stop, unexpected_rows_query=of_weekdays, min_value=-gate.volume_z_critical),
    ]


def _events_of_the_day(scope: Scope) -> str:
    """NULL where the same weekday has usually none: some shops have no Saturdays."""
    return f"{_compared(scope, 'coalesce(n_events, 0)')} SELECT CASE WHEN NOT by_weekday OR middle > 0 THEN x END AS value FROM compared"


def _share_of_the_usual(scope: Scope) -> str:
    """The day's events over the median of the same weekday, or of all days with too few of these. NULL when either is 0."""
    return f"{_compared(scope, 'coalesce(n_events, 0)')} SELECT nullif(x, 0) / nullif(middle, 0) AS value FROM compared"


def _usual_share(scope: Scope, count: str) -> list[Expectation]:
    gate, (what, bound, total) = scope.settings.gate, SHARES[count]
    highest = getattr(gate, bound)
    z = _distance(scope, f"{count} / nullif({total}, 0)", str(gate.share_min_spread))
    return [
        share(f"at most {highest:.0%} of the day's events {what}", _on_the_day(scope, f"{count} / nullif({total}, 0)"), max_value=highest),
        share(
            f"the share of events that {what} is within {gate.share_z_warning:g} robust deviations of the usual",
            z,
            min_value=-gate.share_z_warning,
            max_value=gate.share_z_warning,
        ),
    ]


def _steady(scope: Scope, name: str, kind: str, noted: float, warned: float) -> list[Expectation]:
    query, what = _on_the_day(scope, f"{kind}_{name}"), {"psi": "population stability index", "ks": "Kolmogorov-Smirnov distance"}[kind]
    days = f"the {scope.settings.gate.drift_days} days before"
    return [
        notice(
            ExpectQueryValueToBeBetween,
            f"{name} has hardly shifted against {days}: {what} at most {noted:g} beyond chance",
            unexpected_rows_query=query,
            max_value=noted,
        ),
        share(f"{name} has not shifted against {days}: {what} at most {warned:g} beyond chance", query, max_value=warned),
    ]


def _on_the_day(scope: Scope, value: str) -> str:
    """The run date's `value`; NULL without events on the run date."""
    return f"SELECT any_value({value}) FILTER (event_date = DATE '{scope.parameters['run_date']}') AS value FROM {{batch}}"


def _distance(scope: Scope, metric: str, least_spread: str, *, of_weekdays_only: bool = False) -> str:
    """How many robust deviations the run date's `metric` is from the usual, with a `note` of what that is; NULL with too few days, or too few same weekdays."""
    least = scope.settings.gate.min_history_days
    enough = "by_weekday" if of_weekdays_only else f"by_weekday OR n >= {least}"
    return f"""{_compared(scope, metric)}
        SELECT CASE WHEN {enough} THEN {robust_z("x", "middle", "mad", "n", least_spread)} END AS value,
            CASE WHEN by_weekday THEN n || ' same weekdays' ELSE 'too few same weekdays: ' || n || ' days in all' END AS note
        FROM compared
    """


def _compared(scope: Scope, metric: str) -> str:
    """The relation `compared`: one row with the run date's `metric` as `x`, and `middle` (median), `mad` and `n` of the same weekday in the weeks before.

    With too few of these days all days before count, and `by_weekday` is false. Days without events between the first one and the run
    date count as days.
    """
    gate, day = scope.settings.gate, f"DATE '{scope.parameters['run_date']}'"
    return f"""
        WITH days AS (
            SELECT ({metric})::DOUBLE AS x, date_diff('day', calendar.event_date, {day}) AS age
            FROM (SELECT unnest(generate_series(min(event_date), {day}, INTERVAL 1 DAY))::DATE AS event_date FROM {{batch}}) AS calendar
            LEFT JOIN {{batch}} AS counted ON counted.event_date = calendar.event_date
        ),
        history AS (SELECT x, age % 7 = 0 AS is_same FROM days WHERE age > 0 AND x IS NOT NULL),
        basis AS (SELECT count(*) FILTER (is_same) >= {gate.min_same_weekdays} AS by_weekday FROM history),
        typical AS (
            SELECT median(history.x) AS middle, mad(history.x) AS mad, count(history.x) AS n, any_value(by_weekday) AS by_weekday
            FROM basis LEFT JOIN history ON is_same OR NOT by_weekday
        ),
        compared AS (SELECT typical.*, of_the_day.x FROM typical LEFT JOIN (SELECT x FROM days WHERE age = 0) AS of_the_day ON true)
    """
