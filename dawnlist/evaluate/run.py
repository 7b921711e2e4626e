"""Evaluate on a prepared split: learn from train alone, list for the users of the test, compare, write. The test's items are looked at once, at the end."""

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.sparse import csr_matrix

from dawnlist.duck import writing
from dawnlist.evaluate import judge, prepared
from dawnlist.files import make_folder, replace_file, write_json
from models import evaluation
from models.hybrid import learn

if TYPE_CHECKING:
    from models.recommenders.events import Floats, Ints

LEARNING_SHARE: Final = 0.75  # of the work, roughly: what the progress shows
AUTO: Final = "auto"
SCORE_DIGITS: Final = 6
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Request:
    """What is asked for. `ks` sorted, 1 or more; `validation` AUTO or one of models.hybrid.folds.METHODS; `horizon` in days, None: as the files say."""

    train: Path
    test: Path
    out: Path
    ks: tuple[int, ...]
    repeats: bool = False
    seed: int = 1
    items: Path | None = None
    validation: str = AUTO
    horizon: float | None = None
    threads: int = 0


@dataclass(frozen=True)
class Lists:
    """Of each strategy the items (by number, -1 where a list ends) and scores of each user of the test, in the order of `users`."""

    users: "Ints"
    items: "dict[str, Ints]"
    scores: "dict[str, Floats]"


def run(request: Request, progress: Progress = lambda what, share: None) -> dict[str, Any]:
    """Write metrics.json, per_user.parquet and recommendations.parquet into `request.out`; gives what metrics.json has."""
    progress("reading", 0.0)
    split = prepared.read(request.train, request.test, request.items)
    plan = _plan(request, split)
    learnt = learn.learn(split.events, plan, lambda what, share: progress(what, 0.02 + share * LEARNING_SHARE))
    lists = _lists(split, learnt, plan, max(request.ks), progress)
    progress("comparing", 0.95)
    values = {
        name: evaluation.accuracy(judge.hits(items, split, lists.users), _n_relevant(split, lists.users), request.ks) for name, items in lists.items.items()
    }
    result = _result(request, split, plan, learnt, lists, values)
    progress("writing", 0.99)
    _write(request.out, split, learnt.served, lists, values[learnt.served], result)
    return result


def _plan(request: Request, split: prepared.Split) -> learn.Plan:
    method = split.method if request.validation == AUTO else request.validation
    if method != "random" and split.events.age is None:
        raise prepared.SplitError(f"--validation {method} needs the column occurred_at in {request.train}: add it, or leave the option out.")
    horizon = request.horizon or split.horizon
    if method == "time" and not horizon:
        raise prepared.SplitError("--validation time needs --horizon-days: how many days the test lies after the training data cannot be told from its times.")
    k = min(request.ks, key=lambda one: (abs(one - 10), one))
    threads = request.threads or len(os.sched_getaffinity(0))
    return learn.Plan(method, horizon if method == "time" else None, k, request.repeats, request.seed, threads)


def _lists(split: prepared.Split, learnt: learn.Learnt, plan: learn.Plan, n: int, progress: Progress) -> Lists:
    events = split.events
    fitted = {}
    for name, recommender in learnt.recommenders.items():
        progress(f"fitting {name}", LEARNING_SHARE + 0.03)
        fitted[name] = recommender.fit(events, seed=plan.seed)
    users = np.unique(split.test_user)
    warm = users[users < events.n_users]
    hidden = csr_matrix(events.seen.shape, dtype=np.float32) if plan.repeats else events.seen
    items: dict[str, list[Ints]] = {}
    scores: dict[str, list[Floats]] = {}
    done = 0
    for block in learn.lists(learnt, fitted, events, warm, hidden, n=n, threads=plan.threads):
        for name, (best, value) in block.of.items():
            items.setdefault(name, []).append(best)
            scores.setdefault(name, []).append(value)
        done += len(block.users)
        progress("recommending", LEARNING_SHARE + 0.05 + 0.15 * done / len(warm))
    best, value = learn.everybody(fitted[learnt.common], events, n=n)
    n_cold = len(users) - len(warm)
    for name in items:
        items[name].append(np.tile(best, (n_cold, 1)))
        scores[name].append(np.tile(value, (n_cold, 1)))
    return Lists(users, {name: np.concatenate(parts) for name, parts in items.items()}, {learnt.served: np.concatenate(scores[learnt.served])})


