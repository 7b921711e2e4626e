"""Two exports one after the other in a process of its own: python -m benchmarks.exports FOLDER.

The consumer has taken the first, a full bundle; the second makes a full bundle and the delta to it, three times over. Medians go to FOLDER/figures.json.
"""

import shutil
import statistics
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks import listed, publications
from benchmarks.loads import RUNS
from benchmarks.measure import timed
from dawnlist.export import consumers, documents, make, shelf
from dawnlist.export.contract import read_manifest
from dawnlist.files import write_json
from dawnlist.settings import Settings
from dawnlist.stages import export
from dawnlist.stages.base import Interval

MOMENT = datetime(2026, 1, 3, 6)


def exported(settings: Settings, number: int) -> None:
    """Export what is published of the night `number`."""
    export.run(settings, Interval.day(listed.date_of(number)), run_id=listed.RUN_ID, created_at=MOMENT)


def second(settings: Settings) -> tuple[float, float]:
    """The seconds of the full bundle and of the delta."""
    for folder in (shelf.full(settings.exports_dir, 2), shelf.delta(settings.exports_dir, 2, 1)):
        shutil.rmtree(folder, ignore_errors=True)
    shelf.hashes(settings.exports_dir, 2).unlink(missing_ok=True)
    with timed(documents, "build") as building, timed(make, "_full") as full, timed(make, "_deltas") as deltas:
        exported(settings, 1)
    return sum(building) + sum(full), sum(deltas)


def _bytes(bundle: Path) -> int:
    return sum(part["bytes"] for part in read_manifest(bundle)["parts"])


def main(folder: Path) -> None:
    """Write the figures."""
    settings = publications.settings_of(folder / "home", None)
    publications.publish(settings, 0)
    exported(settings, 0)
    consumers.acknowledge(settings.exports_dir, consumers.DEFAULT, 1, at=MOMENT)
    publications.publish(settings, 1)
    runs = [second(settings) for _ in range(RUNS)]
    full_bytes, delta_bytes = _bytes(shelf.full(settings.exports_dir, 2)), _bytes(shelf.delta(settings.exports_dir, 2, 1))
    figures: dict[str, Any] = {"full_seconds": statistics.median(full for full, _ in runs), "delta_seconds": statistics.median(delta for _, delta in runs)}
    write_json(folder / "figures.json", figures | {"full_bytes": full_bytes, "delta_bytes": delta_bytes, "ratio_of_bytes": round(delta_bytes / full_bytes, 3)})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
