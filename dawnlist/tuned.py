"""The settings that `dawnlist tune` found, kept in the home. Nights that train read them, the others what their model was trained with; what was set by
hand goes before both.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from dawnlist.errors import CorruptedError
from dawnlist.files import write_json
from dawnlist.settings import Settings

SECTIONS: Final = ("candidates", "ranker")


def file_of(settings: Settings) -> Path:
    """Where the best settings are."""
    return settings.home / "tuning" / "best.json"


def read(settings: Settings) -> dict[str, Any] | None:
    """What was found last: settings (section -> name -> value), figures of them and of those before, run_date, n_trials; None where nothing was tuned."""
    try:
        text = file_of(settings).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        found: dict[str, Any] = json.loads(text)
        with_values(settings, found["settings"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(settings) from error
    return found


def write(settings: Settings, found: dict[str, Any]) -> None:
    """Keep what was found, in one step."""
    write_json(file_of(settings), found)


def applied(settings: Settings) -> Settings:
    """The settings with what was found where nothing was set by hand. Raises CorruptedError for a file that `dawnlist tune` did not write."""
    found = read(settings)
    return with_values(settings, found["settings"]) if found else settings


def as_trained(settings: Settings, metadata: Mapping[str, Any]) -> Settings:
    """The settings with what a model of the registry was trained with, where nothing was set by hand: it knows no other candidates."""
    trained = metadata.get("settings", {})
    known = {section: type(getattr(settings, section)).model_fields for section in SECTIONS}
    return with_values(
        settings, {section: {name: trained[section][name] for name in known[section] if name in trained.get(section, {})} for section in SECTIONS}
    )


def with_values(settings: Settings, values: dict[str, dict[str, Any]]) -> Settings:
    """The settings with `values` (section -> name -> value) in place of defaults. Raises ValueError for what no setting allows."""
    changes = {}
    for section, new in values.items():
        present = getattr(settings, section)
        changes[section] = type(present).model_validate({**new, **present.model_dump(exclude_unset=True)})
    return settings.with_(**changes)


def _damaged(settings: Settings) -> CorruptedError:
    return CorruptedError(f"{file_of(settings)} is not what `dawnlist tune` writes. Remove it, and run `dawnlist tune` again.")
