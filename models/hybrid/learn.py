"""From a training set to what is served: sources tuned, an order learnt, contenders compared on users that the learning has not seen."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.sparse import csr_matrix

from models import evaluation, ranker
from models.hybrid import blend, candidates, folds, sources, trees, tuning
from models.hybrid.candidates import Candidates
from models.hybrid.folds import Fold
from models.recommenders.base import Fitted, Recommender, top
from models.recommenders.events import Events, Flags, Floats, Ints

if TYPE_CHECKING:
    import lightgbm

BLEND: Final = "blend"
TREES: Final = "trees"
POPULARITY: Final = "popular_"
DEPTH: Final = 60  # candidates of each source
MAX_LEARNERS: Final = 6000  # users that an order is learnt from that others judge
MAX_OF_ALL: Final = 12_000  # users that the order that is served is learnt from
TUNING_FOLDS: Final = 2  # the newest in time
HOPELESS: Final = 0.5  # of the best source so far: what is below it is tuned no further
TUNING_EVENTS: Final = 1_000_000  # of more, only the newest fold tunes
Progress = Callable[[str, float], None]  # what is being done, and the share of the learning that lies behind


@dataclass(frozen=True)
class Plan:
    """How to learn: the split (folds.METHODS), its horizon in days (TIME only), the depth that is judged, and whether known items may come again."""

    method: str
    horizon: float | None
    k: int
    repeats: bool
    seed: int
    threads: int


@dataclass(frozen=True)
class Learnt:
    """`recommenders`: the tuned sources by name. `blend` and `booster` order their candidates; None where nothing could be learnt. `served`: the name
    of the contender that won. `popular`: of the best window of popularity; `common`: of the best source that has one list for all. `figures`: nDCG@k of each on the judging users; `tuned`: of each source on the folds.
    """

    recommenders: dict[str, Recommender]
    served: str
    popular: str
    common: str
    blend: blend.Blend | None
    booster: "lightgbm.Booster | None"
    figures: dict[str, float]
    tuned: dict[str, float]
    notes: list[str]


@dataclass(frozen=True)
class Part:
    """Candidates of some users; what the trees see of them, but for the blend; which are relevant, and how many items are to each user."""

    rows: Candidates
    described: Floats
    is_relevant: Flags
    n_relevant: Ints

    def columns(self, blended: Floats) -> Floats:
        """What the trees see."""
        return trees.with_blend(blended, self.described)

    def only(self, users: Ints) -> "Part":
        """Of some of the users, sorted."""
        if len(users) == self.rows.n_users:
            return self
        rows = np.isin(self.rows.user, users)
        return Part(self.rows.only(users), self.described[rows], self.is_relevant[rows], self.n_relevant[users])


def learn(events: Events, plan: Plan, progress: Progress = lambda what, share: None) -> Learnt:
    """Everything that is learnt from the training set; without anything to hold out, the most popular items are served."""
    inner = folds.split(events, method=plan.method, horizon=plan.horizon, repeats=plan.repeats, seed=plan.seed)
    found = sources.available(events, repeats=plan.repeats, n_folds=len(inner), horizon=plan.horizon)
    if not inner:
        plain = {source.name: source.recommender for source in found}
        note = "Nothing could be held out of the training data: the most popular items are served."
        return Learnt(plain, sources.POPULAR_EVER, sources.POPULAR_EVER, sources.POPULAR_EVER, None, None, {}, {}, [note])
    tuned = _tune(found, inner, plan, progress)
    values = {name: one.value for name, one in tuned.items()}
    recommenders = {name: one.recommender for name, one in tuned.items()}
    popular, common = (
        max((name for name in values if name.startswith(those)), key=lambda name: values[name]) for those in (POPULARITY, (POPULARITY, sources.FORECAST_NAME))
    )
    progress("learning the order", 0.8)
    groups = _groups(tuned, inner, plan)
    figures = compare(groups, values, plan)
    mixed, booster = _order(_sampled(groups, MAX_OF_ALL, plan.seed), values, plan)
    served = max(figures, key=lambda name: figures[name])
    notes = [] if served in (BLEND, TREES) else [f"No mixture beat '{served}' on what was held out of the training data: it is served alone."]
    return Learnt(recommenders, served, popular, common, mixed, booster, figures, values, notes)


def lists(learnt: Learnt, fitted: dict[str, Fitted], events: Events, users: Ints, hidden: csr_matrix, *, n: int, threads: int) -> "Iterator[Lists]":
    """The lists of every strategy for the users, block by block in their order: `learnt.served`, every source, and the mixtures."""
    history = trees.History(events)

    def work(block: Ints) -> Lists:
        rows = candidates.propose(list(fitted.values()), block, hidden, depth=max(DEPTH, n))
        values = {name: rows.raw[:, place] for place, name in enumerate(fitted)}
        if learnt.blend is not None:
            values[BLEND] = learnt.blend.of(rows)
        if learnt.booster is not None:
            values[TREES] = trees.score(learnt.booster, trees.with_blend(values[BLEND], trees.features(rows, block, history)), threads=1)
        return Lists(block, {name: first(rows, value, n) for name, value in values.items()})

    yield from candidates.in_blocks(users, events.n_items, work, threads=threads)


def everybody(popular: Fitted, events: Events, *, n: int) -> tuple[Ints, Floats]:
    """One list for those without a history: items and scores, one row."""
    scores = popular.scores(np.zeros(1, dtype=np.int32))
    best = top(scores, n)
    return best, np.take_along_axis(scores, best, axis=1)


@dataclass(frozen=True)
class Lists:
    """Of each strategy, the lists of a block of users: items (-1 where a list ends) and scores, one row a user, best first."""

    users: Ints
    of: dict[str, tuple[Ints, Floats]]


def first(rows: Candidates, values: Floats, n: int) -> tuple[Ints, Floats]:
    """The `n` best candidates of each user, ties by item: items (-1 where there are no more) and their values (NaN there)."""
    values = np.where(np.isfinite(values), values, -np.inf)
    order = np.lexsort((rows.item, -values, rows.user))
    user = rows.user[order]
    starts = np.r_[0, np.cumsum(np.bincount(rows.user, minlength=rows.n_users))]
    place = np.arange(len(rows)) - starts[user]
    kept = (place < n) & (values[order] > -np.inf)
    items = np.full((rows.n_users, n), -1, dtype=np.int32)
    scores = np.full((rows.n_users, n), np.nan)
    items[user[kept], place[kept]] = rows.item[order][kept]
    scores[user[kept], place[kept]] = values[order][kept]
    return items, scores


def _tune(found: Sequence[sources.Source], inner: list[Fold], plan: Plan, progress: Progress) -> dict[str, tuning.Tuned]:
    used = inner if plan.method == folds.RANDOM else inner[-TUNING_FOLDS:] if len(inner[-1].events) <= TUNING_EVENTS else inner[-1:]
    tuned: dict[str, tuning.Tuned] = {}
    for place, source in enumerate(found):
        progress(f"tuning {source.name}", 0.8 * place / len(found))
        floor = HOPELESS * max((one.value for one in tuned.values()), default=0.0)
        tuned[source.name] = tuning.tune(source, used, k=plan.k, seed=plan.seed, threads=plan.threads, floor=floor)
    return tuned


def _groups(tuned: dict[str, tuning.Tuned], inner: list[Fold], plan: Plan) -> list[Part]:
    """What is held out, in the groups of `folds.groups`."""
    numbers = folds.groups(inner, method=plan.method, seed=plan.seed)
    found: dict[int, list[Part]] = {}
    for fold, number in zip(inner, numbers, strict=True):
        fitted = [one.newest if fold is inner[-1] else one.recommender.fit(fold.events, seed=plan.seed) for one in tuned.values()]
        part = _part(fitted, fold, fold.users, plan)
        for group in np.unique(number):
            found.setdefault(int(group), []).append(part.only(np.flatnonzero(number == group)))
    return [_joined(parts) for parts in found.values()]


def _part(fitted: Sequence[Fitted], fold: Fold, users: Ints, plan: Plan) -> Part:
    work = candidates.in_blocks(users, fold.events.n_items, lambda block: candidates.propose(fitted, block, fold.hidden, depth=DEPTH), threads=plan.threads)
    rows = Candidates.joined(list(work))
    described = trees.features(rows, users, trees.History(fold.events))
    return Part(rows, described, blend.labels(rows, users, fold.relevant), np.diff(fold.relevant.indptr)[users])


def _joined(parts: Sequence[Part]) -> Part:
    if len(parts) == 1:
        return parts[0]
    described, is_relevant, n_relevant = (np.concatenate([getattr(part, name) for part in parts]) for name in ("described", "is_relevant", "n_relevant"))
    return Part(Candidates.joined([part.rows for part in parts]), described, is_relevant, n_relevant)


def _sampled(groups: Sequence[Part], most: int, seed: int) -> Part:
    """`most` users at the most, as many of each group."""
    return _joined([group.only(_drawn(group.rows.n_users, most // len(groups), seed)) for group in groups])


def _drawn(n: int, most: int, seed: int) -> Ints:
    """`most` numbers below `n`, or all of them, sorted."""
    return np.sort(np.random.default_rng(seed).permutation(n)[:most])


def _order(part: Part, values: dict[str, float], plan: Plan) -> "tuple[blend.Blend, lightgbm.Booster | None]":
    """A blend and trees; `values`: of each source."""
    best = list(values).index(max(values, key=lambda name: values[name]))
    few = part.only(_drawn(part.rows.n_users, blend.MAX_USERS, plan.seed))
    mixed, _ = blend.fit(few.rows, blend.Judge(few.rows, few.is_relevant, few.n_relevant, plan.k), best)
    columns = part.columns(mixed.of(part.rows))
    booster = trees.fit(columns, part.rows.user, part.is_relevant, n_sources=len(values), k=plan.k, seed=plan.seed, threads=plan.threads)
    return mixed, booster


def compare(groups: Sequence[Part], values: dict[str, float], plan: Plan) -> dict[str, float]:
    """nDCG@k of every contender's lists, as they would be served, over all users that are held out; mixtures are learnt from the groups that the user is not in."""
    found: dict[str, list[Floats]] = {}
    for group in groups:
        scores = {name: group.rows.raw[:, place] for place, name in enumerate(values)}
        if others := [one for one in groups if one is not group]:
            mixed, booster = _order(_sampled(others, MAX_LEARNERS, plan.seed), values, plan)
            scores[BLEND] = mixed.of(group.rows)
            if booster is not None:
                scores[TREES] = trees.score(booster, group.columns(scores[BLEND]), threads=plan.threads)
        for name, one in scores.items():
            found.setdefault(name, []).append(_ndcg(group, one, plan.k))
    return {name: round(float(np.concatenate(parts).mean()), evaluation.DIGITS) for name, parts in found.items() if len(parts) == len(groups)}


def _ndcg(part: Part, values: Floats, k: int) -> Floats:
    ranks = ranker.ranks(part.rows.user.astype(np.int32), part.rows.item.astype(np.int32), values.astype(np.float64))
    hits = evaluation.hit_matrix(part.rows.user, ranks, part.is_relevant, n_persons=part.rows.n_users, depth=k)
    return evaluation.ndcg(hits, part.n_relevant, k)
