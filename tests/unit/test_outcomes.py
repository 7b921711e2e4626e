"""What persons will do: the figures by hand, the calibration, and models that learn what there is to learn, from a later slice's other half."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from hashlib import md5
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dawnlist import duck
from dawnlist.lake import Lake
from dawnlist.settings import Ranker, Settings
from dawnlist.stages import train
from dawnlist.stages.base import Interval, Night
from models import aliases, outcomes, registry
from models.inputs import MARTS, Cut, Inputs
from models.outcomes import Calibration
from tests.unit.marts import Marts, at

DAY = date(2026, 3, 10)
CUTS = [DAY - timedelta(days=days) for days in (0, 3, 6)]
SERVING, JUDGING, TRAINING = (Cut(day, 3, exclude_seen=False, exclude_bought=False, is_serving=day == DAY) for day in CUTS)
N_PERSONS = 400
SETTINGS = Ranker(trees=30, early_stopping=5)


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def person(number: int) -> str:
    return md5(f"{number}".encode(), usedforsecurity=False).hexdigest()


def events() -> list[tuple[Any, ...]]:
    """Every fourth person buys every day; another fourth is there on the first day only; the others view every day."""
    rows = []
    for number in range(N_PERSONS):
        kind = number % 4
        days = [0] if kind == 1 else range(12)
        rows += [(person(number), "lamp", at(DAY - timedelta(days=11 - day)), "purchase" if kind == 0 else "view") for day in days]
    return rows


def inputs_of(connection: duckdb.DuckDBPyConnection, folder: Path, **changes: Any) -> Inputs:
    snapshot = replace(Marts(CUTS, events()), **changes).write(connection, Lake(folder / "night"))
    return Inputs({mart: snapshot.files(mart) for mart in MARTS})


def learnt(connection: duckdb.DuckDBPyConnection, inputs: Inputs, threads: int = 1) -> outcomes.Learnt:
    return outcomes.learn(connection, (inputs, TRAINING), (inputs, JUDGING), SETTINGS, seed=1, threads=threads)


def test_the_area_under_the_curve_counts_pairs_and_halves_ties() -> None:
    # Of 2 * 2 pairs of somebody who did it and somebody who did not: right, right, equal, wrong.
    assert outcomes.auc(np.array([0.9, 0.4, 0.4, 0.1]), np.array([True, False, True, False])) == (2 + 0.5 + 1) / 4
    assert outcomes.auc(np.array([0.1, 0.9]), np.array([True, False])) == 0.0


def test_the_brier_score_is_the_mean_squared_error() -> None:
    figures = outcomes.judged(np.array([1.0, 0.5, 0.0, 0.0]), np.array([True, True, False, False]), expected=0.25)
    assert figures == {"n_users": 4, "base_rate": 0.5, "auc": 1.0, "brier": 0.0625, "brier_base": pytest.approx((2 * 0.5625 + 2 * 0.0625) / 4)}


def test_isotonic_calibration_pools_what_is_out_of_order() -> None:
    # 250 persons at each of four scores, of whom 0, 150, 100 and 250 did it: the middle two are pooled to a half.
    scores = np.repeat([-2.0, -1.0, 1.0, 2.0], 250)
    did = np.concatenate([np.arange(250) < n for n in (0, 150, 100, 250)])
    calibration = Calibration.of(scores, did)
    assert calibration.method == "isotonic"
    assert calibration(np.array([-9.0, -2.0, -1.0, 0.0, 1.0, 1.5, 2.0, 9.0])).tolist() == [0, 0, 0.5, 0.5, 0.5, 0.75, 1, 1]


def test_platts_sigmoid_recovers_the_rates_of_two_groups() -> None:
    scores, did = np.repeat([-1.0, 1.0], 400), np.concatenate([np.arange(400) < 80, np.arange(400) < 320])
    calibration = Calibration.of(scores, did)
    assert calibration.method == "platt"
    assert calibration(np.array([-1.0, 1.0])) == pytest.approx([0.2, 0.8], abs=0.005)


@given(st.integers(0, 2**32), st.integers(1000, 1100), st.floats(0, 1))
def test_a_calibrated_probability_never_falls_with_the_score(seed: int, n: int, rate: float) -> None:
    random = np.random.default_rng(seed)
    scores, did = random.normal(size=n).round(1), random.random(n) < rate
    found = Calibration.of(scores, did)(np.sort(scores))
    assert (np.diff(found) >= 0).all()
    assert ((found >= 0) & (found <= 1)).all()


def test_buyers_and_the_lost_are_told_apart(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    found = learnt(connection, inputs_of(connection, tmp_path))
    assert found.notes == []
    for outcome in outcomes.OUTCOMES:
        figures = found.metrics[outcome]
        assert figures["n_users"] == N_PERSONS // 2
        assert figures["auc"] == 1.0
        assert figures["brier"] < 0.1 * figures["brier_base"]
    assert 0.15 < found.metrics["purchase"]["base_rate"] < 0.35


def test_scores_are_of_consenting_persons_as_of_the_date(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    inputs = inputs_of(connection, tmp_path, without_consent=[person(0)])
    outcomes.create_scores(connection, inputs, SERVING, learnt(connection, inputs).texts, threads=1)
    rows = {who: rest for who, *rest in connection.execute(outcomes.scores(SERVING, "v")).fetchall()}
    assert set(rows) == {person(number) for number in range(1, N_PERSONS)}
    day, buys, leaves, version = rows[person(4)]
    assert (day, version) == (DAY, "v")
    assert buys > 0.9
    assert leaves < 0.1
    assert rows[person(1)][1] < 0.1
    assert rows[person(1)][2] > 0.9


def test_too_few_persons_make_no_model_and_whom_it_cannot_happen_to_has_no_score(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    lonely = [(person(number), "lamp", at(DAY - timedelta(days=60)), "view") for number in range(3)]
    inputs = inputs_of(connection, tmp_path, events=lonely)
    found = learnt(connection, inputs)
    assert (found.texts, found.metrics, len(found.notes)) == ({}, {}, 2)
    outcomes.create_scores(connection, inputs, SERVING, {}, threads=1)
    assert connection.execute("SELECT DISTINCT purchase_probability, churn_probability FROM outcome").fetchall() == [(None, None)]


def test_models_do_not_depend_on_the_number_of_threads(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    inputs = inputs_of(connection, tmp_path)
    assert learnt(connection, inputs, threads=1) == learnt(connection, inputs, threads=2)


def test_a_night_keeps_the_scores_of_its_champion_and_the_same_ones_again(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    inputs = inputs_of(connection, tmp_path, without_consent=[person(0)])
    settings = Settings(home=tmp_path / "home")
    version = registry.save(settings.models_dir, DAY, learnt(connection, inputs).texts, {"served": "fusion"})
    aliases.update(settings.models_dir, lambda known: aliases.promoted(known, version, DAY, run_id="test", reason="the first"))
    Lake(settings.lake_dir).commit({}, run_id="test")
    night = Night.open(settings, DAY, run_id="test", training=None)
    with duck.connect(settings) as marts:
        Marts(CUTS, events(), without_consent=[person(0)]).write(marts, night.tables)

    hashes = []
    for _ in range(2):
        result = train.run(settings, Interval.day(DAY), run_id="test")
        assert result.counts["outcome_scores"] == N_PERSONS - 1
        (file,) = night.tables.snapshot().data_files("outcome_scores")
        hashes.append(file.sha256)
    assert hashes[0] == hashes[1]
    (path,) = night.tables.snapshot().files("outcome_scores")
    days = duckdb.read_parquet(str(path)).aggregate("feature_date, model_version, count(*), count(DISTINCT person_id)").fetchall()
    assert days == [(DAY, version, N_PERSONS - 1, N_PERSONS - 1)]
