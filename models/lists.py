"""The lists of a run date: the served strategy's order of each person's candidates, topped up with what is popular where they are.

Everybody has a list. With consent and a history: candidates in the served order, then the fallback. With consent and no history: the
fallback of their country or device, then the global one. Without consent: the global one, made from nobody's own history.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dawnlist.duck import literal
from models import cascade, frame, popular, ranker, registry
from models.cascade import Cascade
from models.inputs import Inputs
from models.policies import Policy, applied, top

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

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
    "popular_season": "popular at this time of the year",
    "popular_country": "popular in your country",
    "popular_device": "popular on your device",
    "popular_global": "popular with everybody",
    "popular_15m": "popular right now",
    "popular_1h": "popular in the last hour",
    "popular_6h": "popular in the last hours",
    "popular_1d": "popular today",
    "popular_7d": "popular this week",
    "popular_28d": "popular this month",
    "trending": "trending now",
    "forecast": "about to be popular",
    "rule": "chosen for you by our editors",
    "exploration": "new for you to discover",
}
SCORE_DIGITS: Final = 6
Score = Callable[["duckdb.DuckDBPyConnection", int, int], None]  # makes the table `scored` of the persons first <= p < last
_REASON: Final = f"map({list(REASONS)}, {list(REASONS.values())})[source]"


def create_recipients(connection: "duckdb.DuckDBPyConnection", inputs: Inputs) -> int:
    """Table `recipient`, one row per list that is made: p, country, device, segment (the cluster's label) and segments (all labels, sorted).

    The persons of the table person come first, under their own numbers. All others are grouped by what is known of them and share the list of their group
    (table `other`: person_id, p): of who has not consented that is nothing. Last come the popular lists (table `scope`: scope, scope_value, p), which know a
    country at the most. Needs the tables person and scope_list. Returns how many persons and groups there are.
    """
    labels = f"""
        SELECT person_id, min(segment_label) FILTER (kind = 'cluster') AS segment, list_sort(list(DISTINCT segment_label)) AS segments
        FROM {inputs.relation("dim_user_segments")} WHERE is_current GROUP BY person_id
    """
    # Numbers begin after those of the persons; NULLs are values like others.
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE other AS
        WITH known AS (
            SELECT person_id, if(is_personal, country, NULL) AS country, if(is_personal, device, NULL) AS device,
                if(is_personal, segment, NULL) AS segment, if(is_personal, segments, NULL) AS segments
            FROM (SELECT person_id, country, device, coalesce(has_personalisation_consent, false) AS is_personal FROM {inputs.relation("dim_users")})
            ANTI JOIN person USING (person_id) LEFT JOIN ({labels}) USING (person_id)
        )
        SELECT *, ((SELECT count(*) FROM person) + dense_rank() OVER (ORDER BY country, device, segment, segments) - 1)::INTEGER AS p FROM known ORDER BY person_id
    """)
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE scope AS
        SELECT *, (coalesce((SELECT max(p) FROM other), (SELECT count(*) FROM person) - 1) + row_number() OVER (ORDER BY scope, scope_value))::INTEGER AS p
        FROM (SELECT DISTINCT scope, scope_value FROM scope_list) ORDER BY p
    """)
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE recipient AS
        SELECT p, country, device, labels.segment, segments FROM person LEFT JOIN ({labels}) AS labels USING (person_id)
        UNION ALL SELECT DISTINCT p, country, device, segment, segments FROM other
        UNION ALL SELECT p, if(scope = 'country', scope_value, NULL), NULL, NULL, NULL FROM scope ORDER BY p
    """)
    [(n_lists,)] = connection.execute("SELECT coalesce((SELECT max(p) + 1 FROM other), (SELECT count(*) FROM person))").fetchall()
    return int(n_lists)


def create_fallback(connection: "duckdb.DuckDBPyConnection", *, season_every: int) -> None:
    """Table `fallback` of all segments, countries and devices (popular.fallback). Needs the tables recipient and scope_list."""
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE fallback AS {popular.fallback('FROM recipient', season_every=season_every)} ORDER BY segment, country, device, place"
    )


@dataclass(frozen=True)
class Order:
    """How a model orders candidates: by the ranker's `booster` (in two stages where there is a `cascade`), else by the source `leader` first, else by the fusion alone."""

    booster: Any | None
    leader: str | None
    weights: Mapping[str, float]
    keep: int
    cascade: Cascade | None = None

    @classmethod
    def of(cls, model: registry.Model, *, keep: int, as_judged: bool = False) -> "Order":
        """The order of a registered model; `keep` candidates per person are looked at. `as_judged`: by the trees before the evaluation slice was fitted, in one stage."""
        served, trees = model.metadata["served"], model.judged if as_judged else model.ranker
        leader = served if served in frame.SINGLE else None
        cascade = None if as_judged else Cascade.of(model.metadata)
        return cls(ranker.from_text(trees) if trees else None, leader, model.metadata["weights"], keep, cascade)

    def frame(self, first: int, last: int) -> str:
        """SQL of the frame of the persons first <= p < last."""
        return frame.frame(first=first, last=last, keep=self.keep, weights=self.weights, features=self.booster is not None, leader=self.leader)


