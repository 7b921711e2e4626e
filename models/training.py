"""Learn to rank from one label window, compare on the next one, and decide what is served.

The training slice teaches the ranker. On the evaluation slice, which is later in time, a fifth of the persons stops it early and chooses among the
strategies; the other persons judge: the figures are theirs. A ranker that loses there to any single source is not served.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import md5
from typing import TYPE_CHECKING, Any, Final

from models import cascade, evaluation, frame, popular, ranker
from models.inputs import Cut, Inputs
from models.lists import Order
from models.policies import applied, listable, not_excluded, top

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from dawnlist.settings import Settings

RANKER: Final = "ranker"
FUSION: Final = "fusion"
HELD_OUT_SHARE: Final = 0.2
VALIDATION_SHARE: Final = 0.3  # of the persons of the training slice, where settings are tuned
MIN_PERSONS: Final = 50  # with labels, in each slice: fewer say nothing about which strategy is best
METRIC: Final = "ndcg@10"


@dataclass(frozen=True)
class Past:
    """One slice's input: the files as of its cut, and the persons that it is judged by, sorted."""

    inputs: Inputs
    cut: Cut
    persons: Sequence[str]


@dataclass(frozen=True)
class Lists:
    """What one strategy showed to the persons of a slice."""

    hits: "evaluation.Hits"
    n_shown: int


@dataclass(frozen=True)
class Slice:
    """A slice in memory: row p of `n_relevant` and every hit matrix is person p. `weights` are those of its frame's fusion."""

    n_relevant: "NDArray[np.int64]"
    n_items: int
    rows: ranker.Rows
    weights: Mapping[str, float]
    lists: Mapping[str, Lists]

    def summary(self, lists: Lists) -> dict[str, float]:
        """The metrics of one strategy over all persons of the slice."""
        found = evaluation.summary(lists.hits, self.n_relevant)
        return found | {"coverage@20": round(evaluation.coverage(lists.n_shown, self.n_items), evaluation.DIGITS)} if found else {}

    def quality(self, hits: "evaluation.Hits", persons: "NDArray[np.bool_] | None" = None) -> float:
        """Mean nDCG@10 of the marked persons, rounded; 0 without any."""
        if persons is not None:
            hits = hits[persons]
        n_relevant = self.n_relevant if persons is None else self.n_relevant[persons]
        return round(float(evaluation.ndcg(hits, n_relevant, 10).mean()), evaluation.DIGITS) if len(hits) else 0.0


@dataclass(frozen=True)
class Outcome:
    """What was learnt: the ranker's text (None where none is served), the strategy to serve, the window of popular lists, the sources' weights, how good all were.

    `judged` is the order that the evaluation slice judges: that of the ranker before it was fitted to that slice. `cascade`: the ranker's first stage and how
    good it is (cascade.choose); None where one stage scores all.
    """

    ranker: str | None
    served: str
    window: str
    weights: Mapping[str, float]
    metrics: dict[str, Any]
    notes: list[str]
    judged: Order
    cascade: Mapping[str, float] | None = None

    @property
    def judged_ranker(self) -> str | None:
        """The text of the ranker that was judged; None where none is served."""
        return ranker.to_text(self.judged.booster) if self.judged.booster else None


def parted(persons: Sequence[str], seed: int) -> tuple[list[str], list[str]]:
    """The persons who stop the training and choose among strategies, and those who judge, each in the order of `persons`."""
    chosen = {person for person in persons if _share_of(person, "held-out", seed) < HELD_OUT_SHARE}
    return [person for person in persons if person in chosen], [person for person in persons if person not in chosen]


