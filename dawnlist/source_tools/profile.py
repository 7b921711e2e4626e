"""Figures about the columns of files, from the text that a mapping would get."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from dawnlist import mapping, reading
from dawnlist.duck import literal
from dawnlist.landing import LandedFile
from dawnlist.source_tools.files import Look, spread
from dawnlist.source_tools.words import TIME_FORMATS
from dawnlist.sources import Column, InputSpec

if TYPE_CHECKING:
    import duckdb

SAMPLE_RECORDS = 20_000
MOST = 0.95  # of the values: enough to say what a column is, with some that are broken
COMMA_NUMBER = r"[+-]?(\d{1,3}(\.\d{3})+|\d+)(,\d+)?"
# Epoch numbers of the years 1990 to 2100, by unit.
EPOCHS = {"s": (631_152_000, 4_102_444_800), "ms": (631_152_000_000, 4_102_444_800_000), "us": (631_152_000_000_000, 4_102_444_800_000_000)}
MAX_KINDS = 100
_FIGURES = {
    "n": "count(o)",
    "n_distinct": "count(DISTINCT o)",
    "n_upper": "count(DISTINCT upper(o))",
    "n_numbers": "count(try_cast(o AS DOUBLE))",
    "n_comma": f"count(*) FILTER (regexp_full_match(o, '{COMMA_NUMBER}'))",
    "n_booleans": "count(try_cast(o AS BOOLEAN))",
    "n_grouped": "count(*) FILTER (contains(o, '.'))",
    "n_point_zero": r"count(*) FILTER (regexp_full_match(o, '-?\d+\.0+'))",
    "n_iso": r"count(*) FILTER (try_cast(o AS TIMESTAMP) IS NOT NULL OR (try_cast(o AS TIMESTAMPTZ) IS NOT NULL))",
    "n_offset": r"count(*) FILTER (regexp_matches(o, '(Z|UTC|GMT|\d\d:\d\d.*[+-]\d\d(:?\d\d)?)$'))",
    "low": "min(try_cast(o AS DOUBLE))",
    "high": "max(try_cast(o AS DOUBLE))",
}


@dataclass(frozen=True)
class Profile:
    """Counts of one column's values that are there: all, distinct ones, numbers, numbers where the comma is the decimal sign, and so on."""

    name: str
    n: int
    n_distinct: int
    n_upper: int
    n_numbers: int
    n_comma: int
    n_booleans: int
    n_grouped: int
    n_point_zero: int
    n_iso: int
    n_offset: int
    low: float | None
    high: float | None

    def is_number(self) -> bool:
        return self.n > 0 and max(self.n_numbers, self.n_comma) >= MOST * self.n

    def epoch_unit(self) -> str | None:
        """The unit of epoch numbers; None for other values."""
        if self.low is None or self.high is None or self.n_numbers < MOST * self.n:
            return None
        return next((unit for unit, (first, last) in EPOCHS.items() if first <= self.low and self.high <= last), None)


