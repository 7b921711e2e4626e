"""The simulated store: the same bytes for the same seed, faults as counted, and tastes that can be learned."""

import gzip
import hashlib
import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from dawnlist import simulate
from dawnlist.errors import LockedError, SimulationError, StorageError
from dawnlist.locks import exclusive
from dawnlist.settings import PROJECT
from dawnlist.simulate import Rates, SimulationResult
from dawnlist.sources import read

USERS, ITEMS, DAYS = 300, 120, 14
HOUR = timedelta(hours=1)


@dataclass
class Store:
    """One simulation, read back as it landed."""

    out: Path
    result: SimulationResult
    lines: list[tuple[datetime, dict[str, Any]]] = field(default_factory=list)  # the hour of the folder, and the event
    broken: int = 0

    @property
    def events(self) -> Iterator[tuple[datetime, dict[str, Any]]]:
        """The lines whose timestamp is one, with the hour of their folder."""
        return ((hour, line) for hour, line in self.lines if _moment(line["timestamp"]))

    def truth(self, name: str) -> list[dict[str, Any]]:
        return pq.read_table(self.out / "truth" / f"{name}.parquet").to_pylist()

    def daily(self, name: str) -> list[tuple[str, dict[str, Any]]]:
        files = sorted((self.out / name).iterdir())
        return [(file.name.split(".")[0], json.loads(line)) for file in files for line in gzip.decompress(file.read_bytes()).decode().splitlines()]


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _simulate(out: Path, **changes: Any) -> SimulationResult:
    return simulate.run(**({"users": 60, "items": 40, "days": 3, "seed": 5, "out": out} | changes))


def _tree_hash(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(str(path.relative_to(folder)).encode() + path.read_bytes() for path in files)).hexdigest()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    out = tmp_path_factory.mktemp("simulate") / "store"
    rates = Rates(truncated_share=0.003, bad_timestamp_share=0.002, bots_per_visitor=0.004, blocked_share=0.05, withdrawals_per_day=0.01)
    store = Store(out, simulate.run(users=USERS, items=ITEMS, days=DAYS, seed=3, out=out, rates=rates))
    for file in sorted(out.glob("events/date=*/hour=*/*.jsonl.gz")):
        hour = datetime.strptime(f"{file.parent.parent.name}/{file.parent.name}", "date=%Y-%m-%d/hour=%H").replace(tzinfo=UTC)
        for line in gzip.decompress(file.read_bytes()).decode().splitlines():
            try:
                store.lines.append((hour, json.loads(line)))
            except json.JSONDecodeError:
                store.broken += 1
    return store


def test_the_same_seed_makes_the_same_bytes_whatever_the_number_of_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    _simulate(tmp_path / "one")
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr("dawnlist.simulate.landing.BATCH_LINES", 10)
    _simulate(tmp_path / "four")
    assert _tree_hash(tmp_path / "one") == _tree_hash(tmp_path / "four")


def test_another_seed_makes_another_store(tmp_path: Path) -> None:
    _simulate(tmp_path / "a", seed=5)
    _simulate(tmp_path / "b", seed=6)
    assert _tree_hash(tmp_path / "a") != _tree_hash(tmp_path / "b")


def test_every_hour_of_every_day_has_its_marker_and_the_last_day_is_the_documented_one(store: Store) -> None:
    assert (store.result.first_day, store.result.last_day) == (date(2026, 2, 16), date(2026, 3, 1))
    wanted = {f"date={date(2026, 2, 16) + timedelta(days=day)}/hour={hour:02}" for day in range(DAYS) for hour in range(24)}
    assert {str(marker.parent.relative_to(store.out / "events")) for marker in store.out.glob("events/*/*/_SUCCESS")} == wanted


def test_an_hour_without_events_has_a_marker_only(tmp_path: Path) -> None:
    _simulate(tmp_path / "quiet", users=1, days=2, rates=Rates(sessions_per_day=0.01, bots_per_visitor=0))
    hours = [sorted(entry.name for entry in folder.iterdir()) for folder in (tmp_path / "quiet").glob("events/*/*")]
    assert len(hours) == 48
    assert hours.count(["_SUCCESS"]) >= 40


def test_a_folder_is_the_hour_of_landing(store: Store) -> None:
    assert all(hour <= datetime.fromisoformat(line["receivedAt"]) < hour + HOUR for hour, line in store.lines)
    assert all(line["sentAt"] < line["receivedAt"] for _, line in store.lines)


