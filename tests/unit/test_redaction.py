"""What direct identifiers look like, and that free text, JSON and landed rows lose them at the door."""

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, strategies

from dawnlist import ingest, landing, redaction, sources
from dawnlist.errors import SourceError
from dawnlist.privacy import Key
from dawnlist.settings import load
from tests.staged import staged_rows

KEY = Key(b"a key of at least sixteen bytes")
AGENT = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Mobile/15E148"


def in_sql(text: str | None) -> str | None:
    row = duckdb.execute(f"SELECT {redaction.text_sql('v')} FROM (SELECT ?::VARCHAR AS v)", [text]).fetchall()[0]
    return row[0]


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("shoes for anna.o'neil+x@mail.example.co.uk please", "shoes for [redacted] please"),
        ("u/anna%40example.com", "u/[redacted]"),
        ("call +49 (170) 123-45 67 now", "call [redacted] now"),
        ("0049 170 1234567", "[redacted]"),
        ("555-123-4567", "[redacted]"),
        ("from 198.51.100.7", "from [redacted]"),
        ("2001:db8::8a2e:370:7334", "[redacted]"),
        ("2001:0db8:85a3:0000:0000:8a2e:0370:7334", "[redacted]"),
        ("at 52.520008, -13.404954", "at [redacted], [redacted]"),
        (AGENT, "[redacted]"),
        ("https://anna:secret@shop.example/a?mail=x#y and more", "https://shop.example/a and more"),
        ("https://anna@mail.example:secret@shop.example/a", "https://shop.example/a"),
    ],
)
def test_direct_identifiers_go(text: str, clean: str) -> None:
    assert in_sql(text) == clean
    assert redaction.redacted(text) == clean


@pytest.mark.parametrize(
    "text",
    ["red shoes size 42", "20261121", "2026-11-21", "2026-11-21T05:00:00Z", "10:30:45", "12.99", "1,234.50", "O00001234", "iPhone 15", "google", "", None],
)
def test_what_is_no_identifier_stays(text: str | None) -> None:
    assert in_sql(text) == text


@given(strategies.text(alphabet="ab1290@.:/%+- ()?#", max_size=40))
def test_the_database_and_python_agree_and_once_is_enough(text: str) -> None:
    clean = in_sql(text)
    assert clean == redaction.redacted(text)
    assert not redaction.re.search(redaction.EMAIL, clean or "")


def property_of(value: Any, origin: str = "campaign", **how: Any) -> Any:
    sql = redaction.property_sql("p", origin, "v", **{"pii": None, "decimals": None, "namespace": "shop:"} | how)
    with duckdb.connect() as connection:
        KEY.define_macro(connection)
        text = connection.execute(f"SELECT ({sql})::VARCHAR FROM (SELECT ?::JSON AS v)", [json.dumps(value)]).fetchall()[0][0]
    return None if text is None else json.loads(text)


@pytest.mark.parametrize("value", ["spring", 5, 1234567890123, 0.123456, True, None])
def test_a_property_without_anything_personal_stays(value: Any) -> None:
    assert property_of(value) == value


def test_a_nested_property_stays_json_and_loses_what_is_a_persons() -> None:
    landed = {
        "email": "anna",
        "n": {"ip": "10.0.0.1", "geo": {"lat": 52.520008, "longitude": "13.404954"}, "score": 0.123456, "ts": 1700000000000, "Phone": 491701234567},
        "note": 'say "hi" to a@b.de',
        "agent": f'"{AGENT}" is what it says',
        "list": ["5551234567", "+49 170 1234567", "52.520008,13.404954", "https://a.example/x?mail=a"],
    }
    assert property_of(landed) == {
        "email": None,
        "n": {"ip": None, "geo": {"lat": 52.5, "longitude": "13.4"}, "score": 0.123456, "ts": 1700000000000, "Phone": None},
        "note": 'say "hi" to [redacted]',
        "agent": '"[redacted]',
        "list": ["[redacted]", "[redacted]", "52.5,13.4", "https://a.example/x"],
    }


