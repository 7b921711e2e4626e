"""Sources as configuration: one YAML file says which files land, how they are read, and what each column becomes.

`docs/sources.md` teaches the language. A mistake is a SourceError that names the file and the key.
"""

import re
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from dawnlist.columns import CONSENTS, CUSTOMERS, EVENT_TYPES, EVENTS, ITEMS
from dawnlist.errors import SourceError
from dawnlist.settings import Settings

Input = Literal["events", "items", "customers", "consents"]
TARGETS: dict[str, set[str]] = {
    "events": set(EVENTS) - {"source", "event_date", "key_id", "is_bot"} | {"user_agent"},
    "items": set(ITEMS) - {"source"},
    "customers": set(CUSTOMERS) - {"source", "key_id"},
    "consents": set(CONSENTS) - {"source", "key_id"},
}
REQUIRED: dict[str, set[str]] = {
    "events": {"occurred_at"},
    "items": {"item_id", "updated_at"},
    "customers": {"user_id", "updated_at"},
    "consents": {"user_id", "purpose", "is_granted", "changed_at"},
}
TIMESTAMPS = {"occurred_at", "updated_at", "registered_at", "launched_at", "changed_at"}
IGNORE = "ignore"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(_Strict):
    """What one canonical column is made of: a source column or JSON path, or a constant, and how it is read."""

    column: str | tuple[str, ...] | None = Field(None, description="CSV or Parquet column, or JSON path with dots; of several the first that is there")
    constant: str | None = None
    unit: Literal["s", "ms", "us"] | None = Field(None, description="of epoch timestamps")
    format: str | None = Field(None, description="strptime format of a text timestamp; ISO 8601 without it")
    timezone: str = Field("UTC", description="zone of a text timestamp without an offset")
    as_integer: bool = Field(False, description="17850.0 is read as 17850")
    fold_case: bool = Field(False, description="upper-case the value")
    values: dict[str, str] | None = Field(None, description="source value -> canonical value; others stay as they are")

    @model_validator(mode="after")
    def _one_origin(self) -> "Column":
        if (self.column is None) == (self.constant is None):
            raise ValueError("give either 'column' or 'constant'")
        return self

    @property
    def origins(self) -> tuple[str, ...]:
        return () if self.column is None else (self.column,) if isinstance(self.column, str) else self.column


class Condition(_Strict):
    """True for rows whose `column` fulfils the one test that is given."""

    column: str
    equals: str | None = None
    starts_with: str | None = None
    is_in: tuple[str, ...] | None = None
    less_than: float | None = None

    @model_validator(mode="after")
    def _one_test(self) -> "Condition":
        if sum(test is not None for test in (self.equals, self.starts_with, self.is_in, self.less_than)) != 1:
            raise ValueError("give one of equals, starts_with, is_in, less_than")
        return self


class EventRule(_Strict):
    """The event type of the rows that fulfil `when`; without `when`, of all that are left."""

    type: Literal[*EVENT_TYPES, "ignore"]  # type: ignore[valid-type]
    when: Condition | None = None


class InputSpec(_Strict):
    """One kind of landed file: where it lies, how it is read, what it becomes."""

    path: str = Field(description="glob below the landing folder")
    format: Literal["jsonl", "csv", "parquet"]
    file_time: str | None = Field(None, description="strptime format of the part of the path that says the file's hour or day")
    file_index: tuple[str, datetime] | None = Field(None, description="a regular expression whose group is an hour number, and the hour that is number 0")
    period: Literal["hour", "day"] | None = None
    delimiter: str = ","
    quote: str = '"'
    encoding: Literal["utf-8", "latin-1", "utf-16"] = "utf-8"
    explode: str | None = Field(None, description="JSON path of a list: each element is a record, its fields under 'line.'")
    columns: dict[str, Column]
    properties: dict[str, str] = Field(default_factory=dict, description="key in properties -> source column or JSON path")
    event_type: tuple[EventRule, ...] = ()
    equal_rows_are_duplicates: bool = False

    @field_validator("columns", mode="before")
    @classmethod
    def _short_form(cls, columns: Any) -> Any:
        if not isinstance(columns, dict):
            return columns
        return {name: {"column": spec} if isinstance(spec, str | list) else spec for name, spec in columns.items()}

    @field_validator("path")
    @classmethod
    def _inside(cls, path: str) -> str:
        if path.startswith("/") or ".." in Path(path).parts:
            raise ValueError("the path must stay below the landing folder")
        return path

    @property
    def origins(self) -> list[str]:
        """Every source column or JSON path that the mapping reads, in order, without repetition."""
        names = [name for column in self.columns.values() for name in column.origins]
        names += list(self.properties.values())
        names += [rule.when.column for rule in self.event_type if rule.when]
        return list(dict.fromkeys(names))

    @property
    def required_origins(self) -> list[list[str]]:
        """For each thing that the mapping reads, the columns of which at least one must be in a CSV or Parquet file."""
        wanted = [list(column.origins) for column in self.columns.values() if column.origins]
        wanted += [[name] for name in self.properties.values()]
        wanted += [[rule.when.column] for rule in self.event_type if rule.when]
        return wanted

    def time_of(self, name: str) -> datetime | None:
        """The hour or day that the file `name` (relative to landing) is for; None where its name says none."""
        if self.file_index:
            pattern, first = self.file_index
            found = re.search(pattern, name)
            return first.replace(tzinfo=None) + int(found.group(1)) * timedelta(hours=1) if found else None
        if self.file_time:
            found = re.search(_TIME_PARTS.sub(lambda part: _DIGITS[part.group()], re.escape(self.file_time).replace(r"\%", "%")), name)
            return datetime.strptime(found.group(), self.file_time) if found else None
        return None


