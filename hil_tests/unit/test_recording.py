"""Recordings of the monitor: what is written comes back, a killed writer leaves its rows, a torn end is left out."""

from __future__ import annotations

import csv
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from needlepen.errors import InfrastructureError, UsageError
from needlepen.link import Telemetry
from needlepen.link.client import Status
from needlepen.monitor.frame import COLUMNS, TEXTS, Frame, Gap
from needlepen.monitor.lines import JsonLines, PlainLines
from needlepen.monitor.recording import Recorder, load
from needlepen.report import recorded

METADATA = {"pen": "e660000000000001", "build": "0.1.0 abc", "started": "2026-11-23T07:00:00+00:00"}


def telemetry(
    time_ms: int = 1_000, state: str = "armed", fault: str = "none", rate_hz: float = 0.0
) -> Telemetry:
    return Telemetry(
        time_ms=time_ms, state=state, fault=fault, stop_reason=0, set_hz=100.0, rate_hz=rate_hz, estimate_hz=rate_hz,
        current_a=0.25, cell_v=3.7, duty=0.5, depth_set_mm=1.0, depth_mm=0.987,
    )  # fmt: skip


def status(blockers: tuple[str, ...] = (), warnings: tuple[str, ...] = ()) -> Status:
    return Status(
        time_ms=1_000, blockers=blockers, warnings=warnings, note="", profile=0, nose_c=22.5, winding_c=30.0,
        depth_cap_mm=1.5, needles=24, cartridge_left_s=3_600, session_left_s=3_600, service=False,
    )  # fmt: skip


def frames(count: int, begun_ms: int = 1_000, begun_s: float = 0.0) -> list[Frame]:
    return [Frame(begun_s + 0.02 * i, telemetry(begun_ms + 20 * i), status()) for i in range(count)]


def record(path: Path, *moments: Frame | Gap) -> Path:
    with Recorder(path, METADATA) as recorder:
        for moment in moments:
            recorder.write(moment)
    return path


def test_a_recording_comes_back_as_it_was_written(tmp_path: Path) -> None:
    found = load(record(tmp_path / "a.csv", *frames(3)))
    assert found.metadata == METADATA and len(found) == 3 and not found.torn and not found.gaps
    assert found.columns["depth_mm"] == [0.987] * 3 and found.columns["duty_pct"] == [50.0] * 3
    assert found.texts["state"] == ["armed"] * 3
    assert found.time_s == pytest.approx([0, 0.02, 0.04])


def test_every_number_has_its_unit_in_the_name() -> None:
    units = ("_ms", "_s", "_hz", "_a", "_v", "_mm", "_c", "_pct")
    counts = ("profile", "needles", "service")
    assert [
        name for name in COLUMNS if name not in TEXTS and name not in counts and not name.endswith(units)
    ] == []


def test_other_programs_can_read_it(tmp_path: Path) -> None:
    lines = [
        line for line in record(tmp_path / "a.csv", *frames(2)).read_text().splitlines() if line[:1] != "#"
    ]
    rows = list(csv.DictReader(lines))
    assert [float(row["current_a"]) for row in rows] == [0.25, 0.25]


def test_a_recording_is_not_overwritten(tmp_path: Path) -> None:
    path = record(tmp_path / "a.csv", *frames(1))
    before = path.read_bytes()
    with pytest.raises(UsageError, match="exists already"):
        Recorder(path, METADATA)
    assert path.read_bytes() == before


def test_a_full_disk_is_said() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises((InfrastructureError, UsageError), match="recording"):
        Recorder(full, METADATA)


def test_what_is_lost_is_a_gap_and_time_goes_on_after_a_restart(tmp_path: Path) -> None:
    path = record(
        tmp_path / "a.csv",
        *frames(2, begun_ms=9_000),
        Gap(0.5, False, "the port\nis gone"),
        Gap(2.0, True, "it answers"),
        *frames(2, begun_ms=300, begun_s=2.1),
    )
    found = load(path)
    assert found.gaps == [(0.5, 2.0, "the port is gone")]
    assert found.time_s == pytest.approx([0, 0.02, 0.5, 2.0, 2.1, 2.12])
    assert math.isnan(found.columns["time_ms"][2])
    assert [m.text for m in recorded.find_moments(found) if m.kind == "gap"] == [
        "pen lost: the port is gone", "pen back: it answers",
    ]  # fmt: skip


def test_a_restart_without_a_gap_does_not_turn_time_back(tmp_path: Path) -> None:
    found = load(record(tmp_path / "a.csv", *frames(2, 9_000), *frames(2, 100, 3.0)))
    assert found.time_s == pytest.approx([0, 0.02, 3.0, 3.02])


def test_a_loss_at_the_end_is_a_gap(tmp_path: Path) -> None:
    assert load(record(tmp_path / "a.csv", *frames(2), Gap(1.0, False, "gone"))).gaps == [(1.0, 1.0, "gone")]


