"""What a source's YAML makes of landed values: each table worked out by hand, read by the real ingest."""

import csv
import gzip
import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from dawnlist import ingest, landing, sources
from dawnlist.errors import ColumnsError, UnreadableFileError
from dawnlist.privacy import Key
from dawnlist.settings import load
from tests.staged import staged_rows

KEY = Key(b"a key of at least sixteen bytes")
NOON = "2026-01-05T12:00:00Z"


class Shop:
    """A source of one input, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.settings = load(home=folder / "home", landing=folder / "landing", sources_dir=folder)
        self.landing = folder / "landing"
        self.landing.mkdir(parents=True)

    def describe(self, *, format: str = "csv", currency: str | None = None, path: str = "*", kind: str = "events", **spec: Any) -> None:  # noqa: A002
        inputs = {kind: {"path": path, "format": format, "event_type": [{"type": "search"}], **spec}}
        document = {"description": "a shop", "user_namespace": "shop:", "currency": currency, "inputs": inputs}
        (self.settings.sources_dir / "shop.yml").write_text(yaml.safe_dump({name: value for name, value in document.items() if value is not None}))

    def stage(self) -> ingest.Batch:
        source = sources.load(self.settings, "shop")
        return ingest.stage_batch(
            self.settings, source, landing.identified(self.settings, source, landing.list_files(self.settings, source)), key=KEY, interval="test"
        )

    def rows(self, columns: str, *, order: str = "ALL") -> list[tuple]:
        return duckdb.sql(f"SELECT {columns} FROM {staged_rows(self.stage())} ORDER BY {order}").fetchall()

    def refused(self) -> list[tuple]:
        return duckdb.sql(f"SELECT line, field, reason FROM read_parquet('{self.stage().folder}/quarantine-events.parquet') ORDER BY ALL").fetchall()


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "shop")


def land_table(shop: Shop, table: list[tuple[str, ...]], name: str = "a.csv", **dialect: Any) -> None:
    with (shop.landing / name).open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, **dialect).writerows(table)


@pytest.mark.parametrize(
    ("decimal", "thousands", "values"),
    [
        (",", "", {"12,50": "12.5", "-0,5": "-0.5", ",75": "0.75", "3": "3", "12.50": None, "1.234,00": None, "1,2,3": None}),
        (",", ".", {"1.234,56": "1234.56", "1.234.567": "1234567", "-1.234,5": "-1234.5", "12.50": None, "1.23,4": None, "1234,5": "1234.5"}),
        (".", ",", {"1,234.56": "1234.56", "999": "999", "12,50": None}),
        (",", " ", {"1 234,5": "1234.5", "1\u202f234,5": "1234.5", "1\u00a0234": "1234", "1 23": None}),
        (".", "'", {"1'234.5": "1234.5", "1\u2019234.5": "1234.5"}),
        (".", "", {"12.50": "12.5", "1e2": "100", "12,50": None}),
    ],
)
def test_a_number_is_read_as_the_source_writes_it_or_not_at_all(shop: Shop, decimal: str, thousands: str, values: dict[str, str | None]) -> None:
    shop.describe(decimal=decimal, thousands=thousands, delimiter=";", columns={"occurred_at": "t", "unit_price": "price", "item_id": "item"})
    land_table(shop, [("t", "item", "price"), *((NOON, f"{number:02}", value) for number, value in enumerate(values))], delimiter=";")
    assert shop.rows("item_id, unit_price") == [(f"{number:02}", Decimal(value)) for number, value in enumerate(values.values()) if value is not None]
    assert shop.refused() == [(number + 2, "unit_price", "not a decimal") for number, value in enumerate(values.values()) if value is None]


def test_conditions_and_epochs_read_numbers_in_the_same_way(shop: Shop) -> None:
    rules = [{"type": "refund", "when": {"column": "n", "less_than": -0.5}}, {"type": "purchase"}]
    shop.describe(decimal=",", delimiter=";", event_type=rules, columns={"occurred_at": {"column": "t", "unit": "s"}, "quantity": "n", "item_id": "item"})
    land_table(shop, [("t", "n", "item"), ("1767614400,5", "-0,6", "a"), ("1767614401", "-0,4", "a")], delimiter=";")
    assert shop.rows("occurred_at, event_type, quantity") == [
        (datetime(2026, 1, 5, 12, 0, 0, 500_000), "refund", Decimal("-0.6")),
        (datetime(2026, 1, 5, 12, 0, 1), "purchase", Decimal("-0.4")),
    ]


def test_a_price_with_its_currency_in_one_column(shop: Shop) -> None:
    """What is taken out of a price is the sign of the currency: the sign of the number stays."""
    shop.describe(
        decimal=",",
        delimiter=";",
        currency="EUR",
        columns={
            "occurred_at": "t",
            "item_id": "item",
            "unit_price": {"column": "price", "remove": "[€£]|EUR"},
            "currency": {"column": "price", "extract": "[€£]|[A-Z]{3}", "values": {"€": "EUR", "£": "GBP"}},
        },
    )
    prices = ("12,50\u00a0€", "£ 3", "-€5,00", "EUR 1", "7", "free", "")
    land_table(shop, [("t", "item", "price"), *((NOON, str(number), price) for number, price in enumerate(prices))], delimiter=";")
    assert shop.rows("item_id, unit_price, currency") == [
        ("0", Decimal("12.5"), "EUR"),
        ("1", Decimal(3), "GBP"),
        ("2", Decimal(-5), "EUR"),
        ("3", Decimal(1), "EUR"),
        ("4", Decimal(7), "EUR"),  # the source's currency
        ("6", None, None),  # no price, no currency
    ]
    assert shop.refused() == [(7, "unit_price", "not a decimal")]


def test_a_currency_per_row_goes_before_the_sources(shop: Shop) -> None:
    shop.describe(currency="EUR", columns={"occurred_at": "t", "unit_price": "price", "currency": {"column": "cur", "fold_case": True}})
    land_table(shop, [("t", "price", "cur"), (NOON, "1", "usd"), (NOON, "2", ""), (NOON, "", "")])
    assert shop.rows("unit_price, currency") == [(Decimal(1), "USD"), (Decimal(2), "EUR"), (None, None)]


def test_units_are_converted_exactly(shop: Shop) -> None:
    columns = {"occurred_at": "t", "unit_price": {"column": "cents", "multiply": 0.01}, "dwell_seconds": {"column": "ms", "multiply": 0.001}}
    shop.describe(columns=columns)
    land_table(shop, [("t", "cents", "ms"), (NOON, "1999", "1500"), (NOON, "1", "x"), (NOON, "29", "")])
    assert shop.rows("unit_price, dwell_seconds") == [(Decimal("0.29"), None), (Decimal("19.99"), 1.5)]
    assert shop.refused() == [(3, "dwell_seconds", "not a double")]


@pytest.mark.parametrize(("unit", "number"), [("s", "1767614400"), ("ms", "1767614400000"), ("us", "1767614400000000")])
def test_epochs_have_a_unit(shop: Shop, unit: str, number: str) -> None:
    shop.describe(columns={"occurred_at": {"column": "t", "unit": unit}})
    land_table(shop, [("t", "x"), (number, "1")])
    assert shop.rows("occurred_at") == [(datetime(2026, 1, 5, 12),)]


LOCAL_TIMES = {  # Berlin: UTC+1 in winter, UTC+2 from 2026-03-29 01:00 UTC to 2026-10-25 01:00 UTC
    "2026-03-29 01:59:59": datetime(2026, 3, 29, 0, 59, 59),
    "2026-03-29 02:30:00": datetime(2026, 3, 29, 1, 30),  # is on no clock: read as if the clock had not been changed yet, 03:30 by the new one
    "2026-03-29 03:00:00": datetime(2026, 3, 29, 1),
    "2026-10-25 01:59:59": datetime(2026, 10, 24, 23, 59, 59),
    "2026-10-25 02:30:00": datetime(2026, 10, 25, 1, 30),  # is on the clock twice: read as the second one, in winter time
    "2026-10-25 03:00:00": datetime(2026, 10, 25, 2),
    "2026-10-25 02:30:00+02:00": datetime(2026, 10, 25, 0, 30),  # an offset says which one
    "2026-10-25T02:30:00+01": datetime(2026, 10, 25, 1, 30),
    "2026-10-25T00:30:00Z": datetime(2026, 10, 25, 0, 30),
    "2026-07-01": datetime(2026, 6, 30, 22),
}


def test_local_times_follow_daylight_saving_through_gap_and_fold(shop: Shop) -> None:
    shop.describe(columns={"occurred_at": {"column": "t", "timezone": "Europe/Berlin"}, "item_id": "item"})
    land_table(shop, [("t", "item"), *((text, f"{number:02}") for number, text in enumerate(LOCAL_TIMES))])
    assert [row[0] for row in shop.rows("occurred_at, item_id", order="item_id")] == list(LOCAL_TIMES.values())


def test_formats_are_tried_in_turn_and_an_offset_in_them_counts(shop: Shop) -> None:
    shop.describe(columns={"occurred_at": {"column": "t", "format": ["%d.%m.%Y %H:%M", "%Y-%m-%d"], "timezone": "Europe/Berlin"}})
    land_table(shop, [("t", "x"), ("05.07.2026 12:00", "1"), ("2026-01-05", "2"), ("07/05/2026", "3")])
    assert shop.rows("occurred_at") == [(datetime(2026, 1, 4, 23),), (datetime(2026, 7, 5, 10),)]
    assert shop.refused() == [(4, "occurred_at", "not a time")]
    shop.describe(columns={"occurred_at": {"column": "t", "format": ["%Y-%m-%d %H:%M:%S %z", "%Y-%m-%d %H:%M:%S"], "timezone": "Europe/Berlin"}})
    land_table(shop, [("t", "x"), ("2026-07-05 12:00:00 -0300", "1"), ("2026-07-05 12:00:00", "2")])
    assert shop.rows("occurred_at") == [(datetime(2026, 7, 5, 10),), (datetime(2026, 7, 5, 15),)]


def test_whole_numbers_lose_their_decimals_and_other_ids_stay(shop: Shop) -> None:
    shop.describe(delimiter=";", decimal=",", columns={"occurred_at": "t", "item_id": {"column": "id", "as_integer": True}})
    ids = {"17850.0": "17850", "17850,00": "17850", "7": "7", "-3.0": "-3", "1.5": "1.5", "12a": "12a", "9" * 30: "9" * 30}
    land_table(shop, [("t", "id"), *((NOON, value) for value in ids)], delimiter=";")
    assert shop.rows("item_id") == sorted((value,) for value in ids.values())


def test_the_example_of_the_documentation_is_read_as_it_says(shop: Shop) -> None:
    text = (Path(__file__).parents[2] / "docs" / "sources.md").read_text(encoding="utf-8")
    (shop.settings.sources_dir / "shop.yml").write_text(text.split("```yaml\n")[1].split("```")[0])
    path = shop.landing / "south" / "orders-2026-01-05.csv.gz"
    path.parent.mkdir()
    table = """When;Customer;ArticleNo;Receipt;Pieces;Price;Kind;Campaign;Shelf
