"""The parts of a report in their order, and how one that cannot be made leaves a sentence in its place."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Final

from dawnlist import duck
from dawnlist.errors import DawnlistError
from dawnlist.report import arrivals, lists, output, people, quality
from dawnlist.report.document import Absent, Part, Report, Section
from dawnlist.report.known import Known, known
from dawnlist.report.tiles import tiles
from dawnlist.settings import Settings

Maker = Callable[[Known], Part]
# anchor -> title, and the parts by their captions
SECTIONS: Final[dict[str, tuple[str, dict[str, Maker]]]] = {
    "arrivals": (
        "What came in",
        {
            "Events by day": arrivals.events_by_day,
            "Records of the day's files": arrivals.records,
            "Why records went to quarantine": arrivals.quarantine,
            "The day's figures": arrivals.figures,
        },
    ),
    "gate": (
        "What the gate said",
        {"Expectations": arrivals.gate, "Expectations that did not hold": arrivals.not_held, "Scores of the sources": arrivals.scores},
    ),
    "people": (
        "Profiles and segments",
        {
            "People": people.people,
            "Recency and frequency of buyers": people.rfm_grid,
            "Segments": people.segments,
            "From segment to segment": people.flow,
            "Triggers": people.firings,
        },
    ),
    "quality": (
        "The model",
        {
            "The version that served": quality.version,
            "Lists on the held-out days": quality.recommenders,
            "Differences with their intervals": quality.differences,
            "Checks of the promotion": quality.checks,
            "Drift": quality.drift,
        },
    ),
    "lists": (
        "The lists: coverage and diversity",
        {
            "What the lists are like": lists.figures,
            "Who proposed the items": lists.proposers,
            "Items on most lists": lists.most_listed,
            "What changed since the night before": lists.changes,
        },
    ),
    "output": (
        "Published and exported",
        {"Publications": output.publications, "The bundle for the CMS": output.bundle},
    ),
    "timings": ("Timings", {"Seconds by stage": output.timings, "Notes of the stages": output.notes}),
    "links": ("Where to look further", {"Documents": output.links}),
}


def collect(settings: Settings, run_date: date) -> Report:
    """The report of the night of `run_date`. What cannot be made, for whatever reason that has a sentence, is Absent; raises nothing of that kind."""
    with known(settings, run_date) as found:
        sections = [Section(name, title, _parts(found, parts)) for name, (title, parts) in SECTIONS.items()]
        return Report(run_date, ", ".join(settings.site.sources), tiles(found), sections)


def _parts(found: Known, parts: dict[str, Maker]) -> Sequence[Part]:
    return [_part(found, caption, make) for caption, make in parts.items()]


def _part(found: Known, caption: str, make: Maker) -> Part:
    import duckdb

    try:
        with duck.writing(found.settings.home):
            return make(found)
    except DawnlistError as error:
        return Absent(caption, str(error))
    except (duckdb.BinderException, KeyError, TypeError) as error:  # a record or a table of another release
        return Absent(caption, f"What this night recorded has another form than this release reads ({type(error).__name__}).")