@dataclass
class Profiles:
    """The first records of files of one layout, in a temporary table of `connection`, and the figures of each column."""

    connection: "duckdb.DuckDBPyConnection"
    table: str
    look: Look
    explode: str | None
    n_records: int = 0
    columns: dict[str, Profile] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Profile:
        return self.columns[name]

    def values(self, name: str) -> list[tuple[str, int]]:
        """The values of a column and their counts, the most frequent first, when there are few of them; else nothing."""
        if self[name].n_distinct > MAX_KINDS:
            return []
        return self.connection.execute(
            f"SELECT {self._place(name)}, count(*) FROM {self.table} WHERE {self._place(name)} IS NOT NULL GROUP BY ALL ORDER BY 2 DESC, 1"
        ).fetchall()

    def is_alternative(self, name: str, others: Sequence[str]) -> bool:
        """Whether `name` has values, and only in records where none of `others` has one."""
        both = " OR ".join(f"{self._place(other)} IS NOT NULL" for other in others)
        return self[name].n > 0 and self._count(f"{self._place(name)} IS NOT NULL AND ({both})") == 0

    def is_unique(self, name: str) -> bool:
        """Whether no two lines have the same value, and every line one. Elements of a list share their line's."""
        lines = f"SELECT count(DISTINCT (file, content)), count(DISTINCT {self._place(name)}), count(*) - count({self._place(name)}) FROM {self.table}"
        n_lines, n_values, n_missing = self.connection.execute(lines).fetchone() or (0, 0, 1)
        return n_missing <= (1 - MOST) * self.n_records and n_values >= MOST * n_lines

    def has_cancellations(self, name: str) -> bool:
        """Whether some order numbers have a C before them, as C536379 that takes 536379 back."""
        return 0 < self._count(rf"regexp_full_match({self._place(name)}, 'C\d+')") < self._count(rf"regexp_full_match({self._place(name)}, '\d+')")

    def is_below_zero(self, name: str) -> bool:
        return self._count(f"starts_with({self._place(name)}, '-')") > 0

    def formats(self, name: str) -> list[str]:
        """The strptime formats that fit most of a column's values, those that fit the most first."""
        counts = ", ".join(f"count(try_strptime({self._place(name)}, {literal(text)}))" for text in TIME_FORMATS)
        found = self.connection.execute(f"SELECT {counts} FROM {self.table}").fetchone() or ()
        fitting = [(n, text) for n, text in zip(found, TIME_FORMATS, strict=False) if n and n >= MOST * self[name].n]
        return [text for _, text in sorted(fitting, key=lambda pair: -pair[0])]

    def is_ambiguous(self, name: str, text: str) -> bool:
        """Whether all values that the format `text` reads could as well have day and month the other way round."""
        swapped = text.translate(str.maketrans("dm", "md"))
        both = f"try_strptime({self._place(name)}, {literal(text)}) IS NOT NULL AND try_strptime({self._place(name)}, {literal(swapped)}) IS NULL"
        return {"%d", "%m"} <= set(re.findall("%.", text)) and "%d%m" not in text and self._count(both) == 0

    def _count(self, condition: str) -> int:
        return int((self.connection.execute(f"SELECT count(*) FILTER ({condition}) FROM {self.table}").fetchone() or (0,))[0])

    def _place(self, name: str) -> str:
        return f"o{list(self.columns).index(name) + 1}"


def profile(connection: "duckdb.DuckDBPyConnection", look: Look, explode: str | None, files: Sequence[Path]) -> Profiles:
    """Read the first records of some of `files` as ingest would read them, and count."""
    names = look.names(explode)
    columns = {f"column {number}": Column(column=name, pii="keep") for number, name in enumerate(names)}
    spec = InputSpec(path="*", format=look.format, delimiter=look.delimiter, quote=look.quote, encoding=look.encoding, explode=explode, columns=columns)
    some = spread(files)
    connection.execute("SET temp_file_encryption = true")  # raw ids may spill
    table = f"read_{uuid4().hex}"
    connection.execute(f"CREATE TEMP TABLE {table} AS {' UNION ALL BY NAME '.join(_relations(spec, some, SAMPLE_RECORDS // len(some)))}")
    found = Profiles(connection, table, look, explode)
    found.n_records = int((connection.execute(f"SELECT count(*) FROM {table}").fetchone() or (0,))[0])
    for number, name in enumerate(names, 1):
        figures = ", ".join(_FIGURES.values())
        row = connection.execute(f"SELECT {figures} FROM (SELECT o{number} AS o FROM {table})").fetchone() or ()
        found.columns[name] = Profile(name, *row)
    return found


def _relations(spec: InputSpec, files: Sequence[Path], n: int) -> Iterator[str]:
    for path in files:
        file = LandedFile("events", path.name, path)
        with reading.readable([file]):
            header = () if spec.format == "jsonl" else reading.header_of(spec, file)
        yield f"({mapping.records_query(spec, f'(SELECT * FROM {mapping.raw_relation(spec, [path], header)} LIMIT {n})', header)})"
