"""Refresh by activity: whose list of the night before still stands, so that no new one is made tonight.

A dormant person's list is made anew on the person's day, every so many days, and carried over in between with the day that it was made on. It is made anew in any case where it
would expire before the next night, where it is another model's, where an item of it is no longer listable or a rule has a say in whether it may be shown, and
where the person had no consent in the night before.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dawnlist.duck import literal, scan
from models.inputs import COLUMNS, Cut, Inputs

if TYPE_CHECKING:
    import duckdb

    from dawnlist.settings import Refresh

CARRIED: Final = "FROM carried ORDER BY person_id, rank"
LISTS: Final = {
    "person_id": "VARCHAR",
    "rank": "INTEGER",
    "item_id": "VARCHAR",
    "score": "DOUBLE",
    "source": "VARCHAR",
    "reason": "VARCHAR",
    "variant": "VARCHAR",
    "propensity": "DOUBLE",
    "model_version": "VARCHAR",
    "rules": "VARCHAR[]",
    "made_on": "DATE",
}
NIGHTS_AHEAD: Final = 2  # a list is shown until the next night is published, which is within two days of the end of the run date


def create_carried(
    connection: "duckdb.DuckDBPyConnection",
    inputs: Inputs,
    cut: Cut,
    before: "tuple[Sequence[Path], Sequence[Path]] | None",
    settings: "Refresh",
    *,
    model_version: str,
    expires_days: int,
) -> int:
    """Table `carried`: the rows of the night before that still stand, in the columns of LISTS. Returns how many persons have them.

    `before`: the files of that night's recommendations and dim_users, or None. Needs the tables item, rule and target.
    """
    recommendations, users = before or ((), ())
    age = f"date_diff('day', made_on, {cut.date})"
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE carried AS
        WITH listed AS (FROM {scan(recommendations, LISTS)}),
        dormant AS (
            SELECT person_id FROM {inputs.relation("dim_users")} SEMI JOIN (SELECT person_id FROM {scan(users, COLUMNS["dim_users"])} WHERE has_personalisation_consent) USING (person_id)
            JOIN (SELECT person_id, max(occurred_at) AS last_event_at FROM {inputs.relation("fct_interactions")} WHERE is_personal AND occurred_at < {cut.end} GROUP BY person_id)
                USING (person_id)
            WHERE has_personalisation_consent AND last_event_at < {cut.end} - INTERVAL {settings.dormant_after_days} DAY
                AND md5_number(person_id) % {settings.dormant_every_days} <> date_diff('day', DATE '1970-01-01', {cut.date}) % {settings.dormant_every_days}
        ), doubtful AS (
            SELECT person_id FROM listed LEFT JOIN item USING (item_id)
            WHERE item.is_listable IS NOT TRUE OR made_on IS NULL OR model_version IS DISTINCT FROM {literal(model_version)}
                OR {age} NOT BETWEEN 1 AND {min(settings.dormant_every_days - 1, expires_days - NIGHTS_AHEAD)}
                OR i IN (SELECT i FROM target JOIN rule USING (r) WHERE action IN ('exclude', 'restrict'))
        )
        SELECT {", ".join(LISTS)} FROM listed SEMI JOIN dormant USING (person_id) ANTI JOIN doubtful USING (person_id)
    """)
    [(n_persons,)] = connection.execute("SELECT count(DISTINCT person_id) FROM carried").fetchall()
    return int(n_persons)


def without_carried(inputs: Inputs) -> Inputs:
    """The inputs of everybody else: whose list is made tonight. Needs the table carried."""
    others = f"(FROM {inputs.relation('dim_users')} ANTI JOIN (SELECT DISTINCT person_id FROM carried) USING (person_id))"
    return replace(inputs, renewed={**inputs.renewed, "dim_users": others})
