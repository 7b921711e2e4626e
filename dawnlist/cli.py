"""The command line: one command a stage, and the ones around them. It calls the same functions as the DAGs."""

import atexit
import errno
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from dawnlist import __version__, export_commands, model_commands, publication_commands, status_command
from dawnlist.cli_evaluate import evaluate
from dawnlist.cli_tune import tune
from dawnlist.command_line import AsJson, Home, print_rows
from dawnlist.errors import INTERRUPTED_EXIT_CODE, DawnlistError, SettingsError, StorageError
from dawnlist.settings import Settings, load

if TYPE_CHECKING:
    from dawnlist.stages.base import Interval, StageResult

app = typer.Typer(
    name="dawnlist",
    help="Every list ready by dawn: raw events in; profiles, segments, recommendation lists and a CMS export out, every night.\n\n"
    "Start with `dawnlist simulate` and `dawnlist run`, or with `make demo`. Settings: `dawnlist settings`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="markdown",
)
sources_app = typer.Typer(help="The sources that events come from: one YAML file each in config/sources.", no_args_is_help=True)
app.command()(evaluate)
app.command()(tune)
app.command()(status_command.status)
for _command in (publication_commands.publications, publication_commands.rollback, publication_commands.suppress):
    app.command(rich_help_panel="What is published")(_command)
app.add_typer(export_commands.app, name="export", rich_help_panel="Stages of a night")
app.add_typer(sources_app, name="sources")
quarantine_app = typer.Typer(help="Rows that could not be used: why, how they look, and their replay after the mapping was mended.", no_args_is_help=True)
keys_app = typer.Typer(help="The key of the pseudonyms: what it is called, and its rotation.", no_args_is_help=True)
landing_app = typer.Typer(help="Landed files that the lake has: their retention.", no_args_is_help=True)
app.add_typer(quarantine_app, name="quarantine")
app.add_typer(keys_app, name="keys")
app.add_typer(landing_app, name="landing")
identity_app = typer.Typer(help="Which ids are one person, and which are not: docs/identity.md.", no_args_is_help=True)
app.add_typer(identity_app, name="identity")
rules_app = typer.Typer(help="Pins, boosts, exclusions, restrictions and triggers: docs/policies.md.", no_args_is_help=True)
app.add_typer(rules_app, name="rules")
app.add_typer(model_commands.app, name="models")

USAGE_EXIT_CODE = 2
CHILDREN_SECONDS = 10
LOADING_PANEL, NIGHT_PANEL = "Loading", "Stages of a night"
RunDate = Annotated[datetime | None, typer.Option("--run-date", formats=["%Y-%m-%d"], help="the last day whose events are complete (UTC)")]
SourceName = Annotated[str | None, typer.Option("--source", help="run this one source of config/sources instead of the site's")]
Landing = Annotated[str | None, typer.Option("--landing", help="the folder or URL (s3://bucket/folder) that the source's files lie in")]
Train = Annotated[bool, typer.Option("--train", help="train in this night, however new the newest model is")]


def main() -> None:
    """Entry point of the console script: user errors print one sentence and exit with the code of their kind."""
    signal.signal(signal.SIGTERM, _interrupt)
    _leave(_exit_code())


