"""The memory of loading forty million events beside that of ten million."""

import shutil
from pathlib import Path

from benchmarks import events, loads
from benchmarks.measure import Measurement
from benchmarks.record import Record

TIMES = 4


def run(folder: Path) -> Record:
    """Load both amounts as CSV, once each. The ratio is that of the peaks."""
    rows = loads.rows_wanted()
    large, small = (_load(folder / name, n) for name, n in (("large", TIMES * rows), ("small", rows)))
    return Record(
        name="ingest_memory",
        compared=f"the peak memory of loading {TIMES * rows:,} events as CSV against that of {rows:,}, all processes together",
        our_seconds=round(loads.seconds(large), 2),
        peer_seconds=round(loads.seconds(small), 2),
        peak_mib=loads.peak_mib(large),
        peer_peak_mib=loads.peak_mib(small),
        ratio_of=(loads.peak_mib(large), loads.peak_mib(small)),
        sizes={"rows": TIMES * rows, "peer_rows": rows},
        stages=loads.stages(large),
        details={"peer_stages": loads.stages(small)},
    )


def _load(folder: Path, rows: int) -> dict[str, Measurement]:
    events.write_source(folder, "csv")
    events.write_landing(folder, "csv", rows=rows)
    measured = loads.load(folder, folder / "home")
    shutil.rmtree(folder)
    return measured
