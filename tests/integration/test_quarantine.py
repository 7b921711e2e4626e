"""Quarantine as a workplace: a mapping is broken, mended, and replayed through the real gate.

The shop's files hold eight events of two days. With the broken mapping the prices of the old till ("9,50 EUR") cannot be read.
"""

import gzip
import json
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import duckdb
import pytest

from dawnlist import landing, quarantine, sources
from dawnlist.errors import GateError
from dawnlist.lake import Lake
from dawnlist.quarantine import Chosen, Replay
from dawnlist.settings import Gate, Privacy, Settings, Site, load
from dawnlist.stages import execute
from dawnlist.stages.base import Interval

UNTIL = Interval.until(date(2026, 1, 6))
SHOP = """
description: a shop
user_namespace: "shop:"
inputs:
  events:
    path: "*.jsonl.gz"
    format: jsonl
    file_time: "%Y-%m-%d"
    period: day
    columns:
      event_id: id
      occurred_at: at
      user_id: user
      item_id: item
      unit_price: {column: price}
      search_term: query
    event_type:
      - {type: view, when: {column: kind, equals: view}}
      - {type: search, when: {column: kind, equals: search}}
"""
MENDED = SHOP.replace("unit_price: {column: price}", 'unit_price: {column: price, remove: " EUR"}').replace(
    "    file_time:", '    decimal: ","\n    file_time:'
)


def line(number: int, day: int, **changes: object) -> dict[str, object]:
    return {"id": f"m{number}", "at": f"2026-01-0{day}T10:0{number}:00Z", "user": f"anna-{number}", "item": "p1", "kind": "view", "price": "9"} | changes


OLD_TILL = [line(1, 5), line(2, 5, price="9,50 EUR"), line(3, 5, price="8,10 EUR"), line(4, 5, kind="dance")]
OTHER = [line(2, 5, price="9,50 EUR"), line(5, 6), line(6, 6, price="1,10 EUR", item=None), line(7, 6, kind="search", item=None, query="to anna@example.com")]


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place whose two files were ingested with the broken mapping."""
    root = tmp_path_factory.mktemp("broken")
    ingest(root, SHOP)
    return root


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The home where the mapping was right from the start."""
    return ingest(tmp_path_factory.mktemp("right"), MENDED)


@pytest.fixture
def shop(broken: Path, tmp_path: Path) -> Settings:
    """A copy of the broken one, for one test."""
    return settings_of(Path(shutil.copytree(broken, tmp_path / "shop")))


def ingest(root: Path, mapping: str) -> Settings:
    (root / "sources").mkdir()
    (root / "landing").mkdir()
    write(root / "landing" / "2026-01-05.jsonl.gz", OLD_TILL)
    write(root / "landing" / "2026-01-06.jsonl.gz", OTHER)
    (root / "the.key").write_text("one key in every home, so that their bytes can be compared")
    (root / "the.key").chmod(0o600)
    settings = settings_of(root)
    mend(settings, mapping)
    for stage in ("ingest", "validate"):
        execute(settings, stage, UNTIL, run_id=stage)
    return settings


def settings_of(root: Path) -> Settings:
    settings = load(home=root / "home", landing=str(root / "landing"), sources_dir=root / "sources", site=Site(sources=("shop",)))
    return settings.with_(gate=Gate(max_quarantined_share=0.9), privacy=Privacy(key_file=root / "the.key"))


def write(path: Path, lines: list[dict[str, object]]) -> None:
    path.write_bytes(gzip.compress("\n".join(json.dumps(one) for one in lines).encode(), mtime=0))


def mend(settings: Settings, mapping: str) -> None:
    (settings.sources_dir / "shop.yml").write_text(mapping)


def replay(settings: Settings, chosen: Chosen = quarantine.ALL) -> Replay:
    (result,) = quarantine.replay(settings, chosen, UNTIL, run_id="replay")
    return result


def table(settings: Settings, name: str, select: str) -> list[tuple]:
    files = [str(path) for path in Lake(settings.lake_dir).snapshot().files(name)]
    return duckdb.sql(f"SELECT {select} FROM read_parquet({files}, hive_partitioning = false) ORDER BY ALL").fetchall() if files else []


def ledger(settings: Settings) -> list[tuple]:
    return table(settings, "ledger", "file_name, n_read, n_kept, n_quarantined, n_duplicates, n_ignored")


def content(settings: Settings) -> list[tuple[str, str]]:
    """Day and content hash of every file of events."""
    return [(file.partition, file.sha256) for file in Lake(settings.lake_dir).snapshot().data_files("events")]


def reasons(settings: Settings, chosen: Chosen = quarantine.ALL) -> list[tuple]:
    return [(row["field"], row["reason"], row["n_rows"], row["first_file"], row["last_file"]) for row in quarantine.reasons(settings, chosen)]


def test_list_counts_the_reasons_and_names_first_and_last_file(shop: Settings) -> None:
    assert reasons(shop) == [
        ("unit_price", "not a decimal", 4, "2026-01-05.jsonl.gz", "2026-01-06.jsonl.gz"),
        ("event_type", "no rule of the source maps it", 1, "2026-01-05.jsonl.gz", "2026-01-05.jsonl.gz"),
    ]
    assert reasons(shop, Chosen(source="other")) == []


