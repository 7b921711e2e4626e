"""The command `dawnlist evaluate`: it checks what was typed, shows the progress, and leaves the work to `dawnlist.evaluate`."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dawnlist.errors import SplitError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

LONGEST_LIST = 500
VALIDATIONS = ("auto", "time", "last", "random")


def evaluate(
    train: Annotated[
        Path, typer.Option(help="Parquet file to learn from: user_id, item_id (integers or strings); optional weight (0 or more) and occurred_at")
    ],
    test: Annotated[Path, typer.Option(help="Parquet file of what these users did next: user_id, item_id; occurred_at, where there, says how it lies in time")],
    out: Annotated[Path, typer.Option(help="folder for metrics.json, per_user.parquet and recommendations.parquet")],
    k: Annotated[str, typer.Option("--k", help="lengths of the lists, with commas between them")] = "10,20",
    repeats: Annotated[bool, typer.Option("--repeats", help="items that a user has in train may be on the list: a shop where people buy again")] = False,
    seed: Annotated[int, typer.Option(min=0, help="of whatever is drawn at random: the same seed gives the same files")] = 1,
    items: Annotated[Path | None, typer.Option(help="Parquet file of item_id and category: calibration and diversity of categories are reported, too")] = None,
    validation: Annotated[str, typer.Option(help="how train is split inside to learn what to trust: auto, time, last (each user's newest) or random")] = "auto",
    horizon_days: Annotated[float | None, typer.Option(min=0.001, help="how many days after train the lists are for; default: as the test's times say")] = None,
    threads: Annotated[int, typer.Option(min=0, help="0: all cores")] = 0,
) -> None:
    """Learn from one Parquet file, recommend to the users of another, and say how good that is, against popularity and every single recommender.

    Every recommender is tuned, and the mixture of them learnt, on an inner split of the train file alone; what is best there is served. Example:

    dawnlist evaluate --train train.parquet --test test.parquet --k 10,20 --out result

    Every user of the test file counts in the averages; users without a row in train get the popular list. docs/evaluation.md defines the figures.
    """
    from rich.console import Console

    from dawnlist.evaluate import run, show

    ks, chosen = _lengths(k), _validation(validation)
    if out.exists() and not out.is_dir():
        raise SplitError(f"--out {out} is a file: name a folder.")
    request = run.Request(train, test, out, ks, repeats, seed, items, chosen, horizon_days, threads)
    console = Console(highlight=False)
    started = time.monotonic()
    with _Progress(console) as report:
        result = run.run(request, report)
    show.show(result, console)
    console.print(f"{out}: metrics.json, per_user.parquet, recommendations.parquet, in {time.monotonic() - started:.0f} s.", soft_wrap=True)


def _lengths(text: str) -> tuple[int, ...]:
    words = [word.strip() for word in text.split(",")]
    if not all(word.isascii() and word.isdigit() and 1 <= int(word) <= LONGEST_LIST for word in words):
        raise SplitError(f"--k {text!r} is no list of lengths: give whole numbers from 1 to {LONGEST_LIST} with commas between them, as in --k 10,20.")
    return tuple(sorted({int(word) for word in words}))


def _validation(name: str) -> str:
    if name not in VALIDATIONS:
        raise SplitError(f"--validation {name!r} is unknown: use one of {', '.join(VALIDATIONS)}.")
    return name


class _Progress:
    """A bar on a terminal; elsewhere a line whenever something else is being done."""

    def __init__(self, console: "Console") -> None:
        from rich.progress import Progress

        self._console, self._bar, self._last = console, Progress(console=console, transient=True, disable=not console.is_terminal), ""
        self._task: TaskID = self._bar.add_task("starting", total=1.0)

    def __enter__(self) -> "_Progress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, what: str, share: float) -> None:
        self._bar.update(self._task, description=what, completed=share)
        if what != self._last and not self._console.is_terminal:
            self._console.print(f"{share:4.0%} {what}")
        self._last = what
