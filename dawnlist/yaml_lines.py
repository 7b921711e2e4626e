"""Where a value stands in a YAML file, and mistakes told by file, line and key.

shop.yml:12: inputs.events.columns.ocurred_at: no such column; did you mean occurred_at?
"""

import copy
import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from dawnlist.errors import DawnlistError, SourceError

Place = tuple[str | int, ...]
_KEY = re.compile(r"([\w.]+): ")  # how a validator of a mapping begins its message when it means one of the keys


@dataclass(frozen=True, order=True)
class Mistake:
    """What is wrong at `place`, a path of keys and list positions (from 0) with dots, on `line` (1 = first). `keys` is the same path, where it is one."""

    line: int
    place: str
    message: str
    keys: Place = field(default=(), compare=False)


@dataclass(frozen=True)
class Document:
    """A YAML mapping and the lines of its values. Read it with `read`."""

    path: Path
    content: dict[str, Any]
    root: yaml.Node = field(repr=False)

    def line(self, place: Place) -> int:
        """The line of the value at `place`, or of the deepest one on the way to it that is there."""
        return self._walk(place)[1]

    def existing(self, place: Place) -> Place:
        """As much of `place` as is in the file."""
        return place[: self._walk(place)[0]]

    def without(self, mistakes: Iterable["Mistake"]) -> dict[str, Any]:
        """A copy of the content without the values that are mistakes themselves, so that one mistake does not hide the next."""
        content = copy.deepcopy(self.content)
        for mistake in sorted(mistakes, key=lambda mistake: [str(key).zfill(6) for key in mistake.keys], reverse=True):  # of a list the last one first
            if mistake.keys and self.existing(mistake.keys) == mistake.keys and not mistake.message.endswith("must be mapped"):
                remove(content, mistake.keys)
        return content

    def mistake(self, place: Place, message: str) -> Mistake:
        return Mistake(self.line(place), ".".join(str(part) for part in place) or "file", message, place)

    def doubles(self) -> list[Mistake]:
        """Keys that stand twice in one mapping: YAML takes the last one silently."""
        return [Mistake(line, ".".join(place), "is written twice; only the last one counts") for place, line in _doubles(self.root)]

    def _walk(self, place: Place) -> tuple[int, int]:
        node, line = self.root, 1
        for depth, part in enumerate(place):
            found = _child(node, part)
            if found is None:
                return depth, line
            line, node = found
        return len(place), line


SOURCES_DOCS = "docs/sources.md"


def read(path: Path, *, docs: str = SOURCES_DOCS, error: type[DawnlistError] = SourceError) -> Document:
    """The mapping in the YAML file `path`, loaded safely. Raises `error` when it cannot be read, or is no mapping; `docs` has the language."""
    try:
        text = path.read_text(encoding="utf-8")
        content, root = yaml.safe_load(text), yaml.compose(text, Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as problem:
        raise error(f"Cannot read {path}: {problem}.") from problem
    except yaml.MarkedYAMLError as problem:
        line = problem.problem_mark.line + 1 if problem.problem_mark else 1
        begun = f", in what begins on line {problem.context_mark.line + 1}" if problem.context_mark else ""
        raise error(f"{path}:{line}: is no valid YAML: {problem.problem or problem.context}{begun}.") from problem
    except (yaml.YAMLError, ValueError) as problem:  # a date such as 2026-13-01 is a ValueError
        raise error(f"{path} is no valid YAML: {' '.join(str(problem).split())}.") from problem
    if not isinstance(content, dict) or root is None:
        raise error(f"{path} must be a mapping; see {docs}.")
    return Document(path, content, root)


def sentence(path: Path, mistakes: Iterable[Mistake], *, docs: str = SOURCES_DOCS) -> str:
    """All mistakes of a file, one line each, in the order of the file."""
    found = sorted(set(mistakes))
    head = f"{path.name} has {len(found)} mistake{'s' if len(found) > 1 else ''}; {docs} has the language."
    return "\n".join([head, *(f"{path}:{mistake.line}: {mistake.place}: {mistake.message}" for mistake in found)])


def did_you_mean(name: str, known: Iterable[str], *, likeness: float = 0.6) -> str:
    """`; did you mean X?` with the known name that is nearest to `name`, at least as like as difflib's ratio `likeness` says; else nothing."""
    known = list(known)
    by_lower = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=likeness)
    return f"; did you mean {by_lower[close[0]]}?" if close else ""


