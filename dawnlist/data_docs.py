"""Great Expectations Data Docs of a night: one page per suite and check, rendered by GX, and an index.

Every check keeps its outcome as one small JSON file, so that hours which run side by side share no state; the pages are made once a
night. GX's pages load styles and scripts from other servers. Those links are taken out, and a few lines of style put in: a report of a
closed network must be readable there, and opening it must tell nobody.
"""

import html
import json
import re
import shutil
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from dawnlist.files import write_json, write_text

if TYPE_CHECKING:
    from dawnlist.settings import Settings

STORE = "data_docs_store"
REMOTE = re.compile(
    r"<script\b[^>]*>.*?</script>|<link\b[^>]*>|<img\b[^>]*>|<footer\b.*?</footer>|url\('https?:[^)]*\)",
    re.DOTALL,
)
SUITE_LINK = re.compile(r'<a href="(?:\.\./)+expectations/[^"]*"\s*>(.*?)</a>', re.DOTALL)  # to pages of suites, which are not made: suites are code
STYLE = """<style>
body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:72rem;padding:1rem 1.5rem 4rem;color:#1b1f24;background:#fff}
h1{font-size:1.4rem} table{border-collapse:collapse;width:100%;margin:.5rem 0 1.5rem}
th,td{border:1px solid #d7dce2;padding:.35rem .6rem;text-align:left;vertical-align:top} th{background:#f3f5f7} a{color:#0b57a4}
li{margin:.2rem 0} .badge{background:#eef1f4;border-radius:.25rem;padding:0 .3rem} .alert h5{font-size:1.1rem;margin:1rem 0 .2rem}
.card{display:none} .card.collapse{display:block}
.fa-check-circle::before{content:"passed";color:#12703a} .fa-times::before{content:"failed";color:#b3261e;font-weight:600}
.fa-exclamation-triangle::before{content:"not evaluated";color:#8a5200}
.passed{color:#12703a} .failed{color:#b3261e;font-weight:600} .warned{color:#8a5200}
@media (prefers-color-scheme:dark){
body{background:#15181c;color:#e6e9ec} th{background:#23282e} th,td{border-color:#3a4149} a{color:#7db7f0} .badge{background:#2a3038}
.passed,.fa-check-circle::before{color:#5fce8b} .failed,.fa-times::before{color:#ff8a80} .warned,.fa-exclamation-triangle::before{color:#f0b660}}
</style>"""


def keep_document(settings: "Settings", document: Mapping[str, Any]) -> None:
    """Keep the outcome of one check for the docs of its day. The same check run again replaces it."""
    moment = datetime.fromisoformat(document["checked_for"])
    name = re.sub(r"[^\w.+-]", "-", f"{moment:%Y-%m-%dT%H%M}.{document['source']}.{document['suite']}.json")
    write_json(settings.home / STORE / str((moment - timedelta(microseconds=1)).date()) / name, document)


def documents(settings: "Settings", run_date: date) -> dict[str, dict[str, Any]]:
    """The kept outcomes of `run_date` and of its hours by name, the earliest first: the newest of each check."""
    kept = sorted((settings.home / STORE / str(run_date)).glob("*.json"))
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in kept}


def build_docs(settings: "Settings", run_date: date) -> Path:
    """Render the outcomes of `run_date` and of its hours into <home>/data_docs/<run_date>, and return the index of that night.

    <home>/data_docs/index.html lists the nights. Nights beyond `retention.nights` are removed.
    """
    pages = {f"{name}.html": document for name, document in documents(settings, run_date).items()}
    target = settings.data_docs_dir / str(run_date)
    aside = settings.data_docs_dir / f".{run_date}.{uuid4().hex}"
    for page, document in pages.items():
        write_text(aside / page, _page(document))
    write_text(aside / "index.html", _index(f"Data Docs of {run_date}", _table(pages)))
    shutil.rmtree(target, ignore_errors=True)
    aside.rename(target)
    _forget_old(settings)
    nights = [path.name for path in _nights(settings.data_docs_dir)]
    links = "".join(f'<li><a href="{night}/index.html">{night}</a></li>' for night in nights)
    write_text(settings.data_docs_dir / "index.html", _index("Data Docs by night", f"<ul>{links}</ul>"))
    return target / "index.html"


