"""What the rules of a site do to lists: policies over the tables rule, target and recipient.

rule        r (the order of the file), id, action, factor, position, countries, segments (NULL: no such condition), reason
target      (r, i): the items that a rule concerns
recipient   p, country, segments (labels; both NULL where they are unknown or must not be used)
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from models.policies import Policy, applied, inserted, listable, moved, not_excluded

if TYPE_CHECKING:
    import duckdb

    from dawnlist.rules import Rule

# A condition on what is not known of somebody does not hold.
_HOLDS: Final = """
    (rule.countries IS NULL OR coalesce(list_contains(rule.countries, recipient.country), false))
    AND (rule.segments IS NULL OR coalesce(list_has_any(rule.segments, recipient.segments), false))
"""
_NAMED: Final = {"items": "item_id", "categories": "category", "brands": "brand"}


def create_rules(connection: "duckdb.DuckDBPyConnection", rules: Sequence["Rule"]) -> None:
    """Tables `rule` and `target` of the `rules` in force. Needs the table item."""
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE rule (r INTEGER, id VARCHAR, action VARCHAR, factor DOUBLE, position INTEGER,
            countries VARCHAR[], segments VARCHAR[], reason VARCHAR)
    """)
    connection.execute("CREATE OR REPLACE TEMP TABLE named (r INTEGER, kind VARCHAR, name VARCHAR)")
    for r, rule in enumerate(rules):
        conditions = [list(names) if names else None for names in ((rule.when.countries, rule.when.segments) if rule.when else (None, None))]
        row = [r, rule.id, rule.action, rule.factor, rule.position, *conditions, rule.reason]
        connection.execute("INSERT INTO rule VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        for kind in _NAMED:
            connection.execute("INSERT INTO named SELECT ?, ?, unnest(?::VARCHAR[])", [r, kind, list(getattr(rule, kind) or ())])
    concerned = " UNION ".join(f"SELECT r, i FROM named JOIN item ON kind = '{kind}' AND name = {column}" for kind, column in _NAMED.items())
    connection.execute(f"CREATE OR REPLACE TEMP TABLE target AS {concerned}")


def unknown_names(connection: "duckdb.DuckDBPyConnection") -> list[str]:
    """A sentence for each rule and kind of name that nothing has tonight: items, categories, brands, countries, segments. Needs the table recipient."""
    known = {"items": "SELECT item_id FROM item", "categories": "SELECT category FROM item", "brands": "SELECT brand FROM item"}
    known |= {"countries": "SELECT country FROM recipient", "segments": "SELECT unnest(segments) FROM recipient"}
    said = "SELECT r, kind, name FROM named " + " ".join(f"UNION ALL SELECT r, '{kind}', unnest({kind}) FROM rule" for kind in ("countries", "segments"))
    missing = " OR ".join(f"(kind = '{kind}' AND name NOT IN (SELECT * FROM ({query}) AS found(name) WHERE name IS NOT NULL))" for kind, query in known.items())
    rows = connection.execute(f"SELECT id, kind, list(name ORDER BY name) FROM ({said}) JOIN rule USING (r) WHERE {missing} GROUP BY ALL ORDER BY id, kind")
    return [f"rule {name}: nothing tonight has these {kind}: {', '.join(names)}" for name, kind, names in rows.fetchall()]


def permitted(query: str) -> str:
    """No item that a rule excludes for the recipient, or lets only others see."""
    return f"""
        WITH asked AS MATERIALIZED ({query}),
        barred AS (
            SELECT DISTINCT p, i FROM (SELECT p, i FROM asked) JOIN target USING (i) JOIN rule USING (r) JOIN recipient USING (p)
            WHERE (action = 'exclude' AND {_HOLDS}) OR (action = 'restrict' AND NOT ({_HOLDS}))
        )
        SELECT * FROM asked ANTI JOIN barred USING (p, i)
    """


def boosts(query: str) -> str:
    """Places divided by the product of the factors of all boosts that hold; the rules are noted in the column rules."""
    touched = f"""
        SELECT p, i, round(product(factor), 6) AS factor, list(id ORDER BY r) AS ids
        FROM offered JOIN target USING (i) JOIN rule USING (r) JOIN recipient USING (p) WHERE action = 'boost' AND {_HOLDS} GROUP BY p, i
    """
    return moved(query, touched)


def pins(query: str) -> str:
    """Pinned items at their positions, whether they were candidates or not, unless they may not be shown; what else is listed closes up around them.

    Two pins of one position: the first rule's item has it, and the next one follows.
    """
    wanted = f"""
        SELECT p, i, position, r, id FROM (SELECT DISTINCT p FROM offered) JOIN recipient USING (p) JOIN rule ON action = 'pin' AND {_HOLDS} JOIN target USING (r)
        QUALIFY row_number() OVER (PARTITION BY p, i ORDER BY position, r) = 1
    """
    order = "OVER (PARTITION BY p ORDER BY position, r, i ROWS UNBOUNDED PRECEDING)"
    placed = f"""
        SELECT p, i, n + max(position - n) {order} AS place, n, 'rule' AS source, NULL::DOUBLE AS propensity, [id] AS ids
        FROM (SELECT *, row_number() {order} AS n FROM ({applied(wanted, listable, not_excluded, permitted)}))
    """
    return inserted(query, placed)


def policies(rules: Sequence["Rule"]) -> dict[str, Policy]:
    """The policies of these rules by their names; none for actions that no rule takes."""
    actions = {rule.action for rule in rules}
    return {name: policy for name, action, policy in (("boosts", "boost", boosts), ("pins", "pin", pins)) if action in actions}


def eligible(rules: Sequence["Rule"]) -> tuple[Policy, ...]:
    """What may be shown at all: the catalogue's word, the source's, and the rules'."""
    return (listable, not_excluded, *([permitted] if {"exclude", "restrict"} & {rule.action for rule in rules} else []))
