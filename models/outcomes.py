"""What a person will do within the label window: buy (propensity), or not come back (churn). Trees on the features of persons, calibrated on a later slice.

The trees are fitted at the training cut. The persons of the later cut are parted by their ids, which are keyed hashes: one half says when to stop and
calibrates, the other half is what the figures are of. Calibration is isotonic (Zadrozny & Elkan, KDD 2002); with fewer than 1,000
persons it is Platt's sigmoid (1999), as isotonic regression overfits small samples (Niculescu-Mizil & Caruana, ICML 2005).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from dawnlist.duck import literal
from models import ranker
from models.frame import PERSON_COLUMNS
from models.inputs import Cut, Inputs

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from dawnlist.settings import Ranker

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

PURCHASE, CHURN = "purchase", "churn"
OUTCOMES: Final = (PURCHASE, CHURN)
CALIBRATIONS: Final = "outcomes.json"
TABLE: Final = "outcome_scores"
MIN_PERSONS: Final = 20  # who did it, and who did not, in each of the three parts: fewer teach noise
MIN_ISOTONIC: Final = 1000
DIGITS: Final = 6
LEAVES, MIN_ROWS_IN_LEAF = 7, 20  # small trees: a person is described by fewer than twenty numbers


@dataclass(frozen=True)
class Persons:
    """Persons with a history before a cut, by id. `features`: PERSON_COLUMNS as of the cut, NaN for unknown; `is_recent`: had an event in the 28 days before
    it, and so can be lost; `did`: outcome -> whether it happened within the label window.
    """

    person_ids: "pa.ChunkedArray"
    features: "NDArray[np.float32]"
    is_recent: "Flags"
    did: Mapping[str, "Flags"]

    def at_risk(self, outcome: str) -> "Flags":
        """Whom the outcome can happen to."""
        return self.is_recent if outcome == CHURN else self.is_recent | True


@dataclass(frozen=True)
class Calibration:
    """Raw scores (log-odds) to probabilities: the line through the points (x, y), flat beyond them, or the sigmoid 1 / (1 + exp(x[0] * score + x[1]))."""

    method: str
    x: Sequence[float]
    y: Sequence[float] = ()

    @classmethod
    def of(cls, scores: "Floats", did: "Flags") -> Self:
        """Isotonic from MIN_ISOTONIC persons on, else Platt's."""
        return cls("isotonic", *_isotonic(scores, did)) if len(scores) >= MIN_ISOTONIC else cls("platt", _platt(scores, did))

    def __call__(self, scores: "Floats") -> "Floats":
        """Probabilities, rounded."""
        import numpy as np
        from scipy.special import expit

        found = np.interp(scores, self.x, self.y) if self.method == "isotonic" else expit(-(self.x[0] * scores + self.x[1]))
        return np.round(found, DIGITS)


@dataclass(frozen=True)
class Learnt:
    """The files of a version (trees by outcome, and the calibrations), each outcome's figures, and notes on what could not be learnt."""

    texts: dict[str, str]
    metrics: dict[str, dict[str, Any]]
    notes: list[str]


def learn(
    connection: "duckdb.DuckDBPyConnection",
    training: tuple[Inputs, Cut],
    judging: tuple[Inputs, Cut],
    settings: "Ranker",
    *,
    seed: int,
    threads: int,
) -> Learnt:
    """Fit and calibrate a model per outcome. Too few persons are no error: no model, and a note.

    Figures: n_users, base_rate (share of those who did it), auc, brier (mean squared error), brier_base (of saying the base rate to everybody),
    trees, and calibration (the method).
    """
    import numpy as np

    taught, later = (persons(connection, *part, limit=settings.max_training_users) for part in (training, judging))
    half = np.arange(len(later.person_ids)) % 2 == 0  # ids are keyed hashes in order: a random half
    texts: dict[str, str] = {}
    metrics: dict[str, dict[str, Any]] = {}
    calibrations: dict[str, Any] = {}
    notes = []
    for outcome in OUTCOMES:
        parts = [(part.features[rows], part.did[outcome][rows]) for part, rows in _parts(taught, later, half, outcome)]
        if min(min(did.sum(), (~did).sum()) for _, did in parts) < MIN_PERSONS:
            notes.append(f"No model of '{outcome}': fewer than {MIN_PERSONS} persons who did it, or who did not, in one of the slices.")
            continue
        booster, calibration = _fit(parts[0], parts[1], settings, seed=seed, threads=threads)
        features, did = parts[2]
        figures = judged(calibration(_raw(booster, features, threads)), did, expected=float(parts[1][1].mean()))
        metrics[outcome] = figures | {"trees": booster.best_iteration, "calibration": calibration.method}
        texts[f"{outcome}.txt"] = ranker.to_text(booster)
        calibrations[outcome] = asdict(calibration)
    if calibrations:
        texts[CALIBRATIONS] = json.dumps(calibrations, sort_keys=True) + "\n"
    return Learnt(texts, metrics, notes)