def explain(error: ValidationError, model: type[BaseModel], document: Document) -> list[Mistake]:
    """What pydantic found about `model` as mistakes, one for each place; what it says of the whole file is left to the caller."""
    messages: dict[Place, list[str]] = {}
    problems = error.errors(include_url=False, include_input=True)
    wrong_keys = [problem["loc"][:-1] for problem in problems if problem["loc"][-1:] == ("[key]",)]
    for problem in problems:
        place = tuple(part for part in problem["loc"] if part != "[key]")
        if not place or any(place[: len(key)] == key and len(place) > len(key) for key in wrong_keys):
            continue
        if problem["type"] != "missing":
            place = document.existing(place) or place
        message = _message(problem, place, model)
        named = _KEY.match(message) if problem["type"] == "value_error" else None
        for inner in ((), ("columns",)) if named else ():
            deeper: Place = (*place, *inner, *str(named and named.group(1)).split("."))
            if document.existing(deeper) == deeper:
                place, message = deeper, message[named.end() if named else 0 :]
                break
        messages.setdefault(place, []).append(message)
    return [document.mistake(place, " or ".join(dict.fromkeys(found))) for place, found in messages.items()]


def _message(problem: Any, place: Place, model: type[BaseModel]) -> str:
    if problem["type"] == "extra_forbidden":
        known = [name for name in _model_at(model, place[:-1]).model_fields if place[:-1] or name != "name"]  # a file is its source's name
        return f"no such key{did_you_mean(str(place[-1]), known) or '; there are ' + ', '.join(known)}"
    if problem["type"] == "missing":
        return "must be there"
    if problem["type"] == "literal_error":
        choices = re.findall(r"'([^']*)'", problem["ctx"]["expected"])
        return f"must be one of {', '.join(choices)}{did_you_mean(str(problem['input']), choices)}"
    text: str = problem["msg"].removeprefix("Value error, ")
    return text[0].lower() + text[1:]


def _model_at(model: type[BaseModel], place: Place) -> type[BaseModel]:
    for part in place:
        if part in model.model_fields:
            model = _first_model(model.model_fields[str(part)].annotation) or model
    return model


def _first_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _first_model(part))), None)


def remove(node: Any, keys: Place) -> None:
    """Take the value at `keys` out of nested mappings and lists; nothing where it is gone with what it stood in."""
    try:
        for key in keys[:-1]:
            node = node[key]
        del node[keys[-1]]
    except (KeyError, IndexError, TypeError):
        return


def _child(node: yaml.Node, part: str | int) -> tuple[int, yaml.Node] | None:
    """The line of the key and the value of `part` in a mapping, or the line and the element in a list."""
    if isinstance(node, yaml.MappingNode):
        found = [(key.start_mark.line + 1, value) for key, value in node.value if key.value == str(part)]
        return found[-1] if found else None
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line + 1, node.value[part]
    return None


def _doubles(node: yaml.Node, place: Sequence[str] = (), above: Sequence[yaml.Node] = ()) -> Iterator[tuple[list[str], int]]:
    if any(node is one for one in above):  # an anchor that holds itself
        return
    seen, above = set(), [*above, node]
    for key, value in node.value if isinstance(node, yaml.MappingNode) else []:
        if isinstance(key.value, str) and key.value in seen:
            yield [*place, key.value], key.start_mark.line + 1
        seen.add(str(key.value))
        yield from _doubles(value, [*place, str(key.value)], above)
    for number, value in enumerate(node.value if isinstance(node, yaml.SequenceNode) else []):
        yield from _doubles(value, [*place, str(number)], above)
