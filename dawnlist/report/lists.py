"""What the night's lists are like: how much of the catalogue they show, how varied they are, who proposed the items, and what changed."""

from typing import Any, Final

from dawnlist.errors import MissingInputError
from dawnlist.report.document import Bar, Bars, Table
from dawnlist.report.known import Known

PLACES: Final = 10
ITEMS: Final = 10


def _lists(known: Known) -> str:
    return known.of_night("recommendations", stage="recommend")


def figures(known: Known) -> Table:
    """Coverage and diversity of the first PLACES of all lists."""
    rows: list[Any] = known.rows(f"""
        WITH lists AS (FROM {_lists(known)} WHERE rank <= {PLACES}), items AS (FROM {known.of_night("dim_items")}),
        shown AS (SELECT item_id, count(*) AS n FROM lists GROUP BY item_id),
        ordered AS (SELECT n, row_number() OVER (ORDER BY n DESC, item_id) AS place FROM shown),
        eligible AS (FROM items WHERE is_available AND NOT is_blocked),
        categories AS (SELECT person_id, category, count(*) AS n FROM lists JOIN items USING (item_id) WHERE category IS NOT NULL GROUP BY ALL),
        varied AS (SELECT 1 - sum(n * (n - 1)) / (sum(n) * (sum(n) - 1)) AS diversity FROM categories GROUP BY person_id HAVING sum(n) > 1)
        SELECT (SELECT count(DISTINCT person_id) FROM lists), (SELECT count(*) FROM shown), (SELECT count(*) FROM eligible),
            (SELECT sum(n) FROM ordered WHERE place <= ceil(0.1 * (SELECT count(*) FROM eligible))) / (SELECT sum(n) FROM shown),
            (SELECT round(avg(diversity), 6) FROM varied), (SELECT count(*) FROM (SELECT DISTINCT list(item_id ORDER BY rank) FROM lists GROUP BY person_id))
    """)
    n_lists, n_shown, n_eligible, top_share, diversity, n_different = rows[0]
    if not n_lists:
        raise MissingInputError("There are no lists.")
    shown = [
        ("lists", f"{n_lists:,}", "one for every person"),
        ("different lists", f"{n_different:,} ({n_different / n_lists:.1%})", "people without a history share a list of their country or device"),
        ("items shown", f"{n_shown:,} of {n_eligible:,}", "of those that may be shown"),
        ("places of the top tenth of items", f"{top_share:.1%}", "10% where all items are shown alike"),
        ("pairs of two categories", "no categories" if diversity is None else f"{diversity:.1%}", "within a list, on average"),
    ]
    return Table("What the lists are like", ("figure", "value", "what it is"), shown, f"Of the first {PLACES} places.")


def proposers(known: Known) -> Table:
    """Who proposed the items of the first PLACES."""
    rows = known.rows(f"SELECT coalesce(source, ''), count(*) AS n FROM {_lists(known)} WHERE rank <= {PLACES} GROUP BY ALL ORDER BY n DESC, 1")
    total = sum(n for _, n in rows)
    return Table(
        "Who proposed the items",
        ("source", "places", "share"),
        [(source, n, f"{n / total:.1%}") for source, n in rows],
        f"Of the first {PLACES} places.",
        [Bars([Bar(source, n, f"{n / total:.1%}") for source, n in rows])],
    )


def most_listed(known: Known) -> Table:
    """The items that most lists show among their first PLACES."""
    rows = known.rows(f"""
        WITH lists AS (FROM {_lists(known)} WHERE rank <= {PLACES})
        SELECT item_id, coalesce(any_value(title), 'item ' || item_id), count(*) AS n, count(*) / (SELECT count(DISTINCT person_id) FROM lists)
        FROM lists LEFT JOIN {known.of_night("dim_items")} AS items USING (item_id) GROUP BY item_id ORDER BY n DESC, item_id LIMIT {ITEMS}
    """)
    return Table(
        "Items on most lists",
        ("item", "title", "lists", "share"),
        [(item, title, n, f"{share:.1%}") for item, title, n, share in rows],
        f"Among the first {PLACES} places.",
        [Bars([Bar(title, n, f"{share:.1%}") for _, title, n, share in rows])],
    )


def changes(known: Known) -> Table:
    """Lists of this night beside those of the night before."""
    before = known.night_before()
    rows: list[Any] = known.rows(f"""
        WITH now AS (FROM {_lists(known)} WHERE rank <= {PLACES}), before AS (FROM {known.of_night("recommendations", stage="recommend", run_date=before)} WHERE rank <= {PLACES}),
        people AS (SELECT count(*) FILTER (was AND is_now), count(*) FILTER (is_now AND NOT was), count(*) FILTER (was AND NOT is_now) FROM (
            SELECT person_id, bool_or(NOT is_new) AS was, bool_or(is_new) AS is_now
            FROM (SELECT person_id, true AS is_new FROM now UNION ALL SELECT person_id, false FROM before) GROUP BY person_id
        )),
        kept AS (SELECT person_id, count(before.item_id) / count(*) AS share FROM now SEMI JOIN before AS there USING (person_id) LEFT JOIN before USING (person_id, item_id) GROUP BY person_id)
        SELECT people.*, (SELECT round(avg(share), 6) FROM kept), (SELECT count(*) FILTER (share = 1) FROM kept) FROM people
    """)
    both, new, gone, share, same = rows[0]
    shown = [
        ("people with a list in both nights", f"{both:,}"),
        ("people with their first list", f"{new:,}"),
        ("people without a list now", f"{gone:,}"),
        ("items of a list that were on it before", "" if share is None else f"{share:.1%}"),
        ("people with the same items as before", f"{same:,} ({same / max(1, both):.1%})"),
    ]
    return Table("What changed since the night before", ("figure", "value"), shown, f"Beside the night of {before}, first {PLACES} places.")