def persons(connection: "duckdb.DuckDBPyConnection", inputs: Inputs, cut: Cut, *, limit: int | None = None) -> Persons:
    """The first `limit` (None: all) persons, by id, who have consented to personalisation and have a history before the cut."""
    import numpy as np

    columns = ", ".join(f"{'bought' if name in ('recency_days', 'frequency', 'monetary') else 'active'}.{name}::FLOAT AS {name}" for name in PERSON_COLUMNS)
    table: pa.Table = connection.sql(f"""
        WITH personal AS (SELECT person_id, event_type, occurred_at FROM {inputs.relation("fct_interactions")} WHERE is_personal AND person_id IS NOT NULL),
        known AS (SELECT DISTINCT person_id FROM personal WHERE occurred_at < {cut.end}),
        later AS (
            SELECT person_id, bool_or(event_type = 'purchase') AS is_buyer FROM personal
            WHERE occurred_at >= {cut.end} AND occurred_at < {cut.label_end} GROUP BY person_id
        ),
        active AS (FROM {inputs.relation("feat_user_activity")} WHERE feature_date = {cut.date}),
        bought AS (FROM {inputs.relation("feat_user_rfm")} WHERE feature_date = {cut.date})
        SELECT person_id, coalesce(is_buyer, false) AS {PURCHASE}, later.person_id IS NULL AS {CHURN}, coalesce(active.n_events_28d > 0, false) AS is_recent, {columns}
        FROM known SEMI JOIN (SELECT person_id FROM {inputs.relation("dim_users")} WHERE has_personalisation_consent) USING (person_id)
        LEFT JOIN later USING (person_id) LEFT JOIN active USING (person_id) LEFT JOIN bought USING (person_id)
        ORDER BY person_id {"" if limit is None else f"LIMIT {limit}"}
    """).to_arrow_table()
    features = np.column_stack([table.column(name).to_numpy() for name in PERSON_COLUMNS]).astype(np.float32)
    did = {outcome: table.column(outcome).to_numpy() for outcome in OUTCOMES}
    return Persons(table.column("person_id"), features, table.column("is_recent").to_numpy(), did)


def create_scores(connection: "duckdb.DuckDBPyConnection", inputs: Inputs, cut: Cut, texts: Mapping[str, str], *, threads: int) -> None:
    """Table `outcome`, one row per person as of the cut: person_id and {outcome}_probability; NULL where the version has no model of it, or it cannot happen to the person."""
    import numpy as np
    import pyarrow as pa

    found = persons(connection, inputs, cut)
    calibrations = json.loads(texts.get(CALIBRATIONS, "{}"))
    table = pa.table({"person_id": found.person_ids})
    for outcome in OUTCOMES:
        values = np.zeros(len(found.person_ids))
        at_risk = found.at_risk(outcome) & (outcome in calibrations)
        if at_risk.any():
            values[at_risk] = Calibration(**calibrations[outcome])(_raw(ranker.from_text(texts[f"{outcome}.txt"]), found.features[at_risk], threads))
        table = table.append_column(f"{outcome}_probability", pa.array(values, mask=~at_risk))
    connection.register("outcome_rows", table)
    connection.execute("CREATE OR REPLACE TEMP TABLE outcome AS FROM outcome_rows")
    connection.unregister("outcome_rows")


