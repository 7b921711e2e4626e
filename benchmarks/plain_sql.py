"""`python -m benchmarks.plain_sql HOME RUN_DATE`: the marts of a night by DuckDB alone.

The SELECTs are those that the night's own full build left compiled: one CREATE TABLE (or VIEW) each, in the order of their references, then one
Parquet file a mart. No dbt, no tests, no gate, nothing kept from night to night.
"""

import json
import sys
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.transform_night import settings_of
from dawnlist import sources, warehouse
from dawnlist.duck import connect, literal
from dawnlist.stages.base import Night


def statements(target: Path) -> list[tuple[str, str]]:
    """(name, SQL) of every seed and model in dbt's folder `target`, each behind those that it reads."""
    nodes = {
        key: node
        for key, node in json.loads((target / "manifest.json").read_text(encoding="utf-8"))["nodes"].items()
        if node["resource_type"] in ("seed", "model")
    }
    done: list[str] = []
    while len(done) < len(nodes):
        ready = [key for key in nodes if key not in done and all(parent in done for parent in nodes[key]["depends_on"].get("nodes", []) if parent in nodes)]
        done += sorted(ready)
    return [(nodes[key]["name"], _statement(target, nodes[key])) for key in done]


def _statement(target: Path, node: dict[str, Any]) -> str:
    name = f"{node['schema']}.{node['name']}"
    if node["resource_type"] == "seed":
        types = ", ".join(f"'{column}': '{kind}'" for column, kind in node["config"]["column_types"].items())
        return f"CREATE TABLE {name} AS FROM read_csv({literal(str(warehouse.DBT_PROJECT / node['original_file_path']))}, header = true, types = {{{types}}})"
    kind = "VIEW" if node["config"]["materialized"] == "view" else "TABLE"
    compiled = target / "compiled" / "dawnlist" / node["original_file_path"]
    return f"CREATE {kind} {name} AS {compiled.read_text(encoding='utf-8')}"


def main(home: Path, run_date: date) -> None:
    """Make the marts of the night in <home>/plain, whose database has the name of the build database."""
    settings = settings_of(home)
    night = Night.load(settings, run_date)
    (persons,) = night.tables.root.glob("persons/*.parquet")
    plan = warehouse.plan(night.lake, None, night.tables, run_date, sources.of_site(settings))
    database = home / "plain" / settings.warehouse_file.name
    database.parent.mkdir()
    with connect(settings, database) as connection:
        warehouse.create_lake_views(connection, warehouse.Build(**{**plan.__dict__, "persons": [persons]}))
        for schema in ("seeds", "staging", "intermediate", "marts"):
            connection.execute(f"CREATE SCHEMA {schema}")
        for _, sql in statements(settings.warehouse_file.parent / "dbt" / "target"):
            connection.execute(sql)
        for mart, order in warehouse.MARTS.items():
            target = literal(str(database.parent / f"{mart}.parquet"))
            connection.execute(f"COPY (SELECT * FROM marts.{mart} ORDER BY {order}) TO {target} (FORMAT parquet, COMPRESSION zstd)")


if __name__ == "__main__":
    main(Path(sys.argv[1]), date.fromisoformat(sys.argv[2]))
