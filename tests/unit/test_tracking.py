"""Versions in MLflow: in a store of the home, once, with figures and files; and a store that cannot be used costs a note."""

from datetime import date
from pathlib import Path

from pydantic import SecretStr

from dawnlist import tracking
from dawnlist.settings import MLflow, Settings
from models import registry

METADATA = {"served": "ranker", "settings": {"seed": 7}, "fingerprint": "f00d", "metrics": {"n_users": 80, "ranker": {"ndcg@10": 0.25}, "best": None}}


def test_a_version_is_one_run_with_its_figures_files_and_decision(tmp_path: Path) -> None:
    from mlflow.tracking import MlflowClient

    settings = Settings(home=tmp_path / "home")
    version = registry.save(settings.models_dir, date(2026, 3, 1), {"ranker.txt": "tree\n"}, METADATA)
    for decision in ("kept", "promoted"):
        assert tracking.log(settings, version, METADATA, {"decision": decision}) == []
    client = MlflowClient(tracking_uri=f"sqlite:///{settings.mlflow_dir / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("dawnlist")
    [run] = client.search_runs([experiment.experiment_id])
    assert run.data.metrics == {"n_users": 80.0, "ranker.ndcg_at_10": 0.25}
    assert run.data.params == {"served": "ranker", "settings.seed": "7"}
    assert (run.data.tags["dawnlist.version"], run.data.tags["dawnlist.decision"], run.info.status) == (version, "promoted", "FINISHED")
    [ranker] = settings.mlflow_dir.glob("artifacts/*/artifacts/model/ranker.txt")
    assert ranker.read_text() == "tree\n"


def test_a_server_that_is_away_is_a_note_without_its_address(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", mlflow=MLflow(uri=SecretStr(f"sqlite:///{tmp_path}/missing/secret.db")))
    (tmp_path / "missing").write_text("no folder")
    [note] = tracking.log(settings, "2026-03-01-abc", METADATA, {})
    assert note.startswith("2026-03-01-abc was not logged to MLflow (mlflow.uri): ")
    assert "secret" not in note
    assert tracking.log(settings.with_(mlflow=MLflow(enabled=False)), "2026-03-01-abc", METADATA, {}) == []


def test_names_are_flat_and_intervals_have_names() -> None:
    nested = {"difference": {"ndcg@10": [0.1, 0.2, 0.3]}, "cuts": {"training": "2026-03-01"}, "sources": [1, 2], "ranker": None}
    assert tracking.flat(nested) == {
        "difference.ndcg_at_10.low": 0.1,
        "difference.ndcg_at_10.middle": 0.2,
        "difference.ndcg_at_10.high": 0.3,
        "cuts.training": "2026-03-01",
        "sources": "[1, 2]",
    }
