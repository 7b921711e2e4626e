"""What a night did, for a person at a terminal: rows, gates, model, publication, three sample lists, where things lie, what to try."""

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from dawnlist import duck
from dawnlist.columns import GATE_RESULTS, LEDGER, SOURCE_SCORES
from dawnlist.errors import MissingInputError
from dawnlist.lake import Lake
from dawnlist.settings import Settings
from dawnlist.stages import LOADING, NIGHT
from dawnlist.stages.base import Night, StageResult

COUNTS = ("quarantined", "duplicates", "ignored")
SAMPLE_USERS = 3
SAMPLE_ITEMS = 5
TITLE_WIDTH = 44


def show(settings: Settings, run_date: date, console: Console | None = None) -> None:
    """Print the summary of the night of `run_date`. Raises MissingInputError when it has not been run."""
    console = console or Console()
    loads, night = _results(settings, run_date)
    if not night:
        raise MissingInputError(f"No night of {run_date} has been run in {settings.home}. Run `dawnlist run --run-date {run_date}` first.")
    console.rule(f"[bold]The night of {run_date}")
    console.print(_stages_table(loads, night))
    console.print(_ledger_table(settings))
    console.print(_gate_table(settings, night))
    console.print(_scores_table(settings, run_date))
    for result in night:
        if result.stage == "train":
            _print_quality(console, result)
    _print_samples(settings, run_date, console)
    console.print(_places_table(settings, run_date))
    _print_notes(console, [*loads, *night])
    _print_next(settings, run_date, console)


def _results(settings: Settings, run_date: date) -> tuple[list[StageResult], list[StageResult]]:
    """Results of all loads so far, summed per kind (bulk, hours), and of the night's stages in their order."""
    loads = []
    for stage in LOADING:
        for kind, pattern in (("history", "until-*"), ("hours", "????-??-??T??"), ("days", "????-??-??")):
            found = [StageResult.read(path) for path in sorted(settings.runs_dir.glob(f"{pattern}/{stage}.json"))]
            if found:
                loads.append(_total(f"{stage} ({len(found)} {kind})" if kind != "history" else f"{stage} (history)", found))
    paths = [settings.runs_dir / str(run_date) / f"{stage}.json" for stage in NIGHT]
    return loads, [StageResult.read(path) for path in paths if path.exists()]


def _total(name: str, results: Sequence[StageResult]) -> StageResult:
    total = StageResult(name, results[0].interval)
    for result in results:
        total.rows_in += result.rows_in
        total.rows_out += result.rows_out
        total.seconds += result.seconds
        total.notes += [note for note in result.notes if "nothing new has landed" not in note]
        for key, count in result.counts.items():
            total.counts[key] = total.counts.get(key, 0) + count
    return total


