"""What the day's suite looks at: the events of the last weeks by day, and what only the run date is asked. Parameter: run_date.

Two scans of the needed columns and days: one counts by hour, one by the values of each column. All else is made of these counts.
"""

from collections.abc import Mapping

from dawnlist.duck import literal
from expectations.kinds import Scope
from expectations.statistics import effective_size, ks, ks_by_chance, psi, psi_by_chance

CATEGORIES = ("event_type", "device", "os", "country", "referrer")
NUMBERS = ("unit_price", "quantity", "dwell_seconds")
_COUNTS = ("n_events", "n_item_events", "n_unknown_items", "n_bots", "n_null_ids")
_HAS_ID = "coalesce(user_id, anonymous_id) IS NOT NULL"
_VISITOR = "hash(coalesce(user_id, anonymous_id, session_id, order_id, event_id))"


def relations(scope: Scope) -> Mapping[str, str]:
    """What the suite looks at, in the order in which it is made; the last one is the guarded table."""
    return {
        "hours": _hours(scope),
        "counted": _counted(scope),
        "day": f"SELECT * FROM (SELECT event_date, {', '.join(f'sum({name})::BIGINT AS {name}' for name in _COUNTS)} FROM hours GROUP BY event_date) "
        f"LEFT JOIN ({_of_the_run_date(scope)}) USING (event_date)",
    }


def _events(scope: Scope, days: int) -> str:
    """Rows of the source from `days` days before the run date up to its end."""
    day = f"DATE '{scope.parameters['run_date']}'"
    return f"source = {literal(scope.source)} AND event_date <= {day} AND event_date >= {day} - {days}"


def _known(scope: Scope, table: str, key: str) -> str:
    """The keys that `table` has of the source, each once; none when it has no rows."""
    if table not in scope.tables:
        return f"(SELECT NULL::VARCHAR AS {key} WHERE false)"
    return f"(SELECT DISTINCT {key} FROM {table} WHERE source = {literal(scope.source)})"


def _hours(scope: Scope) -> str:
    """One row per event_date and hour that has events. Without a catalogue no item is unknown."""
    unknown = "known.item_id IS NULL AND events.item_id IS NOT NULL" if "items" in scope.tables else "NULL"
    return f"""
        SELECT event_date, hour(occurred_at) AS hour, count(*) AS n_events, count(events.item_id) AS n_item_events,
            CASE WHEN (SELECT count(*) FROM {_known(scope, "items", "item_id")}) > 0 THEN count(*) FILTER ({unknown}) END AS n_unknown_items,
            count(*) FILTER (is_bot) AS n_bots, count(*) FILTER (NOT {_HAS_ID}) AS n_null_ids, approx_count_distinct({_VISITOR}) AS n_visitors
        FROM events LEFT JOIN {_known(scope, "items", "item_id")} AS known USING (item_id)
        WHERE {_events(scope, 7 * scope.settings.gate.history_weeks)} GROUP BY event_date, hour
    """


def _counted(scope: Scope) -> str:
    """People's events of the run date and of the days before it, counted by the values of each column in one scan. `part`: the column.

    The part `visitor` has one row per visitor and day; events without an id are put together by session or order, else stand alone.
    """
    columns = (*CATEGORIES, *NUMBERS)
    parts = " ".join(f"WHEN GROUPING({name}) = 0 THEN {literal(name)}" for name in (*columns, "visitor"))
    sets = ", ".join(f"(is_day, {name})" for name in columns)
    return f"""
        SELECT CASE {parts} END AS part, is_day, has_id, {", ".join(columns)}, count(*) AS n
        FROM (
            SELECT event_date = DATE '{scope.parameters["run_date"]}' AS is_day, event_date, {_HAS_ID} AS has_id,
                {_VISITOR} AS visitor, {", ".join(columns)}
            FROM events WHERE {_events(scope, scope.settings.gate.drift_days)} AND NOT coalesce(is_bot, false)
        )
        GROUP BY GROUPING SETS ((is_day, event_date, has_id, visitor), {sets})
    """


