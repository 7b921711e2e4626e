"""Neither the order of files, nor how they are cut into batches, nor the number of threads changes a byte of the lake."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import Phase, given, strategies
from hypothesis import settings as examples
from pydantic import SecretStr

from dawnlist import ingest as reading
from dawnlist import lake, validation
from dawnlist import promote as promotion
from dawnlist.columns import EVENTS, LEDGER, QUARANTINE
from dawnlist.duck import scan
from dawnlist.lake import Lake, changed_days
from dawnlist.settings import DuckDB, Gate, Privacy, Settings, Site, load
from dawnlist.stages import gate, ingest, validate
from dawnlist.stages.base import Interval
from dawnlist.verdicts import Verdict
from tests.staged import stage_events

SHOP = """
description: a shop whose events have ids
user_namespace: "shop:"
inputs:
  events:
    path: "events/*.jsonl"
    format: jsonl
    file_time: "events/%Y-%m-%dT%H"
    period: hour
    columns: {event_id: id, occurred_at: time, user_id: user, item_id: item, dwell_seconds: dwell}
    event_type:
      - {type: ignore, when: {column: kind, equals: page}}
      - {type: view, when: {column: kind, equals: view}}
      - {type: click, when: {column: kind, equals: click}}
  items:
    path: "items/*.jsonl"
    format: jsonl
    columns: {item_id: item, updated_at: time, title: title, price: price}
  customers:
    path: "customers/*.jsonl"
    format: jsonl
    columns: {user_id: user, updated_at: time, country: country}
  consents:
    path: "consents/*.jsonl"
    format: jsonl
    columns: {user_id: user, purpose: purpose, is_granted: granted, changed_at: time}
"""
TILL = """
description: a till whose lines have no ids
user_namespace: "till:"
inputs:
  events:
    path: "*.csv"
    format: csv
    file_time: "%Y-%m-%d"
    period: day
    columns: {occurred_at: When, user_id: Customer, item_id: Code, order_id: Invoice, quantity: Quantity}
    event_type:
      - {type: purchase}
