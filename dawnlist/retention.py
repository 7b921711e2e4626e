"""How long landed files stay. Landing belongs to whoever lands files: nothing is removed unless `ingest.landing_retention_days` is set."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from dawnlist import duck, landing, sources
from dawnlist.columns import LEDGER
from dawnlist.errors import LandingError, SettingsError
from dawnlist.files import sha256_of
from dawnlist.lake import Lake
from dawnlist.landing import LandedFile
from dawnlist.stages import lock

if TYPE_CHECKING:
    from dawnlist.settings import Settings


@dataclass(frozen=True)
class Pruned:
    """What `prune` removed, or would remove: names per source, relative to its landing folder, and their size in bytes."""

    files: tuple[tuple[str, str], ...]
    n_bytes: int


def prune(settings: "Settings", *, now: datetime, include_quarantined: bool = False, is_dry_run: bool = False) -> Pruned:
    """Remove landed files of the site's sources that the lake has, known by their content, and that are older than the retention.

    A file is as old as the later of its arrival (change time) and the end of the hour or day that its name says. Files with rows in
    quarantine stay for a replay unless `include_quarantined`. `now`: UTC without zone. Raises SettingsError when no retention is set.
    """
    days = settings.ingest.landing_retention_days
    if days is None:
        raise SettingsError(
            "No retention is set for landed files. Set DAWNLIST_INGEST__LANDING_RETENTION_DAYS, or ingest.landing_retention_days in the settings file."
        )
    removed, n_bytes = [], 0
    with lock(settings, "ingest"):
        for name in settings.site.sources:
            for file in _removable(settings, name, now - timedelta(days=days), include_quarantined=include_quarantined):
                n_bytes += file.path.stat().st_size
                removed.append((name, file.name))
                if not is_dry_run:
                    file.path.unlink()
    return Pruned(tuple(removed), n_bytes)


def _removable(settings: "Settings", name: str, before: datetime, *, include_quarantined: bool) -> list[LandedFile]:
    source, old = sources.load(settings, name), []
    settings.landing_dir(name)  # refuses a URL: what lies in a store is for the store's own rules of expiry
    with suppress(LandingError):  # nothing has landed, or everything is removed already
        old = [file for file in landing.list_files(settings, source) if _age_mark(file) < before]
    done = _ingested(settings, name, include_quarantined=include_quarantined)
    # Hashed anew: what is removed must be what was ingested, to the byte.
    return [file for file in old if (file.input, sha256_of(file.path)) in done]


def _age_mark(file: LandedFile) -> datetime:
    arrived = datetime.fromtimestamp(file.path.stat().st_mtime, UTC).replace(tzinfo=None)
    return arrived if file.file_end is None else max(arrived, file.file_end)


def _ingested(settings: "Settings", source: str, *, include_quarantined: bool) -> set[tuple[str, str]]:
    ledger = duck.scan(Lake(settings.lake_dir).snapshot().files("ledger"), LEDGER)
    clean = "" if include_quarantined else " AND n_quarantined = 0"
    with duck.connect(settings) as connection:
        rows = connection.execute(f"SELECT DISTINCT input, file_id FROM {ledger} WHERE source = ?{clean}", [source]).fetchall()
    return {(row[0], row[1]) for row in rows}
