"""From a source's YAML to SQL: what one landed record becomes.

Every value from the configuration enters the SQL as a quoted literal or identifier. A record that cannot be read gets a `problem`
(`field: reason`), never an exception: the caller sends it to quarantine.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from dawnlist import redaction
from dawnlist.columns import CONSENTS, CUSTOMERS, EVENTS, ITEMS
from dawnlist.duck import identifier, literal, path_list
from dawnlist.row_rules import RowRule, problem_of
from dawnlist.sources import IGNORE, LINE_PREFIX, REQUIRED, TIMESTAMPS, Column, Condition, Input, InputSpec, Source

FIELD_SEPARATOR = "\x1f"
MAX_LINE_BYTES = 16 << 20
TYPES: dict[str, dict[str, str]] = {"events": EVENTS, "items": ITEMS, "customers": CUSTOMERS, "consents": CONSENTS}
PEOPLE = ("user_id", "anonymous_id")  # hashed before anything is written

# Transparent by intent: the words that crawlers, monitors and scripts put into their user agents.
BOT_PATTERN = "bot|crawl|spider|slurp|headless|phantom|python-requests|curl/|wget|httpclient|monitor|pingdom|lighthouse"
# The families in the order in which they must be asked for: Android's agents say Linux too, and those of iOS say Mac OS X.
OS_PATTERNS = (
    ("Android", "android"),
    ("iOS", "iphone|ipad|ipod"),
    ("Windows", "windows"),
    ("macOS", "mac os x|macintosh"),
    ("Chrome OS", "cros "),
    ("Linux", "linux|x11"),
)
DEVICE_PATTERNS = (("tablet", "ipad|tablet|kindle|silk/|playbook"), ("mobile", "mobi|iphone|ipod|android|phone"))

FILE_COLUMN = "landed file"  # what the readers call the column of the file's path: a name that no landed column has
_REJECTS = f"filename = {literal(FILE_COLUMN)}, store_rejects = true, rejects_limit = 0"
_IS_BRACED = "content LIKE '{%'"
JSON_STEP = re.compile(r'"([^"]*)"|\[(\d+)\]|([^."\[\]]+)')  # a key in quotes, a position in a list, a key
LINE_ENDS = {"\n": "\\n", "\r\n": "\\r\\n", "\r": "\\r"}  # as the reader wants them written
BLANKS = "' \t\u00a0\u202f'"  # with the no-break spaces that stand between a number and its currency
# What is written for a separator of thousands: the plain sign and its typographic forms.
THOUSANDS = {".": "[.]", ",": "[,]", " ": "[ \u00a0\u202f]", "'": "['\u2019]"}


def raw_relation(spec: InputSpec, files: Sequence[Path], header: Sequence[str] = (), *, line_end: str = "", is_numbered: bool = False) -> str:
    """A FROM item with the records of `files` as they are: `file`, `content` (see text_of), `line` and, but for JSON lines, the values `c1, c2, …` of `header`.

    `line` is the record's position among those of the relation (1 = first), NULL unless `is_numbered`: numbering makes the reader go
    through one file after the other on one thread. `line_end` of CSV files: '' lets the reader find it out. Lines that cannot be split into columns are in the reader's reject table instead.
    """
    line = "row_number() OVER ()" if is_numbered else "NULL::BIGINT"
    file = identifier(FILE_COLUMN)
    if spec.format == "parquet":
        own = [name for name in header if not _is_nested(name, header)]
        text = ", ".join(f"{literal(name)}, parquet_row.{identifier(name)}" for name in own)
        values = "".join(f", {_parquet_value(name, header)} AS c{number}" for number, name in enumerate(header, 1))
        reader = f"read_parquet({path_list(files)}, filename = {literal(FILE_COLUMN)})"
        return f"(SELECT {file} AS file, json_object({text})::VARCHAR AS content, {line} AS line{values} FROM {reader} AS parquet_row)"
    if spec.format == "jsonl":
        # A blank line is none. Few lines begin without a brace, and a trim is slow.
        return f"(SELECT * FROM (SELECT {file} AS file, text AS content, {line} AS line FROM {_line_reader(spec, files)}) WHERE {_IS_BRACED} OR trim(content, ' \t\r') <> '')"
    line_end = f", new_line = {literal(LINE_ENDS[line_end])}" if line_end in LINE_ENDS else ""
    names = [f"c{number}" for number in range(1, len(header) + 1)]
    columns = ", ".join(f"'{name}': 'VARCHAR'" for name in names)
    escape = spec.quote if spec.escape is None else spec.escape
    reader = (
        f"read_csv({path_list(files)}, columns = {{{columns}}}, delim = {literal(spec.delimiter)}, quote = {literal(spec.quote)}, escape = {literal(escape)}, "
        f"header = {str(not spec.header).lower()}, auto_detect = false, encoding = {literal(spec.encoding)}{line_end}, {_REJECTS})"
    )
    return f"(SELECT {file} AS file, [{', '.join(names)}] AS content, {line} AS line, {', '.join(names)} FROM {reader})"


def text_of(spec: InputSpec, separator: str) -> str:
    """The text of a record as an expression over its `content`: the line or the JSON of a record that is no CSV, else the values, which are put
    together only where they are asked for.
    """
    return f"array_to_string(list_transform(content, lambda value: coalesce(value, '')), {literal(separator)})" if spec.format == "csv" else "content"


def lines(spec: InputSpec, file: Path) -> str:
    """A FROM item with the `text` of each line of a text file and its number `line` (1 = first)."""
    return f"(SELECT row_number() OVER () AS line, CASE WHEN ends_with(text, '\r') THEN text[:-2] ELSE text END AS text FROM {_line_reader(spec, [file])})"


def _line_reader(spec: InputSpec, files: Sequence[Path]) -> str:
    return (
        f"read_csv({path_list(files)}, columns = {{'text': 'VARCHAR'}}, delim = '\x01', quote = '', escape = '', header = false, auto_detect = false, "
        f"strict_mode = false, max_line_size = {MAX_LINE_BYTES}, encoding = {literal(spec.encoding)}, {_REJECTS})"
    )


def records_query(spec: InputSpec, raw: str, header: Sequence[str] = ()) -> str:
    """One row per record after explosion: `file`, `content`, `line`, `part` (position in the exploded list, 1-based, else NULL), `is_valid`,
    `o1, o2, …`: the origins of the mapping as text, in the order of `spec.origins`; `p1, p2, …`: the properties as JSON; and `others`: a
    JSON object of the columns that the mapping does not name, where it keeps them.
    """
    kept = [one.column for one in spec.properties.values()]
    if spec.format != "jsonl":
        text = {name: _trimmed(f"c{number}::VARCHAR" if spec.format == "parquet" else f"c{number}") for number, name in reversed(list(enumerate(header, 1)))}
        json = text if spec.format == "csv" else {name: f"c{number}" for number, name in enumerate(header, 1)}
        values = "".join(f", {text.get(name, 'NULL')} AS o{number}" for number, name in enumerate(spec.origins, 1))
        values += "".join(f", to_json({json.get(name, 'NULL')}) AS p{number}" for number, name in enumerate(kept, 1))
        if spec.other_columns == "properties":
            others = [name for name in json if name not in spec.named and not (spec.format == "parquet" and _is_touched(name, header, spec.named))]
            values += f", json_object({', '.join(f'{literal(name)}, {json[name]}' for name in others)}) AS others"
        return f"SELECT file, content, line, NULL::BIGINT AS part, true AS is_valid{values} FROM {raw}"
    whole = [name for name in spec.origins if not name.startswith(LINE_PREFIX)]
    lines = [name for name in spec.origins if name.startswith(LINE_PREFIX)]
    exploded = f"json_extract(document, {_json_path(spec.explode)})" if spec.explode else "NULL::JSON"
    parts = "[NULL::JSON]"
    if spec.explode:
        parts = "CASE WHEN json_type(list) = 'ARRAY' AND json_array_length(list) > 0 THEN list->'$[*]' ELSE [NULL::JSON] END"
    values = "".join(
        f", {_trimmed(f'whole_values[{whole.index(name) + 1}]')} AS o{number}"
        if name in whole
        else f", {_trimmed(f'line_values[{lines.index(name) + 1}]')} AS o{number}"
        for number, name in enumerate(spec.origins, 1)
    )
    for number, name in enumerate(kept, 1):
        whose = "element" if name.startswith(LINE_PREFIX) else "document"
        values += f", json_extract({whose}, {_json_path(name.removeprefix(LINE_PREFIX))}) AS p{number}"
    if spec.other_columns == "properties":
        named = dict.fromkeys(_first_key(name) for name in [*spec.origins, *kept, spec.explode or ""] if name and not name.startswith(LINE_PREFIX))
        values += f", json_merge_patch(document, json_object({', '.join(f'{literal(key)}, NULL' for key in named)})) AS others"
    # A text is parsed once to see whether it is JSON and to take the values out; NULL when it is none.
    taken = f"try(json_extract_string(content, {_json_paths(whole)}))"
    exploding = (
        f", unnest({parts}) AS element, generate_subscripts({parts}, 1) AS part, list IS NOT NULL AS has_parts"
        if spec.explode
        else ", NULL::JSON AS element, NULL::BIGINT AS part, false AS has_parts"
    )
    return f"""
        WITH taken AS (SELECT file, content, line, {taken} AS whole_values FROM {raw}),
        documents AS (
            SELECT *, whole_values IS NOT NULL AND ({_IS_BRACED} OR starts_with(ltrim(content, ' \t\r\n'), '{{')) AS is_valid,
                CASE WHEN whole_values IS NOT NULL THEN content::JSON END AS document FROM taken
        ), listed AS (SELECT *, {exploded} AS list FROM documents
        ), exploded AS (SELECT *{exploding} FROM listed
        ), read AS (
            SELECT *, json_extract_string(element, {_json_paths([name.removeprefix(LINE_PREFIX) for name in lines])}) AS line_values FROM exploded
        )
        SELECT file, content, line, CASE WHEN has_parts THEN part END AS part, is_valid{values} FROM read"""


def filled_columns(source: Source, kind: Input) -> list[str]:
    """The canonical columns that the mapping gives a value; the others are NULL, or the same for all rows."""
    spec = source.inputs[kind]
    filled = set(spec.columns)
    if kind == "events":
        filled |= {"event_id", "event_type", "is_bot"}
        filled |= {"device", "os"} if "user_agent" in spec.columns else set()
        filled |= {"properties"} if spec.properties or spec.other_columns == "properties" else set()
    filled |= {"currency"} if source.currency else set()
    return [name for name in TYPES[kind] if name in filled]


def _trimmed(text: str) -> str:
    """Without blanks around it, NULL when nothing is left. Few values have any, and a trim copies the value."""
    return f"CASE WHEN {text} LIKE ' %' OR {text} LIKE '% ' OR {text} = '' THEN nullif(trim({text}), '') ELSE {text} END"


def mapped_query(source: Source, kind: Input, records: str, *, salt: str, max_lateness_days: int, rules: Sequence[RowRule] = ()) -> str:
    """One row per record: file_id, line, content, part, problem, is_ignored, and the canonical columns, with people's ids still raw.

    `problem` is `field: reason`: what cannot be read, else the first of the `rules` that the record breaks.

    `records` is a relation as of `records_query` joined with `file_id`, `file_time` and, for events without an id, `occurrence`.
    """
    spec = source.inputs[kind]
    place = {name: f"o{number}" for number, name in enumerate(spec.origins, 1)}
    expressions = {name: _expression(spec, name, TYPES[kind].get(name, "VARCHAR"), column, place) for name, column in spec.columns.items()}
    if kind == "events":
        expressions["event_type"] = _event_type(spec, place)
    # Values are made once, in an inner query: checks and what is derived from them refer to them.
    columns = {name: f"{name}_value" for name in expressions}
    values = ", ".join(f"{expression} AS {columns[name]}" for name, expression in expressions.items())
    checks = [("row", "not a JSON object", "NOT is_valid")]
    for name, column in spec.columns.items():
        checks += _checks(name, TYPES[kind].get(name, "VARCHAR"), column, place, columns[name], required=_is_required(kind, name))
    selected = dict(columns)
    price = columns.get("unit_price", columns.get("price"))
    if source.currency and price and "currency" in columns:
        selected["currency"] = f"coalesce({columns['currency']}, CASE WHEN {price} IS NOT NULL THEN {literal(source.currency)} END)"
    elif source.currency and "currency" in TYPES[kind]:
        selected["currency"] = literal(source.currency)
    ignored = "false"
    if kind == "events":
        ignored = f"coalesce({selected['event_type']} = '{IGNORE}', false)"
        checks.append(("event_type", "no rule of the source maps it", f"{selected['event_type']} IS NULL"))
        checks.append(("occurred_at", "landed too late", f"{columns['occurred_at']} < file_time - INTERVAL {int(max_lateness_days)} DAY"))
        selected |= _derived(source, spec, selected, salt)
    problem = " ".join(f"WHEN {test} THEN {literal(f'{field}: {reason}')}" for field, reason, test in checks)
    for name in set(selected) & set(spec.columns):
        column = spec.columns[name]
        selected[name] = redaction.column_sql(name, selected[name], pii=column.pii, decimals=column.round, namespace=source.user_namespace)
    wanted = {name: selected.get(name, "NULL") for name in TYPES[kind] if name not in ("source", "key_id", "event_date")}
    canonical = ", ".join(f"({expression})::{TYPES[kind][name]} AS {identifier(name)}" for name, expression in wanted.items())
    # An ignored record is no event, whatever else it lacks; a broken line cannot say that it is to be ignored.
    mapped = f"SELECT file_id, line, content, part, is_valid AND {ignored} AS is_ignored, CASE {problem} END AS problem, {canonical} FROM (SELECT *, {values} FROM {records})"
    return f"SELECT * REPLACE (coalesce(problem, {problem_of(rules)}) AS problem) FROM ({mapped})" if rules else mapped


def row_hash(source: Source, *, salt: str) -> str:
    """The id of an event whose source sends none, from its text, `part` and, where equal rows are several events, `occurrence`."""
    spec = source.inputs["events"]
    occurrence = "" if spec.equal_rows_are_duplicates else " || '#' || occurrence"
    return f"md5({literal(source.name)} || '\x1f' || {literal(salt)} || {text_of(spec, FIELD_SEPARATOR)} || coalesce('#' || part, ''){occurrence})"


def _derived(source: Source, spec: InputSpec, selected: dict[str, str], salt: str) -> dict[str, str]:
    agent = selected.pop("user_agent", None)
    sent_id = f"md5({literal(source.name)} || '\x1f' || {selected.get('event_id')} || coalesce('#' || part, ''))"
    derived = {
        "event_id": sent_id if "event_id" in spec.columns else row_hash(source, salt=salt),
        "is_bot": "false" if agent is None else f"coalesce(regexp_matches(lower({agent}), {literal(BOT_PATTERN)}), false)",
    }
    for column, patterns, other in (("device", DEVICE_PATTERNS, "'desktop'"), ("os", OS_PATTERNS, "NULL")):
        if agent is not None and column not in spec.columns:
            cases = " ".join(f"WHEN regexp_matches(lower({agent}), {literal(pattern)}) THEN {literal(name)}" for name, pattern in patterns)
            derived[column] = f"CASE WHEN {agent} IS NULL THEN NULL {cases} ELSE {other} END"
    if spec.properties or spec.other_columns == "properties":
        kept = {
            name: redaction.property_sql(name, one.column, f"p{number}", pii=one.pii, decimals=one.round, namespace=source.user_namespace)
            for number, (name, one) in enumerate(spec.properties.items(), 1)
        }
        pairs = ", ".join(f"{literal(name)}, {value}" for name, value in kept.items())
        others = redaction.json_sql("others") if spec.other_columns == "properties" else "NULL::JSON"
        derived["properties"] = f"coalesce(json_merge_patch({others}, json_object({pairs})), json_object({pairs}))::VARCHAR"
    return derived


def _expression(spec: InputSpec, name: str, kind: str, column: Column, place: dict[str, str]) -> str:
    value = literal(column.constant) if column.constant is not None else f"coalesce({', '.join(place[origin] for origin in column.origins)})"
    if column.extract:
        has_group = re.search(r"(?<!\\)\((?!\?)", column.extract)
        value = f"nullif(regexp_extract({value}, {literal(column.extract)}, {1 if has_group else 0}), '')"
    if column.remove:
        value = f"nullif(trim(regexp_replace({value}, {literal(column.remove)}, '', 'g'), {BLANKS}), '')"
    if name in TIMESTAMPS:
        return _timestamp(spec, column, value)
    if column.as_integer:
        forms = dict.fromkeys((value, _number(spec, value)))
        number = f"coalesce({', '.join(f'try_cast({form} AS DECIMAL(38, 6))' for form in forms)})"
        value = f"CASE WHEN {number} % 1 = 0 THEN coalesce(try_cast({number} AS BIGINT)::VARCHAR, {value}) ELSE {value} END"
    if column.fold_case:
        value = f"upper({value})"
    if column.values:
        cases = " ".join(f"WHEN {literal(old)} THEN {literal(new)}" for old, new in column.values.items())
        value = f"CASE {value} {cases} ELSE {value} END"
    if kind in ("VARCHAR", "BOOLEAN"):
        return value if kind == "VARCHAR" else f"try_cast({value} AS BOOLEAN)"
    value = _number(spec, value)
    # Decimals of these two widths are multiplied without overflow: https://duckdb.org/docs/stable/sql/data_types/numeric
    return (
        f"try_cast({value} AS {kind})"
        if column.multiply is None
        else f"try_cast(try_cast({value} AS DECIMAL(24, 6)) * {column.multiply:f}::DECIMAL(14, 6) AS {kind})"
    )


def _number(spec: InputSpec, value: str) -> str:
    """The text of a number as SQL reads it; NULL for one that is not written as the source says: 12.50 is no number where the comma is the decimal sign."""
    if spec.decimal == "." and not spec.thousands:
        return value
    integer = rf"\d{{1,3}}({THOUSANDS[spec.thousands]}\d{{3}})+|\d*" if spec.thousands else r"\d*"
    pattern = rf"[+-]?({integer})([{spec.decimal}]\d*)?([eE][+-]?\d+)?"
    plain = f"regexp_replace({value}, {literal(THOUSANDS[spec.thousands])}, '', 'g')" if spec.thousands else value
    return f"CASE WHEN regexp_full_match({value}, {literal(pattern)}) THEN replace({plain}, {literal(spec.decimal)}, '.') END"


def _timestamp(spec: InputSpec, column: Column, value: str) -> str:
    if column.unit:
        factor = {"s": 1_000_000, "ms": 1_000, "us": 1}[column.unit]
        # make_timestamp takes microseconds since 1970-01-01 UTC; what a 64-bit count of them cannot hold becomes NULL.
        return f"try(make_timestamp(try_cast(try_cast({_number(spec, value)} AS DECIMAL(38, 6)) * {factor} AS BIGINT)))"
    if column.formats:
        return f"coalesce({', '.join(_strptime(value, text, column.timezone) for text in column.formats)})"
    with_offset = f"regexp_matches({value}, '(Z|\\d\\d:\\d\\d.*[+-]\\d\\d(:?\\d\\d)?)$')"
    # A plain cast reads Z as UTC, and much faster than one that knows offsets. It forgives more: a zone's name before the Z, years before Christ.
    usual = f"{value} LIKE '____-__-__T__:__:__%Z' AND NOT contains({value}, ' ') AND NOT starts_with({value}, '-')"
    plain = f"WHEN {usual} THEN try_cast({value} AS TIMESTAMP)"
    return f"CASE {plain} WHEN {with_offset} THEN try_cast({value} AS TIMESTAMPTZ) AT TIME ZONE 'UTC' ELSE {_to_utc(f'try_cast({value} AS TIMESTAMP)', column.timezone)} END"


def _strptime(value: str, text: str, timezone: str) -> str:
    time = f"try_strptime({value}, {literal(text)})"
    has_offset = re.search("%[zZ]", text)  # the result then knows its zone
    return f"{time} AT TIME ZONE 'UTC'" if has_offset else _to_utc(time, timezone)


def _to_utc(local: str, timezone: str) -> str:
    return local if timezone == "UTC" else f"({local} AT TIME ZONE {literal(timezone)}) AT TIME ZONE 'UTC'"


def _checks(name: str, kind: str, column: Column, place: dict[str, str], expression: str, *, required: bool) -> list[tuple[str, str, str]]:
    origins = [place[origin] for origin in column.origins]
    checks = []
    if required and origins:
        checks.append((name, "missing", f"({expression}) IS NULL" if kind == "VARCHAR" else f"coalesce({', '.join(origins)}) IS NULL"))
    if origins and (kind != "VARCHAR" or name in TIMESTAMPS):
        what = "not a time" if name in TIMESTAMPS else f"not a {kind.split('(')[0].lower()}"
        checks.append((name, what, f"coalesce({', '.join(origins)}) IS NOT NULL AND ({expression}) IS NULL"))
    return checks


def _is_required(kind: Input, name: str) -> bool:
    return name in REQUIRED[kind] or name == "event_id"


def _event_type(spec: InputSpec, place: dict[str, str]) -> str:
    tests: dict[str, Callable[[Condition, str], str]] = {
        "equals": lambda condition, value: f"{value} = {literal(str(condition.equals))}",
        "starts_with": lambda condition, value: f"starts_with({value}, {literal(str(condition.starts_with))})",
        "is_in": lambda condition, value: f"{value} IN ({', '.join(literal(item) for item in condition.is_in or ())})",
        "less_than": lambda condition, value: f"try_cast({_number(spec, value)} AS DOUBLE) < {condition.less_than}",
    }
    cases: list[str] = []
    for rule in spec.event_type:
        if rule.when is None:
            return f"CASE {' '.join(cases)} ELSE {literal(rule.type)} END" if cases else literal(rule.type)
        kind = next(name for name in tests if getattr(rule.when, name) is not None)
        cases.append(f"WHEN {tests[kind](rule.when, place[rule.when.column])} THEN {literal(rule.type)}")
    return f"CASE {' '.join(cases)} END"


def _is_nested(name: str, header: Sequence[str]) -> bool:
    """Whether a Parquet column is a field of another one: its name is `struct.field`."""
    steps = name.split(".")
    return any(".".join(steps[:length]) in header for length in range(1, len(steps)))


def _is_touched(name: str, header: Sequence[str], named: Iterable[str]) -> bool:
    return _is_nested(name, header) or any(one.startswith(f"{name}.") for one in named)


def _parquet_value(name: str, header: Sequence[str]) -> str:
    steps = [name]
    while _is_nested(steps[0], header):
        steps[:1] = steps[0].rsplit(".", 1)
    return ".".join(identifier(step) for step in ["parquet_row", *steps])


def _json_path(name: str) -> str:
    steps = (f"[{position}]" if position else f'."{quoted or plain}"' for quoted, position, plain in JSON_STEP.findall(name))
    return literal("$" + "".join(steps))


def _first_key(name: str) -> str:
    quoted, _, plain = JSON_STEP.findall(name)[0]
    return quoted or plain


def _json_paths(names: Sequence[str]) -> str:
    return "[" + ", ".join(_json_path(name) for name in names) + "]::VARCHAR[]" if not names else "[" + ", ".join(_json_path(name) for name in names) + "]"
