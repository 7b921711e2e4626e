"""The analysts' snapshot: one DuckDB file with the night's marts, the published lists and the pipeline's own records.

    marts.<mart>        the marts of the night, segments included
    serving.<table>     what is published, and the history of publications
    operations.<table>  gate_results, source_scores, ledger, quarantine, identity_*, stage_runs

The file is made aside and swapped in by rename: analysts never block the night, and who has the old file open keeps it. Every
table has a comment (`SELECT table_name, comment FROM duckdb_tables()`). There are no raw identifiers in it.
"""

import shutil
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dawnlist import customer_value, mart_docs, triggers
from dawnlist.columns import LAKE_TABLES, SERVING_TABLES
from dawnlist.duck import connect, identifier, literal, path_list, replace_database, scan
from dawnlist.files import make_folder
from dawnlist.lake import Lake, Snapshot
from dawnlist.serving import Publication, Store
from dawnlist.settings import Settings
from models import outcomes

if TYPE_CHECKING:
    import duckdb

MART_PREFIXES: Final = ("dim_", "fct_", "feat_")
MART_TABLES: Final = (
    "user_segments",
    "segment_profiles",
    "segment_nights",
    customer_value.MODELS,
    outcomes.TABLE,
    triggers.FIRINGS,
    triggers.NIGHTS,
)  # made beside dbt
RECORDS: Final = ("gate_results", "source_scores", "ledger", "quarantine", "identity_history", "identity_cuts", "identity_corrections")  # of the lake
READ_ONLY: Final = 0o444
STAGE_RUNS: Final = {
    "stage": "VARCHAR",
    "interval": "VARCHAR",
    "rows_in": "BIGINT",
    "rows_out": "BIGINT",
    "seconds": "DOUBLE",
    "counts": "JSON",
    "metrics": "JSON",
    "notes": "VARCHAR[]",
}
COMMENTS: Final = {
    "serving.recommendations": "The published lists. One row per user_id and rank (1 = best).",
    "serving.similar_items": "Items like an item. One row per item_id and rank (1 = most similar).",
    "serving.popular_items": "Lists for who has none of their own. One row per scope, scope_value ('' for global) and rank.",
    "serving.user_segments": "What people with consent are: clusters, RFM segments, segments by rules, engagement, tags, triggers. One row per user_id, kind and segment.",
    "serving.user_aliases": "Every known id and the user_id whose list it gets. One row per alias_id.",
    "serving.publications": "The history of what was published. One row per sequence, the last one is what readers see.",
    "operations.gate_results": "Verdicts of the quality gates. One row per run_id, suite, source, expectation and column_name.",
    "operations.source_scores": "How good each source's data was, 0 to 1. One row per run_date, source and dimension; see docs/data-quality.md.",
    "operations.ledger": "What became of each landed file. One row per file_id, input and batch_id.",
    "operations.quarantine": "Records that could not be used. One row per file, line and reason; the record stays in the landed file.",
    "operations.identity_history": "How persons changed from night to night: merges, splits. One row per run_date, previous_person_id and person_id; see docs/identity.md.",
    "operations.identity_cuts": "Links between ids that a guard or a correction did not let count. One row per run_date, guard and id; the newest nights.",
    "operations.identity_corrections": "Which ids operators said are not one person. One row per said_at, id and other_id; the last word counts.",
    "operations.stage_runs": "The last run of each stage and interval.",
    "marts.user_segments": "One row per person_id with consent: segment (0 = largest) and its label.",
    "marts.segment_profiles": "One row per segment: size, label, a sentence with figures, and the mean of each feature.",
    f"marts.{outcomes.TABLE}": "Who will buy, and who will not come back, within the label window: calibrated probabilities, NULL where no model can say. One row per "
    "person_id with consent and feature_date; docs/models.md.",
    f"marts.{triggers.FIRINGS}": "The triggers of the rules file that fired in the night. One row per rule and person_id (NULL for a trigger on the site); docs/policies.md.",
    f"marts.{triggers.NIGHTS}": "What every trigger came to, night by night: judged, held, fired, and why not. One row per run_date and trigger.",
    "marts.segment_nights": "How good and how stable the clusters were. One row per run_date.",
    "marts.dim_user_segments": "What a person was, from night to night. One row per person_id, kind (cluster, rfm, segment, engagement, tag, trigger), segment and "
    "valid_from; half-open: valid_to is the first night that did not say so any more, NULL for what is_current.",
}


