"""`dawnlist models` on a registry of three versions, written by hand: what it shows and changes, and what it refuses in one sentence."""

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dawnlist.cli import app
from dawnlist.errors import RegistryError
from models import aliases, frame, registry
from models.aliases import KEPT, PROMOTED, TRAINING, Aliases, Decision


def save(models: Path, day: int, figure: float, **changes: Any) -> str:
    figures = {"ndcg@10": figure, "recall@20": 0.5, "hit_rate@10": 0.5, "coverage@20": 0.5}
    metrics = {"trees": 0, "ranker": None, "sources": {"fusion": figures}, "most_popular": {"name": "popular_7d", "ndcg@10": 0.1}, "best_single": {}}
    metadata: Mapping[str, Any] = {"served": "fusion", "weights": dict(frame.EQUAL_WEIGHTS), "features": list(frame.FEATURES), "metrics": metrics, **changes}
    return registry.save(models, date(2026, 3, day), {}, metadata)


@pytest.fixture
def versions(tmp_path: Path) -> list[str]:
    """The first was champion, the second is, the third was not promoted."""
    models = tmp_path / "home" / "models"
    first, second, third = (save(models, day, figure) for day, figure in ((1, 0.2), (8, 0.25), (15, 0.24)))
    checks = {"champion": {"value": -0.02, "limit": -0.01, "holds": False}}
    history = (
        Decision("2026-03-01", "run-1", PROMOTED, TRAINING, first, None, first, "there is no champion"),
        Decision("2026-03-08", "run-2", PROMOTED, TRAINING, second, first, second, "it is better"),
        Decision("2026-03-15", "run-3", KEPT, TRAINING, third, second, second, "it may lose", checks),
    )
    aliases.update(models, lambda _: Aliases(history, {"2026-03-18": "the scores moved, PSI 0.30"}))
    return [first, second, third]


def models(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["models", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def refused(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["models", *arguments])
    assert isinstance(result.exception, RegistryError), result.output
    return str(result.exception)


def test_a_version_shows_how_well_it_foresees_what_persons_do(tmp_path: Path) -> None:
    figures = {"n_users": 40, "base_rate": 0.25, "auc": 0.75, "brier": 0.125, "brier_base": 0.1875, "trees": 9, "calibration": "platt"}
    version = save(tmp_path / "home" / "models", 1, 0.2, outcomes={"churn": figures})
    shown = models("show", version)
    assert [word in shown for word in ("brier base", "0.1875", "platt", "0.7500")] == [True] * 4


def test_the_list_says_what_each_reached_and_who_serves(versions: list[str]) -> None:
    rows = json.loads(models("list", "--json"))
    assert [(row["version"], row["alias"], row["ndcg@10"], row["popular_ndcg@10"], row["decision"]) for row in rows] == [
        (versions[0], None, 0.2, 0.1, "promoted"),
        (versions[1], "champion", 0.25, 0.1, "promoted"),
        (versions[2], "challenger", 0.24, 0.1, "kept"),
    ]
    table = models("list")
    assert [name in table for name in versions] == [True] * 3


def test_a_version_is_shown_with_its_decisions_and_what_drift_asked(versions: list[str]) -> None:
    text = models("show", "champion")
    assert text.startswith(f"{versions[1]} (champion): serves 'fusion'")
    assert f"2026-03-08 promoted by training (run run-2), {versions[0]} -> {versions[1]}: it is better" in text
    assert "the night of 2026-03-18 asked for a training: the scores moved, PSI 0.30" in text
    challenger = json.loads(models("show", versions[2], "--json"))
    assert [one["checks"]["champion"]["holds"] for one in challenger["decisions"]] == [False]
    assert challenger["drift"] == {}


def test_a_rollback_goes_to_the_champion_before_and_is_written_down(versions: list[str], tmp_path: Path) -> None:
    said = models("rollback", "--reason", "wrong prices")
    assert f"The champion is {versions[0]} now; before it was {versions[1]}. It serves the nights from 2026-03-15 on." in said
    known = aliases.read(tmp_path / "home" / "models")
    assert (known.champion, known.champion_of(date(2026, 3, 14)), known.is_rejected(versions[1])) == (versions[0], versions[1], True)
    last = known.history[-1]
    assert (last.action, last.by, last.before, last.after, last.reason) == ("rolled back", "operator", versions[1], versions[0], "wrong prices")
    assert "was the first champion: there is none before it" in refused("rollback")
    models("promote", versions[1])
    assert not aliases.read(tmp_path / "home" / "models").is_rejected(versions[1])


def test_a_challenger_is_promoted_by_hand(versions: list[str], tmp_path: Path) -> None:
    models("promote", "challenger", "--reason", "we want it")
    known = aliases.read(tmp_path / "home" / "models")
    assert (known.champion, known.challenger, known.history[-1].reason) == (versions[2], None, "we want it")
    models("rollback", "--to", versions[0])
    assert aliases.read(tmp_path / "home" / "models").champion == versions[0]


def test_what_cannot_be_done_is_said_in_one_sentence(versions: list[str], tmp_path: Path) -> None:
    assert refused("promote", versions[1]) == f"{versions[1]} is the champion already."
    assert refused("show", "2025") == "There is no model 2025: `dawnlist models list` has all versions."
    assert refused("show", "2026-03") == "3 models begin with 2026-03: `dawnlist models list` has all versions."
    other = save(tmp_path / "home" / "models", 20, 0.3, weights={"als": 1.0})
    assert f"{other} ranks by other features or sources" in refused("promote", other)


def test_a_damaged_version_is_listed_and_a_registry_without_models_says_so(versions: list[str], tmp_path: Path) -> None:
    path = tmp_path / "home" / "models" / versions[0] / "metadata.json"
    path.write_text(path.read_text().replace("0.2", "0.9"))
    assert [row["served"] for row in json.loads(models("list", "--json"))] == ["damaged", "fusion", "fusion"]
    assert models("list", "--home", str(tmp_path / "other")) == "There is no model yet: the first night trains one.\n"
