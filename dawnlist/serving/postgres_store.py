"""The serving tables in Postgres: loaded beside the published ones, counted there, and swapped in by renaming in one transaction.

Readers see the old tables or the new ones. What roles were granted on a table is granted on its successor.
"""

import re
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

from pydantic import SecretStr

from dawnlist.columns import SERVING_TABLES
from dawnlist.duck import connect, identifier, literal
from dawnlist.errors import DawnlistError, LockedError, MissingInputError, ServingError, SettingsError
from dawnlist.serving.base import NIGHT, PRIMARY_KEYS, PUBLICATIONS, SCHEMA, Publication, check_arrived, insert_of
from dawnlist.settings import Settings

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa
    from adbc_driver_manager.dbapi import Connection

# DuckDB type -> Postgres type. Keys compare byte by byte, in whatever locale the database is.
TYPES: Final = {
    "VARCHAR": 'text COLLATE "C"',
    "INTEGER": "integer",
    "BIGINT": "bigint",
    "DOUBLE": "double precision",
    "DATE": "date",
    "TIMESTAMP": "timestamp",
}
CONNECT_SECONDS: Final = 10
BATCH_ROWS: Final = 100_000
WRITERS: Final = 2
# Nobody changes a row, and `_index` analyzes. Autovacuum would come after each publication, and hold the table for minutes against the next swap.
UNCHANGING: Final = "WITH (autovacuum_enabled = false)"
ADVISORY_LOCK: Final = 0x6461776E  # "dawn": one publisher at a time in one database
PUBLISHER_WAIT: Final = "10s"
KEY_MEMORY: Final = "256MB"  # for sorting the keys of a table, two at a time; Postgres' default is 64MB
# Below Postgres' deadlock_timeout (1 s): a swap that meets a long reader steps back and tries again instead of being in its way.
SWAP_LOCK_WAIT: Final = "200ms"
LOCK_ORDER: Final = ("user_aliases", *(table for table in SERVING_TABLES if table != "user_aliases"))  # as a website reads: alias first, then its list
SWAP_ATTEMPTS: Final = 150
SWAP_PAUSE_SECONDS: Final = 0.2
LOCK_NOT_AVAILABLE: Final = "55P03"  # https://www.postgresql.org/docs/current/errcodes-appendix.html
UNDEFINED_OBJECT: Final = "42704"
UNDEFINED_TABLE: Final = "42P01"
INVALID_SCHEMA: Final = "3F000"