05.01.2026 10:00;17850.0;ab-1;R1;2;1.234,50 €;sale;spring;7
05.01.2026 10:00;;ab-2;C1;1;3,00;sale;;
05.01.2026 10:00;;ab-3;R2;1;3,00;test;;
05.01.2026 10:00;;ab-4;R3;1;3.00;sale;;
"""
    path.write_bytes(gzip.compress(table.encode()))
    columns = "occurred_at, event_type, item_id, quantity, unit_price, currency, country, device, properties::JSON->>'campaign'"
    nine = datetime(2026, 1, 5, 9)
    assert shop.rows(columns, order="item_id") == [
        (nine, "purchase", "AB-1", Decimal(2), Decimal("1234.5"), "EUR", "DE", None, "spring"),
        (nine, "refund", "AB-2", Decimal(1), Decimal(3), "EUR", "DE", None, None),
    ]
    assert shop.rows("user_id", order="item_id")[0] == (KEY.pseudonym("till:", "17850"),)
    assert shop.refused() == [(5, "unit_price", "not a decimal")]


def test_a_file_without_a_line_of_names_has_them_from_the_source(shop: Shop) -> None:
    shop.describe(header=["when", "item", "n"], delimiter="\t", columns={"occurred_at": "when", "item_id": "item", "quantity": "n"})
    (shop.landing / "a.tsv").write_text(f"{NOON}\ta\t1\n{NOON}\tb\n{NOON}\tc\tmany\n{NOON}\td\t4\n")
    assert shop.rows("item_id, quantity") == [("a", Decimal(1)), ("d", Decimal(4))]
    assert shop.refused() == [(2, "row", "missing columns"), (3, "quantity", "not a decimal")]


def test_nested_properties_are_json_and_not_text_of_json(shop: Shop) -> None:
    shop.describe(
        format="jsonl",
        explode="lines",
        columns={"occurred_at": "at", "item_id": "line.sku"},
        properties={"context": "context", "tags": "context.tags", "second": "context.tags[1]", "options": "line.options", "dotted": '"a.b".c'},
    )
    document = {
        "at": NOON,
        "context": {"page": {"n": 1}, "tags": ["x", 'y"']},
        "a.b": {"c": True},
        "lines": [{"sku": "s1", "options": {"size": 42.5}}, {"sku": "s2"}],
    }
    (shop.landing / "a.jsonl").write_text(json.dumps(document))
    common = {"context": document["context"], "tags": ["x", 'y"'], "second": 'y"', "dotted": True}
    assert [(item, json.loads(text)) for item, text in shop.rows("item_id, properties")] == [
        ("s1", {**common, "options": {"size": 42.5}}),
        ("s2", {**common, "options": None}),
    ]


def test_other_columns_are_ignored_or_kept_as_properties(shop: Shop) -> None:
    """Headers differ: each file keeps its own. The person's id is mapped, so it is not among the others."""
    table = [("t", "who", "item", "colour", "line"), (NOON, "anna", "i1", "red", "")]
    mapping = {"columns": {"occurred_at": "t", "user_id": "who", "item_id": "item"}, "properties": {"hue": "colour"}}
    land_table(shop, table)
    land_table(shop, [("item", "t", "who", "colour", "shelf"), ("i2", NOON, "anna", "blue", "7")], "b.csv")
    shop.describe(**mapping)
    assert [json.loads(text) for (text,) in shop.rows("properties", order="item_id")] == [{"hue": "red"}, {"hue": "blue"}]
    shop.describe(**mapping, other_columns="properties")
    assert [json.loads(text) for (text,) in shop.rows("properties", order="item_id")] == [{"line": None, "hue": "red"}, {"shelf": "7", "hue": "blue"}]