"""


def event(number: int, time: str, *, kind: str = "view", item: str | None = "a", **more: Any) -> str:
    return json.dumps({"id": f"m{number}", "time": f"2026-01-{time}", "user": "anna", "item": item, "kind": kind, **more})


def item(time: str, title: str, price: float) -> str:
    return json.dumps({"item": "a", "time": f"2026-01-{time}", "title": title, "price": price})


def consent(*, granted: bool) -> str:
    return json.dumps({"user": "anna", "purpose": "marketing", "granted": granted, "time": "2026-01-05"})


TILL_HEADER = "Invoice,When,Code,Quantity,Customer\n"
TILL_LINE = "1,2026-01-05 09:00:00,a,2,berta\n"
KEY = Privacy(key=SecretStr("a key of sixteen or more"))
# Source -> file -> text.
FILES = {
    "shop": {
        "events/2026-01-05T10.jsonl": [event(1, "05T10:00"), event(2, "05T10:30"), event(2, "05T10:30"), event(9, "05T10:40", kind="page"), "no JSON"],
        # m1 again: its type is smaller, its time later. m5: the earlier row breaks a rule, so the later one is the event.
        "events/2026-01-05T11.jsonl": [event(1, "05T11:00", kind="click"), event(5, "05T11:10", dwell=-1), event(6, "05T11:20", item=None)],
        # m1 once more, on an earlier day; m4 is late; m6 is as bad as before.
        "events/2026-01-06T09.jsonl": [event(1, "04T23:30"), event(4, "05T08:00"), event(5, "05T11:50", dwell=3), event(6, "05T11:20", item=None)],
        "events/2026-01-06T10.jsonl": [event(7, "06T10:00"), event(1, "04T23:30", item="b"), event(8, "06T10:20", kind="dance")],
        "events/2026-02-20T10.jsonl": [event(10, "06T10:30"), event(7, "06T10:00")],  # landed too late
        "items/1.jsonl": [item("01", "Lamp", 5), item("02", "Lamp", 6)],
        "items/2.jsonl": [item("01", "Lamp", 4), item("02", "Lamp", -1), item("03", "Lamp", 7)],
        "customers/1.jsonl": [json.dumps({"user": "anna", "time": "2026-01-05", "country": country}) for country in ("DE", "AT")],
        "consents/1.jsonl": [consent(granted=True)],
        "consents/2.jsonl": [consent(granted=False), consent(granted=True)],
    },
    "till": {
        "2026-01-05.csv": [TILL_HEADER + TILL_LINE + TILL_LINE + "2,2026-01-05 10:00:00,b,1,"],
        "2026-01-06.csv": [TILL_HEADER + TILL_LINE + TILL_LINE + TILL_LINE + "3,never,b,1,"],
    },
}
# The same bytes under another name.
COPIES = {("shop", "events/2026-01-06T09.jsonl"): "events/2026-01-06T09-again.jsonl", ("shop", "consents/1.jsonl"): "consents/3.jsonl"}
ALL = [(source, name) for source, files in FILES.items() for name in files]
UNTIL = Interval.until(date(2026, 3, 1))


@dataclass(frozen=True)
class Step:
    """Some files land, and are loaded by `threads` threads; `is_validated`: into the lake at once, else they wait in a staged batch; `is_large`:
    as if they were too many for the memory, so that each file and each day is taken by itself.
    """

    files: Sequence[tuple[str, str]]
    threads: int = 0
    is_validated: bool = True
    is_large: bool = False
    interval: Interval = UNTIL


def landed_name(source: str, name: str, *, is_copy: bool) -> str:
    return COPIES[source, name] if is_copy else name


def text_of(source: str, name: str) -> str:
    return "\n".join(FILES[source].get(name) or next(FILES[source][known] for (_, known), copy in COPIES.items() if copy == name)) + "\n"


def site(home: Path) -> Settings:
    (home / "sources").mkdir(parents=True)
    (home / "sources" / "shop.yml").write_text(SHOP)
    (home / "sources" / "till.yml").write_text(TILL)
    return load(home=home, sources_dir=home / "sources", site=Site(sources=("shop", "till")), gate=Gate(max_quarantined_share=1), privacy=KEY)


def load_steps(home: Path, steps: Sequence[Step]) -> Settings:
    """A site in which the steps were taken one after the other. A source of which no event file has landed yet waits for one."""
    settings = site(home)
    for number, step in enumerate(steps):
        for source, name in step.files:
            path = settings.landing_dir(source) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text_of(source, name))
        if not (list(settings.landing_dir("shop").glob("events/*")) and list(settings.landing_dir("till").glob("*.csv"))):
            continue
        threaded = settings.with_(duckdb=DuckDB(threads=step.threads))
        with pytest.MonkeyPatch.context() as patch:
            if step.is_large:
                patch.setattr(reading, "CHUNK_BYTES", 1)
                patch.setattr(promotion, "GROUP_ROWS", 1)
            ingest.run(threaded, step.interval, run_id=f"run-{number}")
            if step.is_validated or number == len(steps) - 1:
                validate.run(threaded, step.interval, run_id=f"run-{number}")
    return settings


def query(settings: Settings, table: str, columns: dict[str, str], sql: str) -> list[tuple[Any, ...]]:
    return duckdb.sql(f"SELECT {sql.format(table=scan(Lake(settings.lake_dir).snapshot().files(table), columns))}").fetchall()


def content(settings: Settings) -> dict[str, Any]:
    """What must not depend on the order: the bytes of the tables, the sums of the ledger, and what is in quarantine."""
    snapshot = Lake(settings.lake_dir).snapshot()
    snapshot.verify()
    assert query(settings, "events", EVENTS, "count(*) = count(DISTINCT event_id) FROM {table}") == [(True,)]
    assert query(settings, "ledger", LEDGER, "bool_and(n_read = n_kept + n_quarantined + n_duplicates + n_ignored) FROM {table}") == [(True,)]
    kept = dict(query(settings, "ledger", LEDGER, "input, sum(n_kept)::BIGINT FROM {table} GROUP BY ALL"))
    assert kept == {table: snapshot.rows(table) for table in kept}
    found: dict[str, Any] = {
        table: [(file.partition, file.sha256) for file in snapshot.data_files(table)] for table in ("events", "items", "customers", "consents")
    }
    sums = ", ".join(f"sum({name})::BIGINT" for name in ("n_read", "n_kept", "n_quarantined", "n_duplicates", "n_ignored"))
    found["ledger"] = query(settings, "ledger", LEDGER, f"source, input, count(*), {sums} FROM {{table}} GROUP BY ALL ORDER BY ALL")
    found["quarantine"] = query(settings, "quarantine", QUARANTINE, "source, input, file_id, line, field, reason FROM {table} ORDER BY ALL")
    return found


@pytest.fixture(autouse=True, scope="module")
def without_suites() -> Iterator[None]:
    """The suites judge, and change nothing: a batch takes seconds with them, and a fraction of one without."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(validation, "check", lambda _settings, suite, _tables, *, source, **_: Verdict(suite, source, ()))
        patch.setattr(gate, "decide", lambda *_, **__: [])
        yield


