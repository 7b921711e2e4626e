"""The policies of a site in the order of its settings, and the tables that they need beside those of the frame."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from models import merchandising
from models.inputs import Cut, Inputs
from models.policies import Policy, cap, diverse, exploration, fresh, seen_less_than

if TYPE_CHECKING:
    import duckdb

    from dawnlist.rules import Rule
    from dawnlist.settings import Recommend

POOL_DAYS: Final = 28  # an item's events of so many days say how little it was met


def chain(connection: "duckdb.DuckDBPyConnection", inputs: Inputs, cut: Cut, rules: Sequence["Rule"], settings: "Recommend", *, seed: int) -> list[Policy]:
    """What may be shown at all, then the policies of `settings.policies` that are on, in that order. Needs the tables of the frame and of `create_rules`."""
    eligible = merchandising.eligible(rules)

    def made(name: str) -> Policy | None:
        match name:
            case "seen" if settings.max_views:
                return _seen(connection, inputs, cut, settings)
            case "freshness" if settings.freshness:
                return fresh(settings.freshness, half_life_days=settings.freshness_half_life_days)
            case "diversity" if settings.diversity:
                return diverse(connection, settings.diversity, pool=settings.diversity_pool, length=settings.list_length)
            case "category_cap" if settings.max_per_category:
                return cap("category", settings.max_per_category)
            case "brand_cap" if settings.max_per_brand:
                return cap("brand", settings.max_per_brand)
            case "exploration" if n_slots := round(settings.exploration_share * settings.list_length):
                return _exploration(connection, inputs, cut, settings, n_slots, eligible, key=f"{seed}/{cut.as_of}/")
        return merchandising.policies(rules).get(name)

    return [*eligible, *(policy for name in settings.policies if (policy := made(name)))]


def _seen(connection: "duckdb.DuckDBPyConnection", inputs: Inputs, cut: Cut, settings: "Recommend") -> Policy:
    """Table `viewed`, one row per (p, i): n_views (views and clicks) of the last days. Impressions are not in the interactions, so they do not count."""
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE viewed AS
        SELECT p, i, count(*) AS n_views FROM {inputs.relation("fct_interactions")} JOIN person USING (person_id) JOIN item USING (item_id)
        WHERE is_personal AND event_type IN ('view', 'click') AND {_within(cut, settings.views_days)} GROUP BY p, i
    """)
    return seen_less_than(settings.max_views)


def _exploration(
    connection: "duckdb.DuckDBPyConnection", inputs: Inputs, cut: Cut, settings: "Recommend", n_slots: int, eligible: tuple[Policy, ...], *, key: str
) -> Policy:
    """Table `explorable` (i): the items that came out of late, then those with the fewest events, without those that rules pin."""
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE explorable AS
        WITH met AS (SELECT item_id, count(*) AS n FROM {inputs.relation("fct_interactions")} WHERE {_within(cut, POOL_DAYS)} GROUP BY item_id)
        SELECT i FROM item LEFT JOIN met USING (item_id)
        WHERE is_listable AND i NOT IN (SELECT i FROM target JOIN rule USING (r) WHERE action = 'pin')
        ORDER BY coalesce(age_days <= {settings.exploration_new_days}, false) DESC, coalesce(n, 0), i LIMIT {settings.exploration_pool}
    """)
    return exploration(n_slots, length=settings.list_length, key=key, eligible=eligible)


def _within(cut: Cut, days: int) -> str:
    return f"occurred_at < {cut.end} AND occurred_at >= {cut.end} - INTERVAL {days} DAY"
