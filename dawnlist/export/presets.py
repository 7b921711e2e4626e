"""The REST shapes of CMSs, as data: `presets/*.yml` and templates of a site's own. `schemas/preset.json` is their language.

A preset says how documents are listed, created, changed and deleted. `{hole}` in it is filled in for each request: a text that is one hole
becomes the value itself (a document, a list), other text has the value in its place.
"""

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from dawnlist import yaml_lines
from dawnlist.errors import SettingsError
from dawnlist.export.contract import SCHEMAS
from dawnlist.settings import Delivery

FOLDER: Final = Path(__file__).parent / "presets"
DOCS: Final = "docs/cms.md"
_HOLE: Final = re.compile(r"\{([a-z0-9_]+)\}")
_OF_A_DOCUMENT: Final = frozenset({"documents", "collection", "id", "hash", "document", "document_text", "expires_at", "handle", "entry"})
_HOLES: Final = {  # what may stand where
    "token": frozenset({"token", "token_base64"}),
    "list": frozenset({"documents", "collection", "offset", "limit"}),
    "entry": _OF_A_DOCUMENT - {"entry"},
    "create": _OF_A_DOCUMENT - {"handle"} | {"each"},
    "update": _OF_A_DOCUMENT | {"each"},
    "delete": frozenset({"documents", "collection", "id", "handle", "each"}),
}


@dataclass(frozen=True)
class Token:
    """The header that the token goes in. `token_base64` is the token for HTTP Basic: `user:password`."""

    header: str = "Authorization"
    value: str = "Bearer {token}"


@dataclass(frozen=True)
class Listing:
    """How the CMS says what it has, page by page, in an order that lasts. `entries`, and in each of them `id`, `hash` and `handle`, are keys with dots between."""

    path: str
    entries: str
    id: str
    hash: str
    handle: str
    limit: int = 100


@dataclass(frozen=True)
class Refusals:
    """How an answer of 2xx names the documents that it refused: `entries`, one a document and in their order, with a `status` and a `reason`."""

    entries: str
    status: str
    reason: str


@dataclass(frozen=True)
class Write:
    """One kind of change. `each`: what stands for a document in a batch of at most `size`; in `body`, `{each}` is the list of them."""

    method: str
    path: str
    body: Any = None
    each: Any = None
    size: int = 1
    refusals: Refusals | None = None


@dataclass(frozen=True)
class Writes:
    """How the CMS is changed. `entry`: what a document is there; `collections`: where each kind of document lies, the manifest too."""

    collections: dict[str, str]
    entry: dict[str, Any]
    create: Write
    update: Write
    delete: Write


@dataclass(frozen=True)
class Preset:
    """A shape. Without `writes` it takes bundles by the export contract."""

    token: Token
    list: Listing
    writes: Writes | None


def load(settings: Delivery) -> Preset:
    """The preset of the settings, or their own template. Raises SettingsError with file, line and key."""
    if (settings.preset == "template") != (settings.template is not None):
        raise SettingsError('delivery.template and delivery.preset = "template" go together: set both, or none.')
    return read(settings.template or FOLDER / f"{settings.preset}.yml")


@cache
def read(path: Path) -> Preset:
    """The preset in the YAML file `path`. Raises SettingsError."""
    from jsonschema import Draft202012Validator

    document = yaml_lines.read(path, docs=DOCS, error=SettingsError)
    schema = json.loads((SCHEMAS / "preset.json").read_text(encoding="utf-8"))
    content = document.content
    found = document.doubles()
    found += [document.mistake(tuple(fault.absolute_path), fault.message) for fault in Draft202012Validator(schema).iter_errors(content)]
    if not found:
        parts = content | content.get("writes", {})
        found = [
            document.mistake(((name,) if name in content else ("writes", name)), f"{{{hole}}} is not known there{yaml_lines.did_you_mean(hole, known)}")
            for name, known in _HOLES.items()
            for hole in sorted(set(_HOLE.findall(json.dumps(parts.get(name, "")))) - known)
        ]
    if found:
        raise SettingsError(yaml_lines.sentence(path, found, docs=DOCS))
    writes = content.get("writes")
    return Preset(Token(**content.get("token", {})), Listing(**content["list"]), _writes(writes) if writes else None)


def _writes(content: dict[str, Any]) -> Writes:
    def write(name: str) -> Write:
        refusals = content[name].get("refusals")
        return Write(**content[name] | {"refusals": Refusals(**refusals) if refusals else None})

    return Writes(content["collections"], content["entry"], write("create"), write("update"), write("delete"))


def fill(template: Any, values: dict[str, Any]) -> Any:
    """`template` with its holes filled in."""
    if isinstance(template, dict):
        return {name: fill(value, values) for name, value in template.items()}
    if isinstance(template, list):
        return [fill(value, values) for value in template]
    if not isinstance(template, str):
        return template
    whole = _HOLE.fullmatch(template)
    return values[whole[1]] if whole else _HOLE.sub(lambda hole: str(values[hole[1]]), template)


def fill_path(template: str, values: dict[str, Any]) -> str:
    """The path `template` with its holes filled in, as a URL wants it."""
    return _HOLE.sub(lambda hole: quote(str(values[hole[1]]), safe=""), template)


def at(content: Any, keys: str) -> Any:
    """What stands in nested JSON at `keys`, names with dots between; all of it where there are none, None where it is not there."""
    for key in filter(None, keys.split(".")):
        content = content.get(key) if isinstance(content, dict) else None
    return content
