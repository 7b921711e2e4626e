"""What the benchmarks of loading share: landed files through `dawnlist ingest` and `dawnlist validate`, and a bare typed COPY of the same files."""

import json
import os
import shutil
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from benchmarks import events
from benchmarks.measure import Measurement, measure
from benchmarks.nights import DAWNLIST
from benchmarks.record import Record

RUNS = 3
ROWS = 10_000_000
Ours = TypeVar("Ours")
Peer = TypeVar("Peer")
PEER_FORMATS = {"csv": "csv", "jsonl": "json"}


def rows_wanted() -> int:
    """The records to land: 10 million, or BENCH_ROWS."""
    return int(os.environ.get("BENCH_ROWS", ROWS))


def load(folder: Path, home: Path) -> dict[str, Measurement]:
    """Both stages of loading over all that `folder` has landed, each in a process of its own. `home`: the home that they load into."""
    return {name: stage(name, folder, home) for name in ("ingest", "validate")}


def stage(name: str, folder: Path, home: Path) -> Measurement:
    """One of the stages."""
    environment = {"DAWNLIST_HOME": str(home), "DAWNLIST_SOURCES_DIR": str(folder / "sources"), "DAWNLIST_LANDING": str(folder / "landing")}
    return measure([DAWNLIST, name, "--source", events.NAME, "--until", str(events.LAST_DAY)], environment=environment)


def bare_copy(folder: Path, file_format: events.Format) -> Measurement:
    """DuckDB reads the same files with their columns given and writes one Parquet file, in a process of its own."""
    pattern, target = folder / "landing" / f"*.{file_format}", folder / "bare_copy.parquet"
    return measure([sys.executable, "-m", "benchmarks.bare_copy", PEER_FORMATS[file_format], str(pattern), str(target), json.dumps(events.COLUMNS)])


def seconds(load: Mapping[str, Measurement]) -> float:
    """Of both stages together."""
    return sum(stage.seconds for stage in load.values())


def seconds_without_suites(load: Mapping[str, Measurement], home: Path) -> float:
    """Of both stages, the last of `home`, without importing Great Expectations and running the suites."""
    result = json.loads((home / "runs" / f"until-{events.LAST_DAY}" / "validate.json").read_text(encoding="utf-8"))
    return seconds(load) - float(result["metrics"]["suites_seconds"])


def peak_mib(load: Mapping[str, Measurement]) -> int:
    """Of the stage that took more."""
    return max(stage.peak_mib for stage in load.values())


def alternate(ours: Callable[[], Ours], peer: Callable[[], Peer]) -> tuple[list[Ours], list[Peer]]:
    """Ours and the peer in turns, so that what else the machine does falls on both."""
    pairs = [(ours(), peer()) for _ in range(RUNS)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def median_load(loads: Sequence[dict[str, Measurement]]) -> dict[str, Measurement]:
    """The load that took the median time."""
    return sorted(loads, key=seconds)[len(loads) // 2]


def stages(load: Mapping[str, Measurement]) -> dict[str, dict[str, float]]:
    """As a record has them."""
    return {name: {"seconds": round(stage.seconds, 2), "runs": 1, "peak_mib": stage.peak_mib} for name, stage in load.items()}


def measure_ingest(name: str, folder: Path, file_format: events.Format) -> Record:
    """Load about ten million landed records into an empty lake, beside the bare copy; the medians of three."""
    rows = rows_wanted()
    events.write_source(folder, file_format)
    landing = events.write_landing(folder, file_format, rows=rows)

    def ours() -> tuple[dict[str, Measurement], float]:
        shutil.rmtree(folder / "home", ignore_errors=True)
        loaded = load(folder, folder / "home")
        return loaded, seconds_without_suites(loaded, folder / "home")

    runs, copies = alternate(ours, lambda: bare_copy(folder, file_format))
    loads = [run[0] for run in runs]
    chosen = median_load(loads)
    peer = statistics.median(copy.seconds for copy in copies)
    without_suites = statistics.median(run[1] for run in runs)
    landed = list(landing.iterdir())
    return Record(
        name=name,
        compared=f"ingest, row checks, gate, deduplication and publication of {file_format} against a bare DuckDB COPY of the same files, columns given, to Parquet (zstd)",
        our_seconds=round(seconds(chosen), 2),
        peer_seconds=round(peer, 2),
        peak_mib=max(peak_mib(one) for one in loads),
        peer_peak_mib=max(copy.peak_mib for copy in copies),
        sizes={"landed_files": len(landed), "landed_bytes": sum(path.stat().st_size for path in landed), "rows": rows},
        stages=stages(chosen),
        details={"seconds_without_suites": round(without_suites, 2), "ratio_without_suites": round(without_suites / peer, 2)},
    )
