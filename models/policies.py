"""What may be on a list. A policy maps the SQL of lists, one row per (p, i) with `place` (1 = first), to the SQL of the rows that it lets pass.

Policies are independent of each other and of who proposed an item: candidates, ranked lists and fill-ins all go through them.
"""

from collections.abc import Callable

Policy = Callable[[str], str]


def applied(query: str, *policies: Policy) -> str:
    """`query` after all `policies`, the first one innermost."""
    for policy in policies:
        query = policy(query)
    return query


def listable(query: str) -> str:
    """No blocked item; on the run date no unavailable one either (table item)."""
    return f"SELECT * FROM ({query}) SEMI JOIN (SELECT i FROM item WHERE is_listable) USING (i)"


def not_excluded(query: str) -> str:
    """Nothing that the source's rules keep from the person: bought, or seen (table excluded)."""
    return f"SELECT * FROM ({query}) ANTI JOIN excluded USING (p, i)"


def category_cap(cap: int) -> Policy:
    """At most `cap` items of a category per list, its first ones; items without a category are not limited, and 0 limits nothing."""

    def capped(query: str) -> str:
        return f"""
            SELECT offered.* FROM ({query}) AS offered JOIN item USING (i)
            QUALIFY item.category IS NULL OR row_number() OVER (PARTITION BY p, item.category ORDER BY place, i) <= {cap}
        """

    return capped if cap else lambda query: query


def top(length: int) -> Policy:
    """The first `length` of each list. Adds the column rank: 1, 2, … without gaps."""
    return lambda query: f"SELECT *, row_number() OVER (PARTITION BY p ORDER BY place, i) AS rank FROM ({query}) QUALIFY rank <= {length}"
