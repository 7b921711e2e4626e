"""Sources as configuration."""

from datetime import datetime
from pathlib import Path

import pytest

from dawnlist import sources
from dawnlist.errors import SourceError
from dawnlist.settings import load

MINIMAL = """
description: minimal
user_namespace: "m:"
inputs:
  events:
    path: "*.csv"
    format: csv
    columns: {occurred_at: t}
    event_type: [{type: view}]
"""


@pytest.mark.parametrize("name", sources.names(load()))
def test_every_source_of_the_project_is_valid(name: str) -> None:
    assert sources.load(load(), name).inputs["events"].event_type


def test_the_hour_of_a_file_comes_from_its_name() -> None:
    globo, retail = (sources.load(load(), name).inputs["events"] for name in ("globo_news", "online_retail"))
    assert globo.time_of("clicks_hour_025.csv.gz") == datetime(2017, 10, 2, 4)
    assert retail.time_of("2011-11-30.csv.gz") == datetime(2011, 11, 30)
    assert retail.time_of("readme.csv.gz") is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("occurred_at: t", "occured_at: t", r"m\.yml:8: inputs\.events\.columns\.occured_at: no such column; did you mean occurred_at\?"),
        ("occurred_at: t", "item_id: t", "occurred_at must be mapped"),
        ("type: view", "type: dance", "inputs.events.event_type"),
        ("format: csv", "format: xls", "inputs.events.format"),
        ('path: "*.csv"', 'path: "../*.csv"', "must stay below the landing folder"),
        ("description", "descriptoin", "descriptoin"),
        ("inputs:", "inputs: [", "is no valid YAML"),
        ("format: csv", "format: jsonl\n    header: [t]", r"m\.yml:8: inputs\.events\.header: only CSV files lack a line of names"),
        ("format: csv", "format: csv\n    header: [t, t]", "a name stands there twice"),
        ("format: csv", 'format: csv\n    thousands: "."', "decimal and thousands must differ"),
        ("format: csv", 'format: csv\n    delimiter: ";;"', r"inputs\.events\.delimiter"),
        ("format: csv", "format: csv\n    other_columns: keep", "must be one of properties, ignore"),
        ("occurred_at: t", "occurred_at: t, item_id: {column: i, unit: s}", "item_id: unit, format and timezone are for times only"),
        ("occurred_at: t", 'occurred_at: t, item_id: {column: i, extract: "(?=a)"}', "is no regular expression"),
        ("occurred_at: t", "occurred_at: t, unit_price: {column: p, multiply: cents}", r"unit_price\.multiply"),
        (
            "  events:",
            "  items: {path: i, format: csv, columns: {item_id: i, updated_at: t}, properties: {a: b}}\n  events:",
            "items: only events keep properties",
        ),
        ("occurred_at: t", "occurred_at: {column: t, timezone: Berlin}", "there is no time zone 'Berlin'"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "m.yml"
    path.write_text(MINIMAL.replace(old, new))
    with pytest.raises(SourceError, match=message):
        sources.read(path)


def test_an_unknown_source_is_answered_with_the_known_ones() -> None:
    with pytest.raises(SourceError, match="There is no source 'shop' in .*; there are: .*globo_news"):
        sources.load(load(), "shop")


def test_yaml_is_data_and_never_code(tmp_path: Path) -> None:
    path = tmp_path / "m.yml"
    path.write_text("description: !!python/object/apply:os.system ['true']")
    with pytest.raises(SourceError, match="is no valid YAML"):
        sources.read(path)
