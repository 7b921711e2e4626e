"""What everybody will come to after a cut, as a popular list beside those of the windows before it: see models.recommenders.forecast for how it is learnt."""

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from models.inputs import FORECASTS, Cut
from models.recommenders.events import Events
from models.recommenders.forecast import Forecast

if TYPE_CHECKING:
    import duckdb

LENGTH: Final = 100  # as long as the windows' lists
PAST_HORIZONS: Final = 12  # of interactions that it learns from
SCHEMA: Final = pa.schema([("rank", pa.int32()), ("item_id", pa.string()), ("score", pa.float64())])


def create_forecast(connection: "duckdb.DuckDBPyConnection", interactions: str, cut: Cut, *, seed: int, table: str = FORECASTS) -> str:
    """Temp table `table`: feature_date, rank, item_id and score: how many persons are expected to come to it for the first time in the label window, or how often, where what is seen may be shown again; the first LENGTH. Gives its query, in one order.

    `interactions`: a relation of person_id, item_id and occurred_at; only what lies before the cut counts. Empty where the past holds no moment with a label window before and after it.
    """
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE _forecast_past AS
        SELECT person_id, item_id, (epoch_us({cut.end}) - epoch_us(occurred_at)) / 86.4e9 AS age FROM {interactions}
        WHERE person_id IS NOT NULL AND item_id IS NOT NULL AND occurred_at < {cut.end} AND occurred_at >= {cut.end} - INTERVAL {PAST_HORIZONS * cut.horizon_days} DAY
    """)
    events, items = _events(connection)
    learner = Forecast(cut.horizon_days, repeats=not cut.exclude_seen)
    scores = learner.fit(events, seed=seed).item_scores if learner.can_learn(events) else np.zeros(0, dtype=np.float32)
    best = np.argsort(-scores, kind="stable")[:LENGTH]
    found = {"rank": np.arange(1, len(best) + 1, dtype=np.int32), "item_id": items.take(pa.array(best)), "score": np.round(scores[best].astype(np.float64), 6)}
    connection.register("_forecast_found", pa.table(found, schema=SCHEMA))
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT {cut.date} AS feature_date, * FROM _forecast_found")
    connection.unregister("_forecast_found")
    connection.execute("DROP TABLE _forecast_past")
    return f"SELECT * FROM {table} ORDER BY feature_date, rank"


def _events(connection: "duckdb.DuckDBPyConnection") -> tuple[Events, pa.ChunkedArray]:
    """The past by numbers, in one order, and the items' ids by number."""
    rows: dict[str, Any] = connection.execute("""
        WITH persons AS (SELECT person_id, row_number() OVER (ORDER BY person_id) - 1 AS u FROM (SELECT DISTINCT person_id FROM _forecast_past)),
        items AS (SELECT item_id, row_number() OVER (ORDER BY item_id) - 1 AS i FROM (SELECT DISTINCT item_id FROM _forecast_past))
        SELECT u::INTEGER AS u, i::INTEGER AS i, age FROM _forecast_past JOIN persons USING (person_id) JOIN items USING (item_id) ORDER BY ALL
    """).fetchnumpy()
    ids = connection.sql("SELECT DISTINCT item_id FROM _forecast_past ORDER BY item_id").to_arrow_table().column("item_id")
    n_users = int(rows["u"].max()) + 1 if len(ids) else 0
    return Events(rows["u"], rows["i"], np.ones(len(rows["u"])), rows["age"], n_users, len(ids)), ids
