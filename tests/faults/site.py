"""A small site at four moments, the stages that lead from one to the next, and what must hold of it at any moment."""

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb

from dawnlist import export, simulate
from dawnlist.duck import connect, identifier, path_list
from dawnlist.ingest import clear_leftovers, staged
from dawnlist.lake import Lake, Snapshot
from dawnlist.serving import open_store
from dawnlist.serving.tables import content_hash
from dawnlist.settings import Settings
from dawnlist.stages import execute
from dawnlist.stages.base import Interval
from tests import nights
from tests.faults.harness import completed
from tests.nights import ANN, RUN_DATE

FIRST_DAY, LAST_DAY = date(2026, 3, 1), date(2026, 3, 2)
NEXT_DATE = date(2026, 11, 21)
MORNING = datetime(2026, 11, 21, 5, 0)
DATA = ("lake", "nights", "serving", "analytics", "exports")
LOADING = ("ingest", "validate")
# gate_results grows by itself before what was judged becomes visible.
# What each stage replaces first; what else it changes (the batch is removed, the analysts' snapshot is swapped in) comes after, in one step of its own.
STEPS = {"ingest": "staged", "validate": "lake", "publish": "serving", "export": "exports"}
RESULTS = ("events", "items", "customers", "consents", "quarantine", "ledger")


@dataclass(frozen=True)
class Stage:
    """A stage on a home, as `dawnlist` runs it."""

    name: str
    interval: Interval
    landing: Path | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def __call__(self, home: Path) -> object:
        return execute(settings_of(home, self.landing), self.name, self.interval, run_id="run-2", **self.options)


def settings_of(home: Path, landing: Path | None = None) -> Settings:
    return Settings(home=home, landing=landing)


@dataclass(frozen=True)
class Site:
    """`before[stage]` is a home in which `stage` is due; `old` and `new` are the states before and after it."""

    landing: Path
    stages: dict[str, Stage]
    before: dict[str, Path]
    old: dict[str, dict[str, Any]]
    new: dict[str, dict[str, Any]]

    @classmethod
    def make(cls, folder: Path) -> "Site":
        """Two days of a simulated store, of which one is in the lake; two nights written by hand, of which one is published and exported."""
        landing = folder / "landing"
        simulate.run(users=60, items=40, days=2, seed=7, out=landing, end_date=LAST_DAY)
        first, second = Interval.until(FIRST_DAY), Interval.until(LAST_DAY)
        stages = {name: Stage(name, second, landing) for name in LOADING}
        stages["publish"] = Stage("publish", Interval.day(NEXT_DATE), options={"published_at": MORNING})
        stages["export"] = Stage("export", Interval.day(NEXT_DATE), options={"created_at": MORNING})
        site = cls(landing, stages, {name: folder / name for name in (*stages, "night", "morning")}, {}, {})
        for name in LOADING:
            completed(Stage(name, first, landing), site.before["ingest"])
        _publish_one_of_two(site.before["publish"])
        for name, following in (("ingest", "validate"), ("validate", "night"), ("publish", "export"), ("export", "morning")):
            shutil.copytree(site.before[name], site.before[following], symlinks=True)
            completed(stages[name], site.before[following])
            site.old[name], site.new[name] = state(site.before[name]), state(site.before[following])
            assert site.old[name] != site.new[name]
        return site

    def check(self, stage: str, home: Path) -> None:
        """Everything in `home` reads whole, and is as it was before or after `stage`."""
        step, old, new = STEPS[stage], self.old[stage], self.new[stage]
        assert state(home) in (old, new, old | {step: new[step]}), "neither the old state nor the new one"

    def check_done(self, stage: str, home: Path) -> None:
        """`home` is as `stage` leaves it when nothing disturbs it, and nothing lies about."""
        assert state(home) == self.new[stage], "another state than that of an undisturbed run"
        clear_leftovers(settings_of(home))  # as the next ingest does
        Lake(settings_of(home).lake_dir).vacuum(keep=1, pinned=pinned(home))
        assert state(home) == self.new[stage], "the vacuum took something away"
        assert leftovers(home) == [], "leftovers"


def _publish_one_of_two(home: Path) -> None:
    settings = settings_of(home)
    nights.write(settings, RUN_DATE, lists={ANN: ["lamp", "mug"]})
    nights.write(settings, NEXT_DATE, lists={ANN: ["rug"]})
    execute(settings, "publish", Interval.day(RUN_DATE), run_id="run-1", published_at=MORNING)
    execute(settings, "export", Interval.day(RUN_DATE), run_id="run-1", created_at=MORNING)


