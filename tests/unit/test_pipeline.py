"""A night from the command line, and its report: stages that are played."""

import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from dawnlist import pipeline
from dawnlist.errors import GateError, StorageError
from dawnlist.settings import Settings
from dawnlist.stages.base import StageResult
from tests.nights import RUN_DATE, settings_in


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> dict[str, Exception]:
    """Stage -> what it raises; the others do nothing."""
    failing: dict[str, Exception] = {}

    def execute(_: Settings, stage: str, interval: Any, *, run_id: str, **options: Any) -> StageResult:
        if stage in failing:
            raise failing[stage]
        return StageResult(stage, interval.key, run_id=run_id, rows_out=int(stage == "publish"))

    monkeypatch.setattr(pipeline, "execute", execute)
    monkeypatch.setattr(pipeline, "_last_landed_day", lambda settings: RUN_DATE)
    return failing


def run(home: Path, report: Any = lambda stage, result: None) -> list[StageResult]:
    return pipeline.run(settings_in(home), RUN_DATE, run_id="run-1", report=report, stages=("open", "publish"))


@pytest.mark.parametrize(
    ("error", "note"),
    [(StorageError("The disk is full."), "the report was not made: The disk is full."), (KeyError("ndcg"), "the report was not made: KeyError: 'ndcg'")],
)
def test_a_report_that_fails_is_a_note_and_fails_no_night(tmp_path: Path, played: dict[str, Exception], error: Exception, note: str) -> None:
    played["report"] = error
    results = run(tmp_path)
    assert [result.stage for result in results] == ["open", "publish", "report"]
    assert results[-1].notes == [note]


def test_a_night_that_a_gate_stops_has_its_report_and_fails_all_the_same(tmp_path: Path, played: dict[str, Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    monkeypatch.setattr(pipeline, "_report_of", lambda settings, night, *, run_id: made.append(night.key))
    played["open"] = GateError("too few events")
    with pytest.raises(GateError, match="too few events"):
        run(tmp_path)
    assert made == [str(RUN_DATE)]


def test_ctrl_c_that_a_library_swallowed_is_not_what_the_stage_then_fails_with(tmp_path: Path, played: dict[str, Exception]) -> None:
    def swallow(stage: str, result: StageResult | None) -> None:
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)

    played["open"] = GateError("too few events")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, swallow)
