"""The charts of a report as SVG by Vega-Lite: drawn once, without a script, in the colours of the page's style sheet, and narrow enough for a phone."""

import re
from collections.abc import Iterable
from datetime import date
from functools import singledispatch
from typing import Any, Final

import altair as alt
import vl_convert
from rich.text import Text

from dawnlist.report.document import SIGNS, Bars, Chart, Days, Grid, Intervals, Lines, State

WIDTH: Final = 165  # pixels of what is drawn; with labels beside it, it fits a phone
FULL: Final = 280  # without labels
LABEL: Final = 22  # letters, of LETTER pixels; a longer label ends in …, and the table has all of it
LETTER: Final = 6.5
ROW: Final = 22
SPARK: Final = 24
TEXT: Final = 12
FREE: Final = 1.5  # the scale of bars ends at this multiple of the longest, so that its text has a place
UNKNOWN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")  # no characters of XML 1.0: Vega's renderer would end the process
SIZE: Final = re.compile(r' (?:width|height)="([^"]+)"')
COLOURS: Final[dict[State, str]] = {"none": "var(--blue)", "good": "var(--blue)", "warned": "var(--orange)", "bad": "var(--red)"}
CONFIG: Final = {
    "aria": False,
    "background": None,
    "padding": {"left": 12, "right": 12, "top": 4, "bottom": 4},  # a browser's letters may be wider than those that Vega measures
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": dict.fromkeys(("domainColor", "tickColor", "gridColor"), "var(--rule)")
    | dict.fromkeys(("labelColor", "titleColor"), "var(--soft)")
    | {"labelFontSize": TEXT, "titleFontSize": TEXT, "titleFontWeight": "normal"},
    "text": {"color": "var(--text)", "fontSize": TEXT},
    "rule": {"color": "var(--soft)"},
    "line": {"color": "var(--blue)", "strokeWidth": 1.75},
    "point": {"color": "var(--blue)", "filled": True},
}


def svg(chart: Chart) -> str:
    """The chart as one SVG element of a page: its texts are escaped, and it has no id, no script and no address."""
    drawn = vl_convert.vegalite_to_svg(_draw(chart).to_dict(), config=CONFIG, allowed_base_urls=[])
    head, _, inside = drawn.partition(">")
    width, height = SIZE.findall(head)
    return f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" aria-hidden="true">{inside}'


@singledispatch
def _draw(chart: Chart) -> alt.TopLevelMixin:
    """The chart in Vega-Lite's terms. Every row has a number as its place, since two labels may be the same."""
    raise TypeError(type(chart))


def _data(rows: Iterable[dict[str, Any]]) -> alt.Data:
    return alt.Data(values=[{name: _text(value) if isinstance(value, str) else value for name, value in row.items()} for row in rows])  # type: ignore[no-untyped-call]


def _text(value: str) -> str:
    return UNKNOWN.sub("\ufffd", value)


def _title(text: str) -> str:
    """The title of an axis. Vega looks it up among the names of its language and of JavaScript's objects (`if`, `constructor`), and fails; none of them ends in a space."""
    return _text(text) + " "


def _cut(label: str, letters: int = LABEL) -> str:
    """The label in one line, cut by the places that its letters take. Vega's own limit cuts within a character beyond the first 65,536, and fails."""
    text = Text(" ".join(label.split()))
    text.truncate(letters, overflow="ellipsis")
    return text.plain


def _left(rows: alt.Chart) -> alt.Chart:
    """The labels of the rows, left of what is drawn."""
    return rows.mark_text(align="right").encode(x=alt.value(-6), text="label:N")


@_draw.register
def _(chart: Bars) -> alt.TopLevelMixin:
    longest = max([0.0, *(max(bar.value, bar.usual or 0.0) for bar in chart.bars)]) or 1.0
    end = min(longest, 2 * max(chart.limits)) if chart.limits else longest
    rows = [
        {"place": n, "label": _cut(bar.label), "value": min(bar.value, end), "text": f"{bar.text} {SIGNS[bar.state]}".strip()}
        | {"colour": COLOURS[bar.state], "usual": bar.usual}
        for n, bar in enumerate(chart.bars)
    ]
    x = alt.X("value:Q", axis=None, scale=alt.Scale(domain=[0, FREE * max([end, *chart.limits])]))
    base = alt.Chart(_data(rows), width=WIDTH, height={"step": ROW}).encode(y=alt.Y("place:O", axis=None))
    layers = [
        base.mark_bar(height={"band": 0.6}).encode(x=x, color=alt.Color("colour:N", scale=None)),
        base.mark_text(align="left", dx=4).encode(x=x, text="text:N"),
        _left(base),
        base.transform_filter("datum.usual !== null").mark_tick(thickness=2, color="var(--text)", height={"band": 0.9}).encode(x=alt.X("usual:Q")),
        alt.Chart(_data({"limit": limit} for limit in chart.limits)).mark_rule(strokeDash=[2, 2]).encode(x=alt.X("limit:Q")),
    ]
    return alt.layer(*(layers if chart.limits else layers[:-1]))


