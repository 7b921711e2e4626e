"""What every buyer is worth, estimated over a night's mart feat_user_purchases: the tables feat_user_value and customer_value_models.

Both models are fitted anew for each feature_date, to that date's histories alone: nothing later can leak into them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from dawnlist.duck import scan

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from dawnlist.lake import DataFile, Lake
    from dawnlist.settings import CustomerValue
    from models.lifetime import Record

VALUES: Final = "feat_user_value"
MODELS: Final = "customer_value_models"
INPUT: Final = {
    "person_id": "VARCHAR",
    "feature_date": "DATE",
    "n_repeat_days": "BIGINT",
    "repeat_span_days": "BIGINT",
    "tenure_days": "BIGINT",
    "avg_repeat_value": "DOUBLE",
}
# Every column with its type and its meaning: the analysts' snapshot shows the latter.
COLUMNS: Final[Mapping[str, Mapping[str, tuple[str, str]]]] = {
    VALUES: {
        "person_id": ("VARCHAR", "The person"),
        "feature_date": ("DATE", "Only what happened before the end of this day counts"),
        "horizon_days": ("INTEGER", "How many days expected_purchases and churn_risk look ahead"),
        "lifetime_days": ("INTEGER", "How many days lifetime_value looks ahead"),
        "expected_purchases": ("DOUBLE", "Expected purchase days in the next horizon_days (BG/NBD); NULL where it could not be fitted"),
        "p_alive": ("DOUBLE", "Probability that the person has not stopped buying for good (BG/NBD); 1 for everybody without a repeat"),
        "churn_risk": ("DOUBLE", "Probability that the person buys nothing in the next horizon_days (BG/NBD), gone or not; never below 1 - p_alive"),
        "expected_purchase_value": ("DOUBLE", "Expected net revenue of a purchase day (Gamma-Gamma); NULL where it could not be fitted"),
        "lifetime_value": ("DOUBLE", "Expected net revenue of the next lifetime_days, discounted to feature_date"),
    },
    MODELS: {
        "feature_date": ("DATE", "The day as of whose end the models are fitted"),
        "n_buyers": ("BIGINT", "Persons of feat_user_purchases"),
        "n_repeat_buyers": ("BIGINT", "Those with a second purchase day"),
        "r": ("DOUBLE", "BG/NBD: shape of the purchase rates; NULL where the model could not be fitted, as all of its columns"),
        "alpha": ("DOUBLE", "BG/NBD: rate parameter of the purchase rates, weeks"),
        "a": ("DOUBLE", "BG/NBD: first parameter of the chances to leave"),
        "b": ("DOUBLE", "BG/NBD: second parameter of the chances to leave"),
        "bg_nbd_log_likelihood": ("DOUBLE", "BG/NBD: sum of the log-likelihood over the buyers"),
        "p": ("DOUBLE", "Gamma-Gamma: shape of a person's purchases; NULL where the model could not be fitted, as all of its columns"),
        "q": ("DOUBLE", "Gamma-Gamma: shape of the persons' scales"),
        "gamma": ("DOUBLE", "Gamma-Gamma: rate parameter of the persons' scales, in the currency of avg_repeat_value"),
        "gamma_gamma_log_likelihood": ("DOUBLE", "Gamma-Gamma: sum of the log-likelihood over the repeat buyers"),
        "value_correlation": ("DOUBLE", "Pearson's correlation of how often and how much repeat buyers buy; Gamma-Gamma assumes 0"),
        "notes": ("VARCHAR", "Why a model could not be used, and what is odd about it; '' where there is nothing to say"),
    },
}
_DESCRIPTIONS: Final = {
    VALUES: "What consenting buyers are expected to do, see docs/customer-value.md. One row per person_id and feature_date, those of feat_user_purchases.",
    MODELS: "The models behind feat_user_value: their parameters, by which its numbers can be computed again. One row per feature_date with buyers.",
}


@dataclass
class Estimated:
    """The files of both tables, not yet committed; what the night should say about them, and the run date's models."""

    files: dict[str, list["DataFile"]]
    notes: list[str] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)


