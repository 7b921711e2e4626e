"""dbt's `adapter` as sqlfluff sees it: a dispatched macro is linted as a function of the same name."""

from collections.abc import Callable


def dispatch(name: str) -> Callable[..., str]:
    """The macro `name`, which renders as a call of a function."""
    return lambda *arguments: f"{name}({', '.join(map(str, arguments))})"