def _exit_code() -> int:
    try:
        with _readable_errors():
            code = app(standalone_mode=False)
        if code == INTERRUPTED_EXIT_CODE:  # what the framework makes of Ctrl-C
            raise KeyboardInterrupt
        return code if isinstance(code, int) else 0
    except DawnlistError as error:
        return _say(str(error), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return _say("Stopped. What was published is unchanged; run the same command again to go on.", INTERRUPTED_EXIT_CODE)
    except typer.Exit as stop:
        return stop.exit_code
    except Exception as error:  # noqa: BLE001 - the last place that can see it
        if isinstance(getattr(error, "exit_code", None), int) and hasattr(error, "format_message"):
            return _say(f"{error.format_message()} See `dawnlist --help`.", USAGE_EXIT_CODE)
        traceback.print_exc()
        return 1


def _interrupt(_signal: int, _frame: Any) -> None:
    raise KeyboardInterrupt


def _say(message: str, code: int) -> int:
    print(f"Error: {message}", file=sys.stderr)
    return code


def _leave(code: int) -> NoReturn:
    """Run what is due at the end, stop what this process started (Spark's JVM), and go without the interpreter's teardown, in which
    DuckDB's binding lists objects of its own as leaked.
    """
    import psutil

    with suppress(KeyboardInterrupt):
        atexit._run_exitfuncs()
    children = psutil.Process().children(recursive=True)
    for child in children:
        with suppress(psutil.NoSuchProcess):
            child.terminate()
    for child in psutil.wait_procs(children, timeout=CHILDREN_SECONDS)[1]:
        with suppress(psutil.NoSuchProcess):
            child.kill()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


@contextmanager
def _readable_errors() -> Iterator[None]:
    """The operating system's refusals, wherever they come up, as one sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StorageError(f"The disk is full{_at(error)}. Free some space and run this again; what was published is unchanged.") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise StorageError(f"No right to write or read{_at(error)}. Check the rights of the folder, or set DAWNLIST_HOME to another one.") from error
        raise


def _at(error: OSError) -> str:
    return f" ({error.filename})" if error.filename else ""


def _settings(home: Path | None = None, landing: str | None = None, source: str | None = None) -> Settings:
    from dawnlist import pipeline, sources

    overrides = {name: value for name, value in (("home", home), ("landing", landing)) if value is not None}
    settings = load(**overrides)
    if source is not None:
        sources.load(settings, source)
        settings = pipeline.for_source(settings, source, has_own_home=home is not None or bool(os.environ.get("DAWNLIST_HOME")))
    return settings


def _run_id(key: str) -> str:
    return f"{key}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"


def _stage(stage: str, settings: Settings, interval: "Interval", **options: Any) -> None:
    from dawnlist.stages import execute

    _print_result(execute(settings, stage, interval, run_id=_run_id(interval.key), **options))


def _print_result(result: "StageResult") -> None:
    from rich.console import Console

    console = Console(highlight=False)
    counts = ", ".join(f"{name.removeprefix('n_')} {count:,}" for name, count in result.counts.items())
    console.print(
        f"[bold]{result.stage}[/] {result.interval}: {result.rows_in:,} rows in, {result.rows_out:,} out, {result.seconds:.1f} s{f' ({counts})' if counts else ''}"
    )
    for note in result.notes:
        console.print(f"  [yellow]note[/] {note}")


@app.command()
def run(source: SourceName = None, landing: Landing = None, run_date: RunDate = None, train: Train = False, home: Home = None) -> None:
    """Ingest all that has landed and run one night, without Airflow, with a progress display."""
    from dawnlist import pipeline, summary, system

    settings = _settings(home, landing, source)
    day = run_date.date() if run_date else pipeline.default_run_date(settings)
    pipeline.check_landing(settings)
    system.require_all(settings.home)
    with _progress(settings) as report:
        pipeline.run(settings, day, run_id=_run_id(str(day)), report=report, train=train)
    summary.show(settings, day)


@contextmanager
def _progress(settings: Settings) -> Iterator[Callable[[str, "StageResult | None"], None]]:
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from dawnlist.stages import REPORT, STAGES

    console = Console(highlight=False)
    console.print(f"Home {settings.home}, sources {', '.join(settings.site.sources)}")
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("{task.completed}/{task.total} stages"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    ) as progress:
        task = progress.add_task("starting", total=len((*STAGES, REPORT)))

        def report(stage: str, result: "StageResult | None") -> None:
            if result is None:
                progress.update(task, description=stage)
                if not console.is_terminal:
                    console.print(f"{stage} …")
            else:
                progress.advance(task)
                _print_result(result)

        yield report


def _interval(run_date: datetime | None, hour: datetime | None, until: datetime | None) -> "Interval":
    from dawnlist.stages.base import Interval

    given = [value for value in (run_date, hour, until) if value is not None]
    if len(given) != 1:
        raise SettingsError(
            "Say for which time: exactly one of --hour 2026-11-20T05, --run-date 2026-11-20 (that day) or --until 2026-11-20 (all up to the end of that day)."
        )
    if hour:
        return Interval.hour(hour)
    return Interval.day(run_date.date()) if run_date else Interval.until(given[0].date())


Hour = Annotated[datetime | None, typer.Option("--hour", formats=["%Y-%m-%dT%H"], help="one hour (UTC)")]
Until = Annotated[datetime | None, typer.Option("--until", formats=["%Y-%m-%d"], help="everything up to the end of this day (UTC), in one batch")]


@app.command(rich_help_panel=LOADING_PANEL)
def ingest(run_date: RunDate = None, hour: Hour = None, until: Until = None, source: SourceName = None, landing: Landing = None, home: Home = None) -> None:
    """Read landed files into a staged batch: mapped, typed, pseudonymous; unreadable rows go to quarantine."""
    _stage("ingest", _settings(home, landing, source), _interval(run_date, hour, until))


@app.command(rich_help_panel=LOADING_PANEL)
def validate(run_date: RunDate = None, hour: Hour = None, until: Until = None, source: SourceName = None, home: Home = None) -> None:
    """Check the staged batches with Great Expectations and promote them into the lake, or keep them out."""
    _stage("validate", _settings(home, None, source), _interval(run_date, hour, until))


def _night_command(stage: str, text: str) -> None:
    def command(run_date: RunDate = None, source: SourceName = None, home: Home = None) -> None:
        settings = _settings(home, None, source)
        _stage(stage, settings, _night(settings, run_date))

    command.__doc__ = text
    app.command(stage, rich_help_panel=NIGHT_PANEL)(command)


def _night(settings: Settings, run_date: datetime | None) -> "Interval":
    from dawnlist import pipeline
    from dawnlist.stages.base import Interval

    return Interval.day(run_date.date() if run_date else pipeline.default_run_date(settings))


for _name, _text in {
    "segment": "Cluster the people with k-means in Spark.",
    "train": "In a night that trains: train the ranker point in time and compare the lists with most-popular on held-out days.",
    "recommend": "Rank everybody's list, apply the policies, and check the lists.",
}.items():
    _night_command(_name, _text)


@app.command("open", rich_help_panel=NIGHT_PANEL)
def open_night(run_date: RunDate = None, train: Train = False, source: SourceName = None, home: Home = None) -> None:
    """Check that the day is there (volume, freshness), pin the lake for the night, and decide whether it trains."""
    settings = _settings(home, None, source)
    _stage("open", settings, _night(settings, run_date), **({"train": True} if train else {}))


@app.command(rich_help_panel=NIGHT_PANEL)
def transform(
    run_date: RunDate = None,
    source: SourceName = None,
    home: Home = None,
    full: Annotated[bool, typer.Option("--full", help="build from nothing, whatever the build before has")] = False,
) -> None:
    """Build profiles, sessions, orders, RFM, features and interactions with dbt."""
    settings = _settings(home, None, source)
    _stage("transform", settings, _night(settings, run_date), **({"full": True} if full else {}))


@app.command(rich_help_panel=NIGHT_PANEL)
def publish(
    run_date: RunDate = None,
    source: SourceName = None,
    home: Home = None,
    force: Annotated[bool, typer.Option("--force", help="replace a newer publication by this older day")] = False,
) -> None:
    """Swap the serving tables and the analytics snapshot."""
    settings = _settings(home, None, source)
    _stage("publish", settings, _night(settings, run_date), **({"force": True} if force else {}))


@export_commands.app.callback()
def export(
    context: typer.Context,
    run_date: RunDate = None,
    source: SourceName = None,
    home: Home = None,
    accept_churn: Annotated[bool, typer.Option("--accept-churn", help="export even where more users change than the settings allow")] = False,
) -> None:
    """Write the CMS bundle of what is published, and the deltas for its consumers; or one of the commands below."""
    if context.invoked_subcommand is None:
        settings = _settings(home, None, source)
        _stage("export", settings, _night(settings, run_date), **({"accept_churn": True} if accept_churn else {}))


@app.command(rich_help_panel=NIGHT_PANEL)
def refresh(
    hour: Annotated[
        datetime | None, typer.Option("--hour", formats=["%Y-%m-%dT%H"], help="the hour (UTC) whose events are the newest; default: the last one that is over")
    ] = None,
    source: SourceName = None,
    home: Home = None,
) -> None:
    """Between two nights: renew popular lists and the lists of active persons by the events up to the end of an hour."""
    from dawnlist.stages import REFRESH
    from dawnlist.stages.base import HOUR, Interval

    _stage(REFRESH, _settings(home, None, source), Interval.hour(hour or datetime.now(UTC) - HOUR))


@app.command(rich_help_panel=NIGHT_PANEL)
def report(run_date: RunDate = None, source: SourceName = None, home: Home = None) -> None:
    """Write the page of the newest night, or of the night of --run-date: what came in, how good the lists are, what went out."""
    from dawnlist.stages import REPORT, execute
    from dawnlist.stages.base import Interval
    from dawnlist.summary import newest_night

    settings = _settings(home, None, source)
    interval = Interval.day(run_date.date() if run_date else newest_night(settings))
    result = execute(settings, REPORT, interval, run_id=_run_id(interval.key))
    _print_result(result)
    typer.echo(result.paths[0])


@app.command()
def summary(run_date: RunDate = None, source: SourceName = None, home: Home = None) -> None:
    """Show what the newest night did, or the night of --run-date."""
    from dawnlist import summary as report

    settings = _settings(home, None, source)
    report.show(settings, run_date.date() if run_date else report.newest_night(settings))


@app.command()
def explain(
    user: Annotated[str, typer.Option("--user", help="a user id or person id as the lake has it (32 hex digits), or the raw id that a source sends")],
    run_date: RunDate = None,
    features: Annotated[int, typer.Option(min=0, help="so many of the strongest features of each item")] = 5,
    form: Annotated[Literal["table", "json"], typer.Option("--format", help="table or json")] = "table",
    source: SourceName = None,
    home: Home = None,
) -> None:
    """Why each item is on a person's list: who proposed it, which features made its score, which rules touched it, and by which model."""
    from dawnlist import explain as explaining
    from dawnlist import summary as report

    settings = _settings(home, None, source)
    document = explaining.explain(settings, user, run_date.date() if run_date else report.newest_night(settings), n_features=features)
    if form == "json":
        typer.echo(json.dumps(document, indent=1))
    else:
        explaining.show(document)


@app.command()
def query(
    sql: Annotated[str | None, typer.Argument(help="one SELECT")] = None,
    file: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="a file that holds the SELECT, such as those of docs/queries")] = None,
    source: SourceName = None,
    home: Home = None,
) -> None:
    """Ask the analytics snapshot (marts, serving tables, gate history) with SQL."""
    import duckdb

    if (sql is None) == (file is None):
        raise typer.BadParameter("Give either a SELECT or --file.")
    question = sql or (file.read_text(encoding="utf-8") if file else "")
    settings = _settings(home, None, source)
    if not settings.analytics_file.exists():
        raise SettingsError(f"{settings.analytics_file} is not there yet. Run `dawnlist run` or `make demo` first.")
    with duckdb.connect(str(settings.analytics_file), read_only=True) as connection:
        try:
            typer.echo(connection.sql(question))
        except duckdb.Error as error:
            raise SettingsError(f"DuckDB cannot run this: {error}") from error


