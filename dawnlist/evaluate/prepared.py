"""A prepared split: two Parquet files, checked, and numbered as the recommenders want them."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dawnlist.duck import interruptible, literal
from dawnlist.errors import SplitError

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from models.recommenders.events import Events, Ints

INTEGERS: Final = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
NUMBERS: Final = (*INTEGERS, "FLOAT", "DOUBLE")
TIMES: Final = ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE", "DATE")
IDS: Final = ("user_id", "item_id")
MICROSECONDS_A_DAY: Final = 86_400_000_000
LATER_SHARE: Final = 0.99  # of the rows, or users, that must be on the right side for a split to be taken as one in time
SPAN_SHARE: Final = 0.1  # of the newest training events: the horizon where the test has no times


@dataclass(frozen=True)
class Split:
    """`user_ids` and `item_ids` are the ids by number: first those of train, in order, then those that only the test has. `test_user` and `test_item`
    are the distinct pairs of the test, by number. `category_of`: a number per item of train, or None. `method` and `horizon` (days): how the test
    lies to the training data, as far as its times say.
    """

    events: "Events"
    user_ids: "pa.Array"
    item_ids: "pa.Array"
    test_user: "Ints"
    test_item: "Ints"
    category_of: "Ints | None"
    method: str
    horizon: float | None


def read(train: Path, test: Path, items: Path | None = None) -> Split:
    """Both files, checked; SplitError says what is wrong with them."""
    import duckdb

    with duckdb.connect() as connection, interruptible():
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        kinds = {name: _open(connection, name, path) for name, path in (("train", train), ("test", test))}
        _same_kinds(kinds)
        _number(connection)
        has_times = {name: "occurred_at" in columns for name, columns in kinds.items()}
        events = _events(connection, has_weight="weight" in kinds["train"], has_times=has_times["train"])
        pairs = _columns(connection, "SELECT DISTINCT u, i FROM test JOIN users USING (user_id) JOIN items USING (item_id) ORDER BY u, i")
        method, horizon = _shape(connection, has_times)
        return Split(
            events,
            _ids(connection, "user"),
            _ids(connection, "item"),
            pairs["u"],
            pairs["i"],
            _categories(connection, items, kinds["train"]["item_id"]) if items else None,
            method,
            horizon,
        )


def _open(connection: "duckdb.DuckDBPyConnection", name: str, path: Path, needed: tuple[str, ...] = IDS) -> dict[str, str]:
    """Make the view `name` of the file; gives the type of each column that is used."""
    import duckdb

    if not path.is_file():
        raise SplitError(f"There is no file {path}: --{name} takes a Parquet file with the columns {' and '.join(needed)}.")
    try:
        connection.execute(f"CREATE VIEW {name} AS FROM read_parquet({literal(str(path))}, hive_partitioning = false)")
    except duckdb.Error as error:
        raise SplitError(f"{path} is not a Parquet file that can be read ({str(error).splitlines()[0]}): write it as Parquet.") from error
    kinds = {str(column): str(kind) for column, kind, *_ in connection.execute(f"DESCRIBE {name}").fetchall()}
    missing = [column for column in needed if column not in kinds]
    if missing:
        raise SplitError(f"{path} lacks the column {' and '.join(missing)}; it has {', '.join(kinds)}. Rename its columns to {', '.join(needed)}.")
    _check_kinds(path, kinds)
    _check_values(connection, name, path, kinds, needed)
    return kinds


def _check_kinds(path: Path, kinds: dict[str, str]) -> None:
    allowed: dict[str, tuple[tuple[str, ...], str]] = dict.fromkeys(IDS, ((*INTEGERS, "VARCHAR"), "integers or strings"))
    allowed |= {"weight": (NUMBERS, "numbers"), "occurred_at": (TIMES, "timestamps or dates")}
    for column, (types, words) in allowed.items():
        kind = kinds.get(column)
        if kind is not None and kind not in types and not (column == "weight" and kind.startswith("DECIMAL")):
            raise SplitError(f"{path}: {column} is {kind}, but has to hold {words}. Convert the column.")


def _check_values(connection: "duckdb.DuckDBPyConnection", name: str, path: Path, kinds: dict[str, str], needed: tuple[str, ...]) -> None:
    n_rows = _one(connection, f"SELECT count(*) FROM {name}")
    if not n_rows:
        raise SplitError(f"{path} has no rows.")
    for column in (*needed, *(column for column in ("occurred_at",) if column in kinds)):
        n_missing = _one(connection, f"SELECT count(*) FROM {name} WHERE {column} IS NULL")
        if n_missing:
            raise SplitError(f"{path}: {column} is missing in {n_missing:,} of {n_rows:,} rows. Fill it or leave these rows out.")
    if "weight" in kinds:
        n_wrong = _one(connection, f"SELECT count(*) FROM {name} WHERE weight IS NULL OR NOT isfinite(weight::DOUBLE) OR weight < 0")
        if n_wrong:
            raise SplitError(f"{path}: weight is missing, not a number, infinite or negative in {n_wrong:,} of {n_rows:,} rows. Weights are 0 or more.")


def _same_kinds(kinds: dict[str, dict[str, str]]) -> None:
    for column in IDS:
        train, test = kinds["train"][column], kinds["test"][column]
        if (train == "VARCHAR") != (test == "VARCHAR"):
            raise SplitError(f"{column} is {train} in train and {test} in test: write it with one type in both.")


def _number(connection: "duckdb.DuckDBPyConnection") -> None:
    """Tables users (user_id, u) and items (item_id, i): those of train first, in the order of their ids, then those of the test alone."""
    for kind in ("user", "item"):
        connection.execute(f"""
            CREATE TABLE {kind}s AS
            WITH found AS (SELECT {kind}_id, true AS in_train FROM train UNION ALL SELECT {kind}_id, false FROM test)
            SELECT {kind}_id, bool_or(in_train) AS in_train, (row_number() OVER (ORDER BY bool_or(in_train) DESC, {kind}_id) - 1)::INTEGER AS {kind[0]}
            FROM found GROUP BY {kind}_id
        """)
        if not _one(connection, f"SELECT count(*) FROM {kind}s SEMI JOIN test USING ({kind}_id) WHERE in_train"):
            raise SplitError(f"No {kind} of the test file occurs in the train file: are the {kind} ids of both of one kind?")


def _events(connection: "duckdb.DuckDBPyConnection", *, has_weight: bool, has_times: bool) -> "Events":
    from models.recommenders.events import Events

    age = f"((SELECT max(epoch_us(occurred_at::TIMESTAMP)) FROM train) - epoch_us(occurred_at::TIMESTAMP)) / {MICROSECONDS_A_DAY}.0"
    columns = ["u", "i", f"{'weight' if has_weight else '1.0'}::DOUBLE AS weight", *([f"{age} AS age"] if has_times else [])]
    rows = _columns(connection, f"SELECT {', '.join(columns)} FROM train JOIN users USING (user_id) JOIN items USING (item_id) ORDER BY ALL")
    n_users, n_items = (_one(connection, f"SELECT count(*) FROM {kind} WHERE in_train") for kind in ("users", "items"))
    return Events(rows["u"], rows["i"], rows["weight"], rows["age"] if has_times else None, n_users, n_items)


def _shape(connection: "duckdb.DuckDBPyConnection", has_times: dict[str, bool]) -> tuple[str, float | None]:
    """How the test lies to the training data: "time" with the days that it covers, "last" where each user's newest rows are the test, else "random"."""
    if not has_times["train"]:
        return "random", None
    moment = "epoch_us(occurred_at::TIMESTAMP)"
    if not has_times["test"]:
        newest = _one(connection, f"SELECT max({moment}) - quantile_disc({moment}, {1 - SPAN_SHARE}) FROM train")
        return ("time", newest / MICROSECONDS_A_DAY) if newest else ("random", None)
    end, first, last = (
        _one(connection, f"SELECT {what} FROM {table}")
        for what, table in (
            (f"quantile_disc({moment}, {LATER_SHARE})", "train"),
            (f"quantile_disc({moment}, {1 - LATER_SHARE:.2f})", "test"),
            (f"max({moment}) - (SELECT max({moment}) FROM train)", "test"),
        )
    )
    if first >= end and last > 0:
        return "time", last / MICROSECONDS_A_DAY
    ends = f"SELECT user_id, max({moment}) AS train_end FROM train GROUP BY user_id"
    starts = f"SELECT user_id, min({moment}) AS test_start FROM test GROUP BY user_id"
    share = _one(connection, f"SELECT avg((test_start >= train_end)::INTEGER) FROM ({starts}) JOIN ({ends}) USING (user_id)")
    return ("last" if share >= LATER_SHARE else "random"), None


