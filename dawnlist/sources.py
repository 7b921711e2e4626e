"""Sources as configuration: one YAML file says which files land, how they are read, and what each column becomes.

`docs/sources.md` teaches the language. A mistake is a SourceError that names the file, the line and the key.
"""

import re
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from dawnlist import yaml_lines
from dawnlist.columns import CONSENTS, CUSTOMERS, EVENT_TYPES, EVENTS, ITEMS
from dawnlist.errors import SourceError
from dawnlist.redaction import is_personal
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
HASHED_OR_DROPPED = {"user_id", "anonymous_id", "user_agent"}
NO_TEXT = {name for table in (EVENTS, ITEMS, CUSTOMERS, CONSENTS) for name, kind in table.items() if kind != "VARCHAR"}
IGNORE = "ignore"
LINE_PREFIX = "line."


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _regular_expression(pattern: str) -> str:
    import duckdb

    try:
        duckdb.execute("SELECT regexp_matches('', ?)", [pattern]).fetchall()
    except duckdb.Error:
        raise ValueError(f"{pattern!r} is no regular expression (RE2: without look-around and back-references)") from None
    return pattern


Pattern = Annotated[str, AfterValidator(_regular_expression)]


class _Value(_Strict):
    """What may become of a value that could lead to a person."""

    pii: Literal["hash", "drop", "keep"] | None = Field(
        None, description="hash: a keyed hash is kept; drop: nothing is; keep: it is no person's. Without it free text loses what looks like an identifier"
    )
    round: int | None = Field(None, ge=0, le=9, description="decimals that are kept of a number; a degree of latitude with 1 is 11 km")


class Property(_Value):
    """A value that is kept in `properties`."""

    column: str = Field(description="CSV or Parquet column, or JSON path with dots")
    optional: bool = Field(False, description="files without the column are read, with no value")


