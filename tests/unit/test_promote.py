"""Batches into the lake: exactly once, in any order."""

from datetime import date
from itertools import pairwise
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, strategies
from hypothesis import settings as examples

from dawnlist import promote as promote_module
from dawnlist.ingest import Batch
from dawnlist.lake import Lake
from dawnlist.promote import promote
from dawnlist.settings import Settings, load
from tests.staged import stage_events

# id, time, item: the second e1 is another content under the same id on another day; e3 stands twice.
FEED = (
    ("e1", "2026-01-05 10:00", "a"),
    ("e2", "2026-01-05 11:00", "b"),
    ("e1", "2026-01-04 23:00", "a"),
    ("e3", "2026-01-06 00:00", "c"),
    ("e3", "2026-01-06 00:00", "c"),
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(home=tmp_path)


def batch_of(settings: Settings, name: str, events: list[tuple[str, str, str]]) -> tuple[Batch, dict[str, list[Path]]]:
    """A staged batch of one file as the ingest stage leaves it; `events` have no id twice."""
    folder = settings.staged_dir / name
    folder.mkdir(parents=True, exist_ok=True)
    known = {
        "source": "'shop'",
        "event_id": "id",
        "event_type": "'view'",
        "occurred_at": "moment::TIMESTAMP",
        "event_date": "moment::DATE",
        "item_id": "item",
        "is_bot": "false",
    }
    values = ", ".join(f"('{id_}', '{moment}', '{item}')" for id_, moment, item in events)
    files = stage_events(folder, known | {"number": "0"}, f"(VALUES {values}) AS feed (id, moment, item)")
    file = {"input": "events", "name": name, "file_id": name, "file_time": None, "n_read": len(events), "n_ignored": 0}
    return Batch(folder, name, "shop", "test", (file,)), {"events": files}


def load_all(settings: Settings, pieces: list[tuple[str, list[tuple[str, str, str]]]]) -> list[dict]:
    results = []
    for name, events in pieces:
        batch, accepted = batch_of(settings, name, events)
        results.append(promote(settings, batch, accepted, [], run_id=name))
    return results


def content(settings: Settings) -> list[tuple]:
    files = Lake(settings.lake_dir).snapshot().files("events")
    return (
        duckdb.sql(f"SELECT event_date, event_id, occurred_at, item_id FROM read_parquet({[str(path) for path in files]}) ORDER BY ALL").fetchall()
        if files
        else []
    )


def test_a_file_that_lands_again_changes_nothing(settings: Settings) -> None:
    first, second = load_all(settings, [("f1", [FEED[0], FEED[1]]), ("f1", [FEED[0], FEED[1]])])
    assert (first["n_kept"], second["n_kept"], second["n_read"]) == (2, 0, 0)
    assert [row[1] for row in content(settings)] == ["e1", "e2"]


def test_an_event_is_unique_across_days_and_the_earlier_one_stays(settings: Settings) -> None:
    first, second = load_all(settings, [("f1", [FEED[0], FEED[1]]), ("f2", [FEED[2]])])
    assert [(str(row[0]), row[1]) for row in content(settings)] == [("2026-01-04", "e1"), ("2026-01-05", "e2")]
    assert (first["n_kept"], second["n_kept"], second["n_duplicates"]) == (2, 0, 1)
    assert second["changed_days"] == [date(2026, 1, 4), date(2026, 1, 5)]


def test_a_late_event_touches_its_own_day_only(settings: Settings) -> None:
    load_all(settings, [("f1", [FEED[0], FEED[3]])])
    before = {file.partition: file for file in Lake(settings.lake_dir).snapshot().data_files("events")}
    load_all(settings, [("f2", [("e9", "2026-01-05 08:00", "z")])])
    after = {file.partition: file for file in Lake(settings.lake_dir).snapshot().data_files("events")}
    assert before["2026-01-06"] == after["2026-01-06"]
    assert after["2026-01-05"].rows == 2


def test_read_is_kept_and_duplicates_in_the_ledger(settings: Settings) -> None:
    load_all(settings, [("f1", [FEED[0], FEED[1]]), ("f2", [FEED[1], FEED[3]])])
    files = Lake(settings.lake_dir).snapshot().files("ledger")
    ledger = duckdb.sql(
        f"SELECT file_id, n_read, n_kept, n_quarantined, n_duplicates, n_ignored FROM read_parquet({[str(path) for path in files]}) ORDER BY 1"
    ).fetchall()
    assert ledger == [("f1", 2, 2, 0, 0, 0), ("f2", 2, 1, 0, 1, 0)]


@examples(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=strategies.permutations(range(len(FEED))), cuts=strategies.sets(strategies.integers(1, len(FEED) - 1)))
def test_neither_order_nor_cutting_matters(tmp_path_factory: pytest.TempPathFactory, order: list[int], cuts: set[int]) -> None:
    settings = load(home=tmp_path_factory.mktemp("lake"))
    bounds = [0, *sorted(cuts), len(FEED)]
    pieces = []
    for start, end in pairwise(bounds):
        # Within a batch the ingest stage has kept the smaller of two rows with one id.
        chosen: dict[str, tuple[str, str, str]] = {}
        for number in order[start:end]:
            chosen[FEED[number][0]] = min(FEED[number], chosen.get(FEED[number][0], FEED[number]))
        pieces.append((f"f{start}", list(chosen.values())))
    results = load_all(settings, pieces)
    assert [(str(row[0]), row[1], row[3]) for row in content(settings)] == [("2026-01-04", "e1", "a"), ("2026-01-05", "e2", "b"), ("2026-01-06", "e3", "c")]
    assert sum(result["n_kept"] for result in results) == 3
    hashes = {file.partition: file.sha256 for file in Lake(settings.lake_dir).snapshot().data_files("events")}
    assert hashes == reference(tmp_path_factory)


_REFERENCE: dict[str, str] = {}


def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """File hashes of one load in the feed's own order without the rows that lose: the bytes must be the same."""
    if not _REFERENCE:
        settings = load(home=tmp_path_factory.mktemp("reference"))
        load_all(settings, [("all", [FEED[2], FEED[1], FEED[3]])])
        _REFERENCE.update({file.partition: file.sha256 for file in Lake(settings.lake_dir).snapshot().data_files("events")})
    return _REFERENCE


def test_days_that_are_sorted_in_several_groups_are_the_same_days(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = [("f1", [FEED[0], FEED[1], FEED[3]]), ("f2", [FEED[2], ("e4", "2026-01-07 00:00", "d")])]
    load_all(settings, pieces)
    monkeypatch.setattr(promote_module, "GROUP_ROWS", 1)
    other = load(home=tmp_path / "other")
    load_all(other, pieces)
    days = [{file.partition: file.sha256 for file in Lake(one.lake_dir).snapshot().data_files("events")} for one in (settings, other)]
    assert days[0] == days[1]
    assert set(days[0]) == {"2026-01-04", "2026-01-05", "2026-01-06", "2026-01-07"}
