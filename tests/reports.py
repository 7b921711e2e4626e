"""Two nights that are published, written by hand, with everything that a report tells of."""

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from dawnlist import data_docs
from dawnlist.duck import connect
from dawnlist.lake import Lake
from dawnlist.settings import Settings
from dawnlist.stages import execute
from dawnlist.stages.base import Interval, Night, StageResult
from models import aliases, registry
from models.aliases import Decision
from tests import nights
from tests.nights import ANN, BOB, EVE, RUN_DATE
from tests.published import say

BEFORE = RUN_DATE - timedelta(days=1)
GUS = "f" * 32
HOSTILE = "<script>document.title = 'taken'</script>"
METRICS = {
    "ranker": {"ndcg@10": 0.4, "recall@20": 0.5, "hit_rate@10": 0.6, "coverage@20": 0.7},
    "sources": {
        "own": {"ndcg@10": 0.3, "recall@20": 0.4, "hit_rate@10": 0.5, "coverage@20": 0.6},
        "popular_7d": {"ndcg@10": 0.1, "recall@20": 0.2, "hit_rate@10": 0.3, "coverage@20": 0.1},
    },
    "most_popular": {"name": "popular_7d", "ndcg@10": 0.1},
    "difference": {"ndcg@10": [0.2, 0.3, 0.4]},
    "difference_served": {"ndcg@10": [0.2, 0.3, 0.4]},
    "n_users": 1200,
}
CHECKS = {
    "popularity": {"value": 0.2, "limit": 0.0, "holds": True},
    "champion": {"value": -0.02, "limit": -0.01, "holds": False, "interval": [-0.02, 0.01, 0.04]},
}


def home(folder: Path) -> Settings:
    """Settings of a home with the nights of BEFORE and RUN_DATE; the second was the champion's, and its challenger was not promoted."""
    settings = nights.settings_in(folder)
    champion = _models(settings)
    _land(settings)
    for day, lists in ((BEFORE, {ANN: ["lamp", "mug", "rug"], BOB: ["pen", "lamp"], GUS: ["mug"]}), (RUN_DATE, nights.LISTS)):
        nights.write(settings, day, lists=lists)
        _marts(settings, day)
        _records(settings, day, champion)
        for stage, moment in (("publish", "published_at"), ("export", "created_at")):
            execute(settings, stage, Interval.day(day), run_id=f"run-{day}", **{moment: datetime(2026, 11, day.day + 1, 5)})
    _check(settings)
    return settings


def _land(settings: Settings) -> None:
    """Four events on the day before, six on the day; one file of ten records."""
    lake = Lake(settings.lake_dir)
    with connect(settings) as connection:
        files = [
            lake.write(connection, "events", f"SELECT i AS event_id, DATE '{day}' AS event_date FROM range({n}) AS rows(i)", partition=day)
            for day, n in ((BEFORE, 4), (RUN_DATE, 6))
        ]
        judged = f"""
            SELECT DATE '{RUN_DATE}' AS run_date, 'away' AS trigger, 'person' AS kind, 'recency_days above 30' AS condition, 2 AS n_judged, 1 AS n_held, 1 AS n_fired,
                NULL::DOUBLE AS value, NULL::DOUBLE AS value_before, 'tag win_back' AS note"""
        triggers = lake.write(connection, "trigger_nights", judged, partition=RUN_DATE)
    lake.commit({"events": [file for file in files if file], "trigger_nights": [file for file in [triggers] if file]}, run_id="load")
    file = {"source": "store", "input": "events", "file_id": "f1", "file_name": "day.jsonl", "file_time": f"{RUN_DATE} 05:00:00", "batch_id": "b1"}
    counts = {"n_read": 10, "n_kept": 6, "n_quarantined": 2, "n_duplicates": 1, "n_ignored": 1}
    bad = {"source": "store", "input": "events", "file_id": "f1", "file_name": "day.jsonl", "field": "occurred_at", "reason": HOSTILE}
    score = {"run_date": RUN_DATE, "source": "store", "dimension": "total", "score": 0.75, "weight": 1, "detail": "weighted mean", "run_id": "run-1"}
    say(settings, ledger=[file | counts | {"changed_days": f"[{RUN_DATE}]"}], quarantine=[bad | {"line": line} for line in (1, 2)], source_scores=[score])