def _table(title: str, *columns: str, numbers: Sequence[str] = ()) -> Table:
    table = Table(*columns, title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in numbers:
        table.add_column(name, justify="right")
    return table


def _stages_table(loads: Sequence[StageResult], night: Sequence[StageResult]) -> Table:
    table = _table("Stages", "stage", numbers=("rows in", "rows out", *COUNTS, "seconds"))
    for result in [*loads, *night]:
        counts = [f"{result.counts[f'n_{name}']:,}" if f"n_{name}" in result.counts else "" for name in COUNTS]
        table.add_row(result.stage, f"{result.rows_in:,}", f"{result.rows_out:,}", *counts, f"{result.seconds:.1f}")
    return table


def _ledger_table(settings: Settings) -> Table:
    """What has become of every record that ever landed: read = kept + quarantined + duplicates + ignored."""
    table = _table("Records in the ledger, since the beginning", "source", "input", numbers=("files", "read", "kept", *COUNTS))
    files = Lake(settings.lake_dir).snapshot().files("ledger")
    sums = ", ".join(f"sum(n_{name})::BIGINT" for name in ("read", "kept", *COUNTS))
    with duck.connect(settings) as connection:
        rows = connection.execute(f"SELECT source, input, count(*), {sums} FROM {duck.scan(files, LEDGER)} GROUP BY ALL ORDER BY 1, 2").fetchall()
    for source, kind, *numbers in rows:
        table.add_row(source, kind, *(f"{number:,}" for number in numbers))
    return table


def _gate_table(settings: Settings, night: Sequence[StageResult]) -> Table:
    """How many expectations held: over all batches that were ever let in or kept out, and over the tables of this night."""
    table = _table("Gate", "suite", "source", numbers=("held", "warnings", "failed"))
    files = Lake(settings.lake_dir).snapshot().files("gate_results")
    runs = [result.run_id for result in night]
    with duck.connect(settings) as connection:
        rows = connection.execute(
            "SELECT suite, source, count(*) FILTER (is_success), count(*) FILTER (NOT is_success AND severity = 'warning'), "
            f"count(*) FILTER (NOT is_success AND severity IN ('critical', 'row')) FROM {duck.scan(files, GATE_RESULTS)} "
            "WHERE suite IN ('events', 'items', 'customers', 'consents') OR list_contains(?, run_id) GROUP BY ALL ORDER BY 1, 2",
            [runs],
        ).fetchall()
    for suite, source, held, warned, failed in rows:
        table.add_row(suite, source, f"{held:,}", f"{warned:,}" if warned else "", f"[red]{failed:,}" if failed else "")
    return table


def _scores_table(settings: Settings, run_date: date) -> Table:
    """How good each source's data was on the run date, and what each score is made of."""
    table = _table("Scores of the sources (0 to 1, docs/data-quality.md)", "source", "dimension", numbers=("score", "weight"))
    table.add_column("made of")
    files = Lake(settings.lake_dir).snapshot().files("source_scores")
    with duck.connect(settings) as connection:
        rows = connection.execute(
            f"SELECT source, dimension, score, weight, detail FROM {duck.scan(files, SOURCE_SCORES)} WHERE run_date = ? ORDER BY source, dimension = 'total', dimension",
            [run_date],
        ).fetchall()
    for source, dimension, score, weight, detail in rows:
        table.add_row(source, dimension, "" if score is None else f"{score:.3f}", f"{weight:g}", detail)
    return table


def _print_quality(console: Console, train: StageResult) -> None:
    metrics = train.metrics
    names = [name for name in ("ndcg@10", "recall@20", "hit_rate@10") if name in metrics.get("most_popular", {})]
    table = _table("Lists on the held-out days", "recommender", numbers=names)
    for label in ("ranker", "best_single", "most_popular"):
        if isinstance(metrics.get(label), dict):
            shown = f"{label.replace('_', ' ')} ({metrics[label]['name']})" if "name" in metrics[label] else label.replace("_", " ")
            table.add_row(shown, *(f"{metrics[label][name]:.4f}" for name in names))
    if names:
        console.print(table)
        low, middle, high = metrics.get("difference", {}).get("ndcg@10", (None, None, None))
        if low is not None:
            console.print(
                f"Difference to most popular in nDCG@10, paired 95% interval over {metrics.get('n_users', 0):,} users: {middle:+.4f} ({low:+.4f} to {high:+.4f}). Served: {metrics.get('served')}."
            )


def _print_samples(settings: Settings, run_date: date, console: Console) -> None:
    """Three people with their lists: the two with most events among those who consent, and one who does not, where there is one."""
    tables = Night.load(settings, run_date).tables.snapshot()
    lists, items, users = (
        duck.path_list(tables.require(name, stage=stage))
        for name, stage in (("recommendations", "recommend"), ("dim_items", "transform"), ("dim_users", "transform"))
    )
    with duck.connect(settings) as connection:
        rows = connection.execute(f"""
            WITH lists AS (FROM read_parquet({lists})), users AS (FROM read_parquet({users})), items AS (FROM read_parquet({items})),
            chosen AS (
                SELECT person_id, country, has_personalisation_consent, n_events,
                    row_number() OVER (PARTITION BY has_personalisation_consent ORDER BY n_events DESC NULLS LAST, person_id) AS place
                FROM users SEMI JOIN lists USING (person_id)
                ORDER BY place > CASE WHEN has_personalisation_consent THEN 2 ELSE 1 END, place, person_id LIMIT {SAMPLE_USERS}
            )
            SELECT chosen.person_id, chosen.country, chosen.has_personalisation_consent, chosen.n_events, rank, coalesce(items.title, 'item ' || item_id), lists.reason
            FROM chosen JOIN lists USING (person_id) LEFT JOIN items USING (item_id) WHERE rank <= {SAMPLE_ITEMS} ORDER BY chosen.n_events DESC NULLS LAST, 1, rank
        """).fetchall()
    table = _table("Three people and their lists", "person", "#", "item", "why")
    last = None
    for person, country, consents, events, rank, title, reason in rows:
        who = f"{person[:8]}… {country or ''}\n{f'{events:,} events' if events else 'no consent' if not consents else 'new'}" if person != last else ""
        table.add_row(who, str(rank), title[:TITLE_WIDTH], reason or "", end_section=rank == SAMPLE_ITEMS)
        last = person
    console.print(table)


def _places_table(settings: Settings, run_date: date) -> Table:
    table = _table("Where things lie", "what", "where")
    serving = "Postgres (serving.url)" if settings.serving.url else str(settings.serving_file)
    export = settings.exports_dir / "latest"
    places: dict[str, Any] = {
        "serving table": serving,
        "analytics DuckDB file": settings.analytics_file,
        "CMS export": export.resolve() if export.exists() else settings.exports_dir,
        "Data Docs": settings.data_docs_dir / str(run_date) / "index.html",
        "lake": settings.lake_dir,
        "run record": settings.runs_dir / str(run_date),
        "report": settings.reports_dir / str(run_date) / "index.html",
    }
    for what, where in places.items():
        table.add_row(what, str(where))
    return table


def _print_notes(console: Console, results: Sequence[StageResult]) -> None:
    for result in results:
        for note in list(dict.fromkeys(result.notes))[:5]:
            console.print(f"[yellow]{result.stage}[/]: {note}", highlight=False)


def _print_next(settings: Settings, run_date: date, console: Console) -> None:
    home = "" if settings.home == type(settings).model_fields["home"].default else f"DAWNLIST_HOME={_short(settings.home)} "
    console.print("\n[bold]Try next")
    for command in (
        f'{home}.venv/bin/dawnlist query "SELECT * FROM serving.recommendations ORDER BY user_id, rank LIMIT 10"',
        f"{home}.venv/bin/dawnlist export verify {_short(settings.exports_dir / 'latest')}",
        f"{home}make airflow",
        f"{home}.venv/bin/dawnlist --help",
    ):
        console.print(f"  {command}", highlight=False, soft_wrap=True)
    page = settings.reports_dir / str(run_date) / "index.html"
    if page.exists():
        console.print(f"\n[bold]The report of the night:[/] {page}", highlight=False, soft_wrap=True)


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def newest_night(settings: Settings) -> date:
    """The newest night of this home. Raises MissingInputError when there is none."""
    days = [datetime.strptime(path.parent.name, "%Y-%m-%d").date() for path in settings.home.glob("nights/*/night.json")]
    if not days:
        raise MissingInputError(f"{settings.home} has no night yet. Run `dawnlist run` or `make demo` first.")
    return max(days)