def test_a_file_cut_at_any_byte_is_read_up_to_its_last_whole_row(tmp_path: Path) -> None:
    whole = record(tmp_path / "a.csv", *frames(4)).read_bytes()
    head = whole.index(b"host_s,")
    first_row = whole.index(b"\n", head) + 1
    torn = tmp_path / "torn.csv"
    for length in range(first_row, len(whole) + 1):
        torn.write_bytes(whole[:length])
        found = load(torn)
        assert len(found) == whole[:length].count(b"\n", first_row)
        assert found.torn == (whole[length - 1 : length] != b"\n")


def test_zeros_of_a_power_cut_at_the_end_are_left_out(tmp_path: Path) -> None:
    path = record(tmp_path / "a.csv", *frames(3))
    path.write_bytes(path.read_bytes() + bytes(700))
    assert len(load(path)) == 3 and load(path).torn


@given(st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_other_file_is_refused_in_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "other.csv"
    path.write_bytes(data)
    with pytest.raises(UsageError) as caught:
        load(path)
    assert "\n" not in str(caught.value)


def test_a_row_that_is_none_is_named(tmp_path: Path) -> None:
    path = record(tmp_path / "a.csv", *frames(3))
    lines = path.read_text().splitlines()
    lines[-2] = "1,2,3"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(UsageError, match=f"line {len(lines) - 1}: not a row"):
        load(path)


KILLED = """
import itertools, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_recording import METADATA, frames
from needlepen.monitor.recording import Recorder
recorder = Recorder(Path({path!r}), METADATA)
for n in itertools.count(1):
    recorder.write(frames(1, 20 * n, 0.02 * n)[0])
    print(n, flush=True)
"""


def test_a_killed_monitor_leaves_every_row_that_it_wrote(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    script = KILLED.format(tests=str(Path(__file__).parent), path=str(path))
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(300):
        written = int(process.stdout.readline())
    os.kill(process.pid, signal.SIGKILL)
    process.wait(20)
    process.stdout.close()
    found = load(path)
    assert len(found) >= written == 300
    assert found.columns["time_ms"] == [20.0 * n for n in range(1, len(found) + 1)]


# ---------------------------------------------------------------------- what people and programs are shown
def test_plain_lines_come_once_a_second_and_at_each_change() -> None:
    lines: list[str] = []
    out = PlainLines(lines.append)
    for i in range(100):
        out.show(Frame(0.02 * i, telemetry(20 * i), status()))
    assert len(lines) == 2
    out.show(Frame(2.0, telemetry(2_000, "safe", "overspeed"), status()))
    assert "safe" in lines[2] and "SR-06" in lines[3] and "What to do:" in lines[3]
    out.show(Gap(2.1, False, "gone"))
    assert lines[-1].endswith("lost: gone")


def test_blockers_and_warnings_are_in_words() -> None:
    lines: list[str] = []
    PlainLines(lines.append).show(
        Frame(0.0, telemetry(state="idle"), status(("cartridge_used",), ("nose_warm",)))
    )
    text = "\n".join(lines)
    assert "no start: " in text and "warning: " in text and text.count("What to do:") == 2


def test_json_has_one_object_for_each_frame() -> None:
    lines: list[str] = []
    out = JsonLines(lines.append)
    out.show(Frame(0.0, telemetry(state="safe", fault="overspeed"), status(("cartridge_used",))))
    out.show(Gap(1.0, False, "gone"))
    first, second = (json.loads(line) for line in lines)
    assert (
        first["blockers"] == ["cartridge_used"]
        and first["fault_requirement"] == "SR-06"
        and first["fault_remedy"]
    )
    assert second == {"host_s": 1.0, "event": "lost: gone"}


# ---------------------------------------------------------------------- the page
def test_the_page_marks_states_faults_and_gaps(tmp_path: Path) -> None:
    moments: list[Frame | Gap] = []
    for i in range(60):
        state = "armed" if i < 20 else "running" if i < 40 else "safe"
        fault = "overspeed" if state == "safe" else "none"
        moments.append(
            Frame(0.02 * i, telemetry(20 * i, state, fault, 100.0 if state == "running" else 0.0), status())
        )
    moments.insert(30, Gap(0.6, False, "unplugged"))
    moments.insert(31, Gap(0.605, True, "back"))
    found = load(record(tmp_path / "a.csv", *moments))
    assert [state for _, _, state in recorded.states(found)] == ["armed", "running", "running", "safe"]
    page = recorded.write(found, tmp_path / "a.html").read_text()
    for text in (
        "SR-06",
        "What to do:",
        "pen lost: unplugged",
        "Stroke rate",
        "Temperatures",
        METADATA["pen"],
    ):
        assert text in page, text
    assert "http-equiv" in page and 'src="http' not in page
    shapes = recorded.figure(found, list(recorded.find_moments(found))).layout.shapes
    assert any(s.type == "rect" and s.x0 == 0.6 for s in shapes), "the gap"


def test_a_recording_without_rows_is_not_drawn(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no row"):
        recorded.write(load(record(tmp_path / "a.csv")), tmp_path / "a.html")
    assert not (tmp_path / "a.html").exists()
