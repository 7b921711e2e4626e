"""The folder of reports: <home>/reports/<run_date>/index.html, and `latest`, which leads to the newest night's."""

import shutil
from datetime import date
from pathlib import Path
from typing import Final

from dawnlist.files import sync, write_text
from dawnlist.settings import Settings

PAGE: Final = "index.html"
LATEST: Final = "latest"


def write(settings: Settings, run_date: date, page: str) -> Path:
    """Put the page of `run_date` into its place in one step, let `latest` lead to the newest night, and remove those beyond `retention.nights`. Returns its path."""
    root = settings.reports_dir
    target = root / str(run_date) / PAGE
    write_text(target, page)
    nights = sorted(path.parent.name for path in root.glob(f"????-??-??/{PAGE}"))
    _point_at(root, nights[-1])
    for night in nights[: -settings.retention.nights]:
        if night != str(run_date):  # an old night's report that was asked for stays until the next one is written
            shutil.rmtree(root / night)
    return target


def _point_at(root: Path, night: str) -> None:
    aside = root / f".{LATEST}.aside"
    aside.unlink(missing_ok=True)
    aside.symlink_to(night, target_is_directory=True)
    aside.replace(root / LATEST)
    sync(root)
