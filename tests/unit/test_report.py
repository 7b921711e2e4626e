"""The nightly report: its figures on a home that is written by hand, and its page."""

import re
import shutil
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from dawnlist import report
from dawnlist.cli import app
from dawnlist.errors import MissingInputError
from dawnlist.report.charts import svg
from dawnlist.report.document import Absent, Bar, Bars, Chart, Days, Flag, Grid, Intervals, Lines, Link, Report, Section, Table, Tile
from dawnlist.settings import Settings
from dawnlist.stages import execute
from dawnlist.stages.base import Interval
from tests import reports
from tests.nights import ANN, BOB, EVE, RUN_DATE, settings_in
from tests.reports import BEFORE, GUS, HOSTILE

VOID = {"meta", "link", "br", "img", "hr", "input"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return reports.home(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def collected(home: Settings) -> Report:
    return report.collect(home, RUN_DATE)


@pytest.fixture(scope="module")
def html(collected: Report) -> str:
    return report.page(collected)


def part(found: Report, caption: str) -> Any:
    [one] = [part for section in found.sections for part in section.parts if part.caption == caption]
    return one


def charts(found: Report, caption: str) -> list[Chart]:
    return list(part(found, caption).charts)


def bars(found: Report, caption: str) -> list[tuple[Any, ...]]:
    """The label, the value and the mark of each bar."""
    return [(bar.label, bar.value, bar.usual) for chart in charts(found, caption) if isinstance(chart, Bars) for bar in chart.bars]


def rows(found: Report, caption: str) -> list[tuple[Any, ...]]:
    """The rows of a table, flags and links as their texts."""
    table = part(found, caption)
    assert isinstance(table, Table), table
    return [tuple(getattr(cell, "text", cell) for cell in row) for row in table.rows]


def test_the_triggers_say_what_they_judged_and_what_came_of_it(collected: Report) -> None:
    assert rows(collected, "Triggers") == [("away", "recency days above 30", 2, 1, 1, "tag win back")]


def test_nothing_is_absent_from_a_night_that_has_it_all(collected: Report) -> None:
    assert [one for section in collected.sections for one in section.parts if isinstance(one, Absent)] == []


def test_the_first_lines_say_how_it_went(collected: Report) -> None:
    tiles = {tile.label: (tile.value, tile.detail, tile.state) for tile in collected.tiles}
    assert tiles["events of the day"] == ("6", "the day before: 4", "none")
    assert tiles["gate"] == ("warned", "2 expectations held", "warned")
    assert tiles["people with a list"] == ("3", "2 of them with a history", "none")
    assert tiles["nDCG@10 on held-out days"] == ("0.400", "most popular: 0.100", "none")
    assert tiles["publication"][0] == "2"
    assert "seconds for the night" in tiles


def test_events_by_day(collected: Report) -> None:
    assert rows(collected, "Events by day") == [(str(BEFORE), 4), (str(RUN_DATE), 6)]
    assert charts(collected, "Events by day") == [Days("events", [(BEFORE, 4), (RUN_DATE, 6)])]


def test_every_record_of_the_days_files_is_accounted_for(collected: Report) -> None:
    assert rows(collected, "Records of the day's files") == [("store", "events", 1, 10, 6, 2, 1, 1)]
    assert rows(collected, "Why records went to quarantine") == [("store", "events", "occurred_at", HOSTILE, 2)]
    assert bars(collected, "Why records went to quarantine") == [("occurred_at", 2, None)]


def test_the_day_beside_the_median_of_the_days_before(collected: Report) -> None:
    found = {name: (today, usual) for _, name, today, usual in rows(collected, "The day's figures")}
    assert found["visitors"] == ("10", "8")  # 7, 8 and 9 before
    assert found["net revenue"] == ("12.50", "12.50")
    assert found["bounce rate"] == ("50.0%", "50.0%")
    assert found["carts abandoned"] == ("", "")
    [chart] = charts(collected, "The day's figures")
    assert isinstance(chart, Lines)
    assert chart.days == [RUN_DATE - timedelta(days=n) for n in (3, 2, 1, 0)]
    assert chart.lines[0] == ("visitors", [7.0, 8.0, 9.0, 10.0])
    assert chart.lines[-1] == ("carts abandoned", [None] * 4)


def test_what_the_gate_said(collected: Report) -> None:
    assert rows(collected, "Expectations") == [("the day", "warned", 1, 1, 0, 1, 0), ("lists", "passed", 1, 1, 0, 0, 0)]
    assert rows(collected, "Expectations that did not hold") == [("warning", "day", "store", "event_date", "as many as usual", HOSTILE, "2026-11-21 00:00:00")]
    assert rows(collected, "Scores of the sources") == [("store", "total", "0.750", "weighted mean")]


def test_people_and_buyers(collected: Report) -> None:
    assert rows(collected, "People") == [("store", 3, 2, "2 (67%)", 1, 2)]
    grid = part(collected, "Recency and frequency of buyers")
    assert grid.rows[0] == ["R5", "", "", "", "", "2 · 75"]
    assert grid.rows[4] == ["R1", "1 · 10", "", "", "", ""]
    assert grid.charts[0].cells == {("R5", "F5"): 2, ("R1", "F1"): 1}


def test_segments_now_and_in_the_night_before(collected: Report) -> None:
    assert rows(collected, "Segments") == [
        ("cluster", "loyal", 1, 1, "+0"),
        ("cluster", "new", 1, 0, "+1"),
        ("by rules", "vip", 1, 0, "+1"),
        ("tag", "gift giver", 1, 0, "+1"),
        ("tag", "night owl", 1, 0, "+1"),
        ("tag", "old", 0, 1, "-1"),
    ]
    assert bars(collected, "Segments") == [("loyal", 1, 1), ("new", 1, 0)]  # the clusters
    assert part(collected, "From segment to segment").columns == ("from the night before", "to loyal", "to new")
    assert rows(collected, "From segment to segment") == [("loyal", "", 1), ("none", 1, "")]  # Bob went from loyal to new, Ann came


def test_the_model_against_popularity_and_champion(collected: Report) -> None:
    names = [row[:2] for row in rows(collected, "Lists on the held-out days")]
    assert names == [("ranker (served)", "0.4000"), ("own", "0.3000"), ("popular_7d (most popular)", "0.1000")]
    assert bars(collected, "Lists on the held-out days")[0] == ("ranker (served)", 0.4, None)
    assert rows(collected, "Differences with their intervals")[-1] == ("challenger less champion", "+0.0100", "-0.0200 to +0.0400")
    [chart] = charts(collected, "Differences with their intervals")
    assert isinstance(chart, Intervals)
    assert chart.intervals[-1] == ("challenger less champion", -0.02, 0.01, 0.04)
    assert rows(collected, "Checks of the promotion") == [("champion", "-0.0200", "-0.0100", "fails"), ("popularity", "0.2000", "0.0000", "holds")]
    version = dict(rows(collected, "The version that served"))
    assert version["trained for the night of"] == str(BEFORE)
    assert "it may lose to the champion" in version["last decision"]


def test_drift(collected: Report) -> None:
    table = part(collected, "Drift")
    assert table.rows == [("score", Flag("0.300", "bad")), ("own_rank", Flag("0.050", "good"))]
    assert table.charts == [Bars([Bar("score", 0.3, "0.300", "bad"), Bar("own_rank", 0.05, "0.050", "good")], (0.1, 0.25))]
    assert table.note.endswith("The next night trains: the scores moved.")


def test_coverage_and_diversity(collected: Report) -> None:
    """Ann has lamp, mug, pen; Bob pen, lamp; Eve mug. Mug and pen are of one category, lamp and rug of another, and four items may be shown."""
    found = {name: value for name, value, _ in rows(collected, "What the lists are like")}
    assert found == {
        "lists": "3",
        "different lists": "3 (100.0%)",
        "items shown": "3 of 4",
        "places of the top tenth of items": "33.3%",  # one item, on two of six places
        "pairs of two categories": "83.3%",  # two of Ann's three pairs, Bob's only one
    }
    assert rows(collected, "Who proposed the items") == [("als", 6, "100.0%")]
    assert rows(collected, "Items on most lists")[0] == ("lamp", HOSTILE, 2, "66.7%")


def test_what_changed_on_the_lists(collected: Report) -> None:
    """The night before Ann had lamp, mug, rug; Bob pen, lamp; Gus mug."""
    assert rows(collected, "What changed since the night before") == [
        ("people with a list in both nights", "2"),
        ("people with their first list", "1"),
        ("people without a list now", "1"),
        ("items of a list that were on it before", "83.3%"),
        ("people with the same items as before", "1 (50.0%)"),
    ]


def test_what_went_out(collected: Report) -> None:
    assert [row[:3] for row in rows(collected, "Publications")][-1] == (1, str(BEFORE), "night")
    assert ("000002", "users", 3) in rows(collected, "The bundle for the CMS")


def test_timings_beside_the_nights_before(home: Settings, collected: Report) -> None:
    found = rows(collected, "Seconds by stage")
    assert found[0] == ("ingest", "1.0", "1.0", 10, 6)  # two hours of half a second
    assert ("recommend", "2.0", "1.0") in [row[:3] for row in found]
    assert ("recommend", 2.0, 1.0) in bars(collected, "Seconds by stage")
    _, lines = charts(collected, "Seconds by stage")
    assert isinstance(lines, Lines)
    assert lines.days == [BEFORE, RUN_DATE]
    assert ("recommend", [1.0, 2.0]) in lines.lines
    first = report.collect(home, BEFORE)
    assert [row[2] for row in rows(first, "Seconds by stage")] == [""] * 5  # nothing to compare with
    assert len(charts(first, "Seconds by stage")) == 1


def test_links_lead_to_what_is_there(own: Settings, collected: Report) -> None:
    assert rows(collected, "Documents")[0][1] == "not there: no suite has run"
    page = own.data_docs_dir / str(RUN_DATE) / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text("docs")
    link = part(report.collect(own, RUN_DATE), "Documents").rows[0][1]
    assert link == Link("open", f"../../data_docs/{RUN_DATE}/index.html")
    assert (own.reports_dir / str(RUN_DATE) / link.href).resolve() == page


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("https://ann:secret@mlflow.example:5000/path?token=secret", Link("https://mlflow.example:5000", "https://mlflow.example:5000")),
        ("postgresql://ann:secret@db/mlflow", "the database of mlflow.uri"),
    ],
)
def test_no_password_of_mlflow_gets_onto_the_page(home: Settings, monkeypatch: pytest.MonkeyPatch, uri: str, shown: Any) -> None:
    settings = home.with_(mlflow=home.mlflow.model_copy(update={"uri": type("Secret", (), {"get_secret_value": lambda self: uri})()}))
    assert part(report.collect(settings, RUN_DATE), "Documents").rows[2][1] == shown


