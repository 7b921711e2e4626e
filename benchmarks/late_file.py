"""A late file that touches 3 of 60 days, into a lake of ten million events."""

import shutil
import statistics
from pathlib import Path

from benchmarks import events, loads
from benchmarks.measure import Measurement
from benchmarks.record import Record

LATE_ROWS = 3_000


def run(folder: Path) -> Record:
    """Load the 60 days, then one file more, each with both stages in processes of their own. The peer is the load of the 60 days."""
    rows = loads.rows_wanted()
    events.write_source(folder, "csv")
    landing = events.write_landing(folder, "csv", rows=rows)
    full = loads.load(folder, folder / "home")
    full_without = loads.seconds_without_suites(full, folder / "home")
    shutil.copytree(folder / "home", folder / "loaded")
    late: list[dict[str, Measurement]] = []
    without: list[float] = []
    events.write_late_file(folder, "csv", rows=rows, late=LATE_ROWS)
    for _ in range(loads.RUNS):
        shutil.rmtree(folder / "home")
        shutil.copytree(folder / "loaded", folder / "home")
        late.append(loads.load(folder, folder / "home"))
        without.append(loads.seconds_without_suites(late[-1], folder / "home"))
    chosen = loads.median_load(late)
    without_suites = statistics.median(without)
    return Record(
        name="late_file",
        compared=f"{LATE_ROWS:,} late events of 3 days, ingested into a lake of 60 days, against the ingest of the 60 days",
        our_seconds=round(loads.seconds(chosen), 2),
        peer_seconds=round(loads.seconds(full), 2),
        peak_mib=max(loads.peak_mib(one) for one in late),
        peer_peak_mib=loads.peak_mib(full),
        sizes={"landed_files": len(list(landing.iterdir())), "rows": rows, "late_rows": LATE_ROWS},
        stages=loads.stages(chosen),
        details={"seconds_without_suites": round(without_suites, 2), "ratio_without_suites": round(without_suites / full_without, 3)},
    )
