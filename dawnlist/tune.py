"""Hyperparameters of candidates and ranker by a bounded search, on persons of the training cut that the trees have not seen; never on the evaluation slice.

Bergstra, Bardenet, Bengio & Kégl, "Algorithms for Hyper-Parameter Optimization" (NIPS 2011): a tree-structured Parzen estimator, by Optuna. Each trial is
asked for anew from the trials before it and a seed that follows from their number, and is kept as soon as it was judged: a search that
was stopped goes on as if it had not been.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from dawnlist import tuned
from dawnlist.duck import connect
from dawnlist.errors import MissingInputError
from dawnlist.files import make_folder, write_json
from dawnlist.lake import Lake
from dawnlist.locks import exclusive
from dawnlist.settings import Settings
from dawnlist.stages.base import Night
from dawnlist.stages.modelling import cut_of, inputs_of, make_candidates, make_forecasts, threads_of
from dawnlist.stages.train import require_features
from models.inputs import CANDIDATES, FORECASTS, MARTS, Inputs, judged_persons
from models.training import METRIC, MIN_PERSONS, Past, validated
from spark_jobs.session import session

Values = dict[str, float]  # "section.name" -> value
Figures = dict[str, float]
Report = Callable[[int, Figures], None]


@dataclass(frozen=True)
class Range:
    """The values that are tried, both ends included; `log`: evenly in the logarithm."""

    low: float
    high: float
    log: bool = True
    whole: bool = False

    def clean(self, value: float) -> float:
        """`value` with 4 significant digits, or as a whole number, within the range."""
        kept = round(value) if self.whole else float(f"{value:.4g}")
        return min(max(kept, self.low), self.high)


SPACE: Final[Mapping[str, Range]] = {
    "candidates.half_life_days": Range(0.05, 64),
    "candidates.own_half_life_days": Range(7, 365),
    "candidates.popular_half_life_days": Range(0.5, 28),
    "candidates.als_factors": Range(16, 128, whole=True),
    "candidates.als_regularisation": Range(4.0, 400.0),
    "candidates.als_alpha": Range(1, 40),
    "candidates.similarity_shrinkage": Range(1, 200),
    "candidates.covisitation_balance": Range(0, 1, log=False),
    "candidates.rp3_beta": Range(0, 1, log=False),
    "ranker.leaves": Range(7, 63, whole=True),
    "ranker.learning_rate": Range(0.02, 0.2),
    "ranker.max_candidates": Range(20, 100, whole=True),
}
STARTUP_TRIALS: Final = 6  # drawn at random before the estimator has something to estimate from


@dataclass(frozen=True)
class Trial:
    """Values and what they reached; the first trial's are the present settings."""

    values: Values
    figures: Figures


def run(settings: Settings, run_date: date, *, n_trials: int, report: Report) -> dict[str, Any]:
    """Search until there are `n_trials` trials, those of an earlier, equal search counted; keep the best settings in the home and give back what is kept.

    Needs the night of `run_date`, with the features of a night that trains. The night's tables stay as they are. Raises MissingInputError
    where the night is not there, or has too few persons to judge by; LockedError while another search runs.
    """
    with exclusive(settings.home / "locks" / "tune.lock"):
        night = Night.load(settings, run_date)
        tables = night.tables.snapshot()
        cut = cut_of(settings, run_date, horizons_back=2)
        marts = inputs_of(tables, cut.as_of)
        with connect(settings) as connection:
            persons = judged_persons(connection, marts, cut, limit=settings.ranker.max_training_users, seed=settings.seed)
        require_features(settings, tables, {cut: persons}, night)
        if len(persons) < MIN_PERSONS:
            raise MissingInputError(f"{len(persons)} persons are too few to tune by: {MIN_PERSONS} are needed with something taken up after {cut.as_of}.")

        def judge(values: Values) -> Figures:
            tried = tuned.with_values(settings, nested(values))
            make_folder(settings.scratch_dir)
            with TemporaryDirectory(dir=settings.scratch_dir) as folder, connect(settings) as connection:
                scratch = Lake(Path(folder))
                make_forecasts(tried, scratch, [cut], run_id="tune", marts=marts.files)
                make_candidates(tried, scratch, {cut: persons}, run_id="tune", marts=marts.files)
                files = {mart: marts.files[mart] for mart in MARTS} | {table: scratch.snapshot().files(table) for table in (*CANDIDATES, FORECASTS)}
                return validated(connection, Past(Inputs(files), cut, persons), tried, threads=threads_of(settings))

        free = {name: space for name, space in SPACE.items() if not _is_set(settings, name)}
        record = settings.home / "tuning" / f"{run_date}.json"
        data = {mart: [file.sha256 for file in tables.data_files(mart)] for mart in MARTS}
        key = _key(settings, list(free), data)
        start, trials = _begun(record, key) or (tuned.read(settings) or {"settings": {}}, [])
        present: dict[str, dict[str, Any]] = start["settings"]
        write_json(record, _document(key, present, trials))

        def keep(found: Sequence[Trial]) -> None:
            write_json(record, _document(key, present, found))
            report(len(found), found[-1].figures)

        with session(settings):  # one for all trials
            trials = search(trials, n_trials, first=flat(present), free=free, judge=judge, propose=propose, seed=settings.seed, keep=keep)
        found = _best(trials) | {"run_date": run_date.isoformat(), "as_of": cut.as_of.isoformat(), "n_persons": len(persons)}
        tuned.write(settings, found)
        return found


