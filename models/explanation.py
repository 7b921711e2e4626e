"""Why an item has its score: who proposed it and how high, and what each feature added (TreeSHAP, Lundberg et al. 2020, as in LightGBM)."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING

from models import cascade, frame, popular, ranker

if TYPE_CHECKING:
    import duckdb

    from models.lists import Order

DIGITS = 6


@dataclass(frozen=True)
class Proposal:
    """A source that has the item among its candidates: its rank there, 1 = first, and its score, None where the source has none."""

    source: str
    rank: int
    score: float | None


@dataclass(frozen=True)
class Contribution:
    """What a feature added to the score; `value` is None where it is not known."""

    feature: str
    value: float | None
    contribution: float


@dataclass(frozen=True)
class Why:
    """Of a candidate. With a ranker: score before policies = `bias` + the sum over `features` + `other_features`; there are none of these without one, and where only the
    first stage of a cascade has looked at the candidate.
    """

    proposals: tuple[Proposal, ...]
    bias: float | None
    other_features: float | None
    features: tuple[Contribution, ...]

    @property
    def score(self) -> float | None:
        """The score before policies; None where the ranker has given none."""
        return None if self.bias is None else self.bias + (self.other_features or 0) + sum(one.contribution for one in self.features)


def of_person(connection: "duckdb.DuckDBPyConnection", order: "Order", *, n_features: int, threads: int) -> Mapping[str, Why]:
    """The explanation of each candidate of the one person whose frame is in the connection, by item_id; the `n_features` strongest features, strongest first."""
    query = frame.frame(first=0, last=1, keep=order.keep, weights=order.weights, leader=order.leader)
    table = connection.sql(f"SELECT * FROM ({query}) JOIN (SELECT i, item_id FROM item) USING (i) ORDER BY i").to_arrow_table()
    features = ranker.matrix(table)
    names = list(frame.FEATURES)
    items: list[str] = table.column("item_id").to_pylist()
    parts: list[list[float]] = [[] for _ in items]
    if order.booster:
        person, numbers = (table.column(name).to_numpy() for name in ("p", "i"))
        _, is_whole = cascade.score(order.booster, order.cascade, person, numbers, features, threads=threads)
        found = ranker.contributions(order.booster, features, threads=threads).tolist()
        parts = [part if whole else [] for part, whole in zip(found, is_whole, strict=True)]
    values = [dict(zip(names, row, strict=True)) for row in features.tolist()]
    return {item: Why(_proposals(known), *_contributions(known, part, n_features)) for item, known, part in zip(items, values, parts, strict=True)}


def _proposals(known: Mapping[str, float]) -> tuple[Proposal, ...]:
    """From the features: the rank and the score of each personal source, the rank in each popular window, and the best rank in a window of the country."""
    unknown = float("nan")
    found = [(source, [known[f"{source}_rank"]], known.get(f"{source}_score", unknown)) for source in frame.PERSONAL]
    found += [(popular.source_of(window), [known[f"popular_{window}_rank"]], unknown) for window in popular.TIME_WINDOWS]
    found.append(("popular_country", [known[f"country_{window}_rank"] for window in popular.TIME_WINDOWS], unknown))
    proposals = [
        Proposal(source, int(min(given)), None if isnan(score) else round(score, DIGITS))
        for source, ranks, score in found
        if (given := [rank for rank in ranks if not isnan(rank)])
    ]
    return tuple(sorted(proposals, key=lambda one: (one.rank, one.source)))


def _contributions(known: Mapping[str, float], parts: list[float], n_features: int) -> tuple[float | None, float | None, tuple[Contribution, ...]]:
    if not parts:
        return None, None, ()
    *added, bias = parts
    rows = [
        Contribution(name, None if isnan(value) else round(value, DIGITS), round(part, DIGITS))
        for (name, value), part in zip(known.items(), added, strict=True)
    ]
    rows.sort(key=lambda one: (-abs(one.contribution), one.feature))
    rest = sum(one.contribution for one in rows[n_features:])
    return round(bias, DIGITS), round(rest, DIGITS), tuple(one for one in rows[:n_features] if one.contribution)
