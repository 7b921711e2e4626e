"""The triggers of the rules file, judged once a night: in whom a condition holds and for how long it has, and how the site's click-through goes. docs/policies.md.

The lake has two partitions for each night (run_date): `trigger_nights` (what was judged, and what came of it) and `trigger_states` (in whom a condition held). Whether one has held
for some days is derived from the partitions up to the night, so that neither a repetition nor a backfill can break it. The night's table `rule_firings` has what fired.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dawnlist import person_features
from dawnlist.columns import EVENTS
from dawnlist.duck import identifier, literal, scan
from dawnlist.lake import Lake, Snapshot
from dawnlist.rules import Condition, Trigger

if TYPE_CHECKING:
    import duckdb

    from dawnlist.settings import Settings

PERSON, SITE = "person", "site"
STATES: Final = "trigger_states"
NIGHTS: Final = "trigger_nights"
FIRINGS: Final = "rule_firings"
DAY: Final = timedelta(days=1)
TRAILING_DAYS: Final = 7
MIN_IMPRESSIONS: Final = 1000
PAUSE_DAYS: Final = 14
CHANCE_Z: Final = 2.326  # the one-sided 1% point of the normal distribution: one fall in a hundred by chance would be as great

TABLES: Final[Mapping[str, dict[str, str]]] = {
    STATES: {
        "run_date": "DATE",
        "trigger": "VARCHAR",
        "condition": "VARCHAR",  # in words: another condition under the same name starts anew
        "person_id": "VARCHAR",  # with consent
        "value": "DOUBLE",  # of the feature; NULL where it is a text
    },
    NIGHTS: {
        "run_date": "DATE",
        "trigger": "VARCHAR",
        "kind": "VARCHAR",  # person or site
        "condition": "VARCHAR",
        "n_judged": "BIGINT",  # persons of whom the feature is known; 1 for the site, 0 where it cannot be judged
        "n_held": "BIGINT",  # persons in whom it holds tonight
        "n_fired": "BIGINT",  # those in whom it has for long enough
        "value": "DOUBLE",  # of the site: on the run date
        "value_before": "DOUBLE",  # in the 7 days before it
        "note": "VARCHAR",  # what came of it, or why it cannot be judged; '' where there is nothing to say
    },
    FIRINGS: {
        "run_date": "DATE",
        "rule": "VARCHAR",
        "kind": "VARCHAR",
        "person_id": "VARCHAR",  # NULL for the site
        "value": "DOUBLE",
        "threshold": "DOUBLE",  # NULL where it is a text
        "condition": "VARCHAR",
        "outcome": "VARCHAR",  # the tag of the person; of the site, what was done
    },
}


@dataclass(frozen=True)
class Clicks:
    """Pairs of a person and an item of their list on a day: those where the item was shown, and of them those where it was clicked then."""

    shown: int
    clicked: int

    @property
    def rate(self) -> float:
        """Click-through; NaN where nothing was shown."""
        return self.clicked / self.shown if self.shown else math.nan


@dataclass(frozen=True)
class Fall:
    """What a condition on a metric is tonight: `holds`, None where it cannot be judged, and why, in a sentence."""

    holds: bool | None
    why: str


def create_tables(connection: "duckdb.DuckDBPyConnection") -> None:
    """The empty tables of the night."""
    for table, columns in TABLES.items():
        connection.execute(f"CREATE TABLE {table} ({', '.join(f'{name} {kind}' for name, kind in columns.items())})")


def judge_persons(connection: "duckdb.DuckDBPyConnection", triggers: Sequence[Trigger], lake: Snapshot, marts: Snapshot, run_date: date) -> None:
    """Fill the tables of `create_tables` for the triggers on features. Needs the table `clusters`: who consents.

    A trigger fires where its condition holds tonight and held in every night since the newest one that is `for_days` - 1 days ago or longer, this one included. Days
    without a night, and nights that did not judge this condition, break nothing and count.
    """
    for trigger in triggers:
        if trigger.when.feature is not None:
            _judge_feature(connection, trigger, lake, marts, run_date)


def _judge_feature(connection: "duckdb.DuckDBPyConnection", trigger: Trigger, lake: Snapshot, marts: Snapshot, run_date: date) -> None:
    feature = person_features.known()[str(trigger.when.feature)]
    day, number = f"DATE '{run_date}'", "DOUBLE" if feature.is_number else "VARCHAR"
    values = scan(marts.files(feature.table), {"person_id": "VARCHAR", "feature_date": "DATE", feature.name: number})
    is_asked = f"trigger = {literal(trigger.id)} AND condition = {literal(trigger.when.words)}"
    column, threshold = identifier(feature.name), "NULL" if isinstance(trigger.when.threshold, str) else repr(trigger.when.threshold)
    tag = literal(str(trigger.then.tag))
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE known AS SELECT person_id, {column} AS value FROM {values} SEMI JOIN clusters USING (person_id)
        WHERE feature_date = {day} AND {column} IS NOT NULL
    """)
    connection.execute(f"""
        INSERT INTO {STATES} SELECT {day}, {literal(trigger.id)}, {literal(trigger.when.words)}, person_id, {"value" if feature.is_number else "NULL"}
        FROM known WHERE value {_comparison(trigger.when)} ORDER BY person_id
    """)
    connection.execute(f"""
        INSERT INTO {FIRINGS}
        WITH nights AS (SELECT DISTINCT run_date FROM {_past(lake, NIGHTS, run_date)} WHERE {is_asked} UNION ALL SELECT {day}),
        wanted AS (SELECT run_date FROM nights WHERE run_date >= (SELECT max(run_date) FROM nights WHERE run_date <= {day} - {trigger.for_days - 1})),
        held AS (
            SELECT person_id FROM (FROM {_past(lake, STATES, run_date)} UNION ALL BY NAME FROM {STATES}) SEMI JOIN wanted USING (run_date)
            WHERE {is_asked} GROUP BY person_id HAVING count(*) = (SELECT count(*) FROM wanted)
        )
        SELECT {day}, trigger, {literal(PERSON)}, person_id, value, {threshold}, condition || {literal(_for_days(trigger))}, {tag}
        FROM {STATES} SEMI JOIN held USING (person_id) WHERE {is_asked} ORDER BY person_id
    """)
    connection.execute(f"""
        INSERT INTO {NIGHTS} SELECT {day}, {literal(trigger.id)}, {literal(PERSON)}, {literal(trigger.when.words)}, (SELECT count(*) FROM known),
            (SELECT count(*) FROM {STATES} WHERE {is_asked}), (SELECT count(*) FROM {FIRINGS} WHERE rule = {literal(trigger.id)}), NULL, NULL, 'tag ' || {tag}
    """)