def test_other_keys_of_json_lines_are_kept_whole(shop: Shop) -> None:
    shop.describe(format="jsonl", other_columns="properties", columns={"occurred_at": "at", "user_id": "user.id", "item_id": "sku"}, properties={"n": "sku"})
    (shop.landing / "a.jsonl").write_text(
        json.dumps({"at": NOON, "user": {"id": "anna", "email": "a@b.c"}, "sku": 5, "ab": {"test": ["x", None]}, "beta": False})
    )
    ((text,),) = shop.rows("properties")
    assert json.loads(text) == {"ab": {"test": ["x", None]}, "beta": False, "n": 5}  # `user` is touched by the mapping: it is left out whole


def test_a_renamed_column_is_read_by_its_alias_and_a_new_one_is_optional(shop: Shop) -> None:
    mapping = {"occurred_at": "t", "item_id": ["Sku", "ArticleNo"], "device": {"column": "device", "optional": True}}
    rules = [{"type": "click", "when": {"column": "device", "equals": "mobile", "optional": True}}, {"type": "view"}]
    shop.describe(columns=mapping, properties={"shelf": {"column": "shelf", "optional": True}}, event_type=rules)
    land_table(shop, [("t", "ArticleNo"), (NOON, "old")], "a.csv")
    land_table(shop, [("t", "Sku", "device", "shelf"), (NOON, "new", "mobile", "7")], "b.csv")
    assert shop.rows("item_id, device, properties, event_type") == [("new", "mobile", '{"shelf":"7"}', "click"), ("old", None, '{"shelf":null}', "view")]
    shop.describe(columns=mapping | {"device": "device"})
    with pytest.raises(ColumnsError, match=r"a\.csv has no column 'device'; it has t, ArticleNo\. If it was renamed"):
        shop.stage()


