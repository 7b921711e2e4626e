"""The rows of a batch that can be used: one per key, pseudonyms in the place of people's ids, in files that promotion can take over.

A chunk of records comes as the table `mapped` (dawnlist.ingest), is deduplicated and sorted in memory, and written. A row whose key an
earlier chunk has is held back until all chunks are written: then the few files whose row loses are written again.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from dawnlist import duck, mapping
from dawnlist.columns import EVENTS, INPUT_KEYS
from dawnlist.lake import copy_day
from dawnlist.privacy import Key
from dawnlist.settings import Settings
from dawnlist.sources import Input, Source

if TYPE_CHECKING:
    import duckdb

GOOD = "NOT is_ignored AND problem IS NULL"


def content_order(kind: str) -> str:
    """How rows with one key compete, in a batch and in the lake alike: the first stays. Of events the earliest, then the smaller content."""
    columns = ("occurred_at", *mapping.TYPES[kind]) if kind == "events" else mapping.TYPES[kind]
    return ", ".join(f"{name} NULLS LAST" for name in columns)


def day_of(path: Path) -> date:
    """The UTC day that a staged file of events holds."""
    return date.fromisoformat(path.name.split(".")[1])


def events_with_origin(files: list[Path], file_ids: list[str]) -> str:
    """A FROM item with the events of staged day files and the `file_id` of each; `file_ids`: those of the batch's event files, in their order."""
    rows, origins = (
        f"(SELECT * EXCLUDE (filename), replace(filename, '/{kind}.', '/') AS part "
        f"FROM read_parquet({duck.path_list(paths)}, filename = true, file_row_number = true, union_by_name = true))"
        for kind, paths in (("events", files), ("origins", map(origins_of, files)))
    )
    found = f"""(
        SELECT rows.* EXCLUDE (part, file_row_number), file_id
        FROM {rows} AS rows JOIN {origins} AS origins USING (part, file_row_number) JOIN {_numbered(file_ids)} USING (number))"""
    return duck.with_columns(found, EVENTS)


def arrivals(files: list[Path], file_ids: list[str]) -> str:
    """A FROM item with how many events (`n`) of each `file_id` and `event_date` the staged day files have."""
    day = "split_part(parse_filename(filename), '.', 2)::DATE AS event_date"
    counted = f"SELECT number, {day}, count(*) AS n FROM read_parquet({duck.path_list(map(origins_of, files))}, filename = true) GROUP BY ALL"
    return f"(SELECT file_id, event_date, n FROM ({counted}) JOIN {_numbered(file_ids)} USING (number))"


def origins_of(path: Path) -> Path:
    """The file beside a staged file of events that says of which landed file each of its rows is."""
    return path.with_name(path.name.replace("events.", "origins.", 1))


def write_day(connection: "duckdb.DuckDBPyConnection", table: str, values: Mapping[str, str], day: date, target: Path) -> None:
    """Write the events of `day` from a DuckDB table that is sorted by occurred_at and event_id as a staged file, and beside it their origins:
    its column `number`. `values`: each column of EVENTS as an expression.
    """
    own = f"{table} WHERE occurred_at >= DATE '{day}' AND occurred_at < DATE '{day}' + 1"
    copy_day(connection, own, values, target)
    connection.execute(f"COPY (SELECT number FROM {own}) TO {duck.literal(str(origins_of(target)))} (FORMAT parquet)")


def _unfolded(constant: str) -> str:
    """A constant as an expression over `sorted` that DuckDB does not fold: a folded value would be written as required. NULL never is."""
    return constant if constant.startswith("(NULL)") else f"CASE WHEN number IS NOT NULL THEN {constant} END"


def _numbered(file_ids: list[str]) -> str:
    names = ", ".join(f"({number}, {duck.literal(file_id)})" for number, file_id in enumerate(file_ids))
    return f"(VALUES {names}) AS names (number, file_id)"


