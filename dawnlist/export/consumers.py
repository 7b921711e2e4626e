"""Who reads the bundles, and which one each has taken: deltas are made from there."""

import json
import re
import shutil
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from dawnlist.errors import CorruptedError, ExportError
from dawnlist.export import shelf
from dawnlist.export.contract import MOMENT
from dawnlist.files import write_json

FILE: Final = "consumers.json"
DEFAULT: Final = "cms"
LAST: Final = ".last.json"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True)
class Consumer:
    """`sequence`: the bundle whose content the consumer has; `acknowledged_at`: when it said so (UTC)."""

    sequence: int
    acknowledged_at: str


@dataclass(frozen=True)
class Standing:
    """What a consumer has and what waits for it: the folder to take, None where it has the newest bundle."""

    consumer: str
    acknowledged: int
    acknowledged_at: str
    newest: int | None
    waiting: str | None


@dataclass(frozen=True)
class Delivered:
    """How the last delivery for a consumer went: when (UTC), where to, of which newest bundle, and what kept it (None: nothing)."""

    at: str
    to: str
    sequence: int
    error: str | None


def deliveries(root: Path) -> Path:
    """The folder of what is known of deliveries: <consumer>.json (how far, and what was refused) and <consumer>.last.json (how it went)."""
    return root / "deliveries"


def note_delivery(root: Path, name: str, delivered: Delivered) -> None:
    """Keep how the last delivery went."""
    write_json(deliveries(root) / f"{name}{LAST}", asdict(delivered))


def last_deliveries(root: Path) -> dict[str, Delivered]:
    """Name -> how the last delivery went, of every consumer that was delivered to, by name."""
    found = sorted(deliveries(root).glob(f"*{LAST}"))
    return {path.name.removesuffix(LAST): Delivered(**json.loads(path.read_text(encoding="utf-8"))) for path in found}


def read(root: Path) -> dict[str, Consumer]:
    """Name -> consumer, by name. Raises CorruptedError when the file is no JSON of ours."""
    path = root / FILE
    try:
        return {name: Consumer(**entry) for name, entry in sorted(json.loads(path.read_text(encoding="utf-8")).items())}
    except FileNotFoundError:
        return {}
    except (UnicodeDecodeError, json.JSONDecodeError, TypeError, AttributeError) as error:
        raise CorruptedError(f"{path} cannot be read: {error}. Move it away, and let each consumer acknowledge its bundle again.") from error


def acknowledge(root: Path, name: str, sequence: int, *, at: datetime, went_back: bool = False) -> Consumer:
    """Note that `name` has the content of bundle `sequence`, and return where it stands. Call it while holding the export lock.

    An acknowledgement that comes after that of a newer bundle changes nothing, unless the consumer `went_back` (it was restored from
    an older state). Raises ExportError when no delta could be made from that bundle: it never was, or it is too old.
    """
    if not _NAME.fullmatch(name):
        raise ExportError(f"{name!r} is no name of a consumer: up to 64 of a-z, 0-9, - and _, a letter or digit first.")
    consumers = read(root)
    known = consumers.get(name)
    if known and sequence < known.sequence and not went_back:
        return known
    if not shelf.hashes(root, sequence).is_file():
        newest = shelf.newest(root)
        raise ExportError(
            f"There is no bundle {sequence} to acknowledge{f': the newest is {newest}' if newest else ' yet: run `dawnlist export` first'}. "
            f"A consumer that has lost its place takes the newest full bundle and acknowledges that."
        )
    consumers[name] = Consumer(sequence, at.strftime(MOMENT))
    _write(root, consumers)
    return consumers[name]


def forget(root: Path, name: str) -> None:
    """Make no deltas for `name` any more, and keep nothing of its deliveries, such as ids of documents that it refused. Call it while holding the export lock. Raises ExportError when there is no such consumer."""
    consumers = read(root)
    if name not in consumers:
        raise ExportError(f"There is no consumer {name}: `dawnlist export status` has all of them.")
    del consumers[name]
    _write(root, consumers)
    for file in (f"{name}.json", f"{name}{LAST}"):
        (deliveries(root) / file).unlink(missing_ok=True)
    shutil.rmtree(deliveries(root) / name, ignore_errors=True)


def status(root: Path) -> list[Standing]:
    """Where each consumer stands, by name."""
    newest = shelf.newest(root)
    return [Standing(name, one.sequence, one.acknowledged_at, newest, _waiting(root, newest, one.sequence)) for name, one in read(root).items()]


def _waiting(root: Path, newest: int | None, base: int) -> str | None:
    if newest is None or newest == base:
        return None
    folder = shelf.delta(root, newest, base)
    return folder.name if folder.is_dir() else shelf.full(root, newest).name


def _write(root: Path, consumers: dict[str, Consumer]) -> None:
    write_json(root / FILE, {name: asdict(one) for name, one in consumers.items()})
