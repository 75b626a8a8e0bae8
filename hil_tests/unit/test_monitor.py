"""SR-07, SR-13, SR-18, SR-19, SR-20, SR-22 and session limits: what the monitor concludes, at the boundaries, state by
state and without a chip."""

from __future__ import annotations

import array
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from needlepen import requirements
from needlepen.board import load
from needlepen.firmware_modules import firmware_module

monitor_module = firmware_module("pen.monitor")
faults, states, places = (firmware_module(f"pen.{name}") for name in ("faults", "states", "places"))
LIMIT = requirements.load().limit
BOARD = load()
NEVER_MS = 10**9


class FakeInputs:
    """Codes of the converter for given quantities, with one LSB of noise."""

    def __init__(self) -> None:
        self.total, self.least, self.most, self.count = [0] * 4, [0] * 4, [0] * 4, 8
        self.cell_v, self.nose_c, self.current_a = 3.8, 25.0, 0.0
        self.codes: dict[str, tuple[int, int]] = {}  # least and most of an input that a test disturbs
        self.vbus = False
        self.kept = 0

    def read(self, awake: bool) -> None:
        self.count = 8 if awake else 16
        values = {"MOTOR_CURRENT": self.current_a, "NOSE_TEMPERATURE": self.nose_c, "BATTERY": self.cell_v}
        for name, value in values.items():
            converter = BOARD.converters[name]
            ideal = self._with_erratum(converter.volts(value, 3.3) / 3.3 * 4096)
            least, most = self.codes.get(name, (int(ideal), int(ideal) + 1))
            k = converter.channel
            self.least[k], self.most[k] = least, most
            self.total[k] = (least + most) * self.count // 2

    @staticmethod
    def _with_erratum(true_code: float) -> float:
        """As a converter with four jumps of 12.5 LSB gives it."""
        code = true_code * (4096 + 50) / 4096
        for jump in (512, 1536, 2560, 3584):
            code = code if code < jump else max(jump, code - 12.5)
        return code

    def external_power(self) -> bool:
        return self.vbus

    def keep_heat(self, heat: int) -> None:
        self.kept = heat

    def kept_heat(self) -> int:
        return self.kept


