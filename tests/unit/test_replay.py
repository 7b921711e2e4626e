"""A replay into the lake: whatever was bad at first, in any order and any number of times, the end is that of a mapping that was right."""

from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pytest
from hypothesis import given, strategies
from hypothesis import settings as examples

from dawnlist.columns import KEY_LINKS, QUARANTINE
from dawnlist.errors import GateError
from dawnlist.ingest import Batch
from dawnlist.lake import Lake
from dawnlist.promote import promote
from dawnlist.settings import Settings, load
from tests.staged import stage_events

# Two files of three records each; e3 stands in both. The days are 2026-01-05 and 2026-01-06.
FILES = {"f1": ("e1", "e2", "e3"), "f2": ("e3", "e4", "e5")}
DAY_OF = {"e1": 5, "e2": 6, "e3": 5, "e4": 5, "e5": 6}
RECORDS = [(file, event) for file, events in FILES.items() for event in events]


def bring(settings: Settings, names: tuple[str, ...], bad: set[tuple[str, str]], *, is_replay: bool = False) -> dict:
    """Promote a batch of the files `names` in which the records `bad` cannot be read."""
    folder = settings.staged_dir / "batch"
    folder.mkdir(parents=True, exist_ok=True)
    good, files, doubles = {}, [], 0
    for name in names:
        fresh = [event for event in FILES[name] if (name, event) not in bad and event not in good]
        doubles = sum((name, event) not in bad for event in FILES[name]) - len(fresh)
        good |= dict.fromkeys(fresh, name)
        files.append({"input": "events", "name": f"{name}.csv", "file_id": name, "file_time": None, "n_read": 3, "n_ignored": 0, "n_duplicates": doubles})
    known = {"source": "'shop'", "event_id": "id", "event_type": "'view'", "occurred_at": "moment", "event_date": "moment::DATE", "number": "place"}
    values = ", ".join(f"('{event}', TIMESTAMP '2026-01-0{DAY_OF[event]} 10:00:00', {names.index(name)})" for event, name in good.items())
    for path in folder.glob("[eo]*.parquet"):
        path.unlink()
    staged = stage_events(folder, known, f"(VALUES {values}) AS feed (id, moment, place)") if values else []
    rows = ", ".join(
        f"('shop', 'events', '{file}', '{file}.csv', {1 + FILES[file].index(event)}, 'row', 'bad')" for file, event in sorted(bad) if file in names
    )
    if rows:
        duckdb.sql(f"COPY (SELECT * FROM (VALUES {rows}) AS bad ({', '.join(QUARANTINE)})) TO '{folder}/bad.parquet'")
    accepted, refused = {"events": staged} if values else {}, [folder / "bad.parquet"] if rows else []
    return promote(settings, Batch(folder, "batch", "shop", "test", tuple(files)), accepted, refused, run_id="run", is_replay=is_replay)


def state(settings: Settings) -> tuple[list, list, list]:
    """The files of the events with their hashes, the counts of the ledger, and what is in quarantine."""
    snapshot = Lake(settings.lake_dir).snapshot()
    counts = "file_id, n_read, n_kept, n_quarantined, n_duplicates, n_ignored, changed_days"

    def rows(table: str, columns: str) -> list:
        files = [str(path) for path in snapshot.files(table)]
        return duckdb.sql(f"SELECT {columns} FROM read_parquet({files}) ORDER BY ALL").fetchall() if files else []

    return [(file.partition, file.sha256) for file in snapshot.data_files("events")], rows("ledger", counts), rows("quarantine", "file_id, line")


@examples(max_examples=5, deadline=None)
@given(
    first=strategies.sets(strategies.sampled_from(RECORDS)),
    later=strategies.lists(
        strategies.tuples(strategies.sampled_from([("f1",), ("f2",), ("f1", "f2")]), strategies.sets(strategies.sampled_from(RECORDS))), max_size=2
    ),
)
def test_any_replays_end_where_a_right_mapping_would_have(first: set, later: list) -> None:
    with TemporaryDirectory() as folder:
        mended, right = load(home=Path(folder) / "mended"), load(home=Path(folder) / "right")
        bad = set(first)
        bring(mended, ("f1", "f2"), bad)
        for names, still_bad in later:
            bad -= {record for record in bad - still_bad if record[0] in names}
            bring(mended, names, bad, is_replay=True)
            for _, read, kept, quarantined, duplicates, ignored, _ in state(mended)[1]:
                assert read == kept + quarantined + duplicates + ignored
        bring(mended, ("f1", "f2"), set(), is_replay=True)
        bring(right, ("f1", "f2"), set())
        events, ledger, quarantine = state(mended)
        assert events == state(right)[0]
        assert quarantine == []
        assert sorted(row[2] + row[4] for row in ledger) == [3, 3]
        assert sum(row[2] for row in ledger) == len(DAY_OF)
        bring(mended, ("f2", "f1"), set(), is_replay=True)
        assert state(mended) == (events, ledger, quarantine)


