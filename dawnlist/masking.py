"""Lines of a landed file for somebody who mends a mapping: their shape and what the mapping reads, without what belongs to a person.

A value is shown only when the mapping reads its column or path into something that is not a person's, and then without e-mail addresses,
numbers of phones and the like. All others are `***`: what a source sends beside its mapping is not known to be harmless.
"""

import csv
import io
import re
from collections.abc import Collection, Sequence

from dawnlist import reading
from dawnlist.duck import literal
from dawnlist.landing import LandedFile
from dawnlist.mapping import LINE_PREFIX, PEOPLE
from dawnlist.redaction import redacted
from dawnlist.sources import InputSpec

MASK = "***"
LONGEST = 2_000  # characters of a line that are shown
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"?|[{}\[\]:,\s]+|[^"{}\[\]:,\s]+')
_PLAIN_KEY = re.compile(r'"[A-Za-z_$][A-Za-z_$.-]{0,39}"')  # a key with digits may be an id
_HARMLESS = ("true", "false", "null")


def masked_lines(spec: InputSpec, file: LandedFile, lines: Collection[int]) -> dict[int, str]:
    """The `lines` (1 = first; of Parquet files: records) of a landed file that are there, masked."""
    shown = shown_origins(spec)
    if spec.format == "parquet":
        return {line: masked_json(text, shown) for line, text in _parquet_records(file, lines).items()}
    found = {}
    with io.TextIOWrapper(reading.opened(file.path), encoding=spec.encoding, errors="replace", newline="\n") as stream:
        for number, text in enumerate(stream, 1):
            if number in lines:
                found[number] = text.rstrip("\r\n")[:LONGEST]
            if number >= max(lines, default=0):
                break
    if spec.format == "jsonl":
        return {line: masked_json(text, shown) for line, text in found.items()}
    header = reading.header_of(spec, file)
    return {line: masked_csv(text, header, shown, delimiter=spec.delimiter, quote=spec.quote) for line, text in found.items()}


def shown_origins(spec: InputSpec) -> set[str]:
    """Source columns and JSON paths whose values may be shown: what the mapping reads, but for people's ids, user agents and what is marked as `pii`."""
    kept: set[str] = set()
    hidden: set[str] = set()
    for name, column in spec.columns.items():
        (hidden if name in (*PEOPLE, "user_agent") or column.pii in ("drop", "hash") else kept).update(column.origins)
    for kept_as in spec.properties.values():
        (hidden if kept_as.pii in ("drop", "hash") else kept).add(kept_as.column)
    kept |= {rule.when.column for rule in spec.event_type if rule.when}
    exploded = {f"{spec.explode}.{name.removeprefix(LINE_PREFIX)}" for name in kept - hidden if name.startswith(LINE_PREFIX)}
    return (kept - hidden) | exploded


def masked_json(text: str, shown: Collection[str]) -> str:
    """A JSON line, whole or broken: keys and brackets, and the values of the paths `shown`."""
    tokens, key = _TOKEN.findall(text), ""
    path: list[str] = []
    result: list[str] = []
    for token, following in zip(tokens, [*tokens[1:], ""], strict=True):
        if token[0] in "{}[]:," or token.isspace():
            for sign in token:
                if sign == "{":
                    path, key = [*path, key], ""
                elif sign == "}" and path:
                    *path, key = path
            result.append(token)
        elif token[0] == '"' and following.lstrip().startswith(":"):
            key = token.strip('"')
            result.append(token if _PLAIN_KEY.fullmatch(token) else f'"{MASK}"')
        else:
            is_shown = token in _HARMLESS or ".".join(filter(None, (*path, key))) in shown
            result.append(redacted(token) if is_shown else f'"{MASK}"')
    return "".join(result)


def masked_csv(text: str, header: Sequence[str], shown: Collection[str], *, delimiter: str, quote: str) -> str:
    """A line of a CSV file as name=value; of one that does not fit the header only how many values it has."""
    row = next(csv.reader([text], delimiter=delimiter, quotechar=quote or None, quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE), [])
    if len(row) != len(header):
        return f"{len(row)} values where the header has {len(header)}"
    return ", ".join(f"{name}={redacted(value) if name in shown else MASK if value else ''}" for name, value in zip(header, row, strict=True))


def _parquet_records(file: LandedFile, lines: Collection[int]) -> dict[int, str]:
    import duckdb

    if not lines:
        return {}
    records = f"SELECT row_number() OVER () AS line, to_json(record)::VARCHAR AS text FROM read_parquet({literal(str(file.path))}) AS record"
    with duckdb.connect() as connection:
        rows = connection.execute(f"SELECT line, text FROM ({records}) WHERE line IN ({', '.join(str(int(line)) for line in lines)})").fetchall()
    return {line: text[:LONGEST] for line, text in rows}
