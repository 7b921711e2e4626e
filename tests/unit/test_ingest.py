"""Landed files to staged batches: what is read, refused, ignored, hashed."""

import gzip
import hashlib
import hmac
import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from dawnlist import ingest, landing, sources
from dawnlist.errors import ColumnsError, LandingError, UnreadableFileError
from dawnlist.privacy import Key
from dawnlist.settings import Settings, load
from tests.staged import staged_rows

HOUR = timedelta(hours=1)
KEY = Key(b"a key of at least sixteen bytes")
SHOP = """
description: a shop
user_namespace: "shop:"
currency: EUR
inputs:
  events:
    path: "*.jsonl.gz"
    format: jsonl
    file_time: "%Y-%m-%dT%H"
    period: hour
    explode: properties.products
    columns:
      event_id: messageId
      occurred_at: timestamp
      user_id: userId
      anonymous_id: anonymousId
      item_id: [line.product_id, properties.product_id]
      order_id: properties.order_id
      quantity: line.quantity
      unit_price: line.price
      user_agent: context.userAgent
    properties:
      campaign: context.campaign.name
    event_type:
      - {type: view, when: {column: event, equals: Product Viewed}}
      - {type: purchase, when: {column: event, equals: Order Completed}}
      - {type: ignore, when: {column: type, is_in: [identify, page]}}
  consents:
    path: "consents.jsonl"
    format: jsonl
    columns: {user_id: customer, purpose: purpose, is_granted: granted, changed_at: changed_at}
"""
TILL = """
description: a till
user_namespace: "till:"
inputs:
  events:
    path: "*.csv"
    format: csv
    columns:
      occurred_at: {column: When, format: "%Y-%m-%d %H:%M:%S", timezone: Europe/London}
      user_id: {column: Customer, as_integer: true}
      item_id: {column: Code, fold_case: true}
      order_id: Invoice
      quantity: Quantity
    event_type:
      - {type: refund, when: {column: Invoice, starts_with: C}}
      - {type: purchase}
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "shop.yml").write_text(SHOP)
    (tmp_path / "sources" / "till.yml").write_text(TILL)
    (tmp_path / "landing").mkdir()
    return load(home=tmp_path / "home", landing=tmp_path / "landing", sources_dir=tmp_path / "sources")


def land_json(settings: Settings, name: str, *lines: object) -> Path:
    path = settings.landing_dir("shop") / name
    path.write_bytes(gzip.compress("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines).encode()))
    return path


def land_csv(settings: Settings, name: str, text: str) -> Path:
    path = settings.landing_dir("till") / name
    path.write_text(text)
    return path


def stage(settings: Settings, name: str) -> ingest.Batch:
    source = sources.load(settings, name)
    return ingest.stage_batch(settings, source, landing.identified(settings, source, landing.list_files(settings, source)), key=KEY, interval="test")


def rows(batch: ingest.Batch, columns: str) -> list[tuple]:
    return duckdb.sql(f"SELECT {columns} FROM {staged_rows(batch)} ORDER BY ALL").fetchall()


def refused(batch: ingest.Batch) -> list[tuple]:
    return duckdb.sql(f"SELECT file_name, line, field, reason FROM read_parquet('{batch.folder}/quarantine-events.parquet') ORDER BY ALL").fetchall()


def event(number: int, **changes: object) -> dict:
    document = {
        "messageId": f"m{number}",
        "type": "track",
        "event": "Product Viewed",
        "userId": "anna",
        "timestamp": "2026-01-05T10:00:00Z",
        "properties": {"product_id": "p1"},
    }
    return document | changes


def counts(batch: ingest.Batch) -> dict[str, int]:
    return {name: batch.total(name) for name in ("n_read", "n_staged", "n_quarantined", "n_duplicates", "n_ignored")}


def test_ids_are_keyed_hashes_that_anybody_with_the_key_can_compute(settings: Settings) -> None:
    land_json(settings, "2026-01-05T10.jsonl.gz", event(1, anonymousId="device-9"))
    expected = hmac.new(KEY.secret, b"shop:anna", hashlib.sha256).hexdigest()[:32]
    anonymous = hmac.new(KEY.secret, b"shop:anonymous:device-9", hashlib.sha256).hexdigest()[:32]
    batch = stage(settings, "shop")
    assert rows(batch, "user_id, anonymous_id, key_id") == [(expected, anonymous, KEY.key_id)]
    assert KEY.pseudonym("shop:", "anna") == expected
    assert b"anna" not in b"".join(path.read_bytes() for path in batch.folder.iterdir())


def test_one_order_of_two_lines_is_two_records(settings: Settings) -> None:
    products = [{"product_id": "a", "quantity": 2, "price": 1.5}, {"product_id": "b", "quantity": 1, "price": "9.99"}]
    land_json(settings, "2026-01-05T10.jsonl.gz", event(1, event="Order Completed", properties={"order_id": "o1", "products": products}))
    batch = stage(settings, "shop")
    assert [
        (item, order, float(quantity), float(price), currency)
        for item, order, quantity, price, currency in rows(batch, "item_id, order_id, quantity, unit_price, currency")
    ] == [
        ("a", "o1", 2.0, 1.5, "EUR"),
        ("b", "o1", 1.0, 9.99, "EUR"),
    ]
    assert len(set(rows(batch, "event_id"))) == 2
    assert counts(batch) == {"n_read": 2, "n_staged": 2, "n_quarantined": 0, "n_duplicates": 0, "n_ignored": 0}


def test_what_cannot_be_read_goes_to_quarantine_with_file_line_and_reason(settings: Settings) -> None:
    land_json(
        settings,
        "2026-01-05T10.jsonl.gz",
        event(1),
        '{"messageId": "m2", "type": "tra',
        "",
        event(3, timestamp="yesterday"),
        event(4, event="Dance"),
        event(5, event="Order Completed", properties={"products": [{"product_id": "a", "quantity": "many"}]}),
        event(6, messageId=None),
        "[1, 2]",
    )
    batch = stage(settings, "shop")
    name = "2026-01-05T10.jsonl.gz"
    assert refused(batch) == [
        (name, 2, "row", "not a JSON object"),
        (name, 4, "occurred_at", "not a time"),
        (name, 5, "event_type", "no rule of the source maps it"),
        (name, 6, "quantity", "not a decimal"),
        (name, 7, "event_id", "missing"),
        (name, 8, "row", "not a JSON object"),
    ]
    assert counts(batch) == {"n_read": 7, "n_staged": 1, "n_quarantined": 6, "n_duplicates": 0, "n_ignored": 0}


def test_kinds_that_are_no_events_are_ignored_and_doubles_counted(settings: Settings) -> None:
    land_json(settings, "2026-01-05T10.jsonl.gz", event(1), event(1), event(2, type="identify", event=None), event(3))
    assert counts(stage(settings, "shop")) == {"n_read": 4, "n_staged": 2, "n_quarantined": 0, "n_duplicates": 1, "n_ignored": 1}


def test_other_inputs_are_staged_beside_the_events(settings: Settings) -> None:
    land_json(settings, "2026-01-05T10.jsonl.gz", event(1))
    consents = [{"customer": "anna", "purpose": purpose, "granted": True, "changed_at": "2026-01-05T10:00:00Z"} for purpose in ("personalisation", "marketing")]
    (settings.landing_dir("shop") / "consents.jsonl").write_text("\n".join(json.dumps(line) for line in [*consents, consents[0]]))
    batch = stage(settings, "shop")
    assert counts(batch) == {"n_read": 4, "n_staged": 3, "n_quarantined": 0, "n_duplicates": 1, "n_ignored": 0}
    found = duckdb.sql(f"SELECT user_id, purpose, is_granted FROM {staged_rows(batch, 'consents')} ORDER BY ALL").fetchall()
    person = KEY.pseudonym("shop:", "anna")
    assert found == [(person, "marketing", True), (person, "personalisation", True)]


def test_a_row_that_lands_too_late_is_quarantined(settings: Settings) -> None:
    land_json(settings, "2026-03-05T10.jsonl.gz", event(1, timestamp="2026-02-03T09:59:59Z"), event(2, timestamp="2026-02-03T10:00:00Z"))
    batch = stage(settings, "shop")  # 30 days before the file's hour is 2026-02-03 10:00
    assert refused(batch) == [("2026-03-05T10.jsonl.gz", 1, "occurred_at", "landed too late")]
    assert rows(batch, "occurred_at") == [(datetime(2026, 2, 3, 10),)]


def test_offsets_are_converted_to_utc_and_bots_flagged(settings: Settings) -> None:
    agent = {"userAgent": "Mozilla/5.0 (compatible; Googlebot/2.1)"}
    land_json(
        settings,
        "2026-01-05T10.jsonl.gz",
        event(1, timestamp="2026-01-05T12:30:00+02:00", context=agent),
        event(2, context={"userAgent": "Mozilla/5.0 (iPhone) Mobile"}),
    )
    batch = stage(settings, "shop")
    assert rows(batch, "occurred_at, is_bot, device") == [(datetime(2026, 1, 5, 10, 0), False, "mobile"), (datetime(2026, 1, 5, 10, 30), True, "desktop")]
    assert b"Googlebot" not in b"".join(path.read_bytes() for path in batch.folder.iterdir())


def test_local_times_follow_daylight_saving_and_codes_are_cleaned(settings: Settings) -> None:
    land_csv(settings, "a.csv", "Invoice,When,Code,Quantity,Customer\n1,2011-01-10 09:00:00, 85123a ,6,17850.0\nC2,2011-07-10 09:00:00,22,-1,\n")
    batch = stage(settings, "till")
    expected = KEY.pseudonym("till:", "17850")
    assert rows(batch, "occurred_at, event_type, item_id, user_id") == [
        (datetime(2011, 1, 10, 9), "purchase", "85123A", expected),
        (datetime(2011, 7, 10, 8), "refund", "22", None),  # British summer time is an hour ahead of UTC
    ]


def test_equal_lines_of_one_file_stay_and_the_same_file_lands_once(settings: Settings) -> None:
    line = "1,2011-01-10 09:00:00,22,6,5\n"
    land_csv(settings, "a.csv", "Invoice,When,Code,Quantity,Customer\n" + line + line)
    first = rows(stage(settings, "till"), "event_id")
    assert len(set(first)) == 2
    land_csv(settings, "b.csv", "Invoice,When,Code,Quantity,Customer\n" + line + line + line)  # another file that repeats them, and adds one
    batch = stage(settings, "till")
    assert counts(batch)["n_duplicates"] == 2
    assert set(first) < set(rows(batch, "event_id"))


def test_csv_lines_of_the_wrong_width_are_refused_by_their_line(settings: Settings) -> None:
    text = "Invoice,When,Code,Quantity,Customer\n1,2011-01-10 09:00:00,22,6,5\n2,2011-01-10\n3,never,22,6,5\n4,2011-01-10 09:00:00,22,6,5,6,7\n5,2011-01-10 09:00:00,22,x,5\n"
    land_csv(settings, "a.csv", text)
    batch = stage(settings, "till")
    assert refused(batch) == [
        ("a.csv", 3, "row", "missing columns"),
        ("a.csv", 4, "occurred_at", "not a time"),
        ("a.csv", 5, "row", "too many columns"),
        ("a.csv", 6, "quantity", "not a decimal"),
    ]
    assert counts(batch) == {"n_read": 5, "n_staged": 1, "n_quarantined": 4, "n_duplicates": 0, "n_ignored": 0}


def test_a_renamed_column_is_named_with_what_is_there(settings: Settings) -> None:
    land_csv(settings, "a.csv", "Invoice,When,StockCode,Quantity,Customer\n1,2011-01-10 09:00:00,22,6,5\n")
    with pytest.raises(ColumnsError, match=r"a\.csv has no column 'Code'; it has Invoice, When, StockCode"):
        stage(settings, "till")
    assert not list(settings.staged_dir.iterdir())


@pytest.mark.parametrize("content", [gzip.compress(json.dumps(event(1)).encode() * 500)[:-30], b"not gzip at all"], ids=["truncated", "no gzip"])
def test_a_broken_gzip_is_named_and_leaves_nothing(settings: Settings, content: bytes) -> None:
    land_json(settings, "2026-01-05T09.jsonl.gz", event(1))
    (settings.landing_dir("shop") / "2026-01-05T10.jsonl.gz").write_bytes(content)
    with pytest.raises(UnreadableFileError, match=r"2026-01-05T10\.jsonl\.gz cannot be read"):
        stage(settings, "shop")
    assert not list(settings.staged_dir.iterdir())


def test_a_file_in_another_encoding_is_named_with_what_to_do(settings: Settings) -> None:
    land_csv(settings, "a.csv", "").write_bytes("Invoice,When,Code,Quantity,Customer,Größe\n".encode("latin-1"))
    with pytest.raises(UnreadableFileError, match=r"a\.csv is not in utf-8: give the encoding that it has as `encoding`"):
        stage(settings, "till")


def test_no_folder_and_no_file_are_two_errors_with_advice(settings: Settings) -> None:
    shop = sources.load(settings, "shop")
    with pytest.raises(LandingError, match="No file of source shop has landed"):
        landing.list_files(settings, shop)
    with pytest.raises(LandingError, match="does not exist"):
        landing.list_files(settings.with_(landing=settings.home / "nowhere"), shop)


def test_an_hour_is_in_by_file_or_marker_and_empty_after_its_grace(settings: Settings) -> None:
    shop, hour = sources.load(settings, "shop"), datetime(2026, 1, 5, 10)
    assert landing.hour_state(settings, shop, hour, now=datetime(2026, 1, 5, 11, 59)) == "waiting"
    assert landing.hour_state(settings, shop, hour, now=datetime(2026, 1, 5, 12, 0)) == "empty"
    land_json(settings, "2026-01-05T10.jsonl.gz", event(1))
    assert landing.hour_state(settings, shop, hour, now=datetime(2026, 1, 5, 11, 0)) == "in"


def test_a_days_file_is_taken_when_the_day_is_over(settings: Settings) -> None:
    spec = SHOP.replace('file_time: "%Y-%m-%dT%H"', 'file_time: "%Y-%m-%d"').replace("period: hour", "period: day")
    (settings.sources_dir / "shop.yml").write_text(spec)
    land_json(settings, "2026-01-05.jsonl.gz", event(1))
    files = landing.list_files(settings, sources.load(settings, "shop"))
    taken = [hour for hour in range(24) if landing.within(files, datetime(2026, 1, 5, hour), datetime(2026, 1, 5, hour) + HOUR, max_lateness_days=30)]
    assert taken == [23]


def test_an_hour_takes_its_own_file_and_late_ones_but_none_of_the_future(settings: Settings) -> None:
    for name in ("2026-01-05T09", "2026-01-05T10", "2026-01-05T11", "2025-11-05T10"):
        land_json(settings, f"{name}.jsonl.gz", event(1))
    files = landing.list_files(settings, sources.load(settings, "shop"))
    chosen = landing.within(files, datetime(2026, 1, 5, 10), datetime(2026, 1, 5, 11), max_lateness_days=30)
    assert [file.name[:13] for file in chosen] == ["2026-01-05T09", "2026-01-05T10"]


def test_a_batch_that_is_read_in_several_chunks_is_the_same_batch(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for hour, first in (("09", 1), ("10", 3), ("11", 5)):  # m3 and m5 are in two files, and in the second once with another item
        again = event(first, properties={"product_id": "a"})
        land_json(settings, f"2026-01-05T{hour}.jsonl.gz", event(first), event(first + 1), event(first + 2), again, "no JSON")
    batch = stage(settings, "shop")
    whole = [(counts(batch), refused(batch), rows(batch, "* EXCLUDE (file_id)"), len(batch.parquet("events")))]
    shutil.rmtree(batch.folder)
    monkeypatch.setattr(ingest, "CHUNK_BYTES", 1)
    batch = stage(settings, "shop")
    assert [(counts(batch), refused(batch), rows(batch, "* EXCLUDE (file_id)"), len(batch.parquet("events")) - 3)] == whole
    assert counts(batch) == {"n_read": 15, "n_staged": 7, "n_quarantined": 3, "n_duplicates": 5, "n_ignored": 0}


def test_the_lines_of_bad_records_are_found_in_quotes_and_twice(settings: Settings) -> None:
    head, good = "Invoice,When,Code,Quantity,Customer\n", "1,2011-01-10 09:00:00,22,6,5\n"
    land_csv(settings, "plain.csv", head + "2,never,22,6,5\n" + good + "2,never,22,6,5\n")
    land_csv(settings, "quoted.csv", head + good + '2,never,"22,5",6,5\n' + '2,"never",22,6,5\n')
    batch = stage(settings, "till")
    assert refused(batch) == [
        (name, line, "occurred_at", "not a time") for name, line in (("plain.csv", 2), ("plain.csv", 4), ("quoted.csv", 3), ("quoted.csv", 4))
    ]


def test_only_a_json_object_is_a_record(settings: Settings) -> None:
    good = json.dumps(event(1))
    land_json(settings, "2026-01-05T10.jsonl.gz", "  " + good, '"{}"', "{}{}", good + ",", "{", "null", "1")
    batch = stage(settings, "shop")
    assert [row[1] for row in refused(batch)] == [2, 3, 4, 5, 6, 7]
    assert {row[3] for row in refused(batch)} == {"not a JSON object"}
