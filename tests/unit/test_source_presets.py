"""Presets: files in the published layouts go through the real staging."""

import sys
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from dawnlist import cli, ingest, landing, sources
from dawnlist.errors import SourceError
from dawnlist.privacy import Key
from dawnlist.settings import Settings, load
from dawnlist.source_tools.check import check
from dawnlist.source_tools.presets import PRESETS, create, presets
from tests.staged import staged_rows
from tests.unit import layouts

KEY = Key(b"a key of at least sixteen bytes")
NAMES = ["movielens", "rees46", "retailrocket", "segment"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(home=tmp_path / "home", landing=str(tmp_path / "landing"), sources_dir=tmp_path / "sources")


def staged(settings: Settings, preset: str, columns: str, table: str = "events") -> list[tuple]:
    """The staged rows of the layout's files, through a copy of the preset."""
    layouts.write(Path(str(settings.landing)), preset)
    create(settings, "shop", preset)
    source = sources.load(settings, "shop")
    batch = ingest.stage_batch(settings, source, landing.identified(settings, source, landing.list_files(settings, source)), key=KEY, interval="test")
    order = "occurred_at, item_id" if table == "events" else "item_id"
    return duckdb.sql(f"SELECT {columns} FROM {staged_rows(batch, table)} ORDER BY {order}").fetchall()


def test_the_presets_are_those_of_the_folder() -> None:
    assert [preset.name for preset in presets()] == NAMES


@pytest.mark.parametrize("preset", NAMES)
def test_a_preset_fits_its_layout(settings: Settings, preset: str) -> None:
    folder = layouts.write(Path(str(settings.landing)), preset)
    report = check(settings, PRESETS / f"{preset}.yml", folder)
    assert report.mistakes == []
    assert [sample.problems for sample in report.samples] == [[]] * len(report.samples)


def test_retailrockets_milliseconds_and_kinds(settings: Settings) -> None:
    visitor = KEY.pseudonym("shop:anonymous:", "257597")
    assert staged(settings, "retailrocket", "occurred_at::VARCHAR, event_type, item_id, order_id, user_id, anonymous_id = '" + visitor + "'") == [
        ("2015-06-02 05:02:12.117", "view", "355908", None, None, True),
        ("2015-06-02 05:17:56.276", "purchase", "356475", "4000", None, False),
        ("2015-06-02 05:50:14.164", "add_to_cart", "248676", None, None, False),
    ]


def test_rees46s_times_kinds_and_sessions(settings: Settings) -> None:
    rows = staged(settings, "rees46", "occurred_at::VARCHAR, event_type, item_id, unit_price, user_id, left(session_id, 8), properties->>'category'")
    assert rows == [
        ("2019-10-01 00:00:00", "view", "44600062", Decimal("35.79"), KEY.pseudonym("shop:", "541312140"), "72d76fde", None),
        (
            "2019-10-01 00:02:11",
            "add_to_cart",
            "3900821",
            Decimal("33.20"),
            KEY.pseudonym("shop:", "554748717"),
            "9333dfbd",
            "appliances.environment.water_heater",
        ),
        (
            "2019-10-01 00:03:00",
            "remove_from_cart",
            "3900821",
            Decimal("33.20"),
            KEY.pseudonym("shop:", "554748717"),
            "9333dfbd",
            "appliances.environment.water_heater",
        ),
        ("2019-10-31 23:59:59", "purchase", "1307067", Decimal("251.74"), KEY.pseudonym("shop:", "550050854"), "7c90fc70", "computers.notebook"),
    ]


def test_movielens_ratings(settings: Settings) -> None:
    person = KEY.pseudonym("shop:", "1")
    assert staged(settings, "movielens", "occurred_at::VARCHAR, event_type, item_id, rating, user_id") == [
        ("2000-07-30 18:20:47", "rate", "3", 4.5, person),
        ("2000-07-30 18:45:03", "rate", "1", 4.0, person),
    ]


def test_movielens_films_hold_from_the_beginning(settings: Settings) -> None:
    assert staged(settings, "movielens", "item_id, title, category, updated_at::VARCHAR", "items") == [
        ("1", "Toy Story (1995)", "Adventure|Animation|Children", "1990-01-01 00:00:00"),
        ("3", "American President, The (1995)", "Comedy|Drama|Romance", "1990-01-01 00:00:00"),
    ]


def test_segments_calls(settings: Settings) -> None:
    anna = KEY.pseudonym("shop:", "anna-1815")
    assert staged(
        settings, "segment", "occurred_at::VARCHAR, event_type, item_id, order_id, quantity, unit_price, user_id, device, properties->>'position'"
    ) == [
        ("2026-01-05 10:00:00", "view", "p1", None, None, Decimal("9.5"), anna, "mobile", None),
        ("2026-01-05 10:05:00", "purchase", "p1", "o1", Decimal(2), Decimal("9.5"), None, None, "1"),
        ("2026-01-05 10:05:00", "purchase", "p2", "o1", Decimal(1), Decimal(3), None, None, "2"),
    ]


def test_a_copy_has_an_id_space_of_its_own_and_replaces_nothing(settings: Settings) -> None:
    path = create(settings, "second_shop", "segment")
    assert sources.read(path).user_namespace == "second_shop:"
    path.write_text("mine")
    with pytest.raises(SourceError, match="is there already"):
        create(settings, "second_shop", "segment")
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "preset", "message"), [("../shop", "segment", "cannot name a source"), ("shop", "segmnt", "There is no preset 'segmnt'; there are: movielens")]
)
def test_what_cannot_be_copied_is_refused(settings: Settings, name: str, preset: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        create(settings, name, preset)
    assert not settings.sources_dir.exists()


def test_the_commands(settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("DAWNLIST_SOURCES_DIR", str(settings.sources_dir))
    monkeypatch.setattr(sys, "argv", ["dawnlist", "sources", "presets"])
    assert cli._exit_code() == 0
    shown = capsys.readouterr().out
    assert [name for name in NAMES if name in shown] == NAMES
    monkeypatch.setattr(sys, "argv", ["dawnlist", "sources", "new", "my_shop", "--preset", "retailrocket"])
    assert cli._exit_code() == 0
    assert sources.load(load(), "my_shop").user_namespace == "my_shop:"
