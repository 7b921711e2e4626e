"""The nightly report: one self-contained page per night, of what came in, what the gate said, what changed, how good the lists are, and what went out.

    collect(settings, run_date)  reads the run records, the lake, the night's tables, the registry and the publications into one Report
    page(report)                 renders it: no script, nothing from elsewhere
    write(settings, report)      puts it into <home>/reports/<run_date>/index.html, and lets <home>/reports/latest lead there

Numbers are of groups alone: no id of a person is read into a report.
"""

from dawnlist.report.collect import collect
from dawnlist.report.page import page
from dawnlist.report.shelf import write

__all__ = ["collect", "page", "write"]
