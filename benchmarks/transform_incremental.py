"""One more night on a warehouse of 60 days and 30 million events, beside the build of the night before from nothing."""

from pathlib import Path

from benchmarks import transforms
from benchmarks.record import Record


def run(folder: Path) -> Record:
    """The ratio is the share of the full build that one night costs; the last day brings late events of three earlier days."""
    home = transforms.prepare(folder)
    whole, took_whole = transforms.full(home)
    ours, took = transforms.last(home)
    return Record(
        name="transform_incremental",
        compared="the night after, built on what is there, against the build of a night from nothing: dbt, data tests and Parquet",
        our_seconds=round(took["warehouse"], 2),
        peer_seconds=round(took_whole["warehouse"], 2),
        peak_mib=ours.peak_mib,
        peer_peak_mib=whole.peak_mib,
        sizes={"events": transforms.rows_wanted(), **took["rows"]},
        stages={name: {"seconds": round(took[name], 2), "runs": 1, "peak_mib": ours.peak_mib} for name in ("identity", "warehouse")},
        details={"how": took["how"]},
    )
