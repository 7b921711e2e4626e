"""`dawnlist status` on homes that are empty, whole, half-made and damaged."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dawnlist import status
from dawnlist.cli import app
from dawnlist.errors import SettingsError
from dawnlist.export import consumers
from dawnlist.files import write_json
from dawnlist.settings import Settings
from dawnlist.stages import NIGHT, execute
from dawnlist.stages.base import Failure, Interval, StageResult
from models import aliases
from models.aliases import PROMOTED, TRAINING, Aliases, Decision
from tests import nights
from tests.nights import RUN_DATE
from tests.published import MORNING, NEXT_DATE, say, two_bundles


def asked(home: Path, *options: str) -> str:
    result = CliRunner().invoke(app, ["status", "--home", str(home), *options], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def landed(file: str, hour: str) -> dict[str, Any]:
    return {"source": "store", "input": "events", "file_id": file, "file_name": file, "file_time": f"2026-11-21 {hour}:00:00", "batch_id": file}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return nights.settings_in(tmp_path / "site")


def test_an_empty_home_has_one_sentence_and_stays_empty(tmp_path: Path) -> None:
    assert asked(tmp_path / "site") == f"{tmp_path / 'site'} has nothing yet: run `dawnlist run`, or `make demo`.\n"
    assert json.loads(asked(tmp_path / "site", "--json")) == {"nights": [], "published": [], "consumers": [], "waiting": []}
    assert not (tmp_path / "site").exists()


def test_the_nights_say_what_is_done_what_failed_and_what_the_gate_found(settings: Settings) -> None:
    nights.write(settings)
    for place, stage in enumerate(NIGHT):
        StageResult(stage, str(RUN_DATE), seconds=place).save(settings)
    nights.write(settings, NEXT_DATE)
    for stage in NIGHT[:2]:
        StageResult(stage, str(NEXT_DATE), seconds=2).save(settings)
    Failure("transform", str(NEXT_DATE), "run-2", "The marts are bad.\nTwo lines.").save(settings)
    results = [{"success": False, "severity": severity} for severity in ("critical", "critical", "warning")] + [{"success": True, "severity": "critical"}]
    write_json(settings.home / status.data_docs.STORE / str(NEXT_DATE) / "01.json", {"suite": "marts", "results": results})
    found = status.nights(settings)
    assert found == [
        {
            "run_date": str(NEXT_DATE),
            "done": 1,
            "stages": 7,
            "failed": "transform: The marts are bad. Two lines.",
            "gate_failures": 2,
            "seconds": 4,
            "trained": None,
        },
        {"run_date": str(RUN_DATE), "done": 7, "stages": 7, "failed": None, "gate_failures": 0, "seconds": 21, "trained": None},
    ]


def test_a_failure_is_recorded_until_the_stage_succeeds(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text("rules: 3\n")
    broken = settings.with_(rules_file=tmp_path / "rules.yml")
    with pytest.raises(SettingsError):
        execute(broken, "open", Interval.day(RUN_DATE), run_id="run-1")
    (row,) = status.nights(settings)
    assert (row["done"], row["failed"][:32]) == (0, "open: rules.yml has 1 mistake; d")
    StageResult("open", str(RUN_DATE)).save(settings)
    (row,) = status.nights(settings)
    assert (row["done"], row["failed"]) == (1, None)


def test_consumers_say_how_far_they_are_behind_and_what_kept_their_delivery(settings: Settings) -> None:
    home = two_bundles(settings.home, at=MORNING)
    consumers.note_delivery(settings.exports_dir, "cms", consumers.Delivered("2026-11-21T06:00:00Z", "https://cms.example", 2, "It is down."))
    settings = nights.settings_in(home, delivery={"to": "https://cms.example"})
    (row,) = status.status(settings)["consumers"]
    assert row == {
        "consumer": "cms",
        "acknowledged": 1,
        "acknowledged_at": "2026-11-21T05:00:00Z",
        "behind": 1,
        "last_delivery": "2026-11-21T06:00:00Z",
        "bundle": 2,
        "failed": "It is down.",
    }
    assert {"what": "delivery", "detail": "bundle 000002 is kept, and not at https://cms.example: `dawnlist export deliver` sends it"} in status.waiting(
        settings
    )
    consumers.note_delivery(settings.exports_dir, "cms", consumers.Delivered("2026-11-21T07:00:00Z", "https://cms.example", 2, None))
    assert "delivery" not in [row["what"] for row in status.waiting(settings)]
    assert [row["sequence"] for row in status.published(settings)] == [2, 1]
    shown = asked(home)
    assert [name for name in ("nights:", "published:", "consumers:", "waiting:") if name in shown] == ["nights:", "published:", "consumers:", "waiting:"]


def test_what_landed_after_the_night_and_what_asks_for_a_training_waits(settings: Settings) -> None:
    say(settings, ledger=[landed("seen", "00")])
    nights.write(settings)
    known = Decision(str(RUN_DATE), "run-1", PROMOTED, TRAINING, f"{RUN_DATE}-a", None, f"{RUN_DATE}-a", "")
    aliases.update(settings.models_dir, lambda _: Aliases((known,)))
    say(settings, ledger=[landed("seen", "00"), landed("late", "03"), landed("later", "05")])
    rows = {row["what"]: row["detail"] for row in status.waiting(settings)}
    assert rows["landed"] == f"store: 2 files came after the night of {RUN_DATE} was opened, of 2026-11-21 03:00:00 to 2026-11-21 05:00:00"
    assert rows["training"].startswith(f"the night of {date(2026, 11, 21)} would train: the champion {RUN_DATE}-a is gone")


def test_a_damaged_record_costs_its_part_alone(settings: Settings) -> None:
    home = two_bundles(settings.home, at=MORNING)
    (settings.exports_dir / "consumers.json").write_text("{")
    (settings.runs_dir / str(RUN_DATE)).mkdir(parents=True)
    (settings.runs_dir / str(RUN_DATE) / "open.json").write_text("{")
    found = json.loads(asked(home, "--json"))
    assert found["nights"] == [{"error": f"A record in {home} cannot be read (JSONDecodeError)."}]
    assert "cannot be read" in found["consumers"][0]["error"]
    assert [row["sequence"] for row in found["published"]] == [2, 1]
    assert f"nights: A record in {home} cannot be read" in asked(home)
