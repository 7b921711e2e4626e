"""The lists of a run date: the served strategy's order of each person's candidates, topped up with what is popular where they are.

Everybody has a list. With consent and a history: candidates in the served order, then the fallback. With consent and no history: the
fallback of their country or device, then the global one. Without consent: the global one, made from nobody's own history.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dawnlist.duck import literal
from models import frame, popular, ranker, registry
from models.inputs import Inputs
from models.policies import applied, category_cap, not_excluded, top

if TYPE_CHECKING:
    import duckdb

REASONS: Final = {
    "own": "you chose it before",
    "item_to_item": "similar to items you viewed",
    "repeats": "you bought it before",
    "covisitation": "viewed with items you viewed lately",
    "rp3beta": "chosen by people who chose what you did",
    "content": "like items you viewed, by its description",
    "popular_category": "popular in your favourite category",
    "popular_segment": "popular with people like you",
    "als": "liked by people with a similar taste",
    "popular_country": "popular in your country",
    "popular_device": "popular on your device",
    "popular_global": "popular with everybody",
    "popular_1h": "popular in the last hour",
    "popular_6h": "popular in the last hours",
    "popular_1d": "popular today",
    "popular_7d": "popular this week",
    "popular_28d": "popular this month",
    "trending": "trending now",
}
SCORE_DIGITS: Final = 6
_REASON: Final = f"map({list(REASONS)}, {list(REASONS.values())})[source]"


def create_fallback(connection: "duckdb.DuckDBPyConnection", inputs: Inputs) -> None:
    """Table `other` (who has no history or no consent: person_id, country, device, is_personal) and table `fallback` of all countries and devices.

    Needs the tables person and scope_list.
    """
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE other AS
        SELECT person_id, if(is_personal, country, NULL) AS country, if(is_personal, device, NULL) AS device, is_personal
        FROM (SELECT person_id, country, device, coalesce(has_personalisation_consent, false) AS is_personal FROM {inputs.relation("dim_users")})
        ANTI JOIN person USING (person_id)
    """)
    audience = "SELECT country, device FROM person UNION SELECT country, device FROM other"
    connection.execute(f"CREATE OR REPLACE TEMP TABLE fallback AS {popular.fallback(audience)} ORDER BY country, device, place")


@dataclass(frozen=True)
class Order:
    """How a model orders candidates: by the ranker's `booster`, else by the source `leader` first, else by the fusion alone."""

    booster: Any | None
    leader: str | None
    weights: Mapping[str, float]
    keep: int

    @classmethod
    def of(cls, model: registry.Model, *, keep: int, as_judged: bool = False) -> "Order":
        """The order of a registered model; `keep` candidates per person are looked at. `as_judged`: by the trees before the evaluation slice was fitted."""
        served, trees = model.metadata["served"], model.judged if as_judged else model.ranker
        leader = served if served in frame.SINGLE else None
        return cls(ranker.from_text(trees) if trees else None, leader, model.metadata["weights"], keep)


def score(connection: "duckdb.DuckDBPyConnection", order: Order, *, first: int, last: int, threads: int) -> None:
    """Table `scored` of the persons first <= p < last, one row per (p, i): place, score and source in the served order.

    With a ranker the score is its, comparable within a list; else it is the reciprocal of the place.
    """
    import pyarrow as pa

    query = frame.frame(first=first, last=last, keep=order.keep, weights=order.weights, features=order.booster is not None, leader=order.leader)
    names = f"list_extract({list(frame.SOURCES)}, source + 1)"
    if order.booster is None:
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE scored AS SELECT p, i, place, round(1 / place, {SCORE_DIGITS}) AS score, {names} AS source FROM ({query})"
        )
        return
    table: pa.Table = connection.sql(query).to_arrow_table()
    scores = ranker.score(order.booster, ranker.matrix(table), threads=threads)
    places = ranker.ranks(table.column("p").to_numpy(), table.column("i").to_numpy(), scores)
    ordered = table.select(["p", "i", "source"]).append_column("place", pa.array(places)).append_column("score", pa.array(scores))
    connection.register("ordered", ordered)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE scored AS SELECT p, i, place, score, {names} AS source FROM ordered")
    connection.unregister("ordered")


def personal(*, first: int, last: int, length: int, per_category: int, model_version: str) -> str:
    """SQL of the recommendations of the persons first <= p < last: the table `scored`, and the fallback for lists that are too short. Ordered by grain."""
    policies = (category_cap(per_category), top(length))
    short = f"""
        SELECT p, country, device FROM person LEFT JOIN (SELECT p, count(*) AS n FROM ({applied("FROM scored", *policies)}) GROUP BY p) USING (p)
        WHERE p >= {first} AND p < {last} AND coalesce(n, 0) < {length}
    """
    # Places of the fallback come after all others.
    filled = f"""
        SELECT short.p, fallback.i, {2**31} + fallback.place AS place, fallback.score, fallback.source FROM ({short}) AS short
        JOIN fallback ON fallback.country IS NOT DISTINCT FROM short.country AND fallback.device IS NOT DISTINCT FROM short.device
        ANTI JOIN scored ON scored.p = short.p AND scored.i = fallback.i
    """
    both = f"SELECT p, i, place, score, source FROM scored UNION ALL {applied(filled, not_excluded)}"
    return f"""
        SELECT person_id, rank::INTEGER AS rank, item_id, score, source, {_REASON} AS reason, {_rest(model_version)}
        FROM ({applied(both, *policies)}) JOIN person USING (p) JOIN item USING (i) ORDER BY person_id, rank
    """


def others(*, length: int, model_version: str) -> str:
    """SQL of the recommendations of everybody in the table `other`. Ordered by grain."""
    return f"""
        SELECT person_id, fallback.place::INTEGER AS rank, item_id, score, source, {_REASON} AS reason, {_rest(model_version)}
        FROM other JOIN fallback ON fallback.country IS NOT DISTINCT FROM other.country AND fallback.device IS NOT DISTINCT FROM other.device JOIN item USING (i)
        WHERE fallback.place <= {length} ORDER BY person_id, rank
    """


def popular_items(*, length: int) -> str:
    """SQL of the table popular_items: the first `length` of each scope's list. Ordered by grain."""
    return f"""
        SELECT scope, scope_value, place::INTEGER AS rank, item_id, score, source FROM scope_list JOIN item USING (i)
        WHERE place <= {length} ORDER BY scope, scope_value, rank
    """


def buckets(n_persons: int, size: int) -> Sequence[tuple[int, int]]:
    """Ranges [first, last) of person numbers. Persons are in the order of their keyed hashes, so a range is a random sample of them."""
    return [(first, min(first + size, n_persons)) for first in range(0, n_persons, size)]


def _rest(model_version: str) -> str:
    return f"NULL::VARCHAR AS variant, NULL::DOUBLE AS propensity, {literal(model_version)} AS model_version"