_DIGITS = {"%Y": r"\d{4}", "%m": r"\d{2}", "%d": r"\d{2}", "%H": r"\d{2}"}
_TIME_PARTS = re.compile("|".join(_DIGITS))


class Source(_Strict):
    """One source of a site."""

    name: str
    description: str
    licence: str = ""
    complete_through: date | None = Field(None, description="the last day whose events have all landed, of a source that no longer grows")
    currency: str | None = None
    user_namespace: str = Field(description="goes before the raw id into the keyed hash: the id space of the people")
    consent_default: Literal["granted", "denied"] = "denied"
    exclude_bought: bool = True
    exclude_seen: bool = Field(False, description="items that the person has interacted with in any way are not recommended again")
    horizon_days: int = Field(7, ge=1, description="how many days a list is judged by: the label window of training and evaluation")
    inputs: dict[Input, InputSpec]

    @model_validator(mode="after")
    def _complete(self) -> "Source":
        for name, spec in self.inputs.items():
            unknown = set(spec.columns) - TARGETS[name]
            if unknown:
                raise ValueError(f"inputs.{name}.columns: no such column: {', '.join(sorted(unknown))}; there are {', '.join(sorted(TARGETS[name]))}")
            missing = REQUIRED[name] - set(spec.columns)
            if missing:
                raise ValueError(f"inputs.{name}.columns: {', '.join(sorted(missing))} must be mapped")
        if "events" not in self.inputs:
            raise ValueError("inputs.events must be there")
        if not self.inputs["events"].event_type:
            raise ValueError("inputs.events.event_type must have at least one rule")
        return self

    @cached_property
    def has_catalogue(self) -> bool:
        return "items" in self.inputs


def load(settings: Settings, name: str) -> Source:
    """The source `name` of the settings' sources folder. Raises SourceError when there is none, or when its YAML is wrong."""
    known = names(settings)
    if name not in known:
        raise SourceError(
            f"There is no source {name!r} in {settings.sources_dir}; there are: {', '.join(known) or 'none'}. A new source is a new YAML file there."
        )
    return read(settings.sources_dir / f"{name}.yml")


def names(settings: Settings) -> list[str]:
    """The names of all sources, sorted."""
    return sorted(path.stem for path in settings.sources_dir.glob("*.yml"))


def of_site(settings: Settings) -> list[Source]:
    """The sources of the settings' site, in their order; the first one sets the site's horizon and policies."""
    return [load(settings, name) for name in settings.site.sources]


def read(path: Path) -> Source:
    """The source that the YAML file `path` describes."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"Cannot read {path}: {error}.") from error
    except yaml.YAMLError as error:
        raise SourceError(f"{path} is no valid YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(document, dict):
        raise SourceError(f"{path} must be a mapping; see docs/sources.md.")
    try:
        return Source(name=path.stem, **document)
    except (ValidationError, TypeError) as error:
        raise SourceError(f"{path}: {_explain(error)} See docs/sources.md.") from error


def _explain(error: ValidationError | TypeError) -> str:
    if isinstance(error, TypeError):
        return f"{error}."
    return " ".join(
        f"{'.'.join(str(part) for part in problem['loc']) or 'source'}: {problem['msg'].removeprefix('Value error, ')}." for problem in error.errors()
    )