@_draw.register
def _(chart: Days) -> alt.TopLevelMixin:
    rows = [{"place": n, "day": _short(day), "n": count, "strength": 1.0 if n == len(chart.days) - 1 else 0.5} for n, (day, count) in enumerate(chart.days)]
    return (
        alt.Chart(_data(rows), width=FULL, height=130)
        .mark_bar(color="var(--blue)")
        .encode(
            x=alt.X("day:O", sort=alt.SortField("place"), title=None, axis=alt.Axis(labelAngle=0, labelOverlap="greedy", labelSeparation=16, ticks=False)),
            y=alt.Y("n:Q", title=_title(chart.unit), axis=alt.Axis(tickCount=4, format="~s", domain=False, ticks=False)),
            opacity=alt.Opacity("strength:Q", scale=None),
        )
    )


@_draw.register
def _(chart: Intervals) -> alt.TopLevelMixin:
    rows = [{"place": n, "label": _cut(label), "low": low, "middle": middle, "high": high} for n, (label, low, middle, high) in enumerate(chart.intervals)]
    x = alt.X("low:Q", title=_title(chart.measure), scale=alt.Scale(zero=True, nice=True), axis=alt.Axis(tickCount=4, grid=False))
    base = alt.Chart(_data(rows), width=WIDTH, height={"step": ROW}).encode(y=alt.Y("place:O", axis=None))
    return alt.layer(
        alt.Chart(_data([{"zero": 0}])).mark_rule(strokeDash=[2, 2]).encode(x=alt.X("zero:Q")),
        base.mark_rule(color="var(--blue)", strokeWidth=3).encode(x=x, x2="high:Q"),
        base.mark_tick(color="var(--text)", thickness=3, height={"band": 0.6}).encode(x="middle:Q"),
        _left(base),
    )


@_draw.register
def _(chart: Grid) -> alt.TopLevelMixin:
    rows = [
        {"row": n, "column": m, "n": chart.cells.get((row, column), 0), "text": f"{chart.cells[row, column]:,}" if (row, column) in chart.cells else ""}
        for n, row in enumerate(chart.rows)
        for m, column in enumerate(chart.columns)
    ]
    step = (FULL - 40) / max(1, len(chart.columns))
    names = [{"row": n, "label": _cut(name, LABEL // 2)} for n, name in enumerate(chart.rows)]
    heads = [{"column": m, "label": _cut(name, max(2, int(step / LETTER)))} for m, name in enumerate(chart.columns)]
    y, x = alt.Y("row:O", axis=None), alt.X("column:O", axis=None)
    base = alt.Chart(_data(rows), width=FULL - 40, height={"step": ROW + 4}).encode(x=x, y=y)
    strength = alt.Opacity("n:Q", legend=None, scale=alt.Scale(domain=[0, max([1, *chart.cells.values()])], range=[0.04, 1]))
    return alt.layer(
        base.mark_rect(color="var(--heat)", stroke="var(--ground)", strokeWidth=2).encode(fillOpacity=strength),
        base.mark_text().encode(text="text:N"),
        _left(alt.Chart(_data(names)).encode(y=y)),
        alt.Chart(_data(heads)).mark_text(baseline="bottom").encode(x=x, y=alt.value(-4), text="label:N"),
    )


@_draw.register
def _(chart: Lines) -> alt.TopLevelMixin:
    days = [_short(day) for day in chart.days]
    last = len(days) - 1
    sparks = []
    for n, (label, values) in enumerate(chart.lines):
        rows = [{"place": place, "day": day, "value": value} for place, (day, value) in enumerate(zip(days, values, strict=True))]
        axis = alt.Axis(labelAngle=0, labelOverlap="greedy", ticks=False, values=[days[0], days[last]]) if n == len(chart.lines) - 1 else None
        base = alt.Chart(_data(rows), width=WIDTH, height=SPARK).encode(
            x=alt.X("day:O", sort=alt.SortField("place"), title=None, axis=axis), y=alt.Y("value:Q", axis=None, scale=alt.Scale(zero=False))
        )
        name = _left(alt.Chart(_data([{"label": _cut(label)}])).encode(y=alt.value(SPARK / 2)))
        sparks.append(alt.layer(base.mark_line(point={"size": 6}), base.transform_filter(f"datum.place === {last}").mark_point(size=36), name))
    return alt.vconcat(*sparks, spacing=6)


def _short(day: date) -> str:
    """A day as the axes have it: 20 Nov."""
    return f"{day:%-d %b}"
