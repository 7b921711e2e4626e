"""What is known of people, in groups: who consents, how buyers buy, which segments there are, and who went from one to another."""

from typing import Final

from dawnlist import triggers
from dawnlist.errors import MissingInputError
from dawnlist.report.document import Bar, Bars, Cell, Flag, Grid, Table
from dawnlist.report.known import Known

SCORES: Final = (5, 4, 3, 2, 1)
KINDS: Final = {"cluster": "cluster", "rfm": "RFM", "segment": "by rules", "engagement": "engagement", "tag": "tag", "trigger": "trigger"}
NOBODY: Final = "none"


def people(known: Known) -> Table:
    """Everybody whom the night knows, by what may be done for them."""
    rows = known.rows(f"""
        SELECT source, count(*), count(*) FILTER (NOT is_anonymous), count(*) FILTER (has_personalisation_consent),
            count(*) FILTER (first_seen_at >= {known.day} AND first_seen_at < {known.day} + 1),
            count(*) FILTER (last_seen_at >= {known.day} AND last_seen_at < {known.day} + 1)
        FROM {known.of_night("dim_users")} GROUP BY source ORDER BY source
    """)
    shown = [(source, n, named, f"{granted:,} ({granted / n:.0%})", new, there) for source, n, named, granted, new, there in rows]
    return Table("People", ("source", "people", "known", "consent to personalisation", "new on the day", "there on the day"), shown)


def rfm_grid(known: Known) -> Table:
    """Buyers by the scores of recency (rows) and frequency (columns)."""
    found = {
        (recency, frequency): (n, spent)
        for recency, frequency, n, spent in known.rows(
            f"SELECT r_score, f_score, count(*), avg(monetary) FROM {known.of_night('feat_user_rfm')} WHERE feature_date = {known.day} GROUP BY ALL"
        )
    }
    if not found:
        raise MissingInputError("Nobody has bought anything yet.")
    rows: list[list[Cell]] = []
    for recency in SCORES:
        cells = [found.get((recency, frequency)) for frequency in reversed(SCORES)]
        rows.append([f"R{recency}", *("" if cell is None else f"{cell[0]:,} · {cell[1]:,.0f}" for cell in cells)])
    columns = [f"F{frequency}" for frequency in reversed(SCORES)]
    grid = Grid([f"R{recency}" for recency in SCORES], columns, {(f"R{recency}", f"F{frequency}"): n for (recency, frequency), (n, _) in found.items()})
    note = "Drawn: buyers. In the table: buyers · what they spent on average. Score 5 is best: bought last, bought most often."
    return Table("Recency and frequency of buyers", ("recency", *columns), rows, note, [grid], folded=True)


def _then(known: Known) -> tuple[str, str]:
    """Conditions of dim_user_segments: what held in this night, and what held in the one before it."""
    return (
        f"valid_from <= {known.day} AND (valid_to IS NULL OR valid_to > {known.day})",
        f"valid_from < {known.day} AND (valid_to IS NULL OR valid_to >= {known.day})",
    )


def segments(known: Known) -> Table:
    """People in each segment of each kind, now and in the night before."""
    now, before = _then(known)
    rows = known.rows(f"""
        SELECT kind, segment_label, count(*) FILTER ({now}) AS n, count(*) FILTER ({before}) AS n_before
        FROM {known.of_night("dim_user_segments", stage="segment")} GROUP BY kind, segment_label HAVING n > 0 OR n_before > 0
        ORDER BY list_position({list(KINDS)}, kind), n DESC, segment_label
    """)
    if not rows:
        raise MissingInputError("Nobody has a segment: nobody consents to personalisation.")
    is_first = not any(row[3] for row in rows)
    shown = [(KINDS.get(kind, kind), label.replace("_", " "), n, *(() if is_first else (n_before, f"{n - n_before:+,}"))) for kind, label, n, n_before in rows]
    columns = ("kind", "segment", "people", *(() if is_first else ("night before", "change")))
    bars = [Bar(label.replace("_", " "), n, f"{n:,}", usual=None if is_first else n_before) for kind, label, n, n_before in rows if kind == "cluster"]
    note = "This is the first night." if is_first else "Drawn: the clusters, with a mark at the number of the night before."
    return Table("Segments", columns, shown, note, [Bars(bars)] if bars else [])


def firings(known: Known) -> Table:
    """What the triggers of the rules file came to."""
    rows = known.rows(f"""
        SELECT trigger, condition, kind, n_judged, n_held, n_fired, note FROM {triggers.relation(known.lake, until=known.run_date)}
        WHERE run_date = {known.day} ORDER BY trigger
    """)
    if not rows:
        raise MissingInputError("The rules file had no trigger for this night.")
    shown: list[tuple[Cell, ...]] = [
        (
            name,
            condition.replace("_", " "),
            judged,
            held,
            Flag(f"{fired:,}", "none" if judged else "warned") if kind == "site" else fired,
            note.replace("_", " "),
        )
        for name, condition, kind, judged, held, fired, note in rows
    ]
    columns = ("trigger", "condition", "judged", "held", "fired", "what came of it")
    return Table("Triggers", columns, shown, "People, or 1 for the site; held: tonight; fired: for as many days as the trigger asks for.")


def flow(known: Known) -> Table:
    """How many people went from one cluster (rows) to another (columns) since the night before."""
    now, before = _then(known)
    states = known.of_night("dim_user_segments", stage="segment")
    rows = known.rows(f"""
        WITH states AS (FROM {states} WHERE kind = 'cluster'),
        earlier AS (SELECT person_id, segment_label AS was FROM states WHERE {before}), today AS (SELECT person_id, segment_label AS is_now FROM states WHERE {now})
        SELECT coalesce(was, '{NOBODY}'), coalesce(is_now, '{NOBODY}'), count(*) FROM earlier FULL JOIN today USING (person_id) GROUP BY ALL ORDER BY 1, 2
    """)
    flows = {(was, is_now): n for was, is_now, n in rows}
    sources = sorted({was for was, _ in flows}, key=lambda name: (name == NOBODY, name))
    if sources in ([], [NOBODY]):
        raise MissingInputError("There is no earlier night to compare with.")
    targets = sorted({is_now for _, is_now in flows}, key=lambda name: (name == NOBODY, name))
    shown = [[was, *(flows.get((was, is_now), "") for is_now in targets)] for was in sources]
    return Table(
        "From segment to segment",
        ("from the night before", *(f"to {name}" for name in targets)),
        shown,
        f"Rows: the night before; columns: now. '{NOBODY}': nobody yet, or no longer.",
        [Grid(sources, targets, flows)],
        folded=True,
    )