def _comparison(condition: Condition) -> str:
    operator = "<" if condition.below is not None else ">" if condition.above is not None else "="
    return f"{operator} {literal(condition.threshold) if isinstance(condition.threshold, str) else f'{condition.threshold!r}::DOUBLE'}"


def _for_days(trigger: Trigger) -> str:
    return f" for {trigger.for_days} days" if trigger.for_days > 1 else ""


def _past(lake: Snapshot, table: str, run_date: date) -> str:
    """A FROM item of what earlier nights than that of `run_date` have in `table`."""
    return scan([lake.root / file.path for file in lake.data_files(table) if file.partition < run_date.isoformat()], TABLES[table])


def relation(lake: Snapshot, *, until: date) -> str:
    """A FROM item of `trigger_nights` of the nights up to and including `until`."""
    return _past(lake, NIGHTS, until + DAY)


def click_through(connection: "duckdb.DuckDBPyConnection", settings: "Settings", lake: Snapshot, run_date: date, version: str) -> tuple[Clicks, Clicks]:
    """Clicks on the run date, of the lists that `version` made, and in the 7 days before it, whoever made them.

    The lists of a day are those of the newest night before it whose tables are kept. Only people who had consented have lists that count, and of those nothing that a rule or a draw put
    there; the impressions and clicks are the lake's of that day, without bots. A pair of a person and an item counts once a day, as clicked where a click came after the first
    impression.
    """
    nights = sorted(date.fromisoformat(path.parent.name) for path in settings.home.glob("nights/????-??-??/catalog.json"))
    on_the_day, before = Clicks(0, 0), Clicks(0, 0)
    for back in range(TRAILING_DAYS + 1):
        day = run_date - back * DAY
        earlier = [night for night in nights if night < day]
        if not earlier:
            continue
        night, events = Lake(settings.night_dir(earlier[-1])).snapshot(), lake.files("events", since=day, until=day + DAY)
        found = _clicks(connection, night, events, None if back else version)
        if back:
            before = Clicks(before.shown + found.shown, before.clicked + found.clicked)
        else:
            on_the_day = found
    return on_the_day, before


