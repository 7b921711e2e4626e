"""The rules of a site: `config/rules.yml`, read and checked. docs/policies.md has the language, schemas/rules.json its JSON Schema.

A rule pins, boosts, excludes or restricts items, on some days, for some segments and countries. A trigger looks every night whether something holds, of persons or of the
site, and says what happens then. Mistakes are told with file, line and key.
"""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from dawnlist import person_features, yaml_lines
from dawnlist.errors import SettingsError
from dawnlist.settings import Settings

DOCS = "docs/policies.md"
MAX_FACTOR = 100.0  # a boost of place 100 to place 1
MAX_DAYS = 365  # of a trigger
COMPARISONS = ("below", "above", "equals")


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
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]


def _known_feature(name: str) -> str:
    features = person_features.known()
    if name not in features:
        raise ValueError(f"no such feature of a person{yaml_lines.did_you_mean(name, features)}; there are {', '.join(features)}")
    return name


Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]


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

    id: Name = Field(description="the name of the rule: lower case, digits, - and _")
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
        _check_days(self)
        return self


class Condition(_Strict):
    """What a trigger looks at: a feature of every person with consent, as of the run date, or a metric of the site. Where nothing is known, nothing holds."""

    feature: Annotated[Text, AfterValidator(_known_feature)] | None = Field(
        None, description="a column of a mart feat_user_*: engagement_score, recency_days, churn_risk, rfm_segment …"
    )
    below: Number | None = Field(None, description="of a feature: it is less than this")
    above: Number | None = Field(None, description="of a feature: it is more than this")
    equals: Number | Text | None = Field(None, description="of a feature: it is this")
    metric: Literal["click_through"] | None = Field(
        None, description="click_through: the share of the items shown from the lists that were clicked; see docs/policies.md"
    )
    falls_by: Number | None = Field(None, gt=0, le=1, description="of a metric: on the run date it is lower by this share than in the 7 days before; 0.1 = 10%")
    min_impressions: int | None = Field(
        None, ge=1, description="of a metric: with fewer on the run date, or in the 7 days before, it cannot be judged; default 1000"
    )

    @model_validator(mode="after")
    def _looks_at_one_thing(self) -> Self:
        if (self.feature is None) == (self.metric is None):
            raise ValueError("must have a feature or a metric")
        strange, owner = (("falls_by", "min_impressions"), "metric") if self.feature else (COMPARISONS, "feature")
        for name in strange:
            if getattr(self, name) is not None:
                raise ValueError(f"{name}: belongs to a {owner}")
        if self.metric and self.falls_by is None:
            raise ValueError("a metric must have falls_by")
        return self

    @model_validator(mode="after")
    def _compares_a_feature_with_its_like(self) -> Self:
        if self.feature is None:
            return self
        given = [name for name in COMPARISONS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"a feature must have one of {', '.join(COMPARISONS)}")
        is_number = person_features.known()[self.feature].is_number
        if is_number == isinstance(self.threshold, str):
            raise ValueError(f"{given[0]}: {self.feature} is a {'number: compare it with one' if is_number else 'text: compare it by equals with one'}")
        return self

    @property
    def threshold(self) -> float | str:
        """What a feature is compared with, or by which share a metric falls."""
        return next(value for value in (self.below, self.above, self.equals, self.falls_by) if value is not None)

    @property
    def words(self) -> str:
        """The condition in words: what the state of earlier nights belongs to."""
        if not self.feature:
            return f"{self.metric} falls by {float(self.threshold) * 100:.6g}%"
        name = next(name for name in COMPARISONS if getattr(self, name) is not None)
        return f"{self.feature} {name} {self.threshold if isinstance(self.threshold, str) else format(self.threshold, '.15g')}"


class Consequence(_Strict):
    """What happens while a trigger holds."""

    tag: Name | None = Field(
        None, description="of a feature: the persons have this label, in serving.user_segments, among the tags of the export and for the rules of this file"
    )
    model: Literal["previous"] | None = Field(None, description="of a metric: previous: the night goes back to the champion before this one")
    pause_days: int | None = Field(None, ge=1, le=MAX_DAYS, description="of a model: for so many days after a trigger went back, none does again; default 14")


class Trigger(_Strict):
    """One trigger: `when` for `for_days` days, `then`."""

    id: Name = Field(description="the name of the trigger: lower case, digits, - and _")
    when: Condition = Field(description="what must hold")
    for_days: int = Field(1, ge=1, le=MAX_DAYS, description="of a feature: it has held in every night of so many days, the run date's included")
    then: Consequence = Field(description="what happens")
    first_day: date | None = Field(None, description="the first run date on which the trigger is judged; default: always was")
    last_day: date | None = Field(None, description="the last run date on which the trigger is judged; default: for good")
    note: Text | None = Field(None, description="for whoever reads the file")

    @model_validator(mode="after")
    def _fits_its_condition(self) -> Self:
        if self.when.metric is None:
            if self.then.tag is None or self.then.model is not None or self.then.pause_days is not None:
                raise ValueError("then: of a feature it is a tag, and nothing else")
        elif self.then.model is None or self.then.tag is not None:
            raise ValueError("then: of a metric it is `model: previous`")
        elif self.for_days != 1:
            raise ValueError("for_days: belongs to a feature")
        _check_days(self)
        return self


_Entry = TypeVar("_Entry", Rule, Trigger)


def _check_days(entry: Rule | Trigger) -> None:
    if entry.first_day and entry.last_day and entry.last_day < entry.first_day:
        raise ValueError("last_day: is before first_day")


class Rules(_Strict):
    """A rules file."""

    rules: tuple[Rule, ...] = Field((), description="in their order: where two pins want one position, the first one gets it")
    triggers: tuple[Trigger, ...] = Field((), description="judged every night")

    def in_force(self, day: date) -> "Rules":
        """Those that the night of the run date `day` follows."""
        return Rules(rules=_of_day(self.rules, day), triggers=_of_day(self.triggers, day))


def _of_day(entries: tuple[_Entry, ...], day: date) -> tuple[_Entry, ...]:
    return tuple(entry for entry in entries if (entry.first_day or day) <= day <= (entry.last_day or day))


def load(settings: Settings) -> Rules:
    """The rules of the settings' file; none where the default file is not there. Raises SettingsError with every mistake of the file and its line."""
    path = settings.rules_file
    return read(path) if path.exists() or "rules_file" in settings.model_fields_set else Rules()


def read(path: Path) -> Rules:
    """What the YAML file `path` says. Raises SettingsError."""
    document = yaml_lines.read(path, docs=DOCS, error=SettingsError)
    found, rules = document.doubles(), Rules()
    try:
        rules = Rules.model_validate(document.content)
    except ValidationError as error:
        found += yaml_lines.explain(error, Rules, document)
    ids = [(kind, number, entry.id) for kind in ("rules", "triggers") for number, entry in enumerate(getattr(rules, kind))]
    found += [document.mistake((*ids[place][:2], "id"), "is the id of an earlier one, too") for place in _repeated([name for *_, name in ids])]
    if found:
        raise SettingsError(yaml_lines.sentence(path, found, docs=DOCS))
    return rules


def _repeated(names: Sequence[str]) -> list[int]:
    return [place for place, name in enumerate(names) if name in names[:place]]
