import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import main, names
from benchmarks.bare_copy import copy
from benchmarks.measure import CommandFailedError, Measurement, measure
from benchmarks.nights import measure_night, sizes, stage_results, stages
from benchmarks.record import Record
from dawnlist.errors import MissingInputError
from dawnlist.stages.base import StageResult

MIB = 1 << 20
HOLD_64_MIB = "import time; held = bytearray(b'x') * (64 << 20); time.sleep(1)"


def python(script: str) -> list[str]:
    return [sys.executable, "-c", script]


def measure_apart(script: str) -> tuple[float, int]:
    """Seconds and peak MiB of a Python script, measured in a process of its own: other tests' children are not to be counted."""
    code = f"from benchmarks.measure import measure; m = measure({python(script)!r}); print(m.seconds, m.peak_mib)"
    shown = subprocess.run(python(code), capture_output=True, text=True, check=True).stdout.split()
    return float(shown[0]), int(shown[1])


def test_memory_of_all_descendants_is_added_up() -> None:
    seconds, peak_mib = measure_apart(f"import subprocess, sys; held = bytearray(b'x') * (64 << 20); subprocess.run([sys.executable, '-c', {HOLD_64_MIB!r}])")
    assert 128 <= peak_mib < 192
    assert 1 <= seconds < 30


def test_a_process_whose_parent_has_ended_is_still_counted() -> None:
    orphan = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {HOLD_64_MIB!r}], start_new_session=True)"
    _, peak_mib = measure_apart(f"import subprocess, sys, time; subprocess.run([sys.executable, '-c', {orphan!r}]); time.sleep(1)")
    assert 64 <= peak_mib < 128


def test_the_environment_is_added_to_the_own() -> None:
    wanted = "import os; raise SystemExit(os.environ['DAWNLIST_HOME'] != 'there' or 'PATH' not in os.environ)"
    assert measure(python(wanted), environment={"DAWNLIST_HOME": "there"}).seconds > 0


def test_a_command_that_fails_is_no_measurement() -> None:
    with pytest.raises(CommandFailedError, match="ended with exit code 3"):
        measure(python("raise SystemExit(3)"))


def test_a_stage_has_the_peak_of_its_own_time() -> None:
    measurement = Measurement(0.0, samples=[(10.0, 100 * MIB), (11.0, 300 * MIB), (12.0, 200 * MIB), (13.0, 900 * MIB)])
    results = [
        (11.5, StageResult("ingest", "a", seconds=1.5)),
        (12.2, StageResult("validate", "a", seconds=0.4)),
        (12.3, StageResult("ingest", "b", seconds=0.25)),
    ]
    assert stages(results, measurement) == {
        "ingest": {"seconds": 1.75, "runs": 2, "peak_mib": 300},
        "validate": {"seconds": 0.4, "runs": 1, "peak_mib": 200},
    }
    assert measurement.peak_mib == 900


def test_stage_results_come_in_the_order_in_which_they_were_saved(tmp_path: Path) -> None:
    for moment, interval, stage in ((30, "2026-11-21", "open"), (20, "until-2026-11-20", "ingest"), (40, "2026-11-21", "transform")):
        path = tmp_path / interval / f"{stage}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"stage": stage, "interval": interval, "seconds": 1.0}))
        os.utime(path, (moment, moment))
    assert [(end, result.stage) for end, result in stage_results(tmp_path)] == [(20, "ingest"), (30, "open"), (40, "transform")]


def test_sizes_add_up_the_runs_of_a_stage(tmp_path: Path) -> None:
    landed = [tmp_path / "a", tmp_path / "b"]
    landed[0].write_bytes(b"123")
    landed[1].write_bytes(b"4567")
    results = [(1.0, StageResult("ingest", "a", rows_in=10, rows_out=8)), (2.0, StageResult("ingest", "b", rows_in=5, rows_out=5))]
    assert sizes(results, landed) == {"landed_files": 2, "landed_bytes": 7, "ingest_rows_in": 15, "ingest_rows_out": 13}


NIGHT = """
import os
from pathlib import Path
from dawnlist.files import write_json
write_json(Path(os.environ["DAWNLIST_HOME"], "runs", "2026-11-21", "ingest.json"), {"stage": "ingest", "interval": "2026-11-21", "rows_in": 2, "seconds": 0.01})
"""


def test_a_night_is_measured_beside_a_copy_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "landing").mkdir()
    (tmp_path / "landing" / "clicks.csv").write_text("a,b\n1,2\n3,4\n")
    record = measure_night("night_x", python(NIGHT), tmp_path / "home", landing=tmp_path / "landing", pattern="*.csv", file_format="csv")
    assert record.sizes == {"landed_files": 1, "landed_bytes": 12, "ingest_rows_in": 2, "ingest_rows_out": 0}
    assert record.stages["ingest"]["runs"] == 1
    assert record.ratio == round(record.our_seconds / record.peer_seconds, 2)
    assert "night_x: " in record.summary()


def test_a_night_that_leaves_no_results_is_no_measurement(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="left no stage results"):
        measure_night("night_x", python("pass"), tmp_path / "home", landing=tmp_path, pattern="*.csv", file_format="csv")


def test_a_record_has_every_field_that_is_promised(tmp_path: Path) -> None:
    record = Record("night_x", "us against them", 30.0, 4.0, 1000, 100, {"rows": 5}, {"open": {"seconds": 1.0, "runs": 1, "peak_mib": 90}})
    record.save(tmp_path / "night_x.json")
    saved = json.loads((tmp_path / "night_x.json").read_text())
    assert saved.keys() >= {"name", "compared", "ratio", "our_seconds", "peer_seconds", "peak_mib", "sizes", "versions", "stages"}
    assert saved["ratio"] == 7.5
    assert saved["versions"]["duckdb"].startswith("2.")


@pytest.mark.parametrize(("file_format", "text"), [("csv", "a,b\n1,2\n3,4\n"), ("json", '{"a": 1}\n{"a": 3}\n{"a": \n')])
def test_the_peer_copies_every_row_that_can_be_read(tmp_path: Path, file_format: str, text: str) -> None:
    import pyarrow.parquet as pq

    (tmp_path / "it's one").write_text(text)
    copy(file_format, str(tmp_path / "it's*"), str(tmp_path / "copy.parquet"))
    assert pq.read_metadata(tmp_path / "copy.parquet").num_rows == 2


def test_the_promised_benchmarks_are_there() -> None:
    assert {"night_demo", "night_globo", "refresh_day"} <= set(names())


def test_an_unknown_benchmark_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["night_of_nights"]) == 2
    assert "No such benchmark: night_of_nights. There are: " in capsys.readouterr().err
