"""Lines of landed files, shown without what is a person's."""

from pathlib import Path

import duckdb
import pytest

from dawnlist import sources
from dawnlist.landing import LandedFile
from dawnlist.masking import masked_csv, masked_json, masked_lines, shown_origins

SHOWN = {"at", "context.campaign.name", "products.sku", "event"}
HEADER = ("Invoice", "When", "Customer")


@pytest.mark.parametrize(
    ("line", "masked"),
    [
        ('{"at":"yesterday","user":"anna","age":41,"ok":null}', '{"at":"yesterday","user":"***","age":"***","ok":null}'),
        ('{"context":{"campaign":{"name":"spring"},"name":"Anna Example"}}', '{"context":{"campaign":{"name":"spring"},"name":"***"}}'),
        (
            '{"products":[{"sku":"p1","note":"x"},{"sku":"p2"},"anna"],"event":"a@b.de"}',
            '{"products":[{"sku":"p1","note":"***"},{"sku":"p2"},"***"],"event":"[redacted]"}',
        ),
        ('{"at":"2026-01-05","user":"an', '{"at":"2026-01-05","user":"***"'),
        ('{"anna@example.com":1,"u17":{"at":"x"}}', '{"***":"***","***":{"at":"***"}}'),
        ("anna is not JSON", '"***" "***" "***" "***"'),
        ('{"user":"say \\"at\\": \\"me\\""}', '{"user":"***"}'),
    ],
    ids=["values", "paths", "lists", "cut", "keys", "no JSON", "quotes"],
)
def test_a_json_line_shows_its_shape_and_what_the_mapping_reads(line: str, masked: str) -> None:
    assert masked_json(line, SHOWN) == masked


def test_a_csv_line_shows_names_and_what_the_mapping_reads() -> None:
    how = {"delimiter": ";", "quote": '"'}
    assert masked_csv('C1;"mail; to a@b.de";anna', HEADER, {"Invoice", "When"}, **how) == "Invoice=C1, When=mail; to [redacted], Customer=***"
    assert masked_csv("C1;2026", HEADER, {"Invoice", "When"}, **how) == "2 values where the header has 3"


def test_people_and_what_is_marked_are_never_shown(tmp_path: Path) -> None:
    path = tmp_path / "shop.yml"
    path.write_text("""
description: a shop
user_namespace: "shop:"
inputs:
  events:
    path: "*.parquet"
    format: parquet
    columns: {occurred_at: at, user_id: user, session_id: {column: session, pii: hash}, order_id: user, item_id: item}
    properties: {mail: {column: email, pii: drop}, tag: tag}
    event_type: [{type: view, when: {column: kind, equals: view}}]
""")
    spec = sources.read(path).inputs["events"]
    assert shown_origins(spec) == {"at", "item", "tag", "kind"}
    landed = tmp_path / "a.parquet"
    duckdb.sql(f"COPY (SELECT 'never' AS at, 'anna' AS \"user\", 'a@b.de' AS email, i AS item FROM range(3) AS r (i)) TO '{landed}' (FORMAT parquet)")
    file = LandedFile("events", "a.parquet", landed)
    assert masked_lines(spec, file, {2, 9}) == {2: '{"at":"never","user":"***","email":"***","item":1}'}
