"""Which column of files is which canonical column, how its values are read, and what kind of input the files are."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from dawnlist.redaction import is_personal
from dawnlist.source_tools.profile import MOST, Profiles
from dawnlist.source_tools.words import CALLS, COLUMNS, EVENT_COLUMNS, SMALLER_UNITS, TYPE_OF, normalised
from dawnlist.sources import HASHED_OR_DROPPED, LINE_PREFIX, TIMESTAMPS, Input

SURE, LIKELY, GUESS = "sure", "likely", "guess"
NUMBERS = {"quantity", "unit_price", "price", "rating", "dwell_seconds", "birth_year"}
PEOPLE = {"user_id", "anonymous_id"}
_TOKENS = re.compile(r"[A-Z]*[a-z0-9]+|[A-Z]+")  # clickOS, click_os: click, os
MIN_SUFFIX = 4  # shorter words end too many names
MAX_EVENT_KINDS = 60
NO_TIME = "1990-01-01"
# Columns of events that such files have none of.
FOREIGN = {
    "items": ("user_id", "anonymous_id", "session_id", "order_id"),
    "customers": ("item_id", "session_id", "order_id"),
    "consents": ("item_id", "session_id", "order_id"),
}
ORDER: tuple[Input, ...] = ("consents", "events", "items", "customers")


@dataclass
class Choice:
    """What a canonical column is made of, and how sure that is. `options` are keys of the mapping language."""

    origins: list[str]
    certainty: str
    why: str
    options: dict[str, Any] = field(default_factory=dict)
    constant: str | None = None


@dataclass
class Rules:
    """Event types: (type, column, its values). `unknown` are the values that nothing is known of, with their counts."""

    known: list[tuple[str, str, list[str]]] = field(default_factory=list)
    conditions: list[tuple[str, str, str, str | int]] = field(default_factory=list)  # (type, column, test, value)
    rest: str | None = None
    column: str | None = None
    unknown: list[tuple[str, int]] = field(default_factory=list)


@dataclass
class Proposal:
    """A mapping of files of one layout as one kind of input; `points` says how much of such an input there is."""

    kind: Input
    profiles: Profiles
    columns: dict[str, Choice] = field(default_factory=dict)
    rules: Rules = field(default_factory=Rules)
    decimal: str = "."
    thousands: str = ""

    @property
    def points(self) -> int:
        names = set(self.columns) | ({"event_type"} if self.rules.known else set())
        return len(names) if _is_whole(self.kind, names) else 0


def best_list(lists: dict[str, dict[str, str]]) -> str | None:
    """The JSON path of the list whose elements look most like items; None where none does."""
    words = COLUMNS["events"]["item_id"].split()
    with_items = [path for path, fields in lists.items() if any(normalised(name) in words for name in fields)]
    return max(with_items, key=lambda path: len(lists[path]), default=None)


def propose(profiles: Profiles) -> Proposal | None:
    """The kind of input that the columns make most of; None where they make none."""
    proposals = [_proposal(kind, profiles) for kind in ORDER]
    best = max(proposals, key=lambda proposal: (proposal.points, -ORDER.index(proposal.kind)))
    return best if best.points else None


def _is_whole(kind: Input, names: set[str]) -> bool:
    if kind == "events":
        visitor, matter = {"user_id", "anonymous_id", "session_id", "order_id"}, {"item_id", "event_type", "search_term"}
        return "occurred_at" in names and bool(visitor & names) and bool(matter & names)
    if kind == "items":
        return "item_id" in names and bool({"title", "text", "category", "brand"} & names)
    if kind == "customers":
        return "user_id" in names and bool({"registered_at", "birth_year", "language", "country"} & names)
    return {"user_id", "purpose", "is_granted", "changed_at"} <= names


def _proposal(kind: Input, profiles: Profiles) -> Proposal:
    proposal = Proposal(kind, profiles)
    taken: set[str] = set()
    if kind == "events":
        proposal.rules = _rules(profiles)
        taken |= {column for _, column, _ in proposal.rules.known}
    for wants_exact in (True, False):  # what one name says plainly is no guess of another
        for name, words in COLUMNS[kind].items():
            choice = None if name in proposal.columns else _choose(name, words.split(), profiles, taken)
            if choice and (choice.certainty == SURE or not wants_exact) and not (name == "event_id" and not profiles.is_unique(choice.origins[0])):
                proposal.columns[name] = choice
                taken |= set(choice.origins)
    if kind == "events":
        _add_guesses(proposal, taken)
    elif any(_choose(name, COLUMNS["events"][name].split(), profiles, set()) for name in FOREIGN[kind]):
        proposal.columns.clear()
    elif "updated_at" not in proposal.columns and kind != "consents":
        proposal.columns["updated_at"] = Choice([], GUESS, "no such column: every record holds from the beginning", constant=NO_TIME)
    _set_decimal_sign(proposal)
    return proposal


def _add_guesses(proposal: Proposal, taken: set[str]) -> None:
    """A time under another name, and rules where no column says the kind of event."""
    if "occurred_at" not in proposal.columns:
        for name in proposal.profiles.columns:
            options = None if name in taken else _time_options(name, proposal.profiles)
            if options is not None:
                proposal.columns["occurred_at"] = Choice([name], GUESS, "the first column with times", options)
                break
    if not proposal.rules.known and proposal.columns:
        _rules_without_kinds(proposal)


def _choose(name: str, words: Sequence[str], profiles: Profiles, taken: set[str]) -> Choice | None:
    """The column whose name says `name` and whose values fit it; where several are never there together, all of them."""
    ranked = sorted(
        (rank, number, origin)
        for number, origin in enumerate(profiles.columns)
        if origin not in taken and profiles[origin].n and (name in HASHED_OR_DROPPED or not is_personal(origin)) and (rank := _rank(origin, words)) is not None
    )
    fitting = [(rank, origin, options) for rank, _, origin in ranked if (options := _options(name, origin, profiles)) is not None]
    if not fitting:
        return None
    (is_part, _), first, options = fitting[0]
    exact = [origin for (part, _), origin, _ in fitting if not part]
    origins = [first]
    if profiles.look.format == "jsonl" and name not in TIMESTAMPS and name not in PEOPLE:
        for origin in sorted(exact, key=lambda origin: not origin.startswith(LINE_PREFIX)):
            if origin not in origins and profiles.is_alternative(origin, origins):
                origins.append(origin)
        origins.sort(key=lambda origin: not origin.startswith(LINE_PREFIX))
    return Choice(origins, LIKELY if is_part else SURE, "by a part of its name" if is_part else "", options)


def _rank(origin: str, words: Sequence[str]) -> tuple[bool, int] | None:
    """How well a name fits: exact or by its end, then the word's place in the list; None for not at all."""
    parts = origin.replace('"', "").split(".")
    names = {normalised(parts[-1]), normalised("".join(parts[-2:]))}
    exact = [number for number, word in enumerate(words) if word in names]
    if exact:
        return False, exact[0]
    last = normalised((_TOKENS.findall(parts[-1]) or [""])[-1])
    ends = [
        number
        for number, word in enumerate(words)
        if (len(word) >= MIN_SUFFIX and any(name.endswith(word) for name in names)) or (word == last and word != "id")  # every table has ids
    ]
    return (True, ends[0]) if ends else None