class Pen:
    """A monitor with the state of a control tick that does what the test says."""

    def __init__(self, heat: int = 0, inputs: FakeInputs | None = None) -> None:
        self.state: list[Any] = [0] * places.SIZE
        self.state[places.EDGE_RING] = array.array("q", 16 * [0])
        self.inputs = inputs or FakeInputs()
        self.m = monitor_module.Monitor(self.state, self.inputs, lambda later, earlier: later - earlier, heat)
        self.now_ms = 0
        self.rate_hz = 100.0
        self.seen_ma = 250
        self.awake = False
        self._edge_us = 0.0
        self.rest(1000)

    def rest(self, ms: int) -> None:
        """Time at rest: a full pass every 250 ms."""
        self.awake, self.state[places.DRIVE] = False, 0
        for _ in range(ms // 250):
            self.now_ms += 250
            self.m.poll(self.now_ms, False)

    def start(self, set_hz: int = 100) -> None:
        """Press: awake for 30 ms, then driven and at the set rate at once."""
        if not self.awake:
            self.awake, self.state[places.TICKS] = True, 0
            self._pass(10), self._pass(10), self._pass(10)
        self.state[places.SET_MHZ] = self.state[places.TARGET_MHZ] = 1000 * set_hz
        self.rate_hz = set_hz
        self.state[places.ON_COUNTS] = 2450
        self.state[places.DRIVE] = 1

    def stop(self) -> None:
        self.state[places.DRIVE] = 0

    def run(self, ms: float, until: Callable[[], object] = lambda: False) -> float:
        """Passes of 10 ms; how long it took until a condition, NEVER_MS if it did not come."""
        begun_ms = self.now_ms
        while self.now_ms < begun_ms + ms:
            self._pass(10)
            if until():
                return self.now_ms - begun_ms
        return NEVER_MS

    def _pass(self, ms: int) -> None:
        self.now_ms += ms
        s = self.state
        s[places.TICKS] += ms
        if s[places.DRIVE]:
            s[places.I2_SUM] += ms * (self.seen_ma**2 >> 10)
            self._turn()
        self.m.poll(self.now_ms, True)

    def _turn(self) -> None:
        """Index edges up to now, four a stroke."""
        s, ring = self.state, self.state[places.EDGE_RING]
        self._edge_us = max(self._edge_us, 1000.0 * self.now_ms - 20_000)
        while self._edge_us + 250_000 / self.rate_hz < 1000 * self.now_ms:
            self._edge_us += 250_000 / self.rate_hz
            slot = s[places.EDGE_SLOT]
            s[places.TURN_US] = int(self._edge_us) - ring[slot - 4 & 15]
            s[places.EDGE_US] = ring[slot] = int(self._edge_us)
            s[places.EDGE_SLOT] = slot + 1 & 15

    def running(self, set_hz: int = 100, settle_ms: int = 400) -> Pen:
        self.start(set_hz)
        self.run(settle_ms)
        assert (self.m.fault, self.m.stop_note) == (0, 0)
        return self


@pytest.fixture
def pen() -> Iterator[Pen]:
    made = Pen()
    assert (made.m.fault, made.m.blockers, made.m.warnings) == (0, 0, 0)
    yield made


def test_nothing_starts_before_battery_and_nose_were_read() -> None:
    m = monitor_module.Monitor([0] * places.SIZE, FakeInputs(), lambda later, earlier: later - earlier)
    assert m.blockers == states.BLOCK_BATTERY_SENSOR | states.BLOCK_NOSE_TEMPERATURE
    m.poll(5, False)
    assert m.blockers == 0 and abs(m.nose_dc - 250) <= 3 and abs(m.cell_mv - 3800) <= 10


# ---------------------------------------------------------------------- SR-07
@pytest.mark.parametrize("set_hz", [50, 100, 150])
def test_underspeed_is_a_fault_of_the_run_and_gone_with_it(pen: Pen, set_hz: int) -> None:
    pen.running(set_hz)
    pen.rate_hz = 0.99 * max(0.6 * set_hz, 40)
    assert 40 <= pen.run(500, lambda: pen.m.fault == faults.UNDERSPEED) <= 90
    pen.stop()
    pen.run(20)
    assert pen.m.fault == 0 and not pen.m.warnings & states.WARN_UNDERSPEED


@pytest.mark.parametrize("set_hz", [50, 100, 150])
def test_a_little_slow_only_warns(pen: Pen, set_hz: int) -> None:
    pen.running(set_hz)
    pen.rate_hz = 0.845 * set_hz
    assert 90 <= pen.run(500, lambda: pen.m.warnings & states.WARN_UNDERSPEED) <= 130
    assert pen.run(2000, lambda: pen.m.fault) == NEVER_MS


# ---------------------------------------------------------------------- SR-13
def test_no_contact_stops_after_15_s_and_within_16(pen: Pen) -> None:
    pen.start()
    stopped_ms = pen.run(20_000, lambda: pen.m.stop_note)
    assert pen.m.stop_note == states.NOTE_NO_CONTACT and pen.m.fault == 0
    assert 1000 * float(LIMIT("SR-13", "no_contact_s")) <= stopped_ms <= 16_000
    pen.stop()
    pen.run(10)
    assert pen.m.stop_note == states.NOTE_NONE


@pytest.mark.parametrize("lifted_s", [14.0, 14.9])
def test_contact_inside_15_s_goes_on(pen: Pen, lifted_s: float) -> None:
    pen.running(settle_ms=1000)
    for _ in range(4):
        pen.seen_ma = 300
        assert pen.run(1000, lambda: pen.m.stop_note) == NEVER_MS
        pen.seen_ma = 250
        assert pen.run(1000 * lifted_s, lambda: pen.m.stop_note) == NEVER_MS


def test_after_contact_the_15_s_begin_anew(pen: Pen) -> None:
    pen.running()
    pen.run(5000)
    pen.seen_ma = 300
    pen.run(3000)
    pen.seen_ma = 250
    assert 14_500 <= pen.run(20_000, lambda: pen.m.stop_note) <= 16_000


def test_one_run_lasts_10_min(pen: Pen) -> None:
    pen.running()
    pen.seen_ma = 400
    ran_ms = pen.run(700_000, lambda: pen.m.stop_note) + 400
    assert pen.m.stop_note == states.NOTE_RUN_TOO_LONG
    assert -200 <= ran_ms - 60_000 * float(LIMIT("SR-13", "run_min")) <= 0


def test_a_new_run_has_its_full_time(pen: Pen) -> None:
    pen.running()
    pen.run(10_000)
    pen.stop()
    pen.run(50)
    pen.start()
    assert pen.run(14_900, lambda: pen.m.stop_note) == NEVER_MS


# ---------------------------------------------------------------------- session
def test_a_session_ends_at_its_limit_warns_before_and_blocks_after(pen: Pen) -> None:
    pen.m.session_limit_ms = 30 * 60_000
    pen.rest(3_600_000)
    assert pen.m.session_ms == 0 and pen.m.blockers == 0
    pen.running()
    pen.stop()
    pen.run(10)
    pen.rest(24 * 60_000)
    assert pen.m.warnings == 0
    pen.rest(90_000)
    assert pen.m.warnings == states.WARN_SESSION_TIME and pen.m.blockers == 0
    pen.running(settle_ms=1000)
    pen.seen_ma = 300
    pen.run(5 * 60_000, lambda: pen.m.stop_note)
    assert pen.m.stop_note == states.NOTE_SESSION_OVER and abs(pen.m.session_ms - 30 * 60_000) <= 20
    pen.stop()
    pen.run(10)
    assert pen.m.blockers == states.BLOCK_SESSION_OVER
    pen.m.new_session()
    pen.run(10)
    assert (pen.m.blockers, pen.m.warnings, pen.m.session_ms) == (0, 0, 0)


# ---------------------------------------------------------------------- SR-18
@pytest.mark.parametrize("at_rest", [True, False])
def test_the_nose_warns_at_41_and_stops_at_43(pen: Pen, at_rest: bool) -> None:
    def go(ms: int, until: Callable[[], object]) -> float:
        if not at_rest:
            return pen.run(ms, until)
        begun_ms = pen.now_ms
        while pen.now_ms < begun_ms + ms and not until():
            pen.rest(250)
        return pen.now_ms - begun_ms if until() else NEVER_MS

    warn_c, stop_c = float(LIMIT("SR-18", "warn_c")), float(LIMIT("SR-18", "stop_c"))
    if not at_rest:
        pen.running()
    pen.inputs.nose_c = warn_c - 0.2
    assert go(3000, lambda: pen.m.warnings) == NEVER_MS
    pen.inputs.nose_c = warn_c + 0.1
    assert go(3000, lambda: pen.m.warnings == states.WARN_NOSE_WARM) <= 1000
    pen.inputs.nose_c = stop_c - 0.2
    assert go(3000, lambda: pen.m.fault) == NEVER_MS
    pen.inputs.nose_c = stop_c + 0.1
    reacted_ms = go(3000, lambda: pen.m.fault == faults.NOSE_HOT)
    assert reacted_ms <= 1000 * float(LIMIT("SR-18", "react_s"))
    pen.stop()
    pen.inputs.nose_c = stop_c - 1
    pen.rest(1000)
    assert pen.m.fault == 0 and pen.m.warnings == states.WARN_NOSE_WARM
    pen.inputs.nose_c = warn_c - 1
    pen.rest(1000)
    assert (pen.m.fault, pen.m.warnings, pen.m.blockers) == (0, 0, 0)


SENSOR_FAULTS = {
    "open NTC": ("NOSE_TEMPERATURE", (4090, 4095), "NOSE_SENSOR"),
    "shorted NTC": ("NOSE_TEMPERATURE", (0, 3), "NOSE_SENSOR"),
    "garbage from the NTC": ("NOSE_TEMPERATURE", (900, 3000), "NOSE_SENSOR"),
    "open battery divider": ("BATTERY", (0, 3), "BATTERY_SENSOR"),
    "battery divider at the rail": ("BATTERY", (4090, 4095), "BATTERY_SENSOR"),
    "garbage from the battery": ("BATTERY", (1100, 1800), "BATTERY_SENSOR"),
    "current amplifier at the rail": ("MOTOR_CURRENT", (4080, 4095), "CURRENT_SENSOR"),
}


@pytest.mark.parametrize("at_rest", [True, False])
@pytest.mark.parametrize("name", SENSOR_FAULTS)
def test_a_broken_sensor_is_a_fault_within_1_s(pen: Pen, name: str, at_rest: bool) -> None:
    sensor, codes, fault = SENSOR_FAULTS[name]
    if not at_rest:
        pen.running()
    pen.inputs.codes[sensor] = codes
    begun_ms = pen.now_ms
    while not pen.m.fault and pen.now_ms < begun_ms + 2000:
        pen.rest(250) if at_rest else pen.run(10)
    assert pen.m.fault == getattr(faults, fault)
    assert pen.now_ms - begun_ms <= 1000 * float(LIMIT("SR-18", "sensor_fault_s"))
    pen.stop()
    pen.inputs.codes.clear()
    pen.rest(4000)
    assert (pen.m.fault, pen.m.blockers) == (0, 0)


def test_a_short_disturbance_of_a_sensor_does_nothing(pen: Pen) -> None:
    pen.running()
    for sensor, codes, _ in SENSOR_FAULTS.values():
        pen.inputs.codes[sensor] = codes
        assert pen.run(90, lambda: pen.m.fault) == NEVER_MS
        pen.inputs.codes.clear()
        pen.run(2500)
    assert pen.m.fault == 0 and 24 <= pen.m.nose_dc / 10 <= 26 and abs(pen.m.cell_mv - 3800) < 20


def test_a_current_sensor_that_is_not_at_zero_at_rest_is_a_fault(pen: Pen) -> None:
    pen.inputs.current_a = 0.07
    pen.rest(3000)
    assert pen.m.fault == 0
    pen.inputs.current_a = 0.10
    pen.rest(1000)
    assert pen.m.fault == faults.CURRENT_SENSOR


def test_a_current_sensor_that_reads_nothing_in_a_run_is_a_fault(pen: Pen) -> None:
    pen.running()
    pen.seen_ma = 50
    assert pen.run(3000, lambda: pen.m.fault) == NEVER_MS
    pen.seen_ma = 30
    assert pen.run(3000, lambda: pen.m.fault == faults.CURRENT_SENSOR) <= 1100


# ---------------------------------------------------------------------- SR-19
def test_the_winding_warns_at_85_and_stops_at_100(pen: Pen) -> None:
    pen.running()
    pen.seen_ma = 1450
    pen.inputs.nose_c = 40.0
    pen.stop()
    pen.rest(120_000)
    pen.running()
    pen.run(300_000, lambda: pen.m.warnings & states.WARN_WINDING_WARM)
    warned_dc = pen.m.winding_dc
    pen.run(300_000, lambda: pen.m.fault == faults.WINDING_HOT)
    stopped_dc = pen.m.winding_dc
    assert 0 <= warned_dc - 10 * float(LIMIT("SR-19", "warn_c")) <= 10
    assert 0 <= stopped_dc - 10 * float(LIMIT("SR-19", "stop_c")) <= 10
    pen.stop()
    pen.rest(500)
    assert pen.m.fault == faults.WINDING_HOT and pen.m.blockers == states.BLOCK_WINDING_HOT
    pen.rest(30_000)
    assert pen.m.fault == 0 and pen.m.blockers == 0 and pen.m.winding_dc < 850


def test_heat_survives_a_reset_through_the_chip_and_through_the_counters(pen: Pen) -> None:
    pen.running()
    pen.seen_ma = 1200
    pen.run(60_000)
    before_dc = pen.m.winding_dc
    after_reset = Pen(inputs=pen.inputs)
    stored = Pen(heat=pen.m.heat)
    for again in (after_reset, stored):
        assert again.m.winding.housing_k == pytest.approx(pen.m.winding.housing_k, abs=1.5)
    assert before_dc > 500
    assert Pen().m.winding_dc < 300


@pytest.mark.parametrize(("winding_k", "blocked"), [(64, True), (58, False)])
def test_after_a_reset_no_start_above_the_warning(winding_k: int, blocked: bool) -> None:
    """A winding at 89 C may run on, but it may not be started again."""
    m = monitor_module.Monitor(
        [0] * places.SIZE, FakeInputs(), lambda later, earlier: later - earlier, winding_k << 8
    )
    m.poll(5, False)
    assert bool(m.blockers & states.BLOCK_WINDING_HOT) == blocked and m.fault == 0


def test_short_presses_heat_as_much_as_they_last(pen: Pen) -> None:
    """Presses of 120 ms, shorter than the step of the heat model."""
    pen.seen_ma = 900
    for _ in range(300):
        pen.start()
        pen.run(120)
        pen.stop()
        pen.run(30)
        pen.rest(250)
    clicked_k = pen.m.winding.housing_k
    whole = Pen()
    whole.seen_ma = 900
    whole.start()
    whole.run(300 * 120)
    assert clicked_k == pytest.approx(whole.m.winding.housing_k, rel=0.25)


# ---------------------------------------------------------------------- SR-20
@pytest.mark.parametrize(("cell_v", "blocked"), [(3.49, True), (3.51, False)])
def test_no_start_below_3_5_v(pen: Pen, cell_v: float, blocked: bool) -> None:
    pen.inputs.cell_v = cell_v
    pen.rest(500)
    assert pen.m.blockers == (states.BLOCK_BATTERY_LOW if blocked else 0)
    assert pen.m.fault == 0


@pytest.mark.parametrize(
    ("cell_v", "warned", "fault"),
    [(3.41, False, ""), (3.39, True, ""), (3.21, True, ""), (3.19, True, "BATTERY_EMPTY")],
)
def test_a_weak_cell_warns_and_then_stops_the_run(pen: Pen, cell_v: float, warned: bool, fault: str) -> None:
    pen.running()
    pen.inputs.cell_v = cell_v
    pen.run(1000, lambda: pen.m.fault)
    assert bool(pen.m.warnings & states.WARN_BATTERY_LOW) == warned
    assert pen.m.fault == (getattr(faults, fault) if fault else 0)


def test_a_sag_shorter_than_the_mean_does_not_stop(pen: Pen) -> None:
    """100 ms mean: half of it at 3.0 V and half at 3.6 V is 3.3 V."""
    pen.running()
    for _ in range(50):
        pen.inputs.cell_v = 3.05
        pen.run(30)
        pen.inputs.cell_v = 3.6
        pen.run(70)
        assert pen.m.fault == 0
    pen.inputs.cell_v = 3.1
    assert pen.run(1000, lambda: pen.m.fault == faults.BATTERY_EMPTY) <= 200


def test_at_rest_an_empty_cell_blocks_and_is_no_fault(pen: Pen) -> None:
    pen.inputs.cell_v = 3.0
    pen.rest(2000)
    assert (pen.m.fault, pen.m.blockers) == (0, states.BLOCK_BATTERY_LOW)


# ---------------------------------------------------------------------- SR-22
def test_external_power_blocks_at_rest_and_is_a_fault_in_a_run(pen: Pen) -> None:
    pen.inputs.vbus = True
    pen.rest(250)
    assert (pen.m.fault, pen.m.blockers) == (0, states.BLOCK_EXTERNAL_POWER)
    pen.inputs.vbus = False
    pen.rest(250)
    assert pen.m.blockers == 0
    pen.running()
    pen.inputs.vbus = True
    assert pen.run(500, lambda: pen.m.fault == faults.EXTERNAL_POWER) <= 1000 * float(
        LIMIT("SR-22", "inhibit_ms")
    )


def test_the_bench_profile_lifts_the_block_of_external_power(pen: Pen) -> None:
    pen.m.allow_external_power = True
    pen.inputs.vbus = True
    pen.rest(250)
    assert pen.m.blockers == 0
    pen.running()
    assert pen.run(1000, lambda: pen.m.fault) == NEVER_MS


def test_a_supply_that_the_charger_lifts_is_no_battery_fault(pen: Pen) -> None:
    pen.inputs.vbus = True
    pen.inputs.cell_v = 4.75
    pen.rest(3000)
    assert pen.m.fault == 0 and pen.m.blockers == states.BLOCK_EXTERNAL_POWER