def snapshot(settings: Settings, store: Store, night: Snapshot, *, run_date: date) -> Path:
    """Replace the snapshot by one of the tables of `night`, of what `store` has published, and of the lake's records as they stand."""
    target = settings.analytics_file
    make_folder(target.parent)
    aside = _aside(target)
    with connect(settings, aside) as connection:
        _marts(connection, night)
        _serving(connection, store)
        _operations(connection, settings)
        _comment(connection, run_date)
        connection.execute("CHECKPOINT")
    aside.chmod(READ_ONLY)
    replace_database(aside, target)
    return target


def renew_serving(settings: Settings, store: Store, publication: Publication) -> Path | None:
    """Replace the snapshot by one with the serving tables of now; the marts and records stay as they are. None where there is no snapshot yet."""
    target = settings.analytics_file
    if not target.exists():
        return None
    aside = _aside(target)
    shutil.copyfile(target, aside)
    with connect(settings, aside) as connection:
        connection.execute("DROP SCHEMA serving CASCADE")
        _serving(connection, store)
        _comment_on(connection, {f"serving.{table}": {} for table in (*SERVING_TABLES, "publications")}, publication.run_date)
        connection.execute("CHECKPOINT")
    aside.chmod(READ_ONLY)
    replace_database(aside, target)
    return target


def _aside(target: Path) -> Path:
    """The name under which the next snapshot is made; what a killed run left there is gone."""
    aside = target.with_name(f".{target.name}.aside")
    for path in (aside, aside.with_name(f"{aside.name}.wal")):
        path.unlink(missing_ok=True)
    return aside


def _marts(connection: "duckdb.DuckDBPyConnection", night: Snapshot) -> None:
    connection.execute("CREATE SCHEMA marts")
    for table in sorted(night.tables):
        files = night.files(table)
        if files and (table.startswith(MART_PREFIXES) or table in MART_TABLES):
            connection.execute(f"CREATE TABLE marts.{identifier(table)} AS FROM {scan(files, {})}")


def _serving(connection: "duckdb.DuckDBPyConnection", store: Store) -> None:
    connection.execute("CREATE SCHEMA serving")
    with store.published(connection):
        for table in (*SERVING_TABLES, "publications"):
            connection.execute(f"CREATE TABLE serving.{table} AS FROM published.serving.{table}")


def _operations(connection: "duckdb.DuckDBPyConnection", settings: Settings) -> None:
    connection.execute("CREATE SCHEMA operations")
    lake = Lake(settings.lake_dir).snapshot()
    for table in RECORDS:
        connection.execute(f"CREATE TABLE operations.{table} AS FROM {scan(lake.files(table), LAKE_TABLES[table])}")
    records = sorted(settings.runs_dir.glob("*/*.json"))
    fields = ", ".join(f"{name}: {literal(kind)}" for name, kind in STAGE_RUNS.items())
    found = f"read_json({path_list(records)}, columns = {{{fields}}}, format = 'unstructured')" if records else scan([], dict(STAGE_RUNS))
    connection.execute(f"CREATE TABLE operations.stage_runs AS SELECT * FROM {found} WHERE stage IS NOT NULL ORDER BY interval, stage")


def _comment(connection: "duckdb.DuckDBPyConnection", run_date: date) -> None:
    """Comments on the tables and columns that are there: the marts' come from the dbt project and dawnlist.customer_value."""
    tables = connection.execute("SELECT schema_name || '.' || table_name FROM duckdb_tables() ORDER BY 1").fetchall()
    described = {f"marts.{name}": model for name, model in (customer_value.described() | mart_docs.described()).items()}
    _comment_on(connection, {table: described.get(table, {}) for (table,) in tables}, run_date)


def _comment_on(connection: "duckdb.DuckDBPyConnection", models: dict[str, dict[str, Any]], run_date: date) -> None:
    """Comments on tables, each with its description as a model; {} for one that COMMENTS describes."""
    columns = set(connection.execute("SELECT schema_name || '.' || table_name, column_name FROM duckdb_columns()").fetchall())
    for table, model in models.items():
        text = str(model.get("description") or COMMENTS.get(table, "")).strip()
        connection.execute(f"COMMENT ON TABLE {table} IS {literal(f'{text} Night of {run_date}.'.strip())}")
        for column in model.get("columns", ()):
            if (table, column["name"]) in columns and column.get("description"):
                connection.execute(f"COMMENT ON COLUMN {table}.{identifier(column['name'])} IS {literal(str(column['description']).strip())}")