def learn(connection: "duckdb.DuckDBPyConnection", training: Past, stopping: Past, judging: Past, settings: "Settings", *, threads: int) -> Outcome:
    """Train on `training`, stop and choose by `stopping`, judge on `judging`, refit on these two with as many trees.

    `stopping` and `judging` are other persons at the same cut, see `parted`. Too little data is no error: no ranker, and a note. Leaves the tables of
    `judging` in the connection.
    """
    taught = slice_of(connection, training, settings)
    options = {"seed": settings.seed, "threads": threads}
    enough = min(len(training.persons), len(judging.persons)) >= MIN_PERSONS
    later = slice_of(connection, stopping, settings, weights=taught.weights)
    booster = ranker.train(taught.rows, later.rows, settings.ranker, **options) if enough else None
    learnt = _with_ranker(later, booster, threads) if booster else later.lists
    held_out = {name: later.quality(lists.hits) for name, lists in learnt.items()}
    window = _best({name: taught.quality(taught.lists[name].hits) for name in popular.COUNTED}, popular.DEFAULT_WINDOW) if enough else popular.DEFAULT_WINDOW
    trees = booster.best_iteration if booster else 0
    weights = taught.weights
    del taught

    judged = slice_of(connection, judging, settings, weights=weights)
    lists = _with_ranker(judged, booster, threads) if booster else judged.lists
    served, notes = choose(held_out, {name: judged.quality(one.hits) for name, one in lists.items()}) if enough else (FUSION, [])
    if not booster:
        found = f"{len(training.persons)} and {len(judging.persons)} persons with labels in the two slices"
        notes.append(f"No ranker was trained: {found}, too few of them with a hit among their candidates. The lists are those of '{served}'.")
    final = ranker.refit(ranker.joined(later.rows, judged.rows), trees, settings.ranker, **options) if booster and served == RANKER else None
    two_stages = (
        cascade.choose(final, judged.rows, length=settings.recommend.list_length, recall=settings.ranker.cascade_recall, threads=threads) if final else None
    )
    metrics = _metrics(judged, lists, served=served, window=window, seed=settings.seed)
    metrics |= {
        "held_out": held_out,
        "trees": trees,
        "n_training_users": len(training.persons),
        "n_stopping_users": len(stopping.persons),
        "importance": ranker.importance(final) if final else {},
    }
    order = Order(booster if final else None, served if served in frame.SINGLE else None, weights, settings.ranker.max_candidates)
    return Outcome(ranker.to_text(final) if final else None, served, window, weights, metrics, notes, order, two_stages)


def validated(connection: "duckdb.DuckDBPyConnection", past: Past, settings: "Settings", *, threads: int) -> dict[str, float]:
    """nDCG@10 of the ranker on a part of the slice's persons that it has not seen, neither to learn nor to stop: "ndcg@10", beside "fusion" and "n_users".

    Where too few persons have hits for a ranker, the fusion's figure stands for it. Only the sources' weights in the fusion are of all persons.
    """
    import numpy as np

    part = slice_of(connection, past, settings)
    share = np.array([_share_of(person, "validation", settings.seed) for person in past.persons])
    unseen, stops = share < VALIDATION_SHARE, share >= 1 - HELD_OUT_SHARE
    of_row = part.rows.person
    teaching, stopping = (part.rows.only(persons[of_row]) for persons in (~(unseen | stops), stops))
    booster = ranker.train(teaching, stopping, settings.ranker, seed=settings.seed, threads=threads)
    fusion = part.quality(part.lists[FUSION].hits, unseen)
    reached = part.quality(_with_ranker(part, booster, threads)[RANKER].hits, unseen) if booster else fusion
    return {METRIC: reached, FUSION: fusion, "n_users": int(unseen.sum())}


def slice_of(connection: "duckdb.DuckDBPyConnection", past: Past, settings: "Settings", *, weights: Mapping[str, float] | None = None) -> Slice:
    """Make the tables of the cut in `connection`, and bring frame and lists of every strategy but the ranker into memory.

    Without `weights`, each source's weight in the fusion is its own quality on this slice: nDCG@10; equal weights where none has a hit.
    """
    import numpy as np

    frame.prepare(connection, past.inputs, past.cut, past.persons, settings.candidates)
    frame.create_labels(connection, past.inputs, past.cut)
    counts = connection.execute("SELECT p, count(*) AS n FROM label GROUP BY p ORDER BY p").fetchnumpy()
    n_relevant = np.zeros(len(past.persons), dtype=np.int64)
    n_relevant[counts["p"]] = counts["n"]
    lists = {name: _lists(connection, query, len(past.persons)) for name, query in _single_queries(past).items()}
    weights = weights or _qualities(lists, n_relevant)
    framed = partial(frame.frame, first=0, last=len(past.persons), keep=settings.ranker.max_candidates, weights=weights)
    lists[FUSION] = _lists(connection, top(evaluation.DEPTH)(framed(features=False)), len(past.persons))
    [(n_items,)] = connection.execute("SELECT count(*) FROM item WHERE is_listable").fetchall()
    return Slice(n_relevant, n_items, _rows(connection, framed()), weights, lists)


def choose(held_out: Mapping[str, float], judged: Mapping[str, float]) -> tuple[str, list[str]]:
    """The strategy to serve, and notes: the best on the held-out persons, unless one that needs no training beats it on the later slice.

    Both map strategy to nDCG@10. On equal figures the ranker goes before all, then the first by name.
    """
    notes = []
    served = _best(held_out, FUSION)
    if RANKER in held_out and served != RANKER and held_out[served] <= held_out[RANKER]:
        served = RANKER
    elif RANKER in held_out and served != RANKER:
        notes.append(f"The ranker lost to '{served}' on held-out persons ({METRIC} {held_out[RANKER]:.4f} against {held_out[served]:.4f}).")
    other = _best({name: value for name, value in judged.items() if name != RANKER}, FUSION)
    if judged[other] > judged[served]:
        notes.append(f"'{served}' lost to '{other}' on the evaluation slice ({METRIC} {judged[served]:.4f} against {judged[other]:.4f}): '{other}' is served.")
        served = other
    return served, notes