def test_a_column_that_stands_twice_is_refused_only_where_it_is_read(shop: Shop) -> None:
    land_table(shop, [("t", "item", "n", "n", "", ""), (NOON, "i1", "1", "2", "", "")])
    shop.describe(columns={"occurred_at": "t", "item_id": "item"})
    assert shop.rows("item_id") == [("i1",)]
    shop.describe(columns={"occurred_at": "t", "item_id": "item", "quantity": "n"})
    with pytest.raises(ColumnsError, match=r"a\.csv has two columns 'n'"):
        shop.stage()


def test_columns_may_be_called_as_the_pipelines_own(shop: Shop) -> None:
    names = ("file", "line", "content", "filename", "o1", "file_id")
    shop.describe(columns={"occurred_at": "file", "item_id": "line", "order_id": "content"})
    land_table(shop, [names, (NOON, "i1", "o9", "a", "b", "c")])
    assert shop.rows("item_id, order_id") == [("i1", "o9")]
    (shop.landing / "a.csv").unlink()
    shop.describe(format="parquet", columns={"occurred_at": "file", "item_id": "line", "order_id": "content"})
    pq.write_table(pa.table({name: [value] for name, value in zip(names, (NOON, "i1", "o9", "a", "b", "c"), strict=True)}), shop.landing / "a.parquet")
    assert shop.rows("item_id, order_id") == [("i1", "o9")]


