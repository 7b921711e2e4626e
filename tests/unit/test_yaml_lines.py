"""Where values stand in YAML, and how mistakes are told."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dawnlist import yaml_lines
from dawnlist.errors import SourceError

KEYS = st.text("abcdefgh", min_size=1, max_size=4)
DOCUMENTS = st.dictionaries(
    KEYS, st.recursive(st.integers() | KEYS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)), min_size=1
)


def places(node: Any, place: tuple = ()) -> list[tuple]:
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [found for key, child in children for found in [(*place, key), *places(child, (*place, key))]]


@given(DOCUMENTS)
def test_the_line_of_a_key_is_the_line_that_has_the_key(tmp_path_factory: pytest.TempPathFactory, content: dict) -> None:
    path = tmp_path_factory.mktemp("yaml") / "a.yml"
    path.write_text(yaml.safe_dump(content, default_flow_style=False))
    document, lines = yaml_lines.read(path), path.read_text().splitlines()
    for place in places(content):
        text = lines[document.line(place) - 1].lstrip("- ")
        assert isinstance(place[-1], int) or f"{place[-1]}:" in text or f"'{place[-1]}':" in text
        assert document.existing((*place, "nothing", 1)) == place
        assert document.line((*place, "nothing")) == document.line(place)


def test_a_key_that_stands_twice_is_a_mistake_on_its_second_line(tmp_path: Path) -> None:
    path = tmp_path / "a.yml"
    path.write_text("a: 1\nb:\n  - c: 1\n    d: 2\n    c: 3\na: 2\n")
    doubles = yaml_lines.read(path).doubles()
    assert sorted((mistake.line, mistake.place) for mistake in doubles) == [(5, "b.0.c"), (6, "a")]


def test_broken_yaml_is_told_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.yml"
    path.write_text("a: 1\nb: [1,\nc: 2\n")
    with pytest.raises(SourceError, match=r"a\.yml:4: is no valid YAML: .*, in what begins on line 2\."):
        yaml_lines.read(path)


@pytest.mark.parametrize(("name", "hint"), [("ocurred_at", "; did you mean occurred_at?"), ("OCCURRED_AT", "; did you mean occurred_at?"), ("zzz", "")])
def test_a_name_that_is_nearly_right_is_answered_with_the_right_one(name: str, hint: str) -> None:
    assert yaml_lines.did_you_mean(name, ["item_id", "occurred_at"]) == hint
