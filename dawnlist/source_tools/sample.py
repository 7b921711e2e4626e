"""What a mapping makes of the first records of files, fit to be shown.

No raw id of a person is in any result: people are pseudonyms, and what is read from the same columns, or holds such an id, is hidden.
"""

import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dawnlist import duck, mapping, reading
from dawnlist.landing import LandedFile
from dawnlist.privacy import Key, has_key, load_key
from dawnlist.redaction import EMAIL, FREE_TEXT, is_personal, redacted
from dawnlist.settings import Settings
from dawnlist.source_tools import files as layouts
from dawnlist.sources import Input, InputSpec, Source
from expectations.rows import ROWS

if TYPE_CHECKING:
    import duckdb

SHOWN_RECORDS = 4
SHOWN_PROBLEMS = 5
MAX_WHOLE_BYTES = 8 << 20
HIDDEN = "(hidden)"
MIN_TELLING_ID = 6  # a shorter id is in too many values by chance

Cell = tuple[str | None, str | None]


@dataclass(frozen=True)
class Record:
    """One record of the sample. `cells`: canonical column -> (raw value, mapped value), both fit to be shown; None = nothing there."""

    where: str
    problem: str | None
    cells: dict[str, Cell]


@dataclass
class Sample:
    """What the mapping makes of the first records of one input. Counts are records after explosion; `problems` has (field: reason, records),
    `empty` the origins that no record has, `bad_constants` the columns whose constant cannot be read.
    """

    kind: Input
    spec: InputSpec
    files: list[str]
    n_files_read: int
    names: list[str]  # all that a mapping could read
    n_kept: int = 0
    n_ignored: int = 0
    problems: list[tuple[str, int]] = field(default_factory=list)
    empty: set[str] = field(default_factory=set)
    bad_constants: list[str] = field(default_factory=list)
    kept: list[Record] = field(default_factory=list)
    refused: list[Record] = field(default_factory=list)

    @property
    def n_quarantined(self) -> int:
        return sum(n for _, n in self.problems)

    @property
    def n_records(self) -> int:
        return self.n_kept + self.n_ignored + self.n_quarantined

    @property
    def unmapped(self) -> list[str]:
        return [name for name in self.names if name not in self.spec.named]


