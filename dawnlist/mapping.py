"""From a source's YAML to SQL: what one landed record becomes.

Every value from the configuration enters the SQL as a quoted literal or identifier. A record that cannot be read gets a `problem`
(`field: reason`), never an exception: the caller sends it to quarantine.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from dawnlist.columns import CONSENTS, CUSTOMERS, EVENTS, ITEMS
from dawnlist.duck import identifier, literal, path_list
from dawnlist.sources import IGNORE, REQUIRED, TIMESTAMPS, Column, Condition, Input, InputSpec, Source

LINE_PREFIX = "line."
MAX_LINE_BYTES = 16 << 20
TYPES: dict[str, dict[str, str]] = {"events": EVENTS, "items": ITEMS, "customers": CUSTOMERS, "consents": CONSENTS}
PEOPLE = ("user_id", "anonymous_id")  # hashed before anything is written

# Transparent by intent: the words that crawlers, monitors and scripts put into their user agents.
BOT_PATTERN = "bot|crawl|spider|slurp|headless|phantom|python-requests|curl/|wget|httpclient|monitor|pingdom|lighthouse"
DEVICE_PATTERNS = (("tablet", "ipad|tablet|kindle|silk/|playbook"), ("mobile", "mobi|iphone|ipod|android|phone"))


def raw_relation(spec: InputSpec, files: Sequence[Path], header: Sequence[str] = (), *, is_numbered: bool = False) -> str:
    """A FROM item with the records of `files` as they are: `file`, `row_text`, `line` and, but for JSON lines, the values under their own names.

    `line` is the record's position among those of the relation (1 = first), NULL unless `is_numbered`: numbering makes the reader go
    through one file after the other on one thread. Lines that cannot be split into columns are in the reader's reject table instead.
    """
    line = "row_number() OVER ()" if is_numbered else "NULL::BIGINT"
    rejects = "filename = 'file', store_rejects = true, rejects_limit = 0"
    if spec.format == "parquet":
        return f"(SELECT filename AS file, to_json(parquet_row)::VARCHAR AS row_text, {line} AS line, parquet_row.* FROM read_parquet({path_list(files)}, filename = true, union_by_name = true) AS parquet_row)"
    if spec.format == "jsonl":
        reader = (
            f"read_csv({path_list(files)}, columns = {{'text': 'VARCHAR'}}, delim = '\x01', quote = '', escape = '', header = false, auto_detect = false, "
            f"strict_mode = false, max_line_size = {MAX_LINE_BYTES}, encoding = {literal(spec.encoding)}, {rejects})"
        )
        return f"(SELECT * FROM (SELECT file, text AS row_text, {line} AS line FROM {reader}) WHERE trim(row_text, ' \t\r') <> '')"
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in header)
    text = ", ".join(f"coalesce({identifier(name)}, '')" for name in header)
    reader = (
        f"read_csv({path_list(files)}, columns = {{{columns}}}, delim = {literal(spec.delimiter)}, quote = {literal(spec.quote)}, header = true, "
        f"auto_detect = false, encoding = {literal(spec.encoding)}, {rejects})"
    )
    return f"(SELECT file, concat_ws('\x1f', {text}) AS row_text, {line} AS line, * EXCLUDE (file) FROM {reader})"


def records_query(spec: InputSpec, raw: str) -> str:
    """One row per record after explosion: `file`, `row_text`, `line`, `part` (position in the exploded list, 1-based, else NULL), `is_valid`
    and `o1, o2, …`: the origins of the mapping as text, in the order of `spec.origins`.
    """
    if spec.format != "jsonl":
        values = "".join(f", nullif(trim({identifier(name)}::VARCHAR), '') AS o{number}" for number, name in enumerate(spec.origins, 1))
        return f"SELECT file, row_text, line, NULL::BIGINT AS part, true AS is_valid{values} FROM {raw}"
    whole = [name for name in spec.origins if not name.startswith(LINE_PREFIX)]
    lines = [name for name in spec.origins if name.startswith(LINE_PREFIX)]
    exploded = f"json_extract(document, {_json_path(spec.explode)})" if spec.explode else "NULL::JSON"
    parts = "[NULL::JSON]"
    if spec.explode:
        parts = f"CASE WHEN json_type({exploded}) = 'ARRAY' AND json_array_length({exploded}) > 0 THEN {exploded}->'$[*]' ELSE [NULL::JSON] END"
    values = "".join(
        f", nullif(trim(whole_values[{whole.index(name) + 1}]), '') AS o{number}"
        if name in whole
        else f", nullif(trim(line_values[{lines.index(name) + 1}]), '') AS o{number}"
        for number, name in enumerate(spec.origins, 1)
    )
    return f"""
        WITH documents AS (
            SELECT file, row_text, line, json_valid(row_text) AND json_type(try_cast(row_text AS JSON)) = 'OBJECT' AS is_valid, CASE WHEN json_valid(row_text) THEN row_text::JSON END AS document FROM {raw}
        ), exploded AS (
            SELECT file, row_text, line, coalesce(is_valid, false) AS is_valid, json_extract_string(document, {_json_paths(whole)}) AS whole_values,
                unnest({parts}) AS element, generate_subscripts({parts}, 1) AS part, {exploded} IS NOT NULL AS has_parts FROM documents
        ), read AS (
            SELECT *, json_extract_string(element, {_json_paths([name.removeprefix(LINE_PREFIX) for name in lines])}) AS line_values FROM exploded
        )
        SELECT file, row_text, line, CASE WHEN has_parts THEN part END AS part, is_valid{values} FROM read"""


def mapped_query(source: Source, kind: Input, records: str, *, salt: str, max_lateness_days: int) -> str:
    """One row per record: file_id, line, problem, is_ignored, and the canonical columns, with people's ids still raw.

    `records` is a relation as of `records_query` joined with `file_id`, `file_time` and, for events without an id, `occurrence`.
    """
    spec = source.inputs[kind]
    place = {name: f"o{number}" for number, name in enumerate(spec.origins, 1)}
    columns = {name: _expression(name, TYPES[kind].get(name, "VARCHAR"), column, place) for name, column in spec.columns.items()}
    checks = [("row", "not a JSON object", "NOT is_valid")]
    for name, column in spec.columns.items():
        checks += _checks(name, TYPES[kind].get(name, "VARCHAR"), column, place, columns[name], required=_is_required(kind, name))
    selected = dict(columns)
    ignored = "false"
    if kind == "events":
        selected["event_type"] = _event_type(spec, place)
        ignored = f"coalesce({selected['event_type']} = '{IGNORE}', false)"
        checks.append(("event_type", "no rule of the source maps it", f"{selected['event_type']} IS NULL"))
        checks.append(("occurred_at", "landed too late", f"{columns['occurred_at']} < file_time - INTERVAL {int(max_lateness_days)} DAY"))
        selected |= _derived(source, spec, selected, place, salt)
    problem = " ".join(f"WHEN {test} THEN {literal(f'{field}: {reason}')}" for field, reason, test in checks)
    wanted = {name: selected.get(name, "NULL") for name in TYPES[kind] if name not in ("source", "key_id", "event_date")}
    values = ", ".join(f"({expression})::{TYPES[kind][name]} AS {identifier(name)}" for name, expression in wanted.items())
    # An ignored record is no event, whatever else it lacks; a broken line cannot say that it is to be ignored.
    return f"SELECT file_id, line, is_valid AND {ignored} AS is_ignored, CASE {problem} END AS problem, {values} FROM {records}"


def _derived(source: Source, spec: InputSpec, selected: dict[str, str], place: dict[str, str], salt: str) -> dict[str, str]:
    agent = selected.pop("user_agent", None)
    row = f"{literal(source.name)} || '\x1f' || "
    part = "coalesce('#' || part, '')"
    if "event_id" in spec.columns:
        identity = f"{row}({selected['event_id']}) || {part}"
    else:
        identity = f"{row}{literal(salt)} || row_text || {part}" + ("" if spec.equal_rows_are_duplicates else " || '#' || occurrence")
    derived = {
        "event_id": f"md5({identity})",
        "is_bot": "false" if agent is None else f"coalesce(regexp_matches(lower({agent}), {literal(BOT_PATTERN)}), false)",
    }
    if agent is not None and "device" not in spec.columns:
        cases = " ".join(f"WHEN regexp_matches(lower({agent}), {literal(pattern)}) THEN {literal(name)}" for name, pattern in DEVICE_PATTERNS)
        derived["device"] = f"CASE WHEN {agent} IS NULL THEN NULL {cases} ELSE 'desktop' END"
    if source.currency and "currency" not in spec.columns:
        derived["currency"] = literal(source.currency)
    if spec.properties:
        pairs = ", ".join(f"{literal(name)}, {place[origin]}" for name, origin in spec.properties.items())
        derived["properties"] = f"json_object({pairs})::VARCHAR"
    return derived


def _expression(name: str, kind: str, column: Column, place: dict[str, str]) -> str:
    value = literal(column.constant) if column.constant is not None else f"coalesce({', '.join(place[origin] for origin in column.origins)})"
    if name in TIMESTAMPS:
        return _timestamp(column, value)
    if column.as_integer:
        value = f"coalesce(try_cast(try_cast({value} AS DECIMAL(38, 6)) AS BIGINT)::VARCHAR, {value})"
    if column.fold_case:
        value = f"upper({value})"
    if column.values:
        cases = " ".join(f"WHEN {literal(old)} THEN {literal(new)}" for old, new in column.values.items())
        value = f"CASE {value} {cases} ELSE {value} END"
    return value if kind == "VARCHAR" else f"try_cast({value} AS {kind})"


def _timestamp(column: Column, value: str) -> str:
    if column.unit:
        factor = {"s": 1_000_000, "ms": 1_000, "us": 1}[column.unit]
        # make_timestamp takes microseconds since 1970-01-01 UTC; what a 64-bit count of them cannot hold becomes NULL.
        return f"try(make_timestamp(try_cast(try_cast({value} AS DECIMAL(38, 6)) * {factor} AS BIGINT)))"
    if column.format:
        return _to_utc(f"try_strptime({value}, {literal(column.format)})", column.timezone)
    with_offset = f"regexp_matches({value}, '(Z|[+-]\\d\\d:?\\d\\d)$')"
    return f"CASE WHEN {with_offset} THEN try_cast({value} AS TIMESTAMPTZ) AT TIME ZONE 'UTC' ELSE {_to_utc(f'try_cast({value} AS TIMESTAMP)', column.timezone)} END"


def _to_utc(local: str, timezone: str) -> str:
    return local if timezone == "UTC" else f"({local} AT TIME ZONE {literal(timezone)}) AT TIME ZONE 'UTC'"


def _checks(name: str, kind: str, column: Column, place: dict[str, str], expression: str, *, required: bool) -> list[tuple[str, str, str]]:
    origins = [place[origin] for origin in column.origins]
    checks = []
    if required and origins:
        checks.append((name, "missing", f"coalesce({', '.join(origins)}) IS NULL"))
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
        "less_than": lambda condition, value: f"try_cast({value} AS DOUBLE) < {condition.less_than}",
    }
    cases: list[str] = []
    for rule in spec.event_type:
        if rule.when is None:
            return f"CASE {' '.join(cases)} ELSE {literal(rule.type)} END" if cases else literal(rule.type)
        kind = next(name for name in tests if getattr(rule.when, name) is not None)
        cases.append(f"WHEN {tests[kind](rule.when, place[rule.when.column])} THEN {literal(rule.type)}")
    return f"CASE {' '.join(cases)} END"


def _json_path(name: str | None) -> str:
    return literal("$" + "".join(f'."{part}"' for part in (name or "").split(".")))


def _json_paths(names: Sequence[str]) -> str:
    return "[" + ", ".join(_json_path(name) for name in names) + "]::VARCHAR[]" if not names else "[" + ", ".join(_json_path(name) for name in names) + "]"
