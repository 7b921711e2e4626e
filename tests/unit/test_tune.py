"""The search: bounded, resumed as if it had not stopped, its best kept in the home; and nights read it where nothing was set by hand."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dawnlist import tune, tuned
from dawnlist.cli import app
from dawnlist.errors import CorruptedError
from dawnlist.settings import Candidates, Settings
from dawnlist.tune import SPACE, Range, Trial, Values

FREE = {"candidates.rp3_beta": SPACE["candidates.rp3_beta"], "ranker.leaves": SPACE["ranker.leaves"]}


def judge(values: Values) -> dict[str, float]:
    """Best at beta .25, whatever the leaves."""
    return {"ndcg@10": 1 - (values.get("candidates.rp3_beta", 0.6) - 0.25) ** 2}


def halves(trials: Sequence[Trial], free: Mapping[str, Range], seed: int) -> Values:
    return {"candidates.rp3_beta": 0.5 ** (len(trials) + seed % 2), "ranker.leaves": 7}


def search(trials: Sequence[Trial], n_trials: int, kept: list[list[Trial]]) -> list[Trial]:
    return tune.search(trials, n_trials, first={}, free=FREE, judge=judge, propose=halves, seed=4, keep=lambda found: kept.append(list(found)))


def test_a_search_that_was_stopped_goes_on_as_if_it_had_not_been() -> None:
    kept: list[list[Trial]] = []
    whole = search([], 5, kept)
    assert [len(found) for found in kept] == [1, 2, 3, 4, 5]
    assert whole[0].values == {}  # the present settings
    for done in kept:
        assert search(done, 5, []) == whole
    assert search(whole, 3, []) == whole


def test_the_first_of_the_best_is_kept_with_its_figures() -> None:
    trials = [Trial({}, {"ndcg@10": 0.1}), Trial({"ranker.leaves": 9}, {"ndcg@10": 0.3}), Trial({"ranker.leaves": 8}, {"ndcg@10": 0.3})]
    best = tune._best(trials)
    assert best == {"settings": {"ranker": {"leaves": 9}}, "figures": {"ndcg@10": 0.3}, "before": {"ndcg@10": 0.1}, "n_trials": 3, "trial": 2}


def test_nights_read_what_was_found_unless_it_is_set_by_hand(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, candidates=Candidates(rp3_beta=0.9))
    assert tuned.applied(settings) == settings
    tuned.write(settings, {"settings": {"candidates": {"rp3_beta": 0.1, "als_factors": 32}, "ranker": {"leaves": 9}}})
    found = tuned.applied(settings)
    assert (found.candidates.rp3_beta, found.candidates.als_factors, found.ranker.leaves) == (0.9, 32, 9)
    assert found.candidates.als_alpha == settings.candidates.als_alpha
    assert tuned.applied(found) == found


@pytest.mark.parametrize(
    "text", ["no json", "{}", '{"settings": {"ranker": {"leaves": 0}}}', '{"settings": {"ranker": {"leafs": 9}}}', '{"settings": {"nothing": {}}}', "[]"]
)
def test_a_file_that_tune_did_not_write_is_named(tmp_path: Path, text: str) -> None:
    settings = Settings(home=tmp_path)
    tuned.file_of(settings).parent.mkdir()
    tuned.file_of(settings).write_text(text)
    with pytest.raises(CorruptedError, match="run `dawnlist tune` again"):
        tuned.applied(settings)


def test_a_night_that_does_not_train_keeps_to_what_its_model_was_trained_with(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, candidates=Candidates(rp3_beta=0.9))
    tuned.write(settings, {"settings": {"ranker": {"leaves": 9}}})
    trained = {"settings": {"seed": 7, "candidates": {"rp3_beta": 0.1, "als_factors": 32, "of_another_release": 1}}}
    found = tuned.as_trained(settings, trained)
    assert (found.candidates.rp3_beta, found.candidates.als_factors, found.ranker.leaves, found.seed) == (0.9, 32, settings.ranker.leaves, settings.seed)
    assert tuned.as_trained(settings, {}) == settings


def test_every_tuned_setting_is_one_and_its_range_allowed(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    for end in ("low", "high"):
        values = {name: getattr(space, end) for name, space in SPACE.items()}
        assert tune.flat(tune.nested(values)) == values
        assert tuned.with_values(settings, tune.nested(values)) != settings


def test_values_are_short_and_stay_in_their_range() -> None:
    assert Range(0.001, 0.1).clean(0.0123456) == 0.01235
    assert Range(0.001, 0.1).clean(0.1 + 1e-9) == 0.1
    assert Range(7, 63, whole=True).clean(8.4) == 8


def test_optunas_proposals_follow_from_trials_and_seed_and_get_better() -> None:
    found = tune.search([], 30, first={}, free=FREE, judge=judge, propose=tune.propose, seed=1, keep=lambda _: None)
    again = tune.search(found[:12], 30, first={}, free=FREE, judge=judge, propose=tune.propose, seed=1, keep=lambda _: None)
    assert again == found
    assert all(space.low <= trial.values[name] <= space.high for trial in found[1:] for name, space in FREE.items())
    assert max(trial.figures["ndcg@10"] for trial in found) > 0.999


def test_a_search_of_other_data_or_settings_starts_anew(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    key = tune._key(settings, list(FREE), {"dim_items": ["a"]})
    record = tmp_path / "tuning.json"
    assert tune._begun(record, key) is None
    trials = [Trial({}, {"ndcg@10": 0.5})]
    tune.write_json(record, tune._document(key, {"ranker": {"leaves": 9}}, trials))
    begun = tune._begun(record, key)
    assert begun is not None
    assert (begun[0]["settings"], begun[1]) == ({"ranker": {"leaves": 9}}, trials)
    for other in (tune._key(settings, list(FREE), {"dim_items": ["b"]}), tune._key(settings.with_(seed=1), list(FREE), {"dim_items": ["a"]})):
        assert tune._begun(record, other) is None


def test_show_prints_what_was_found_last(tmp_path: Path) -> None:
    def shown(*more: str) -> str:
        result = CliRunner().invoke(app, ["tune", "--show", "--home", str(tmp_path), *more], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    assert "Nothing was tuned yet" in shown()
    found = tune._best([Trial({}, {"ndcg@10": 0.1}), Trial({"ranker.leaves": 9}, {"ndcg@10": 0.3})])
    tuned.write(Settings(home=tmp_path), found | {"run_date": "2026-03-01", "as_of": "2026-02-23", "n_persons": 60})
    text = shown()
    assert [word in text for word in ("Trial 2 of 2", "ndcg@10 0.3000", "Before: ndcg@10 0.1000", "ranker.leaves = 9", "60 persons")] == [True] * 5
    assert json.loads(shown("--json"))["settings"] == {"ranker": {"leaves": 9}}