def state(home: Path) -> dict[str, Any]:
    """Content hashes of all that readers can see. Raises CorruptedError or AssertionError for anything that does not read whole."""
    settings = settings_of(home)
    return {
        "lake": lake_state(settings.lake_dir),
        "staged": staged_state(settings),
        "serving": serving_state(settings),
        "analytics": analytics_state(settings.analytics_file),
        "exports": exports_state(settings.exports_dir),
    }


def lake_state(root: Path) -> dict[str, list[str]]:
    """Table -> the hashes of its files. Every file is as its manifest says, and DuckDB reads every row of it."""
    snapshot = Lake(root).snapshot()
    snapshot.verify()
    assert rows_read(snapshot) == {name: table.rows for name, table in snapshot.tables.items()}
    return {name: [file.sha256 for file in snapshot.data_files(name)] for name in RESULTS}


def rows_read(snapshot: Snapshot) -> dict[str, int]:
    """Table -> how many rows its files give, each value read."""
    counts = {}
    with duckdb.connect() as connection:
        for name in snapshot.tables:
            files = snapshot.files(name)
            counts[name] = content(connection, f"read_parquet({path_list(files)}, hive_partitioning = false)")[0] if files else 0
    return counts


def content(connection: duckdb.DuckDBPyConnection, relation: str) -> tuple[int, int]:
    """The number of rows and a hash of them that does not depend on their order."""
    return connection.execute(f"SELECT count(*), coalesce(sum(hash(whole)), 0) FROM (SELECT to_json(row)::VARCHAR AS whole FROM {relation} AS row)").fetchall()[
        0
    ]


def staged_state(settings: Settings) -> dict[str, Any]:
    """Batch -> what it says of its files, and the content of its rows; what a kill left of a gate's work in it does not count."""
    found: dict[str, Any] = {}
    assert all((folder / "batch.json").exists() for folder in settings.staged_dir.glob("[!.]*")), "a part of a staged batch"
    for batch in staged(settings):
        rows = {}
        with duckdb.connect() as connection:
            for kind in sorted({file["input"] for file in batch.files}):
                rows[kind] = [content(connection, f"read_parquet({path_list([path])})") for path in batch.parquet(kind)]
                assert sum(count for count, _ in rows[kind]) == sum(file["n_staged"] for file in batch.files if file["input"] == kind), (
                    f"staged {kind} lack rows"
                )
        found[batch.batch_id] = (batch.files, rows)
    return found


def serving_state(settings: Settings) -> str | None:
    """The content hash of what is published; it is computed anew, and must be that of the newest publication."""
    if not settings.serving_file.exists():
        return None
    with connect(settings) as connection, open_store(settings).published(connection) as publication:
        found = content_hash(connection, "published.serving")
        assert found == publication.content_hash, "the lists are not those of the newest publication"
        return found


def analytics_state(path: Path) -> dict[str, Any] | None:
    """Table -> content of the analysts' snapshot, but for what tells of runs and their times."""
    if not path.exists():
        return None
    with duckdb.connect(str(path), read_only=True) as connection:
        tables = connection.execute("SELECT schema_name, table_name FROM duckdb_tables() ORDER BY ALL").fetchall()
        found = {f"{schema}.{table}": content(connection, f"{identifier(schema)}.{identifier(table)}") for schema, table in tables}
    return {table: rows for table, rows in found.items() if table not in ("serving.publications", "operations.stage_runs")}


def exports_state(root: Path) -> dict[str, Any] | None:
    """The newest bundle's number and parts. Every bundle that has a number is whole."""
    if not root.exists():
        return None
    for bundle in root.glob("[0-9]*"):
        export.verify(bundle)
    newest = export.latest(root)
    manifest = json.loads((newest / export.MANIFEST).read_text(encoding="utf-8"))
    return {"number": newest.name, "parts": manifest["parts"]}


def pinned(home: Path) -> Iterable[int]:
    """The lake's versions that nights have pinned."""
    return [json.loads(path.read_text(encoding="utf-8"))["lake_version"] for path in home.glob("nights/*/night.json")]


def leftovers(home: Path) -> list[str]:
    """Hidden files and folders other than locks, where data lies."""
    return sorted(str(path.relative_to(home)) for folder in DATA for path in (home / folder).rglob(".*") if path.suffix != ".lock")