def test_what_is_still_bad_replaces_what_was(tmp_path: Path) -> None:
    settings = load(home=tmp_path)
    bring(settings, ("f1", "f2"), {("f1", "e1"), ("f1", "e2"), ("f2", "e5")})
    assert state(settings)[2] == [("f1", 1), ("f1", 2), ("f2", 3)]
    totals = bring(settings, ("f1",), {("f1", "e2")}, is_replay=True)
    assert (totals["n_kept"], totals["n_quarantined"]) == (2, 1)
    assert state(settings)[2] == [("f1", 2), ("f2", 3)]
    assert [(row[0], row[2], row[3]) for row in state(settings)[1]] == [("f1", 2, 1), ("f2", 1, 1)]


def test_a_replay_never_brings_back_what_was_removed(tmp_path: Path) -> None:
    """e1 was erased from the lake: the file that holds it cannot be replayed."""
    settings = load(home=tmp_path)
    bring(settings, ("f1",), {("f1", "e2")})
    lake = Lake(settings.lake_dir)
    with duckdb.connect() as connection:
        day = str(lake.snapshot().files("events")[0])
        file = lake.write(connection, "events", f"SELECT * FROM read_parquet('{day}', hive_partitioning = false) WHERE event_id <> 'e1'")
    lake.commit({"events": [file] if file else []}, run_id="erased")
    with pytest.raises(GateError, match="1 records of f1.csv that were read before are not found again"):
        bring(settings, ("f1",), set(), is_replay=True)


def test_links_of_keys_are_added_once(tmp_path: Path) -> None:
    settings = load(home=tmp_path)
    folder = settings.staged_dir / "batch"
    folder.mkdir(parents=True)
    for number, ids in enumerate(("('b1', 'a1')", "('b1', 'a1'), ('b2', 'a2')")):
        duckdb.sql(
            f"COPY (SELECT id, 'b' AS key_id, old AS previous_id, 'a' AS previous_key_id FROM (VALUES {ids}) AS seen (id, old)) TO '{folder}/key_links-events.parquet'"
        )
        bring(settings, ("f1", "f2")[number : number + 1], set())
    files = [str(path) for path in Lake(settings.lake_dir).snapshot().files("key_links")]
    assert duckdb.sql(f"SELECT {', '.join(KEY_LINKS)} FROM read_parquet({files}) ORDER BY ALL").fetchall() == [("b1", "b", "a1", "a"), ("b2", "b", "a2", "a")]


def test_a_consent_under_the_old_id_is_found_again_under_the_new_one(tmp_path: Path) -> None:
    """During an overlap the same record comes with another user_id: it is not added a second time."""
    settings = load(home=tmp_path)
    folder = settings.staged_dir / "batch"
    folder.mkdir(parents=True)

    def bring_consents(people: str, *, is_replay: bool) -> dict:
        file = {"input": "consents", "name": "c.csv", "file_id": "c", "file_time": None, "n_read": people.count("("), "n_ignored": 0, "n_duplicates": 0}
        batch = Batch(folder, "batch", "shop", "test", (file,))
        duckdb.sql(
            f"COPY (SELECT 'shop' AS source, id AS user_id, 'key' AS key_id, 'marketing' AS purpose, false AS is_granted, TIMESTAMP '2026-01-05' AS changed_at, "
            f"'c' AS file_id FROM (VALUES {people}) AS people (id)) TO '{folder}/consents.parquet'"
        )
        return promote(settings, batch, {"consents": [folder / "consents.parquet"]}, [], run_id="run", is_replay=is_replay)

    bring_consents("('a1')", is_replay=False)
    with pytest.raises(GateError, match="1 records of c.csv"):
        bring_consents("('b2')", is_replay=True)
    duckdb.sql(f"COPY (SELECT 'b1' AS id, 'b' AS key_id, 'a1' AS previous_id, 'a' AS previous_key_id) TO '{folder}/key_links-consents.parquet'")
    assert bring_consents("('b1'), ('b2')", is_replay=True)["n_kept"] == 2
    files = [str(path) for path in Lake(settings.lake_dir).snapshot().files("consents")]
    assert duckdb.sql(f"SELECT user_id FROM read_parquet({files}) ORDER BY ALL").fetchall() == [("a1",), ("b2",)]
