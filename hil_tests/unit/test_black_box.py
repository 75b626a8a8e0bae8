"""The black box on the host: decoding its record, what it tells of a run, and the scenario made from it."""

from __future__ import annotations

import dataclasses
import json
import struct
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from needlepen import board, supervision
from needlepen.black_box import BlackBox, Sample, candidates, decode, inference, scenario, telling
from needlepen.cli.blackbox import blackbox
from needlepen.errors import UsageError
from needlepen.firmware_modules import firmware_module
from needlepen.scenario import actions
from needlepen.scenario.loader import parse

KEEP = firmware_module("pen.black_box_keep")
NUMBERS = firmware_module("pen.store.numbers")
ENVELOPE = firmware_module("pen.store.envelope")
CONTACT = firmware_module("pen.contact")
STATES = firmware_module("pen.states")
UNIQUE_ID = bytes.fromhex("e660000000000007")
FAULTS = [fault.name for fault in supervision.load().faults.values()]
PERIOD_S = 0.04
AIR_MA, SKIN_MA = 230, 330


def _levels(**said: bool) -> int:
    """GPIO levels with these lines saying yes or no; a trigger pressed, a cartridge seated unless told otherwise."""
    pins = {
        "TRIGGER_N": True,
        "CARTRIDGE_N": True,
        "VBUS_SENSE": False,
        "RUN_N": True,
        "TRIP_N": False,
    } | said
    described = board.load()
    return sum(1 << described.gpio(pin) for pin, yes in pins.items() if yes != pin.endswith("_N"))


def _row(time_ms: int, state: int = STATES.RUNNING, **fields: int) -> bytes:
    values = {
        "levels": _levels(),
        "set_4mhz": 25_000,
        "rate_4mhz": 25_000,
        "current_ma": 300,
        "cell_mv": 3700,
    }
    values |= {
        "on_counts": 2000,
        "depth_um": 50,
        "i2_sum": 0,
        "stop_reason": 0,
        "mark": NUMBERS.BLACK_BOX_MARK,
    }
    names = KEEP.RECORD_NAMES.split()
    known = {"time_ms": time_ms % (1 << 30), "state": state} | values | fields
    return struct.pack(NUMBERS.BLACK_BOX_RECORD, *(known[name] for name in names))


def _record(rows: list[bytes], **fields: Any) -> bytes:
    head = {"fault": 2, "note": 0, "boot": 5, "log_sequence": 77, "now_ms": 1, "uptime_ms": 9_000, "date_s": 0,
            "rate_hz": 100, "depth_um": 1500, "needles": 36, "profile": 0, "nose_dc": 225, "winding_dc": 300,
            "cell_mv": 3710, "blockers": 0, "warnings": 0, "application_hash": b"0123456789ab"} | fields  # fmt: skip
    payload = struct.pack(KEEP.HEAD, *(head[name] for name in KEEP.HEAD_NAMES.split())) + b"".join(rows)
    kind, version = NUMBERS.KIND_BLACK_BOX, NUMBERS.BLACK_BOX_FORMAT
    return bytes(ENVELOPE.pack(kind, version, 5, UNIQUE_ID, payload))


def _box(fault: str = "overspeed") -> BlackBox:
    """A run of 2.4 s at 100 Hz, on skin from 1.0 to 1.7 s, that a fault ends."""
    total, samples = 0, []
    for n in range(61):
        at_s = n * PERIOD_S
        total += round(PERIOD_S * 1000 * (SKIN_MA if 1.0 <= at_s < 1.7 else AIR_MA) ** 2 / 1024)
        lines = frozenset({"trigger", "cartridge", "permission"})
        state = "armed" if n == 0 else "safe" if n == 60 else "running"
        rate_hz = 0.0 if n == 0 else 170.0 if n == 60 else 100.0
        samples.append(
            Sample(at_s - 2.4, state, 0, 100.0, rate_hz, 0.3, 3.7, 0.5, 0.05, total % (1 << 30), lines)
        )
    box = decode(_record([]))
    return dataclasses.replace(box, fault=fault, samples=tuple(samples))


# ---------------------------------------------------------------------- record
def test_a_record_is_told_in_units_and_words() -> None:
    box = decode(
        _record([_row(1000, i2_sum=5), _row(1040, STATES.SAFE, rate_4mhz=42_500, depth_um=-20)], date_s=60)
    )
    assert (box.fault, box.boot, box.unique_id, box.needles, box.depth_mm) == (
        "overspeed",
        5,
        UNIQUE_ID.hex(),
        36,
        1.5,
    )
    assert (box.cell_v, box.nose_c, box.winding_c, box.uptime_s) == (3.71, 22.5, 30.0, 9.0)
    assert box.date is not None and box.date.isoformat() == "2000-01-01T00:01:00+00:00"
    first, last = box.samples
    assert (first.time_s, last.time_s, first.state, last.state) == (-0.04, 0.0, "running", "safe")
    assert (first.set_hz, last.rate_hz, last.depth_mm, first.current_a) == (100.0, 170.0, -0.02, 0.3)
    assert first.lines == {"trigger", "cartridge", "permission"} and box.seconds == 0.04


