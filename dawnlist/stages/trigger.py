"""How the stage segment has the triggers judged: those on persons, and those on the site, which may take the champion back before the night uses it."""

from typing import TYPE_CHECKING

from dawnlist import rules, triggers
from dawnlist.lake import Lake
from dawnlist.settings import Settings
from dawnlist.stages.base import Night
from dawnlist.stages.champion import fall_back
from models import aliases

if TYPE_CHECKING:
    import duckdb


def judge(connection: "duckdb.DuckDBPyConnection", settings: Settings, night: Night, *, run_id: str) -> list[str]:
    """Make the tables of `triggers.TABLES` in `connection`, which has `clusters`, and say what came of each trigger."""
    wanted = rules.load(settings).in_force(night.run_date).triggers
    triggers.create_tables(connection)
    triggers.judge_persons(connection, wanted, Lake(settings.lake_dir).snapshot(), night.tables.snapshot(), night.run_date)
    for trigger in (one for one in wanted if one.when.metric is not None):
        _judge_site(connection, settings, night, trigger, run_id=run_id)
    found = connection.execute(f"SELECT trigger, kind, condition, n_judged, n_fired, note FROM {triggers.NIGHTS} ORDER BY trigger").fetchall()
    return [
        f"trigger {name}: {note}" if kind == triggers.SITE else f"trigger {name} ({condition}): {n_fired:,} of {n_judged:,} people, {note}"
        for name, kind, condition, n_judged, n_fired, note in found
    ]


def _judge_site(connection: "duckdb.DuckDBPyConnection", settings: Settings, night: Night, trigger: rules.Trigger, *, run_id: str) -> None:
    champion = aliases.read(settings.models_dir).evening_of(night.run_date).champion
    clicks = triggers.click_through(connection, settings, night.lake, night.run_date, champion or "")
    found = triggers.fall(trigger.when, *clicks)
    outcome, note = None, found.why
    if found.holds:
        reason = f"trigger {trigger.id}: {found.why}"
        outcome, why = fall_back(settings, night, reason, pause_days=trigger.then.pause_days or triggers.PAUSE_DAYS, run_id=run_id)
        note = f"{found.why}: {why}"
    triggers.record_site(connection, trigger, night.run_date, clicks, found, outcome, note)
