"""What direct identifiers look like, and how free text loses them: in SQL at the door, in Python where a landed line is shown.

Free text is what people type or what a browser sends along: search terms, referrers, properties. A pattern finds forms, not meaning: a
name has no form, so a column that holds one is hashed or dropped by the source (`pii` in docs/sources.md).
"""

import re
from typing import Final

from dawnlist.duck import literal

REDACTED: Final = "[redacted]"
FREE_TEXT: Final = ("search_term", "referrer", "region", "device", "os")

# Each works alike in RE2 (DuckDB) and in Python: no look-around, no back-reference.
EMAIL: Final = r"[A-Za-z0-9._%+'-]+(?:@|%40)[A-Za-z0-9.-]+\.[A-Za-z]{2,}"
IPV4: Final = r"\b\d{1,3}(?:\.\d{1,3}){3}\b"
HEX_GROUPS: Final = r"[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4})"
IPV6: Final = rf"\b{HEX_GROUPS}*::(?:{HEX_GROUPS}*)?|\b{HEX_GROUPS}{{3,7}}\b"  # hardware addresses too; 10:30:00 is a time
# 9 to 15 digits (ITU-T E.164 allows 15) with what people write between them. Shorter runs are prices, years, sizes; longer ones no numbers of phones.
PHONE: Final = r"(?:\+|\b)\d(?:[ ()./-]{0,2}\d){8,14}\b"
# 52.5200, 13.4049: four decimals of a degree are 11 m.
COORDINATES: Final = r"-?\b\d{1,3}\.\d{4,}\b"
USER_AGENT: Final = r"\b(?:Mozilla|Opera|Dalvik)/\d(?:[^\n\"\\]|\\.)*"
IDENTIFIER: Final = "|".join((EMAIL, USER_AGENT, IPV6, IPV4, PHONE, COORDINATES))

USERINFO: Final = r"(https?://)[^/?#\s\"]*@"  # https://anna:secret@host
URL_QUERY: Final = r"(https?://[^?#\s\"]*)[?#][^\s\"]*"

_PERSONAL: Final = (
    r"e[_-]?mail([_ -]?address)?|phone([_ -]?number)?|mobile([_ -]?number)?|tel(ephone)?|fax|(first|last|given|family|full|sur|user|maiden)[_ -]?name"
    r"|(customer|user|traits|person|contact|recipient|billing|shipping)[._ -]name|ip|ip[_ -]?address|remote[_ -]?addr|user[_ -]?agent|street|(street|postal|home)[_ -]?address"
    r"|iban|ssn|passport|date[_ -]?of[_ -]?birth|birth[_ -]?(date|day)"
)
_COORDINATE: Final = "lat|latitude|lon|lng|long|longitude"
_WORDS: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")  # customerEmail is customer_Email
COORDINATE_DECIMALS: Final = 1  # 0.1 degree is 11 km from north to south

# The same in the text of a JSON document, which stays one: only strings and whole values are replaced, numbers are not.
_IN_JSON: Final = (
    (rf'(?i)("([^"\\]*[._ -])?({_PERSONAL})"\s*:\s*)("([^"\\]|\\.)*"|-?\d[\d.eE+-]*)', r"\1null"),
    (rf'(?i)("([^"\\]*[._ -])?({_COORDINATE})"\s*:\s*"?-?\d{{1,3}}\.\d)\d+', r"\1"),
    (USERINFO, r"\1"),
    (URL_QUERY, r"\1"),
    ("|".join((EMAIL, USER_AGENT, IPV6, IPV4)), REDACTED),
    (r'"[+(]?\d(?:[ ()./-]{0,2}\d){8,14}"', f'"{REDACTED}"'),
    (r"(^|[^\d.\w])(?:\+|0[\d (/])(?:[ ()./-]{0,2}\d){7,14}\b", rf"\1{REDACTED}"),
    (r'"(-?\d{1,3}\.\d)\d{3,}[,; ]+(-?\d{1,3}\.\d)\d{3,}"', r'"\1,\2"'),
)


