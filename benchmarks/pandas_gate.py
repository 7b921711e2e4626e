"""The peer of the gate: Great Expectations' pandas engine over the same Parquet files, with the events suite.

`python -m benchmarks.pandas_gate ENGINE TARGET PARQUET …`, where ENGINE is pandas or duckdb, writes the verdicts to TARGET as JSON:
[what is expected, column, does it hold, rows against it]. Of the suite's expectations those are left out that are SQL for want of an
expectation in the core that says the same: the types of the columns, and the share of events with an id. What the suite says in SQL, for pandas
is said otherwise: that event_date is the day of occurred_at by pandas itself, that no event_id comes twice by the core's expectation.
"""

import json
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import events

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation

    from dawnlist.settings import Settings

SQL_KINDS = ("unexpected_rows_counted", "expect_query_value_to_be_between")
DAY_OF_EVENT = "event_date is the UTC day of occurred_at"
UNIQUE = "no event_id comes twice"
SAID_OTHERWISE = (DAY_OF_EVENT, UNIQUE)


def check(engine: str, target: str, *parquet: str) -> None:
    """Run the suite with `engine` over the Parquet files and write its verdicts to `target`."""
    from dawnlist.settings import load

    settings, files = load(), [Path(path) for path in parquet]
    checked_for = datetime.combine(events.LAST_DAY, datetime.min.time()) + timedelta(days=1)
    found = _duckdb(settings, files, checked_for) if engine == "duckdb" else _pandas(settings, files, checked_for)
    Path(target).write_text(json.dumps(sorted(found, key=str)), encoding="utf-8")


def _duckdb(settings: "Settings", files: list[Path], checked_for: datetime) -> list[tuple[Any, ...]]:
    from dawnlist import validation

    verdict = validation.check(settings, "events", {"events": files}, source=events.NAME, checked_for=checked_for, run_id="bench")
    found = []
    for one in verdict.results:
        kind, _, what = one.expectation.partition(": ")
        if kind not in SQL_KINDS or what in SAID_OTHERWISE:
            found.append((what, None if what in SAID_OTHERWISE else one.column_name, one.is_success, 0 if one.is_success else one.n_unexpected))
    return found


def _pandas(settings: "Settings", files: list[Path], checked_for: datetime) -> list[tuple[Any, ...]]:
    import great_expectations as gx
    import pandas as pd
    from great_expectations.data_context.types.base import DataContextConfig, InMemoryStoreBackendDefaults

    frame = pd.concat([pd.read_parquet(path) for path in files])
    frame["event_date"] = pd.to_datetime(frame["event_date"])
    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False), analytics_enabled=False, progress_bars={"globally": False}
    )
    context = gx.get_context(project_config=config, mode="ephemeral")
    batch = context.data_sources.add_pandas("peer").add_dataframe_asset("events").add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    unique = gx.expectations.ExpectColumnProportionOfUniqueValuesToBeBetween(column="event_id", min_value=1.0, description=UNIQUE)
    suite = gx.ExpectationSuite("events", expectations=[*_core(settings, checked_for), unique])
    outcome = batch.validate(suite, result_format={"result_format": "BASIC", "partial_unexpected_count": 0})
    found = [_verdict(one) for one in outcome.results]
    broken = int((frame["occurred_at"].dt.normalize() != frame["event_date"]).sum())
    return [*found, (DAY_OF_EVENT, None, broken == 0, broken)]


def _core(settings: "Settings", checked_for: datetime) -> "list[Expectation]":
    from expectations.events import suite
    from expectations.kinds import Scope

    scope = Scope("events", events.NAME, checked_for, settings, frozenset({"events"}), {})
    return [one for one in suite(scope) if one.expectation_type not in SQL_KINDS]


def _verdict(one: Any) -> tuple[Any, ...]:
    what = one.expectation_config.description
    column = None if what in SAID_OTHERWISE else one.expectation_config.kwargs.get("column")
    return what, column, bool(one.success), 0 if one.success else one.result.get("unexpected_count")


if __name__ == "__main__":
    check(*sys.argv[1:])
