"""The rules that dbt-project-evaluator stands for, over the graph of the project: modelling, naming, structure, documentation, tests.

https://dbt-labs.github.io/dbt-project-evaluator/latest/rules/
"""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from dawnlist.warehouse import DBT_PROJECT, MARTS

LAYERS = ("staging", "intermediate", "marts")
NAMES = {"staging": r"stg_lake__[a-z_]+", "intermediate": r"int_[a-z_]+__[a-z_]+", "marts": r"(dim|fct|feat)_[a-z_]+"}
MAX_LEAVES = 3  # of a model: the evaluator's default
# What nearly every feature is made from: the dates, the persons, their days, the catalogue.
HUBS = {"int_dates__listed", "int_items__as_of", "int_person_days__aggregated", "int_persons__consented"}
CONSTRAINTS = {"unique", "unique_combination"}


def models() -> dict[str, dict[str, Any]]:
    """Every model: its layer, what it refers to, whether it reads a source, and its description."""
    found = {}
    for path in sorted((DBT_PROJECT / "models").rglob("*.sql")):
        sql = path.read_text(encoding="utf-8")
        (document,) = yaml.safe_load(path.with_suffix(".yml").read_text(encoding="utf-8"))["models"]
        found[path.stem] = {
            "layer": path.parent.name,
            "parents": set(re.findall(r"ref\('(\w+)'\)", sql)),
            "sources": re.findall(r"source\('\w+', '(\w+)'\)", sql),
            "sql": sql,
            "described": document,
        }
    return found


MODELS = models()
SEEDS = {path.stem for path in (DBT_PROJECT / "seeds").glob("*.csv")}
SOURCES = yaml.safe_load((DBT_PROJECT / "models" / "staging" / "_lake__sources.yml").read_text(encoding="utf-8"))["sources"]
EXPOSURES = yaml.safe_load((DBT_PROJECT / "models" / "exposures.yml").read_text(encoding="utf-8"))["exposures"]
by_model = pytest.mark.parametrize("name", MODELS)


def children(name: str) -> set[str]:
    return {other for other, model in MODELS.items() if name in model["parents"]}


@by_model
def test_folder_name_and_layer_agree(name: str) -> None:
    layer = MODELS[name]["layer"]
    assert layer in LAYERS
    assert re.fullmatch(NAMES[layer], name)


@by_model
def test_models_are_made_from_earlier_layers(name: str) -> None:
    model = MODELS[name]
    assert model["parents"] <= set(MODELS) | SEEDS
    below = {MODELS[parent]["layer"] for parent in model["parents"] & set(MODELS)}
    allowed = {"staging": set(), "intermediate": {"staging", "intermediate"}, "marts": {"staging", "intermediate", "marts"}}
    assert below <= allowed[model["layer"]]
    assert (len(model["sources"]) == 1) == (model["layer"] == "staging")  # one source each, and no root model beside them
    assert model["parents"] or model["sources"] or name == "int_dates__listed"  # which is made of the variables


@by_model
def test_models_name_no_table_themselves(name: str) -> None:
    """Hard-coded references: whatever stands behind FROM or JOIN is a ref, a source or a CTE."""
    sql = re.sub(r"--[^\n]*|\{#.*?#\}", "", MODELS[name]["sql"], flags=re.DOTALL)
    ctes = set(re.findall(r"(?:with|,)\s*(\w+) as \(", sql)) | set(re.findall(r"^(\w+) as \($", sql, flags=re.MULTILINE))
    sql = re.sub(r"extract\(\w+ from", "extract(", sql)
    assert {table for table in re.findall(r"\b(?:from|join)\s+(\w+)", sql) if table != "lateral"} <= ctes


@by_model
def test_few_leaves_hang_on_one_model(name: str) -> None:
    """Fan-out: a model with more leaves than MAX_LEAVES asks for a model between, unless it is a hub."""
    leaves = {child for child in children(name) if not children(child)}
    assert len(leaves) <= MAX_LEAVES or name in HUBS or MODELS[name]["layer"] != "intermediate", leaves


@by_model
def test_what_is_used_in_one_place_is_not_joined_again(name: str) -> None:
    """Rejoining: A and B both come from A's parent, B has no other reader and no other parent: B's work belongs to A's reader."""
    for parent in MODELS[name]["parents"] & set(MODELS):
        assert not (children(parent) == {name} and MODELS[parent]["parents"] & MODELS[name]["parents"] and len(MODELS[parent]["parents"]) == 1), parent


@by_model
def test_everything_is_described_and_has_a_tested_key(name: str) -> None:
    document = MODELS[name]["described"]
    assert document["description"].strip()
    assert [column["name"] for column in document["columns"] if not str(column.get("description", "")).strip()] == []
    assert max(Counter(column["name"] for column in document["columns"]).values()) == 1
    tests = [test for owner in (document, *document["columns"]) for test in owner.get("data_tests", ())]
    assert any((test if isinstance(test, str) else next(iter(test))) in CONSTRAINTS for test in tests)


def test_every_source_is_described_and_read_once() -> None:
    tables = [table for source in SOURCES for table in source["tables"]]
    assert all(table["description"] and all(column["description"] for column in table["columns"]) for table in tables)
    assert Counter(source for model in MODELS.values() for source in model["sources"]) == Counter(table["name"] for table in tables)


def test_every_column_of_a_mart_has_its_type() -> None:
    untyped = {(name, column["name"]) for name in MARTS for column in MODELS[name]["described"]["columns"] if "data_type" not in column}
    assert untyped == set()


def test_no_intermediate_model_is_left_without_a_reader() -> None:
    tested = " ".join(path.read_text(encoding="utf-8") for path in Path(DBT_PROJECT / "tests").rglob("*.sql"))
    unread = {name for name, model in MODELS.items() if model["layer"] != "marts" and not children(name) and f"'{name}'" not in tested}
    assert unread == set()


def test_exposures_name_marts_and_the_snapshot_all_of_them() -> None:
    shown = {exposure["name"]: set(re.findall(r"ref\('(\w+)'\)", " ".join(exposure["depends_on"]))) for exposure in EXPOSURES}
    assert set(shown) == {"recommendation_lists", "cms_export", "analysts_snapshot"}
    assert shown["analysts_snapshot"] == set(MARTS)
    assert all(marts <= set(MARTS) for marts in shown.values())
    assert all(exposure["description"] and exposure["owner"] for exposure in EXPOSURES)
