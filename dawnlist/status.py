"""What state a home is in, read from the records that its nights, publications and deliveries leave: no store of its own."""

import json
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any, Final

from dawnlist import data_docs, duck, ingest, publishing
from dawnlist.columns import LEDGER
from dawnlist.errors import DawnlistError
from dawnlist.export import consumers, shelf
from dawnlist.lake import Lake
from dawnlist.settings import Settings
from dawnlist.stages import NIGHT
from dawnlist.stages.base import FAILED, Failure, Night, StageResult
from dawnlist.stages.champion import why_unusable
from models import aliases, cadence

Rows = list[dict[str, Any]]
NIGHTS: Final = 5
PUBLICATIONS: Final = 5
DATE: Final = "????-??-??"


def status(settings: Settings) -> dict[str, Rows]:
    """The last nights, the newest publications, the consumers, and what waits: rows of each, newest first. A part that cannot be read has one row with the sentence: {"error": …}."""
    return {name: _rows(settings, make) for name, make in PARTS.items()}


def _rows(settings: Settings, make: Callable[[Settings], Rows]) -> Rows:
    try:
        return make(settings)
    except DawnlistError as error:
        return [{"error": str(error)}]
    except (ValueError, KeyError, TypeError) as error:  # a record that was cut short, or is of another release
        return [{"error": f"A record in {settings.home} cannot be read ({type(error).__name__})."}]


def run_dates(settings: Settings) -> list[date]:
    """The nights that were opened or have a record, the newest first."""
    found = {path.parent.name for path in settings.home.glob(f"nights/{DATE}/night.json")}
    found |= {path.parent.name for path in settings.runs_dir.glob(f"{DATE}/*") if path.stem in NIGHT}
    return sorted(map(date.fromisoformat, found), reverse=True)


def nights(settings: Settings) -> Rows:
    """The last nights: stages that are done, of how many; what failed last and why; critical expectations that did not hold; seconds; whether and why it trained."""
    return [_night(settings, day) for day in run_dates(settings)[:NIGHTS]]


def _night(settings: Settings, day: date) -> dict[str, Any]:
    folder = settings.runs_dir / str(day)
    done = [StageResult.read(path) for stage in NIGHT if (path := folder / f"{stage}.json").exists()]
    failed = [Failure.read(path) for stage in NIGHT if (path := folder / f"{stage}{FAILED}").exists()]
    checks = [result for document in data_docs.documents(settings, day).values() for result in document["results"]]
    record = settings.night_dir(day) / "night.json"
    return {
        "run_date": str(day),
        "done": len({result.stage for result in done} - {one.stage for one in failed}),
        "stages": len(NIGHT),
        "failed": "; ".join(f"{one.stage}: {' '.join(one.error.split())}" for one in failed) or None,
        "gate_failures": sum(not check["success"] and check["severity"] == "critical" for check in checks),
        "seconds": round(sum(result.seconds for result in done), 1),
        "trained": json.loads(record.read_text(encoding="utf-8")).get("training") if record.exists() else None,
    }


def published(settings: Settings) -> Rows:
    """The newest publications."""
    return publishing.listed(settings)[: -PUBLICATIONS - 1 : -1]


def read_by(settings: Settings) -> Rows:
    """Every consumer that has acknowledged a bundle, or was delivered to: how far it is behind the newest bundle, and how its last delivery went."""
    root = settings.exports_dir
    newest, standings, last = shelf.newest(root), {one.consumer: one for one in consumers.status(root)}, consumers.last_deliveries(root)
    rows: Rows = []
    for name in sorted({*standings, *last}):
        standing, delivery = standings.get(name), last.get(name)
        rows.append(
            {
                "consumer": name,
                "acknowledged": standing.acknowledged if standing else None,
                "acknowledged_at": standing.acknowledged_at if standing else None,
                "behind": newest - standing.acknowledged if standing and newest else None,
                "last_delivery": delivery.at if delivery else None,
                "bundle": delivery.sequence if delivery else None,
                "failed": " ".join(delivery.error.split()) if delivery and delivery.error else None,
            }
        )
    return rows


def waiting(settings: Settings) -> Rows:
    """What a next run, night or delivery will take up."""
    return [{"what": what, "detail": detail} for what, make in WAITING.items() for detail in make(settings)]


def _landed(settings: Settings) -> list[str]:
    """Files in the lake that the newest night did not see."""
    files = Lake(settings.lake_dir).snapshot().files("ledger")
    if not files:
        return []
    opened = [day for day in run_dates(settings) if (settings.night_dir(day) / "night.json").exists()]
    seen = Night.load(settings, opened[0]).lake.files("ledger") if opened else []
    with duck.connect(settings) as connection:
        rows = connection.execute(f"""
            SELECT source, count(*), min(file_time), max(file_time) FROM {duck.scan(files, LEDGER)}
            ANTI JOIN {duck.scan(seen, LEDGER)} USING (source, input, file_id, batch_id) GROUP BY source ORDER BY source
        """).fetchall()
    after = f"after the night of {opened[0]} was opened" if opened else "and no night was opened yet"
    return [f"{source}: {n:,} files came {after}{f', of {first} to {last}' if first else ''}" for source, n, first, last in rows]


def _staged(settings: Settings) -> list[str]:
    return [f"batch {batch.batch_id} is staged: `dawnlist validate` checks it" for batch in ingest.staged(settings)]


def _undelivered(settings: Settings) -> list[str]:
    root = settings.exports_dir
    newest, last = shelf.newest(root), consumers.last_deliveries(root).get(settings.delivery.consumer)
    if newest is None or settings.delivery.to is None or (last and last.error is None and (last.sequence, last.to) == (newest, settings.delivery.to)):
        return []
    return [f"bundle {newest:06d} is kept, and not at {settings.delivery.to}: `dawnlist export deliver` sends it"]


def _training(settings: Settings) -> list[str]:
    known, days = aliases.read(settings.models_dir), run_dates(settings)
    if not days:
        return []
    next_date = days[0] + timedelta(days=1)
    why = cadence.reason(known, next_date, every_days=settings.training.every_days, is_asked=False, unusable=why_unusable(settings, next_date))
    return [f"the night of {next_date} would train: {why}"] if why else []


WAITING: Final[dict[str, Callable[[Settings], list[str]]]] = {"landed": _landed, "staged": _staged, "delivery": _undelivered, "training": _training}
PARTS: Final[dict[str, Callable[[Settings], Rows]]] = {"nights": nights, "published": published, "consumers": read_by, "waiting": waiting}