@sources_app.command("list")
def sources_list() -> None:
    """All sources, with what they are."""
    from rich.console import Console
    from rich.table import Table

    from dawnlist import sources

    settings = load()
    table = Table("source", "description", "inputs", "complete through", "licence")
    for name in sources.names(settings):
        source = sources.load(settings, name)
        table.add_row(name, source.description, ", ".join(source.inputs), str(source.complete_through or ""), source.licence)
    Console().print(table)


@sources_app.command("check")
def sources_check(
    file: Annotated[Path, typer.Argument(help="the YAML file of a source, or the name of one in config/sources")],
    landing: Landing = None,
    records: Annotated[int, typer.Option(min=1, help="about so many records of each input are mapped")] = 1000,
) -> None:
    """Every mistake of a source's YAML with its line, and what the mapping makes of the first records. People are shown as pseudonyms."""
    from dawnlist import remote, yaml_lines
    from dawnlist.errors import SourceError
    from dawnlist.source_tools import check, show

    settings = _settings(landing=landing)
    named = settings.sources_dir / f"{file}.yml"
    folder = None if landing is None or remote.is_url(landing) else Path(landing)
    report = check.check(settings, named if not file.exists() and named.exists() else file, folder, n_records=records)
    show.show(report)
    if report.mistakes:
        raise SourceError(yaml_lines.sentence(report.document.path, report.mistakes))


