"""The ground truth beside the landed files, for tests: what no pipeline can see, and the faults with their counts."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dawnlist.columns import CONSENT_PURPOSES
from dawnlist.simulate import behaviour as kinds
from dawnlist.simulate.catalogue import Catalogue
from dawnlist.simulate.events import BAD_TIMESTAMP, TRUNCATED, Events, Landed
from dawnlist.simulate.lines import user_ids
from dawnlist.simulate.people import Consents, People
from dawnlist.simulate.text import uuid
from dawnlist.simulate.visits import Visits
from dawnlist.simulate.words import COUNTRIES, DEPARTMENTS
from dawnlist.simulate.world import HOUR_MS, Array, Rates, Window


def fault_counts(events: Events, visits: Visits, landed: Landed, answers: Consents) -> dict[str, int]:
    """How many lines, or answers, of each kind landed. `late`: received at least an hour after they happened. Kinds may overlap."""
    row = landed.event
    delay = landed.received_at - events.at[row]
    bot = visits.bot[events.session[row]]
    return {
        "late": int((delay >= HOUR_MS).sum()),
        "duplicates": landed.n_duplicates,
        "truncated": int((landed.fault == TRUNCATED).sum()),
        "bad_timestamp": int((landed.fault == BAD_TIMESTAMP).sum()),
        "bots_by_user_agent": int((bot == 1).sum()),
        "bots_by_rate": int((bot == 2).sum()),
        "refunds": int((events.kind[row] == kinds.REFUND).sum()),
        "withdrawals": int(answers.is_withdrawal.sum()),
    }


def write(
    folder: Path,
    *,
    people: People,
    goods: Catalogue,
    visits: Visits,
    anonymous_ids: Array,
    answers: Consents,
    faults: dict[str, int],
    arguments: dict[str, Any],
) -> None:
    """Write users, items, categories, anonymous ids, withdrawals and faults as Parquet, and the arguments as JSON."""
    folder.mkdir()
    tables = {
        "users": _users(people),
        "items": _items(goods),
        "categories": pa.table({"category": _departments(np.arange(goods.n_categories)), "factors": _vectors(goods.category_vectors)}),
        "anonymous_users": _anonymous_users(visits, anonymous_ids),
        "withdrawals": _withdrawals(answers),
        "faults": pa.table({"fault": list(faults), "n": list(faults.values())}),
    }
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet", compression="zstd")
    (folder / "simulation.json").write_text(json.dumps(arguments, indent=1, sort_keys=True, default=str) + "\n", encoding="utf-8")


def arguments_of(window: Window, users: int, items: int, seed: int, rates: Rates) -> dict[str, Any]:
    """What was asked for, as truth/simulation.json keeps it."""
    return {"users": users, "items": items, "days": window.days, "seed": seed, "first_day": window.first, "last_day": window.last, "rates": asdict(rates)}


def _users(people: People) -> pa.Table:
    """One row a visitor, with an account or not. `affinity`: share of each category, in the order of categories.parquet."""
    return pa.table(
        {
            "customer_id": user_ids(np.arange(people.n_people)),
            "country": [COUNTRIES[number].code for number in people.country],
            "sessions_per_day": people.sessions_per_day,
            "factors": _vectors(people.tastes),
            "affinity": _vectors(people.affinity),
        }
    )


def _items(goods: Catalogue) -> pa.Table:
    return pa.table({"item_id": goods.ids, "category": _departments(goods.category), "popularity": goods.popularity, "factors": _vectors(goods.vectors)})


def _anonymous_users(visits: Visits, anonymous_ids: Array) -> pa.Table:
    """One row a pair of anonymous id and visitor; `is_shared` where two visitors used the device. Bots have no customer_id."""
    pairs = np.unique(np.stack([visits.cookie, visits.person, visits.bot], axis=1), axis=0)
    cookie, person, bot = pairs.T
    times = np.bincount(cookie)[cookie] if len(cookie) else cookie
    customer = pa.array([None if is_bot else name for name, is_bot in zip(user_ids(person).to_pylist(), bot > 0, strict=True)], pa.string())
    return pa.table({"anonymous_id": uuid(anonymous_ids[cookie]), "customer_id": customer, "is_shared": times > 1, "bot": bot})


def _withdrawals(answers: Consents) -> pa.Table:
    rows = np.flatnonzero(answers.is_withdrawal)
    moments = pa.array(answers.changed_at[rows]).cast(pa.timestamp("ms"))
    return pa.table({"customer_id": user_ids(answers.person[rows]), "purpose": [CONSENT_PURPOSES[p] for p in answers.purpose[rows]], "changed_at": moments})


def _departments(numbers: Array) -> list[str]:
    return [DEPARTMENTS[number].name for number in numbers]


def _vectors(matrix: Array) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.astype(np.float32).ravel()), matrix.shape[1])
