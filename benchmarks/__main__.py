"""`python -m benchmarks [NAME …]`: run the benchmarks of these names, or all, and write var/bench/NAME.json for each."""

import importlib
import shutil
import sys
from pathlib import Path

from benchmarks.measure import CommandFailedError
from benchmarks.record import Record
from dawnlist.errors import DawnlistError
from dawnlist.settings import PROJECT

RESULTS = PROJECT / "var" / "bench"
NOT_BENCHMARKS = {
    "__init__",
    "__main__",
    "measure",
    "record",
    "nights",
    "loads",
    "events",
    "bare_copy",
    "pandas_gate",
    "visits",
    "plain_sql",
    "transform_night",
    "transforms",
    "pairs",
    "factors",
    "splits",
    "listed",
    "publications",
    "swaps",
    "exports",
    "rankers",
    "growth",
}


def names() -> list[str]:
    """The names of all benchmarks, sorted."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in NOT_BENCHMARKS)


def run(name: str, results: Path = RESULTS) -> Record:
    """Run one benchmark in a fresh folder below `results` and keep its record there."""
    folder = results / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    record: Record = importlib.import_module(f"benchmarks.{name}").run(folder)
    record.save(results / f"{name}.json")
    print(record.summary())
    return record


def main(arguments: list[str]) -> int:
    """Exit code 0 when all were run, 2 for a name that is no benchmark, else 1."""
    unknown = [name for name in arguments if name not in names()]
    if unknown:
        print(f"No such benchmark: {', '.join(unknown)}. There are: {', '.join(names())}.", file=sys.stderr)
        return 2
    try:
        for name in arguments or names():
            run(name)
    except (CommandFailedError, DawnlistError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
