"""Whether a challenger takes the champion's place: by what each would have shown to the same people in the evaluation slice.

Both are judged as they serve: the strategy's order of each person's candidates, by the trees of the training slice for the challenger.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from models import evaluation, frame, lists, popular, registry
from models.inputs import Inputs
from models.policies import top
from models.training import Past

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    from numpy.typing import NDArray

    from dawnlist.settings import Promotion

PLACES: Final = 10  # of a list that count
FEW_EVENTS: Final = 5
Groups = Mapping[str, "NDArray[np.bool_]"]


@dataclass(frozen=True)
class Shown:
    """What one strategy showed: nDCG@10 per person, and figures of the first PLACES of all lists.

    coverage: share of the catalogue that some list shows; diversity: mean share of the pairs of a list that are of two categories, None
    without categories; new_share: share of the places with an item first seen within a label window before the cut; empty_share: of persons.
    """

    quality: "evaluation.PerPerson"
    coverage: float
    diversity: float | None
    new_share: float
    empty_share: float


@dataclass(frozen=True)
class Verdict:
    """The decision, why (a sentence without its full stop), and the figures of every check: value, limit, whether it held."""

    is_promoted: bool
    reason: str
    checks: dict[str, dict[str, Any]]


def show(connection: "duckdb.DuckDBPyConnection", past: Past, order: lists.Order | str, *, threads: int) -> Shown:
    """What `order` shows to the persons of the slice whose tables are in the connection; a str is a popular window, for everybody alike."""
    if isinstance(order, str):
        [window] = (name for name in popular.TIME_WINDOWS if popular.source_of(name) == order)
        query = popular.baseline(past.inputs, past.cut, window, length=PLACES)
    else:
        lists.score(connection, order, first=0, last=len(past.persons), threads=threads)
        query = top(PLACES)("FROM scored")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE shown AS SELECT p, i, rank FROM ({query})")
    return measured(connection, past.inputs, past.cut.end, past.cut.horizon_days, n_persons=len(past.persons))


def measured(connection: "duckdb.DuckDBPyConnection", inputs: Inputs, end: str, horizon_days: int, *, n_persons: int) -> Shown:
    """The measures of the table `shown` (p, i, rank up to PLACES), with the tables item and label of the cut that ends before `end` (SQL)."""
    import numpy as np

    found: dict[str, Any] = connection.execute("SELECT p, rank, label.p IS NOT NULL AS is_hit FROM shown LEFT JOIN label USING (p, i)").fetchnumpy()
    hits = evaluation.hit_matrix(found["p"], found["rank"], found["is_hit"], n_persons=n_persons, depth=PLACES)
    counted: dict[str, Any] = connection.execute("SELECT p, count(*) AS n FROM label GROUP BY p").fetchnumpy()
    n_relevant = np.zeros(n_persons, dtype=np.int64)
    n_relevant[counted["p"]] = counted["n"]
    coverage, diversity, new_share, n_listed = connection.execute(f"""
        WITH newcomers AS (
            SELECT item_id FROM {inputs.relation("fct_interactions")} WHERE occurred_at < {end} GROUP BY item_id
            HAVING min(occurred_at) >= {end} - INTERVAL {horizon_days} DAY
        ), categories AS (SELECT p, category, count(*) AS n FROM shown JOIN item USING (i) WHERE category IS NOT NULL GROUP BY ALL),
        pairs AS (SELECT 1 - sum(n * (n - 1)) / (sum(n) * (sum(n) - 1)) AS diversity FROM categories GROUP BY p HAVING sum(n) > 1)
        SELECT (SELECT count(DISTINCT i) FROM shown) / nullif((SELECT count(*) FROM item WHERE is_listable), 0), (SELECT avg(diversity) FROM pairs),
            (SELECT count(*) FROM shown JOIN item USING (i) SEMI JOIN newcomers USING (item_id)) / nullif((SELECT count(*) FROM shown), 0),
            (SELECT count(DISTINCT p) FROM shown)
    """).fetchall()[0]
    quality = evaluation.ndcg(hits, n_relevant, PLACES)
    digits = evaluation.DIGITS
    empty = 1 - n_listed / n_persons if n_persons else 0.0
    return Shown(
        quality, round(coverage or 0.0, digits), None if diversity is None else round(diversity, digits), round(new_share or 0.0, digits), round(empty, digits)
    )


def groups(connection: "duckdb.DuckDBPyConnection", *, smallest: int) -> Groups:
    """The groups of at least `smallest` persons that are looked at one by one: by country, by device, and by how much of their history is known."""
    rows: dict[str, Any] = connection.execute(f"""
        WITH known AS (SELECT p, coalesce(sum(n_events), 0) AS n FROM person LEFT JOIN history USING (p) GROUP BY p)
        SELECT 'country ' || country AS name, p FROM person WHERE country IS NOT NULL UNION ALL SELECT 'device ' || device, p FROM person WHERE device IS NOT NULL
        UNION ALL SELECT if(n <= {FEW_EVENTS}, 'at most', 'more than') || ' {FEW_EVENTS} events', p FROM known
    """).fetchnumpy()
    import numpy as np

    [(n_persons,)] = connection.execute("SELECT count(*) FROM person").fetchall()
    found = {}
    for name in sorted(set(rows["name"])):
        members = np.zeros(n_persons, dtype=bool)
        members[rows["p"][rows["name"] == name]] = True
        if members.sum() >= smallest:
            found[str(name)] = members
    return found


def decide(challenger: Shown, champion: Shown | None, most_popular: Shown, members: Groups, rule: "Promotion", *, seed: int) -> Verdict:
    """The rule of docs/models.md. Without a champion the challenger takes the place: it is what the comparison of all strategies chose."""
    over_popular = evaluation.bootstrap_difference(challenger.quality, most_popular.quality, seed=seed)
    checks = {"popularity": _check(over_popular[0] if over_popular else None, 0.0, is_strict=True)}
    checks["empty_lists"] = _check(challenger.empty_share, rule.max_empty_share, is_most=True)
    if champion is None:
        return Verdict(True, "there is no champion that can serve", checks)
    over_champion = evaluation.bootstrap_difference(challenger.quality, champion.quality, seed=seed)
    mean = float(champion.quality.mean()) if len(champion.quality) else 0.0
    checks["champion"] = _check(over_champion[0] if over_champion else None, -rule.margin * mean) | {"interval": list(over_champion)}
    checks["coverage"] = _check(challenger.coverage, rule.min_coverage * champion.coverage)
    if challenger.diversity is not None and champion.diversity is not None:
        checks["diversity"] = _check(challenger.diversity, rule.min_diversity * champion.diversity)
    checks["new_items"] = _check(challenger.new_share, rule.min_new_items * champion.new_share)
    checks |= _worst_group(challenger, champion, members, rule, seed=seed)
    failed = [name for name, check in checks.items() if not check["holds"]]
    return Verdict(not failed, _reason(failed, checks), checks)


def _worst_group(challenger: Shown, champion: Shown, members: Groups, rule: "Promotion", *, seed: int) -> dict[str, dict[str, Any]]:
    """The group whose upper bound of challenger minus champion lies lowest beside what it may lose: it fails where a larger loss is certain."""
    found = []
    for name, chosen in members.items():
        first, second = challenger.quality[chosen], champion.quality[chosen]
        high = evaluation.bootstrap_difference(first, second, seed=seed)[2]
        check = _check(high, -rule.max_group_loss * float(second.mean()))
        found.append((check["value"] - check["limit"], {**check, "group": name}))
    return {"worst_group": min(found, key=lambda pair: (pair[0], pair[1]["group"]))[1]} if found else {}


def _check(value: float | None, limit: float, *, is_strict: bool = False, is_most: bool = False) -> dict[str, Any]:
    """A value that must reach its limit (exceed it where `is_strict`, not exceed it where `is_most`); None, without anybody to judge by, does not."""
    beyond = 0.0 if value is None else round((limit - value) if is_most else (value - limit), evaluation.DIGITS)
    return {"value": value, "limit": round(limit, evaluation.DIGITS), "holds": value is not None and (beyond > 0 if is_strict else beyond >= 0)}


_WORDS: Final[Mapping[str, str]] = {
    "popularity": "it does not provably beat popularity",
    "champion": "it may lose to the champion",
    "coverage": "it shows too little of the catalogue",
    "diversity": "its lists are too much alike within",
    "new_items": "it shows too few new items",
    "empty_lists": "too many lists are empty",
    "worst_group": "it loses in the group",
}


def _reason(failed: list[str], checks: Mapping[str, Mapping[str, Any]]) -> str:
    if not failed:
        return "it beats popularity, does not lose to the champion, and all guardrails hold"
    said = []
    for name in failed:
        value, limit = checks[name]["value"], checks[name]["limit"]
        group = f" {checks[name]['group']!r}" if "group" in checks[name] else ""
        figure = "there is nobody to judge by" if value is None else f"{value:.4f}, limit {limit:.4f}"
        said.append(f"{_WORDS[name]}{group} ({figure})")
    return "; ".join(said)


def is_usable(metadata: Mapping[str, Any]) -> bool:
    """Whether this release can serve the version: it ranks by today's features, and weighs today's sources."""
    has_features = metadata.get("features") == list(frame.FEATURES) or registry.RANKER not in metadata.get("files", {})
    return has_features and set(metadata.get("weights", {})) == set(frame.SINGLE)