def take(settings: Settings, connection: "duckdb.DuckDBPyConnection", source: Source, kind: Input, files: Sequence[LandedFile], *, n_records: int) -> Sample:
    """Map the first records of up to ten of `files` (not empty) as ingest does, with SQL of the same making. `connection` is to be a new one."""
    spec = source.inputs[kind]
    chosen = set(layouts.spread([file.path for file in files]))
    read = [file for file in files if file.path in chosen]
    is_home = (settings.home / "secrets").is_dir() and has_key(settings)
    key = load_key(settings) if is_home else Key(secrets.token_bytes(32))  # looking makes nothing in the home
    key.define_macro(connection)  # for columns with `pii: hash`
    per_file = max(1, n_records // len(read))
    _map(settings, connection, source, kind, read, per_file)
    look = layouts.look_of(connection, spec, [file.path for file in read])
    names = [*look.names(spec.explode), *look.unreachable, *(f"{path}[]" for path in look.lists if path != spec.explode)]
    sample = Sample(kind, spec, [file.name for file in files], len(read), names)
    _count(connection, sample, per_file)
    shown = _Shown(key, connection, source, kind)
    sample.names = [shown.veil(name) or "" for name in names]
    filled = " + ".join(f"(o{number} IS NOT NULL)::INTEGER" for number in range(1, len(spec.origins) + 1)) or "0"
    by_kind = (
        f"row_number() OVER ({'PARTITION BY event_type ' if kind == 'events' else ''}ORDER BY {filled} DESC, line), line"  # the fullest of each kind first
    )
    sample.kept = shown.records(f"NOT is_ignored AND problem IS NULL ORDER BY {by_kind} LIMIT {SHOWN_RECORDS}")
    by_problem = "row_number() OVER (PARTITION BY problem ORDER BY line), line"
    sample.refused = shown.records(f"NOT is_ignored AND problem IS NOT NULL ORDER BY {by_problem} LIMIT {SHOWN_PROBLEMS}")
    return sample


def _map(settings: Settings, connection: "duckdb.DuckDBPyConnection", source: Source, kind: Input, files: Sequence[LandedFile], per_file: int) -> None:
    """Tables `records` (raw values o1, o2, …) and `mapped`, one row a record, joined by `line`: the record's number in the sample."""
    spec = source.inputs[kind]
    duck.encrypt_spill(connection)  # raw ids may spill
    connection.execute("CREATE TEMP TABLE landed (file VARCHAR, file_id VARCHAR, file_time TIMESTAMP)")
    connection.executemany("INSERT INTO landed VALUES (?, ?, ?)", [(str(file.path), file.name, file.file_time) for file in files])
    relations = []
    for file in files:
        header = () if spec.format == "jsonl" else reading.header_of(spec, file)
        raw = mapping.raw_relation(spec, [file.path], header, is_numbered=True)
        # The reader tells of broken lines when it has come to the end, so it goes there where that is not far.
        first = f"WHERE line <= {per_file}" if file.path.stat().st_size <= MAX_WHOLE_BYTES else f"LIMIT {per_file}"
        relations.append(f"({mapping.records_query(spec, f'(SELECT * FROM {raw} {first})', header)})")
    numbered = "row_number() OVER () AS line, line AS place_in_file, 1 AS occurrence"
    union = " UNION ALL BY NAME ".join(relations)
    connection.execute(
        f"CREATE TEMP TABLE records AS SELECT read.* EXCLUDE (line), {numbered}, file_id, file_time FROM ({union}) AS read JOIN landed USING (file)"
    )
    query = mapping.mapped_query(source, kind, "records", salt="", max_lateness_days=settings.ingest.max_lateness_days, rules=ROWS[kind])
    connection.execute(f"CREATE TEMP TABLE mapped AS {query}")


def _count(connection: "duckdb.DuckDBPyConnection", sample: Sample, per_file: int) -> None:
    spec = sample.spec
    sample.n_kept, sample.n_ignored = _one(connection, "SELECT count(*) FILTER (NOT is_ignored AND problem IS NULL), count(*) FILTER (is_ignored) FROM mapped")
    rows = connection.execute("SELECT problem, count(*) FROM mapped WHERE NOT is_ignored AND problem IS NOT NULL GROUP BY ALL").fetchall()
    if spec.format != "parquet":  # one bad line may be reported once per column, and the reader may have gone on beyond the sample
        lines = f"SELECT lower(any_value(error_type)::VARCHAR) AS kind FROM reject_errors WHERE line <= {per_file + 1} GROUP BY scan_id, file_id, line"
        rows += connection.execute(f"SELECT 'row: ' || kind, count(*) FROM ({lines}) GROUP BY ALL").fetchall()
    sample.problems = sorted(((str(reason), int(n)) for reason, n in rows), key=lambda pair: (-pair[1], pair[0]))
    if not sample.n_records:
        return
    counts = _one(connection, f"SELECT {', '.join(f'count(o{number})' for number in range(1, len(spec.origins) + 1)) or 'NULL'} FROM records")
    sample.empty = {origin for origin, n in zip(spec.origins, counts, strict=False) if n == 0}
    constants = [name for name, column in spec.columns.items() if column.constant is not None and name in mapping.TYPES[sample.kind]]
    if constants:
        counts = _one(connection, f"SELECT {', '.join(f'count({name})' for name in constants)} FROM mapped")
        sample.bad_constants = [name for name, n in zip(constants, counts, strict=True) if n == 0]


def _one(connection: "duckdb.DuckDBPyConnection", query: str) -> tuple[int, ...]:
    return tuple(connection.execute(query).fetchone() or ())


class _Shown:
    """Records of the sample as a person may see them."""

    def __init__(self, key: Key, connection: "duckdb.DuckDBPyConnection", source: Source, kind: Input) -> None:
        self.connection, self.source, self.kind, self.spec = connection, source, kind, source.inputs[kind]
        self.key = key
        people = [name for name in mapping.PEOPLE if name in self.spec.columns]
        self.personal = {origin for name in (*people, "user_agent") if name in self.spec.columns for origin in self.spec.columns[name].origins}
        guarded = [(column.pii, column.origins) for column in self.spec.columns.values()] + [
            (kept.pii, (kept.column,)) for kept in self.spec.properties.values()
        ]
        self.personal |= {origin for pii, origins in guarded if pii in ("hash", "drop") for origin in origins}
        ids = " UNION ".join(f"SELECT {name} AS id FROM mapped" for name in people)
        self.ids = [row[0] for row in connection.execute(f"SELECT id FROM ({ids}) WHERE length(id) >= {MIN_TELLING_ID}").fetchall()] if ids else []

    def records(self, which: str) -> list[Record]:
        cursor = self.connection.execute(f"SELECT CAST(COLUMNS(mapped.*) AS VARCHAR), records.* FROM mapped JOIN records USING (line) WHERE {which}")
        names = [column[0] for column in cursor.description or []]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        header = 1 if self.spec.format == "csv" and not self.spec.header else 0
        return [Record(f"{row['file_id']}:{row['place_in_file'] + header}", row["problem"], self._cells(row)) for row in rows]

    def veil(self, value: str | None) -> str | None:
        """`value`, unless it has the address of a mailbox or the id of a person of the sample in it."""
        return HIDDEN if value and (re.search(EMAIL, value) or any(raw_id in value for raw_id in self.ids)) else value

    def _cells(self, row: dict[str, Any]) -> dict[str, Cell]:
        cells = {name: self._cell(name, row) for name in self.spec.columns}
        if self.kind != "events":
            return cells
        values = [self._raw((rule.when.column,), row) for rule in self.spec.event_type if rule.when]
        cells["event_type"] = (", ".join(dict.fromkeys(value for value in values if value)) or None, row["event_type"])
        if "user_agent" in self.spec.columns:
            cells["is_bot"] = (None, row["is_bot"])
            for name in ("device", "os"):
                cells.setdefault(name, (None, row.get(name)))
        if row.get("properties"):
            cells["properties"] = (None, self._properties(json.loads(row["properties"])))
        return cells

    def _cell(self, name: str, row: dict[str, Any]) -> Cell:
        raw = self._raw(self.spec.columns[name].origins, row)
        if raw and name in FREE_TEXT:
            raw = redacted(raw)
        if name in mapping.PEOPLE:
            namespace = self.source.user_namespace + ("anonymous:" if name == "anonymous_id" else "")
            return raw, self.key.pseudonym(namespace, row[name]) if row[name] else None
        mapped = row.get(name)
        return raw, None if mapped is None or name == "user_agent" else HIDDEN if raw == HIDDEN else self.veil(mapped)

    def _raw(self, origins: Sequence[str], row: dict[str, Any]) -> str | None:
        place = {origin: f"o{number}" for number, origin in enumerate(self.spec.origins, 1)}
        origin = next((origin for origin in origins if row[place[origin]] is not None), None)
        return None if origin is None else HIDDEN if self._is_personal(origin) else self.veil(row[place[origin]])

    def _properties(self, values: dict[str, Any]) -> str | None:
        origins = {name: kept.column for name, kept in self.spec.properties.items()}
        shown = {
            name: HIDDEN if self._is_personal(origins.get(name, name)) else self.veil(redacted(str(value)))
            for name, value in values.items()
            if value is not None
        }
        return ", ".join(f"{name}={value}" for name, value in shown.items()) or None

    def _is_personal(self, origin: str) -> bool:
        return origin in self.personal or is_personal(origin)
