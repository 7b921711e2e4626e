"""A night's warehouse from nothing: 60 days, 30 million events, beside the same SQL run by DuckDB alone."""

from datetime import timedelta
from pathlib import Path

from benchmarks import transforms, visits
from benchmarks.record import Record


def run(folder: Path) -> Record:
    """One build each. Ours counts dbt, every data test and the Parquet files; resolving the persons is a stage of its own below."""
    home = transforms.prepare(folder)
    ours, took = transforms.full(home)
    peer = transforms.plain_sql(home, visits.LAST_DAY - timedelta(days=1))
    return Record(
        name="transform_full",
        compared="dbt, its data tests and the night's Parquet from nothing against the same SELECTs run by DuckDB alone, without tests, to Parquet",
        our_seconds=round(took["warehouse"], 2),
        peer_seconds=round(peer.seconds, 2),
        peak_mib=ours.peak_mib,
        peer_peak_mib=peer.peak_mib,
        sizes={"events": transforms.rows_wanted(), **took["rows"]},
        stages={name: {"seconds": round(took[name], 2), "runs": 1, "peak_mib": ours.peak_mib} for name in ("identity", "warehouse")},
    )