@sources_app.command("infer")
def sources_infer(
    path: Annotated[Path, typer.Argument(help="a folder of landed files, or one file")],
    name: Annotated[str | None, typer.Option(help="the name of the source; default: that of the folder or file")] = None,
    out: Annotated[Path | None, typer.Option(help="write the YAML to this new file; default: print it")] = None,
) -> None:
    """Propose a mapping for files: format, columns, kinds of events. Comments say how sure it is, and what you must decide."""
    from dawnlist.source_tools import infer
    from dawnlist.source_tools.presets import write_new

    text = infer.infer(load(), path, name or (out.stem if out else infer.name_of(path)))
    if out is None:
        typer.echo(text, nl=False)
        return
    write_new(out, text)
    typer.echo(
        f"{out}: {text.count('DECIDE')} things are yours to decide. Then: dawnlist sources check {out} --landing {path if path.is_dir() else path.parent}"
    )


@sources_app.command("presets")
def sources_presets() -> None:
    """Mappings of published layouts, for `dawnlist sources new`."""
    from rich.console import Console
    from rich.table import Table

    from dawnlist.source_tools.presets import presets

    table = Table("preset", "description", "inputs", "licence of the data")
    for preset in presets():
        table.add_row(preset.name, preset.description, ", ".join(preset.inputs), preset.licence)
    Console().print(table)


