"""`dawnlist sources check`: mistakes by line, what the sample becomes, and nothing that leads to a person."""

import gzip
import io
import json
import string
import sys
from pathlib import Path

import duckdb
import pytest
from rich.console import Console

from dawnlist import cli, simulate, sources
from dawnlist.errors import LandingError, SourceError
from dawnlist.privacy import load_key
from dawnlist.settings import PROJECT, Settings, load
from dawnlist.source_tools.check import check
from dawnlist.source_tools.show import show

TILL = """\
description: a till
user_namespace: "till:"
inputs:
  events:
    path: "*.csv"
    format: csv
    columns:
      occurred_at: {column: When, format: "%d.%m.%Y %H:%M", timezone: Europe/Berlin}
      user_id: Customer
      item_id: Code
      order_id: Receipt
      quantity: Pieces
    event_type:
      - {type: ignore, when: {column: Kind, equals: test}}
      - {type: refund, when: {column: Pieces, less_than: 0}}
      - {type: purchase, when: {column: Kind, equals: sale}}
"""
HEADER = "Receipt,When,Code,Pieces,Customer,Kind,Clerk\n"
ROWS = """\
r1,05.01.2026 10:30,A,2,anna-1815,sale,c1
r2,05.07.2026 10:30,B,-1,bert-1912,sale,c1
r3,never,A,1,anna-1815,sale,c1
r4,05.01.2026 10:31,A,many,anna-1815,sale,c1
r5,never,A,1,bert-1912,sale,c1
r6,05.01.2026 10:32,A,1,bert-1912,test,c1
r7,05.01.2026 10:33,A,1,bert-1912,gift,c1
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(home=tmp_path / "home")


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    folder = tmp_path / "landing"
    folder.mkdir()
    (folder / "a.csv").write_text(HEADER + ROWS)
    return folder


def till(tmp_path: Path, text: str = TILL) -> Path:
    path = tmp_path / "till.yml"
    path.write_text(text)
    return path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    monkeypatch.setattr(sys, "argv", ["dawnlist", *map(str, arguments)])
    return cli._exit_code()


def test_five_different_mistakes_are_named_at_once_with_their_lines(
    tmp_path: Path, landing: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = TILL.replace("occurred_at:", "ocurred_at:").replace("Europe/Berlin", "Europe/Berln").replace("item_id: Code", "item_id: Kode")
    text = text.replace("type: refund", "type: refnd").replace("format: csv", "format: csv\n    delimeter: x")
    path = till(tmp_path, text)
    assert run(monkeypatch, "sources", "check", path, "--landing", landing) == SourceError.exit_code
    head, *lines = capsys.readouterr().err.splitlines()
    assert head == "Error: till.yml has 6 mistakes; docs/sources.md has the language."
    assert [line.removeprefix(str(tmp_path)).partition("; there are ")[0] for line in lines] == [
        "/till.yml:7: inputs.events.delimeter: no such key; did you mean delimiter?",
        "/till.yml:8: inputs.events.columns: occurred_at must be mapped",
        "/till.yml:9: inputs.events.columns.ocurred_at: no such column; did you mean occurred_at?",
        "/till.yml:9: inputs.events.columns.ocurred_at.timezone: there is no time zone 'Europe/Berln'; names are like Europe/Berlin",
        "/till.yml:11: inputs.events.columns.item_id: a.csv has no column 'Kode'; did you mean Code?",
        f"/till.yml:16: inputs.events.event_type.1.type: must be one of {', '.join((*sources.EVENT_TYPES, 'ignore'))}; did you mean refund?",
    ]


def test_the_sample_is_counted_and_shown_raw_and_mapped(settings: Settings, tmp_path: Path, landing: Path) -> None:
    (landing / "readme.txt").write_text("no data")
    report = check(settings, till(tmp_path), landing)
    assert report.mistakes == []
    assert report.others == ["readme.txt"]
    sample = report.samples[0]
    assert (sample.n_kept, sample.n_ignored, sample.unmapped, sample.files) == (2, 1, ["Clerk"], ["a.csv"])
    assert sample.problems == [("occurred_at: not a time", 2), ("event_type: no rule of the source maps it", 1), ("quantity: not a decimal", 1)]
    kept = {record.where: record.cells for record in sample.kept}
    assert kept["a.csv:2"]["occurred_at"] == ("05.01.2026 10:30", "2026-01-05 09:30:00")  # Berlin is an hour ahead of UTC in winter
    assert kept["a.csv:3"]["occurred_at"] == ("05.07.2026 10:30", "2026-07-05 08:30:00")
    assert kept["a.csv:3"]["event_type"] == ("sale, -1", "refund")
    refused = {record.where: (record.problem, record.cells) for record in sample.refused}
    assert {where: problem for where, (problem, _) in refused.items()} == {
        "a.csv:4": "occurred_at: not a time",
        "a.csv:5": "quantity: not a decimal",
        "a.csv:6": "occurred_at: not a time",
        "a.csv:8": "event_type: no rule of the source maps it",
    }
    assert refused["a.csv:5"][1]["quantity"][0] == "many"


def test_broken_lines_beyond_the_sample_are_not_counted(settings: Settings, tmp_path: Path, landing: Path) -> None:
    good = "r1,05.01.2026 10:30,A,2,anna-1815,sale,c1\n"
    (landing / "a.csv").write_text(HEADER + "r0,broken\n" + good * 20 + "r9,broken\n" * 5)
    sample = check(settings, till(tmp_path), landing, n_records=10).samples[0]
    assert (sample.n_kept, sample.problems) == (10, [("row: missing columns", 1)])


def test_the_gate_that_would_keep_the_batch_out_is_told(settings: Settings, tmp_path: Path, landing: Path) -> None:
    report = check(settings, till(tmp_path), landing)
    assert [(note.line, note.message.partition(";")[0]) for note in report.notes] == [(4, "57% of the sample would go to quarantine")]


def test_people_have_the_pseudonyms_of_the_lake_where_the_home_has_a_key(settings: Settings, tmp_path: Path, landing: Path) -> None:
    key = load_key(settings)  # what the first ingest does
    sample = check(settings, till(tmp_path), landing).samples[0]
    assert [record.cells["user_id"] for record in sample.kept] == [("(hidden)", key.pseudonym("till:", name)) for name in ("anna-1815", "bert-1912")]


@pytest.mark.parametrize("width", [80, 140])
def test_no_raw_id_is_printed(settings: Settings, tmp_path: Path, landing: Path, width: int) -> None:
    report = check(settings, till(tmp_path), landing)
    out = io.StringIO()
    show(report, Console(width=width, file=out))
    text = out.getvalue()
    assert "anna" not in text
    assert "bert" not in text
    assert "05.01.2026 10:30" in text.replace("\n", " ")
    assert all(len(line) <= width for line in text.splitlines() if "│" in line or "─" in line)


def test_nothing_of_a_person_is_printed_of_a_stores_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "store"
    simulate.run(users=30, items=20, days=2, seed=3, out=folder)
    monkeypatch.setenv("COLUMNS", "200")
    assert run(monkeypatch, "sources", "check", PROJECT / "config" / "sources" / "store.yml", "--landing", folder) == 0
    shown = "".join(capsys.readouterr().out.split())
    secrets = set()
    for path in folder.glob("[ce][uvo]*/**/*.jsonl.gz"):
        for line in gzip.decompress(path.read_bytes()).decode().splitlines():
            try:
                document = json.loads(line)
            except ValueError:
                continue
            context = document.get("context", {})
            secrets |= {document.get(key) for key in ("userId", "anonymousId", "customer_id", "email")} | {context.get(key) for key in ("ip", "userAgent")}
    assert len(secrets) > 50
    assert [secret for secret in secrets if secret and "".join(secret.split()) in shown] == []
    assert "store.ymlhasnomistakes." in shown


def test_a_persons_id_in_another_column_is_a_mistake(settings: Settings, tmp_path: Path, landing: Path) -> None:
    report = check(settings, till(tmp_path, TILL.replace("order_id: Receipt", "order_id: Customer")), landing)
    assert [(mistake.line, mistake.message) for mistake in report.mistakes] == [(11, "reads the raw id of a person, which must not enter the lake")]


def test_an_id_hidden_in_another_value_is_not_shown(settings: Settings, tmp_path: Path, landing: Path) -> None:
    (landing / "a.csv").write_text(
        HEADER + "order-of-anna-1815,05.01.2026 10:30,A,2,anna-1815,sale,c1\nmail bert@example.org,05.01.2026 10:30,A,2,anna-1815,sale,c1\n"
    )
    sample = check(settings, till(tmp_path), landing).samples[0]
    assert [record.cells["order_id"] for record in sample.kept] == [("(hidden)", "(hidden)")] * 2


def test_what_the_mapping_hashes_or_drops_is_hidden(settings: Settings, tmp_path: Path, landing: Path) -> None:
    text = TILL.replace("    event_type:", "    properties: {clerk: {column: Clerk, pii: hash}, code: Code}\n    event_type:")
    sample = check(settings, till(tmp_path, text), landing).samples[0]
    assert [record.cells["properties"][1] for record in sample.kept] == ["clerk=(hidden), code=A", "clerk=(hidden), code=B"]


def test_a_mapping_that_fits_no_record_is_a_mistake_of_its_column(settings: Settings, tmp_path: Path, landing: Path) -> None:
    report = check(settings, till(tmp_path, TILL.replace("%d.%m.%Y %H:%M", "%Y-%m-%d")), landing)
    assert [(mistake.line, mistake.place, mistake.message) for mistake in report.mistakes] == [
        (8, "inputs.events.columns.occurred_at", "not a time in 6 of 7 records; none can be kept")
    ]


def test_a_constant_that_cannot_be_read_is_a_mistake(settings: Settings, tmp_path: Path, landing: Path) -> None:
    report = check(settings, till(tmp_path, TILL.replace("quantity: Pieces", "quantity: {constant: two}")), landing)
    assert [(mistake.line, mistake.message) for mistake in report.mistakes] == [(12, "'two' cannot be read as quantity")]


def test_a_path_that_no_json_record_has_is_a_note(settings: Settings, tmp_path: Path, landing: Path) -> None:
    (landing / "a.jsonl").write_text('{"t": "2026-01-05T10:00:00Z", "context": {"device": {"type": "mobile"}}, "extra": 1}\n')
    text = 'description: x\nuser_namespace: "x:"\ninputs:\n  events:\n    path: "*.jsonl"\n    format: jsonl\n    columns:\n      occurred_at: t\n'
    report = check(settings, till(tmp_path, text + "      device: context.devise.type\n    event_type: [{type: search}]\n"), landing)
    assert report.mistakes == []
    assert [(note.line, note.message) for note in report.notes] == [
        (9, "context.devise.type is empty in all records of the sample; did you mean context.device.type?")
    ]
    assert report.samples[0].unmapped == ["context.device.type", "extra"]


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ('path: "*.csv"', 'path: "*.tsv"', 5, "matches no file below"),
        ("format: csv", 'format: csv\n    file_time: "%Y-%m-%d"', 7, "says no time of 1 of 1 files, such as a.csv"),
        ('path: "*.csv"', 'path: "**x/*.csv"', 5, "not a glob"),
        ("%d.%m.%Y %H:%M", "%d.%m.%Y %K", 8, "%K is nothing that strptime knows"),
    ],
)
def test_what_the_files_say_against_the_mapping(settings: Settings, tmp_path: Path, landing: Path, old: str, new: str, line: int, message: str) -> None:
    report = check(settings, till(tmp_path, TILL.replace(old, new)), landing)
    assert [mistake.line for mistake in report.mistakes] == [line]
    assert report.mistakes[0].message.startswith(message)


def test_a_file_of_another_encoding_is_named_and_an_empty_one_lacks_nothing(settings: Settings, tmp_path: Path, landing: Path) -> None:
    (landing / "a.csv").write_bytes("Receipt,Größe\n1,2\n".encode("latin-1"))
    (landing / "b.csv").write_text("")
    report = check(settings, till(tmp_path), landing)
    assert [(mistake.line, mistake.message) for mistake in report.mistakes] == [
        (4, "a.csv is not utf-8; say encoding: latin-1, or utf-16"),
    ]


def test_without_files_the_yaml_alone_is_checked(settings: Settings, tmp_path: Path) -> None:
    report = check(settings, till(tmp_path))
    assert (report.landing, report.mistakes, report.samples) == (None, [], [])
    with pytest.raises(LandingError, match="does not exist"):
        check(settings, till(tmp_path), tmp_path / "nowhere")
    assert not (tmp_path / "home").exists()  # a check leaves nothing behind


def test_a_run_names_the_line_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("DAWNLIST_SOURCES_DIR", str(tmp_path))
    till(tmp_path, TILL.replace("occurred_at:", "ocurred_at:"))
    for arguments in (["run", "--source", "till"], ["sources", "list"]):
        assert run(monkeypatch, *arguments) == SourceError.exit_code
        assert "till.yml:8: inputs.events.columns.ocurred_at: no such column; did you mean occurred_at?" in capsys.readouterr().err


def test_the_known_formats_are_those_of_duckdb() -> None:
    letters = [f"%{dash}{letter}" for dash in ("", "-") for letter in (*string.ascii_letters, "%")]
    assert [letter for letter in letters if sources._STRPTIME.fullmatch(letter)] == [letter for letter in letters if is_format_of_duckdb(letter)]


def is_format_of_duckdb(text: str) -> bool:
    try:
        return bool(duckdb.execute("SELECT try_strptime('x', ?)", [text]).fetchall())
    except duckdb.Error:
        return False
