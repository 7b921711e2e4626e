"""Whether what a model meets tonight is what it was made for: the spread of its features and scores, and how good the lists were that it made.

A reference holds, for each feature and for the score, the deciles of the training frame as bin edges and the counts in the bins; the first bin
is that of missing values.
"""

from collections.abc import Mapping, Sequence
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dawnlist.duck import literal, scan
from models import evaluation, frame, ranker
from models.inputs import Cut, Inputs

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    from numpy.typing import NDArray

    from dawnlist.settings import Drift
    from models.lists import Order

BINS: Final = 10
SCORE: Final = "score"
Reference = Mapping[str, Any]  # n_persons, and bins: feature -> {edges, counts}


def spread(connection: "duckdb.DuckDBPyConnection", order: "Order", *, n_persons: int, threads: int) -> "dict[str, NDArray[np.float64]]":
    """The values of all features and of the score in the frame of the first `n_persons` of the table person, with `order`'s ranker."""
    assert order.booster is not None, "only a ranker has features"
    table = connection.sql(frame.frame(first=0, last=n_persons, keep=order.keep, weights=order.weights)).to_arrow_table()
    features = ranker.matrix(table)
    columns = {name: features[:, number].astype(float) for number, name in enumerate(frame.FEATURES)}
    return {**columns, SCORE: ranker.score(order.booster, features, threads=threads)}


def reference(values: "Mapping[str, NDArray[np.float64]]", *, n_persons: int) -> Reference:
    """The bins of a training frame, to be kept with the version."""
    import numpy as np

    bins = {}
    for name, column in values.items():
        known = column[~np.isnan(column)]
        edges = np.unique(np.quantile(known, np.arange(1, BINS) / BINS)) if len(known) else np.zeros(0)
        bins[name] = {"edges": edges.tolist(), "counts": counts(column, edges.tolist())}
    return {"n_persons": n_persons, "bins": bins}


def counts(values: "NDArray[np.float64]", edges: Sequence[float]) -> list[int]:
    """How many values are missing, at most the first edge, at most the second, …, beyond the last."""
    import numpy as np

    missing = np.isnan(values)
    found = np.bincount(np.searchsorted(np.asarray(edges, dtype=float), values[~missing], side="left"), minlength=len(edges) + 1)
    return [int(missing.sum()), *(int(count) for count in found)]


def psi(before: Sequence[int], now: Sequence[int]) -> float:
    """Population stability index, the sum of (p - q) ln(p / q) over the bins (Siddiqi 2006), with shares (n + 1) / (N + k) after Laplace; empty bins of both are left out."""
    import numpy as np

    filled = np.add(before, now) > 0
    q, p = (np.asarray(side, dtype=float)[filled] for side in (before, now))
    if not len(p):
        return 0.0
    q, p = ((side + 1) / (side.sum() + len(side)) for side in (q, p))
    return float(((p - q) * np.log(p / q)).sum())


def by_chance(k: int, n: int, m: int) -> float:
    """What the index of two samples of n and m persons with k bins stays below, but for one time in some hundreds (Yurdakul 2018): mean and three deviations."""
    return (1 / n + 1 / m) * (k - 1 + 3 * sqrt(2 * (k - 1))) if k > 1 else 0.0


def shifts(before: Reference, values: "Mapping[str, NDArray[np.float64]]", *, n_persons: int) -> dict[str, float]:
    """The index of each feature and of the score beyond chance, 0 at least. The rows of a person are alike: persons are counted, not rows."""
    found = {}
    for name, bins in before["bins"].items():
        now = counts(values[name], bins["edges"])
        chance = by_chance(sum(a + b > 0 for a, b in zip(bins["counts"], now, strict=True)), before["n_persons"], n_persons)
        found[name] = round(max(psi(bins["counts"], now) - chance, 0.0), 4)
    return found


def served_quality(connection: "duckdb.DuckDBPyConnection", inputs: Inputs, cut: Cut, recommendations: Sequence[Path], version: str) -> "evaluation.PerPerson":
    """nDCG@10 of the lists that `version` made at the cut, one value for each person with a list of it, a history before the cut and labels after it.

    What a rule or a draw put on a list is not the model's: the other items close up.
    """
    columns = {"person_id": "VARCHAR", "rank": "INTEGER", "item_id": "VARCHAR", "source": "VARCHAR", "model_version": "VARCHAR"}
    found: dict[str, Any] = connection.execute(f"""
        WITH listed AS (
            SELECT person_id, item_id, row_number() OVER (PARTITION BY person_id ORDER BY rank) AS rank FROM {scan(recommendations, columns)}
            WHERE model_version = {literal(version)} AND coalesce(source, '') NOT IN ('rule', 'exploration')
        ),
        pairs AS (
            SELECT person_id, item_id, bool_or(occurred_at < {cut.end}) AS is_seen, bool_or(occurred_at >= {cut.end}) AS is_taken,
                count(*) FILTER (occurred_at < {cut.end} AND event_type = 'purchase') AS n_purchases
            FROM {inputs.relation("fct_interactions")} SEMI JOIN listed USING (person_id) WHERE is_personal AND occurred_at < {cut.label_end} GROUP BY ALL
        ), labels AS (
            SELECT person_id, item_id FROM pairs WHERE is_taken AND NOT (is_seen AND {cut.is_excluded("n_purchases")})
            AND person_id IN (SELECT person_id FROM pairs WHERE is_seen)
        ), persons AS (SELECT person_id, row_number() OVER (ORDER BY person_id) - 1 AS p, count(*) AS n FROM labels GROUP BY person_id)
        SELECT p, n, coalesce(rank, {evaluation.DEPTH + 1}) AS rank, labels.item_id IS NOT NULL AS is_hit
        FROM persons LEFT JOIN listed USING (person_id) LEFT JOIN labels USING (person_id, item_id) ORDER BY p, rank
    """).fetchnumpy()
    import numpy as np

    persons, first = np.unique(found["p"], return_index=True)
    hits = evaluation.hit_matrix(found["p"], found["rank"], found["is_hit"], n_persons=len(persons))
    return evaluation.ndcg(hits, found["n"][first], 10)


def decay(quality: "evaluation.PerPerson", own: float, *, seed: int) -> float | None:
    """By which share of the version's `own` figure the lists were certainly worse: that of the upper 95% bound; 0 or less where they were not, None unknown."""
    import numpy as np

    interval = evaluation.bootstrap_difference(quality, np.full(len(quality), own), seed=seed)
    return round(-interval[2] / own, 4) if interval and own > 0 else None


def reasons(found: Mapping[str, float], importance: Mapping[str, float], lost: float | None, rule: "Drift") -> tuple[list[str], list[str]]:
    """Why a training is asked for, and what is only worth a note, in words. Features count that hold `min_importance` of the trees' gain."""
    ask, note = [], []
    watched = {SCORE, *(name for name, share in importance.items() if share >= rule.min_importance)}
    for name, value in sorted(found.items(), key=lambda pair: (-pair[1], pair[0])):
        words = f"{'the scores' if name == SCORE else f'the feature {name}'} moved, PSI {value:.2f}"
        if name in watched and value >= rule.psi_train:
            ask.append(words)
        elif name in watched and value >= rule.psi_notice:
            note.append(words)
    if lost is not None and lost > rule.max_decay:
        ask.append(f"its lists reached less than the model's held-out figure, by {lost:.0%} at least")
    return ask, note