def test_the_faults_in_the_files_are_those_of_the_truth(store: Store) -> None:
    delays = [datetime.fromisoformat(line["receivedAt"]) - _moment(line["timestamp"]) for _, line in store.events]  # type: ignore[operator]
    faults = {row["fault"]: row["n"] for row in store.truth("faults")}
    assert faults == store.result.faults
    assert store.broken == faults["truncated"] > 10
    assert len(store.lines) - len(list(store.events)) == faults["bad_timestamp"] > 10
    assert len(store.lines) + store.broken == store.result.event_lines
    assert len(store.lines) - len({line["messageId"] for _, line in store.lines}) == faults["duplicates"] > 50
    unreadable = faults["truncated"] + faults["bad_timestamp"]
    late = sum(delay >= HOUR for delay in delays)
    assert faults["late"] - unreadable <= late <= faults["late"]  # a broken line may be a late one
    assert late > 200
    assert max(delays) > timedelta(days=2)


def test_refunds_bots_and_withdrawals_are_those_of_the_truth(tmp_path: Path) -> None:
    out = tmp_path / "store"
    whole = Rates(truncated_share=0, bad_timestamp_share=0, refund_share=0.5, withdrawals_per_day=0.05)
    faults = simulate.run(users=100, items=40, days=10, seed=2, out=out, rates=whole).faults
    lines = [json.loads(line) for file in out.glob("events/*/*/*.gz") for line in gzip.decompress(file.read_bytes()).decode().splitlines()]
    assert sum(line.get("event") == "Order Refunded" for line in lines) == faults["refunds"] > 10
    assert sum("bot" in line["context"].get("userAgent", "") for line in lines) == faults["bots_by_user_agent"] > 100
    assert (faults["truncated"], faults["bad_timestamp"]) == (0, 0)
    answers = [json.loads(line) for file in sorted(out.glob("consents/*")) for line in gzip.decompress(file.read_bytes()).decode().splitlines()]
    times = Counter((answer["customer_id"], answer["purpose"]) for answer in answers)
    assert sum(n - 1 for n in times.values()) == faults["withdrawals"] > 20


def test_a_refund_has_the_lines_and_the_total_of_its_order(store: Store) -> None:
    orders = {line["properties"]["order_id"]: line["properties"] for _, line in store.events if line.get("event") == "Order Completed"}
    refunds = {line["properties"]["order_id"]: line["properties"] for _, line in store.events if line.get("event") == "Order Refunded"}
    both = orders.keys() & refunds.keys()
    assert len(both) >= 5
    for number in both:
        assert orders[number] == refunds[number]
        assert sum(round(100 * line["price"]) * line["quantity"] for line in orders[number]["products"]) == round(100 * float(orders[number]["total"]))


def test_every_message_has_the_shape_of_the_specification(store: Store) -> None:
    for _, line in store.lines:
        assert line["type"] in {"track", "page", "identify"}
        assert ("event" in line) == (line["type"] == "track")
        assert line["anonymousId"] or line["userId"]
        assert len(line["messageId"]) == 36
        assert line["context"]["library"]["name"]
    counts = Counter(line.get("event", line["type"]) for _, line in store.lines)
    assert set(counts) == set(simulate.behaviour.KINDS)
    assert counts["Product Viewed"] > counts["Product Added"] > counts["Order Completed"] > counts["Order Refunded"]


def test_a_visitor_is_anonymous_before_the_login_and_known_after_it(store: Store) -> None:
    logins = {line["context"]["sessionId"]: line for _, line in store.events if line["type"] == "identify"}
    before, after = 0, 0
    for _, line in store.events:
        login = logins.get(line["context"].get("sessionId", ""))
        if login and line["messageId"] != login["messageId"]:
            is_later = line["timestamp"] > login["timestamp"]
            assert line["userId"] == (login["userId"] if is_later else None)
            assert line["anonymousId"] == login["anonymousId"]
            before, after = before + (not is_later), after + is_later
    assert before > 100
    assert after > 100


def test_known_events_agree_with_the_truth_about_anonymous_ids(store: Store) -> None:
    owners: dict[str, set[str]] = defaultdict(set)
    for row in store.truth("anonymous_users"):
        owners[row["anonymous_id"]].add(row["customer_id"])
    pairs = {(line["anonymousId"], line["userId"]) for _, line in store.lines if line["userId"] and line["anonymousId"]}
    assert all(user in owners[anonymous] for anonymous, user in pairs)
    assert any(len(users) > 1 for users in owners.values())  # somebody shares a device