def _page(document: Mapping[str, Any]) -> str:
    """GX's own page of one outcome, without what it would load from elsewhere."""
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
    from great_expectations.render.view import DefaultJinjaPageView

    import expectations.kinds  # noqa: F401  # GX renders only the kinds of expectation that it has met

    content = ValidationResultsPageRenderer(run_info_at_end=True).render(_as_result(document))
    page = REMOTE.sub("", DefaultJinjaPageView().render(content, show_how_to_buttons=False))
    page = SUITE_LINK.sub(r"\1", page)
    back = '<p><a href="index.html">All checks of this night</a></p>'
    return re.sub(r"<body>.*?(<div class=\"container-fluid)", rf"<body>{back}\1", page, count=1, flags=re.DOTALL).replace("</head>", f"{STYLE}</head>", 1)


def _as_result(document: Mapping[str, Any]) -> Any:
    from great_expectations.core import ExpectationSuiteValidationResult

    results = [_as_expectation_result(one) for one in document["results"]]
    n, n_met = len(results), sum(one["success"] for one in document["results"])
    statistics = {
        "evaluated_expectations": n,
        "successful_expectations": n_met,
        "unsuccessful_expectations": n - n_met,
        "success_percent": 100 * n_met / max(1, n),
    }
    meta = {"run_id": {"run_name": document["run_id"], "run_time": document["checked_for"]}, "batch_spec": {"data_asset_name": document["source"]}}
    return ExpectationSuiteValidationResult(success=document["success"], results=results, suite_name=document["suite"], statistics=statistics, meta=meta)


def _as_expectation_result(one: Mapping[str, Any]) -> Any:
    from great_expectations.core import ExpectationValidationResult
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    message = one["observed"] if one["raised"] else None
    return ExpectationValidationResult(
        success=one["success"],
        expectation_config=ExpectationConfiguration(**one["expectation_config"]),
        result=one["result"],
        meta={},
        exception_info={"raised_exception": one["raised"], "exception_message": message, "exception_traceback": message},
    )


def _table(pages: Mapping[str, Mapping[str, Any]]) -> str:
    """The index: one row per page, with what was not met."""
    rows = [_row(page, document) for page, document in pages.items()]
    head = "".join(f"<th>{name}</th>" for name in ("Up to (UTC)", "Source", "Suite", "Expectations met", "State", "Not met"))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>" if rows else "<p>No check has run.</p>"


def _row(page: str, document: Mapping[str, Any]) -> str:
    results = document["results"]
    failed = [one for one in results if not one["success"]]
    severities = {one["severity"] for one in failed}
    state = "failed" if severities & {"critical", "row"} else "warned" if "warning" in severities else "passed"  # a notice alone is no more
    missed = "<br>".join(html.escape(f"{one['column'] or ''} {one['expected']}: {one['observed']}".strip()) for one in failed)
    cells = (document["source"], document["suite"], f"{len(results) - len(failed)} of {len(results)}")
    link = f'<a href="{html.escape(page)}">{html.escape(document["checked_for"].replace("T", " "))}</a>'
    middle = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
    return f'<tr><td>{link}</td>{middle}<td class="{state}">{state}</td><td>{missed}</td></tr>'


def _index(title: str, body: str) -> str:
    return f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>{STYLE}</head><body><h1>{title}</h1>{body}</body></html>\n'


def _nights(folder: Path) -> list[Path]:
    """The folders named after a night, the newest first."""
    return sorted((path for path in folder.glob("[0-9]*-*-*") if path.is_dir()), reverse=True)


def _forget_old(settings: "Settings") -> None:
    for folder in (settings.home / STORE, settings.data_docs_dir):
        for night in _nights(folder)[settings.retention.nights :]:
            shutil.rmtree(night)
