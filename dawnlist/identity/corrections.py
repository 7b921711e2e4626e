"""What operators know better: ids that are not one person. Nothing is ever removed from the record; an undo is one more line in it."""

import re
from datetime import datetime
from typing import TYPE_CHECKING

from dawnlist.columns import IDENTITY_CORRECTIONS
from dawnlist.duck import connect, scan
from dawnlist.errors import SettingsError
from dawnlist.lake import Lake, Snapshot
from dawnlist.privacy import HEX_DIGITS

if TYPE_CHECKING:
    from dawnlist.settings import Settings

TABLE = "identity_corrections"
SPLIT, UNDO = "split", "undo"


def holding(lake: Snapshot) -> str:
    """A query of the splits that hold: one row per (id, other_id) whose last word was no undo."""
    said = scan(lake.files(TABLE), IDENTITY_CORRECTIONS)
    return f"SELECT id, other_id, max(said_at) AS said_at FROM {said} GROUP BY id, other_id HAVING arg_max(action, (said_at, action)) = '{SPLIT}'"


def record(settings: "Settings", action: str, one: str, other: str, *, note: str = "", said_at: datetime, run_id: str) -> None:
    """Say that `one` is not the person of `other` (SPLIT), or take that back (UNDO). The nights that are opened afterwards go by it.

    said_at: UTC without zone. Raises SettingsError for what is no pseudonym, for one id twice, and for an undo of what does not hold.
    """
    for pseudonym in (one, other):
        require_pseudonym(pseudonym)
    if one == other:
        raise SettingsError("An id cannot be split from itself: give two ids.")
    lake = Lake(settings.lake_dir)
    with connect(settings) as connection:
        holds = connection.execute(f"SELECT count(*) FROM ({holding(lake.snapshot())}) WHERE id = ? AND other_id = ?", [one, other]).fetchall()[0][0]
        if bool(holds) == (action == SPLIT):
            raise SettingsError("These two are split already." if holds else "There is no such split that holds: see `dawnlist identity corrections`.")
        connection.execute(f"CREATE TEMP TABLE said ({', '.join(f'{name} {kind}' for name, kind in IDENTITY_CORRECTIONS.items())})")
        connection.execute("INSERT INTO said VALUES (?, ?, ?, ?, ?, ?)", [said_at, action, one, other, note or None, run_id])
        lake.append(TABLE, lake.write(connection, TABLE, "FROM said"), run_id=run_id)


def require_pseudonym(text: str) -> None:
    """Raise SettingsError, without repeating it, for what is no pseudonym: raw ids stay outside."""
    if not re.fullmatch(rf"[0-9a-f]{{{HEX_DIGITS}}}", text):
        raise SettingsError(f"An id here is a pseudonym: {HEX_DIGITS} hex digits, as in serving.user_aliases. Raw ids do not belong on the command line.")
