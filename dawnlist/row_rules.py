"""What a row must fulfil to go on, told once: `condition` is SQL for the pass over the landed rows that finds those for quarantine, and
`expectations.kinds.row` makes the Great Expectations form of the same rule, by which the gate sees that none was left.

A condition is false for exactly the rows that GX would count; a NULL value makes it NULL, which is no failure, in GX too. The rules are
plain data: importing them costs nothing, where GX takes seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from dawnlist.duck import identifier, literal

Kind = Literal["filled", "one_of", "none_of", "at_least"]
Bound = int | float | datetime


@dataclass(frozen=True)
class RowRule:
    """Rows whose `field` goes against the rule go to quarantine for `reason`.

    kind: filled (not NULL), one_of and none_of (`values`), at_least (`bound`). With `only` (column, values) the rule is for the rows whose
    column has one of the values.
    """

    reason: str
    field: str
    kind: Kind
    values: tuple[str, ...] = ()
    bound: Bound | None = None
    only: tuple[str, tuple[str, ...]] | None = None

    @property
    def condition(self) -> str:
        """SQL that is false for the rows that quarantine takes; NULL counts as good."""
        column = identifier(self.field)
        condition = {
            "filled": f"{column} IS NOT NULL",
            "one_of": f"{column} IN ({_list(self.values)})",
            "none_of": f"{column} NOT IN ({_list(self.values)})",
            "at_least": f"{column} >= {_bound(self.bound)}",
        }[self.kind]
        if self.only is None:
            return condition
        other, values = self.only
        return f"NOT coalesce({identifier(other)} IN ({_list(values)}), false) OR ({condition})"


def problem_of(rules: Sequence[RowRule]) -> str:
    """SQL that gives 'field: reason' of the first rule that a row breaks, else NULL."""
    cases = " ".join(f"WHEN NOT ({rule.condition}) THEN {literal(f'{rule.field}: {rule.reason}')}" for rule in rules)
    return f"CASE {cases} END" if cases else "NULL::VARCHAR"


def _list(values: Sequence[str]) -> str:
    return ", ".join(map(literal, values)) or "NULL"


def _bound(bound: Bound | None) -> str:
    return f"TIMESTAMP {literal(bound.isoformat(sep=' '))}" if isinstance(bound, datetime) else str(bound)