def test_nobody_sees_an_item_before_its_launch_or_while_it_is_blocked(store: Store) -> None:
    launched = {record["product_id"]: record["launched_at"] for _, record in store.daily("items")}
    blocked = {record["product_id"]: record["updated_at"] for _, record in reversed(store.daily("items")) if record["blocked"]}
    seen = []
    for _, line in store.events:
        shown = line["properties"].get("products", [line["properties"]]) if line.get("event") != "Order Refunded" else []
        seen += [(item, line) for product in shown if (item := product.get("product_id") or product.get("article_id"))]
    session_starts: dict[str, str] = {}
    for _, line in store.events:
        session = line["context"].get("sessionId", "")
        session_starts[session] = min(line["timestamp"], session_starts.get(session, "9"))
    assert all(line["timestamp"] >= launched[item] for item, line in seen)
    assert sum(launched[item] > "2026-02-16" for item, _ in seen) > 20  # some were launched within the days
    until_blocked = [session_starts[line["context"]["sessionId"]] < blocked[item] for item, line in seen if item in blocked]
    assert len(until_blocked) > 20
    assert all(until_blocked)


def test_the_catalogue_is_full_on_the_first_day_and_has_changes_later(store: Store) -> None:
    records = store.daily("items")
    by_day = Counter(day for day, _ in records)
    assert by_day["2026-02-16"] > 0.8 * ITEMS
    assert 0 < sum(n for day, n in by_day.items() if day > "2026-02-16") < ITEMS
    assert len({record["product_id"] for _, record in records}) == ITEMS
    titles = {record["product_id"]: record["title"] for _, record in records}
    assert len(set(titles.values())) == ITEMS
    assert all(record["updated_at"][:10] == day for day, record in records)


def test_customers_answer_for_consent_within_minutes_of_registering(store: Store) -> None:
    registered: dict[str, datetime] = {}
    for _, record in store.daily("customers"):
        registered.setdefault(record["customer_id"], datetime.fromisoformat(record["registered_at"]))
    first: dict[tuple[str, str], datetime] = {}
    for _, answer in store.daily("consents"):
        first.setdefault((answer["customer_id"], answer["purpose"]), datetime.fromisoformat(answer["changed_at"]))
    assert {customer for customer, _ in first} <= registered.keys()
    assert all(timedelta(0) < moment - registered[customer] <= timedelta(minutes=10) for (customer, _), moment in first.items())
    assert len(first) > 2.9 * len(registered)  # but for those who registered in the last minutes


def test_some_people_buy_the_same_again(store: Store) -> None:
    bought: dict[tuple[str, str], set[str]] = defaultdict(set)
    for _, line in store.events:
        if line.get("event") == "Order Completed" and line["userId"]:
            for product in line["properties"]["products"]:
                bought[line["userId"], product["product_id"]].add(line["properties"]["order_id"])
    assert sum(len(orders) > 1 for orders in bought.values()) > 10


def test_category_affinity_beats_popularity_on_the_last_three_days(store: Store) -> None:
    """Ten items a visitor: the most viewed of the categories that the visitor viewed most, against the most viewed of all."""
    views = {(line["userId"] or line["anonymousId"], line["properties"]["product_id"], line["timestamp"][:10], line["properties"]["category"])
             for _, line in store.events if line.get("event") == "Product Viewed" and "bot" not in line["context"]["userAgent"]}  # fmt: skip
    train = [(user, item, category) for user, item, day, category in views if day < "2026-02-27"]
    test = {(user, item) for user, item, day, _ in views if day >= "2026-02-27"}
    likes: dict[str, Counter[str]] = defaultdict(Counter)
    for user, _, category in train:
        likes[user][category] += 1
    category_of = {item: category for _, item, category in train}
    popularity = Counter(item for _, item, _ in train)
    category_size = Counter(category for _, _, category in train)
    returning = {user for user, _ in test if likes[user].total() >= 5}
    popular = sorted(popularity, key=lambda item: (-popularity[item], item))
    hits = Counter[str]()
    for user in returning:
        own = sorted(popular, key=lambda item: (-likes[user][category_of[item]] * popularity[item] / category_size[category_of[item]], item))
        hits["popular"] += sum((user, item) in test for item in popular[:10])
        hits["own"] += sum((user, item) in test for item in own[:10])
    assert len(returning) > 80
    assert hits["own"] > 1.3 * hits["popular"] > 0