@sources_app.command("new")
def sources_new(
    name: Annotated[str, typer.Argument(help="the name of the new source")],
    preset: Annotated[str, typer.Option(help="one of `dawnlist sources presets`")],
) -> None:
    """Copy a preset to config/sources under a name of its own."""
    from dawnlist.source_tools.presets import create

    target = create(load(), name, preset)
    typer.echo(f"{target}: read it, then: dawnlist sources check {target} --landing FOLDER")


OfSource = Annotated[str | None, typer.Option("--source", help="only of this source")]
OfFile = Annotated[str | None, typer.Option("--file", help="only of this landed file: its name below the landing folder, or its SHA-256")]
OfReason = Annotated[str | None, typer.Option("--reason", help="only with this reason, as `quarantine list` writes it")]


def _show_rows(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
    elif not rows:
        typer.echo("Nothing is in quarantine.")
    else:
        print_rows(rows, lambda value: f"{value:,}" if isinstance(value, int) else value or "")


@quarantine_app.command("list")
def quarantine_list(source: OfSource = None, as_json: AsJson = False, landing: Landing = None, home: Home = None) -> None:
    """Reasons with their counts, per source, input and field, with the first and the last file by name."""
    from dawnlist import quarantine

    _show_rows(quarantine.reasons(_settings(home, landing, source), quarantine.Chosen(source=source)), as_json=as_json)


@quarantine_app.command("show")
def quarantine_show(
    source: OfSource = None,
    file: OfFile = None,
    reason: OfReason = None,
    limit: Annotated[int, typer.Option(min=1, help="so many rows, of each reason in turn")] = 20,
    content: Annotated[bool, typer.Option("--content", help="read the landed lines again and show them with what is a person's masked")] = False,
    as_json: AsJson = False,
    landing: Landing = None,
    home: Home = None,
) -> None:
    """Rows in quarantine: file, line, field and reason; with --content how the line looks."""
    from dawnlist import quarantine

    chosen = quarantine.Chosen(source=source, file=file, reason=reason)
    rows = quarantine.samples(_settings(home, landing, source), chosen, limit=limit, with_content=content)
    _show_rows([{name: value for name, value in row.items() if name != "file_id"} for row in rows], as_json=as_json)


@quarantine_app.command("replay")
def quarantine_replay(source: OfSource = None, file: OfFile = None, reason: OfReason = None, landing: Landing = None, home: Home = None) -> None:
    """After the mapping or a rule is mended: read the files again that have rows in quarantine, and add what can be used by now."""
    from dawnlist import quarantine
    from dawnlist.stages.base import Interval

    chosen = quarantine.Chosen(source=source, file=file, reason=reason)
    settings, today = _settings(home, landing, source), Interval.until(datetime.now(UTC).date())
    results = quarantine.replay(settings, chosen, today, run_id=_run_id(quarantine.INTERVAL))
    for result in results:
        typer.echo(
            f"{result.source}: {result.n_files:,} files read again; in quarantine {result.n_quarantined_before:,} -> {result.n_quarantined:,}, "
            f"kept {result.n_kept_before:,} -> {result.n_kept:,}"
        )
        for note in (*result.notes, *(f"{name} is no longer in landing; its rows stay in quarantine" for name in result.gone)):
            typer.echo(f"  note {note}")
    if not results:
        typer.echo("Nothing in quarantine fits.")


@keys_app.command("show")
def keys_show(home: Home = None) -> None:
    """The names of the keys in use, and whether two overlap. Never a key itself."""
    from dawnlist import privacy

    settings = _settings(home)
    if not privacy.has_key(settings):
        typer.echo(f"There is no key yet: the first ingest generates {privacy.key_path(settings)}.")
        return
    key = privacy.load_key(settings)
    typer.echo(f"key {key.key_id}: {'the environment' if settings.privacy.key else privacy.key_path(settings)}")
    if key.previous is None:
        typer.echo("No overlap: ids are hashed with this key alone.")
        return
    where = "the environment" if settings.privacy.previous_key else privacy.previous_key_path(settings)
    typer.echo(f"key before it {key.previous.key_id}: {where}")
    typer.echo(f"The two overlap: {privacy.n_links(settings, key):,} ids are linked so far. The overlap ends when the key before is taken away.")


@keys_app.command("rotate")
def keys_rotate(home: Home = None) -> None:
    """Make a new key file and keep the old one beside it: from now on ids are hashed with both, until the old one is taken away."""
    from dawnlist import privacy
    from dawnlist.stages import lock

    settings = _settings(home)
    with lock(settings, "ingest"):
        key = privacy.rotate(settings)
    typer.echo(f"The key is {key.key_id} now; the one before it is in {privacy.previous_key_path(settings)}, and the two overlap.")
    typer.echo("Remove that file when everybody who matters has been seen again: docs/privacy.md.")


Pseudonym = Annotated[str, typer.Argument(metavar="ID", help="a user id or an anonymous id as the lake has it: 32 hex digits")]
FromOther = Annotated[str, typer.Option("--from", metavar="OTHER", help="the id that it is no longer to be one person with")]
Note = Annotated[str, typer.Option(help="why; no personal data")]


@identity_app.command("show")
def identity_show(pseudonym: Pseudonym, as_json: AsJson = False, home: Home = None) -> None:
    """The person of an id: its ids, the logins that link them, what was cut, its history and the corrections."""
    from dawnlist.identity import show

    parts = show.person(_settings(home), pseudonym)
    if as_json:
        typer.echo(json.dumps(parts, indent=1, default=str))
        return
    for part, rows in parts.items():
        typer.echo(f"{part}:" if rows else f"{part}: none")
        if rows:
            _show_rows(_printable(rows), as_json=False)


@identity_app.command("split")
def identity_split(pseudonym: Pseudonym, other: FromOther, note: Note = "", home: Home = None) -> None:
    """Say that ID is not the person of OTHER: the nights that are opened from now on keep them apart."""
    _correct("split", pseudonym, other, note, home)
    typer.echo("Recorded. The next night keeps them apart; `dawnlist identity undo` takes it back.")


@identity_app.command("undo")
def identity_undo(pseudonym: Pseudonym, other: FromOther, note: Note = "", home: Home = None) -> None:
    """Take a split back: the next night goes by what was seen again."""
    _correct("undo", pseudonym, other, note, home)
    typer.echo("Recorded. The next night goes by what was seen.")


@identity_app.command("corrections")
def identity_corrections(as_json: AsJson = False, home: Home = None) -> None:
    """All splits and undos in the order in which they were said, and whether they hold."""
    from dawnlist.identity import show

    rows = show.said(_settings(home))
    if rows or as_json:
        _show_rows(_printable(rows), as_json=as_json)
    else:
        typer.echo("Nothing was corrected.")


def _correct(action: str, pseudonym: str, other: str, note: str, home: Path | None) -> None:
    from dawnlist.identity import corrections

    now = datetime.now(UTC).replace(tzinfo=None)
    corrections.record(_settings(home), action, pseudonym, other, note=note, said_at=now, run_id=_run_id("identity"))


def _printable(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value if value is None or type(value) is int else str(value) for name, value in row.items()} for row in rows]


