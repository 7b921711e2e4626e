"""What a CMS says that it has, compared with the newest bundle, and repaired."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from dawnlist.duck import connect
from dawnlist.errors import DifferenceError, MissingInputError, SettingsError
from dawnlist.export import compare, consumers, deliver, presets, shelf
from dawnlist.export.contract import verify
from dawnlist.export.http import Client
from dawnlist.locks import exclusive
from dawnlist.settings import Settings

_CHOSEN: Final = """
    CREATE TABLE chosen AS SELECT DISTINCT kind, id, if(wanted.hash IS NULL, 'delete', 'upsert') AS change FROM changes LEFT JOIN wanted USING (kind, id)"""


def reconcile(settings: Settings, *, now: datetime, is_repair: bool = False) -> Iterator[str]:
    """Say how the CMS at `delivery.to` differs from the newest bundle; with `is_repair`, send what differs. `now` is UTC.

    Raises DifferenceError when something differs and was not to be repaired, SettingsError when `delivery.to` is no CMS, MissingInputError when there is no bundle, or the consumer has none to be repaired, and what `deliver` raises.
    """
    if urlsplit(settings.delivery.to or "").scheme not in ("http", "https"):
        raise SettingsError("Only a CMS can be asked what it has: set delivery.to to its https:// address. A folder is checked by `dawnlist export verify`.")
    root = settings.exports_dir
    folder = shelf.latest(root)
    preset = presets.load(settings.delivery)
    with exclusive(root / ".deliver.lock"), connect(settings) as connection:
        verify(folder)
        client = Client(settings.delivery, preset)
        compare.look(connection, folder, client, preset)
        found = compare.differences(connection)
        yield from map(str, found)
        if not any(one.missing or one.surplus or one.differing for one in found):
            yield f"{client.to} shows {folder.name}: nothing to repair."
        elif not is_repair:
            raise DifferenceError(f"{client.to} does not show {folder.name}: `dawnlist export reconcile --repair` sends what differs.")
        elif preset.writes:
            yield from deliver.by_shape(settings, folder, preset, connection, client, now)
        else:
            connection.execute(_CHOSEN)
            known = consumers.read(root).get(settings.delivery.consumer)
            if known is None:
                raise MissingInputError(f"{settings.delivery.consumer} has not taken a bundle yet: run `dawnlist export deliver` first.")
            refused = yield from deliver.by_repair(settings, folder, connection, base_sequence=known.sequence)
            deliver.finish(settings, folder, now, refused)