def test_what_the_source_says_of_a_property_holds() -> None:
    assert property_of("anna@example.com", pii="keep") == "anna@example.com"
    assert property_of("anna@example.com", pii="drop") is None
    assert property_of("anna@example.com", pii="hash") == KEY.pseudonym("shop:properties.p:", "anna@example.com")
    assert property_of("52.520008", origin="context.location.latitude") == 52.5
    assert property_of(52.560008, decimals=1) == 52.6
    assert property_of("here", decimals=1) is None


SHOP = """
description: a shop
user_namespace: "shop:"
inputs:
  events:
    path: "*.jsonl"
    format: jsonl
    columns:
      occurred_at: at
      user_id: user
      session_id: {column: session, pii: hash}
      order_id: {column: order, pii: drop}
      search_term: query
      referrer: from
      device: device
      region: {column: lat, round: 1}
      user_agent: agent
    properties:
      note: note
      mail: {column: traits.email, pii: hash}
      ip: {column: ip, pii: drop}
      latitude: geo.latitude
    other_columns: properties
    event_type: [{type: search}]
"""
ROW = {
    "at": "2026-01-05T10:00:00Z",
    "user": "anna",
    "session": "anna-1",
    "order": "anna-2",
    "query": "mail anna@example.com",
    "from": "www.search.example/find?q=anna#top",
    "device": AGENT,
    "lat": "52.520008",
    "agent": AGENT,
    "note": "call +49 170 1234567",
    "traits": {"email": "anna@example.com", "name": "kept out with its parent"},
    "ip": "198.51.100.7",
    "geo": {"latitude": 52.520008},
    "more": {"phone": "12", "tag": "red"},
}


def test_nothing_of_a_row_gets_past_the_door_raw(tmp_path: Path) -> None:
    (tmp_path / "shop.yml").write_text(SHOP)
    (tmp_path / "landing").mkdir()
    (tmp_path / "landing" / "a.jsonl").write_text(json.dumps(ROW))
    settings = load(home=tmp_path / "home", landing=str(tmp_path / "landing"), sources_dir=tmp_path)
    source = sources.load(settings, "shop")
    files = landing.identified(settings, source, landing.list_files(settings, source))
    batch = ingest.stage_batch(settings, source, files, key=KEY, interval="test")
    columns = "session_id, order_id, search_term, referrer, device, os, region, properties"
    *values, properties = duckdb.sql(f"SELECT {columns} FROM {staged_rows(batch)}").fetchall()[0]
    session = KEY.pseudonym("shop:session_id:", "anna-1")
    assert values == [session, None, "mail [redacted]", "www.search.example/find", "[redacted]", "iOS", "52.5"]
    mail = KEY.pseudonym("shop:properties.mail:", "anna@example.com")
    kept = {name: value for name, value in json.loads(properties).items() if value is not None}
    assert kept == {"note": "call [redacted]", "mail": mail, "latitude": 52.5, "more": {"tag": "red"}} | {"more": kept["more"]}
    assert {name: value for name, value in kept["more"].items() if value is not None} == {"tag": "red"}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("session_id: {column: session, pii: hash}", "session_id: customer.email", "'customer.email' is a person's by its name; say pii: hash, drop, or keep"),
        ("note: note", "note: first_name", "properties.note: 'first_name' is a person's by its name"),
        ("search_term: query", "quantity: {column: n, pii: hash}", "quantity: only text can be hashed"),
        ("user_id: user", "user_id: {column: user, pii: keep}", "user_id: is hashed or dropped anyway"),
        ("pii: drop", "pii: maybe", "pii"),
    ],
)
def test_a_mapping_that_keeps_what_is_a_persons_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "shop.yml"
    path.write_text(SHOP.replace(old, new, 1))
    with pytest.raises(SourceError, match=message):
        sources.read(path)


@pytest.mark.parametrize(
    "name",
    ["email", "contact.e-mail", "traits.phone_number", "Customer Name", "ip", "context.ip", "User-Agent", "billing.street", "dateOfBirth", "customerEmail"],
)
def test_a_name_of_a_person_is_known(name: str) -> None:
    assert redaction.is_personal(name)


@pytest.mark.parametrize("name", ["campaign.name", "product_id", "shipping", "tip", "email_opened", "country", "birth_year", "ship_to", "telescope"])
def test_a_name_of_something_else_is_not(name: str) -> None:
    assert not redaction.is_personal(name)