@pytest.fixture(scope="module")
def bulk(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return load_steps(tmp_path_factory.mktemp("bulk"), [Step(ALL)])


def test_one_batch_of_everything_holds_what_it_should(bulk: Settings) -> None:
    events = query(bulk, "events", EVENTS, "event_date::VARCHAR, source, event_type, occurred_at, item_id, dwell_seconds FROM {table} ORDER BY ALL")
    at = datetime.fromisoformat
    assert events == [
        ("2026-01-04", "shop", "view", at("2026-01-04 23:30"), "a", None),  # m1: the earliest, then the smaller content
        ("2026-01-05", "shop", "view", at("2026-01-05 08:00"), "a", None),  # m4
        ("2026-01-05", "shop", "view", at("2026-01-05 10:30"), "a", None),  # m2
        ("2026-01-05", "shop", "view", at("2026-01-05 11:50"), "a", 3.0),  # m5
        *[("2026-01-05", "till", "purchase", at("2026-01-05 09:00"), "a", None)] * 3,  # two equal lines in one file, three in the other
        ("2026-01-05", "till", "purchase", at("2026-01-05 10:00"), "b", None),
        ("2026-01-06", "shop", "view", at("2026-01-06 10:00"), "a", None),  # m7
    ]
    assert content(bulk)["ledger"] == [  # files, read, kept, quarantined, duplicates, ignored
        ("shop", "consents", 2, 3, 1, 0, 2, 0),
        ("shop", "customers", 1, 2, 1, 0, 1, 0),
        ("shop", "events", 5, 17, 5, 7, 4, 1),
        ("shop", "items", 2, 5, 3, 1, 1, 0),
        ("till", "events", 2, 7, 4, 1, 2, 0),
    ]


steps = strategies.builds(
    lambda order, cuts, threads, validated, large, copies: (
        [
            Step(order[start:end], threads[start % len(threads)], validated[start % len(validated)], large[start % len(large)])
            for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(order)], strict=True)
        ]
        + [Step([(source, COPIES[source, name]) for source, name in copies])]
    ),
    strategies.permutations(ALL),
    strategies.sets(strategies.integers(1, len(ALL) - 1), max_size=5),
    strategies.lists(strategies.integers(1, 4), min_size=1),
    strategies.lists(strategies.booleans(), min_size=1),
    strategies.lists(strategies.booleans(), min_size=1),
    strategies.sets(strategies.sampled_from(sorted(COPIES))),
)


@examples(max_examples=5, deadline=None, phases=[Phase.generate], derandomize=True)  # shrinking would take minutes
@given(steps=steps)
def test_any_order_in_any_batches_on_any_threads_gives_the_same_lake(bulk: Settings, tmp_path_factory: pytest.TempPathFactory, steps: list[Step]) -> None:
    assert content(load_steps(tmp_path_factory.mktemp("order"), steps)) == content(bulk)


def hours(*names: str) -> list[Interval]:
    return [Interval.hour(datetime.fromisoformat(f"{name}:00")) for name in names]


def test_hour_by_hour_gives_the_same_lake(bulk: Settings, tmp_path: Path) -> None:
    """All has landed; each run takes its hour. The day's file of the till is taken at the end of its day."""
    due = hours("2026-01-05T10", "2026-01-05T11", "2026-01-05T23", "2026-01-06T09", "2026-01-06T10", "2026-01-06T23", "2026-02-20T10")
    settings = load_steps(tmp_path / "home", [Step(ALL if number == 0 else [], interval=interval) for number, interval in enumerate(due)])
    assert content(settings) == content(bulk)


def test_days_that_are_loaded_backwards_give_the_same_lake(bulk: Settings, tmp_path: Path) -> None:
    others = [(source, name) for source, name in ALL if "2026" not in name]
    steps = [
        Step([(source, name) for source, name in ALL if f"{day:%Y-%m-%d}" in name], interval=Interval.day(day))
        for day in (date(2026, 1, 6), date(2026, 1, 5), date(2026, 2, 20))
    ]
    assert content(load_steps(tmp_path / "home", [*steps, Step(others, interval=steps[0].interval)])) == content(bulk)


