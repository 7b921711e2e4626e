"""A store that does not exist: visitors with tastes, a catalogue, and everything that such a store's data feed gets wrong.

`run` writes landed files in the shape that customer-data platforms emit, and the ground truth beside them. The same arguments
make the same bytes: nothing depends on the clock, the number of threads, or what ran before. `docs/simulator.md` has the shapes.
"""

import errno
import os
import shutil
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from dawnlist.errors import SimulationError, StorageError
from dawnlist.locks import exclusive
from dawnlist.simulate import catalogue, people, records, truth
from dawnlist.simulate.events import land, simulate
from dawnlist.simulate.landing import Progress, write_daily, write_events
from dawnlist.simulate.lines import Writer
from dawnlist.simulate.world import DEFAULT_END_DATE, Rates, Window, check_arguments

__all__ = ["DEFAULT_END_DATE", "Progress", "Rates", "SimulationResult", "run"]

FOLDERS: Final = frozenset({"events", "items", "customers", "consents", "truth"})


@dataclass(frozen=True)
class SimulationResult:
    """What was written. `faults` has the counts of truth/faults.parquet; `seconds` is wall time."""

    out: Path
    first_day: date
    last_day: date
    event_lines: int
    event_files: int
    item_records: int
    customer_records: int
    consent_records: int
    faults: dict[str, int]
    seconds: float


def run(
    *, users: int, items: int, days: int, seed: int, out: Path, end_date: date | None = None, progress: Progress | None = None, rates: Rates | None = None
) -> SimulationResult:
    """Write the landed files of `days` days up to `end_date` (included) into the folder `out`.

    `out` must be absent, empty, or made by an earlier simulation, which is then replaced. Raises SimulationError for a number out of
    range or another folder, StorageError when it cannot be written, LockedError while another simulation writes there.
    """
    began = time.perf_counter()
    window = Window(end_date or DEFAULT_END_DATE, days)
    check_arguments(users=users, items=items, days=days, seed=seed, last=window.last)
    out = out.expanduser().absolute()
    _refuse_other_folder(out)
    aside = out.with_name(f".{out.name}.simulating")
    try:
        with exclusive(out.with_name(f".{out.name}.lock")):
            shutil.rmtree(aside, ignore_errors=True)  # of a run that was killed
            try:
                result = _write(aside, out, window, users, items, seed, rates or Rates(), progress or _silent, began)
                _publish(aside, out)
            finally:
                shutil.rmtree(aside, ignore_errors=True)
    except OSError as error:
        raise StorageError(_explain(error, out)) from error
    return result


def _write(folder: Path, out: Path, window: Window, users: int, items: int, seed: int, rates: Rates, progress: Progress, began: float) -> SimulationResult:
    folder.mkdir(parents=True)
    progress("visitors", 0, users)
    goods = catalogue.make(items, window, rates, seed)
    visitors = people.make(users, goods, window, rates, seed)
    visits, events = simulate(visitors, goods, window, rates, seed)
    landed = land(events, window, rates, seed)
    answers = people.consents(visitors, window, rates, seed)
    writer = Writer(visitors, goods, visits, events, landed, window, seed)
    faults = truth.fault_counts(events, visits, landed, answers)
    arguments = truth.arguments_of(window, users, items, seed, rates)
    truth.write(
        folder / "truth", people=visitors, goods=goods, visits=visits, anonymous_ids=writer.anonymous_ids, answers=answers, faults=faults, arguments=arguments
    )
    return SimulationResult(
        out=out,
        first_day=window.first,
        last_day=window.last,
        event_lines=len(landed),
        event_files=write_events(folder / "events", writer, landed, window, progress),
        item_records=write_daily(folder / "items", window, lambda day: records.catalogue(goods, window, day)),
        customer_records=write_daily(folder / "customers", window, records.CustomerFiles(visitors, window, rates, seed)),
        consent_records=write_daily(folder / "consents", window, lambda day: records.consents(answers, window, day)),
        faults=faults,
        seconds=time.perf_counter() - began,
    )


def _refuse_other_folder(out: Path) -> None:
    if not out.exists():
        return
    if not out.is_dir():
        raise SimulationError(f"{out} is a file: give --out a folder that is new, empty, or made by the simulator.")
    found = {entry.name for entry in out.iterdir()}
    if found and not ((out / "truth" / "simulation.json").is_file() and found <= FOLDERS):
        raise SimulationError(f"{out} holds files that the simulator did not make ({min(found - FOLDERS, default=min(found))}): give --out another folder.")


def _publish(aside: Path, out: Path) -> None:
    """Put the finished folder in place. A kill between the two renames leaves the old folder under its hidden name, and no half one."""
    old = out.with_name(f".{out.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if out.exists():
        out.rename(old)
    aside.rename(out)
    shutil.rmtree(old, ignore_errors=True)


def _explain(error: OSError, out: Path) -> str:
    if error.errno == errno.ENOSPC:
        return f"The disk of {out.parent} is full: free some space, or simulate fewer users or days."
    return f"Cannot write {out}: {os.strerror(error.errno) if error.errno else error}. Check the rights of the folder, or give --out another one."


def _silent(what: str, done: int, total: int) -> None:
    """No progress display."""