def write(connection: "duckdb.DuckDBPyConnection", tables: "Lake", purchases: "list[DataFile]", options: "CustomerValue", *, run_date: date) -> Estimated:
    """Estimate from the Parquet files of feat_user_purchases, for each of its dates, and write both tables into the night's `tables`."""
    import pyarrow as pa

    relation = scan([tables.root / file.path for file in purchases], INPUT)
    dates = [day for (day,) in connection.execute(f"SELECT DISTINCT feature_date FROM {relation} ORDER BY 1").fetchall()]
    made = Estimated(files={VALUES: [], MODELS: []})
    values, models = [], []
    for day in dates:
        rows = connection.sql(f"SELECT {', '.join(INPUT)} FROM {relation} WHERE feature_date = DATE '{day}' ORDER BY person_id").to_arrow_table()
        found, record = _estimate(rows, options)
        values.append(found)
        models.append(_model_row(day, record))
        made.notes += _notes(day, record, is_run_date=day == run_date)
        made.metrics |= {"customer_value": models[-1] | {"feature_date": str(day)}} if day == run_date else {}
    if dates:
        made.files[VALUES] = _write(connection, tables, VALUES, pa.concat_tables(values), "feature_date, person_id")
        made.files[MODELS] = _write(connection, tables, MODELS, pa.Table.from_pylist(models), "feature_date")
    return made


def described() -> dict[str, dict[str, Any]]:
    """Both tables as a dbt project describes its models: description, and columns with theirs."""
    return {
        table: {"description": _DESCRIPTIONS[table], "columns": [{"name": name, "description": text} for name, (_, text) in columns.items()]}
        for table, columns in COLUMNS.items()
    }


def _estimate(rows: "pa.Table", options: "CustomerValue") -> "tuple[pa.Table, Record]":
    """One row per row of feat_user_purchases, in its order. What could not be estimated is NULL."""
    import numpy as np
    import pyarrow as pa

    from models.lifetime import Buyers, estimate

    columns = ("n_repeat_days", "repeat_span_days", "tenure_days", "avg_repeat_value")
    values, record = estimate(Buyers(*(rows.column(name).to_pandas().to_numpy(dtype=np.float64) for name in columns)), options)
    table = rows.select(["person_id", "feature_date"])
    for name in ("horizon_days", "lifetime_days"):
        table = table.append_column(name, pa.array(np.full(len(rows), getattr(options, name), dtype=np.int32)))
    for name in (name for name in COLUMNS[VALUES] if name not in table.column_names):
        table = table.append_column(name, pa.array(getattr(values, name), from_pandas=True))
    return table, record


def _model_row(day: date, record: "Record") -> dict[str, Any]:
    return {
        **dict.fromkeys(COLUMNS[MODELS]),
        "feature_date": day,
        "n_buyers": record.n_buyers,
        "n_repeat_buyers": record.n_repeat_buyers,
        **record.parameters,
        "bg_nbd_log_likelihood": record.log_likelihoods.get("BG/NBD"),
        "gamma_gamma_log_likelihood": record.log_likelihoods.get("Gamma-Gamma"),
        "value_correlation": record.correlation,
        "notes": " ".join(record.notes),
    }


def _notes(day: date, record: "Record", *, is_run_date: bool) -> list[str]:
    """What went wrong on any date, and on the run date how far an assumption holds: that how much is spent does not depend on how often."""
    notes = [f"Customer value as of {day}: {' '.join(record.notes)}"] if record.notes else []
    if is_run_date and record.correlation is not None:
        notes.append(
            f"Customer value as of {day}: {record.n_repeat_buyers} of {record.n_buyers} buyers have bought again; "
            f"how often and how much correlate by {record.correlation:.2f}, and Gamma-Gamma assumes 0."
        )
    return notes


def _write(connection: "duckdb.DuckDBPyConnection", tables: "Lake", name: str, rows: "pa.Table", order: str) -> "list[DataFile]":
    connection.register("estimated", rows)
    columns = ", ".join(f"{column}::{kind} AS {column}" for column, (kind, _) in COLUMNS[name].items())
    file = tables.write(connection, name, f"SELECT {columns} FROM estimated ORDER BY {order}")
    connection.unregister("estimated")
    return [] if file is None else [file]