def test_parquet_types_may_widen_and_what_cannot_be_cast_is_quarantined(shop: Shop) -> None:
    shop.describe(format="parquet", columns={"occurred_at": {"column": "at", "unit": "s"}, "item_id": "item", "quantity": "n"})
    at = 1767614400
    for name, kind, value in (
        ("a", pa.int32(), 1),
        ("b", pa.int64(), 5_000_000_000),
        ("c", pa.float64(), 2.5),
        ("d", pa.string(), "many"),
        ("e", pa.string(), "7"),
    ):
        pq.write_table(pa.table({"at": [at], "item": [name], "n": pa.array([value], kind)}), shop.landing / f"{name}.parquet")
    assert shop.rows("item_id, quantity") == [("a", Decimal(1)), ("b", Decimal(5_000_000_000)), ("c", Decimal("2.5")), ("e", Decimal(7))]
    assert shop.refused() == [(1, "quantity", "not a decimal")]


def test_the_fields_of_a_parquet_struct_are_paths(shop: Shop) -> None:
    shop.describe(
        format="parquet",
        other_columns="properties",
        columns={"occurred_at": "at", "item_id": "product.id", "device": "context.device.type"},
        properties={"tags": "context.tags"},
    )
    row = {"at": datetime(2026, 1, 5, 12), "product": {"id": 7}, "context": {"device": {"type": "mobile"}, "tags": ["x", "y"]}, "extra": {"a": [1, None]}}
    pq.write_table(pa.Table.from_pylist([row]), shop.landing / "a.parquet")
    assert shop.rows("occurred_at, item_id, device, properties::JSON->'tags', properties::JSON->'extra'") == [
        (datetime(2026, 1, 5, 12), "7", "mobile", '["x","y"]', '{"a":[1,null]}')
    ]


@pytest.mark.parametrize("keep", [0, 4, -8], ids=["empty", "cut at the head", "cut at the foot"])
def test_a_broken_parquet_file_is_named(shop: Shop, keep: int) -> None:
    shop.describe(format="parquet", columns={"occurred_at": "at"})
    path = shop.landing / "a.parquet"
    pq.write_table(pa.table({"at": [NOON]}), path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UnreadableFileError, match=r"a\.parquet cannot be read"):
        shop.stage()


