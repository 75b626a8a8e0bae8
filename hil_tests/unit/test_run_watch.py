"""SR-13 and the dead current sensor to the millisecond: what a run of the motor is watched for, and what ends it."""

from __future__ import annotations

import array
import math
from typing import Any

import pytest

from needlepen import requirements
from needlepen.firmware_modules import firmware_module

run_watch = firmware_module("pen.run_watch")
contact = firmware_module("pen.contact")
board = firmware_module("pen.board")
faults = firmware_module("pen.faults")
places = firmware_module("pen.places")
states = firmware_module("pen.states")
LIMIT = requirements.load().limit
NO_CONTACT_MS = 1_000 * int(LIMIT("SR-13", "no_contact_s"))
RUN_MS = 60_000 * int(LIMIT("SR-13", "run_min"))
BEFORE_MS = 100  # the pass that notices, and the brake
STARTING_MS = 300
WINDOW_MS = 250
MARGIN_MA = 10
LEAST_MA = board.MOTOR_FRICTION_MA // 2  # a free motor takes more
CELL_MV = 3_700
SKIN_MA = 900
WRAP = 0x40000000


class Run:
    """A run at a constant 100 Hz whose edges all come in time."""

    def __init__(self, set_mhz: int = 100_000, i2_sum: int = 0) -> None:
        self.state: list[Any] = [0] * places.SIZE
        self.state[places.EDGE_RING] = array.array("i", 16 * [0])
        self.state[places.SET_MHZ] = self.state[places.TARGET_MHZ] = set_mhz
        self.state[places.TURN_US] = 10_000
        self.state[places.I2_SUM] = i2_sum
        self.watch = run_watch.RunWatch(self.state)

    def go(self, ms: int, ma: float = SKIN_MA, cell_mv: int = CELL_MV) -> None:
        """One pass, `ms` after the one before, with that current meanwhile."""
        self.state[places.TICKS] += ms
        self.state[places.I2_SUM] = (self.state[places.I2_SUM] + _squares(ma, ms)) % WRAP
        self.watch.look(ms, cell_mv)


def _squares(ma: float, ticks: int) -> int:
    """What the tick sums up at a current: (mA)^2 / 1024, each cut off."""
    return max(0, round(ticks * (ma * ma / 1024 - 0.5)))


