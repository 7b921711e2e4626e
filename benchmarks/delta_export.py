"""The delta of a night on which 5 of 100 users have another list, among a million users, and the full bundle of the same night."""

import json
import sys
from pathlib import Path

from benchmarks import listed, publications
from benchmarks.measure import measure
from benchmarks.record import Record

USERS = 1_000_000
CHANGED_PERCENT = 5


def run(folder: Path) -> Record:
    """Both are made in the same run, as the stage makes them; the documents are put together once for both, which counts as the full bundle's."""
    settings = publications.settings_of(folder / "home", None)
    n_users = listed.persons(USERS * listed.ROWS_OF_A_PERSON)
    for number in range(2):
        listed.write(settings, n_persons=n_users, number=number, changed_percent=CHANGED_PERCENT * number)
    measurement = measure([sys.executable, "-m", "benchmarks.exports", str(folder)])
    figures = json.loads((folder / "figures.json").read_text(encoding="utf-8"))
    return Record(
        name="delta_export",
        compared="comparing and writing the delta against putting together and writing the full bundle",
        our_seconds=round(figures["delta_seconds"], 2),
        peer_seconds=round(figures["full_seconds"], 2),
        peak_mib=measurement.peak_mib,
        peer_peak_mib=measurement.peak_mib,
        sizes={"users": n_users, "changed_percent": CHANGED_PERCENT},
        details={name: value for name, value in figures.items() if not name.endswith("seconds")},
    )
