"""The ranker's frame: one row per person and candidate item, with who proposed it and what is known of person, item and both, as of a cut.

`prepare` makes the tables of one cut in a connection; they name persons and items by small numbers, p and i, in the order of their ids:

    person    p, person_id, country, device, c (number of the two), segment and the features of the person
    item      i, item_id, category, brand, price, age_days (since it came out, NULL where unknown), is_listable
    history   (p, i): n_events, n_purchases, weight and n_bought (recent events and purchases count more), days_since
    taste     (p, category): n_events and their share
    budget    p: mean_price of the items in the history
    excluded  (p, i) that the source's rules keep off the lists
    own, repeats, item_to_item, …   (p, i): score and rank of the candidates of each source of PERSONAL; none where it is switched off
    popular   (c, i): ranks in the popular windows, for the people of one country and device

`frame` is the SQL that joins them, for a range of persons at a time: memory stays bounded however many there are.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from models import popular
from models.inputs import SPARK_SOURCES, Cut, Inputs
from models.policies import applied, listable, not_excluded

if TYPE_CHECKING:
    import duckdb

    from dawnlist.settings import Candidates

# Reciprocal rank fusion: Cormack, Clarke & Büttcher (2009) found 60.
FUSION_CONSTANT: Final = 60
FUSION_DIGITS: Final = 9
HISTORIES: Final = {"own": "weight", "repeats": "n_bought"}  # what a person came to, and bought, before: the column of `history` that orders it
CROWDS: Final = {"popular_category": "category", "popular_segment": "segment"}  # what is popular in the person's top category, and with the person's segment
PERSONAL: Final = (*HISTORIES, *SPARK_SOURCES, *CROWDS)
SINGLE: Final = (*PERSONAL, *popular.SOURCES)  # the strategies that are one source's order
BY_PERSON: Final = (
    "person",
    "history",
    "taste",
    "budget",
    "excluded",
    *PERSONAL,
)  # the tables that are in the order of p: a bucket of persons reads its part alone
EQUAL_WEIGHTS: Final[Mapping[str, float]] = dict.fromkeys(SINGLE, 1.0)
# Where several sources have an item at the same best rank, the first one here is named as its source.
SOURCES: Final = (*PERSONAL, *popular.PLACES, *popular.SOURCES)

PERSON_COLUMNS: Final = (
    *("n_events_1d", "n_events_7d", "n_events_28d", "n_items_28d", "n_sessions_28d", "n_categories_28d", "n_purchases_28d", "n_active_days_28d"),
    *("days_since_last_event", "tenure_days", "avg_dwell_seconds_28d", "recency_days", "frequency", "monetary"),
)
# Feature -> SQL over the joined tables, by what more of it must do to the score. Missing values (not proposed, not known) are NaN in the matrix.
# At one cut an item has one price, one age and one count of events for everybody: by such features trees learn which items this label window
# favoured, which persons held out of the same window cannot show and the next window does not repeat. So an item is described by its ranks,
# and by what its price and category mean to the person.
_RISING: Final[Mapping[str, str]] = {
    "fusion": "pruned.fusion",
    **{f"{source}_score": f"pruned.{source}_score" for source in PERSONAL},
    "own_n_events": "history.n_events",
    "own_n_purchases": "history.n_purchases",
    "category_n_events": "taste.n_events",
    "category_share": "taste.share",
    "is_top_category": "item.category = person.top_category",
}
_FALLING: Final[Mapping[str, str]] = {
    **{f"{source}_rank": f"pruned.{source}_rank" for source in PERSONAL},
    **{f"{scope}_{window}_rank": f"popular.{scope}_{window}_rank" for scope in popular.SCOPES.values() for window in popular.TIME_WINDOWS},
    "own_days_since": "history.days_since",
}
_FREE: Final[Mapping[str, str]] = {
    "price_ratio": "item.price / nullif(budget.mean_price, 0)",
    **{f"person_{name}": f"person.{name}" for name in PERSON_COLUMNS},
}
FEATURES: Final[Mapping[str, str]] = {**_RISING, **_FALLING, **_FREE}
DIRECTIONS: Final = (*(1 for _ in _RISING), *(-1 for _ in _FALLING), *(0 for _ in _FREE))


def prepare(connection: "duckdb.DuckDBPyConnection", inputs: Inputs, cut: Cut, persons: Sequence[str], candidates: "Candidates") -> None:
    """Make the tables of `cut` for `persons` (each once) in `connection`, in the place of those of an earlier cut."""
    create_items(connection, inputs, cut)
    _create_persons(connection, inputs, cut, persons)
    _create_histories(connection, inputs, cut, candidates.own_half_life_days)
    proposed = {source: _own(column, candidates.per_source) for source, column in HISTORIES.items()}
    proposed |= {source: _by_spark(inputs, source) for source in SPARK_SOURCES}
    proposed |= {source: popular.in_crowd(inputs, cut, column, candidates) for source, column in CROWDS.items()}
    for source, query in proposed.items():
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {source} AS SELECT p, i, score, rank FROM ({query}) WHERE {source in candidates.sources} ORDER BY p, i"
        )
    popular.create_popular(connection, inputs, cut, per_window=candidates.popular)


def _by_spark(inputs: Inputs, source: str) -> str:
    return f"SELECT p, i, round(score, 6) AS score, rank FROM {inputs.relation(f'candidates_{source}')} JOIN person USING (person_id) JOIN item USING (item_id)"


def _own(column: str, per_source: int) -> str:
    own = applied(f"SELECT p, i, round({column}, 6) AS score FROM history WHERE {column} > 0", listable, not_excluded)
    return f"SELECT *, row_number() OVER (PARTITION BY p ORDER BY score DESC, i) AS rank FROM ({own}) QUALIFY rank <= {per_source}"


def frame(*, first: int, last: int, keep: int, weights: Mapping[str, float], features: bool = True, leader: str | None = None) -> str:
    """SQL of (p, i, source, place, and the FEATURES as FLOAT, else `fusion`) of the persons first <= p < last; ordered by p and i.

    `source` is the index in SOURCES of who has the item highest (the `leader`, if it has it). `place` is the order by the sources alone: the `leader`'s candidates in
    its order, then by `fusion`: the sum over sources of weight / (60 + rank), where a window's rank is the best of the global, the
    country's and the device's. At most `keep` candidates per person remain, the first ones by place.
    """
    joined = f"""
        SELECT p, i, source, place, {", ".join(f"coalesce(({sql})::FLOAT, 'nan'::FLOAT) AS {name}" for name, sql in FEATURES.items())}
        FROM pruned JOIN person USING (p) JOIN item USING (i) LEFT JOIN popular USING (c, i) LEFT JOIN history USING (p, i) LEFT JOIN budget USING (p)
        LEFT JOIN taste USING (p, category)
    """
    return f"{_pruned(first, last, keep, weights, leader)} {joined if features else 'SELECT p, i, source, place FROM pruned'} ORDER BY p, i"


def _pruned(first: int, last: int, keep: int, weights: Mapping[str, float], leader: str | None) -> str:
    """WITH clause whose last table `pruned` holds the best `keep` candidates per person by who proposed them and how high."""
    mine = [f"{table} AS (FROM temp.{table} WHERE p >= {first} AND p < {last})" for table in BY_PERSON]
    own_columns = {source: ", ".join(f"{source}.{what} AS {source}_{what}" for what in ("score", "rank")) for source in PERSONAL}
    proposals = [f"SELECT p, i, {own_columns[source]} FROM {source}" for source in PERSONAL]
    # Whatever stands before an item in the order of all windows stands before it on each person's list, too, unless it is excluded there.
    proposals.append(f"SELECT p, i FROM person LEFT JOIN barred USING (p) JOIN windows USING (c) WHERE window_place <= {keep} + coalesce(n_barred, 0)")
    merged = ", ".join(f"max({source}_{what}) AS {source}_{what}" for source in PERSONAL for what in ("score", "rank"))
    return f"""
        WITH {", ".join(mine)},
        windows AS ({_windows(weights, leader)}),
        barred AS (SELECT p, count(*) AS n_barred FROM excluded JOIN person USING (p) JOIN windows USING (c, i) WHERE window_place IS NOT NULL GROUP BY p),
        proposals AS ({" UNION ALL BY NAME ".join(proposals)}),
        merged AS (SELECT p, i, {merged} FROM proposals GROUP BY p, i),
        allowed AS ({applied("SELECT * FROM merged", listable, not_excluded)}),
        scored AS (
            SELECT allowed.*, round({_fusion(weights, {source: f"{source}_rank" for source in PERSONAL})} + coalesce(window_fusion, 0), {FUSION_DIGITS}) AS fusion,
                least({", ".join(f"{source}_rank" for source in PERSONAL)}, window_rank) AS best_rank,
                {f"{leader}_rank" if leader in PERSONAL else "window_leader_rank"} AS leader_rank, {_source(leader)} AS source
            FROM allowed JOIN person USING (p) LEFT JOIN windows USING (c, i)
        ),
        pruned AS (
            SELECT *, row_number() OVER (PARTITION BY p ORDER BY leader_rank ASC NULLS LAST, fusion DESC, i) AS place
            FROM scored QUALIFY place <= {keep}
        )
    """


def _windows(weights: Mapping[str, float], leader: str | None) -> str:
    """SQL of what the popular windows say together, one row per (c, i): computed here once, not once per person. window_place: among those that are proposed."""
    scopes = popular.SCOPES.values()
    better = {popular.source_of(window): f"least({', '.join(f'{scope}_{window}_rank' for scope in scopes)})" for window in popular.TIME_WINDOWS}
    ranks = {place: f"{place.removeprefix('popular_')}_rank" for place in popular.PLACES} | {
        popular.source_of(window): f"popular_{window}_rank" for window in popular.TIME_WINDOWS
    }
    source = " ".join(f"WHEN {rank} = window_rank THEN {SOURCES.index(name)}" for name, rank in ranks.items())
    return f"""
        SELECT c, i, {_fusion(weights, better)} AS window_fusion, {popular.BEST_RANK} AS window_rank,
            CASE {source} END AS window_source, {ranks.get(leader or "", "NULL::INTEGER")} AS window_leader_rank,
            if(is_proposed, row_number() OVER (PARTITION BY c, is_proposed ORDER BY window_leader_rank ASC NULLS LAST, round(window_fusion, {FUSION_DIGITS}) DESC, i), NULL) AS window_place
        FROM popular
    """


def _source(leader: str | None) -> str:
    led = f"WHEN leader_rank IS NOT NULL THEN {SOURCES.index(leader)}" if leader else ""
    own = " ".join(f"WHEN {source}_rank = best_rank THEN {SOURCES.index(source)}" for source in PERSONAL)
    return f"(CASE {led} {own} ELSE window_source END)::UTINYINT"


def _fusion(weights: Mapping[str, float], ranks: Mapping[str, str]) -> str:
    return " + ".join(f"coalesce({weights[source]!r}::DOUBLE / ({FUSION_CONSTANT} + {rank}), 0)" for source, rank in ranks.items())


def create_items(connection: "duckdb.DuckDBPyConnection", inputs: Inputs, cut: Cut) -> None:
    """Table `item`. The catalogue is the run date's (category, price); whether an item was available is known for that day only, so only there does it count."""
    hidden = "is_blocked IS TRUE OR is_available IS FALSE" if cut.is_serving else "is_blocked IS TRUE"
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE item AS
        SELECT (row_number() OVER (ORDER BY item_id) - 1)::INTEGER AS i, item_id, category, brand, price::DOUBLE AS price,
            greatest(date_diff('day', coalesce(launched_at, first_seen_at)::DATE, {cut.date}), 0) AS age_days, NOT ({hidden}) AS is_listable
        FROM {inputs.relation("dim_items")} ORDER BY i
    """)


def _create_persons(connection: "duckdb.DuckDBPyConnection", inputs: Inputs, cut: Cut, persons: Sequence[str]) -> None:
    """Country and device are those of the cut; on the run date, of whoever registered without an event, the registered ones."""
    import pyarrow as pa

    connection.register("chosen_persons", pa.table({"person_id": pa.array(persons, pa.string())}))
    where, device = (
        ("coalesce(active.country, known.country)", "coalesce(active.device, known.device)") if cut.is_serving else ("active.country", "active.device")
    )
    columns = ", ".join(f"{'bought' if name in ('recency_days', 'frequency', 'monetary') else 'active'}.{name}" for name in PERSON_COLUMNS)
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE person AS
        WITH active AS (FROM {inputs.relation("feat_user_activity")} WHERE feature_date = {cut.date}),
        bought AS (FROM {inputs.relation("feat_user_rfm")} WHERE feature_date = {cut.date}),
        known AS (FROM {inputs.relation("dim_users")}),
        named AS ({cut.segments(inputs)})
        SELECT (row_number() OVER (ORDER BY person_id) - 1)::INTEGER AS p, person_id, {where} AS country, {device} AS device,
            (dense_rank() OVER (ORDER BY {where} NULLS FIRST, {device} NULLS FIRST) - 1)::INTEGER AS c, active.top_category, segment, {columns}
        FROM chosen_persons LEFT JOIN active USING (person_id) LEFT JOIN bought USING (person_id) LEFT JOIN known USING (person_id)
        LEFT JOIN named USING (person_id) ORDER BY p
    """)
    connection.unregister("chosen_persons")


