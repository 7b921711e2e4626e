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


WHEN, TAG, MODEL = "triggers:\n  - id: a\n    when: ", "\n    then: {tag: t}\n", "\n    then: {model: previous}\n"
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
        (f"{PIN}}}\n  - {{id: a, action: exclude, items: [x]}}\n", "rules.yml:3: rules.1.id: is the id of an earlier one, too"),
        (
            f"{WHEN}{{feature: engagment_score, below: 20}}{TAG}",
            "rules.yml:3: triggers.0.when.feature: no such feature of a person; did you mean engagement_score?; there are n_events_1d, ",
        ),
        (f"{WHEN}{{feature: rfm_segment, below: 3}}{TAG}", "rules.yml:3: triggers.0.when.below: rfm_segment is a text: compare it by equals with one"),
        (f"{WHEN}{{feature: churn_risk, equals: high}}{TAG}", "rules.yml:3: triggers.0.when.equals: churn_risk is a number: compare it with one"),
        (f"{WHEN}{{feature: churn_risk, above: 0.5, below: 1}}{TAG}", "rules.yml:3: triggers.0.when: a feature must have one of below, above, equals"),
        (f"{WHEN}{{feature: churn_risk, falls_by: 0.5}}{TAG}", "rules.yml:3: triggers.0.when.falls_by: belongs to a metric"),
        (f"{WHEN}{{below: 0.5}}{TAG}", "rules.yml:3: triggers.0.when: must have a feature or a metric"),
        (f"{WHEN}{{metric: click_through, falls_by: 0.1}}{TAG}", "rules.yml:4: triggers.0.then: of a metric it is `model: previous`"),
        (f"{WHEN}{{metric: click_through, falls_by: 10}}{MODEL}", "rules.yml:3: triggers.0.when.falls_by: input should be less than or equal to 1"),
        (f"{WHEN}{{metric: click_through}}{MODEL}", "rules.yml:3: triggers.0.when: a metric must have falls_by"),
        (f"{WHEN}{{feature: churn_risk, above: 0.5}}{MODEL}", "rules.yml:4: triggers.0.then: of a feature it is a tag"),
        (f"{WHEN}{{metric: click_through, falls_by: 0.1}}{MODEL}    for_days: 3\n", "rules.yml:5: triggers.0.for_days: belongs to a feature"),
        (f"{PIN}}}\n{WHEN}{{feature: churn_risk, above: 0.5}}{TAG}", "rules.yml:4: triggers.0.id: is the id of an earlier one, too"),
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
    found = rules.read(written(tmp_path, f"{PIN}, first_day: 2026-03-02, last_day: 2026-03-03}}\n"))
    assert [bool(found.in_force(date(2026, 3, day)).rules) for day in (1, 2, 3, 4)] == [False, True, True, False]


def test_the_rules_of_a_day_leave_out_those_that_are_over(tmp_path: Path) -> None:
    path = written(tmp_path, f"{PIN}, last_day: 2026-03-03}}\n  - {{id: b, action: exclude, brands: [x]}}\n")
    assert [rule.id for rule in rules.load(Settings(rules_file=path)).in_force(date(2026, 3, 4)).rules] == ["b"]


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="Cannot read"):
        rules.load(Settings(rules_file=tmp_path / "rules.yml"))


def test_the_shipped_file_has_no_rules_and_its_example_is_one() -> None:
    path = PROJECT / "config" / "rules.yml"
    assert rules.read(path) == rules.Rules()
    lines = [line[2:] for line in path.read_text().splitlines() if line.startswith(("# rules:", "# triggers:", "#   "))]
    example = rules.Rules.model_validate(yaml.safe_load("\n".join(lines)))
    assert [entry.id for entry in (*example.rules, *example.triggers)] == ["spring-tea", "win-back"]


def test_the_examples_of_the_document_are_rules(tmp_path: Path) -> None:
    text = (PROJECT / rules.DOCS).read_text()
    ours, triggers = (rules.read(written(tmp_path, block.split("```")[0])) for block in text.split("```yaml\n")[1:])
    assert {rule.action for rule in ours.rules} == {"pin", "boost", "exclude", "restrict"}
    assert [trigger.when.words for trigger in triggers.triggers] == ["engagement_score below 20", "click_through falls by 10%"]


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
    triggers = CliRunner().invoke(app, ["rules", "check", str(written(tmp_path, f"{WHEN}{{feature: churn_risk, above: 0.5}}{TAG}"))]).output
    assert all(word in triggers for word in ("feature: churn_risk; above: 0.5", "tag: t", "for days"))
    assert CliRunner().invoke(app, ["rules", "check", str(written(tmp_path, "rules: []\n"))]).output == "There are no rules.\n"


def test_a_night_does_not_open_with_a_mistake_in_the_rules(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", rules_file=written(tmp_path, "rules:\n  - {id: a, action: pin}\n"))
    with pytest.raises(SettingsError, match=r"rules.yml:2: rules.0: must name items"):
        open_stage.run(settings, Interval.day(date(2026, 3, 4)), run_id="test")
    assert not settings.home.exists()
