"""The end of `dawnlist evaluate` on the terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table


def show(result: dict[str, Any], console: Console) -> None:
    """A table of the strategies, best first, with the 95% intervals of the metric that was learnt for, and of what the served lists are ahead."""
    metric = next(name for name in result["validation"] if name.startswith("ndcg@"))
    deepest = f"recall@{max(result['k'])}"
    table = Table("strategy", f"{metric} (95%)", deepest, "served is ahead by (95%, paired)")
    ordered = sorted(result["strategies"].items(), key=lambda pair: -pair[1]["metrics"][metric])
    for name, strategy in ordered:
        low, high = strategy["intervals"][metric]
        gap = result["differences"].get(name, {}).get(metric)
        table.add_row(
            f"[bold]{name}[/] (served)" if name == result["served"] else name,
            f"{strategy['metrics'][metric]:.4f} ({low:.4f} to {high:.4f})",
            f"{strategy['metrics'][deepest]:.4f}",
            "" if gap is None else f"{gap[1]:+.4f} ({gap[0]:+.4f} to {gap[2]:+.4f})",
        )
    console.print(table)
    users = result["users"]
    console.print(
        f"{users['all']:,} users of the test: {users['warm']:,} known in training, {users['cold']:,} new, who get the list '{result['baselines']['popularity']}'."
    )
    described = [f"{name} {value:.4f}" for name, value in result["metrics"].items() if name.endswith(f"@{max(result['k'])}")]
    console.print(f"Served: {', '.join(described)}.")
    for note in result["notes"]:
        console.print(f"[yellow]note[/] {note}")