def test_a_mended_mapping_is_replayed_as_if_it_had_been_right_from_the_start(shop: Settings, right: Settings) -> None:
    assert ledger(shop) == [("2026-01-05.jsonl.gz", 4, 1, 3, 0, 0), ("2026-01-06.jsonl.gz", 4, 2, 2, 0, 0)]
    mend(shop, MENDED)
    assert replay(shop) == Replay("shop", 2, n_quarantined_before=5, n_quarantined=2, n_kept_before=3, n_kept=5)
    # m2 stands in both files, m4 is no kind that the rules know, and the row rule wants an item of the view m6.
    expected = ledger(right)
    assert [sum(counts) for counts in zip(*(row[1:] for row in expected), strict=True)] == [8, 5, 2, 1, 0]
    assert table(right, "events", "search_term")[0] == ("to [redacted]",)
    assert ledger(shop) == expected
    assert content(shop) == content(right)
    assert table(shop, "quarantine", "file_name, line, field, reason") == table(right, "quarantine", "file_name, line, field, reason")
    assert replay(shop) == Replay("shop", 2, n_quarantined_before=2, n_quarantined=2, n_kept_before=5, n_kept=5)
    assert ledger(shop) == expected
    assert content(shop) == content(right)
    assert table(shop, "ledger", "source, input, file_id") == table(right, "ledger", "source, input, file_id")


def test_a_row_that_a_rule_refused_comes_in_when_it_is_mended(shop: Settings) -> None:
    mend(shop, MENDED)
    replay(shop)
    mend(shop, MENDED.replace("item_id: item", "item_id: [item, id]"))
    refused = Chosen(reason="the event must name an item")
    assert [row["file_name"] for row in quarantine.samples(shop, refused, limit=9)] == ["2026-01-06.jsonl.gz"]
    result = replay(shop, refused)
    assert (result.n_files, result.n_quarantined_before, result.n_quarantined, result.n_kept - result.n_kept_before) == (1, 1, 0, 1)
    assert [row[3] for row in ledger(shop)] == [1, 0]
    assert [row for row in table(shop, "events", "item_id") if row[0] == "m6"] == [("m6",)]


def test_one_file_can_be_replayed_and_all_changes_in_one_commit(shop: Settings) -> None:
    mend(shop, MENDED)
    before = Lake(shop.lake_dir).snapshot()
    replay(shop, Chosen(file="2026-01-05.jsonl.gz"))
    assert ledger(shop) == [("2026-01-05.jsonl.gz", 4, 3, 1, 0, 0), ("2026-01-06.jsonl.gz", 4, 2, 2, 0, 0)]
    changed = {name: version.version for name, version in Lake(shop.lake_dir).snapshot().tables.items() if version != before.tables.get(name)}
    assert len({version for name, version in changed.items() if name != "gate_results"}) == 1
    assert set(changed) >= {"events", "quarantine", "ledger"}


def test_a_kept_event_stays_as_it_is(shop: Settings) -> None:
    """The mended mapping also reads the kept rows otherwise; they are not touched."""
    before = set(table(shop, "events", "event_id, item_id"))
    mend(shop, MENDED.replace("item_id: item", "item_id: {column: item, fold_case: true}"))
    replay(shop)
    assert set(table(shop, "events", "event_id, item_id")) >= before
    assert {item for _, item in before} == {"p1", None}
    assert table(shop, "events", "DISTINCT item_id") == [("P1",), ("p1",), (None,)]


@pytest.mark.parametrize(
    "change",
    [lambda text: text.replace("event_id: id", "event_id: at"), lambda text: text.replace("occurred_at: at", "occurred_at: kind")],
    ids=["other ids", "kept rows that cannot be read"],
)
def test_a_replay_that_would_count_twice_is_refused_and_changes_nothing(shop: Settings, change: Callable[[str], str]) -> None:
    before = Lake(shop.lake_dir).snapshot()
    mend(shop, change(MENDED))
    with pytest.raises(GateError, match="that were read before are not found again"):
        replay(shop)
    after = Lake(shop.lake_dir).snapshot()
    assert [after.tables[name] for name in ("events", "quarantine", "ledger")] == [before.tables[name] for name in ("events", "quarantine", "ledger")]
    assert list(shop.staged_dir.iterdir()) == []


def test_a_landed_file_that_is_gone_is_named_and_left(shop: Settings) -> None:
    mend(shop, MENDED)
    folder = shop.landing_dir("shop")
    (folder / "2026-01-05.jsonl.gz").unlink()
    (folder / "2026-01-06.jsonl.gz").rename(folder / "2026-01-06-again.jsonl.gz")  # known by its content
    assert replay(shop) == Replay("shop", 1, n_quarantined_before=2, n_quarantined=1, n_kept_before=2, n_kept=3, gone=("2026-01-05.jsonl.gz",))
    assert [(name, quarantined) for name, _, _, quarantined, _, _ in ledger(shop)] == [("2026-01-05.jsonl.gz", 3), ("2026-01-06-again.jsonl.gz", 1)]


def test_show_masks_people_and_keeps_what_helps(shop: Settings) -> None:
    rows = quarantine.samples(shop, Chosen(reason="not a decimal"), limit=2, with_content=True)
    assert [(row["file_name"], row["line"], row["field"]) for row in rows] == [
        ("2026-01-05.jsonl.gz", 2, "unit_price"),
        ("2026-01-05.jsonl.gz", 3, "unit_price"),
    ]
    assert json.loads(rows[0]["content"]) == line(2, 5, price="9,50 EUR", user="***")
    (shop.landing_dir("shop") / "2026-01-05.jsonl.gz").unlink()
    assert quarantine.samples(shop, Chosen(file="2026-01-05.jsonl.gz"), limit=1, with_content=True)[0]["content"] == quarantine.GONE


def test_the_hash_of_a_file_chooses_it_too(shop: Settings) -> None:
    (first, _) = landing.identified(shop, sources.load(shop, "shop"), landing.list_files(shop, sources.load(shop, "shop")))
    assert [reason[2] for reason in reasons(shop, Chosen(file=first.file_id))] == [2, 1]
