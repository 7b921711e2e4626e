"""`dawnlist sources infer`: the mapping proposed for files that it has never seen."""

import gzip
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import hypothesis
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dawnlist import cli, simulate
from dawnlist.errors import LandingError, SourceError
from dawnlist.settings import PROJECT, Settings, load
from dawnlist.source_tools.check import check
from dawnlist.source_tools.infer import infer, name_of
from tests.unit import layouts


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(home=tmp_path / "home")


def proposed(settings: Settings, tmp_path: Path, path: Path) -> dict[str, Any]:
    """The inputs that are proposed for `path`, after they have passed the check against the same files, with every record kept or ignored."""
    text = infer(settings, path, "shop")
    (tmp_path / "shop.yml").write_text(text)
    report = check(settings, tmp_path / "shop.yml", path if path.is_dir() else path.parent)
    assert report.mistakes == []
    assert [sample.problems for sample in report.samples] == [[]] * len(report.samples)
    document = yaml.safe_load(text)
    assert document["consent_default"] == "denied"
    return document["inputs"]


def rules(spec: dict[str, Any]) -> dict[str, Any]:
    """Value -> event type; None for the rule that is left."""
    found = {}
    for rule in spec["event_type"]:
        when = rule.get("when", {})
        for value in when.get("is_in", [when.get("equals")]):
            found[value] = rule["type"]
    return found


KEY_COLUMNS = {
    "retailrocket": {"occurred_at": {"column": "timestamp", "unit": "ms"}, "anonymous_id": "visitorid", "item_id": "itemid", "order_id": "transactionid"},
    "rees46": {"occurred_at": "event_time", "user_id": "user_id", "item_id": "product_id", "session_id": "user_session", "unit_price": "price"},
    "movielens": {"occurred_at": {"column": "timestamp", "unit": "s"}, "user_id": "userId", "item_id": "movieId", "rating": "rating"},
    "segment": {
        "occurred_at": "timestamp",
        "event_id": "messageId",
        "user_id": "userId",
        "anonymous_id": "anonymousId",
        "item_id": ["line.product_id", "properties.product_id"],
        "order_id": "properties.order_id",
        "quantity": "line.quantity",
        "unit_price": ["line.price", "properties.price"],
        "currency": "properties.currency",
        "os": "context.os.name",
        "user_agent": "context.userAgent",
    },
}
RULES = {
    "retailrocket": {"view": "view", "addtocart": "add_to_cart", "transaction": "purchase"},
    "rees46": {"view": "view", "cart": "add_to_cart", "remove_from_cart": "remove_from_cart", "purchase": "purchase"},
    "movielens": {None: "rate"},
    "segment": {"page": "ignore", "identify": "ignore", "Product Viewed": "view", "Order Completed": "purchase"},
}


@pytest.mark.parametrize("name", KEY_COLUMNS)
def test_a_published_layout_is_recognised(settings: Settings, tmp_path: Path, name: str) -> None:
    inputs = proposed(settings, tmp_path, layouts.write(tmp_path / "landing", name))
    assert inputs["events"]["columns"] == KEY_COLUMNS[name]
    assert rules(inputs["events"]) == RULES[name]
    assert set(inputs) == ({"events", "items"} if name == "movielens" else {"events"})


def test_a_catalogue_without_dates_holds_from_the_beginning(settings: Settings, tmp_path: Path) -> None:
    items = proposed(settings, tmp_path, layouts.write(tmp_path / "landing", "movielens"))["items"]
    assert items["columns"] == {"item_id": "movieId", "title": "title", "category": "genres", "updated_at": {"constant": "1990-01-01"}}


