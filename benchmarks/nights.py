"""What the benchmarks of whole nights share: one command in a home of its own, beside a bare copy of the files that it read."""

import os
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import Measurement, measure
from benchmarks.record import Record
from dawnlist.errors import LandingError, MissingInputError
from dawnlist.settings import PROJECT
from dawnlist.stages.base import StageResult

PEER_RUNS = 3
SHARED = PROJECT.parent / "shared" / "data"
DAWNLIST = str(Path(sys.executable).parent / "dawnlist")


def measure_source(name: str, source: str, run_date: str, folder: Path) -> Record:
    """Measure `dawnlist run` over the data set `source` below DAWNLIST_REAL_DATA, or below shared/data beside the repository.

    Raises LandingError when it is in neither place.
    """
    landing = landing_of(source)
    command = [DAWNLIST, "run", "--source", source, "--landing", str(landing), "--run-date", run_date]
    return measure_night(name, command, folder / "home", landing=landing, pattern="*.csv.gz", file_format="csv")


def landing_of(source: str) -> Path:
    """The folder of the data set `source` below DAWNLIST_REAL_DATA, or below shared/data beside the repository. Raises LandingError when it is in neither place."""
    landing = Path(os.environ.get("DAWNLIST_REAL_DATA") or SHARED).absolute() / source
    if not landing.is_dir():
        raise LandingError(f"There is no {landing}: set DAWNLIST_REAL_DATA to the folder that holds {source}.")
    return landing


def measure_night(name: str, command: Sequence[str], home: Path, *, landing: Path, pattern: str, file_format: str) -> Record:
    """Run `command` with `home` as DAWNLIST_HOME, then the bare copy of `landing`/`pattern`; the peer's seconds are the median of three.

    Raises MissingInputError when the night left no stage results: then nothing was measured.
    """
    ours = measure(command, environment={"DAWNLIST_HOME": str(home)})
    results = stage_results(home / "runs")
    if not results:
        raise MissingInputError(f"{' '.join(command)} left no stage results in {home / 'runs'}.")
    copies = [_copy(landing / pattern, file_format, home.parent / "bare_copy.parquet") for _ in range(PEER_RUNS)]
    return Record(
        name=name,
        compared="the whole night against a bare DuckDB COPY of the same landed files to Parquet",
        our_seconds=round(ours.seconds, 2),
        peer_seconds=round(statistics.median(copy.seconds for copy in copies), 3),
        peak_mib=ours.peak_mib,
        peer_peak_mib=max(copy.peak_mib for copy in copies),
        sizes=sizes(results, list(landing.glob(pattern))),
        stages=stages(results, ours),
    )


def _copy(pattern: Path, file_format: str, target: Path) -> Measurement:
    return measure([sys.executable, "-m", "benchmarks.bare_copy", file_format, str(pattern), str(target)])


def stage_results(runs: Path) -> list[tuple[float, StageResult]]:
    """All stage results below `runs` with the moment at which each was saved (seconds since the epoch), the oldest first."""
    return sorted(((path.stat().st_mtime, StageResult.read(path)) for path in runs.glob("*/*.json")), key=lambda pair: (pair[0], pair[1].stage))


def stages(results: Sequence[tuple[float, StageResult]], ours: Measurement) -> dict[str, dict[str, float]]:
    """Seconds (summed), runs and peak MiB of each stage. A stage's samples are those between its start and the moment its result was saved."""
    found: dict[str, dict[str, float]] = {}
    for end, result in results:
        stage = found.setdefault(result.stage, {"seconds": 0.0, "runs": 0, "peak_mib": 0})
        stage["seconds"] = round(stage["seconds"] + result.seconds, 3)
        stage["runs"] += 1
        stage["peak_mib"] = max(stage["peak_mib"], ours.peak_mib_between(end - result.seconds, end))
    return found


def sizes(results: Sequence[tuple[float, StageResult]], landed: Sequence[Path]) -> dict[str, int]:
    """The landed files, their bytes, and the rows that each stage took and gave."""
    counted = {"landed_files": len(landed), "landed_bytes": sum(path.stat().st_size for path in landed)}
    for _, result in results:
        for name, rows in ((f"{result.stage}_rows_in", result.rows_in), (f"{result.stage}_rows_out", result.rows_out)):
            counted[name] = counted.get(name, 0) + rows
    return counted
