"""Globo's 2017-10-09, hour by hour: lists refreshed at the end of each hour against the most clicked of that hour, judged by the clicks of the next one.

Train is what was clicked before 2017-10-09 00:00 UTC; readers who occur in it are judged, by items that are new to them. How fast popularity fades and how far trails are
believed is learnt from the hours of 2017-10-08 alone. A reader's figure is the mean over the hours in which the reader took something new; intervals are
of paired bootstraps over readers. `active_<n>h` are the readers with a click in the n hours before, `everybody` has a new list every hour; `refresh_<n>h` is what the stage does with
refresh.active_hours = n: who is not active keeps the list of midnight, the most clicked of its last hour.
"""

import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from benchmarks.nights import landing_of
from benchmarks.record import Record
from benchmarks.splits import GLOBO
from models import evaluation, hourly
from models.recommenders.base import blocks
from models.recommenders.events import Events, Floats
from models.recommenders.hourly import HOUR, Hourly, mixed, personal_shares
from models.recommenders.neighbours import ItemToItem

DAY, END = "TIMESTAMP '2017-10-09'", "TIMESTAMP '2017-10-10'"
HOURS = range(24, 0, -1)  # before the end
SEED = 1
ACTIVE_HOURS = (24, 72, 168)
MEASURES: dict[str, Callable[[Any, Any], Any]] = {
    "ndcg@10": lambda hits, n_relevant: evaluation.ndcg(hits, n_relevant, 10),
    "recall@20": lambda hits, n_relevant: evaluation.recall(hits, n_relevant, 20),
}


def run(folder: Path) -> Record:
    """Learn, replay the day once, and compare."""
    landing = landing_of("globo_news")
    started = time.monotonic()
    model, reached = hourly.learn(events_before(landing, DAY), seed=SEED)
    learnt = time.monotonic() - started
    rows = replay(events_before(landing, END), model, n_known=n_users_before(landing, DAY))
    figures, seconds = compared(rows), round(time.monotonic() - started, 1)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    return Record(
        name="refresh_day",
        compared="nDCG@10 of lists refreshed every hour against the most clicked of the last hour, refreshed as often; one process makes both",
        our_seconds=seconds,
        peer_seconds=seconds,
        peak_mib=peak_mib,
        peer_peak_mib=peak_mib,
        sizes={"hours": len(HOURS), "lists": len(rows["user"]), "readers": len(np.unique(rows["user"]))},
        details={"learnt": hourly.described(model), "validation_ndcg@10": reached, "learning_seconds": round(learnt, 1), **figures},
        ratio_of=(figures["refresh_168h"]["ndcg@10"]["ours"], figures["refresh_168h"]["ndcg@10"]["last_hour"]),
    )


def events_before(landing: Path, end: str) -> Events:
    """The clicks before `end`, readers and articles numbered in the order in which they first came: numbers do not depend on `end`."""
    with duckdb.connect() as connection:
        rows: dict[str, Any] = connection.execute(f"""
            WITH events AS ({GLOBO.format(data=landing.parent)}),
            people AS (SELECT user_id, row_number() OVER (ORDER BY min(occurred_at), user_id) - 1 AS u FROM events GROUP BY user_id),
            articles AS (SELECT item_id, row_number() OVER (ORDER BY min(occurred_at), item_id) - 1 AS i FROM events GROUP BY item_id)
            SELECT u::INTEGER AS u, i::INTEGER AS i, (epoch_us({end}) - epoch_us(occurred_at)) / 86.4e9 AS age
            FROM events JOIN people USING (user_id) JOIN articles USING (item_id) WHERE occurred_at < {end} ORDER BY ALL
        """).fetchnumpy()
    return Events(rows["u"], rows["i"], np.ones(len(rows["u"])), rows["age"], int(rows["u"].max()) + 1, int(rows["i"].max()) + 1)


def n_users_before(landing: Path, end: str) -> int:
    """How many readers clicked before `end`: theirs are the first numbers."""
    return events_before(landing, end).n_users


def replay(events: Events, model: Hourly, *, n_known: int) -> dict[str, Any]:
    """One row per reader and hour: user, hours since the last click, and each measure of each kind of list, as `<kind> <measure>`."""
    past = events.only(events.ages > 24 * HOUR, younger_by=24 * HOUR)
    midnight = clicks_of_last_hour(past)
    parts: list[dict[str, Any]] = []
    for turn in hourly.turns(events, HOURS):
        shares, peer = model.shares(turn.past), clicks_of_last_hour(turn.past)
        trails = ItemToItem(model.covisitation.profiles(turn.past), model.nearby(turn.past))
        for rows in blocks(np.flatnonzero(turn.users < n_known), len(turn.items)):
            users, span = turn.users[rows], slice(rows[0], rows[-1] + 1)
            scores = {
                "refreshed": mixed(shares, personal_shares(trails, users), model.trust),
                "last_hour": np.tile(peer, (len(users), 1)),
                "night": np.tile(midnight[turn.items], (len(users), 1)),
            }
            part = {"user": users, "idle_hours": turn.idle_hours[span]}
            for kind, values in scores.items():
                hits = hourly.hits_of(turn, values, rows=span)
                part |= {f"{kind} {name}": measure(hits, turn.n_taken[span]) for name, measure in MEASURES.items()}
            parts.append(part)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def clicks_of_last_hour(events: Events) -> Floats:
    """Clicks of the last hour per article."""
    return np.bincount(events.item[events.ages <= HOUR], minlength=events.n_items).astype(np.float32)


def compared(rows: dict[str, Any]) -> dict[str, Any]:
    """Means per reader, and the interval of ours less the peer's: of active readers, of all with every list refreshed, and of all as the stage does it."""
    everybody = np.ones(len(rows["user"]), dtype=bool)
    found = {"everybody": _figures(rows, everybody, everybody)}
    for hours in ACTIVE_HOURS:
        active = rows["idle_hours"] <= hours
        found |= {f"active_{hours}h": _figures(rows, active, active), f"refresh_{hours}h": _figures(rows, everybody, active)}
    return found


def _figures(rows: dict[str, Any], judged: Any, active: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"n_readers": len(np.unique(rows["user"][judged]))}
    for name in MEASURES:
        ours = np.where(active, rows[f"refreshed {name}"], rows[f"night {name}"])
        first, second = (_per_reader(rows["user"][judged], values[judged]) for values in (ours, rows[f"last_hour {name}"]))
        found[name] = {
            "ours": round(float(first.mean()), evaluation.DIGITS),
            "last_hour": round(float(second.mean()), evaluation.DIGITS),
            "difference": evaluation.bootstrap_difference(first, second, seed=SEED),
        }
    return found


def _per_reader(users: Any, values: Any) -> "evaluation.PerPerson":
    _, number = np.unique(users, return_inverse=True)
    return np.asarray(np.bincount(number, weights=values) / np.bincount(number), dtype=np.float64)
