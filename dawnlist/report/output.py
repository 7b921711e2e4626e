"""What went out, how long it took, what the stages noted, and where to look further."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, Final
from urllib.parse import urlsplit

from dawnlist.errors import MissingInputError
from dawnlist.export import shelf
from dawnlist.export.contract import read_manifest
from dawnlist.report.document import Bar, Bars, Cell, Lines, Link, Table
from dawnlist.report.known import LOADING, NIGHTS, Known
from dawnlist.serving import open_store

PUBLICATIONS: Final = 7
NOTES: Final = 20
ORDER: Final = (*LOADING, "open", "transform", "segment", "train", "recommend", "publish", "suppress", "export")  # the report is not in its own timings


def publications(known: Known) -> Table:
    """The newest publications up to the run date, the newest first."""
    history = [one for one in open_store(known.settings).publications() if one.run_date <= known.run_date]
    if not history:
        raise MissingInputError("Nothing has been published up to this night.")
    rows = [
        (
            one.sequence,
            str(one.run_date),
            one.kind if one.of_sequence is None else f"{one.kind} of {one.of_sequence}",
            f"{one.published_at:%Y-%m-%d %H:%M}",
            f"{one.expires_at:%Y-%m-%d %H:%M}",
            one.n_users,
            one.n_recommendations,
            one.model_version or "",
        )
        for one in reversed(history[-PUBLICATIONS:])
    ]
    return Table(
        "Publications",
        ("sequence", "night", "kind", "published (UTC)", "expires (UTC)", "people", "rows", "model"),
        rows,
        f"The newest {PUBLICATIONS}, newest first.",
    )


def bundle(known: Known) -> Table:
    """The bundle that the night's export made or found, and the deltas to it."""
    record = known.stage("export")
    sequence = int(record["metrics"]["sequence"])
    root = known.settings.exports_dir
    folder = shelf.full(root, sequence)
    if not folder.exists():
        raise MissingInputError(f"Bundle {sequence:06d} is no longer kept (export.keep_bundles).")
    folders = [folder, *sorted(root.glob(f"{folder.name}-from-*"))]
    rows: list[tuple[Cell, ...]] = []
    for one in folders:
        manifest = read_manifest(one)
        rows += [(one.name, documents, n) for documents, n in sorted(manifest["rows"].items())]
    is_new = record["metrics"]["is_new"]
    note = f"{record['counts'].get('bytes', 0):,} bytes in {record['counts'].get('parts', 0):,} parts."
    return Table(
        "The bundle for the CMS",
        ("bundle", "documents", "number"),
        rows,
        note if is_new else f"{note} The content was exported before: no new bundle was made.",
    )


def total_seconds(known: Known) -> tuple[float, float | None]:
    """Seconds of this night without the loading, and their median over the nights before it; None where there are none. Raises MissingInputError."""
    if not known.nights.get(known.run_date):
        raise MissingInputError("No stage of this night has run.")
    totals = {day: sum(took for name, took in _seconds(stages).items() if name not in LOADING) for day, stages in known.nights.items()}
    return totals.pop(known.run_date), _median(list(totals.values()))


def timings(known: Known) -> Table:
    """Seconds of each stage of this night, beside the median of the nights before it; loading is that of the day's hours."""
    tonight = known.nights.get(known.run_date, {})
    total, _ = total_seconds(known)
    seconds = _seconds(tonight)
    earlier = {day: _seconds(stages) for day, stages in known.nights.items() if day < known.run_date}
    rows, bars, lines = list[tuple[Cell, ...]](), list[Bar](), list[tuple[str, list[float | None]]]()
    for name, took in seconds.items():
        before = [stages.get(name) for stages in earlier.values()]
        usual = _median([value for value in before if value is not None])
        rows.append((name, f"{took:.1f}", "" if usual is None else f"{usual:.1f}", int(tonight[name]["rows_in"]), int(tonight[name]["rows_out"])))
        bars.append(Bar(name, took, f"{took:.1f}", usual=usual))
        lines.append((name, [*before, took]))
    note = f"{total:,.0f} seconds without the loading, beside up to {NIGHTS} nights before ({len(earlier)} are recorded)."
    return Table(
        "Seconds by stage",
        ("stage", "seconds", "median before", "rows in", "rows out"),
        rows,
        f"{note} A mark across a bar is the median before." if earlier else note,
        [Bars(bars), *([Lines([*earlier, known.run_date], lines)] if earlier else [])],
    )


def _seconds(stages: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Seconds by stage, in the order of a night."""
    return {name: float(stages[name]["seconds"]) for name in ORDER if name in stages}


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None


def notes(known: Known) -> Table:
    """What the stages had to say, each sentence once."""
    tonight = known.nights.get(known.run_date, {})
    rows = [(name, note) for name in ORDER for note in dict.fromkeys(tonight.get(name, {}).get("notes", ()))]
    if not rows:
        raise MissingInputError("They noted nothing.")
    return Table("Notes of the stages", ("stage", "note"), rows[:NOTES], "" if len(rows) <= NOTES else f"The first {NOTES} of {len(rows):,}.")


def links(known: Known) -> Table:
    """Data Docs, the documentation of the tables, and MLflow: where they are there, as links from the page's folder."""
    settings = known.settings
    docs, tables = settings.data_docs_dir / str(known.run_date) / "index.html", settings.home / "dbt_docs" / "static_index.html"
    rows: list[tuple[Cell, ...]] = [
        (
            "Data Docs of this night",
            Link("open", f"../../data_docs/{known.run_date}/index.html") if docs.exists() else "not there: no suite has run",
            "every expectation, and what was found",
        ),
        (
            "Documentation of the tables",
            Link("open", "../../dbt_docs/static_index.html") if tables.exists() else "not there: `make docs` writes it",
            "every mart and column",
        ),
        ("MLflow", _mlflow(known), "every trained version, with its figures"),
    ]
    return Table("Documents", ("what", "where", "what is in it"), rows)


def _mlflow(known: Known) -> Cell:
    uri = known.settings.mlflow.uri
    if not known.settings.mlflow.enabled:
        return "off (mlflow.enabled)"
    if uri is None:
        return "the store mlflow/mlflow.db of the home"
    parts = urlsplit(uri.get_secret_value())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "the database of mlflow.uri"
    address = f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"  # without user, password, path and query
    return Link(address, address)