def is_personal(name: str) -> bool:
    """Whether a source column or JSON path of this name holds a person's data in most systems."""
    return _ends_with(name, _PERSONAL)


def text_sql(value: str) -> str:
    """SQL of the text `value` without credentials and queries of URLs and without anything that has the form of a direct identifier."""
    clean = value
    for pattern in (USERINFO, URL_QUERY):
        clean = _replaced(clean, pattern, r"\1")
    return f"CASE WHEN {_suspicious(value)} THEN {_replaced(clean, IDENTIFIER, REDACTED)} ELSE {value} END"


def json_sql(value: str) -> str:
    """SQL of a JSON `value` of any depth: as `text_sql` for what stands in strings, and without the values of keys that are a person's by
    their name; coordinates keep one decimal. What would no longer be JSON is NULL.
    """
    clean = f"({value})::VARCHAR"
    for pattern, replacement in _IN_JSON:
        clean = _replaced(clean, pattern, replacement)
    return f"try_cast({clean} AS JSON)"


def column_sql(name: str, expression: str, *, pii: str | None, decimals: int | None, namespace: str) -> str:
    """SQL of a lake column as it may enter the lake, under the `pii` and `round` that the source says of it.

    A keyed hash has the namespace `<namespace><name>:`, so values of two columns never meet.
    """
    if pii == "drop":
        return "NULL"
    if pii == "hash":
        return f"pseudonym({literal(f'{namespace}{name}:')} || {expression})"
    if decimals is not None:
        return f"round(try_cast({expression} AS DOUBLE), {int(decimals)})::VARCHAR"
    if pii == "keep" or name not in FREE_TEXT:
        return expression
    return text_sql(_without_query(expression) if name == "referrer" else expression)


def property_sql(name: str, origin: str, value: str, *, pii: str | None, decimals: int | None, namespace: str) -> str:
    """SQL of the JSON `value` of a property as it may enter the lake; as `column_sql`, and a coordinate by its name is rounded."""
    text = f"({value}->>'$')"
    if decimals is None and pii is None and _ends_with(origin, _COORDINATE):
        decimals = COORDINATE_DECIMALS
    if pii == "drop":
        return "NULL::JSON"
    if pii == "hash":
        return f"to_json(pseudonym({literal(f'{namespace}properties.{name}:')} || {text}))"
    if decimals is not None:
        return f"to_json(round(try_cast({text} AS DOUBLE), {int(decimals)}))"
    if pii == "keep":
        return value
    by_kind = f"CASE json_type({value}) WHEN 'VARCHAR' THEN to_json({text_sql(text)}) WHEN 'OBJECT' THEN {json_sql(value)} WHEN 'ARRAY' THEN {json_sql(value)} ELSE {value} END"
    return f"CASE WHEN {_suspicious(f'{value}::VARCHAR', 2)} THEN {by_kind} ELSE {value} END"


def redacted(text: str) -> str:
    """`text` as `text_sql` makes it."""
    for pattern in (USERINFO, URL_QUERY):
        text = re.sub(pattern, r"\1", text)
    return re.sub(IDENTIFIER, REDACTED, text)


def _ends_with(name: str, words: str) -> bool:
    return bool(re.search(rf"(?i)(^|[._ -])({words})$", _WORDS.sub("_", name)))


def _replaced(value: str, pattern: str, replacement: str) -> str:
    return f"regexp_replace({value}, {literal(pattern)}, {literal(replacement)}, 'g')"


def _without_query(value: str) -> str:
    return f"CASE WHEN contains({value}, '?') OR contains({value}, '#') THEN split_part(split_part({value}, '?', 1), '#', 1) ELSE {value} END"


def _suspicious(value: str, quotes: int = 0) -> str:
    """A quick first look: a text for which this is false holds no identifier and no URL. Most short codes and search terms end here."""
    signs = " OR ".join(f"contains({value}, '{sign}')" for sign in "@%:./")
    return rf"({signs} OR (length({value}) > {8 + quotes} AND regexp_matches({value}, '\d[\d ()-]{{7,}}\d')))"
