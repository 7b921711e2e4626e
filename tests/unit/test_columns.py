"""The lake's columns and what the dbt project says of them are one."""

import re

import pytest
import yaml

from dawnlist import columns
from dawnlist.identity import PERSONS
from dawnlist.warehouse import DBT_PROJECT

STAGING = DBT_PROJECT / "models" / "staging"
LAKE = {**{name: columns.LAKE_TABLES[name] for name in ("events", "items", "customers", "consents")}, "persons": PERSONS}


def test_the_dbt_sources_are_the_tables_that_staging_reads() -> None:
    assert set(_sources()) == set(LAKE)


@pytest.mark.parametrize("table", LAKE)
def test_the_dbt_source_has_the_columns_and_types_of_the_lake(table: str) -> None:
    assert _sources()[table] == LAKE[table]


@pytest.mark.parametrize("table", LAKE)
def test_staging_selects_only_what_the_lake_has(table: str) -> None:
    text = (STAGING / f"stg_lake__{table}.sql").read_text(encoding="utf-8")
    selected = re.search(r"renamed as \(\s*select(.*?)from source", text, re.DOTALL)
    assert selected is not None
    names = [line.strip().rstrip(",").split(" as ")[-1] for line in selected.group(1).strip().splitlines()]
    assert not set(names) - set(LAKE[table])


def test_the_purposes_of_consent_are_those_that_dbt_knows() -> None:
    text = (DBT_PROJECT / "models" / "intermediate" / "int_persons__consented.sql").read_text(encoding="utf-8")
    assert set(re.findall(r"purpose = '(\w+)'", text)) == set(columns.CONSENT_PURPOSES)


def test_the_event_types_that_dbt_accepts_are_all_there_are() -> None:
    (model,) = yaml.safe_load((STAGING / "stg_lake__events.yml").read_text(encoding="utf-8"))["models"]
    (event_type,) = [column for column in model["columns"] if column["name"] == "event_type"]
    (accepted,) = [test["accepted_values"]["arguments"]["values"] for test in event_type["data_tests"]]
    assert tuple(accepted) == columns.EVENT_TYPES


def _sources() -> dict[str, dict[str, str]]:
    (source,) = yaml.safe_load((STAGING / "_lake__sources.yml").read_text(encoding="utf-8"))["sources"]
    return {table["name"]: {column["name"]: column["data_type"] for column in table["columns"]} for table in source["tables"]}
