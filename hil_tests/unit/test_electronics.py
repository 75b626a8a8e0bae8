"""Layer 0 as rules: what brakes the pen, what cuts its supply, how fast, and what lets it run again."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from support.plan import Plan

from needlepen.emulator.electronics import Electronics
from needlepen.emulator.front_end import JUMP_CODES, AdcModel, CurrentAmplifier, battery_adc_volts
from needlepen.emulator.line_faults import DisturbedLine
from needlepen.emulator.parameters import PenParameters
from needlepen.emulator.pen_state import PenState
from needlepen.emulator.physics import DRIVE, PenPhysics
from needlepen.errors import UsageError

MS = 1e6
US = 1e3


class Bench:
    """Electronics, physics and a hand on the pins, kicking the watchdog every 5 ms."""

    def __init__(self, **parameters: float) -> None:
        self.parameters = PenParameters().but(**parameters)
        self.scheduler = Plan()
        self.physics = PenPhysics(self.parameters, seed=3)
        self.pen = Electronics(self.scheduler, self.physics)
        self.kicking = True
        self._kick()

    def _kick(self) -> None:
        if self.kicking:
            self.kicked_ns = self.now_ns
            self.pen.set_pin("WDT_KICK", self.now_ns, 1)
            self.pen.set_pin("WDT_KICK", self.now_ns, 0)
            self.scheduler.call_at(self.now_ns + 5 * MS, self._kick)

    @property
    def now_ns(self) -> float:
        return self.scheduler.now_ns

    @property
    def state(self) -> PenState:
        return self.physics.peek(self.now_ns)

    def run(self, ms: float) -> None:
        self.scheduler.run_until(self.now_ns + ms * MS)

    def pin(self, name: str, level: int | None) -> None:
        self.pen.set_pin(name, self.now_ns, level)

    def start(self, duty: float = 0.5, ms: float = 60.0) -> Bench:
        """Running: watchdog served, trigger pressed, supply closed, permission given. The duty comes in two
        steps, since the current of a standing motor would trip."""
        self.run(12)
        self.pin("RUN_N", 0)
        self.pin("SUPPLY_EN", 1)
        self.pen.press_trigger(self.now_ns)
        self.pen.set_pwm(self.now_ns, min(duty, 0.4), 25_000)
        self.run(ms)
        if duty > 0.4:
            self.pen.set_pwm(self.now_ns, duty, 25_000)
            self.run(ms)
        assert not self.pen.braked and self.state.rate_hz > 0
        return self

    def delay_us(self, signal: str, level: float, since_ns: float) -> float:
        """From an instant to the first time that a signal took a level, us; infinite if it never did."""
        t_ns = self.pen.first(signal, level, since_ns)
        return float("inf") if t_ns is None else (t_ns - since_ns) / US


# ---------------------------------------------------------------- drive gate
def undrive_pwm(b: Bench) -> None:
    b.pen.set_pwm(b.now_ns, None, 0.0)


BRAKING_TERMS = {
    "RUN_N high": lambda b: b.pin("RUN_N", 1),
    "RUN_N undriven": lambda b: b.pin("RUN_N", None),
    "trigger released": lambda b: b.pen.release_trigger(b.now_ns),
    "PWM_N high": lambda b: b.pin("PWM_N", 1),
    "PWM_N undriven": undrive_pwm,
}


@pytest.mark.parametrize("term", BRAKING_TERMS)
def test_each_term_of_the_gate_brakes_alone_and_at_once(term: str) -> None:
    b = Bench().start()
    rate_hz = b.state.rate_hz
    BRAKING_TERMS[term](b)
    b.run(0.2)
    assert b.state.current_a < -0.3, f"{term}: {b.state.current_a:.3f} A at {rate_hz:.0f} Hz"


def test_all_terms_together_let_it_run_and_any_three_do_not() -> None:
    for missing in ("RUN_N", "SUPPLY_EN", "trigger", "PWM_N", "watchdog"):
        b = Bench()
        b.kicking = missing != "watchdog"
        b.run(12)
        for name, level in (("RUN_N", 0), ("SUPPLY_EN", 1)):
            if missing != name:
                b.pin(name, level)
        if missing != "trigger":
            b.pen.press_trigger(b.now_ns)
        if missing != "PWM_N":
            b.pen.set_pwm(b.now_ns, 0.8, 25_000)
        b.run(30)
        assert b.state.rate_hz == 0.0, f"turned at {b.state.rate_hz:.1f} Hz without {missing}"


def test_undriven_pins_of_a_chip_in_reset_stop_the_pen() -> None:
    b = Bench().start()
    for name in ("PWM_N", "RUN_N", "SUPPLY_EN", "LATCH_CLR", "WDT_KICK"):
        b.pin(name, None)
    reset_ns = b.now_ns
    b.run(150)
    assert b.pen.braked and b.state.standing
    assert b.delay_us("SUPPLY", 0, reset_ns) == pytest.approx(b.parameters.supply_switch_us)


def test_run_n_that_stays_low_leaves_it_to_the_watchdog() -> None:
    b = Bench().start()
    assert not b.pen.braked
    b.kicking = False
    b.run(40)
    assert b.pen.braked


# ---------------------------------------------------------------- supply switch
def test_supply_switch_takes_five_microseconds_each_way() -> None:
    b = Bench()
    b.pin("SUPPLY_EN", 1)
    b.run(1)
    assert b.delay_us("SUPPLY", 1, 0.0) == pytest.approx(5.0)
    opened_ns = b.now_ns
    b.pin("SUPPLY_EN", 0)
    b.run(1)
    assert b.delay_us("SUPPLY", 0, opened_ns) == pytest.approx(5.0)


def test_supply_pulse_shorter_than_the_switch_does_nothing() -> None:
    b = Bench()
    b.pin("SUPPLY_EN", 1)
    b.run(0.004)
    b.pin("SUPPLY_EN", 0)
    b.run(1)
    assert b.pen.first("SUPPLY", 1, 0.0) is None


def test_brake_works_with_the_supply_open() -> None:
    b = Bench().start(duty=1.0)
    b.pin("SUPPLY_EN", 0)
    b.run(0.1)
    coasting_a = b.state.current_a
    b.pen.release_trigger(b.now_ns)
    b.run(0.2)
    assert coasting_a == 0.0 and b.state.current_a < -0.3


# ---------------------------------------------------------------- overcurrent
def locked(cell_v: float = 4.2) -> Bench:
    """A rotor that locks at full drive on a full cell: 2.7 A."""
    b = Bench(cell_ocv_v=cell_v).start(duty=1.0)
    b.pen.jam(b.now_ns, True)
    return b


def test_overcurrent_cuts_supply_then_brakes_in_the_order_of_the_design() -> None:
    b = locked()
    jam_ns = b.now_ns
    b.run(1)
    over_ns = b.pen.first("OVERCURRENT", 1, jam_ns)
    assert over_ns is not None
    limits = b.parameters
    reached = {
        "LATCH": b.delay_us("LATCH", 1, over_ns),
        "TRIP_N": b.delay_us("TRIP_N", 0, over_ns),
        "SUPPLY": b.delay_us("SUPPLY", 0, over_ns),
        "BRAKE": b.delay_us("BRAKE", 1, over_ns),
    }
    latch_us = limits.overcurrent_delay_us
    assert reached == pytest.approx(
        {
            "LATCH": latch_us,
            "TRIP_N": latch_us,
            "SUPPLY": latch_us + limits.supply_switch_us,
            "BRAKE": latch_us + limits.latch_brake_delay_us,
        }
    )
    assert reached["SUPPLY"] < reached["BRAKE"] <= 50.0, f"{reached} us, SR-09 allows 50 us"
    assert b.pen.level("TRIP_N") == 0
    b.run(1)
    assert abs(b.state.current_a) < 0.01


def test_current_just_below_the_threshold_does_not_trip() -> None:
    """Locked rotor: (cell - polarisation) / 1.54 Ohm; 2.5 A needs 3.85 V."""
    for cell_v, trips in ((3.80, False), (3.90, True)):
        b = locked(cell_v)
        b.run(5)
        assert (b.pen.first("LATCH", 1, 0.0) is not None) == trips, f"{cell_v} V: {b.state.current_a} A"


def test_comparator_sees_the_ripple_of_the_pwm() -> None:
    """Mean below, peaks above 2.5 A: trips."""
    b = Bench(cell_ocv_v=4.2).start(duty=0.8)
    b.pen.jam(b.now_ns, True)
    b.run(0.5)
    assert b.pen.first("LATCH", 1, 0.0) is not None
    mean_a = 4.2 * 0.8 / (b.parameters.drive_ohm + 0.8 * b.parameters.cell_r0_ohm)
    assert mean_a < b.parameters.overcurrent_a


def test_winding_short_trips_within_fifty_microseconds() -> None:
    b = Bench().start(duty=0.5)
    short_ns = b.now_ns
    b.pen.short_winding(short_ns, True)
    b.run(1)
    assert b.delay_us("SUPPLY", 0, short_ns) <= 50.0
    assert b.delay_us("BRAKE", 1, short_ns) <= 50.0


def test_latch_stays_until_a_clearing_edge_and_ignores_a_held_level() -> None:
    b = locked()
    b.run(1)
    b.pen.jam(b.now_ns, False)
    b.run(11_000)
    assert b.pen.level("TRIP_N") == 0, "the latch let go by itself"
    b.pin("LATCH_CLR", 1)
    assert b.pen.level("TRIP_N") == 1
    b.run(60)  # drives again: the other terms were never withdrawn
    b.pen.jam(b.now_ns, True)
    b.run(1)
    assert b.pen.level("TRIP_N") == 0, "LATCH_CLR held high disabled the latch"


def test_latch_is_not_cleared_while_the_current_is_too_high() -> None:
    b = locked()
    over_ns = None
    while over_ns is None:
        b.run(0.001)
        over_ns = b.pen.first("LATCH", 1, 0.0)
    assert b.state.peak_current_a > b.parameters.overcurrent_a
    b.pin("LATCH_CLR", 1)
    assert b.pen.level("TRIP_N") == 0
    b.pin("LATCH_CLR", 0)
    b.run(1)
    b.pin("LATCH_CLR", 1)
    assert b.pen.level("TRIP_N") == 1


# ---------------------------------------------------------------- external watchdog
def kick_gaps(b: Bench, gaps_ms: list[float]) -> None:
    for gap_ms in gaps_ms:
        b.run(gap_ms)
        b.pin("WDT_KICK", 1)
        b.pin("WDT_KICK", 0)


@pytest.mark.parametrize(("gap_ms", "served"), [(1.999, False), (2.0, True), (29.999, True), (30.001, False)])
def test_watchdog_window_at_its_bounds(gap_ms: float, served: bool) -> None:
    b = Bench()
    b.kicking = False
    b.run(6)  # the bench's own kicks end
    kick_gaps(b, [5.0, 5.0, 5.0])
    after_ns = b.now_ns
    kick_gaps(b, [gap_ms])
    expired = b.pen.first("WDT_EXPIRED", 1, after_ns) is not None
    assert expired != served, f"gap of {gap_ms} ms, window 2 to 30 ms"


def test_watchdog_expires_exactly_at_the_end_of_its_window() -> None:
    b = Bench().start()
    b.kicking = False
    b.run(5)
    last_ns = b.kicked_ns
    b.run(40)
    assert b.delay_us("WDT_EXPIRED", 1, last_ns) == pytest.approx(30_000.0, abs=0.001)
    assert b.delay_us("BRAKE", 1, last_ns) == pytest.approx(30_000.0, abs=0.001)


def test_watchdog_is_expired_at_power_up_and_wants_two_good_kicks() -> None:
    b = Bench()
    b.kicking = False
    b.pen.power_up(0.0)
    b.run(100)
    kick_gaps(b, [5.0])
    assert b.pen.first("WDT_EXPIRED", 0, 0.0) is None
    kick_gaps(b, [5.0])
    assert b.pen.first("WDT_EXPIRED", 0, 0.0) is None
    kick_gaps(b, [5.0])
    assert b.pen.first("WDT_EXPIRED", 0, 0.0) == pytest.approx(b.now_ns)


# ---------------------------------------------------------------- bridge fault
def test_supply_opened_before_the_brake_spares_a_shorted_bridge() -> None:
    b = Bench(cell_ocv_v=4.2).start(duty=0.4)
    b.pen.short_high_side(b.now_ns, True)
    slow_hz = b.state.rate_hz
    b.run(10)
    assert b.state.rate_hz > 1.3 * slow_hz
    b.pin("SUPPLY_EN", 0)
    b.run(0.006)
    b.pin("RUN_N", 1)
    b.run(150)
    assert b.state.standing and not b.physics.damage


def test_brake_on_a_live_shorted_bridge_is_recorded_as_damage() -> None:
    b = Bench(cell_ocv_v=4.2).start(duty=0.4)
    b.pen.short_high_side(b.now_ns, True)
    b.run(1)
    brake_ns = b.now_ns
    b.pin("RUN_N", 1)
    b.run(0.001)
    assert b.state.supply_v < 3.6, "the cell does not feel the short"
    assert b.delay_us("SHOOT_THROUGH", 1, brake_ns) == 0.0
    assert [t for t, _ in b.physics.damage] == [brake_ns]


# ---------------------------------------------------------------- rotation sensors
def edges(b: Bench, line: str, since_ns: float) -> list[tuple[float, float]]:
    return [(t, v) for t, s, v in b.pen.timeline if s == line and t >= since_ns]


def test_index_gives_four_pulses_and_tdc_one_per_revolution() -> None:
    b = Bench().start(ms=100)
    start_ns, start_turns = b.now_ns, b.state.strokes
    b.run(200)
    turns = b.state.strokes - start_turns
    for line, pulses in (("INDEX", 4), ("TDC", 1)):
        rising = sum(v == 1 for _, v in edges(b, line, start_ns))
        assert abs(rising - pulses * turns) <= 1, f"{line}: {rising} edges in {turns:.2f} revolutions"


def test_edges_come_at_their_cam_angle_and_alternate() -> None:
    b = Bench()
    angles = []
    b.pen.on_output("INDEX", lambda t, v: angles.append((b.physics.peek(t).theta_rad, v)))
    b.start(ms=100)
    for theta_rad, level in angles:
        wanted = [a for a, line, new in b.parameters.rotation_edges(3) if line == "INDEX" and new == level]
        assert min(abs(theta_rad % (2 * 3.141592653589793) - a) for a in wanted) < 1e-8
    assert all(a[1] != n[1] for a, n in itertools.pairwise(angles)), "an edge was lost"


def test_edges_survive_a_stop_that_rocks_back() -> None:
    """Rocking about top dead centre never leaves line and cam angle in disagreement."""
    for k in range(20):
        b = Bench().start(ms=60 + 0.5 * k)
        b.pen.release_trigger(b.now_ns)
        b.run(300)
        assert b.state.standing
        for line in ("INDEX", "TDC"):
            assert b.pen.level(line) == b.physics.level(line), f"{line} wrong at the end of stop {k}"


def test_burst_on_index_inverts_the_line_for_its_duration() -> None:
    b = Bench()
    b.run(1)
    level, start_ns = b.pen.level("INDEX"), b.now_ns
    b.pen.glitch_line(start_ns, "INDEX", period_us=100.0, width_us=20.0, duration_ms=5.0)
    b.run(20)
    seen = edges(b, "INDEX", start_ns)
    assert len(seen) == 100 and b.pen.level("INDEX") == level
    widths = [n[0] - a[0] for a, n in itertools.pairwise(seen)][::2]
    assert widths == pytest.approx([20.0 * US] * 50)
    assert seen[-1][0] - start_ns < 5.0 * MS


@pytest.mark.parametrize(
    ("mode", "level", "heard"),
    [
        ("or", 0, [1, 0]),
        ("or", 1, []),
        ("and", 0, []),
        ("and", 1, [0, 1]),
        ("xor", 0, [1, 0]),
        ("xor", 1, [0, 1]),
    ],
)
def test_a_pulse_does_to_the_line_what_its_mode_says(mode: str, level: int, heard: list[int]) -> None:
    seen: list[int] = []
    plan = Plan()
    line = DisturbedLine(plan, level, lambda _t_ns, now: seen.append(now))
    line.burst(0.0, period_us=100.0, width_us=20.0, duration_ms=0.05, mode=mode)
    plan.run_until(1 * MS)
    assert seen == heard and line.level == level


def test_line_stuck_at_a_level_hides_the_rotation_and_comes_back() -> None:
    b = Bench().start()
    b.pen.stick_line(b.now_ns, "INDEX", 1)
    stuck_ns = b.now_ns
    b.run(30)
    assert [v for _, v in edges(b, "INDEX", stuck_ns + 1)] == []
    b.pen.stick_line(b.now_ns, "INDEX", None)
    b.run(30)
    assert len(edges(b, "INDEX", b.now_ns - 30 * MS)) > 10


def test_burst_that_is_no_pulse_train_is_refused() -> None:
    b = Bench()
    for period, width, ms, mode in (
        (100, 100, 5, "xor"),
        (100, 0, 5, "or"),
        (100, 20, 0, "or"),
        (9, 1, 1, "nor"),
    ):
        with pytest.raises(UsageError):
            b.pen.glitch_line(0.0, "INDEX", period, width, ms, mode)


def test_idle_pen_plans_nothing() -> None:
    b = Bench()
    b.kicking = False
    b.run(200)
    alarms = b.scheduler.waiting
    assert alarms == 0, f"{alarms} calls planned while nothing can happen"


# ---------------------------------------------------------------- analogue inputs
def test_amplifier_reads_one_volt_per_ampere_and_nothing_while_braking() -> None:
    b = Bench().start(duty=1.0, ms=100)
    amplifier = CurrentAmplifier(b.physics)
    amplifier.volts(b.now_ns)
    b.run(0.1)
    assert amplifier.volts(b.now_ns) == pytest.approx(b.state.current_a, rel=0.02)
    b.pen.release_trigger(b.now_ns)
    b.run(0.1)
    assert b.state.current_a < 0.0 and amplifier.volts(b.now_ns) == 0.0


def test_samples_spread_over_the_pwm_period_average_to_the_mean_current() -> None:
    b = Bench().start(duty=0.5, ms=100)
    b.pen.jam(b.now_ns, True)
    b.run(1)
    readings = [b.physics.sensed_current_a(b.now_ns + 1000 + k * 165 * US) for k in range(8)]
    mean_a = b.state.current_a
    assert max(readings) - min(readings) > 0.3, "no ripple to average"
    assert sum(readings) / 8 == pytest.approx(mean_a, rel=0.01)
    assert max(readings) <= b.state.peak_current_a + 1e-9


def test_amplifier_slews_at_two_volts_per_microsecond() -> None:
    physics = PenPhysics(PenParameters())
    physics.jam(0.0, True)
    physics.set_supply(0.0, True)
    amplifier = CurrentAmplifier(physics)
    assert amplifier.volts(0.0) == 0.0
    physics.set_drive(0.0, DRIVE, 1.0)
    physics.advance(1 * MS)
    amplifier.last_ns = 1 * MS - 500.0
    assert amplifier.volts(1 * MS) == pytest.approx(1.0)


def test_battery_divider_reads_a_third_of_the_loaded_cell() -> None:
    b = Bench(cell_ocv_v=3.5)
    assert battery_adc_volts(b.physics, 0.0) * 3 == pytest.approx(3.5)
    b.start(duty=1.0)
    b.pen.jam(b.now_ns, True)
    b.run(1)
    sag_v = 3.5 - 3 * battery_adc_volts(b.physics, b.now_ns)
    assert sag_v == pytest.approx(b.parameters.cell_r0_ohm * b.state.current_a, rel=0.02)


def test_converter_jumps_where_the_erratum_says_and_is_right_at_both_ends() -> None:
    p = PenParameters()
    adc = AdcModel(p, seed=5)
    lsb_v = p.adc_reference_v / 4096
    assert adc.ideal_code(0.0) == 0.0
    assert adc.ideal_code(p.adc_reference_v) == pytest.approx(4096.0)
    previous = -1.0
    dwell = dict.fromkeys(JUMP_CODES, 0.0)
    for k in range(40_960):
        code = adc.ideal_code(k * 0.1 * lsb_v)
        assert code >= previous, "not monotone"
        previous = code
        if code in dwell:
            dwell[int(code)] += 0.1
    for code, width in dwell.items():
        assert 9.5 <= width <= 15.5, f"dwells {width:.1f} LSB at code {code}, erratum 10 to 15"


def test_converter_noise_gives_the_datasheets_effective_bits_and_repeats_with_its_seed() -> None:
    p = PenParameters()
    adc, same, other = AdcModel(p, 1), AdcModel(p, 1), AdcModel(p, 2)
    codes = [adc.code(1.0) for _ in range(4000)]
    mean = sum(codes) / len(codes)
    rms = (sum((c - mean) ** 2 for c in codes) / len(codes)) ** 0.5
    expected = 4096 / 2**p.adc_effective_bits / 12**0.5
    assert rms == pytest.approx(expected, rel=0.1), f"{rms:.2f} LSB rms"
    assert [same.code(1.0) for _ in range(4000)] == codes
    assert [other.code(1.0) for _ in range(4000)] != codes
    assert adc.code(-0.1) == 0 and adc.code(3.4) == 4095


# ---------------------------------------------------------------- broken parts of layer 0
def test_trip_n_pulled_low_from_outside_sets_the_latch() -> None:
    b = Bench().start()
    pulled_ns = b.now_ns
    b.pin("TRIP_N", 0)
    b.run(0.02)
    b.pin("TRIP_N", None)
    b.run(0.1)
    assert b.pen.level("TRIP_N") == 0, "the latch holds after the node is released"
    assert b.delay_us("SUPPLY", 0, pulled_ns) == pytest.approx(b.parameters.supply_switch_us)
    assert b.delay_us("LATCH_BRAKE", 1, pulled_ns) == pytest.approx(b.parameters.latch_brake_delay_us)
    b.pin("LATCH_CLR", 1)
    assert b.pen.level("TRIP_N") == 1


def test_a_latch_can_be_stuck_clear_stuck_set_or_forgetful() -> None:
    after_pull_and_clear = {}
    for node, level in (("LATCH", 0), ("LATCH", 1), ("LATCH_HOLD", 0)):
        b = Bench()
        b.pen.stick(b.now_ns, node, level)
        b.pin("TRIP_N", 0)
        b.run(0.02)
        pulled = b.pen.level("TRIP_N")
        b.pin("TRIP_N", None)
        b.run(0.02)
        held = b.pen.level("TRIP_N")
        b.pin("LATCH_CLR", 1)
        after_pull_and_clear[node, level] = (pulled, held, b.pen.level("TRIP_N"))
    assert after_pull_and_clear == {
        ("LATCH", 0): (1, 1, 1),
        ("LATCH", 1): (0, 0, 0),
        ("LATCH_HOLD", 0): (0, 1, 1),
    }


def test_a_dead_comparator_lets_the_current_rise() -> None:
    b = Bench(cell_ocv_v=4.2).start()
    b.pen.stick(b.now_ns, "COMPARATOR", 0)
    b.pen.short_winding(b.now_ns, True)
    b.run(1)
    assert b.pen.level("TRIP_N") == 1 and b.state.current_a > b.parameters.overcurrent_a


@pytest.mark.parametrize(
    ("node", "let_go"),
    [
        ("RUN_N_TERM", lambda b: b.pin("RUN_N", 1)),
        ("TRIGGER_TERM", lambda b: b.pen.release_trigger(b.now_ns)),
        ("WATCHDOG_TERM", lambda b: setattr(b, "kicking", False)),
        ("IN2", lambda b: b.pen.release_trigger(b.now_ns)),
    ],
)
def test_a_dead_term_of_the_gate_does_not_brake_and_a_repaired_one_does(
    node: str, let_go: Callable[[Bench], None]
) -> None:
    b = Bench().start()
    b.pen.stick(b.now_ns, node, 0)
    let_go(b)
    b.run(40)
    assert b.state.rate_hz > 50.0 and not b.pen.braked
    b.pen.stick(b.now_ns, node, None)
    assert b.pen.braked


def test_a_bridge_input_stuck_low_drives_at_full_duty_and_the_timeline_says_so() -> None:
    b = Bench()
    b.pin("SUPPLY_EN", 1)
    b.run(1)
    assert b.state.current_a == 0.0
    b.pen.stick(b.now_ns, "IN2", 0)
    b.run(0.05)
    assert b.state.current_a > 1.0
    assert b.pen.timeline[-1][1:] == ("BRAKE", 0) and (b.now_ns - 0.05 * MS, "DUTY", 1.0) in b.pen.timeline


def test_a_supply_switch_stuck_closed_or_open_ignores_its_command() -> None:
    for level in (0, 1):
        b = Bench()
        b.pen.stick(b.now_ns, "SUPPLY", level)
        b.pin("SUPPLY_EN", 1 - level)
        b.run(1)
        assert (b.pen.first("SUPPLY", 1, 0.0) is not None) == (level == 1)
    with pytest.raises(UsageError, match="cannot be stuck"):
        b.pen.stick(b.now_ns, "SUPPLY_EN", 2)