@pytest.mark.parametrize(
    ("kind", "value"),
    [(pa.timestamp("us"), datetime(2026, 1, 5, 13)), (pa.timestamp("ns"), datetime(2026, 1, 5, 13)), (pa.timestamp("us", "UTC"), datetime(2026, 1, 5, 12))],
    ids=str,
)
def test_parquet_times_without_a_zone_are_local_and_with_one_are_not(shop: Shop, kind: pa.DataType, value: datetime) -> None:
    shop.describe(format="parquet", columns={"occurred_at": {"column": "at", "timezone": "Europe/Berlin"}})
    pq.write_table(pa.table({"at": pa.array([value], kind)}), shop.landing / "a.parquet")
    assert shop.rows("occurred_at") == [(datetime(2026, 1, 5, 12),)]


def test_a_rows_id_depends_neither_on_its_files_name_nor_on_what_landed_beside_it(shop: Shop) -> None:
    shop.describe(format="parquet", columns={"occurred_at": "at", "quantity": "n"})
    pq.write_table(pa.table({"at": [NOON], "n": pa.array([1], pa.int32())}), shop.landing / "a.parquet")
    alone = shop.rows("event_id")
    (shop.landing / "a.parquet").rename(shop.landing / "b.parquet")
    pq.write_table(pa.table({"at": [NOON], "n": pa.array([1.5])}), shop.landing / "c.parquet")
    assert set(alone) < set(shop.rows("event_id"))


PACKED = {"a.csv": bytes, "a.csv.gz": gzip.compress, "a.csv.zst": lambda data: pa.Codec("zstd").compress(data, asbytes=True)}


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
def test_packings_and_encodings(shop: Shop, name: str, encoding: str) -> None:
    shop.describe(encoding=encoding.removesuffix("-sig"), columns={"occurred_at": "t", "item_id": "artículo"})
    (shop.landing / name).write_bytes(PACKED[name](f"t,artículo\n{NOON},Käse\n".encode(encoding)))
    assert shop.rows("item_id") == [("Käse",)]


@pytest.mark.parametrize(("name", "content"), [("a.csv", b""), ("a.csv.gz", gzip.compress(b"", mtime=0)), ("a.csv", b"t,item\n"), ("a.csv", b"t,item")])
def test_a_file_may_have_no_records(shop: Shop, name: str, content: bytes) -> None:
    shop.describe(columns={"occurred_at": "t", "item_id": "item"})
    (shop.landing / name).write_bytes(content)
    land_table(shop, [("t", "item"), (NOON, "i1")], "b.csv")
    assert shop.rows("item_id") == [("i1",)]
    assert [file["n_read"] for file in shop.stage().files] == [0, 1]


TEXT = st.text(st.characters(codec="utf-8", include_characters=" ", exclude_characters="\0\x1f", exclude_categories=("Cs", "Zs")), max_size=12)


@limits(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=20),
    delimiter=st.sampled_from(",;\t|:"),
    quote=st.sampled_from("\"'"),
    terminator=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    escape=st.sampled_from([None, "\\"]),
    has_header=st.booleans(),
)
def test_what_the_csv_module_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    values: list[tuple[str, str]],
    delimiter: str,
    quote: str,
    terminator: str,
    quoting: int,
    escape: str | None,
    has_header: bool,
) -> None:
    shop = Shop(tmp_path_factory.mktemp("csv") / "shop")
    header = ("t", "item", "order")
    shop.describe(
        delimiter=delimiter,
        quote=quote,
        escape=escape,
        header=[] if has_header else list(header),
        columns={"occurred_at": {"column": "t", "unit": "s"}, "item_id": "item", "order_id": "order"},
    )
    if escape or any("\r" in value for pair in values for value in pair):
        quoting = csv.QUOTE_ALL  # Python 3.11 leaves a lone carriage return outside quotes, and escapes there
    rows = [(str(1_700_000_000 + number), *pair) for number, pair in enumerate(values)]
    land_table(
        shop,
        [header, *rows] if has_header else rows,
        delimiter=delimiter,
        quotechar=quote,
        lineterminator=terminator,
        quoting=quoting,
        escapechar=escape,
        doublequote=escape is None,
    )
    expected = [tuple(value.strip(" ") or None for value in pair) for pair in values]
    assert shop.rows("item_id, order_id", order="occurred_at") == expected