def scores(cut: Cut, version: str) -> str:
    """SQL of the table outcome_scores: one row per person and feature_date. Ordered by grain."""
    probabilities = ", ".join(f"{outcome}_probability" for outcome in OUTCOMES)
    return f"SELECT person_id, {cut.date} AS feature_date, {probabilities}, {literal(version)} AS model_version FROM outcome ORDER BY person_id"


def judged(probabilities: "Floats", did: "Flags", *, expected: float) -> dict[str, Any]:
    """n_users, base_rate, auc, brier, and brier_base: that of `expected`, the base rate that was known beforehand, for everybody."""
    import numpy as np

    figures = {
        "base_rate": did.mean(),
        "auc": auc(probabilities, did),
        "brier": np.mean((probabilities - did) ** 2),
        "brier_base": np.mean((expected - did) ** 2),
    }
    return {"n_users": len(did), **{name: round(float(value), DIGITS) for name, value in figures.items()}}


def auc(scores: "Floats", did: "Flags") -> float:
    """The chance that somebody who did it scores higher than somebody who did not, equals counting half (Hanley & McNeil 1982). Both must occur."""
    from scipy.stats import rankdata

    n_did = int(did.sum())
    return float((rankdata(scores)[did].sum() - n_did * (n_did + 1) / 2) / (n_did * (len(did) - n_did)))


def _parts(taught: Persons, later: Persons, half: "Flags", outcome: str) -> list[tuple[Persons, "Flags"]]:
    return [(taught, taught.at_risk(outcome)), (later, later.at_risk(outcome) & half), (later, later.at_risk(outcome) & ~half)]


def _fit(
    taught: "tuple[NDArray[np.float32], Flags]", later: "tuple[NDArray[np.float32], Flags]", settings: "Ranker", *, seed: int, threads: int
) -> tuple[Any, Calibration]:
    import lightgbm

    parameters = ranker.shared_parameters(settings, seed=seed, threads=threads) | {
        "objective": "binary",
        "metric": "binary_logloss",
        "num_leaves": LEAVES,
        "min_data_in_leaf": MIN_ROWS_IN_LEAF,
    }
    data = lightgbm.Dataset(*taught, feature_name=list(PERSON_COLUMNS), params=parameters)
    stop = lightgbm.early_stopping(settings.early_stopping, verbose=False)
    booster = lightgbm.train(parameters, data, settings.trees, valid_sets=[lightgbm.Dataset(*later, reference=data, params=parameters)], callbacks=[stop])
    return booster, Calibration.of(_raw(booster, later[0], threads), later[1])


def _raw(booster: Any, features: "NDArray[np.float32]", threads: int) -> "Floats":
    """Log-odds, rounded."""
    import numpy as np

    return np.round(np.asarray(booster.predict(features, num_iteration=booster.best_iteration, raw_score=True, num_threads=threads)), DIGITS)


def _isotonic(scores: "Floats", did: "Flags") -> tuple[list[float], list[float]]:
    """The ends of the steps of the monotone function with the least squared error; equal scores are one point."""
    import numpy as np
    from scipy.optimize import isotonic_regression

    levels, level, n = np.unique(scores, return_inverse=True, return_counts=True)
    fitted = isotonic_regression(np.bincount(level, weights=did) / n, weights=n).x
    changes = np.diff(fitted) != 0
    ends = np.r_[True, changes] | np.r_[changes, True]
    return levels[ends].tolist(), np.round(fitted[ends], DIGITS).tolist()


def _platt(scores: "Floats", did: "Flags") -> list[float]:
    """[A, B] of Platt (1999), with his targets, which keep a small sample from certainty."""
    import numpy as np
    from scipy.optimize import minimize

    n_did = did.sum()
    target = np.where(did, (n_did + 1) / (n_did + 2), 1 / (len(did) - n_did + 2))

    def loss(parameters: "Floats") -> float:
        margin = parameters[0] * scores + parameters[1]
        return float(np.mean(np.logaddexp(0, margin) - (1 - target) * margin))

    return [round(float(value), DIGITS) for value in minimize(loss, np.array([-1.0, 0.0]), method="BFGS").x]
