"""dbt's `target` as sqlfluff sees it."""

type = "duckdb"  # noqa: A001 - dbt's own name
