"""Readers beside publications in a process of its own: python -m benchmarks.swaps FOLDER [URL].

A read takes an id to its person, and that person's list and segments, in one statement. Two nights are published in turns under run ids of their own: rows of two
run ids in one read, or a list that is not whole, are a mixture. The figures go to FOLDER/figures.json.
"""

import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks import listed, publications
from benchmarks.measure import timed
from dawnlist.files import write_json
from dawnlist.serving import duckdb_store
from dawnlist.serving.postgres_store import PostgresStore
from dawnlist.settings import Settings

PERSONS = 2_000
READS = 50_000
READERS = 2
SEGMENTS = 3
_LOOKUP = """
    WITH person AS (SELECT user_id FROM serving.user_aliases WHERE alias_id = md5({}))
    SELECT run_id, item_id FROM serving.recommendations JOIN person USING (user_id) UNION ALL
    SELECT run_id, segment FROM serving.user_segments JOIN person USING (user_id)
"""


def reads_wanted() -> int:
    """The reads in all: 50,000, or BENCH_READS."""
    return int(os.environ.get("BENCH_READS", READS))


def read_on(home: Path, url: str | None, wanted: int) -> tuple[int, int, float]:
    """The failed reads and the mixed ones of one reader, and the seconds of its slowest."""
    failed = mixed = 0
    slowest = 0.0
    look = _in_postgres(url) if url else _in_file(publications.settings_of(home, None).serving_file)
    for number in range(wanted):
        started = time.perf_counter()
        try:
            rows = look(f"{number % PERSONS}-{number % 2}")
        except Exception:  # noqa: BLE001  # whatever a reader meets is counted
            failed += 1
        else:
            mixed += len({run for run, _ in rows}) != 1 or len(rows) != listed.LENGTH + SEGMENTS
        slowest = max(slowest, time.perf_counter() - started)
    return failed, mixed, slowest


def _in_postgres(url: str) -> Callable[[str], list[Any]]:
    import psycopg2

    connection = psycopg2.connect(url)
    connection.autocommit = True

    def look(alias: str) -> list[Any]:
        with connection.cursor() as cursor:
            cursor.execute(_LOOKUP.format("%s"), (alias,))
            return list(cursor.fetchall())

    return look


def _in_file(file: Path) -> Callable[[str], list[Any]]:
    """The file is opened anew where it was replaced."""
    import duckdb

    opened: dict[int, Any] = {}

    def look(alias: str) -> list[Any]:
        number = file.stat().st_ino
        if number not in opened:
            opened.clear()
            opened[number] = duckdb.connect(str(file), read_only=True)
        return list(opened[number].execute(_LOOKUP.format("?"), [alias]).fetchall())

    return look


def swapped(settings: Settings, url: str | None) -> dict[str, Any]:
    """Publish in turns until all readers have read."""
    for number in range(2):
        listed.write(settings, n_persons=PERSONS, number=number, changed_percent=100)
    publications.publish(settings)
    owner, name = (PostgresStore, "_swap") if url else (duckdb_store, "replace_database")
    with timed(owner, name) as seconds, ProcessPoolExecutor(READERS, multiprocessing.get_context("spawn")) as pool:
        readers = [pool.submit(read_on, settings.home, url, reads_wanted() // READERS) for _ in range(READERS)]
        while not all(reader.done() for reader in readers):
            publications.publish(settings, 1 - len(seconds) % 2)
    found = [reader.result() for reader in readers]
    return {
        "swap_seconds": max(seconds),
        "swaps": len(seconds),
        "failed": sum(failed for failed, _, _ in found),
        "mixed": sum(mixed for _, mixed, _ in found),
        "slowest_read_seconds": max(slowest for _, _, slowest in found),
    }


def main(folder: Path, url: str | None = None) -> None:
    """Write the figures of one store."""
    write_json(folder / "figures.json", swapped(publications.settings_of(folder / "home", url), url))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
