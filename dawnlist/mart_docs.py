"""The marts as the dbt project describes them: what analysts read as comments, and which features rules may name."""

from functools import cache
from typing import Any

import yaml

from dawnlist.settings import PROJECT


@cache
def described() -> dict[str, dict[str, Any]]:
    """Mart -> its entry in the project's YAML: description, and columns with data_type and description. Read once a process."""
    models: dict[str, dict[str, Any]] = {}
    for path in sorted((PROJECT / "dbt_project" / "models" / "marts").rglob("*.yml")):
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader) or {}  # safe_load by libyaml: a tenth of its time
        models |= {model["name"]: model for model in document.get("models", ())}
    return models