def test_the_simulated_store_is_mapped_as_its_own_yaml_does(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "store"
    simulate.run(users=60, items=40, days=3, seed=5, out=folder)
    inputs = proposed_of_faulty(settings, tmp_path, folder)
    store = yaml.safe_load((PROJECT / "config" / "sources" / "store.yml").read_text())["inputs"]
    assert set(inputs) == set(store)
    for kind in ("items", "customers", "consents"):
        assert inputs[kind]["columns"] == store[kind]["columns"]
        assert (inputs[kind]["path"], inputs[kind]["file_time"]) == (store[kind]["path"], store[kind]["file_time"])
    events = inputs["events"]
    assert (events["file_time"], events["period"], events["explode"]) == ("date=%Y-%m-%d/hour=%H", "hour", "properties.products")
    same = ["event_id", "occurred_at", "user_id", "anonymous_id", "session_id", "order_id", "currency", "device", "os", "country", "referrer", "user_agent"]
    assert {name: events["columns"][name] for name in same} == {name: store["events"]["columns"][name] for name in same}
    assert events["columns"]["item_id"][:2] == ["line.product_id", "properties.product_id"]
    own = rules(store["events"])
    assert {value: kind for value, kind in rules(events).items() if value in own} == {value: own[value] for value in rules(events)}


def proposed_of_faulty(settings: Settings, tmp_path: Path, folder: Path) -> dict[str, Any]:
    """As `proposed`, of files with the faults that the simulator puts into them."""
    text = infer(settings, folder, "shop")
    (tmp_path / "shop.yml").write_text(text)
    report = check(settings, tmp_path / "shop.yml", folder)
    assert report.mistakes == []
    assert {problem for sample in report.samples for problem, _ in sample.problems} <= {"row: not a JSON object", "occurred_at: not a time"}
    return yaml.safe_load(text)["inputs"]


RETAIL = """\
InvoiceNo;StockCode;Description;Quantity;InvoiceDate;UnitPrice;CustomerID;Country
536365;85123A;WHITE HANGING HEART T-LIGHT HOLDER;6;01.12.2010 08:26;2,55;17850.0;Österreich
536365;85123a;WHITE HANGING HEART T-LIGHT HOLDER;6;13.12.2010 08:26;1.002,55;17850.0;Österreich
536366;71053;WHITE METAL LANTERN;1;14.12.2010 09:00;3,39;;France
C536379;71053;WHITE METAL LANTERN;-1;15.12.2010 09:41;3,39;14527.0;France
"""


def test_invoices_with_semicolons_decimal_commas_and_latin_letters(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "till"
    folder.mkdir()
    (folder / "invoices.csv").write_bytes(RETAIL.encode("latin-1"))
    events = proposed(settings, tmp_path, folder)["events"]
    assert {key: events[key] for key in ("path", "delimiter", "encoding", "decimal", "thousands")} == {
        "path": "invoices.csv",
        "delimiter": ";",
        "encoding": "latin-1",
        "decimal": ",",
        "thousands": ".",
    }
    assert events["columns"] == {
        "occurred_at": {"column": "InvoiceDate", "format": "%d.%m.%Y %H:%M", "timezone": "UTC"},
        "user_id": {"column": "CustomerID", "as_integer": True},
        "item_id": {"column": "StockCode", "fold_case": True},
        "order_id": "InvoiceNo",
        "quantity": "Quantity",
        "unit_price": "UnitPrice",
        "country": "Country",
    }
    assert [rule["type"] for rule in events["event_type"]] == ["refund", "refund", "purchase"]
    assert events["event_type"][0]["when"] == {"column": "InvoiceNo", "starts_with": "C"}


def test_a_parquet_file_with_microseconds_and_a_struct(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "landing" / "clicks_2026-01-05.parquet"
    path.parent.mkdir()
    rows = "SELECT 1767607200000000 + i AS event_timestamp, 'cookie-' || i AS visitor_id, 100 + i AS sku, {'type': 'mobile', 'model': 'x'} AS device, 'page_view' AS action FROM range(5) AS t (i)"
    duckdb.sql(f"COPY ({rows}) TO '{path}'")
    events = proposed(settings, tmp_path, path)["events"]
    assert (events["path"], events["file_time"], events["period"], events["format"]) == ("clicks_*.parquet", "%Y-%m-%d", "day", "parquet")
    assert events["columns"] == {
        "occurred_at": {"column": "event_timestamp", "unit": "us"},
        "anonymous_id": "visitor_id",
        "item_id": "sku",
        "device": "device.type",
    }
    assert rules(events) == {"page_view": "view"}


TIMES = {
    "%Y-%m-%dT%H:%M:%SZ": {},
    "%d.%m.%Y %H:%M:%S": {"format": "%d.%m.%Y %H:%M:%S", "timezone": "UTC"},
    "%m/%d/%Y %H:%M": {"format": "%m/%d/%Y %H:%M", "timezone": "UTC"},
    "s": {"unit": "s"},
    "ms": {"unit": "ms"},
}


@hypothesis.settings(max_examples=10, deadline=None, derandomize=True)
@given(
    time=st.sampled_from(sorted(TIMES)),
    names=st.tuples(
        st.sampled_from(["event_time", "Timestamp", "created-at", "ts"]),
        st.sampled_from(["userId", "customer_id", "PERSON_ID", "client.customer_no"]),
        st.sampled_from(["product_id", "SKU", "articleId", "click_article_id"]),
        st.sampled_from(["price", "unit_price", "Unit Price"]),
    ),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    has_comma=st.booleans(),
    order=st.permutations(range(5)),
)
def test_names_delimiters_times_and_decimal_signs_in_all_combinations(
    tmp_path_factory: pytest.TempPathFactory, time: str, names: tuple[str, ...], delimiter: str, has_comma: bool, order: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("landing")
    has_comma = has_comma and delimiter != ","
    when, user, item, price = names
    rows = [[when, user, item, price, "action"]]
    for number in range(20):
        moment = datetime(2026, 1, 1 + number, 10, 30, tzinfo=UTC)
        stamp = str(int(moment.timestamp() * {"s": 1, "ms": 1000}[time])) if time in ("s", "ms") else moment.strftime(time)
        rows.append([stamp, f"u{number % 7}", f"i{number % 5}", f"{number},5" if has_comma else f"{number}.5", ["VIEW", "buy"][number % 2]])
    (folder / "clicks.csv").write_text("".join(delimiter.join(row[index] for index in order) + "\n" for row in rows))
    events = proposed(load(home=folder / "home"), tmp_path_factory.mktemp("yaml"), folder)["events"]
    options = TIMES[time]
    assert events["columns"] == {"occurred_at": {"column": when, **options} if options else when, "user_id": user, "item_id": item, "unit_price": price}
    assert rules(events) == {"VIEW": "view", "buy": "purchase"}
    assert (events.get("delimiter", ","), events.get("decimal", ".")) == (delimiter, "," if has_comma else ".")


def test_kinds_that_nobody_knows_are_left_to_the_reader(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    lines = [
        {"ts": f"2026-01-05T10:00:0{i}Z", "uid": "anna-1815", "sku": "a", "action": kind} for i, kind in enumerate(["VIEW", "add-to-cart", "wiggle", "wiggle"])
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    text = infer(settings, path, "shop")
    assert rules(yaml.safe_load(text)["inputs"]["events"]) == {"VIEW": "view", "add-to-cart": "add_to_cart"}
    assert 'these values of action, whose records go to quarantine: "wiggle" (2)' in text
    assert "anna" not in text


def test_a_zone_and_an_order_of_day_and_month_are_asked_for(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "orders.tsv"
    path.write_text("order_date\tcustomer\tproduct\torder_no\n03/04/2026 10:00\tc1\ta\t1\n05/06/2026 10:00\tc2\tb\t2\n")
    line = next(line for line in infer(settings, path, "shop").splitlines() if "occurred_at" in line)
    assert "DECIDE: which zone?" in line
    assert "DECIDE: day or month first?" in line


def test_a_time_in_names_that_is_not_that_of_landing_is_left_out(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "history"
    folder.mkdir()
    for day in ("2026-01-05", "2026-01-06"):
        (folder / f"all-{day}.csv").write_text("time,user_id,item_id,event\n2024-01-05 10:00:00,u1,a,view\n2024-02-05 10:00:00,u2,b,view\n")
    assert "file_time" not in proposed(settings, tmp_path, folder)["events"]


def test_columns_that_are_personal_by_their_names_are_named_and_not_mapped(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "landing"
    folder.mkdir()
    (folder / "events.csv").write_text("time,user_id,item_id,event,email,colour\n2026-01-05 10:00:00,u1,a,view,anna@example.org,red\n")
    (folder / "products.csv").write_text("item_id,contact_name,category\na,anna,shoes\nb,bert,hats\n")  # no name of a product
    text = infer(settings, folder, "shop")
    assert "# Not mapped, and personal by their names: email\n" in text
    assert list(yaml.safe_load(text)["inputs"]["items"]["columns"]) == ["item_id", "category", "updated_at"]
    assert "keeps one of them beside the events): colour\n" in text
    assert "anna" not in text


@pytest.mark.parametrize(
    ("name", "text", "error", "message"),
    [
        ("a.csv", "2026-01-05 10:00:00,u1,1,2.5\n2026-01-05 10:00:00,u1,2,3.5\n", SourceError, "has no line of column names"),
        ("a.json", '[{"time": "2026-01-05", "user_id": 1, "item_id": 2}]', SourceError, "is one JSON array"),
        ("a.csv", "colour,size\nred,1\n", SourceError, "No file at .* looks like events"),
        ("a.md", "text", LandingError, "There is no data at"),
    ],
)
def test_what_cannot_be_mapped_is_said_with_its_reason(settings: Settings, tmp_path: Path, name: str, text: str, error: type[Exception], message: str) -> None:
    folder = tmp_path / "landing"
    folder.mkdir()
    (folder / name).write_text(text)
    with pytest.raises(error, match=message):
        infer(settings, folder, "shop")


def test_the_command_writes_a_file_and_replaces_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    landing, out = layouts.write(tmp_path / "landing", "rees46"), tmp_path / "rees.yml"
    for code in (0, SourceError.exit_code):
        monkeypatch.setattr(sys, "argv", ["dawnlist", "sources", "infer", str(landing), "--out", str(out)])
        assert cli._exit_code() == code
    assert "dawnlist sources check" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["dawnlist", "sources", "check", str(out), "--landing", str(landing)])
    assert cli._exit_code() == 0


def test_packed_files_of_many_days_are_one_glob(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "landing"
    (folder / "raw").mkdir(parents=True)
    for day in ("20260105", "20260106"):
        (folder / "raw" / f"orders-{day}.csv.gz").write_bytes(gzip.compress(f"date,user_id,item_id,order_id\n{day},u1,a,1\n{day},u2,b,2\n".encode()))
    (folder / "raw" / "orders-summary.csv").write_text("a,b\n1,2\n")
    events = proposed(settings, tmp_path, folder)["events"]
    assert (events["path"], events["file_time"]) == ("raw/orders-*.csv.gz", "%Y%m%d")
    assert events["columns"]["occurred_at"] == {"column": "date", "format": "%Y%m%d", "timezone": "UTC"}


@pytest.mark.parametrize(("path", "name"), [("My Shop-2.csv.gz", "my_shop_2"), ("2019-Oct.csv", "source_2019_oct"), ("Übung.csv", "bung")])
def test_a_source_is_named_after_its_files(tmp_path: Path, path: str, name: str) -> None:
    assert name_of(tmp_path / path) == name