def test_a_simulation_replaces_an_earlier_one(tmp_path: Path) -> None:
    out = tmp_path / "store"
    _simulate(out, days=4)
    _simulate(out, days=2)
    assert len(list((out / "events").iterdir())) == 2
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_dir()] == ["store"]


def test_a_run_that_fails_leaves_the_earlier_files(tmp_path: Path) -> None:
    out = tmp_path / "store"
    _simulate(out)
    before = _tree_hash(out)

    def stop(what: str, *_: int) -> None:
        if what == "events":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _simulate(out, seed=9, progress=stop)
    assert _tree_hash(out) == before
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_dir()] == ["store"]


def test_progress_ends_at_the_number_of_lines(tmp_path: Path) -> None:
    calls: list[tuple[str, int, int]] = []
    result = _simulate(tmp_path / "store", progress=lambda *call: calls.append(call))
    assert calls[-1] == ("events", result.event_lines, result.event_lines)


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(SimulationError, match=r"thesis\.txt"):
        _simulate(tmp_path)
    _simulate(tmp_path / "store")
    (tmp_path / "store" / "more").mkdir()
    with pytest.raises(SimulationError, match="more"):
        _simulate(tmp_path / "store")
    with pytest.raises(SimulationError, match="is a file"):
        _simulate(tmp_path / "thesis.txt")
    assert (tmp_path / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize(("name", "value"), [("users", 0), ("items", 0), ("days", 0), ("seed", -1), ("end_date", date(1999, 1, 1))])
def test_a_number_out_of_range_is_named(tmp_path: Path, name: str, value: Any) -> None:
    with pytest.raises(SimulationError, match=f"--{name.replace('_', '-')}"):
        _simulate(tmp_path / "store", **{name: value})
    assert not (tmp_path / "store").exists()


def test_two_simulations_into_one_folder_at_once_are_refused(tmp_path: Path) -> None:
    with exclusive(tmp_path / ".store.lock"), pytest.raises(LockedError):
        _simulate(tmp_path / "store")


def test_an_unwritable_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        _simulate(tmp_path / "file" / "store")


@pytest.mark.parametrize(("users", "items"), [(1, 1), (2, 3)])
def test_the_smallest_stores_work(tmp_path: Path, users: int, items: int) -> None:
    result = _simulate(tmp_path / "store", users=users, items=items, days=1)
    assert result.event_lines > 0
    assert result.item_records <= items


def test_the_end_date_moves_the_days(tmp_path: Path) -> None:
    _simulate(tmp_path / "store", days=2, end_date=date(2025, 1, 1))
    assert sorted(folder.name for folder in (tmp_path / "store" / "events").iterdir()) == ["date=2024-12-31", "date=2025-01-01"]


def test_the_source_reads_what_the_simulator_writes(store: Store) -> None:
    source = read(PROJECT / "config" / "sources" / "store.yml")
    assert (source.consent_default, source.exclude_bought, source.horizon_days, source.user_namespace) == ("denied", True, 3, "store:")
    for name, spec in source.inputs.items():
        files = [str(path.relative_to(store.out)) for path in store.out.glob(spec.path)]
        assert len(files) == {"events": store.result.event_files}.get(name, DAYS)
        assert {spec.time_of(file).date() for file in files} == {date(2026, 2, 16) + timedelta(days=day) for day in range(DAYS)}  # type: ignore[union-attr]
    for name in ("items", "customers", "consents"):
        written = set().union(*(record for _, record in store.daily(name)))
        assert set(source.inputs[name].origins) <= written  # type: ignore[index]


def test_the_source_has_a_rule_for_every_message(store: Store) -> None:
    rules = read(PROJECT / "config" / "sources" / "store.yml").inputs["events"].event_type
    named = {value for rule in rules if rule.when for value in (rule.when.is_in or (rule.when.equals,))}
    assert {line.get("event", line["type"]) for _, line in store.lines} == named


def test_every_path_that_the_source_maps_is_in_some_message(store: Store) -> None:
    found: set[str] = set()

    def walk(prefix: str, value: Any) -> None:
        found.add(prefix)
        for key, inner in value.items() if isinstance(value, dict) else ():
            walk(f"{prefix}.{key}" if prefix else key, inner)

    for _, line in store.lines:
        walk("", line)
        for product in line["properties"].get("products", ()):
            walk("line", product)
    assert set(read(PROJECT / "config" / "sources" / "store.yml").inputs["events"].origins) <= found