def _n_relevant(split: prepared.Split, users: "Ints") -> "Ints":
    return np.bincount(split.test_user, minlength=len(split.user_ids))[users]


def _result(
    request: Request, split: prepared.Split, plan: learn.Plan, learnt: learn.Learnt, lists: Lists, values: dict[str, dict[str, "evaluation.PerPerson"]]
) -> dict[str, Any]:
    own, differences = judge.intervals(values, learnt.served, seed=request.seed)
    single = max(learnt.recommenders, key=lambda name: learnt.tuned.get(name, 0.0))
    described = {
        name: judge.means(judge.of_lists(lists.items[name], lists.users, split, request.ks))
        | judge.of_catalogue(lists.items[name], lists.users, split, request.ks)
        for name in dict.fromkeys((learnt.served, learnt.popular, single))
    }
    warm = lists.users < split.events.n_users
    strategies = {name: {"metrics": judge.means(value) | described.get(name, {}), "intervals": own[name]} for name, value in values.items()}
    return {
        "k": list(request.ks),
        "seed": request.seed,
        "repeats": request.repeats,
        "users": {"all": len(warm), "warm": int(warm.sum()), "cold": int((~warm).sum())},
        "served": learnt.served,
        **strategies[learnt.served],
        "warm": judge.means(values[learnt.served], warm),
        "cold": judge.means(values[learnt.served], ~warm),
        "baselines": {"popularity": learnt.popular, "best_single": single},
        "differences": differences,
        "strategies": strategies,
        "validation": {"method": plan.method, "horizon_days": plan.horizon, f"ndcg@{plan.k}": learnt.figures},
        "sources": {name: {"parameters": asdict(recommender), "tuned": learnt.tuned.get(name)} for name, recommender in learnt.recommenders.items()},  # type: ignore[call-overload]
        "blend": None if learnt.blend is None else {"form": learnt.blend.form, "weights": dict(zip(learnt.recommenders, learnt.blend.weights, strict=True))},
        "data": _data(split),
        "notes": [*learnt.notes, *_notes(request, split)],
    }


def _data(split: prepared.Split) -> dict[str, int]:
    events = split.events
    return {
        "train_rows": len(events),
        "train_pairs": int(events.seen.nnz),
        "train_users": events.n_users,
        "train_items": events.n_items,
        "test_pairs": len(split.test_user),
        "test_pairs_of_unknown_items": int((split.test_item >= events.n_items).sum()),
        "test_pairs_in_train": _n_known(split),
    }


def _n_known(split: prepared.Split) -> int:
    events = split.events
    inside = (split.test_user < events.n_users) & (split.test_item < events.n_items)
    return int(np.isin(split.test_user[inside].astype(np.int64) * events.n_items + split.test_item[inside], events.keys).sum())


def _notes(request: Request, split: prepared.Split) -> list[str]:
    n_known = _n_known(split)
    if request.repeats or not n_known:
        return []
    return [f"{n_known:,} pairs of the test are in train, too: without --repeats no list can show them, and they count as missed."]


def _write(out: Path, split: prepared.Split, served: str, lists: Lists, values: dict[str, "evaluation.PerPerson"], result: dict[str, Any]) -> None:
    users, items, scores = lists.users, lists.items[served], lists.scores[served]
    row, place = np.nonzero(items >= 0)
    recommended = {
        "user_id": split.user_ids.take(pa.array(users[row])),
        "item_id": split.item_ids.take(pa.array(items[row, place])),
        "rank": pa.array((place + 1).astype(np.int32)),
        "score": pa.array(np.round(scores[row, place].astype(np.float64), SCORE_DIGITS)),
    }
    history = np.zeros(len(split.user_ids), dtype=np.int64)
    history[: split.events.n_users] = np.diff(split.events.seen.indptr)
    per_user = {
        "user_id": split.user_ids.take(pa.array(users)),
        "is_cold": pa.array(users >= split.events.n_users),
        "n_train_items": pa.array(history[users]),
        "n_relevant": pa.array(_n_relevant(split, users).astype(np.int64)),
        **{name: pa.array(value) for name, value in values.items()},
    }
    with writing(out):
        make_folder(out)
        for name, columns in (("recommendations", recommended), ("per_user", per_user)):
            aside = out / f".{name}.parquet"
            pq.write_table(pa.table(columns), aside, compression="zstd")
            replace_file(aside, out / f"{name}.parquet")
        write_json(out / "metrics.json", result)
