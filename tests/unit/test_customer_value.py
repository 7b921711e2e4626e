"""Both tables of customer value, written from a mart of two dates."""

from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dawnlist import customer_value
from dawnlist.lake import DataFile, Lake
from dawnlist.settings import CustomerValue

RUN_DATE, EARLIER = date(2026, 3, 31), date(2026, 3, 24)
OPTIONS = CustomerValue(min_repeat_buyers=60)
# On the run date person n has bought again n % 4 times, for 20 + n % 5 each time; a week earlier only every second person had bought at all.
MART = f"""
    SELECT printf('%032x', n) AS person_id, DATE '{RUN_DATE}' AS feature_date, n % 4 AS n_repeat_days, if(n % 4 = 0, 0, 10 + n % 29) AS repeat_span_days,
        60 + n % 31 AS tenure_days, if(n % 4 = 0, NULL, 20 + n % 5)::DOUBLE AS avg_repeat_value FROM range(200) AS people(n)
    UNION ALL
    SELECT printf('%032x', n), DATE '{EARLIER}', n % 4, if(n % 4 = 0, 0, 9), 60, if(n % 4 = 0, NULL, 20) FROM range(0, 200, 2) AS people(n)
    ORDER BY feature_date, person_id
"""


def written(folder: Path, query: str) -> tuple[customer_value.Estimated, dict[str, list[dict[str, Any]]]]:
    """What is estimated from the mart that `query` makes, and the rows of both tables in the order of their files."""
    tables = Lake(folder)
    with duckdb.connect() as connection:
        mart = tables.write(connection, "feat_user_purchases", query)
        made = customer_value.write(connection, tables, [mart] if mart else [], OPTIONS, run_date=RUN_DATE)
        return made, {name: _rows(connection, folder, files) for name, files in made.files.items()}


def _rows(connection: duckdb.DuckDBPyConnection, folder: Path, files: list[DataFile]) -> list[dict[str, Any]]:
    return [row for file in files for row in connection.sql(f"FROM read_parquet('{folder / file.path}')").to_arrow_table().to_pylist()]


def test_every_date_is_estimated_by_itself(tmp_path: Path) -> None:
    made, rows = written(tmp_path / "both", MART)
    values, models = rows["feat_user_value"], rows["customer_value_models"]
    assert [(row["feature_date"], row["n_buyers"], row["n_repeat_buyers"]) for row in models] == [(EARLIER, 100, 50), (RUN_DATE, 200, 150)]
    assert [list(row) for row in (values[0], models[0])] == [list(columns) for columns in customer_value.COLUMNS.values()]
    assert [row["feature_date"] for row in values] == [EARLIER] * 100 + [RUN_DATE] * 200
    assert {row["p_alive"] for row in values[:100]} == {None}  # 50 are fewer than 60
    assert all(0 <= row["churn_risk"] <= 1 and row["lifetime_value"] > 0 for row in values[100:])
    assert "BG/NBD was not fitted: 50 buyers have bought again" in made.notes[0]
    assert made.notes[0].startswith("Customer value as of 2026-03-24: ")
    assert "150 of 200 buyers have bought again" in made.notes[-1]
    assert made.metrics["customer_value"]["r"] == models[1]["r"]
    _, alone = written(tmp_path / "alone", f"SELECT * FROM ({MART}) WHERE feature_date = DATE '{RUN_DATE}'")
    assert alone["feat_user_value"] == values[100:]


def test_a_site_without_purchases_has_empty_tables(tmp_path: Path) -> None:
    made, rows = written(tmp_path, f"SELECT * FROM ({MART}) WHERE false")
    assert rows == {"feat_user_value": [], "customer_value_models": []}
    assert (made.notes, made.metrics) == ([], {})


@pytest.mark.parametrize("table", list(customer_value.COLUMNS))
def test_analysts_find_grain_and_meaning(table: str) -> None:
    described = customer_value.described()[table]
    assert "One row per " in described["description"]
    assert [column["name"] for column in described["columns"]] == list(customer_value.COLUMNS[table])
    assert all(column["description"] for column in described["columns"])
