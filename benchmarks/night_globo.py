"""Globo's nine days of news clicks (1.8M), from the landed files to the export, without Airflow."""

import os
from pathlib import Path

from benchmarks.nights import DAWNLIST, measure_night
from benchmarks.record import Record
from dawnlist.errors import LandingError
from dawnlist.settings import PROJECT

COMPLETE_THROUGH = "2017-10-09"


def run(folder: Path) -> Record:
    """Measure `dawnlist run` over the data set below DAWNLIST_REAL_DATA, or below shared/data beside the repository.

    Raises LandingError when it is in neither place.
    """
    landing = Path(os.environ.get("DAWNLIST_REAL_DATA") or PROJECT.parent / "shared" / "data").absolute() / "globo_news"
    if not landing.is_dir():
        raise LandingError(f"There is no {landing}: set DAWNLIST_REAL_DATA to the folder that holds globo_news, the clicks of Globo.com.")
    command = ["run", "--source", "globo_news", "--landing", str(landing), "--run-date", COMPLETE_THROUGH]
    return measure_night(
        "night_globo",
        [DAWNLIST, *command],
        folder / "home",
        landing=landing,
        pattern="*.csv.gz",
        file_format="csv",
    )
