"""The hours of a day, replayed: lists as they would have been made at the end of each hour, judged by what the same persons took in the next one.

`learn` chooses how far a person's own trail is believed (models.recommenders.hourly) by the hours before the cut, and nothing after it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.sparse import csr_matrix

from models import evaluation
from models.inputs import Cut, Inputs
from models.lists import Score
from models.recommenders.base import blocks, exclude, top
from models.recommenders.events import Events, Floats, Ints
from models.recommenders.hourly import HOUR, WINDOW, Hourly, mixed, personal_shares
from models.recommenders.neighbours import ItemToItem

if TYPE_CHECKING:
    import duckdb

K: Final = 10
TRUSTS: Final = (0.03, 0.1, 0.3)
POPULAR_HALF_LIVES: Final = (0.03125, 0.0625, 0.125, 0.25, 0.5, 1.0, 2.0)  # hours
COVISITATION_HALF_LIVES: Final = (0.5, 8.0)
BALANCES: Final = (0.0, 0.5)
HOURS: Final = tuple(range(1, 25, 4))  # before the cut: of a day, every fourth
MAX_USERS: Final = 400  # of each hour
TRAIL: Final = "covisitation"
CROWD: Final = "popular_1h"  # the sources of what comes from the person's trail, and from everybody
HISTORY_DAYS: Final = 28
DIGITS: Final = 6


@dataclass(frozen=True)
class Turn:
    """One hour: the events before it that concern the `items` of the last 24 hours (sorted; numbered anew in `past`), the users who took something new in it (sorted),
    what of these items they took (their rows), how many new items in all, at least 1, and how many hours ago their last event was.
    """

    items: Ints
    past: Events
    users: Ints
    taken: csr_matrix
    n_taken: Ints
    idle_hours: Floats


def turns(events: Events, hours: Sequence[int], *, max_users: int | None = None, seed: int = 0) -> Iterator[Turn]:
    """The hours that begin so many hours before the end of `events`, of users with an event before it; at most `max_users` of them, drawn by `seed`.

    An hour in which nobody known takes anything new is left out.
    """
    for hour in hours:
        past = events.only(events.ages > hour * HOUR, younger_by=hour * HOUR)
        now = events.only((events.ages <= hour * HOUR) & (events.ages > (hour - 1) * HOUR))
        taken = (now.seen - now.seen.multiply(past.seen)).tocsr()
        taken.eliminate_zeros()
        users = np.flatnonzero((np.diff(taken.indptr) > 0) & (np.diff(past.seen.indptr) > 0))
        if max_users is not None and len(users) > max_users:
            users = np.sort(np.random.default_rng([seed, hour]).choice(users, max_users, replace=False))
        if len(users):
            items = current_items(past)
            idle = np.full(past.n_users, np.inf)
            np.minimum.at(idle, past.user, past.ages / HOUR)
            yield Turn(items, only_items(past, items), users, taken[users][:, items], np.diff(taken[users].indptr), idle[users])


def current_items(events: Events, *, window: float = WINDOW) -> Ints:
    """The items with an event in the last `window` hours, sorted."""
    return np.unique(events.item[events.ages < window * HOUR])


def only_items(events: Events, items: Ints) -> Events:
    """The events of the `items` (sorted), which are numbered anew in their order."""
    rows = np.isin(events.item, items)
    return Events(events.user[rows], np.searchsorted(items, events.item[rows]), events.weight[rows], events.ages[rows], events.n_users, len(items))


def hits_of(turn: Turn, scores: Floats, depth: int = evaluation.DEPTH, *, rows: slice = slice(None)) -> "np.ndarray[tuple[int, int], np.dtype[np.bool_]]":
    """The hit matrix of the lists that `scores` (one row for each of the turn's users in `rows`; changed in place) make of what is new to the users."""
    best = top(exclude(scores, turn.past.seen[turn.users[rows]]), depth)
    person = np.repeat(np.arange(len(best)), best.shape[1])
    found = np.asarray(turn.taken[rows][person, np.maximum(best, 0).ravel()]).reshape(best.shape) > 0
    hits = np.zeros((len(best), depth), dtype=bool)
    hits[:, : best.shape[1]] = found & (best >= 0)
    return hits


def learn(events: Events, *, seed: int, hours: Sequence[int] = HOURS, max_users: int = MAX_USERS) -> tuple[Hourly, float]:
    """The settings with the highest mean nDCG@10 over the users of the replayed hours, and that mean; of equals the first, so that no trust goes before some.

    First popularity alone, then the trail with it, then popularity again: coordinate ascent on the metric.
    """
    replayed = list(turns(events, hours, max_users=max_users, seed=seed))
    best, value = Hourly(trust=0.0), -1.0

    def climb(tried: Sequence[Hourly]) -> None:
        nonlocal best, value
        for one, reached in zip(tried, _ndcg(replayed, tried), strict=True):
            if reached > value:
                best, value = one, reached

    if replayed:
        climb([replace(best, popular_half_life=hours) for hours in POPULAR_HALF_LIVES])
        trails = [replace(best, covisitation_half_life=hours, balance=balance) for hours in COVISITATION_HALF_LIVES for balance in BALANCES]
        climb([replace(trail, trust=trust) for trail in trails for trust in TRUSTS])
        climb([replace(best, popular_half_life=hours) for hours in POPULAR_HALF_LIVES])
    return best, max(value, 0.0)


def _ndcg(replayed: Sequence[Turn], tried: Sequence[Hourly]) -> list[float]:
    """The mean over all users of all turns, for each of the settings; what several of them share is worked out once a turn."""
    sums, n_users = np.zeros(len(tried)), 0
    for turn in replayed:
        shares: dict[float, Floats] = {}
        personal: dict[tuple[float, float], Floats] = {}
        profiles = tried[0].covisitation.profiles(turn.past)[turn.users]
        for number, one in enumerate(tried):
            popular, trail = one.popular_half_life, (one.covisitation_half_life, one.balance)
            if popular not in shares:
                shares[popular] = one.shares(turn.past)
            if trail not in personal:
                personal[trail] = personal_shares(ItemToItem(profiles, one.nearby(turn.past)), np.arange(len(turn.users)))
            hits = hits_of(turn, mixed(shares[popular], personal[trail], one.trust), K)
            sums[number] += evaluation.ndcg(hits, turn.n_taken, K).sum()
        n_users += len(turn.users)
    return [round(float(total / n_users), evaluation.DIGITS) for total in sums]


@dataclass(frozen=True)
class Known:
    """Personal events of the last 28 days before a cut; `person_ids[u]` is user u. Items have the numbers of the table item."""

    events: Events
    person_ids: Any


def events_of(connection: "duckdb.DuckDBPyConnection", inputs: Inputs, cut: Cut) -> Known:
    """The personal interactions before the cut. Needs the table item."""
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE trail AS
        SELECT person_id, i, (dense_rank() OVER (ORDER BY person_id) - 1)::INTEGER AS u, (epoch_us({cut.end}) - epoch_us(occurred_at)) / 86.4e9 AS age
        FROM {inputs.relation("fct_interactions")} JOIN item USING (item_id)
        WHERE is_personal AND occurred_at < {cut.end} AND occurred_at >= {cut.end} - INTERVAL {HISTORY_DAYS} DAY ORDER BY u, i, age
    """)
    rows: dict[str, Any] = connection.execute("SELECT u, i, age FROM trail").fetchnumpy()
    person_ids = connection.sql("SELECT DISTINCT u, person_id FROM trail ORDER BY u").to_arrow_table().column("person_id")
    [(n_items,)] = connection.execute("SELECT count(*) FROM item").fetchall()
    return Known(Events(rows["u"], rows["i"], np.ones(len(rows["u"])), rows["age"], len(person_ids), n_items), person_ids)


def score_by(model: Hourly, known: Known, *, keep: int) -> Score:
    """Scores by the mixture: the first `keep` items of each person that are listable and that the rules do not exclude. Needs the tables person, item and excluded."""
    import pyarrow as pa

    items = current_items(known.events)
    events = only_items(known.events, items)
    shares, nearby, profiles = model.shares(events), model.nearby(events), model.covisitation.profiles(events)
    row_of = {"person_id": known.person_ids, "u": np.arange(events.n_users)}

    def score(connection: "duckdb.DuckDBPyConnection", first: int, last: int) -> None:
        connection.register("trail_users", pa.table(row_of))
        rows: dict[str, Any] = connection.execute(
            f"SELECT p, u FROM person JOIN trail_users USING (person_id) WHERE p >= {first} AND p < {last} ORDER BY p"
        ).fetchnumpy()
        connection.unregister("trail_users")
        hidden = _hidden(connection, first, last, items)
        parts = []
        for places in blocks(np.arange(len(rows["p"])), max(len(items), 1)):
            personal = personal_shares(ItemToItem(profiles, nearby), rows["u"][places])
            scores = mixed(shares, personal, model.trust)
            best = top(exclude(scores, hidden[rows["p"][places] - first]), keep)
            value, trail = (np.take_along_axis(values, np.maximum(best, 0), axis=1) for values in (scores, personal))
            row, column = np.nonzero((best >= 0) & (value > 0))
            of_trail = model.trust * trail[row, column] > (1 - model.trust) * shares[best[row, column]]
            parts.append((rows["p"][places][row], items[best[row, column]], column + 1, value[row, column].astype(np.float64), of_trail))
        connection.register("scored_hour", _table(parts))
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE scored AS SELECT p, i, place, round(score, {DIGITS}) AS score, if(of_trail, '{TRAIL}', '{CROWD}') AS source FROM scored_hour"
        )
        connection.unregister("scored_hour")

    return score


def _hidden(connection: "duckdb.DuckDBPyConnection", first: int, last: int, items: Ints) -> csr_matrix:
    """One row per person, one column per item of `items`: what must not be on the list."""
    found: dict[str, Any] = connection.execute(f"""
        SELECT p - {first} AS row, i FROM excluded WHERE p >= {first} AND p < {last}
        UNION SELECT p - {first}, i FROM person CROSS JOIN (SELECT i FROM item WHERE NOT is_listable) WHERE p >= {first} AND p < {last}
    """).fetchnumpy()
    is_current = np.isin(found["i"], items)
    columns = np.searchsorted(items, found["i"][is_current])
    return csr_matrix((np.ones(len(columns), dtype=np.float32), (found["row"][is_current], columns)), shape=(last - first, len(items)))


def _table(parts: Sequence[Sequence[Any]]) -> Any:
    import pyarrow as pa

    kinds = {"p": pa.int32(), "i": pa.int32(), "place": pa.int64(), "score": pa.float64(), "of_trail": pa.bool_()}
    return pa.table({name: pa.array(np.concatenate([part[n] for part in parts]) if parts else [], kind) for n, (name, kind) in enumerate(kinds.items())})


def described(model: Hourly) -> dict[str, Any]:
    """The settings as JSON has them."""
    return asdict(model)


def from_description(document: Mapping[str, Any]) -> Hourly:
    """What `described` described; other figures beside it are passed over."""
    return Hourly(**{name: document[name] for name in Hourly.__dataclass_fields__})
