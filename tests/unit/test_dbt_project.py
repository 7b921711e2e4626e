"""The rules of the dbt project: every model is described, names its grain and tests it; only staging reads the lake."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from dawnlist.columns import EVENT_TYPES
from dawnlist.settings import Bots
from dawnlist.warehouse import DBT_PROJECT, MARTS

MODELS = sorted((DBT_PROJECT / "models").glob("*/*.sql"))
MAX_LINES = 80
# The columns that docs/architecture.md promises to those who read the marts.
MART_TABLE = re.compile(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def described(model: Path) -> dict[str, Any]:
    """The yml of a model, which lies beside it."""
    (document,) = yaml.safe_load(model.with_suffix(".yml").read_text(encoding="utf-8"))["models"]
    return dict(document)


def test_the_project_has_the_models_that_it_should() -> None:
    assert {path.stem for path in MODELS if path.parent.name == "marts"} == set(MARTS)
    assert {path.parent.name for path in MODELS} == {"staging", "intermediate", "marts"}


@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.stem)
class TestModel:
    def test_is_described_with_its_grain(self, model: Path) -> None:
        document = described(model)
        assert document["name"] == model.stem
        assert "One row per " in document["description"]
        assert all(column["description"] for column in document["columns"])

    def test_tests_its_grain(self, model: Path) -> None:
        document = described(model)
        grain = re.search(r"One row per ([\w, ]+)", document["description"])
        assert grain is not None
        keys = re.findall(r"\w+", grain.group(1).replace(" and ", ", "))
        combinations = [test["unique_combination"]["arguments"]["columns"] for test in document.get("data_tests", []) if "unique_combination" in test]
        unique = [[column["name"]] for column in document["columns"] if any("unique" in test for test in column.get("data_tests", []))]
        assert keys in combinations + unique
        never_null = [test["never_null"]["arguments"]["columns"] for test in document["data_tests"] if "never_null" in test]
        assert set(keys) <= set(never_null[0])

    def test_only_staging_reads_sources(self, model: Path) -> None:
        reads_source = "source(" in model.read_text(encoding="utf-8")
        assert reads_source == (model.parent.name == "staging")

    def test_ends_with_the_last_cte_and_stays_short(self, model: Path) -> None:
        lines = model.read_text(encoding="utf-8").rstrip("\n").splitlines()
        assert lines[-1] in ("select * from final", "select * from renamed")
        assert len(lines) <= MAX_LINES

    def test_asks_no_clock(self, model: Path) -> None:
        assert not re.search(r"current_date|current_timestamp|now\(|today\(", model.read_text(encoding="utf-8"))


def test_marts_describe_the_columns_that_the_architecture_promises() -> None:
    text = (DBT_PROJECT.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    promised = {name: (grain, rest) for name, grain, rest in MART_TABLE.findall(text.split("## Marts")[1])}
    assert set(promised) == set(MARTS)
    for mart, (grain, rest) in promised.items():
        known = {column["name"] for column in described(DBT_PROJECT / "models" / "marts" / f"{mart}.sql")["columns"]}
        assert not set(re.findall(r"\w+", grain)) - known, mart
        assert not set(names(rest)) - known, mart


def names(text: str) -> list[str]:
    """The column names of a cell: `n_events_1d/_7d` stands for n_events_1d and n_events_7d; prose behind a full stop is no name."""
    found = []
    for part in re.split(r",\s*", re.sub(r"\([^)]*\)|and, NULL without personalisation consent:|\. .*", "", text.strip())):
        first, *others = part.strip().split("/")
        stem = first.rsplit("_", 1)[0]
        found += [first, *(stem + other for other in others)]
    return found


def test_bot_limits_without_the_pipeline_are_the_settings_defaults() -> None:
    given = yaml.safe_load((DBT_PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]
    assert {f"max_{name.removeprefix('bot_')}": value for name, value in given.items() if name.startswith("bot_")} == Bots().model_dump()


def test_every_event_type_has_a_weight() -> None:
    lines = (DBT_PROJECT / "seeds" / "event_weights.csv").read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == list(EVENT_TYPES)


def test_the_segments_are_the_usual_eleven() -> None:
    lines = (DBT_PROJECT / "seeds" / "rfm_segments.csv").read_text(encoding="utf-8").splitlines()
    assert {line.split(",")[0] for line in lines[1:]} == {
        "champions",
        "loyal_customers",
        "potential_loyalists",
        "new_customers",
        "promising",
        "need_attention",
        "about_to_sleep",
        "at_risk",
        "cannot_lose_them",
        "hibernating",
        "lost",
    }


def test_a_build_that_has_spilled_goes_on(tmp_path: Path) -> None:
    """dbt opens a connection for each node and makes the profile's `settings` again; a spill folder cannot be set twice."""
    from dbt.adapters.duckdb.credentials import DuckDBCredentials
    from dbt.adapters.duckdb.environments.local import LocalEnvironment

    profile = yaml.safe_load((DBT_PROJECT / "profiles.yml").read_text(encoding="utf-8"))["dawnlist"]["outputs"]["build"]
    variables = {
        "warehouse_path": str(tmp_path / "spilling.duckdb"),
        "duckdb_memory_limit": "100MB",
        "duckdb_temp_directory": str(tmp_path),
        "duckdb_threads": "2",
    }

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: filled(one) for name, one in value.items()}
        found = re.fullmatch(r"\{\{ var\('(\w+)'\).*\}\}", str(value))
        return variables[found[1]] if found else value

    credentials = {name: filled(value) for name, value in profile.items() if name not in ("type", "threads")}
    environment = LocalEnvironment(DuckDBCredentials.from_dict(credentials | {"database": "spilling"}))
    try:
        cursor = environment.handle().cursor()
        cursor.execute("CREATE TEMP TABLE large AS SELECT i, 'some text ' || i AS text FROM range(5_000_000) AS t (i) ORDER BY hash(i)")
        cursor.execute("SELECT count(*) FROM duckdb_temporary_files()")
        assert cursor.fetchall()[0][0] > 0
        environment.handle().cursor()
    finally:
        environment.close()