def rows_by_day(settings: Settings, version: int) -> dict[date, list[Any]]:
    files = Lake(settings.lake_dir).snapshot(version).files("events")
    rows = duckdb.sql(f"SELECT event_date, struct_pack({', '.join(f'{name} := {name}' for name in EVENTS)})::VARCHAR FROM {scan(files, EVENTS)} ORDER BY ALL")
    found: dict[date, list[Any]] = {}
    for day, row in rows.fetchall():
        found.setdefault(day, []).append(row)
    return found


def test_changed_days_are_those_whose_rows_differ_and_no_others(tmp_path: Path) -> None:
    late, moved = ("shop", "events/2026-01-06T09.jsonl"), ("shop", "events/2026-01-05T11.jsonl")
    first = [file for file in ALL if file not in (late, moved)]
    settings = load_steps(tmp_path / "home", [Step(first), Step([moved]), Step([late]), Step([("shop", COPIES[late])])])
    lake, found = Lake(settings.lake_dir), {}
    versions = range(lake.snapshot().version + 1)
    for since in versions:
        for until in versions:
            old, new = rows_by_day(settings, since), rows_by_day(settings, until)
            differ = sorted(day for day in {*old, *new} if old.get(day) != new.get(day))
            assert changed_days(settings, since, until) == differ
            found[since, until] = differ
    assert found[0, versions[-1]] == [date(2026, 1, 4), date(2026, 1, 5), date(2026, 1, 6)]
    assert [] in found.values()  # a file that lands again changes no day
    assert [date(2026, 1, 5)] in found.values()


def test_a_day_that_loses_its_only_event_to_another_day_has_changed(tmp_path: Path) -> None:
    settings = load_steps(tmp_path / "home", [Step([("till", "2026-01-05.csv"), ("shop", "events/2026-01-05T11.jsonl")])])
    before = Lake(settings.lake_dir).snapshot().version
    folder = settings.landing_dir("shop") / "events"
    for hour, line in (("2026-01-09T10", event(20, "09T10:00")), ("2026-01-09T11", event(20, "08T10:00"))):
        (folder / f"{hour}.jsonl").write_text(line)
        ingest.run(settings, UNTIL, run_id=hour)
        validate.run(settings, UNTIL, run_id=hour)
    middle = next(version for version in range(before, 100) if changed_days(settings, before, version) == [date(2026, 1, 9)])
    assert changed_days(settings, middle) == [date(2026, 1, 8), date(2026, 1, 9)]
    assert changed_days(settings, before) == [date(2026, 1, 8)]


N_LARGE = 300_000  # of one day
LARGE = {
    "source": "'shop'",
    "event_id": "md5(n::VARCHAR)",
    "event_type": "'view'",
    "occurred_at": "TIMESTAMP '2026-01-05' + INTERVAL (n % 86400) SECOND",
    "event_date": "DATE '2026-01-05'",
    "item_id": "'item ' || n % 97",
    "is_bot": "n % 10 = 0",
    "number": "0",
}


def large_batch(settings: Settings, name: str, condition: str) -> tuple[reading.Batch, dict[str, list[Path]]]:
    """A staged batch with those of the numbers up to N_LARGE as events that fulfil `condition`, in no order."""
    folder = settings.staged_dir / name
    folder.mkdir(parents=True)
    files = stage_events(folder, LARGE, f"(SELECT n FROM range({N_LARGE}) AS numbers (n) WHERE {condition} ORDER BY md5('{name}' || n))")
    file = {"input": "events", "name": name, "file_id": name, "file_time": None, "n_read": N_LARGE, "n_ignored": 0}
    return reading.Batch(folder, name, "shop", "test", (file,)), {"events": files}


@pytest.mark.parametrize("row_group_size", [lake.DAY_ROW_GROUP_SIZE, lake.ROW_GROUP_SIZE])
def test_a_large_day_is_the_same_bytes_on_one_thread_and_on_four(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row_group_size: int) -> None:
    """Taken over as one staged file, or merged with what came before; of one row group and of three."""
    monkeypatch.setattr(lake, "DAY_ROW_GROUP_SIZE", row_group_size)
    hashes = []
    for threads, conditions in ((1, ["true"]), (4, ["n % 5 = 3", "true"])):
        settings = load(home=tmp_path / str(threads), duckdb=DuckDB(threads=threads))
        for number, condition in enumerate(conditions):
            batch, accepted = large_batch(settings, f"batch-{number}", condition)
            promotion.promote(settings, batch, accepted, [], run_id="run")
        snapshot = Lake(settings.lake_dir).snapshot()
        assert snapshot.rows("events") == N_LARGE
        hashes.append([file.sha256 for file in snapshot.data_files("events")])
    assert hashes[0] == hashes[1]
