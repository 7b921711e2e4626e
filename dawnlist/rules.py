"""The merchandising rules of a site: `config/rules.yml`, read and checked. docs/policies.md has the language, schemas/rules.json its JSON Schema.

A rule pins, boosts, excludes or restricts items, on some days, for some segments and countries. Mistakes are told with file, line and key.
"""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from dawnlist import yaml_lines
from dawnlist.errors import SettingsError
from dawnlist.settings import Settings

DOCS = "docs/policies.md"
MAX_FACTOR = 100.0  # a boost of place 100 to place 1


def _quoted(value: Any) -> Any:
    """YAML reads NO as false and 0123 as a number: whoever means a name must say so."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text for YAML; write it in quotes")
    return value


def _some(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise ValueError("must name at least one")
    return names


Text = Annotated[str, BeforeValidator(_quoted), Field(min_length=1)]
Texts = Annotated[tuple[Text, ...], AfterValidator(_some)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class When(_Strict):
    """For whom a rule holds: all conditions that are given. Nobody's country or segment is known without consent, so none of these holds then."""

    countries: Texts | None = Field(None, description="the person's country, as the events have it")
    segments: Texts | None = Field(None, description="a label of any segment that the person is in: cluster, RFM, rule, engagement or tag")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.countries is None and self.segments is None:
            raise ValueError("must have countries or segments; leave `when` out for everybody")
        return self


class Rule(_Strict):
    """One rule. It concerns the items that are named, and all of the categories and brands that are named."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")] = Field(description="the name of the rule: lower case, digits, - and _")
    action: Literal["pin", "boost", "exclude", "restrict"] = Field(
        description="pin: put at a position; boost: move up or down; exclude: not shown where `when` holds; restrict: shown only where `when` holds"
    )
    items: Texts | None = Field(None, description="item ids")
    categories: Texts | None = Field(None, description="all items of these categories")
    brands: Texts | None = Field(None, description="all items of these brands")
    position: int | None = Field(None, ge=1, le=100, description="of a pin: the place on the list, 1 = first")
    factor: float | None = Field(None, gt=0, le=MAX_FACTOR, description="of a boost: the place is divided by it; 2 moves place 10 to 5, 0.5 moves 5 to 10")
    when: When | None = Field(None, description="for whom; default: for everybody, people without consent too")
    first_day: date | None = Field(None, description="the first run date on which the rule is in force; default: always was")
    last_day: date | None = Field(None, description="the last run date on which the rule is in force; default: for good")
    reason: Text | None = Field(None, description="what the reader is told of an item that the rule pinned or boosted; default: its own reason")
    note: Text | None = Field(None, description="for whoever reads the file")

    @model_validator(mode="after")
    def _fits_its_action(self) -> Self:
        if self.items is None and (self.action == "pin" or (self.categories is None and self.brands is None)):
            raise ValueError("must name items" if self.action == "pin" else "must name items, categories or brands")
        if self.action == "pin" and (self.categories or self.brands):
            raise ValueError("a pin names items, not categories or brands")
        for key, action in (("position", "pin"), ("factor", "boost")):
            if (getattr(self, key) is not None) != (self.action == action):
                raise ValueError(f"{key}: belongs to a {action}" if self.action != action else f"a {action} must have a {key}")
        if self.action == "restrict" and self.when is None:
            raise ValueError("a restriction must say by `when` whom the items may be shown to")
        if self.first_day and self.last_day and self.last_day < self.first_day:
            raise ValueError("last_day: is before first_day")
        return self

    def is_in_force(self, day: date) -> bool:
        """Whether the lists of the run date `day` follow the rule."""
        return (self.first_day or day) <= day <= (self.last_day or day)


class Rules(_Strict):
    """A rules file."""

    rules: tuple[Rule, ...] = Field(description="in their order: where two pins want one position, the first one gets it")


def load(settings: Settings) -> tuple[Rule, ...]:
    """The rules of the settings' file; none where the default file is not there. Raises SettingsError with every mistake of the file and its line."""
    path = settings.rules_file
    return read(path) if path.exists() or "rules_file" in settings.model_fields_set else ()


def in_force(settings: Settings, day: date) -> tuple[Rule, ...]:
    """The rules that the lists of the run date `day` follow."""
    return tuple(rule for rule in load(settings) if rule.is_in_force(day))


def read(path: Path) -> tuple[Rule, ...]:
    """The rules in the YAML file `path`. Raises SettingsError."""
    document = yaml_lines.read(path, docs=DOCS, error=SettingsError)
    found = document.doubles()
    try:
        rules = Rules.model_validate(document.content).rules
    except ValidationError as error:
        rules, found = (), [*found, *yaml_lines.explain(error, Rules, document)]
    found += [document.mistake(("rules", place, "id"), "is the id of an earlier rule, too") for place in _repeated([rule.id for rule in rules])]
    if found:
        raise SettingsError(yaml_lines.sentence(path, found, docs=DOCS))
    return rules


def _repeated(names: Sequence[str]) -> list[int]:
    return [place for place, name in enumerate(names) if name in names[:place]]