def _of_the_run_date(scope: Scope) -> str:
    """One row: what only the run date is asked."""
    answered = f"source = {literal(scope.source)} AND changed_at < DATE '{scope.parameters['run_date']}' + INTERVAL 1 DAY"
    found = {f"psi_{name}": _shift(scope, name, "psi") for name in CATEGORIES} | {f"ks_{name}": _shift(scope, name, "ks") for name in NUMBERS}
    found |= {
        "ks_events_per_visitor": _shift(scope, "visitor", "ks"),
        "n_missing_hours": _missing_hours(scope),
        "n_repeated_ids": f"SELECT count(*) - count(DISTINCT event_id) FROM events WHERE {_events(scope, 0)}",
        "unknown_users_share": _unknown_users(scope, "events", _events(scope, 0)),
        "unknown_consents_share": _unknown_users(scope, "consents", answered),
    }
    return f"SELECT DATE '{scope.parameters['run_date']}' AS event_date, {', '.join(f'({query}) AS {name}' for name, query in found.items())}"


def _shift(scope: Scope, part: str, kind: str) -> str:
    """How much further a column's distribution on the run date is from that of the days before than chance explains: the index or the distance less what
    equal distributions stay below. NULL with too few rows on either side.

    Events of one visitor are alike, so chance goes by the effective number of events; visitors themselves are independent.
    """
    rows = scope.settings.gate.drift_min_rows
    of_visitors = part == "visitor"
    value, n, size = ("n", "1", "count(*)::DOUBLE") if of_visitors else (part, "n", effective_size("n"))
    counts = f"""
        SELECT {value} AS {"x" if kind == "ks" else "category"}, coalesce(sum({n}) FILTER (is_day), 0) AS n_day, coalesce(sum({n}) FILTER (NOT is_day), 0) AS n_reference
        FROM counted WHERE part = {literal(part)} {"AND has_id" if of_visitors else ""} GROUP BY 1
    """
    sizes = f"SELECT {size} AS size, is_day FROM counted WHERE part = 'visitor' {'AND has_id' if of_visitors else ''} GROUP BY is_day"
    chance = psi_by_chance("k", "day.size", "reference.size") if kind == "psi" else ks_by_chance("day.size", "reference.size")
    return f"""
        SELECT CASE WHEN least(n_day, n_reference) >= {rows} THEN greatest(value - {chance}, 0) END
        FROM ({psi(counts) if kind == "psi" else ks(counts)}), ({sizes}) AS day, ({sizes}) AS reference WHERE day.is_day AND NOT reference.is_day
    """


def _unknown_users(scope: Scope, table: str, where: str) -> str:
    """The share of the table's rows with a user whom the customers do not have; NULL where the source has no customers."""
    if not {table, "customers"} <= scope.tables:
        return "SELECT NULL::DOUBLE"
    known = _known(scope, "customers", "user_id")
    return (
        f"SELECT CASE WHEN (SELECT count(*) FROM {known}) > 0 THEN avg((known.user_id IS NULL)::INTEGER) END "
        f"FROM {table} LEFT JOIN {known} AS known USING (user_id) WHERE {where} AND {table}.user_id IS NOT NULL"
    )


def _missing_hours(scope: Scope) -> str:
    """How many hours of the run date have (nearly) no visitor although they usually have: in three of four of the same weekdays, or of all days with too few of these."""
    gate, day = scope.settings.gate, f"DATE '{scope.parameters['run_date']}'"
    return f"""
        WITH before AS (
            SELECT event_date, date_diff('day', event_date, {day}) % 7 = 0 AS is_same FROM (SELECT DISTINCT event_date FROM hours WHERE event_date < {day})
        ),
        compared AS (SELECT event_date FROM before WHERE is_same OR (SELECT count(*) FILTER (is_same) < {gate.min_same_weekdays} FROM before)),
        usual AS (
            SELECT clock.hour, quantile_cont(coalesce(hours.n_visitors, 0), 0.25) AS usual
            FROM compared CROSS JOIN (SELECT unnest(range(24)) AS hour) AS clock
            LEFT JOIN hours ON hours.event_date = compared.event_date AND hours.hour = clock.hour
            GROUP BY clock.hour HAVING (SELECT count(*) FROM compared) >= {gate.min_same_weekdays}
        )
        SELECT count(*) FROM usual LEFT JOIN hours ON hours.event_date = {day} AND hours.hour = usual.hour
        WHERE usual >= {gate.min_hour_visitors} AND coalesce(hours.n_visitors, 0) < {gate.min_hour_share} * usual
    """