def test_an_empty_home_has_a_sentence_for_every_part(tmp_path: Path) -> None:
    found = report.collect(settings_in(tmp_path), RUN_DATE)
    absent = [one.why for section in found.sections for one in section.parts if isinstance(one, Absent)]
    assert len(absent) == sum(len(section.parts) for section in found.sections) - 1  # the links are always there
    assert [why for why in absent if "another form" in why] == []
    assert "The night of 2026-11-20 was not opened" in " ".join(absent)
    assert found.tiles == []
    assert_well_formed(report.page(found))


@pytest.fixture
def own(home: Settings, tmp_path: Path) -> Settings:
    """A copy of the home for a test that changes it."""
    shutil.copytree(home.home, tmp_path / "own", symlinks=True)
    return home.with_(home=tmp_path / "own")


def test_a_damaged_part_leaves_the_others(own: Settings) -> None:
    for path in own.models_dir.glob("*/metadata.json"):
        path.write_text("{}")
    found = report.collect(own, RUN_DATE)
    assert "was changed after it was written" in part(found, "Lists on the held-out days").why
    assert rows(found, "People") == [("store", 3, 2, "2 (67%)", 1, 2)]


def test_the_page_is_well_formed(html: str) -> None:
    assert_well_formed(html)


def test_texts_are_escaped(html: str) -> None:
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 4  # reason, note, observed, title