def _marts(settings: Settings, day: date) -> None:
    """The marts that a report reads, beyond those of tests.nights."""
    tables = {
        "dim_users": f"""
            SELECT * FROM (VALUES ('{ANN}', 'store', false, true, DATE '{day}', DATE '{day}'), ('{BOB}', 'store', false, true, DATE '2026-01-01', DATE '{day}'),
            ('{EVE}', 'store', true, false, DATE '2026-01-01', DATE '2026-01-02'))
            AS rows(person_id, source, is_anonymous, has_personalisation_consent, first_seen_at, last_seen_at)""",
        "dim_items": f"""
            SELECT * FROM (VALUES ('lamp', $title${HOSTILE}$title$, 'light', true, false), ('mug', 'Mug', 'desk', true, false), ('pen', 'Pen', 'desk', true, false),
            ('rug', 'Rug', 'light', true, false), ('gone', NULL, NULL, false, false), ('blocked', 'Blocked', NULL, true, true))
            AS rows(item_id, title, category, is_available, is_blocked)""",
        "feat_user_rfm": f"""
            SELECT * FROM (VALUES ('{ANN}', DATE '{day}', 5, 5, 100.0::DOUBLE), ('{BOB}', DATE '{day}', 5, 5, 50.0), ('{EVE}', DATE '{day}', 1, 1, 10.0))
            AS rows(person_id, feature_date, r_score, f_score, monetary)""",
        "fct_daily_kpis": f"""
            SELECT 'store' AS source, DATE '{day}' - i AS event_date, 10 - i AS n_visitors, 20 AS n_sessions, 0.5::DOUBLE AS bounce_rate, 2 AS n_orders,
                12.5::DECIMAL(18, 4) AS net_revenue, 0.1::DOUBLE AS conversion_rate, NULL::DOUBLE AS cart_abandonment_rate FROM (SELECT range::INTEGER AS i FROM range(4))""",
    }
    night = Night.load(settings, day)
    with connect(settings) as connection:
        files = {name: [night.tables.write(connection, name, query)] for name, query in tables.items()}
    night.tables.commit({name: [file for file in found if file] for name, found in files.items()}, run_id="marts")


def _records(settings: Settings, day: date, champion: str) -> None:
    """Run records: each stage took one second, and two on the newer night."""
    seconds = 2.0 if day == RUN_DATE else 1.0
    more: dict[str, dict[str, Any]] = {
        "open": {"metrics": {"training": "the newest model is 7 days old"}},
        "recommend": {
            "rows_in": 3,
            "rows_out": 6,
            "counts": {"n_ranked_persons": 2},
            "metrics": {"model_version": champion, "psi": {"score": 0.3, "own_rank": 0.05}, "decay": None, "asks_for_training": "the scores moved"},
            "notes": [f"a rule names an item that is not there: {HOSTILE}"],
        },
    }
    for hour in ("05", "06"):
        StageResult("ingest", f"{day}T{hour}", seconds=0.5, rows_in=5, rows_out=3, notes=["store: 2 of 5 records cannot be read"]).save(settings)
    for stage in ("open", "recommend"):
        StageResult(stage, str(day), run_id=f"run-{day}", seconds=seconds, **more[stage]).save(settings)


def _models(settings: Settings) -> str:
    champion = registry.save(settings.models_dir, BEFORE, {}, {"served": "ranker", "metrics": METRICS})
    challenger = registry.save(settings.models_dir, RUN_DATE, {}, {"served": "own", "metrics": METRICS})
    promoted = Decision(str(BEFORE), "run-0", aliases.PROMOTED, aliases.TRAINING, champion, None, champion, "there is no champion that can serve", {})
    kept = Decision(str(RUN_DATE), "run-1", aliases.KEPT, aliases.TRAINING, challenger, champion, champion, "it may lose to the champion", CHECKS)
    aliases.update(settings.models_dir, lambda known: known.with_(promoted).with_(kept))
    return champion


def _check(settings: Settings) -> None:
    """The day's suite warned about one of two expectations; the suite of the lists held."""
    end = datetime.combine(RUN_DATE + timedelta(days=1), datetime.min.time()).isoformat()
    held = {"severity": "critical", "success": True, "column": None, "expected": "there are rows", "observed": "6"}
    warned = {"severity": "warning", "success": False, "column": "event_date", "expected": "as many as usual", "observed": HOSTILE}
    for suite, results in (("day", [held, warned]), ("recommendations", [held])):
        data_docs.keep_document(settings, {"suite": suite, "source": "store", "checked_for": end, "run_id": "run-1", "success": True, "results": results})