class PostgresStore:
    """Schema `serving` of the database at `url`. The URL's password appears in no message."""

    def __init__(self, settings: Settings, url: SecretStr) -> None:
        self._settings = settings
        self._url = _checked(url.get_secret_value())

    @property
    def location(self) -> str:
        parts = urlsplit(self._url)
        return f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}, schema {SCHEMA}"

    def publications(self) -> list[Publication]:
        with self._connected() as connection:
            return self._history(connection) if "publications" in _tables(connection) else []

    def replace(self, prepared: Path, publication: Publication) -> None:
        side = {table: f"{table}__{publication.sequence:06d}" for table in SERVING_TABLES}
        with self._connected() as connection, connection.cursor() as cursor:
            self._begin_publishing(connection)
            for table, name in side.items():
                cursor.execute(f"CREATE TABLE {SCHEMA}.{name} ({_columns(SERVING_TABLES[table])}) {UNCHANGING}")
            self._load(prepared, side)
            with ThreadPoolExecutor(WRITERS) as pool:
                counts = dict(zip(side, pool.map(self._index, side.values(), (PRIMARY_KEYS[table] for table in side)), strict=True))
            check_arrived(counts.__getitem__, publication)
            self._swap(connection, side, publication)
            _drop_leftovers(connection)
        prepared.unlink()

    @contextmanager
    def published(self, connection: "duckdb.DuckDBPyConnection") -> Iterator[Publication]:
        file = self._settings.scratch_dir / f"published-{uuid4().hex}.duckdb"
        file.parent.mkdir(parents=True, exist_ok=True)
        connection.execute(f"ATTACH {literal(str(file))} AS published")
        try:
            yield self._copy(connection)
        finally:
            connection.execute("DETACH published")
            file.unlink(missing_ok=True)

    def _copy(self, target: "duckdb.DuckDBPyConnection") -> Publication:
        """Copy the published tables, all of one publication, into `published.serving` of `target`."""
        target.execute(f"CREATE SCHEMA published.{SCHEMA}")
        tables = (*SERVING_TABLES, "publications")
        with self._connected() as connection, connection.cursor() as cursor:
            cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            # Locked before the snapshot is taken: a table that was swapped in after it would look empty.
            cursor.execute(f"LOCK TABLE {', '.join(f'{SCHEMA}.{table}' for table in tables)} IN ACCESS SHARE MODE")
            publication = self._history(connection)[-1]
            for table in tables:
                columns = SERVING_TABLES.get(table, PUBLICATIONS)
                target.execute(f"CREATE TABLE published.{SCHEMA}.{table} ({', '.join(f'{name} {kind}' for name, kind in columns.items())})")
                cursor.execute(f"SELECT {'*' if columns is PUBLICATIONS else ', '.join(columns)} FROM {SCHEMA}.{table}")
                target.register("published_rows", cursor.fetch_record_batch())
                target.execute(f"INSERT INTO published.{SCHEMA}.{table} BY NAME FROM published_rows")
                target.unregister("published_rows")
            cursor.execute("COMMIT")
        return publication

    def _begin_publishing(self, connection: "Connection") -> None:
        """Keep other publishers out for as long as this connection lives, and clear away what a killed one left."""
        with connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = '{PUBLISHER_WAIT}'")
            cursor.execute(f"SELECT 1 FROM (SELECT pg_advisory_lock({ADVISORY_LOCK})) AS held")
            cursor.fetchall()
            cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            cursor.execute(f"CREATE TABLE IF NOT EXISTS {SCHEMA}.publications ({_columns(PUBLICATIONS)}, PRIMARY KEY (sequence))")
            cursor.execute(
                f"ALTER TABLE {SCHEMA}.publications ADD COLUMN IF NOT EXISTS kind text DEFAULT '{NIGHT}', ADD COLUMN IF NOT EXISTS of_sequence bigint, "
                "ADD COLUMN IF NOT EXISTS n_user_segments bigint DEFAULT 0, ADD COLUMN IF NOT EXISTS refreshed_until timestamp"
            )
            _drop_leftovers(connection)

    def _load(self, prepared: Path, side: Mapping[str, str]) -> None:
        """Fill the side tables from the DuckDB file: of two writers one makes rows ready while the server takes those of the other."""
        with connect(self._settings, prepared, read_only=True) as source, ThreadPoolExecutor(WRITERS) as pool:
            for table, name in side.items():
                rows = _Shared(source.sql(f"FROM {SCHEMA}.{table}").to_arrow_reader(BATCH_ROWS))
                list(pool.map(self._write, [name] * WRITERS, [rows] * WRITERS))

    def _write(self, name: str, rows: "_Shared") -> None:
        with rows.closed_on_error(), self._connected() as connection, connection.cursor() as cursor:
            cursor.adbc_ingest(name, rows.reader(), mode="append", db_schema_name=SCHEMA)

    def _index(self, name: str, key: tuple[str, ...]) -> int:
        """Give a table its key and the planner's statistics, and count its rows."""
        with self._connected() as connection, connection.cursor() as cursor:
            cursor.execute(f"SET maintenance_work_mem = '{KEY_MEMORY}'")
            cursor.execute(f"ALTER TABLE {SCHEMA}.{name} ADD CONSTRAINT {name}_key PRIMARY KEY ({', '.join(key)})")
            cursor.execute(f"ANALYZE {SCHEMA}.{name}")
            [(number,)] = _rows(connection, f"SELECT count(*) FROM {SCHEMA}.{name}")
            return int(number)

    def _swap(self, connection: "Connection", side: dict[str, str], publication: Publication) -> None:
        """Give the side tables the names of the published ones, and write the history, in one transaction; try again while a reader holds one."""
        from adbc_driver_manager import Error

        for attempt in range(1, SWAP_ATTEMPTS + 1):
            try:
                self._swap_once(connection, side, publication)
            except Error as error:
                if error.sqlstate != LOCK_NOT_AVAILABLE or attempt == SWAP_ATTEMPTS:
                    raise
                time.sleep(SWAP_PAUSE_SECONDS)
            else:
                return

    def _swap_once(self, connection: "Connection", side: dict[str, str], publication: Publication) -> None:
        """One statement: its transaction waits for nobody on the way from here. The tables that were published are put aside, to be dropped when nobody waits."""
        known = _tables(connection)
        existing = [table for table in LOCK_ORDER if table in known]
        steps = [
            f"SET LOCAL lock_timeout = '{SWAP_LOCK_WAIT}'",
            *(f"FOR given IN {_grants(table, side[table])} LOOP EXECUTE given; END LOOP" for table in existing),
            *(f"LOCK TABLE {SCHEMA}.{table} IN ACCESS EXCLUSIVE MODE" for table in existing),
            *(f"ALTER TABLE {SCHEMA}.{table} RENAME TO {_retired(table)}" for table in existing),
            *(f"ALTER TABLE {SCHEMA}.{side[table]} RENAME TO {table}" for table in SERVING_TABLES),
            *self._role_grants(),
            insert_of(publication, f"{SCHEMA}.publications"),
        ]
        block = f"DECLARE given text; BEGIN {'; '.join(steps)}; END"
        with connection.cursor() as cursor:
            cursor.execute(f"DO {literal(block)}")

    def _role_grants(self) -> Iterator[str]:
        """What the roles of the settings may read."""
        serving = self._settings.serving
        for role, tables in ((serving.website_role, SERVING_TABLES), (serving.analyst_role, (*SERVING_TABLES, "publications"))):
            if role is not None:
                yield f"GRANT USAGE ON SCHEMA {SCHEMA} TO {identifier(role)}"
                yield f"GRANT SELECT ON {', '.join(f'{SCHEMA}.{table}' for table in tables)} TO {identifier(role)}"

    def _history(self, connection: "Connection") -> list[Publication]:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {SCHEMA}.publications ORDER BY sequence")  # one of an earlier release lacks columns
            names = [column[0] for column in cursor.description or ()]
            return [Publication(**dict(zip(names, row, strict=True))) for row in cursor.fetchall()]

    @contextmanager
    def _connected(self) -> "Iterator[Connection]":
        """A connection that commits each statement; its errors become errors for people."""
        from adbc_driver_manager import Error
        from adbc_driver_postgresql import dbapi

        try:
            connection = dbapi.connect(self._url, autocommit=True)
        except Error as error:
            raise ServingError(
                f"Cannot reach the serving database {self.location}: {_reason(error)} Check DAWNLIST_SERVING__URL and whether the server runs."
            ) from None
        try:
            yield connection
        except Error as error:
            raise self._explained(error) from None
        finally:
            connection.close()

    def _explained(self, error: Any) -> DawnlistError:
        if error.sqlstate == LOCK_NOT_AVAILABLE:
            return LockedError(f"Another publication or a long reading transaction holds {self.location}. Run this again when it has ended.")
        if error.sqlstate == UNDEFINED_OBJECT:
            return ServingError(
                f"The serving database {self.location} refused: {_reason(error)} Create the role (CREATE ROLE … LOGIN) or mend serving.website_role and "
                "serving.analyst_role. What was published before stays."
            )
        if error.sqlstate in (UNDEFINED_TABLE, INVALID_SCHEMA):
            return MissingInputError(f"Nothing has been published to {self.location} yet: run `dawnlist publish` first.")
        return ServingError(f"The serving database {self.location} refused: {_reason(error)} What was published before stays.")


