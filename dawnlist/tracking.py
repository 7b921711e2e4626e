"""Every trained version as a run in MLflow: in a store of the home, or on a server. MLflow is a second record; the registry of models is the first.

Nothing that serves reads it, so a store that cannot be reached costs a note and no night.
"""

import json
import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from dawnlist.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from mlflow.tracking import MlflowClient

VERSION_TAG: Final = "dawnlist.version"
LONGEST_PARAMETER: Final = 6000  # characters that MLflow keeps of one
REQUEST_SECONDS: Final = 20
REQUEST_RETRIES: Final = 1


def log(settings: Settings, version: str, metadata: Mapping[str, Any], tags: Mapping[str, str]) -> list[str]:
    """Log a version of `settings.models_dir`: settings as parameters, figures as metrics, its files as artifacts, `tags` as they are. Once: another call renews the tags.

    Returns notes: none, or one that says why it could not be logged.
    """
    if not settings.mlflow.enabled:
        return []
    _keep_quiet()
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        _log(settings, version, metadata, tags)
    except (MlflowException, SQLAlchemyError, OSError) as error:
        # Its text may hold the URI, and that a password.
        return [f"{version} was not logged to MLflow ({'mlflow.uri' if settings.mlflow.uri else settings.mlflow_dir}): {type(error).__name__}"]
    return []


def _keep_quiet() -> None:
    """No word home, no progress bars, and a server that is away does not hold the night up for long. What the operator set stays."""
    for name, value in {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(REQUEST_SECONDS),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": str(REQUEST_RETRIES),
        "GIT_PYTHON_REFRESH": "quiet",
    }.items():
        os.environ.setdefault(name, value)
    for logger in ("mlflow", "alembic"):
        logging.getLogger(logger).setLevel(logging.WARNING)


def _log(settings: Settings, version: str, metadata: Mapping[str, Any], tags: Mapping[str, str]) -> None:
    from mlflow.tracking import MlflowClient

    uri = settings.mlflow.uri.get_secret_value() if settings.mlflow.uri else None
    if uri is None:
        settings.mlflow_dir.mkdir(parents=True, exist_ok=True)
        uri = f"sqlite:///{settings.mlflow_dir / 'mlflow.db'}"
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    experiment = _experiment(client, settings)
    known = client.search_runs([experiment], filter_string=f"tags.`{VERSION_TAG}` = '{version}' and attributes.status = 'FINISHED'", max_results=1)
    run_id = known[0].info.run_id if known else _new_run(client, experiment, settings.models_dir / version, metadata)
    for name, value in tags.items():
        client.set_tag(run_id, f"dawnlist.{name}", value)


def _experiment(client: "MlflowClient", settings: Settings) -> str:
    found = client.get_experiment_by_name(settings.mlflow.experiment)
    if found is not None:
        return str(found.experiment_id)
    artifacts = None if settings.mlflow.uri else (settings.mlflow_dir / "artifacts").as_uri()
    return str(client.create_experiment(settings.mlflow.experiment, artifact_location=artifacts))


def _new_run(client: "MlflowClient", experiment: str, folder: "Path", metadata: Mapping[str, Any]) -> str:
    from mlflow.entities import Metric, Param

    run = client.create_run(experiment, run_name=folder.name, tags={VERSION_TAG: folder.name, "dawnlist.fingerprint": str(metadata.get("fingerprint"))})
    parameters = flat({name: metadata.get(name) for name in ("settings", "cuts", "rules", "served", "window", "weights")})
    metrics = {name: value for name, value in flat(metadata.get("metrics", {})).items() if isinstance(value, int | float) and not isinstance(value, bool)}
    client.log_batch(
        run.info.run_id,
        metrics=[Metric(name, float(value), run.info.start_time, 0) for name, value in metrics.items()],
        params=[Param(name, str(value)[:LONGEST_PARAMETER]) for name, value in parameters.items()],
    )
    client.log_artifacts(run.info.run_id, str(folder), "model")
    client.set_terminated(run.info.run_id)
    return str(run.info.run_id)


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested names joined by dots, `@` (which MLflow refuses) as `_at_`; [low, middle, high] of an interval by these names, other lists as JSON; without None."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}".replace("@", "_at_")
        if isinstance(value, Mapping):
            found |= flat(value, f"{name}.")
        elif isinstance(value, list | tuple) and len(value) == 3 and all(isinstance(part, float) for part in value):
            found |= flat(dict(zip(("low", "middle", "high"), value, strict=True)), f"{name}.")
        elif value is not None:
            found[name] = json.dumps(value) if isinstance(value, list | tuple) else value
    return found