def _categories(connection: "duckdb.DuckDBPyConnection", path: Path, kind: str) -> "Ints":
    """A number per item of train: that of its category; items without one share a category of their own."""
    found = _open(connection, "catalogue", path, ("item_id", "category"))
    if (found["item_id"] == "VARCHAR") != (kind == "VARCHAR"):
        raise SplitError(f"{path}: item_id is {found['item_id']}, but {kind} in train: write it with one type.")
    rows = _columns(
        connection,
        """
        SELECT dense_rank() OVER (ORDER BY any_value(category)) - 1 AS category
        FROM items LEFT JOIN catalogue USING (item_id) WHERE in_train GROUP BY i ORDER BY i
        """,
    )
    return rows["category"]


def _ids(connection: "duckdb.DuckDBPyConnection", kind: str) -> "pa.Array":
    return connection.sql(f"SELECT {kind}_id FROM {kind}s ORDER BY {kind[0]}").to_arrow_table().column(0).combine_chunks()


def _columns(connection: "duckdb.DuckDBPyConnection", query: str) -> "dict[str, Any]":
    """The result as one numpy array a column."""
    return dict(connection.execute(query).fetchnumpy())


def _one(connection: "duckdb.DuckDBPyConnection", query: str) -> Any:
    return connection.execute(query).fetchall()[0][0]