def _best(qualities: Mapping[str, float], otherwise: str) -> str:
    """The name of the highest value, the first by name among equals; `otherwise` where nothing reaches more than 0."""
    best = min(qualities, key=lambda name: (-qualities[name], name), default=otherwise)
    return best if qualities.get(best, 0) > 0 else otherwise


def _metrics(judged: Slice, lists: Mapping[str, Lists], *, served: str, window: str, seed: int) -> dict[str, Any]:
    """Every strategy's figures on the evaluation slice, and the paired difference of the ranker, and of what is served, to the most popular items."""
    figures = {name: judged.summary(one) for name, one in lists.items()}
    best = _best({name: values.get(METRIC, 0.0) for name, values in figures.items() if name in frame.SINGLE}, window)

    def difference(name: str) -> dict[str, Sequence[float]]:
        first, second = (evaluation.ndcg(lists[which].hits, judged.n_relevant, 10) for which in (name, window))
        return {METRIC: evaluation.bootstrap_difference(first, second, seed=seed)} if len(first) else {}

    return {
        "n_users": len(judged.n_relevant),
        "served": served,
        "ranker": figures.get(RANKER),
        "most_popular": {"name": window, **figures[window]},
        "best_single": {"name": best, **figures[best]},
        "sources": {name: values for name, values in figures.items() if name != RANKER},
        "difference": difference(RANKER if RANKER in lists else served),
        "difference_served": difference(served),
    }


def _with_ranker(part: Slice, booster: Any, threads: int) -> dict[str, Lists]:
    """The slice's lists, and those that the ranker makes of its rows."""
    import numpy as np

    scores = ranker.score(booster, part.rows.features, threads=threads)
    ranks = ranker.ranks(part.rows.person, part.rows.item, scores)
    hits = evaluation.hit_matrix(part.rows.person, ranks, part.rows.is_taken, n_persons=len(part.n_relevant))
    return {**part.lists, RANKER: Lists(hits, len(np.unique(part.rows.item[ranks <= evaluation.DEPTH])))}


def _qualities(lists: Mapping[str, Lists], n_relevant: "NDArray[np.int64]") -> Mapping[str, float]:
    found = {name: evaluation.summary(one.hits, n_relevant).get(METRIC, 0.0) for name, one in lists.items()}
    return found if any(found.values()) else frame.EQUAL_WEIGHTS


def _rows(connection: "duckdb.DuckDBPyConnection", query: str) -> ranker.Rows:
    table: pa.Table = connection.sql(f"""
        SELECT framed.*, label.p IS NOT NULL AS is_taken FROM ({query}) AS framed
        LEFT JOIN label ON label.p = framed.p AND label.i = framed.i ORDER BY framed.p, framed.i
    """).to_arrow_table()
    return ranker.Rows(table.column("p").to_numpy(), table.column("i").to_numpy(), table.column("is_taken").to_numpy(), ranker.matrix(table))


def _single_queries(past: Past) -> dict[str, str]:
    """Single source -> SQL of its lists (p, i, rank), DEPTH long."""
    personal = {source: applied(f"SELECT p, i, rank AS place FROM {source}", listable, not_excluded, top(evaluation.DEPTH)) for source in frame.PERSONAL}
    windows = {popular.source_of(name): popular.baseline(past.inputs, past.cut, name, length=evaluation.DEPTH) for name in popular.TIME_WINDOWS}
    return personal | windows


def _lists(connection: "duckdb.DuckDBPyConnection", query: str, n_persons: int) -> Lists:
    import numpy as np

    shown: dict[str, Any] = connection.execute(f"SELECT p, i, rank, label.p IS NOT NULL AS is_hit FROM ({query}) LEFT JOIN label USING (p, i)").fetchnumpy()
    return Lists(evaluation.hit_matrix(shown["p"], shown["rank"], shown["is_hit"], n_persons=n_persons), len(np.unique(shown["i"])))


def _share_of(person: str, use: str, seed: int) -> float:
    """A number in [0, 1) that follows from the person, what it is used for, and the seed."""
    return int(md5(f"{use} {seed} {person}".encode(), usedforsecurity=False).hexdigest()[:8], 16) / 2**32