class _Shared:
    """The batches of one reader for several threads, each of which takes the next one."""

    def __init__(self, source: "pa.RecordBatchReader") -> None:
        self._source = source
        self._lock = threading.Lock()
        self._is_open = True

    def reader(self) -> "pa.RecordBatchReader":
        """What one thread reads."""
        import pyarrow as pa

        return pa.RecordBatchReader.from_batches(self._source.schema, self._batches())

    @contextmanager
    def closed_on_error(self) -> Iterator[None]:
        """Where one thread fails, the others need not go on."""
        try:
            yield
        except BaseException:
            self._is_open = False
            raise

    def _batches(self) -> "Iterator[pa.RecordBatch]":
        while True:
            with self._lock:
                batch = next(self._source, None) if self._is_open else None
            if batch is None:
                return
            yield batch


def _checked(url: str) -> str:
    """`url` with a limit to how long connecting may take. Raises SettingsError, which does not repeat it, when it is malformed."""
    try:
        parts = urlsplit(url)
        malformed = parts.scheme not in ("postgresql", "postgres") or bool(re.search("%(?![0-9A-Fa-f]{2})", url)) or parts.netloc.count("@") > 1
        _ = parts.port  # a port that is no number raises
    except ValueError:
        malformed = True
    if malformed:
        raise SettingsError(
            "Setting serving.url (DAWNLIST_SERVING__URL) must be postgresql://user:password@host:port/database; "
            "write special characters of the password as %XX."
        )
    if "connect_timeout=" in parts.query:
        return url
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, f"connect_timeout={CONNECT_SECONDS}")))))


def _reason(error: BaseException) -> str:
    """The first line of the driver's message, when it is one that cannot repeat the URL or a row."""
    text = str(error).splitlines()[0].strip()
    known = re.search(r"(connection to server .*|could not translate host name .*|ERROR: .*|FATAL: .*)", text)
    return f"{known.group(1).rstrip('.')}." if known else "the driver did not say why."


def _columns(columns: dict[str, str]) -> str:
    return ", ".join(f"{name} {TYPES[kind]}" for name, kind in columns.items())


def _tables(connection: "Connection") -> set[str]:
    return {str(name) for (name,) in _rows(connection, f"SELECT tablename FROM pg_tables WHERE schemaname = '{SCHEMA}'")}


def _retired(table: str) -> str:
    return f"{table}__000000"  # a side table, of no publication


def _drop_leftovers(connection: "Connection") -> None:
    """Drop the side tables: those that a swap put aside, and those of a publisher that was killed."""
    leftovers = [f"{SCHEMA}.{table}" for table in _tables(connection) if re.fullmatch(rf"({'|'.join(SERVING_TABLES)})__\d+", table)]
    if leftovers:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE {', '.join(leftovers)}")


def _grants(table: str, successor: str) -> str:
    """A query for the GRANT statements that give `successor` the rights that `table` has."""
    return (
        f"SELECT format('GRANT %s ON {SCHEMA}.{successor} TO %s', acl.privilege_type, "
        f"CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(acl.grantee)) END) "
        f"FROM pg_class AS class CROSS JOIN LATERAL aclexplode(class.relacl) AS acl "
        f"WHERE class.oid = to_regclass('{SCHEMA}.{table}') AND acl.grantee <> class.relowner ORDER BY 1"
    )


def _rows(connection: "Connection", query: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()