def test_nothing_is_loaded_from_elsewhere(html: str) -> None:
    assert re.findall(r"https?://[^\s\"'<)]+", html) == []
    assert re.findall(r"(?:src|srcset|@import|url\()", html.replace("img-src", "").replace("style-src", "").replace("default-src", "")) == []


def test_no_person_is_on_the_page(html: str) -> None:
    assert [person for person in (ANN, BOB, EVE, GUS, "0" * 32) if person[:20] in html] == []


def test_the_same_records_make_the_same_page(home: Settings, html: str) -> None:
    assert report.page(report.collect(home, RUN_DATE)) == html


def test_the_stage_writes_the_page_and_latest_leads_to_the_newest(own: Settings) -> None:
    result = execute(own, "report", Interval.day(RUN_DATE), run_id="run-2")
    execute(own, "report", Interval.day(BEFORE), run_id="run-2")
    assert (result.rows_in, result.rows_out) == (26, 26)
    assert result.paths == [str(own.reports_dir / str(RUN_DATE) / "index.html")]
    assert (own.reports_dir / "latest").resolve().name == str(RUN_DATE)
    assert {path.name for path in own.reports_dir.iterdir()} == {"latest", str(BEFORE), str(RUN_DATE)}


def test_old_reports_are_forgotten(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    settings = settings.with_(retention=settings.retention.model_copy(update={"nights": 2}))
    for day in (17, 18, 19):
        report.write(settings, date(2026, 11, day), "page")
    assert sorted(path.name for path in settings.reports_dir.iterdir()) == ["2026-11-18", "2026-11-19", "latest"]
    old = report.write(settings, date(2026, 11, 1), "page")
    assert old.exists()


def test_a_night_that_never_was_has_no_report(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="No night of 2026-11-20 has been run"):
        execute(settings_in(tmp_path), "report", Interval.day(RUN_DATE), run_id="run-1")


def test_the_command_says_where_the_page_is(own: Settings) -> None:
    said = CliRunner().invoke(app, ["report", "--home", str(own.home)])
    assert said.exit_code == 0, said.output
    assert said.output.splitlines()[-1] == str(own.reports_dir / str(RUN_DATE) / "index.html")
    assert f"report {RUN_DATE}: 26 rows in, 26 out" in said.output


def drawn(title: str) -> list[Chart]:
    """One chart of each kind, with `title` wherever a text may stand."""
    return [
        Bars([Bar(title, 1.0, title, "warned", 0.5), Bar(title, 0.0, title)], (0.5,)),
        Days(title, [(BEFORE, 4), (RUN_DATE, 6)]),
        Intervals(title, [(title, -0.1, 0.1, 0.2)]),
        Grid([title], [title], {(title, title): 3}),
        Lines([BEFORE, RUN_DATE], [(title, [1.0, None]), (title, [None, None])]),
    ]


@hypothesis_settings(deadline=None, max_examples=50)
@given(st.text(), st.text())
@example("\x00\x1f", "\ufffe\uffff")  # what is no character of XML
@example("\U0001f600" * 40, "\U0001f600" * 40)  # longer than the place for a label
@example("if", "if")  # a word of Vega's
@example("constructor", "constructor")  # and one of all objects
def test_any_text_stays_text(title: str, value: str) -> None:
    cells = (Flag(value, "warned"), Link(value, "index.html"), 1, 1.5, None)
    section = Section("one", title, [Table(title, (title,) * 6, [(value, *cells)], value, drawn(title)), Absent(title, value)])
    assert_well_formed(report.page(Report(RUN_DATE, title, [Tile(title, value)], [section])))


@pytest.mark.parametrize("chart", drawn("a <label>"), ids=lambda chart: type(chart).__name__)
def test_a_chart_is_a_picture_within_the_page(chart: Chart) -> None:
    found = svg(chart)
    assert found.startswith("<svg width=")
    assert "a &lt;label&gt;" in found
    assert re.findall(r"https?:|\bid=|url\(|href|#[0-9a-f]{3}", found) == []  # nothing from elsewhere, and no colour but those of the style sheet
    assert float(found.split('"')[1]) <= 361  # a phone's 390 pixels less the margins of the page


def test_bars_are_as_long_as_their_values() -> None:
    """Of 2, 1 and nothing; those beyond twice the largest limit end there, and their text says how much it is."""
    two, one, nothing = (width for width, _ in shapes(svg(Bars([Bar("two", 2.0, "2"), Bar("one", 1.0, "1"), Bar("none", 0.0, "0")])), "blue"))
    assert (one / two, nothing) == (pytest.approx(0.5), 0.0)
    found = svg(Bars([Bar("far", 100.0, "100.0", "bad"), Bar("half", 0.5, "0.5", "warned")], (0.5,)))
    assert shapes(found, "orange")[0][0] / shapes(found, "red")[0][0] == pytest.approx(0.5)
    assert "100.0 ✕" in found


def test_columns_are_as_high_as_their_days_and_the_night_stands_out() -> None:
    found = svg(Days("events", [(BEFORE, 4), (RUN_DATE, 6)]))
    before, night = (height for _, height in shapes(found, "blue"))
    assert before / night == pytest.approx(4 / 6)
    assert re.findall(r'fill="var\(--blue\)" opacity="([\d.]+)"', found) == ["0.5", "1"]


def test_a_line_breaks_where_a_day_has_no_value() -> None:
    days = [RUN_DATE + timedelta(days=n) for n in range(5)]
    [whole] = re.findall(r'd="(M[^"]+L[^"]+)"[^>]*stroke="var\(--blue\)"', svg(Lines(days, [("all", [0.0, 1.0, 2.0, 3.0, 4.0])])))
    [broken] = re.findall(r'd="(M[^"]+L[^"]+)"[^>]*stroke="var\(--blue\)"', svg(Lines(days, [("some", [0.0, 1.0, None, 3.0, 4.0])])))
    assert (whole.count("M"), broken.count("M")) == (1, 2)


def shapes(found: str, colour: str) -> list[tuple[float, float]]:
    """Width and height of the filled shapes of a colour."""
    return [(float(width), float(height)) for width, height in re.findall(rf'd="M[\d.-]+,[\d.-]+h([\d.]+)v([\d.]+)h[^"]*" fill="var\(--{colour}\)"', found)]


class Elements(HTMLParser):
    """Every element that is opened is closed, in turn; ids are given once."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag != "script"
        assert not any(name.startswith("on") for name, _ in attrs)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in {"rect", "line", "path", "g", "text"}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def assert_well_formed(html: str) -> None:
    elements = Elements()
    elements.feed(html)
    elements.close()
    assert elements.open == []
    assert len(elements.ids) == len(set(elements.ids))