_SOURCE: Final = f"list_extract({list(frame.SOURCES)}, source + 1) AS source"


def score(connection: "duckdb.DuckDBPyConnection", order: Order, *, first: int, last: int, threads: int) -> None:
    """Table `scored` of the persons first <= p < last, one row per (p, i): place, score and source in the served order.

    With a ranker the score is its, comparable within a list; else it is the reciprocal of the place.
    """
    query = order.frame(first, last)
    if order.booster is None:
        connection.execute(f"CREATE OR REPLACE TEMP TABLE scored AS SELECT p, i, place, round(1 / place, {SCORE_DIGITS}) AS score, {_SOURCE} FROM ({query})")
        return
    create_scored(connection, cascade.ranked(order.booster, order.cascade, connection.sql(query).to_arrow_table(), threads=threads))


def create_scored(connection: "duckdb.DuckDBPyConnection", ranked: "pa.Table") -> None:
    """Table `scored` of what a ranker made of a frame (cascade.ranked)."""
    connection.register("ranked", ranked)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE scored AS SELECT p, i, place, score, {_SOURCE} FROM ranked")
    connection.unregister("ranked")


def by_model(order: Order, *, threads: int) -> Score:
    """Scores by a model's order."""
    return lambda connection, first, last: score(connection, order, first=first, last=last, threads=threads)


def create_no_scores(connection: "duckdb.DuckDBPyConnection") -> None:
    """An empty table `scored`: for whoever has no candidates."""
    connection.execute("CREATE OR REPLACE TEMP TABLE scored (p INTEGER, i INTEGER, place BIGINT, score DOUBLE, source VARCHAR)")


def create_lists(connection: "duckdb.DuckDBPyConnection", policies: Sequence[Policy], *, first: int, last: int, length: int) -> None:
    """Table `listed` (p, rank, i, score, source, propensity, rules) of the recipients first <= p < last: the table `scored` after the policies.

    Where that is shorter than `length`, the fallback comes after all of `scored`, and the policies are applied to both.
    """
    offered = "SELECT p, i, place, score, source, NULL::DOUBLE AS propensity, []::VARCHAR[] AS rules FROM scored"
    columns = "p, rank, i, score, source, propensity, rules"
    connection.execute(f"CREATE OR REPLACE TEMP TABLE listed AS SELECT {columns} FROM ({applied(offered, *policies, top(length))})")
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE short AS SELECT p, country, device, segment FROM recipient LEFT JOIN (SELECT p, count(*) AS n FROM listed GROUP BY p) USING (p)
        WHERE p >= {first} AND p < {last} AND coalesce(n, 0) < {length}
    """)
    same = " AND ".join(f"fallback.{name} IS NOT DISTINCT FROM short.{name}" for name in ("country", "device", "segment"))
    filled = f"""
        {offered} SEMI JOIN short USING (p) UNION ALL
        SELECT short.p, fallback.i, {2**31} + fallback.place, fallback.score, fallback.source, NULL, [] FROM short JOIN fallback ON {same}
        ANTI JOIN scored ON scored.p = short.p AND scored.i = fallback.i
    """
    connection.execute("DELETE FROM listed WHERE p IN (SELECT p FROM short)")
    connection.execute(f"INSERT INTO listed SELECT {columns} FROM ({applied(filled, *policies, top(length))})")


def recommendations(*, whose: str, model_version: str, made_on: str) -> str:
    """SQL of the recommendations in the table `listed`; `whose` is the table that says who has which p: person or other; `made_on` is SQL of the day
    that they are as of. Ordered by grain.

    The reason is that of the first rule with one that touched the row, else the source's.
    """
    said = "SELECT map(list(id), list(reason)) AS said FROM rule WHERE reason IS NOT NULL"
    ruled = "list_filter(list_transform(rules, lambda id: said[id]), lambda reason: reason IS NOT NULL)[1]"
    return f"""
        SELECT person_id, rank::INTEGER AS rank, item_id, score, source, coalesce({ruled}, {_REASON}) AS reason, NULL::VARCHAR AS variant, propensity,
            {literal(model_version)} AS model_version, rules, {made_on} AS made_on
        FROM listed JOIN {whose} USING (p) JOIN item USING (i) CROSS JOIN ({said}) ORDER BY person_id, rank
    """


def popular_items(eligible: Sequence[Policy], *, length: int) -> str:
    """SQL of the table popular_items: the first `length` of each scope's list that are `eligible` for it. Ordered by grain."""
    offered = "SELECT p, i, place, score, source, scope, scope_value FROM scope_list JOIN scope USING (scope, scope_value)"
    return f"""
        SELECT scope, scope_value, rank::INTEGER AS rank, item_id, score, source FROM ({applied(offered, *eligible, top(length))}) JOIN item USING (i)
        ORDER BY scope, scope_value, rank
    """


def buckets(n_persons: int, size: int) -> Sequence[tuple[int, int]]:
    """Ranges [first, last) of person numbers. Persons are in the order of their keyed hashes, so a range is a random sample of them."""
    return [(first, min(first + size, n_persons)) for first in range(0, n_persons, size)]