def search(
    trials: Sequence[Trial],
    n_trials: int,
    *,
    first: Values,
    free: Mapping[str, Range],
    judge: Callable[[Values], Figures],
    propose: Callable[[Sequence[Trial], Mapping[str, Range], int], Values],
    seed: int,
    keep: Callable[[Sequence[Trial]], None],
) -> list[Trial]:
    """`trials` and those that follow, `n_trials` in all: the values `first`, then what `propose` makes of the trials before. `keep` is called after each."""
    found = list(trials)
    while len(found) < n_trials:
        values = propose(found[1:], free, seed + len(found)) if found else first
        found.append(Trial(values, judge(values)))
        keep(found)
    return found


def propose(trials: Sequence[Trial], free: Mapping[str, Range], seed: int) -> Values:
    """The next values, by Optuna's estimator: what the trials before and the seed say, and nothing else."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    kinds: dict[str, optuna.distributions.BaseDistribution] = {
        name: optuna.distributions.IntDistribution(int(one.low), int(one.high), log=one.log)
        if one.whole
        else optuna.distributions.FloatDistribution(one.low, one.high, log=one.log)
        for name, one in free.items()
    }
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP_TRIALS)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.add_trials([optuna.trial.create_trial(params=one.values, distributions=kinds, value=one.figures[METRIC]) for one in trials])
    return {name: free[name].clean(value) for name, value in study.ask(kinds).params.items()}


def nested(values: Values) -> dict[str, dict[str, Any]]:
    """{"section.name": value} as {section: {name: value}}."""
    found: dict[str, dict[str, Any]] = {}
    for path, value in values.items():
        section, name = path.split(".")
        found.setdefault(section, {})[name] = value
    return found


def flat(values: Mapping[str, Mapping[str, Any]]) -> Values:
    """The inverse of `nested`."""
    return {f"{section}.{name}": value for section, names in values.items() for name, value in names.items()}


def _is_set(settings: Settings, path: str) -> bool:
    section, name = path.split(".")
    return name in getattr(settings, section).model_fields_set


def _key(settings: Settings, free: list[str], data: Mapping[str, list[str]]) -> str:
    """What a search must have in common with an earlier one to go on with it."""
    same = {"free": free, "data": data, "seed": settings.seed, **{name: getattr(settings, name).model_dump(mode="json") for name in tuned.SECTIONS}}
    return sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()


def _document(key: str, present: Mapping[str, Any], trials: Sequence[Trial]) -> dict[str, Any]:
    return {"key": key, "settings": present, "trials": [{"values": one.values, "figures": one.figures} for one in trials]}


def _begun(record: Path, key: str) -> tuple[dict[str, Any], list[Trial]] | None:
    """The settings that an equal search started from, and its trials; None where there is none."""
    try:
        begun = json.loads(record.read_text(encoding="utf-8"))
        return (begun, [Trial(**one) for one in begun["trials"]]) if begun["key"] == key else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _best(trials: Sequence[Trial]) -> dict[str, Any]:
    """What is kept of a search: the first of the best trials."""
    number = min(range(len(trials)), key=lambda place: (-trials[place].figures[METRIC], place))
    best = trials[number]
    return {"settings": nested(best.values), "figures": best.figures, "before": trials[0].figures, "n_trials": len(trials), "trial": number + 1}