def test_the_oldest_record_of_the_ring_may_lie_anywhere_and_the_milliseconds_may_wrap() -> None:
    times = [(1 << 30) - 60, (1 << 30) - 20, 20, 60]
    rows = [_row(t) for t in times]
    for turn in range(4):
        box = decode(_record(rows[turn:] + rows[:turn]))
        assert [round(s.time_s, 3) for s in box.samples] == [-0.12, -0.08, -0.04, 0.0]


def test_records_of_long_before_are_left_out() -> None:
    box = decode(_record([_row(1_000), _row(2_000_000), _row(2_000_040)]))
    assert [round(s.time_s, 3) for s in box.samples] == [-0.04, 0.0]


@pytest.mark.parametrize("place", [0, 3, 4, 19, 25, -1])
def test_a_damaged_record_is_refused(place: int) -> None:
    damaged = bytearray(_record([_row(1000)]))
    damaged[place] ^= 0x10
    with pytest.raises(UsageError, match="is no record of a black box"):
        decode(bytes(damaged))


def test_a_record_of_another_length_is_refused() -> None:
    with pytest.raises(UsageError, match="do not fit its format"):
        decode(_record([b"xyz"]))
    with pytest.raises(UsageError, match="is no record of a black box"):
        decode(b"")


def test_the_pen_keeps_what_was_written_and_nothing_else() -> None:
    ring = (
        _row(1000)
        + bytes(NUMBERS.BLACK_BOX_RECORD_BYTES)
        + b"\xff" * NUMBERS.BLACK_BOX_RECORD_BYTES
        + _row(1040)
    )
    assert KEEP.sound(ring) == _row(1000) + _row(1040)
    assert struct.calcsize(NUMBERS.BLACK_BOX_RECORD) == NUMBERS.BLACK_BOX_RECORD_BYTES


# ---------------------------------------------------------------------- what happened
def test_skin_is_told_as_the_pen_tells_it() -> None:
    found = inference.happenings(_box())
    assert [each.what for each in found] == ["skin", "lift"]
    window_s = CONTACT.WINDOW_MS / 1000 + PERIOD_S
    assert abs(found[0].time_s - -1.4) <= window_s and abs(found[1].time_s - -0.7) <= window_s


def test_rate_and_lines_are_told() -> None:
    box = _box()
    changed = []
    for n, sample in enumerate(box.samples):
        ramp_hz = min(150.0, 100.0 + 10 * max(0, n - 30))
        lines = sample.lines - ({"trigger"} if n >= 50 else set()) | (
            {"external_power"} if n >= 55 else set()
        )
        changed.append(dataclasses.replace(sample, set_hz=ramp_hz, rate_hz=ramp_hz, lines=frozenset(lines)))
    found = inference.happenings(dataclasses.replace(box, samples=tuple(changed)))
    told = {each.what: (round(each.time_s, 2), each.value) for each in found}
    assert told["rate"] == (pytest.approx(30 * PERIOD_S - 2.4), 150.0)
    assert told["release"][0] == pytest.approx(49.5 * PERIOD_S - 2.4, abs=0.01)
    assert told["charger"][0] == pytest.approx(54.5 * PERIOD_S - 2.4, abs=0.01)


def test_the_last_sound_moment_lies_before_what_was_seen_wrong() -> None:
    box = _box()
    assert inference.last_sound_s(box) == pytest.approx(-PERIOD_S / 2)
    slow = [
        dataclasses.replace(s, rate_hz=80.0) if s.state == "running" and s.time_s > -0.5 else s
        for s in box.samples
    ]
    assert inference.last_sound_s(dataclasses.replace(box, samples=tuple(slow))) == pytest.approx(
        -0.5, abs=PERIOD_S
    )


# ---------------------------------------------------------------------- scenario
@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_becomes_a_scenario_or_says_why_not(fault: str) -> None:
    box = _box(fault)
    if not candidates(box):
        with pytest.raises(UsageError, match="knows no cause"):
            scenario(box)
        return
    for cause in candidates(box):
        made = parse(scenario(box, cause), "black box")
        assert made.header.rate_hz == 100.0 and made.header.cell_v == 3.71
        done = [step.action.do for step in made.steps]  # type: ignore[union-attr]
        assert done[-3:] == [cause["do"], "assert", "assert"] and fault in made.header.title