@rules_app.command("check")
def rules_check(file: Annotated[Path | None, typer.Argument(help="a rules file; default: that of the settings")] = None) -> None:
    """Every mistake of a rules file with its line; without one, what each rule and trigger does."""
    from dawnlist import rules

    found = rules.load(load()) if file is None else rules.read(file)
    if not found.rules and not found.triggers:
        typer.echo("There are no rules.")
    for entries in (found.rules, found.triggers):
        shown = [entry.model_dump(mode="json", exclude_none=True) for entry in entries]
        if shown:
            names = [name for name in type(entries[0]).model_fields if any(name in other for other in shown)]
            _show_rows([{name: _words(one.get(name)) for name in names} for one in shown], as_json=False)


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_words(inner)}" for name, inner in value.items())
    return ", ".join(value) if isinstance(value, list) else "" if value is None else str(value)


@landing_app.command("prune")
def landing_prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would be removed")] = False,
    include_quarantined: Annotated[
        bool, typer.Option("--include-quarantined", help="also files with rows in quarantine: they cannot be replayed then")
    ] = False,
    source: SourceName = None,
    landing: Landing = None,
    home: Home = None,
) -> None:
    """Remove landed files that are in the lake and older than ingest.landing_retention_days."""
    from dawnlist import retention

    now = datetime.now(UTC).replace(tzinfo=None)
    pruned = retention.prune(_settings(home, landing, source), now=now, include_quarantined=include_quarantined, is_dry_run=dry_run)
    for name, file in pruned.files:
        typer.echo(f"{name} {file}")
    typer.echo(f"{'Would remove' if dry_run else 'Removed'} {len(pruned.files):,} files, {pruned.n_bytes:,} bytes.")