def test_a_run_without_contact_ends_when_15_s_and_the_windows_are_over() -> None:
    """Within 1 s: contact is known at the end of the first window that lies wholly in it."""
    run = Run()
    free_ma = contact.most_free_ma(100, CELL_MV / 1000) - 20
    at_ms = NO_CONTACT_MS + 2 * WINDOW_MS + 100
    for _ in range(at_ms // 50 - 1):
        run.go(50, free_ma)
    run.go(49, free_ma)
    assert run.watch.note() == states.NOTE_NONE and run.watch.fault == faults.NONE
    run.go(1, free_ma)
    assert run.watch.note() == states.NOTE_NO_CONTACT
    assert at_ms <= NO_CONTACT_MS + 1_000


def test_skin_starts_the_15_s_anew() -> None:
    run = Run()
    free_ma = contact.most_free_ma(100, CELL_MV / 1000) - 20
    for _ in range(4 * (NO_CONTACT_MS // 1_000)):
        run.go(WINDOW_MS, free_ma)
    run.go(WINDOW_MS)
    for _ in range(4 * (NO_CONTACT_MS // 1_000)):
        run.go(WINDOW_MS, free_ma)
    assert run.watch.note() == states.NOTE_NONE


def test_a_run_on_skin_ends_just_before_10_min() -> None:
    run = Run()
    for _ in range((RUN_MS - BEFORE_MS) // WINDOW_MS):
        run.go(WINDOW_MS)
    left_ms = (RUN_MS - BEFORE_MS) % WINDOW_MS
    run.go(left_ms - 1)
    assert run.watch.run_ms == RUN_MS - BEFORE_MS - 1 and run.watch.note() == states.NOTE_NONE
    run.go(1)
    assert run.watch.note() == states.NOTE_RUN_TOO_LONG


# ---------------------------------------------------------------------- the current sensor
@pytest.mark.parametrize(("ma", "fault"), [(LEAST_MA - 1, True), (LEAST_MA, False), (0, True)])
def test_a_motor_that_turns_without_current_has_a_dead_sensor(ma: float, fault: bool) -> None:
    run = Run()
    run.go(STARTING_MS, ma)
    run.go(WINDOW_MS, ma)
    assert (run.watch.fault == faults.CURRENT_SENSOR) == fault
    assert run.watch.fault in (faults.NONE, faults.CURRENT_SENSOR)


def test_the_first_window_begins_when_the_start_is_over() -> None:
    run = Run()
    run.go(STARTING_MS - 1, 0)
    run.go(WINDOW_MS - 1, 0)
    assert run.watch.fault == faults.NONE
    run.go(1, 0)
    assert run.watch.fault == faults.CURRENT_SENSOR
    run = Run()
    run.go(STARTING_MS - WINDOW_MS, 0)
    run.go(WINDOW_MS, 0)
    assert run.watch.fault == faults.CURRENT_SENSOR


def test_a_window_of_a_changing_rate_is_not_judged() -> None:
    run = Run()
    run.go(STARTING_MS)
    run.state[places.TARGET_MHZ] = 120_000
    for _ in range(3):
        run.go(WINDOW_MS, 0)
    run.state[places.SET_MHZ] = 120_000
    run.go(WINDOW_MS, 0)
    assert run.watch.fault == faults.NONE, "the rate has changed within this window"
    run.go(WINDOW_MS, 0)
    assert run.watch.fault == faults.CURRENT_SENSOR


def test_the_sum_of_squares_may_run_full_within_a_window() -> None:
    run = Run(i2_sum=WRAP - 1)
    run.go(STARTING_MS)
    run.state[places.I2_SUM] = WRAP - 1
    run.watch.begin()
    run.go(STARTING_MS - 1, 0)
    run.go(WINDOW_MS)
    assert run.state[places.I2_SUM] < WRAP // 2 and run.watch.fault == faults.NONE


def test_a_cell_that_was_not_read_yet_stops_nothing() -> None:
    run = Run()
    run.go(STARTING_MS, cell_mv=0)
    run.go(WINDOW_MS, cell_mv=0)
    assert run.watch.fault == faults.NONE


# ---------------------------------------------------------------------- faults, duty, a new run
def test_the_first_fault_of_a_run_is_kept_and_a_new_run_has_none() -> None:
    run = Run()
    run.watch.fail(faults.EXTERNAL_POWER)
    run.watch.fail(faults.BATTERY_EMPTY)
    run.go(50)
    assert run.watch.fault == faults.EXTERNAL_POWER and run.watch.run_ms == 50
    run.watch.begin()
    assert (run.watch.fault, run.watch.run_ms, run.watch.note()) == (faults.NONE, 0, states.NOTE_NONE)


def test_a_motor_that_does_not_reach_its_rate_is_too_slow() -> None:
    run = Run()
    run.state[places.TURN_US] = 20_000
    run.go(500)
    assert run.watch.fault == faults.NONE
    run.go(1)
    assert run.watch.fault == faults.UNDERSPEED


def test_the_duty_is_the_mean_since_it_was_last_taken() -> None:
    run = Run()
    assert run.watch.take_duty() == (0.0, 0)
    for part in (4, 2):
        run.state[places.ON_COUNTS] = board.PWM_N_PERIOD_CLOCKS // part
        run.go(20)
    duty, driven_ms = run.watch.take_duty()
    assert duty == pytest.approx(3 / 8, abs=0.001) and driven_ms == 40
    assert run.watch.take_duty() == (0.0, 0)
    run.go(7)
    assert run.watch.take_duty() == (pytest.approx(1 / 2, abs=0.001), 7)


# ---------------------------------------------------------------------- contact
@pytest.mark.parametrize(("over_ma", "touching"), [(MARGIN_MA, False), (MARGIN_MA + 1, True)])
def test_skin_is_what_lies_more_than_10_ma_above_the_free_motor(over_ma: int, touching: bool) -> None:
    c = contact.Contact()
    assert not c.window(300, 400)
    c.without_ms = 5_000
    assert c.window(300 + over_ma, 400) == touching
    assert c.without_ms == (0 if touching else 5_000)
    assert not c.window(290, 400) and c.window(300 + MARGIN_MA, 400), "the least of the run counts"


@pytest.mark.parametrize(("over_ma", "touching"), [(MARGIN_MA, False), (MARGIN_MA + 1, True)])
def test_a_run_that_begins_on_skin_is_compared_with_any_sound_motor(over_ma: int, touching: bool) -> None:
    assert contact.Contact().window(400 + over_ma, 400) == touching


def test_at_another_rate_the_free_motor_is_learned_anew() -> None:
    c = contact.Contact()
    c.window(300, 400)
    c.without_ms = 5_000
    c.restart()
    assert not c.window(320, 400) and c.without_ms == 5_000
    c.start()
    assert c.without_ms == 0 and c.free_ma is None


@pytest.mark.parametrize("ma", [23, 50, 100, 300, 1_200])
@pytest.mark.parametrize("ticks", [1, 250, 260])
def test_the_root_of_the_mean_square_is_the_current_itself_if_it_is_constant(ma: int, ticks: int) -> None:
    """Each square loses half a unit of 1024 (mA)^2 on average."""
    exact = ticks * (ma * ma / 1024 - 0.5)
    assert abs(contact.root_ma(round(exact), ticks) - ma) <= math.ceil(1024 / ticks / ma / 2)
    assert contact.root_ma(0, ticks) == round(math.sqrt(512))


# ---------------------------------------------------------------------- what a run hands on
def test_a_new_run_is_not_slow_because_the_last_one_was() -> None:
    run = Run()
    run.state[places.TURN_US] = 20_000
    run.go(501)
    assert run.watch.fault == faults.UNDERSPEED
    run.watch.begin()
    run.go(10)
    assert run.watch.fault == faults.NONE


def test_a_slow_stroke_asks_for_a_look_at_every_pass() -> None:
    run = Run()
    run.go(10)
    assert run.watch.dipping is False and run.watch.warning is False
    run.state[places.EDGE_US], run.state[places.TURN_US] = 1_000_000, 20_000
    run.go(10)
    assert run.watch.dipping is True


def test_a_rate_that_is_still_rising_is_not_reached() -> None:
    run = Run()
    run.state[places.TARGET_MHZ], run.state[places.TURN_US] = 150_000, 7_000
    run.go(501)
    assert run.watch.fault == faults.UNDERSPEED


def test_a_free_motor_at_another_rate_is_no_skin() -> None:
    run = Run()
    free_ma = min(contact.most_free_ma(hz, CELL_MV / 1000) for hz in (100, 150)) - 40
    run.go(STARTING_MS, free_ma)
    for _ in range(4):
        run.go(WINDOW_MS, free_ma)
    run.state[places.SET_MHZ] = run.state[places.TARGET_MHZ] = 150_000
    while run.watch.run_ms < NO_CONTACT_MS + 2 * WINDOW_MS + 100:
        run.go(WINDOW_MS, free_ma + 2 * MARGIN_MA)
    assert run.watch.note() == states.NOTE_NO_CONTACT


@pytest.mark.parametrize("cell_mv", range(3_300, 4_300, 50))
def test_a_run_that_begins_on_skin_is_compared_at_its_own_rate_and_cell(cell_mv: int) -> None:
    for set_mhz in range(50_000, 151_000, 5_000):
        most_ma = contact.most_free_ma(set_mhz / 1_000, cell_mv / 1_000)
        for over_ma, touching in ((MARGIN_MA, False), (MARGIN_MA + 1, True)):
            run = Run(set_mhz)
            run.state[places.TURN_US] = 1_000_000_000 // set_mhz
            run.go(STARTING_MS, most_ma + over_ma, cell_mv)
            run.go(WINDOW_MS, most_ma + over_ma, cell_mv)
            without_ms = run.watch._contact.without_ms
            assert without_ms == (0 if touching else STARTING_MS + WINDOW_MS), (set_mhz, cell_mv, most_ma)


def test_every_unit_of_the_sum_counts() -> None:
    """The least sum of a window that shows current, where it is odd: one less does not."""
    ticks, least = next(
        (ticks, least)
        for ticks in range(WINDOW_MS, WINDOW_MS + 40)
        for least in [next(s for s in range(ticks * 4) if contact.root_ma(s, ticks) >= LEAST_MA)]
        if least % 2
    )
    for added, fault in ((least, faults.NONE), (least - 1, faults.CURRENT_SENSOR)):
        run = Run()
        run.go(STARTING_MS - 1, 0)
        run.state[places.TICKS] += ticks
        run.state[places.I2_SUM] += added
        run.watch.look(ticks, CELL_MV)
        assert run.watch.fault == fault


def test_the_root_is_exact_where_the_sum_is() -> None:
    """1024 ticks of a whole number of mA: the sum is one too."""
    for ma in range(23, 2_500):
        assert contact.root_ma(ma * ma - 512, 1_024) == ma


def test_the_most_that_a_free_motor_takes_is_what_the_amplifier_reads_at_twice_the_friction() -> None:
    ripple = firmware_module("pen.ripple")
    mean_a = 2 * board.MOTOR_FRICTION_A
    for rate_hz in range(50, 151, 5):
        for cell_v in (3.3, 3.7, 4.2):
            duty = (board.MOTOR_KE_V_PER_HZ * rate_hz + board.LOOP_R_OHM * mean_a) / cell_v
            seen_ma = 1e3 * ripple.seen_a(mean_a, duty, cell_v)
            assert abs(contact.most_free_ma(rate_hz, cell_v) - seen_ma) <= 0.5
