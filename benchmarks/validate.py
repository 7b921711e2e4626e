"""The events suite over ten million staged events: on DuckDB, as the pipeline runs it, and on pandas."""

import json
import statistics
import sys
from pathlib import Path

from benchmarks import events, loads
from benchmarks.measure import CommandFailedError, Measurement, measure
from benchmarks.record import Record


def run(folder: Path) -> Record:
    """Check the same staged files with both engines, in processes of their own; the medians of three. Raises CommandFailedError when the verdicts differ."""
    rows = loads.rows_wanted()
    events.write_source(folder, "csv")
    events.write_landing(folder, "csv", rows=rows)
    loads.stage("ingest", folder, folder / "home")
    staged = [str(path) for path in sorted((folder / "home" / "lake" / "staged").glob("[!.]*/events*.parquet"))]
    ours, peers = loads.alternate(lambda: _check("duckdb", folder, staged), lambda: _check("pandas", folder, staged))
    verdicts = {engine: json.loads((folder / f"{engine}.json").read_text(encoding="utf-8")) for engine in ("duckdb", "pandas")}
    differing = [pair for pair in zip(*verdicts.values(), strict=True) if pair[0] != pair[1]]
    if differing:
        raise CommandFailedError(f"The engines do not agree: {differing}")
    return Record(
        name="validate",
        compared="the events suite with Great Expectations on DuckDB against its pandas engine, same verdicts; on DuckDB with the suite's SQL expectations besides",
        our_seconds=round(statistics.median(one.seconds for one in ours), 2),
        peer_seconds=round(statistics.median(one.seconds for one in peers), 2),
        peak_mib=max(one.peak_mib for one in ours),
        peer_peak_mib=max(one.peak_mib for one in peers),
        sizes={"rows": rows, "expectations_compared": len(verdicts["pandas"])},
        details={"compared": [f"{column or 'table'}: {what}" for what, column, _, _ in verdicts["pandas"]]},
    )


def _check(engine: str, folder: Path, staged: list[str]) -> Measurement:
    return measure(
        [sys.executable, "-m", "benchmarks.pandas_gate", engine, str(folder / f"{engine}.json"), *staged], environment={"DAWNLIST_HOME": str(folder / "home")}
    )
