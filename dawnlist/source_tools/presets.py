"""Mappings of layouts that many sources share: `config/presets/*.yml`, to be copied and changed."""

import re
from pathlib import Path

from dawnlist import sources
from dawnlist.errors import SourceError
from dawnlist.settings import PROJECT, Settings
from dawnlist.sources import Source

PRESETS = PROJECT / "config" / "presets"
_NAME = re.compile(r"[a-z][a-z0-9_]*")


def presets() -> list[Source]:
    """All presets, sorted by name."""
    return [sources.read(path) for path in sorted(PRESETS.glob("*.yml"))]


def create(settings: Settings, name: str, preset: str) -> Path:
    """Copy `preset` to the sources folder as `name`.yml, with an id space of its own. Returns the new file.

    Raises SourceError for a name that is none, for a source that is there already, and for an unknown preset.
    """
    check_name(name)
    known = [source.name for source in presets()]
    if preset not in known:
        raise SourceError(f"There is no preset {preset!r}; there are: {', '.join(known)}.")
    text = (PRESETS / f"{preset}.yml").read_text(encoding="utf-8")
    target = settings.sources_dir / f"{name}.yml"
    write_new(target, text.replace(f'user_namespace: "{preset}:"', f'user_namespace: "{name}:"'))
    return target


def check_name(name: str) -> None:
    """Raise SourceError for what cannot name a source."""
    if not _NAME.fullmatch(name):
        raise SourceError(f"{name!r} cannot name a source: small letters, digits and underscores, a letter first.")


def write_new(target: Path, text: str) -> None:
    """Write a YAML file that must not be there yet. Raises SourceError when it is."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise SourceError(f"{target} is there already. Choose another name, or remove the file first.") from None