def _create_histories(connection: "duckdb.DuckDBPyConnection", inputs: Inputs, cut: Cut, half_life: float) -> None:
    """Weights are summed as decimals: a sum of doubles depends on the number of threads. Each table is in the order of p, so that a bucket of persons reads its part alone."""
    decay = f"pow(0.5, age / {half_life!r}::DOUBLE)"
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE history AS
        WITH past AS (
            SELECT p, i, event_type, occurred_at, date_diff('day', occurred_at::DATE, {cut.date}) AS age, weight
            FROM {inputs.relation("fct_interactions")} JOIN person USING (person_id) JOIN item USING (item_id) WHERE is_personal AND occurred_at < {cut.end}
        )
        SELECT p, i, count(*) AS n_events, count(*) FILTER (event_type = 'purchase') AS n_purchases, min(age) AS days_since,
            sum((weight * {decay})::DECIMAL(18, 9))::DOUBLE AS weight, coalesce(sum({decay}::DECIMAL(18, 9)) FILTER (event_type = 'purchase'), 0)::DOUBLE AS n_bought
        FROM past GROUP BY p, i ORDER BY p, i
    """)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE excluded AS SELECT p, i FROM history WHERE {cut.is_excluded('n_purchases')}")
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE budget AS
        SELECT p, round(avg(price::DECIMAL(18, 4)), 4)::DOUBLE AS mean_price FROM history JOIN item USING (i) GROUP BY p ORDER BY p
    """)
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE taste AS
        SELECT p, category, sum(n_events)::BIGINT AS n_events, sum(n_events)::BIGINT / sum(sum(n_events)::BIGINT) OVER (PARTITION BY p) AS share
        FROM history JOIN item USING (i) WHERE category IS NOT NULL GROUP BY p, category ORDER BY p, category
    """)


def create_labels(connection: "duckdb.DuckDBPyConnection", inputs: Inputs, cut: Cut) -> None:
    """Table `label`, one row per (p, item_id): what the persons took up after the cut and the rules do not exclude; i is NULL for an item that is not in the catalogue."""
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE label AS
        WITH taken AS (
            SELECT DISTINCT p, item_id FROM {inputs.relation("fct_interactions")} JOIN person USING (person_id)
            WHERE is_personal AND occurred_at >= {cut.end} AND occurred_at < {cut.label_end}
        )
        SELECT p, i, item_id FROM taken LEFT JOIN item USING (item_id) ANTI JOIN excluded USING (p, i) ORDER BY p, item_id
    """)
