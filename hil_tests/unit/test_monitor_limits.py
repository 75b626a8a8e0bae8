"""The monitor to the millisecond, millivolt and tenth of a degree: when it reads, what it concludes and passes on.

Inputs are exact codes here; the watch of the run and the model of the winding are recorders.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from needlepen import requirements
from needlepen.firmware_modules import firmware_module

monitor = firmware_module("pen.monitor")
analogue, board, ripple = (firmware_module(f"pen.{name}") for name in ("analogue", "board", "ripple"))
faults, places, states = (firmware_module(f"pen.{name}") for name in ("faults", "places", "states"))
LIMIT = requirements.load().limit
CURRENT, NOSE, CELL = (
    board.ADC_MOTOR_CURRENT_CHANNEL,
    board.ADC_NOSE_TEMPERATURE_CHANNEL,
    board.ADC_BATTERY_CHANNEL,
)
READ_MS, CELL_MS, HEAT_MS = 35, 100, 250
BROKEN_MS, SATURATED_MS = 500, 150
SESSION_WARN_MS = 300_000
KEPT = 99  # a mark: nothing was concluded


@cache
def _codes(convert: Any) -> dict[int, int]:
    """For each quantity a mean code (Q4) that means it."""
    return {convert(q4): q4 for q4 in range(16 * 300, 16 * 3800)}


class Inputs:
    """Sixteen equal codes of each input; `spread` widens an input without a change of its mean."""

    count = 16

    def __init__(self) -> None:
        self.total, self.least, self.most = [0] * 4, [0] * 4, [0] * 4
        self.vbus, self.reads, self.kept = False, 0, 0
        self.cell(3_800), self.nose(250), self.raw(CURRENT, 0)

    def raw(self, channel: int, code: int, most: int | None = None) -> None:
        self.total[channel] = 16 * code
        self.least[channel], self.most[channel] = code, code if most is None else most

    def _mean(self, channel: int, q4: int) -> None:
        self.raw(channel, q4 // 16)
        self.total[channel] = q4 - 8

    def cell(self, mv: int) -> None:
        self._mean(CELL, _codes(analogue.cell_mv)[mv])

    def nose(self, dc: int) -> None:
        self._mean(NOSE, _codes(analogue.nose_dc)[dc])

    def read(self, awake: bool) -> None:
        self.reads += 1

    def external_power(self) -> bool:
        return self.vbus

    def keep_heat(self, heat: int) -> None:
        self.kept = heat

    def kept_heat(self) -> int:
        return 0


class Run:
    """The watch of a run, as the test says."""

    def __init__(self) -> None:
        self.fault = self.run_ms = self.noted = 0
        self.warning = self.dipping = False
        self.duty, self.driven_ms = 0.0, 0
        self.looks: list[tuple[int, int]] = []

    def begin(self) -> None:
        self.fault = 0

    def look(self, elapsed_ms: int, cell_mv: int) -> None:
        self.looks.append((elapsed_ms, cell_mv))

    def fail(self, fault: int) -> None:
        self.fault = self.fault or fault

    def note(self) -> int:
        return self.noted

    def take_duty(self) -> tuple[float, int]:
        return self.duty, self.driven_ms


class Winding:
    """A winding of a given temperature that keeps what it was told."""

    heat = 77

    def __init__(self) -> None:
        self.winding_c = 30.0
        self.told: list[tuple[float, float, float, float | None]] = []

    def step(self, *told: Any) -> None:
        self.told.append(told)


class Pen:
    def __init__(self, heat: int = 0, i2_sum: int = 0) -> None:
        self.state: list[int] = [0] * places.SIZE
        self.state[places.I2_SUM] = i2_sum
        self.inputs = Inputs()
        self.m = monitor.Monitor(self.state, self.inputs, lambda later, earlier: later - earlier, heat)
        self.run, self.winding = Run(), Winding()
        self.m._run, self.m.winding = self.run, self.winding
        self.now_ms = 1_000

    def go(self, *passes_ms: int, awake: bool = False) -> Pen:
        """Passes, each so long after the one before."""
        for ms in passes_ms:
            self.now_ms += ms
            self.m.poll(self.now_ms, awake)
        return self

    def drive(self, on: bool = True) -> Pen:
        self.state[places.DRIVE] = int(on)
        return self


def read_once() -> Pen:
    """A pen that has read everything and finds nothing wrong, at rest."""
    pen = Pen().go(0)
    assert (pen.m.fault, pen.m.blockers, pen.m.warnings, pen.m.busy) == (0, 0, 0, False)
    return pen


# ---------------------------------------------------------------------- before and at the first reading
def test_before_the_first_reading_nothing_is_known_and_nothing_may_start() -> None:
    m = monitor.Monitor([0] * places.SIZE, Inputs(), lambda later, earlier: later - earlier)
    assert (m.fault, m.warnings, m.busy, m.stop_note) == (faults.NONE, 0, False, states.NOTE_NONE)
    assert (m.nose_dc, m.winding_dc, m.cell_mv, m.session_ms, m.heat, m.run_ms) == (0, 0, 0, 0, 0, 0)
    assert m.blockers == states.BLOCK_BATTERY_SENSOR | states.BLOCK_NOSE_TEMPERATURE


def test_the_first_reading_gives_everything_at_once() -> None:
    pen = Pen(i2_sum=5_000).go(0)
    assert (pen.inputs.reads, pen.m.cell_mv, pen.m.nose_dc, pen.m.winding_dc) == (1, 3_800, 250, 300)
    assert pen.winding.told == [(CELL_MS / 1000, 0.0, 0.0, 25.0)] and pen.inputs.kept == 77


def test_a_first_pass_with_the_drive_awake_reads_and_concludes_nothing_yet() -> None:
    """The sampling ring is not filled."""
    pen = Pen()
    pen.m.warnings = KEPT
    pen.go(0, awake=True)
    assert (pen.inputs.reads, pen.m.warnings) == (0, KEPT)
    pen.go(10, awake=True)
    assert (pen.inputs.reads, pen.m.warnings) == (1, 0)


def test_a_run_that_is_on_at_the_first_pass_is_a_run() -> None:
    pen = Pen().drive().go(0)
    assert pen.m.session_ms == 0 and pen.run.looks == []
    pen.go(40)
    assert pen.m.session_ms == 40 and pen.run.looks == [(40, 3_800)]


@pytest.mark.parametrize("heat", [0, 1, 0x4000])
def test_with_heat_from_before_a_reset_nothing_starts_above_the_warning(heat: int) -> None:
    warn_dc = 10 * int(LIMIT("SR-19", "warn_c"))
    pen = Pen(heat)
    pen.winding.winding_c = warn_dc / 10
    pen.go(0)
    assert pen.m.blockers == (states.BLOCK_WINDING_HOT if heat else 0)
    pen.winding.winding_c = (warn_dc - 1) / 10
    pen.go(HEAT_MS)
    assert pen.m.blockers == 0
    pen.winding.winding_c = warn_dc / 10
    pen.go(HEAT_MS)
    assert pen.m.blockers == 0, "once cool, the limit of a running pen counts"


# ---------------------------------------------------------------------- when it reads
@pytest.mark.parametrize(("after_ms", "reads"), [(READ_MS - 1, 1), (READ_MS, 2)])
def test_inputs_are_read_every_35_ms_and_only_then_is_anything_concluded(after_ms: int, reads: int) -> None:
    pen = read_once()
    pen.m.warnings = KEPT
    pen.go(after_ms)
    assert (pen.inputs.reads, pen.m.warnings) == (reads, 0 if reads == 2 else KEPT)


def test_when_the_drive_wakes_the_ring_is_left_to_fill_for_one_pass() -> None:
    pen = read_once()
    pen.go(250, awake=True)
    assert pen.inputs.reads == 1
    pen.go(10, awake=True)
    assert pen.inputs.reads == 2


@pytest.mark.parametrize(("then_ms", "mv"), [(49, 3_800), (50, 3_700)])
def test_the_cell_voltage_is_a_mean_of_100_ms(then_ms: int, mv: int) -> None:
    pen = read_once()
    pen.inputs.cell(3_700)
    assert pen.go(50, then_ms).m.cell_mv == mv


@pytest.mark.parametrize(("then_ms", "steps"), [(124, 1), (125, 2)])
def test_heat_moves_on_every_250_ms(then_ms: int, steps: int) -> None:
    pen = read_once().go(125, then_ms)
    assert len(pen.winding.told) == steps
    pen.go(HEAT_MS)
    assert sum(told[0] for told in pen.winding.told) == pytest.approx(
        (CELL_MS + 125 + then_ms + HEAT_MS) / 1000
    )


def test_until_the_nose_was_read_heat_moves_on_with_each_reading() -> None:
    pen = Pen()
    pen.inputs.raw(NOSE, 1_000, 2_000)
    pen.go(0)
    pen.inputs.nose(250)
    pen.go(40)
    assert [told[3] for told in pen.winding.told] == [0.0, 25.0] and pen.m.nose_dc == 250


# ---------------------------------------------------------------------- what the winding is told
def test_heat_is_the_mean_square_of_the_current_with_the_ripple_of_the_driven_share() -> None:
    pen = read_once().drive().go(10)
    pen.state[places.I2_SUM] += 25_001
    pen.state[places.SET_MHZ] = 120_000
    pen.run.duty, pen.run.driven_ms = 0.5, 125
    pen.go(HEAT_MS - 10)
    a2 = 25_001 * 1024e-6 / HEAT_MS + 125 / HEAT_MS * ripple.heat_a2(0.5, 3.8)
    assert pen.winding.told[-1] == (HEAT_MS / 1000, pytest.approx(a2, rel=1e-9), pytest.approx(60.0), None)


def test_the_sum_of_squares_may_run_full() -> None:
    pen = Pen(i2_sum=0x3FFF_FFF0).go(0)
    pen.state[places.I2_SUM] = 0x11
    pen.go(HEAT_MS)
    assert pen.winding.told[-1][1] == pytest.approx(0x21 * 1024e-6 / HEAT_MS)


@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize("broken", [False, True])
def test_the_surroundings_follow_a_sound_nose_at_rest(running: bool, broken: bool) -> None:
    pen = read_once().drive(running)
    if broken:
        pen.inputs.raw(NOSE, 4_090)
    pen.go(*[125] * 6)
    assert pen.winding.told[-1][3] == (None if running or broken else 25.0)


# ---------------------------------------------------------------------- SR-18, SR-19, SR-20: the limits
def _nose(pen: Pen, dc: int) -> Pen:
    pen.inputs.nose(dc)
    return pen.go(HEAT_MS)


@pytest.mark.parametrize(("fall_dc", "stays"), [(5, True), (6, False)])
def test_the_nose_warns_at_its_limit_and_half_a_degree_below_no_more(fall_dc: int, stays: bool) -> None:
    warn_dc = round(10 * float(LIMIT("SR-18", "warn_c")))
    pen = _nose(read_once(), warn_dc - 1)
    assert pen.m.warnings == 0
    assert _nose(pen, warn_dc).m.warnings == states.WARN_NOSE_WARM
    assert _nose(pen, warn_dc - fall_dc).m.warnings == (states.WARN_NOSE_WARM if stays else 0)
    assert (pen.m.fault, pen.m.blockers) == (0, 0)


@pytest.mark.parametrize(("fall_dc", "stays"), [(5, True), (6, False)])
def test_the_nose_stops_at_its_limit_and_half_a_degree_below_no_more(fall_dc: int, stays: bool) -> None:
    stop_dc = round(10 * float(LIMIT("SR-18", "stop_c")))
    pen = _nose(read_once(), stop_dc - 1)
    assert (pen.m.fault, pen.m.blockers) == (0, 0)
    _nose(pen, stop_dc)
    assert (pen.m.fault, pen.m.blockers) == (faults.NOSE_HOT, states.BLOCK_NOSE_TEMPERATURE)
    _nose(pen, stop_dc - fall_dc)
    assert pen.m.fault == (faults.NOSE_HOT if stays else 0)


def _winding(pen: Pen, dc: int) -> Pen:
    pen.winding.winding_c = dc / 10
    return pen.go(HEAT_MS)


@pytest.mark.parametrize(("fall_dc", "stays"), [(20, True), (21, False)])
def test_the_winding_warns_at_its_limit_and_two_degrees_below_no_more(fall_dc: int, stays: bool) -> None:
    warn_dc = 10 * int(LIMIT("SR-19", "warn_c"))
    pen = _winding(read_once(), warn_dc - 1)
    assert pen.m.warnings == 0
    assert _winding(pen, warn_dc).m.warnings == states.WARN_WINDING_WARM
    assert _winding(pen, warn_dc - fall_dc).m.warnings == (states.WARN_WINDING_WARM if stays else 0)


@pytest.mark.parametrize(("below_dc", "stays"), [(0, True), (1, False)])
def test_the_winding_stops_at_its_limit_and_below_the_warning_no_more(below_dc: int, stays: bool) -> None:
    warn_dc, stop_dc = (10 * int(LIMIT("SR-19", name)) for name in ("warn_c", "stop_c"))
    pen = _winding(read_once(), stop_dc - 1)
    assert (pen.m.fault, pen.m.blockers) == (0, 0)
    _winding(pen, stop_dc)
    assert (pen.m.fault, pen.m.blockers) == (faults.WINDING_HOT, states.BLOCK_WINDING_HOT)
    _winding(pen, warn_dc - below_dc)
    assert (pen.m.fault, pen.m.blockers) == (
        (faults.WINDING_HOT, states.BLOCK_WINDING_HOT) if stays else (0, 0)
    )


def _cell(pen: Pen, mv: int) -> Pen:
    pen.inputs.cell(mv)
    pen.go(CELL_MS)
    assert pen.m.cell_mv == mv
    return pen


@pytest.mark.parametrize(("mv", "blocked"), [(0, False), (-1, True)])
def test_a_cell_starts_from_its_limit_on(mv: int, blocked: bool) -> None:
    start_mv = round(1000 * float(LIMIT("SR-20", "start_v")))
    pen = _cell(read_once(), start_mv + mv)
    assert pen.m.blockers == (states.BLOCK_BATTERY_LOW if blocked else 0)
    assert pen.m.fault == 0
    assert _cell(pen, start_mv - 1).m.blockers == states.BLOCK_BATTERY_LOW
    assert _cell(pen, start_mv).m.blockers == 0


def test_a_cell_warns_below_its_limit_until_it_is_20_mv_above() -> None:
    warn_mv = round(1000 * float(LIMIT("SR-20", "warn_v")))
    pen = read_once()
    for mv, warned in ((0, False), (-1, True), (19, True), (20, False), (0, False)):
        assert _cell(pen, warn_mv + mv).m.warnings == (states.WARN_BATTERY_LOW if warned else 0), mv


@pytest.mark.parametrize(("mv", "fault"), [(0, False), (-1, True)])
def test_a_running_pen_stops_below_its_limit(mv: int, fault: bool) -> None:
    stop_mv = round(1000 * float(LIMIT("SR-20", "stop_v")))
    pen = read_once().drive().go(0)
    assert _cell(pen, stop_mv + mv).m.fault == (faults.BATTERY_EMPTY if fault else 0)


# ---------------------------------------------------------------------- broken sensors
def _bad_for(pen: Pen, ms: int) -> Pen:
    """Passes of 50 ms, and what is left."""
    return pen.go(*[50] * ((ms - 1) // 50), ms - (ms - 1) // 50 * 50)


@pytest.mark.parametrize(
    ("channel", "fault", "blocker"),
    [
        (NOSE, faults.NOSE_SENSOR, states.BLOCK_NOSE_TEMPERATURE),
        (CELL, faults.BATTERY_SENSOR, states.BLOCK_BATTERY_SENSOR),
    ],
)
@pytest.mark.parametrize(("ms", "broken"), [(BROKEN_MS - 1, False), (BROKEN_MS, True)])
def test_a_sensor_is_broken_when_it_was_implausible_for_500_ms(
    channel: int, fault: int, blocker: int, ms: int, broken: bool
) -> None:
    pen = read_once()
    pen.inputs.raw(channel, 4_095)
    _bad_for(pen, ms)
    assert (pen.m.fault, pen.m.blockers) == ((fault, blocker) if broken else (0, 0))
    assert pen.m.busy != broken, "it is looked at in each pass until that is known"


@pytest.mark.parametrize(("ms", "broken"), [(BROKEN_MS - 1, False), (BROKEN_MS, True)])
def test_current_at_rest_is_a_broken_sensor_after_500_ms(ms: int, broken: bool) -> None:
    pen = read_once()
    pen.inputs.raw(CURRENT, 101)
    _bad_for(pen, ms)
    assert (pen.m.fault, pen.m.busy) == ((faults.CURRENT_SENSOR, False) if broken else (0, True))


@pytest.mark.parametrize(("ms", "broken"), [(SATURATED_MS - 1, False), (SATURATED_MS, True)])
def test_an_amplifier_at_its_rail_is_broken_after_150_ms_of_a_run(ms: int, broken: bool) -> None:
    pen = read_once().drive().go(0)
    pen.inputs.raw(CURRENT, board.ADC_MOTOR_CURRENT_VALID_MAX_RAW + 1)
    _bad_for(pen, ms)
    assert (pen.m.fault, pen.m.busy) == (faults.CURRENT_SENSOR if broken else 0, False)


@pytest.mark.parametrize(("channel", "code", "spread"), [(NOSE, 2_000, 150), (CELL, 1_500, 250)])
def test_codes_that_lie_too_far_apart_ask_for_another_look(channel: int, code: int, spread: int) -> None:
    pen = read_once()
    pen.inputs.raw(channel, code, code + spread)
    assert not pen.go(50).m.busy
    pen.inputs.raw(channel, code, code + spread + 1)
    assert pen.go(50).m.busy


@pytest.mark.parametrize(("code", "busy"), [(100, False), (101, True)])
def test_80_ma_at_rest_ask_for_another_look(code: int, busy: bool) -> None:
    pen = read_once()
    pen.inputs.raw(CURRENT, code)
    assert pen.go(50).m.busy is busy


def test_a_slow_run_asks_for_another_look() -> None:
    pen = read_once().drive().go(10)
    assert not pen.m.busy
    pen.run.dipping = True
    assert pen.go(10).m.busy


@pytest.mark.parametrize(
    ("channel", "blocker"), [(NOSE, states.BLOCK_NOSE_TEMPERATURE), (CELL, states.BLOCK_BATTERY_SENSOR)]
)
def test_what_was_never_read_blocks_by_itself(channel: int, blocker: int) -> None:
    pen = Pen()
    pen.inputs.raw(channel, 4_095)
    assert pen.go(0).m.blockers == blocker and pen.m.fault == 0


# ---------------------------------------------------------------------- at once, without a reading
def test_external_power_is_concluded_in_the_pass_that_sees_it() -> None:
    pen = read_once()
    pen.inputs.vbus = True
    assert pen.go(10).m.blockers == states.BLOCK_EXTERNAL_POWER and pen.inputs.reads == 1


def test_a_fault_of_a_run_is_gone_in_the_pass_that_sees_its_end() -> None:
    pen = read_once().drive().go(10)
    pen.run.fail(faults.UNDERSPEED)
    assert pen.go(10).m.fault == faults.UNDERSPEED
    assert pen.drive(False).go(10).m.fault == faults.NONE and pen.inputs.reads == 1


def test_the_time_of_the_run_is_that_of_its_watch() -> None:
    pen = read_once()
    pen.run.run_ms = 1_234
    assert pen.m.run_ms == 1_234


# ---------------------------------------------------------------------- the session
@pytest.mark.parametrize(
    ("left_ms", "warned"),
    [(SESSION_WARN_MS, False), (SESSION_WARN_MS - 1, True), (1, True), (0, True)],
)
def test_a_session_warns_below_5_min_and_blocks_at_its_end(left_ms: int, warned: bool) -> None:
    pen = read_once()
    pen.m.session_limit_ms, pen.m.session_ms = 600_000, 600_000 - left_ms
    pen.go(50)
    assert pen.m.warnings == (states.WARN_SESSION_TIME if warned else 0)
    assert pen.m.blockers == (0 if left_ms else states.BLOCK_SESSION_OVER)


@pytest.mark.parametrize(("left_ms", "note"), [(1, states.NOTE_NONE), (0, states.NOTE_SESSION_OVER)])
def test_a_run_ends_with_the_session(left_ms: int, note: int) -> None:
    pen = read_once().drive().go(0)
    pen.m.session_limit_ms, pen.m.session_ms = 600_000, 600_000 - left_ms
    assert pen.go(10).m.stop_note == note