def _clicks(connection: "duckdb.DuckDBPyConnection", night: Snapshot, events: Sequence[Path], version: str | None) -> Clicks:
    recommendations = scan(night.files("recommendations"), {"person_id": "VARCHAR", "item_id": "VARCHAR", "source": "VARCHAR", "model_version": "VARCHAR"})
    users = scan(night.files("dim_users"), {"person_id": "VARCHAR", "has_personalisation_consent": "BOOLEAN"})
    row = connection.execute(f"""
        WITH listed AS (
            SELECT person_id, item_id FROM {recommendations} SEMI JOIN (FROM {users} WHERE has_personalisation_consent) USING (person_id)
            WHERE coalesce(source, '') NOT IN ('rule', 'exploration') {"" if version is None else f"AND model_version = {literal(version)}"}
        ),
        events AS (
            SELECT coalesce(user_id, anonymous_id) AS alias_id, item_id, event_type, occurred_at FROM {scan(events, dict(EVENTS))}
            WHERE event_type IN ('impression', 'click') AND is_bot IS NOT TRUE
        ),
        pairs AS (
            SELECT person_id, item_id, min(occurred_at) FILTER (event_type = 'impression') AS shown_at, max(occurred_at) FILTER (event_type = 'click') AS clicked_at
            FROM events JOIN {scan(night.files("persons"), {"alias_id": "VARCHAR", "person_id": "VARCHAR"})} USING (alias_id)
            SEMI JOIN listed USING (person_id, item_id) GROUP BY ALL
        )
        SELECT count(shown_at), count(*) FILTER (clicked_at >= shown_at) FROM pairs
    """).fetchone()
    return Clicks(*row) if row else Clicks(0, 0)


def fall(condition: Condition, day: Clicks, before: Clicks) -> Fall:
    """Whether click-through has fallen by the condition's share, and by more than chance (two proportions, pooled, one-sided at 1%)."""
    least = condition.min_impressions or MIN_IMPRESSIONS
    for when, clicks in (("on the run date", day), (f"in the {TRAILING_DAYS} days before", before)):
        if clicks.shown < least:
            hint = "" if clicks.shown else "; does a source send impressions?"
            return Fall(None, f"cannot be judged: {clicks.shown:,} listed items were shown {when}, it takes {least:,}{hint}")
    share = 1 - day.rate / before.rate if before.clicked else 0.0
    pooled = (day.clicked + before.clicked) / (day.shown + before.shown)
    deviation = math.sqrt(pooled * (1 - pooled) * (1 / day.shown + 1 / before.shown))
    is_chance = before.rate - day.rate < CHANCE_Z * deviation
    how = f"{day.rate:.2%} of {day.shown:,} shown items were clicked, {before.rate:.2%} of {before.shown:,} in the {TRAILING_DAYS} days before"
    has_fallen = share >= float(condition.threshold)
    return Fall(has_fallen and not is_chance, f"{how}{', which may be chance' if has_fallen and is_chance else ''}")


def record_site(
    connection: "duckdb.DuckDBPyConnection", trigger: Trigger, run_date: date, clicks: tuple[Clicks, Clicks], found: Fall, outcome: str | None, note: str
) -> None:
    """Put what a trigger on a metric came to into the tables of `create_tables`. `outcome`: what was done; None where nothing was."""
    values = [value if not math.isnan(value) else None for value in (round(one.rate, 6) for one in clicks)]
    counts = [int(found.holds is not None), int(found.holds is True), int(outcome is not None)]
    night = [run_date, trigger.id, SITE, trigger.when.words, *counts, *values, note]
    connection.execute(f"INSERT INTO {NIGHTS} VALUES ({', '.join('?' * len(night))})", night)
    if outcome is not None:
        threshold = round(clicks[1].rate * (1 - float(trigger.when.threshold)), 6)
        firing = [run_date, trigger.id, SITE, None, values[0], threshold, trigger.when.words, outcome]
        connection.execute(f"INSERT INTO {FIRINGS} VALUES ({', '.join('?' * len(firing))})", firing)
