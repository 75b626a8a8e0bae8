"""The control step of the firmware, on CPython: closed on the pen's physics, and at the edges of its numbers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from support.loop import Int32, Loop, board_constants, control, places

from needlepen import requirements

LIMIT = requirements.load().limit
PERIOD = board_constants.PWM_N_PERIOD_CLOCKS
TOUCH, LIFT, END = 350, 700, 950
LOADS = [(hz, n) for hz in (50, 75, 100, 125, 150) for n in (0, 12, 24, 36)
         if not n or hz >= float(LIMIT("SR-24", f"rate_{n}_needles_hz"))]  # fmt: skip


@pytest.mark.parametrize("cell_v", [3.5, 3.7, 4.2])
@pytest.mark.parametrize(("set_hz", "needles"), LOADS)
def test_the_loop_starts_holds_and_recovers_within_its_limits(
    set_hz: int, needles: int, cell_v: float
) -> None:
    trace, _ = Loop(set_hz, cell_v, seed=set_hz + needles, skin={TOUCH: needles, LIFT: 0}).run(END)
    turn_pct = (trace.turn_hz / set_hz - 1) * 100
    t_ms = trace.t_ms
    band_pct = float(LIMIT("PR-02", "loaded_error_pct"))
    start = t_ms < TOUCH
    outside = start & ~(np.abs(turn_pct) <= band_pct)
    assert t_ms[outside].max() <= float(LIMIT("PR-04", "start_ms"))
    assert np.nanmax(turn_pct[start]) <= float(LIMIT("PR-04", "overshoot_pct"))
    assert trace.current_a[start].max() <= float(LIMIT("PR-04", "current_max_a"))
    contact = (t_ms > TOUCH) & (t_ms <= LIFT)
    assert -turn_pct[contact].min() <= float(LIMIT("PR-03", "dip_pct"))
    late = t_ms[contact & (np.abs(turn_pct) > band_pct)]
    assert not len(late) or late.max() - TOUCH <= float(LIMIT("PR-03", "recovery_ms"))
    assert turn_pct[t_ms > LIFT].max() <= float(LIMIT("PR-03", "overshoot_pct"))
    steady = (t_ms > LIFT - 150) & (t_ms <= LIFT)
    error = "loaded_error_pct" if needles else "free_error_pct"
    assert np.abs(turn_pct[steady]).max() <= float(LIMIT("PR-02", error))


@pytest.mark.parametrize(("first_hz", "then_hz"), [(100, 150), (150, 50), (50, 100)])
def test_a_running_motor_changes_its_rate_by_at_most_50_hz_per_s(first_hz: int, then_hz: int) -> None:
    _, states = Loop(first_hz, targets={300: then_hz}).run(1500)
    set_mhz = np.array([s[places.SET_MHZ] for s in states])
    assert set_mhz[-1] == (1000 * then_hz if abs(then_hz - first_hz) <= 50 else set_mhz[-1])
    per_s = np.abs(np.diff(set_mhz[300:]))
    assert per_s.max() <= float(LIMIT("SR-23", "slew_hz_s")) and set_mhz[-1] != 1000 * first_hz


def _steady(rate_hz: float = 100.0) -> list[int]:
    """Control state of a steady run."""
    state = [0] * places.SIZE
    state[places.EDGES] = 100
    state[places.EDGE_US] = 1_000_000
    state[places.EMF_SUM_MHZ] = int(rate_hz * 1000)
    state[places.EMF_COUNT] = 1
    return state


def _edge_after(state: list[int], period_us: int) -> int:
    """An edge that long after the last one; the rate that back-EMF and edges then give, mHz."""
    state[places.EMF_SUM_MHZ], state[places.EMF_COUNT] = 100_000, 1
    control.edge(state, period_us, 10_000)
    return 100_000 + state[places.BIAS_MHZ]


@pytest.mark.parametrize("period_us", [100, 600, 1_200, 1_700, 4_500, 10_000])
def test_an_implausible_edge_does_not_move_the_estimate(period_us: int) -> None:
    state = _steady()
    assert _edge_after(state, period_us) == 100_000


@pytest.mark.parametrize("period_us", [2_300, 2_500, 2_700])
def test_a_plausible_edge_corrects_the_estimate_by_a_quarter(period_us: int) -> None:
    state = _steady()
    expected = 100_000 + (250_000_000 // period_us - 100_000 >> 2)
    assert abs(_edge_after(state, period_us) - expected) <= 1


def test_edges_that_go_on_being_implausible_move_the_estimate_by_at_most_25_hz() -> None:
    """A wrong back-EMF must not lock the true rate out, and a disturbed index must not lead the motor astray."""
    state = _steady()
    rates = [_edge_after(state, 5_000) for _ in range(6)]
    assert rates[:4] == [100_000] * 4 and rates[4] == 75_000


def test_a_revolution_is_the_time_of_four_edges() -> None:
    state = _steady()
    control.edge(state, 2_500, 10_200)
    assert state[places.TURN_US] == 10_200


def test_the_integral_stands_still_while_the_voltage_is_limited() -> None:
    state = _steady()
    state[places.TARGET_MHZ] = state[places.SET_MHZ] = 150_000
    state[places.CELL_MV], state[places.CURRENT_LIMIT_MA] = 1_000, 1_500
    for _ in range(100):
        control.step(state)
    assert state[places.INTEGRAL_Q10] == 0 and state[places.ON_COUNTS] == PERIOD


@pytest.mark.parametrize("cell_mv", [0, 1, 500, 3_700])
def test_drive_stays_inside_the_period_whatever_the_cell(cell_mv: int) -> None:
    state = _steady()
    state[places.TARGET_MHZ] = state[places.SET_MHZ] = 100_000
    state[places.CELL_MV], state[places.CURRENT_LIMIT_MA] = cell_mv, 1_500
    control.step(state)
    assert 0 <= state[places.ON_COUNTS] <= PERIOD


def test_a_braked_motor_is_at_rest_when_no_edge_has_come_for_a_while() -> None:
    state = _steady()
    state[places.QUARTER_US] = 2_500
    rates = []
    for since_us in (1_000, 2_500, 5_000, 10_000, 12_999, 13_001, 1_000_000):
        state[places.NOW_US] = state[places.EDGE_US] + since_us
        control.estimate_rest(state)
        rates.append(state[places.RATE_MHZ])
    assert rates[:2] == [100_000, 100_000] and rates[-2:] == [0, 0]
    assert all(a >= b for a, b in itertools.pairwise(rates)) and rates[4] > 0


STATES = st.fixed_dictionaries(
    {
        "CURRENT_MA": st.integers(0, 3_300),
        "CELL_MV": st.integers(0, 9_900),
        "VOLTAGE_MV": st.integers(0, 9_900),
        "BIAS_MHZ": st.integers(-400_000, 400_000),
        "EMF_SUM_MHZ": st.integers(-10_000_000, 10_000_000),
        "EMF_COUNT": st.integers(0, 30),
        "RATE_MHZ": st.integers(-400_000, 600_000),
        "TARGET_MHZ": st.sampled_from([50_000, 100_000, 150_000]),
        "SET_MHZ": st.integers(0, 150_000),
        "RAMP_MHZ": st.sampled_from([50, 2_500]),
        "INTEGRAL_Q10": st.integers(-1200 * 1024, 1200 * 1024),
        "CURRENT_LIMIT_MA": st.sampled_from([950, 1_500]),
    }
)


@settings(max_examples=300, deadline=None)
@given(STATES)
def test_a_step_never_needs_more_than_32_bits_nor_leaves_its_range(values: dict[str, int]) -> None:
    state = [Int32(0)] * places.SIZE
    for name, value in values.items():
        state[getattr(control, name)] = Int32(value)
    control.step(state)
    assert 0 <= state[places.ON_COUNTS] <= PERIOD
    assert state[places.VOLTAGE_MV] >= 0
    assert abs(state[places.INTEGRAL_Q10]) <= 1200 * 1024 + 1


@settings(max_examples=300, deadline=None)
@given(STATES, st.integers(1, 2_000_000), st.integers(0, 5), st.integers(0, 100))
def test_an_edge_never_needs_more_than_32_bits(
    values: dict[str, int], after_us: int, rejected: int, edges: int
) -> None:
    state = [Int32(0)] * places.SIZE
    for name, value in values.items():
        state[getattr(control, name)] = Int32(value)
    state[places.REJECTED], state[places.EDGES] = Int32(rejected), Int32(edges)
    control.edge(state, Int32(after_us), Int32(after_us))
    assert state[places.EDGES] == edges + 1


def test_the_32_bit_check_sees_an_overflow() -> None:
    """A test of the tests."""
    with pytest.raises(OverflowError):
        Int32(1 << 20) * (1 << 12)
