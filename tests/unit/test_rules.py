"""The rules file: its language, its mistakes by line, and its schema."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from dawnlist import rules
from dawnlist.cli import app
from dawnlist.errors import SettingsError
from dawnlist.settings import PROJECT, Settings
from dawnlist.stages import open as open_stage
from dawnlist.stages.base import Interval


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "rules.yml"
    path.write_text(text)
    return path


PIN = "rules:\n  - {id: a, action: pin, items: [x], position: 1"


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("rules:\n  - id: a\n    action: pin\n    items: [x]\n", "rules.yml:2: rules.0: a pin must have a position"),
        (f"{PIN}, factor: 2}}\n", "rules.yml:2: rules.0.factor: belongs to a boost"),
        (f"{PIN}, categories: [tea]}}\n", "rules.yml:2: rules.0: a pin names items, not categories or brands"),
        ("rules:\n  - {id: a, action: exclude}\n", "rules.yml:2: rules.0: must name items, categories or brands"),
        ("rules:\n  - {id: a, action: restrict, items: [x]}\n", "rules.yml:2: rules.0: a restriction must say by `when` whom"),
        (f"{PIN}, when: {{}}}}\n", "rules.yml:2: rules.0.when: must have countries or segments"),
        (f"{PIN}, when: {{countries: [NO]}}}}\n", "rules.yml:2: rules.0.when.countries.0: false is no text for YAML; write it in quotes"),
        ("rules:\n  - id: a\n    action: exclude\n    items: [0123]\n", "rules.yml:4: rules.0.items.0: 83 is no text for YAML; write it in quotes"),
        ("rules:\n  - id: a\n    action: exclude\n    items: []\n", "rules.yml:4: rules.0.items: must name at least one"),
        (f"{PIN}, first_day: 2026-02-01, last_day: 2026-01-01}}\n", "rules.yml:2: rules.0.last_day: is before first_day"),
        (f"{PIN}, actoin: pin}}\n", "rules.yml:2: rules.0.actoin: no such key; did you mean action?"),
        ("rules:\n  - {id: a, action: boots, items: [x]}\n", "rules.yml:2: rules.0.action: must be one of pin, boost, exclude, restrict; did you mean boost?"),
        (f"{PIN}}}\n  - {{id: a, action: exclude, items: [x]}}\n", "rules.yml:3: rules.1.id: is the id of an earlier rule, too"),
        ("rules: []\nrules: []\n", "rules.yml:2: rules: is written twice"),
        ("rules: [\n", "is no valid YAML"),
        ("- a\n", "must be a mapping; see docs/policies.md"),
    ],
)
def test_each_mistake_is_told_with_its_line_and_key(text: str, mistake: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        rules.read(written(tmp_path, text))
    assert mistake in str(refused.value)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    path = written(tmp_path, f"{PIN}, factor: 2}}\n  - {{id: B, action: exclude, items: [x]}}\n")
    with pytest.raises(SettingsError) as refused:
        rules.read(path)
    assert str(refused.value).splitlines()[0] == "rules.yml has 2 mistakes; docs/policies.md has the language."


def test_a_rule_is_in_force_from_its_first_to_its_last_day(tmp_path: Path) -> None:
    [rule] = rules.read(written(tmp_path, f"{PIN}, first_day: 2026-03-02, last_day: 2026-03-03}}\n"))
    assert [rule.is_in_force(date(2026, 3, day)) for day in (1, 2, 3, 4)] == [False, True, True, False]


def test_the_rules_of_a_day_leave_out_those_that_are_over(tmp_path: Path) -> None:
    path = written(tmp_path, f"{PIN}, last_day: 2026-03-03}}\n  - {{id: b, action: exclude, brands: [x]}}\n")
    assert [rule.id for rule in rules.in_force(Settings(rules_file=path), date(2026, 3, 4))] == ["b"]


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="Cannot read"):
        rules.load(Settings(rules_file=tmp_path / "rules.yml"))


def test_the_shipped_file_has_no_rules_and_its_example_is_one() -> None:
    path = PROJECT / "config" / "rules.yml"
    assert rules.read(path) == ()
    lines = [line[2:] for line in path.read_text().splitlines() if line.startswith(("# rules:", "#   "))]
    assert [rule.id for rule in rules.Rules.model_validate(yaml.safe_load("\n".join(lines))).rules] == ["spring-tea"]


def test_the_examples_of_the_document_are_rules(tmp_path: Path) -> None:
    text = (PROJECT / rules.DOCS).read_text()
    [example] = [block.split("```")[0] for block in text.split("```yaml\n")[1:]]
    assert {rule.action for rule in rules.read(written(tmp_path, example))} == {"pin", "boost", "exclude", "restrict"}


def test_the_schema_is_that_of_the_model() -> None:
    schema: dict[str, Any] = json.loads((PROJECT / "dawnlist" / "schemas" / "rules.json").read_text())
    assert schema == rules.Rules.model_json_schema()


def test_the_command_lists_what_the_rules_do_and_refuses_mistakes(tmp_path: Path) -> None:
    good = written(tmp_path, f"{PIN}, when: {{segments: [champions, lost]}}}}\n")
    shown = CliRunner().invoke(app, ["rules", "check", str(good)]).output
    assert all(word in shown for word in ("pin", "position", "segments: champions, lost"))
    assert "factor" not in shown, "no rule has one"
    refused = CliRunner().invoke(app, ["rules", "check", str(written(tmp_path, "rules:\n  - {id: a, action: pin}\n"))])
    assert isinstance(refused.exception, SettingsError)
    assert CliRunner().invoke(app, ["rules", "check", str(written(tmp_path, "rules: []\n"))]).output == "There are no rules.\n"


def test_a_night_does_not_open_with_a_mistake_in_the_rules(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", rules_file=written(tmp_path, "rules:\n  - {id: a, action: pin}\n"))
    with pytest.raises(SettingsError, match=r"rules.yml:2: rules.0: must name items"):
        open_stage.run(settings, Interval.day(date(2026, 3, 4)), run_id="test")
    assert not settings.home.exists()