@app.command("settings")
def show_settings() -> None:
    """Every setting with its value, its environment variable and what it does."""
    from pydantic import BaseModel, SecretStr
    from rich.console import Console
    from rich.table import Table

    table = Table("environment variable", "value", "what it does")

    def add(model: BaseModel, path: tuple[str, ...]) -> None:
        for name, field in type(model).model_fields.items():
            value = getattr(model, name)
            if isinstance(value, BaseModel):
                add(value, (*path, name))
            else:
                shown = "(secret)" if isinstance(value, SecretStr) else json.dumps(value, default=str)
                table.add_row("DAWNLIST_" + "__".join((*path, name)).upper(), shown, field.description or "")

    add(load(), ())
    Console().print(table)


@app.command()
def simulate(
    out: Annotated[Path, typer.Option(help="folder to write: events/, items/, customers/, consents/ and truth/")],
    users: Annotated[int, typer.Option(help="visitors, known and anonymous")] = 2000,
    items: Annotated[int, typer.Option(help="items of the catalogue")] = 500,
    days: Annotated[int, typer.Option(help="days of history")] = 21,
    seed: Annotated[int, typer.Option(help="the same seed gives the same bytes")] = 7,
    end_date: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="the last day")] = None,
) -> None:
    """Make the landed files of a shop that does not exist: hourly Segment-style events, catalogue, customers, consents, and the truth behind them."""
    from rich.progress import Progress

    from dawnlist import simulate as simulator

    with Progress(transient=True) as progress:
        task = progress.add_task("simulating")
        result = simulator.run(
            users=users,
            items=items,
            days=days,
            seed=seed,
            out=out,
            end_date=end_date.date() if end_date else None,
            progress=lambda what, done, total: progress.update(task, description=what, completed=done, total=total),
        )
    typer.echo(
        f"{out}: {result.event_lines:,} event lines in {result.event_files:,} files, {result.first_day} to {result.last_day}, in {result.seconds:.1f} s."
    )
    typer.echo(f"Run the last night of it with: dawnlist run --source store --landing {out} --run-date {result.last_day}")


@app.command()
def demo(home: Home = None) -> None:
    """Simulate a shop for three weeks and run its last night in Airflow, from landed files to the export."""
    from dawnlist import demo as demonstration
    from dawnlist import system

    settings = _settings(home)
    system.require_all(settings.home)
    code = demonstration.run(settings)
    if code:
        raise typer.Exit(code)


@app.command()
def airflow(home: Home = None) -> None:
    """Start Airflow with its UI on this home; Ctrl-C stops all of it."""
    from dawnlist import airflow_stack, system

    settings = _settings(home)
    system.require_all(settings.home)
    airflow_stack.serve(settings)


@app.command()
def version() -> None:
    """The version of Dawnlist."""
    typer.echo(__version__)


if __name__ == "__main__":
    main()