def _options(name: str, origin: str, profiles: Profiles) -> dict[str, Any] | None:
    """How the values are read as `name`; None when they cannot be."""
    found = profiles[origin]
    if name in TIMESTAMPS:
        return _time_options(origin, profiles)
    if name in NUMBERS:
        factor = next((factor for column, unit, factor in SMALLER_UNITS if column == name and unit.search(normalised(origin))), None)
        return None if not found.is_number() else {"multiply": factor} if factor else {}
    if name.startswith("is_"):
        return {} if found.n_booleans >= MOST * found.n else None
    if name.endswith("_id"):
        options = {"as_integer": True} if found.n_point_zero >= MOST * found.n else {}
        return options | ({"fold_case": True} if name == "item_id" and found.n_upper < found.n_distinct else {})
    return {}


def _time_options(origin: str, profiles: Profiles) -> dict[str, Any] | None:
    found = profiles[origin]
    if not found.n:
        return None
    if unit := found.epoch_unit():
        return {"unit": unit}
    if found.n_iso >= MOST * found.n:
        return {} if found.n_offset >= MOST * found.n else {"timezone": "UTC"}
    formats = profiles.formats(origin)
    if not formats:
        return None
    has_zone = "%z" in formats[0].lower() or formats[0].endswith("Z")
    return {"format": formats[0]} | ({} if has_zone else {"timezone": "UTC"})


def _rules(profiles: Profiles) -> Rules:
    """A rule for each value of the column that says the kind of event: the one with the most values that are known."""
    best, best_share = Rules(), 0.0
    for name, found in profiles.columns.items():
        is_named = _rank(name, EVENT_COLUMNS.split()) is not None
        if not found.n or found.n_distinct > MAX_EVENT_KINDS or found.is_number():
            continue
        values = profiles.values(name)
        known = [(value, n) for value, n in values if normalised(value) in TYPE_OF]
        share = sum(n for _, n in known) / profiles.n_records
        if {normalised(value) for value, _ in values} <= CALLS or (not is_named and (len(known) < 2 or sum(n for _, n in known) < MOST * found.n)):
            continue
        if known and share + is_named > best_share:
            best, best_share = Rules(column=name, unknown=[pair for pair in values if pair not in known]), share + is_named
            best.known = [(kind, name, [value for value, _ in known if TYPE_OF[normalised(value)] == kind]) for kind in dict.fromkeys(TYPE_OF.values())]
            best.known = [rule for rule in best.known if rule[2]]
    best.known[:0] = _call_rules(profiles) if best.known else []
    return best


def _call_rules(profiles: Profiles) -> list[tuple[str, str, list[str]]]:
    """Segment's identify, page and other calls are no events of their own."""
    for name, found in profiles.columns.items():
        values = [value for value, _ in profiles.values(name)] if normalised(name) == "type" and found.n else []
        if "track" in values and {normalised(value) for value in values} <= CALLS:
            others = [value for value in values if value != "track"]
            return [("ignore", name, others)] if others else []
    return []


def _rules_without_kinds(proposal: Proposal) -> None:
    columns, rules = proposal.columns, proposal.rules
    if "rating" in columns:
        rules.rest = "rate"
    elif "order_id" in columns:
        rules.rest = "purchase"
        order = columns["order_id"].origins[0]
        if proposal.profiles.has_cancellations(order):
            rules.conditions.append(("refund", order, "starts_with", "C"))
        quantity = columns.get("quantity")
        if quantity and proposal.profiles.is_below_zero(quantity.origins[0]):
            rules.conditions.append(("refund", quantity.origins[0], "less_than", 0))
    else:
        rules.rest = "view"


def _set_decimal_sign(proposal: Proposal) -> None:
    """A decimal comma where most numbers that have a sign have this one."""
    numbers = [proposal.profiles[choice.origins[0]] for name, choice in proposal.columns.items() if name in NUMBERS and choice.origins]
    commas = [found for found in numbers if found.n_numbers < found.n_comma]
    if commas and proposal.profiles.look.format != "parquet":
        proposal.decimal = ","
        proposal.thousands = "." if any(found.n_grouped for found in commas) else ""
