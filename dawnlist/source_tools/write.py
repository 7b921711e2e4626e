"""A proposal as YAML with comments: how sure each line is, and what a person must decide."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dawnlist.columns import CONSENT_PURPOSES
from dawnlist.redaction import is_personal
from dawnlist.source_tools.choose import NUMBERS, PEOPLE, Choice, Proposal, Rules
from dawnlist.source_tools.words import normalised
from dawnlist.sources import TIMESTAMPS

_PLAIN = re.compile(r"[A-Za-z_][\w./-]*( [\w./-]+)*")
_WORDS_OF_YAML = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
MAX_UNKNOWN = 20
HEAD = """\
# Proposed by `dawnlist sources infer` from the files' names and first records. Nothing here is certain until you have read it.
#   sure    the name and the values fit         likely  a part of the name and the values fit         guess   only the values fit
# Lines with DECIDE need you. Then: dawnlist sources check {name}.yml --landing FOLDER
description: {name}  # DECIDE: what these files are
licence: unknown  # DECIDE
user_namespace: "{name}:"  # DECIDE: sources whose people have the same ids must have the same namespace
consent_default: denied  # DECIDE: granted only where every person of the files has agreed; denied makes no profile
exclude_bought: true  # DECIDE: false where people buy the same again
horizon_days: 7
{currency}inputs:
"""


@dataclass
class Group:
    """Files of one kind: their glob, the format of the time in their names, and what they were taken for."""

    pattern: str
    file_time: str | None
    n_files: int
    proposal: Proposal | None

    @property
    def points(self) -> int:
        return self.proposal.points if self.proposal else 0


def write(name: str, chosen: Mapping[str, Group], others: Sequence[Group], unread: Sequence[tuple[str, str]]) -> str:
    """The text of the YAML file of source `name`; `chosen` has the files of each input, events among them."""
    proposals = [group.proposal for group in chosen.values() if group.proposal]
    has_price = any({"unit_price", "price"} & set(proposal.columns) for proposal in proposals)
    has_currency = any("currency" in proposal.columns for proposal in proposals)
    text = HEAD.format(name=name, currency="# currency: EUR  # DECIDE: of the prices; no column says it\n" if has_price and not has_currency else "")
    for kind in ("events", "items", "customers", "consents"):
        if kind in chosen:
            text += "".join(f"{line}\n" for line in _input(kind, chosen[kind]))
    for group in others:
        text += f"# Not used: {group.pattern} ({'looks like ' + group.proposal.kind if group.proposal else 'looks like no input'})\n"
    for pattern, _ in unread:
        text += f"# Not read: {pattern}\n"
    return text


def _input(kind: str, group: Group) -> Iterator[str]:
    proposal = group.proposal
    assert proposal is not None
    look = proposal.profiles.look
    yield f"  {kind}:"
    yield f"    path: {scalar(group.pattern)}  # {group.n_files:,} file{'' if group.n_files == 1 else 's'}"
    if group.file_time:
        yield f"    file_time: {scalar(group.file_time)}" + (
            "  # DECIDE: is it when the file lands? Much older rows go to quarantine" if kind == "events" else ""
        )
        yield f"    period: {'hour' if '%H' in group.file_time else 'day'}"
    yield f"    format: {look.format}"
    settings = {"delimiter": (look.delimiter, ","), "quote": (look.quote, '"'), "encoding": (look.encoding, "utf-8")} if look.format == "csv" else {}
    settings |= {"decimal": (proposal.decimal, "."), "thousands": (proposal.thousands, "")}
    yield from (f"    {key}: {scalar(value)}" for key, (value, default) in settings.items() if value != default)
    read = {origin for choice in proposal.columns.values() for origin in choice.origins}
    if any(origin.startswith("line.") for origin in read):
        yield f"    explode: {scalar(proposal.profiles.explode or '')}  # one record of each of its elements, with their fields under line."
    yield "    columns:"
    yield from (f"      {name}: {_column(choice)}  # {_comment(name, choice, proposal)}" for name, choice in proposal.columns.items())
    if kind == "events":
        yield from _rules(proposal.rules)
    read |= {column for _, column, _ in proposal.rules.known} | {column for _, column, _, _ in proposal.rules.conditions}
    yield from _unmapped(kind, [*(name for name in proposal.profiles.columns if name not in read), *look.unreachable])


def _column(choice: Choice) -> str:
    if choice.constant is not None:
        return f"{{constant: {scalar(choice.constant)}}}"
    origins = scalar(choice.origins[0]) if len(choice.origins) == 1 else f"[{', '.join(map(scalar, choice.origins))}]"
    options = {key: value for key, value in choice.options.items() if (key, value) != ("timezone", "UTC")}
    return (
        f"{{{', '.join([f'column: {origins}', *(f'{key}: {scalar(value)}' for key, value in choice.options.items())])}}}"
        if options or choice.options
        else origins
    )


def _comment(name: str, choice: Choice, proposal: Proposal) -> str:
    text = f"{choice.certainty}: {choice.why}" if choice.why else choice.certainty
    origin = choice.origins[0] if choice.origins else ""
    if name in PEOPLE:
        text += "; hashed before anything is written"
    if name in TIMESTAMPS and "timezone" in choice.options:
        text += ". DECIDE: which zone? The values say none"
    if "format" in choice.options and proposal.profiles.is_ambiguous(origin, choice.options["format"]):
        text += ". DECIDE: day or month first? All values fit both"
    if name in NUMBERS and "multiply" in choice.options:
        text += "; by its name in a smaller unit"
    if name == "purpose":
        unknown = [value for value, _ in proposal.profiles.values(origin) if value not in CONSENT_PURPOSES]
        text += f". DECIDE: map {', '.join(map(repr, unknown))} with values: {{theirs: ours}} to {', '.join(CONSENT_PURPOSES)}" if unknown else ""
    return text


def _rules(rules: Rules) -> Iterator[str]:
    yield "    event_type:"
    for kind, column, values in rules.known:
        test = f"equals: {scalar(values[0])}" if len(values) == 1 else f"is_in: [{', '.join(map(scalar, values))}]"
        certainty = "sure" if all(kind.replace("_", "") in normalised(value) for value in values) else "likely"
        yield f"      - {{type: {kind}, when: {{column: {scalar(column)}, {test}}}}}  # {certainty}"
    for kind, column, name, value in rules.conditions:
        yield f"      - {{type: {kind}, when: {{column: {scalar(column)}, {name}: {scalar(value)}}}}}  # likely"
    if rules.rest:
        yield f"      - {{type: {rules.rest}}}  # guess: no column says the kind of event. DECIDE"
    unknown = [f"{json.dumps(value, ensure_ascii=False)} ({n:,})" for value, n in rules.unknown if "@" not in value]
    if unknown:
        yield f"      # DECIDE: a rule (a type, or ignore) for these values of {rules.column}, whose records go to quarantine: {', '.join(unknown[:MAX_UNKNOWN])}"


def _unmapped(kind: str, names: Sequence[str]) -> Iterator[str]:
    """What is left, so that nothing is overlooked."""
    personal = [name for name in names if is_personal(name)]
    plain = [name for name in names if name not in personal]
    if plain:
        hint = " (properties: {key: column} keeps one of them beside the events)" if kind == "events" else ""
        yield f"    # Not mapped{hint}: {', '.join(plain)}"
    if personal:
        yield f"    # Not mapped, and personal by their names: {', '.join(personal)}"


def scalar(value: Any) -> str:
    """A value as YAML writes it within one line."""
    if not isinstance(value, str):
        return json.dumps(value)
    is_plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS_OF_YAML
    return value if is_plain or re.fullmatch(r"0\.\d+", value) else json.dumps(value, ensure_ascii=False)