class Column(_Value):
    """What one canonical column is made of: a source column or JSON path, or a constant, and how it is read."""

    column: str | tuple[str, ...] | None = Field(None, description="CSV or Parquet column, or JSON path with dots; of several the first that is there")
    constant: str | None = None
    optional: bool = Field(False, description="files without the column are read, with no value")
    extract: Pattern | None = Field(None, description="regular expression: what it finds is the value; its group, where it has one")
    remove: Pattern | None = Field(None, description="regular expression: what it finds is taken out of the value")
    multiply: Decimal | None = Field(None, description="of numbers: a price in cents is multiplied by 0.01", max_digits=14, decimal_places=6)
    unit: Literal["s", "ms", "us"] | None = Field(None, description="of epoch timestamps")
    format: str | tuple[str, ...] | None = Field(None, description="strptime format of a text timestamp, of several the first that fits; ISO 8601 without it")
    timezone: str = Field("UTC", description="zone of a text timestamp without an offset")
    as_integer: bool = Field(False, description="17850.0 is read as 17850")
    fold_case: bool = Field(False, description="upper-case the value")
    values: dict[str, str] | None = Field(None, description="source value -> canonical value; others stay as they are")

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, timezone: str) -> str:
        try:
            ZoneInfo(timezone)
        except (KeyError, ValueError, OSError):  # unknown, not a name, a folder of names
            raise ValueError(f"there is no time zone {timezone!r}; names are like Europe/Berlin") from None
        return timezone

    @field_validator("format")
    @classmethod
    def _known_directives(cls, texts: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        unknown = [found for found in re.findall(r"%-?.?", "".join(texts or "")) if not _STRPTIME.fullmatch(found)]
        if unknown:
            raise ValueError(f"{unknown[0]} is nothing that strptime knows; a format is like %d.%m.%Y %H:%M")
        return texts

    @model_validator(mode="after")
    def _one_origin(self) -> "Column":
        if (self.column is None) == (self.constant is None):
            raise ValueError("give either 'column' or 'constant'")
        return self

    @property
    def origins(self) -> tuple[str, ...]:
        return () if self.column is None else (self.column,) if isinstance(self.column, str) else self.column

    @property
    def formats(self) -> tuple[str, ...]:
        return () if self.format is None else (self.format,) if isinstance(self.format, str) else self.format


class Condition(_Strict):
    """True for rows whose `column` fulfils the one test that is given."""

    column: str
    optional: bool = Field(False, description="files without the column are read; the rule fits none of their rows")
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
    delimiter: str = Field(",", min_length=1, max_length=1)
    quote: str = Field('"', max_length=1, description="'' where nothing is quoted")
    escape: str | None = Field(None, min_length=1, max_length=1, description="what stands before a quote inside quotes; the quote itself if not given")
    header: tuple[str, ...] = Field((), description="the column names of CSV files that have no line of names")
    encoding: Literal["utf-8", "latin-1", "utf-16"] = "utf-8"
    decimal: Literal[".", ","] = Field(".", description="the decimal sign of numbers")
    thousands: Literal["", ".", ",", " ", "'"] = Field("", description="what stands between groups of three digits")
    explode: str | None = Field(None, description="JSON path of a list: each element is a record, its fields under 'line.'")
    columns: dict[str, Column]
    properties: dict[str, Property] = Field(default_factory=dict, description="key in properties -> source column or JSON path")
    other_columns: Literal["properties", "ignore"] = Field("ignore", description="what becomes of the columns that the mapping does not name")
    event_type: tuple[EventRule, ...] = ()
    equal_rows_are_duplicates: bool = False

    @field_validator("columns", "properties", mode="before")
    @classmethod
    def _short_form(cls, columns: Any) -> Any:
        if not isinstance(columns, dict):
            return columns
        return {name: {"column": spec} if isinstance(spec, str | list) else spec for name, spec in columns.items()}

    @field_validator("columns")
    @classmethod
    def _times_only(cls, columns: dict[str, Column]) -> dict[str, Column]:
        for name, column in columns.items():
            if name not in TIMESTAMPS and (column.unit or column.format or column.timezone != "UTC"):
                raise ValueError(f"{name}: unit, format and timezone are for times only")
        return columns

    @model_validator(mode="after")
    def _people_are_guarded(self) -> "InputSpec":
        """Refuse a mapping that would keep what is a person's by its name, and one that hashes what is no text."""
        guarded: dict[str, tuple[_Value, tuple[str, ...]]] = {
            name: (column, column.origins) for name, column in self.columns.items() if name not in HASHED_OR_DROPPED
        }
        guarded |= {f"properties.{name}": (kept, (kept.column,)) for name, kept in self.properties.items()}
        for name, (value, origins) in guarded.items():
            personal = next(filter(is_personal, origins), None)
            if personal and value.pii is None:
                raise ValueError(f"{name}: {personal!r} is a person's by its name; say pii: hash, drop, or keep if it is not")
            if value.pii == "hash" and name in NO_TEXT:
                raise ValueError(f"{name}: only text can be hashed; drop it, or keep it")
        for name in HASHED_OR_DROPPED & set(self.columns):
            if self.columns[name].pii:
                raise ValueError(f"{name}: is hashed or dropped anyway; pii has no meaning here")
        return self

    @field_validator("thousands")
    @classmethod
    def _not_the_decimal_sign(cls, thousands: str, info: ValidationInfo) -> str:
        if thousands == info.data.get("decimal"):
            raise ValueError("decimal and thousands must differ")
        return thousands

    @field_validator("header")
    @classmethod
    def _csv_only(cls, header: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if header and info.data.get("format") != "csv":
            raise ValueError("only CSV files lack a line of names")
        if len(set(header)) < len(header):
            raise ValueError("a name stands there twice")
        return header

    @field_validator("path")
    @classmethod
    def _inside(cls, path: str) -> str:
        if path.startswith("/") or ".." in Path(path).parts:
            raise ValueError("the path must stay below the landing folder")
        if not Path(path).parts or any("**" in part and part != "**" for part in Path(path).parts):
            raise ValueError("not a glob: ** stands alone between slashes, and the path is not empty")
        return path

    @field_validator("file_time")
    @classmethod
    def _time_parts(cls, text: str | None) -> str | None:
        unknown = [found for found in re.findall(r"%.?", text or "") if found not in _DIGITS]
        if unknown or (text and "%Y" not in text):
            raise ValueError(f"{unknown[0] if unknown else text!r} cannot be read from a name; a file's time is like %Y-%m-%d or date=%Y-%m-%d/hour=%H")
        return text

    @field_validator("file_index")
    @classmethod
    def _one_group(cls, index: tuple[str, datetime] | None) -> tuple[str, datetime] | None:
        try:
            if index and not re.compile(index[0]).groups:
                raise ValueError("the regular expression needs a group: clicks_(\\d+)")
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        return index

    @property
    def origins(self) -> list[str]:
        """Every source column or JSON path that columns and event types are made of, in order, without repetition."""
        names = [name for column in self.columns.values() for name in column.origins]
        names += [rule.when.column for rule in self.event_type if rule.when]
        return list(dict.fromkeys(names))

    @property
    def named(self) -> set[str]:
        """Every source column or JSON path that the mapping names."""
        return {*self.origins, *(kept.column for kept in self.properties.values())}

    @property
    def required_origins(self) -> list[list[str]]:
        """For each thing that the mapping reads, the columns of which at least one must be in a CSV or Parquet file."""
        wanted = [list(column.origins) for column in self.columns.values() if column.origins and not column.optional]
        wanted += [[kept.column] for kept in self.properties.values() if not kept.optional]
        wanted += [[rule.when.column] for rule in self.event_type if rule.when and not rule.when.optional]
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
# What DuckDB's strptime reads: https://duckdb.org/docs/stable/sql/functions/dateformat#format-specifiers
_STRPTIME = re.compile(r"%(-[dmyHIMSj]|[abcdfghjmnpuwxyzABGHIMSTUVWXYZ%])")


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

    @field_validator("inputs")
    @classmethod
    def _properties_of_events(cls, inputs: dict[Input, InputSpec]) -> dict[Input, InputSpec]:
        for name, spec in inputs.items():
            if name != "events" and (spec.properties or spec.other_columns == "properties"):
                raise ValueError(f"{name}: only events keep properties")
        return inputs

    @model_validator(mode="after")
    def _complete(self) -> "Source":
        found = _gaps({name: (set(spec.columns), bool(spec.event_type)) for name, spec in self.inputs.items()})
        if found:
            raise ValueError("; ".join(f"{'.'.join(map(str, place))}: {message}" for place, message in found))
        return self


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
    """The source that the YAML file `path` describes. Raises SourceError with every mistake of it and its line."""
    document = yaml_lines.read(path)
    found = mistakes(document)
    if found:
        raise SourceError(yaml_lines.sentence(path, found))
    return Source.model_validate({"name": path.stem} | document.content)


def mistakes(document: yaml_lines.Document) -> list[yaml_lines.Mistake]:
    """Everything that is wrong with the YAML of a source, whatever the files are like."""
    found = document.doubles()
    found += _invalid(document, document.content)
    # Some rules are only looked at where all values are right in themselves.
    found += [mistake for mistake in _invalid(document, document.without(found)) if not any(known.keys[: len(mistake.keys)] == mistake.keys for known in found)]
    if "name" in document.content:
        found.append(document.mistake(("name",), "no such key; the name of a source is that of its file"))
    inputs = document.content.get("inputs")
    raw = {name: spec for name, spec in inputs.items() if name in TARGETS and isinstance(spec, dict)} if isinstance(inputs, dict) else {}
    shapes = {name: (set(map(str, spec["columns"])), bool(spec.get("event_type"))) for name, spec in raw.items() if isinstance(spec.get("columns"), dict)}
    places = _gaps(shapes, has_events=not isinstance(inputs, dict) or "events" in inputs)
    return found + [document.mistake(place, message) for place, message in places]


def _invalid(document: yaml_lines.Document, content: dict[str, Any]) -> list[yaml_lines.Mistake]:
    try:
        Source.model_validate(content | {"name": document.path.stem})
    except ValidationError as error:
        return yaml_lines.explain(error, Source, document)
    return []


def _gaps(inputs: dict[str, tuple[set[str], bool]], *, has_events: bool | None = None) -> list[tuple[yaml_lines.Place, str]]:
    """Columns that are none, columns that must be mapped and are not, and missing rules; `inputs` has the columns of each input, and whether it has rules."""
    found: list[tuple[yaml_lines.Place, str]] = []
    for name, (columns, has_rules) in inputs.items():
        place = ("inputs", name, "columns")
        for column in sorted(columns - TARGETS[name]):
            hint = yaml_lines.did_you_mean(column, TARGETS[name]) or f"; there are {', '.join(sorted(TARGETS[name]))}"
            found.append(((*place, column), f"no such column{hint}"))
        found += [(place, f"{column} must be mapped") for column in sorted(REQUIRED[name] - columns)]
        if name == "events" and not has_rules:
            found.append((("inputs", name, "event_type"), "must have at least one rule"))
    if not (has_events if has_events is not None else "events" in inputs):
        found.append((("inputs", "events"), "must be there"))
    return found