@dataclass
class Writer:
    """Writes one input of a batch into `folder`, chunk by chunk. The connection has `landed`, and `mapped` with each chunk; `doubles` counts what lost."""

    settings: Settings
    connection: "duckdb.DuckDBPyConnection"
    source: Source
    kind: Input
    key: Key
    folder: Path
    n_chunks: int = 0
    people: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.people = [name for name in mapping.PEOPLE if name in mapping.filled_columns(self.source, self.kind)]
        self._run("CREATE TABLE pseudonyms (kind VARCHAR, id VARCHAR, message VARCHAR, pseudonym VARCHAR)")
        self._run("CREATE TABLE seen (h UBIGINT, day DATE)")
        self._run("CREATE TABLE met_days (day DATE)")
        self._run("CREATE TABLE doubles (number INTEGER, n BIGINT)")
        self._run(f"CREATE TABLE crossing (number INTEGER, {', '.join(f'{name} {kind}' for name, kind in self._columns.items())})")

    @property
    def _columns(self) -> dict[str, str]:
        return mapping.TYPES[self.kind]

    @property
    def _keys(self) -> str:
        return ", ".join(INPUT_KEYS[self.kind])

    @property
    def _order(self) -> str:
        return "occurred_at, event_id" if self.kind == "events" else self._keys

    def write_chunk(self, *, is_last: bool) -> None:
        """The good rows of `mapped`: of those with one key the first by content, those whose key an earlier chunk has set aside."""
        self._add_pseudonyms()
        self._find_losers()
        kept, crosses = f"{GOOD} AND rowid NOT IN (SELECT row FROM losers)", "false"
        if self.n_chunks:
            self._run(f"CREATE OR REPLACE TABLE met AS SELECT DISTINCT h, day FROM seen SEMI JOIN (SELECT h FROM mapped WHERE {GOOD}) AS own USING (h)")
            self._run("INSERT INTO met_days SELECT DISTINCT day FROM met")
            crosses = "h IN (SELECT h FROM met)"
        if not is_last:
            day = "occurred_at::DATE" if self.kind == "events" else "NULL"
            self._run(f"INSERT INTO seen SELECT h, {day} FROM mapped WHERE {kept}")
        # Of events without the columns that are the same for all rows, and the day.
        own = [
            name
            for name, value in self._values.items()
            if self.kind != "events" or (value.startswith(("(good.", *(f"({one}s." for one in self.people))) and name != "event_date")
        ]
        rows = self._keyed(f"(SELECT * FROM mapped WHERE {kept})", own, "h")
        self._run(f"CREATE OR REPLACE TABLE sorted AS SELECT * EXCLUDE (h), {crosses} AS crosses FROM ({rows}) ORDER BY {self._order}")
        values = {name: name if name in own else _unfolded(self._values[name]) for name in self._columns}
        values |= {"event_date": "occurred_at::DATE"} if self.kind == "events" else {}
        if self.n_chunks:
            selected = ", ".join(f"{value} AS {name}" for name, value in values.items())
            self._run(f"INSERT INTO crossing BY NAME SELECT number, {selected} FROM sorted WHERE crosses")
            self._run("DELETE FROM sorted WHERE crosses")
        self._write_sorted(values)

    def finish(self) -> None:
        """Decide between rows of several chunks, and note which ids are which while two keys overlap."""
        if self._run("SELECT 1 FROM crossing LIMIT 1").fetchall():
            self._settle_crossing()
        self._write_key_links()

    def _run(self, query: str) -> "duckdb.DuckDBPyConnection":
        return self.connection.execute(query)

    def _add_pseudonyms(self) -> None:
        namespace = {"user_id": self.source.user_namespace, "anonymous_id": self.source.user_namespace + "anonymous:"}
        for name in self.people:
            new = f"SELECT DISTINCT {name} AS id FROM mapped WHERE id IS NOT NULL AND id NOT IN (SELECT id FROM pseudonyms WHERE kind = '{name}')"
            self._run(f"INSERT INTO pseudonyms SELECT '{name}', id, {duck.literal(namespace[name])} || id AS message, pseudonym(message) FROM ({new})")

    def _find_losers(self) -> None:
        several = f"SELECT h FROM mapped WHERE {GOOD} GROUP BY h HAVING count(*) > 1"
        self._run(f"CREATE OR REPLACE TABLE rivals AS SELECT rowid AS row, * FROM mapped WHERE {GOOD} AND h IN ({several})")
        self._run(
            f"CREATE OR REPLACE TABLE losers AS SELECT row, number FROM ({self._keyed('rivals', self._columns, 'row')}) "
            f"QUALIFY row_number() OVER (PARTITION BY {self._keys} ORDER BY {content_order(self.kind)}, number, row) > 1"
        )
        self._run("INSERT INTO doubles SELECT number, count(*) FROM losers GROUP BY number")

    @property
    def _values(self) -> dict[str, str]:
        """Each column of the lake as an expression over `mapped` and the pseudonyms, or as a constant."""
        values = dict.fromkeys(self._columns, "NULL") | {name: f"good.{name}" for name in mapping.filled_columns(self.source, self.kind)}
        values |= {name: f"{name}s.pseudonym" for name in self.people}
        values |= {"source": duck.literal(self.source.name), "key_id": duck.literal(self.key.key_id), "event_date": "good.occurred_at::DATE"}
        return {name: f"({values[name]})::{kind}" for name, kind in self._columns.items()}

    def _keyed(self, rows: str, columns: Iterable[str], other: str) -> str:
        """A query for some of the lake's `columns`, with pseudonyms in the place of people's ids, and for `number` and one `other` of `rows`, a
        FROM item with rows of `mapped`.
        """
        selected = ", ".join(f"{self._values[name]} AS {name}" for name in columns)
        ids = "(SELECT id, pseudonym FROM pseudonyms WHERE kind = '{0}') AS {0}s"
        joins = " ".join(f"LEFT JOIN {ids.format(name)} ON {name}s.id = good.{name}" for name in self.people)
        return f"SELECT {selected}, good.number, good.{other} FROM {rows} AS good {joins}"

    def _write_sorted(self, values: Mapping[str, str]) -> None:
        """Write the table `sorted` as the next chunk, each column of the lake as an expression over it: events day by day, several at a time,
        because one alone keeps one thread busy.
        """
        chunk, self.n_chunks = self.n_chunks, self.n_chunks + 1
        if self.kind != "events":
            wanted = ", ".join(f"{values[name]} AS {name}" for name in self._columns)
            query = f"SELECT {wanted}, file_id FROM sorted JOIN landed USING (number) ORDER BY {self._order}"
            self._run(f"COPY ({query}) TO {duck.literal(str(self.folder / f'{self.kind}.{chunk}.parquet'))} (FORMAT parquet)")
            return

        def write(day: date) -> None:
            with duck.cursor(self.connection) as cursor:
                write_day(cursor, "sorted", {name: values[name] for name in self._columns}, day, self.folder / f"events.{day}.{chunk}.parquet")

        days = [day for (day,) in self._run("SELECT DISTINCT occurred_at::DATE FROM sorted ORDER BY 1").fetchall()]
        with ThreadPoolExecutor(duck.threads(self.settings)) as pool:
            list(pool.map(write, days))
        self._run("DROP TABLE sorted")  # its memory is the next chunk's

    def _settle_crossing(self) -> None:
        """Of rows of several chunks with one key the first by content stays, of equals that of the earlier chunk."""
        days = {day for (day,) in self._run("SELECT DISTINCT day FROM met_days").fetchall()}
        files = sorted(path for path in self.folder.glob(f"{self.kind}.*.parquet") if self.kind != "events" or day_of(path) in days)
        names = ", ".join(self._columns)
        earlier = f"read_parquet({duck.path_list(files)}, filename = true, file_row_number = true) SEMI JOIN crossing USING ({self._keys})"
        self._run(
            f"CREATE TABLE contest AS SELECT *, row_number() OVER (PARTITION BY {self._keys} ORDER BY {content_order(self.kind)}, filename NULLS LAST, number) AS standing "
            f"FROM (SELECT {names}, NULL::INTEGER AS number, filename, file_row_number FROM {earlier} UNION ALL BY NAME SELECT number, {names} FROM crossing)"
        )
        self._run("INSERT INTO doubles SELECT number, count(*) FROM contest WHERE standing > 1 AND filename IS NULL GROUP BY number")
        for (name,) in self._run("SELECT DISTINCT filename FROM contest WHERE standing > 1 AND filename IS NOT NULL ORDER BY 1").fetchall():
            self._write_without_losers(Path(name))
        self._run(f"CREATE OR REPLACE TABLE sorted AS SELECT {names}, number FROM contest WHERE standing = 1 AND filename IS NULL ORDER BY {self._order}")
        if self._run("SELECT 1 FROM sorted LIMIT 1").fetchall():
            self._write_sorted({name: name for name in self._columns})

    def _write_without_losers(self, path: Path) -> None:
        """Write one staged file again without the rows that lost to a later chunk's."""
        lost = f"SELECT file_row_number FROM contest WHERE standing > 1 AND filename = {duck.literal(str(path))}"
        rows, aside = f"read_parquet({duck.literal(str(path))}, file_row_number = true)", path.with_suffix(".new")
        if self.kind != "events":
            self._run(f"INSERT INTO doubles SELECT number, count(*) FROM {rows} JOIN landed USING (file_id) WHERE file_row_number IN ({lost}) GROUP BY number")
            kept = f"SELECT * EXCLUDE (file_row_number) FROM {rows} WHERE file_row_number NOT IN ({lost}) ORDER BY {self._order}"
            self._run(f"COPY ({kept}) TO {duck.literal(str(aside))} (FORMAT parquet)")
        else:
            origins = f"read_parquet({duck.literal(str(origins_of(path)))}, file_row_number = true)"
            self._run(f"INSERT INTO doubles SELECT number, count(*) FROM {origins} WHERE file_row_number IN ({lost}) GROUP BY number")
            kept = f"SELECT * FROM {rows} AS own JOIN {origins} AS origins USING (file_row_number) WHERE file_row_number NOT IN ({lost})"
            self._run(f"CREATE OR REPLACE TABLE sorted AS {kept} ORDER BY {self._order}")
            write_day(self.connection, "sorted", {name: name for name in self._columns}, day_of(path), aside)
            origins_of(aside).replace(origins_of(path))
        aside.replace(path)

    def _write_key_links(self) -> None:
        """While two keys overlap: every id of the batch under both. Ids of records that quarantine takes too: they may be replayed after the overlap."""
        if self.key.previous is None or not set(mapping.PEOPLE) & set(self._columns):
            return
        query = (
            f"SELECT pseudonym AS id, {duck.literal(self.key.key_id)} AS key_id, previous_pseudonym(message) AS previous_id, "
            f"{duck.literal(self.key.previous.key_id)} AS previous_key_id FROM pseudonyms ORDER BY id"
        )
        self._run(f"COPY ({query}) TO {duck.literal(str(self.folder / f'key_links-{self.kind}.parquet'))} (FORMAT parquet)")