def test_the_scenario_repeats_the_recorded_run() -> None:
    made = parse(scenario(_box()), "black box")
    done = [step.action for step in made.steps]
    named = [action.do for action in done]  # type: ignore[union-attr]
    assert named[:5] == ["wait", "remove_cartridge", "seat_cartridge", "wait", "set_depth"]
    run = named.index("mark")
    assert named[run - 1] == "press_trigger" and named[run + 1 : run + 4] == [
        "touch_skin",
        "lift",
        "stick_bridge",
    ]
    assert any(isinstance(a, actions.SeatCartridge) and a.needles == 36 for a in done)
    length_s = sum(step.timing.after_s or 0.0 for step in made.steps[run + 1 :])
    assert length_s == pytest.approx(2.4 - PERIOD_S - PERIOD_S / 2, abs=PERIOD_S)


def test_a_fault_at_rest_needs_no_run() -> None:
    resting = [dataclasses.replace(s, state="idle") for s in _box().samples]
    made = parse(scenario(dataclasses.replace(_box("nose sensor"), samples=tuple(resting))), "black box")
    assert "press_trigger" not in [step.action.do for step in made.steps]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("stored_v", "seen_v", "begins_v"),
    [(3.71, 3.6, 3.71), (3.3, 3.62, 3.62), (3.3, 3.4, 3.55), (2.9, 4.1, 4.1)],
)
def test_a_replay_begins_with_a_cell_that_lets_a_pen_start(
    stored_v: float, seen_v: float, begins_v: float
) -> None:
    """What is stored after an empty battery is an empty battery (SR-20: no start below 3.50 V)."""
    box = _box("battery empty")
    samples = [*(dataclasses.replace(s, cell_v=seen_v) for s in box.samples[:-1]), box.samples[-1]]
    box = dataclasses.replace(box, cell_v=stored_v, samples=tuple(samples))
    assert parse(scenario(box), "black box").header.cell_v == pytest.approx(begins_v)


def test_a_drag_is_as_heavy_as_the_current_says() -> None:
    """1.5 A instead of 0.3: 1.2 A bear 3.2 mN m, and the motor gave way."""
    box = _box("underspeed")
    braked = [
        dataclasses.replace(s, rate_hz=60.0, current_a=1.5) if -0.2 < s.time_s < 0 else s for s in box.samples
    ]
    steps = candidates(dataclasses.replace(box, samples=tuple(braked)))
    kt_mnm_a = 1e3 * board.load().motor.torque_constant_nm_a
    assert steps[0]["kind"] == "slow" and steps[0]["value"] == pytest.approx(1.1 * 1.2 * kt_mnm_a, abs=0.06)
    assert steps[1] == {"do": "inject", "target": "motor", "kind": "slow"}
    assert candidates(box)[0] == steps[1], "nothing was measured"


def test_an_empty_box_cannot_be_replayed() -> None:
    with pytest.raises(UsageError, match="empty"):
        scenario(decode(_record([])))


# ---------------------------------------------------------------------- command
def _saved(tmp_path: Path) -> Path:
    path = tmp_path / "fault.npb"
    path.write_bytes(_record([_row(1000 + 40 * n) for n in range(20)] + [_row(1800, STATES.SAFE)]))
    return path


def test_the_command_tells_it_and_writes_the_scenario_once(tmp_path: Path) -> None:
    saved, made = _saved(tmp_path), tmp_path / "fault.toml"
    done = CliRunner().invoke(blackbox, [str(saved), "--to-scenario", str(made)], standalone_mode=False)
    assert done.exception is None and "overspeed, pen e660000000000007, boot 5" in done.output
    assert "SR-06" in done.output and str(made) in done.output
    assert parse(made.read_text(), "fault").header.judged_by == "safety"
    again = CliRunner().invoke(blackbox, [str(saved), "--to-scenario", str(made)], standalone_mode=False)
    assert isinstance(again.exception, UsageError) and "is already there" in str(again.exception)


def test_json_and_csv_hold_every_sample(tmp_path: Path) -> None:
    saved = _saved(tmp_path)
    content = json.loads(CliRunner().invoke(blackbox, [str(saved), "--json"], standalone_mode=False).output)
    assert content["fault"] == "overspeed" and len(content["samples"]) == 21
    table = CliRunner().invoke(blackbox, [str(saved), "--csv"], standalone_mode=False).output.splitlines()
    assert len(table) == 22 and table[0].startswith("time_s,state,set_hz") and table[0].endswith(",latch")
    assert telling.as_csv(decode(saved.read_bytes())).splitlines() == table


@pytest.mark.parametrize("content", [b"", b"no record", bytes(5000)])
def test_another_file_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other"
    path.write_bytes(content)
    done = CliRunner().invoke(blackbox, [str(path)], standalone_mode=False)
    assert isinstance(done.exception, UsageError) and "\n" not in str(done.exception)
