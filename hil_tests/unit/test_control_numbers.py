"""The control step to its last integer: what an edge does to the estimate, the ramp, the regulator and its limits."""

from __future__ import annotations

import pytest

from needlepen.firmware_modules import firmware_module

control = firmware_module("pen.control")
board = firmware_module("pen.board")
p = firmware_module("pen.places")

PERIOD = board.PWM_N_PERIOD_CLOCKS
OHM, MV_PER_MHZ = board.LOOP_R_MOHM / 1_000, board.MOTOR_KE_UV_PER_HZ * 1e-6
AMPLE_MV = 9_000  # of the cell: nothing is limited
INTEGRAL_MOST = 1_200 * 1_024


def made(**places: int) -> list[int]:
    state = [0] * p.SIZE
    for name, value in places.items():
        state[getattr(p, name)] = value
    return state


def stepped(**places: int) -> list[int]:
    """The state after one step."""
    state = made(**places)
    control.step(state)
    return state


def regulated(set_mhz: int, rate_mhz: int, **places: int) -> list[int]:
    """One step whose estimate is exactly this rate; 1.5 A and a full cell unless said otherwise."""
    known = {"RATE_MHZ": rate_mhz, "BIAS_MHZ": rate_mhz, "SET_MHZ": set_mhz, "TARGET_MHZ": set_mhz}
    state = stepped(**{**known, "CELL_MV": AMPLE_MV, "CURRENT_LIMIT_MA": 1_500, **places})
    assert state[p.RATE_MHZ] == rate_mhz
    return state


# ---------------------------------------------------------------------- the estimate between edges
@pytest.mark.parametrize(
    ("voltage_mv", "current_ma"), [(1_700, 100), (2_500, 1_500), (0, 1_000), (1_000, 0), (3_000, 3_000)]
)
def test_back_emf_is_the_voltage_less_the_drop_at_the_resistance(voltage_mv: int, current_ma: int) -> None:
    state = stepped(VOLTAGE_MV=voltage_mv, CURRENT_MA=current_ma)
    true_mhz = (voltage_mv - current_ma * OHM) / MV_PER_MHZ
    assert state[p.EMF_SUM_MHZ] == pytest.approx(true_mhz, abs=0.0003 * abs(true_mhz) + 120)


def test_the_estimate_goes_half_of_its_way_and_back_emf_is_summed_up() -> None:
    state = stepped(VOLTAGE_MV=1_700, BIAS_MHZ=500, RATE_MHZ=90_000, EMF_SUM_MHZ=7, EMF_COUNT=3)
    emf_mhz = state[p.EMF_SUM_MHZ] - 7
    assert emf_mhz > 100_000 and state[p.EMF_COUNT] == 4
    assert state[p.RATE_MHZ] == 90_000 + (emf_mhz + 500 - 90_000) // 2


# ---------------------------------------------------------------------- the ramp
@pytest.mark.parametrize(
    ("set_mhz", "target_mhz", "ramp_mhz", "then_mhz"),
    [
        (0, 100_000, 2_500, 2_500),
        (99_000, 100_000, 2_500, 99_000 + 1_000 // 16 + 50),
        (99_000, 100_000, 49, 99_049),
        (99_990, 100_000, 2_500, 100_000),
        (99_949, 100_000, 2_500, 100_000),
        (100_000, 50_000, 49, 99_951),
        (50_020, 50_000, 49, 50_000),
        (100_000, 100_000, 49, 100_000),
    ],
    ids=["full", "bent", "slow", "end", "last", "down", "down to its end", "there"],
)
def test_the_set_rate_follows_its_ramp_and_bends_into_its_upper_end(
    set_mhz: int, target_mhz: int, ramp_mhz: int, then_mhz: int
) -> None:
    state = stepped(SET_MHZ=set_mhz, TARGET_MHZ=target_mhz, RAMP_MHZ=ramp_mhz)
    assert state[p.SET_MHZ] == then_mhz and state[p.TARGET_MHZ] == target_mhz


# ---------------------------------------------------------------------- the regulator
def test_the_feed_forward_is_the_back_emf_of_the_set_rate_to_a_millivolt() -> None:
    for set_mhz in range(50_000, 150_001, 64):
        voltage_mv = regulated(set_mhz, set_mhz)[p.VOLTAGE_MV]
        off_mv = voltage_mv - (set_mhz // 64) * 64 * MV_PER_MHZ
        assert -1.0 <= off_mv < 0.05, (set_mhz, off_mv)


@pytest.mark.parametrize(
    ("error_mhz", "integral_q10", "mv"),
    [(0, 0, 0), (1_000, 0, 49), (-1_000, 0, -50), (0, 3 * 1_024, 3), (1_000, 3_271, 52), (1_000, 3_272, 53)],
)
def test_the_error_counts_by_0_05_v_per_hz_beside_the_integral(
    error_mhz: int, integral_q10: int, mv: int
) -> None:
    base_mv = regulated(100_000, 100_000)[p.VOLTAGE_MV]
    state = regulated(100_000, 100_000 - error_mhz, INTEGRAL_Q10=integral_q10)
    assert state[p.VOLTAGE_MV] == base_mv + mv


@pytest.mark.parametrize("error_mhz", [1_000, -1_000, 7, 0])
def test_the_integral_takes_1_6_v_per_hz_and_second(error_mhz: int) -> None:
    state = regulated(100_000, 100_000 - error_mhz, INTEGRAL_Q10=5_000)
    assert state[p.INTEGRAL_Q10] == 5_000 + error_mhz * 1_678 // 1_024


@pytest.mark.parametrize(
    ("before", "error_mhz", "then"),
    [
        (INTEGRAL_MOST - 1, 1_000, INTEGRAL_MOST),
        (INTEGRAL_MOST - 2_000, 1_000, INTEGRAL_MOST - 362),
        (1 - INTEGRAL_MOST, -1_000, -INTEGRAL_MOST),
        (2_000 - INTEGRAL_MOST, -1_000, 361 - INTEGRAL_MOST),
    ],
)
def test_the_integral_is_limited_to_1_2_v(before: int, error_mhz: int, then: int) -> None:
    assert regulated(100_000, 100_000 - error_mhz, INTEGRAL_Q10=before)[p.INTEGRAL_Q10] == then


def test_the_integral_stands_still_during_a_ramp() -> None:
    state = regulated(100_000, 99_000, TARGET_MHZ=120_000, INTEGRAL_Q10=5)
    assert state[p.SET_MHZ] == 100_000 and state[p.INTEGRAL_Q10] == 5


# ---------------------------------------------------------------------- what limits the voltage
@pytest.mark.parametrize("limit_ma", [950, 1_500])
@pytest.mark.parametrize("rate_mhz", [0, 50_000, 100_000])
def test_current_is_limited_by_the_voltage_above_the_back_emf(rate_mhz: int, limit_ma: int) -> None:
    voltage_mv = regulated(150_000, rate_mhz, CURRENT_LIMIT_MA=limit_ma)[p.VOLTAGE_MV]
    free_mv = 150_000 * MV_PER_MHZ + 0.05 * (150_000 - rate_mhz)
    most_mv = rate_mhz * MV_PER_MHZ + limit_ma / 1_000 * OHM * 1_000
    assert free_mv > most_mv and -3.0 <= voltage_mv - most_mv <= 0.0


@pytest.mark.parametrize("limit_ma", [950, 1_500])
@pytest.mark.parametrize(("rate_mhz", "none"), [(150_000, False), (40_000, True)])
def test_and_the_current_that_brakes_by_the_voltage_below_it(
    rate_mhz: int, none: bool, limit_ma: int
) -> None:
    voltage_mv = regulated(0, rate_mhz, CURRENT_LIMIT_MA=limit_ma)[p.VOLTAGE_MV]
    least_mv = rate_mhz * MV_PER_MHZ - limit_ma / 1_000 * OHM * 1_000
    assert voltage_mv == 0 if none else -2.0 <= voltage_mv - least_mv <= 1.0


@pytest.mark.parametrize(
    ("set_mhz", "rate_mhz", "cell_mv", "voltage_mv"),
    [
        (150_000, 100_000, 1_000, 1_000),
        (0, 600_000, 3_700, 3_700),
        (0, -400_000, 3_700, 0),
        (150_000, -400_000, 3_700, 0),
        (0, -132_300, 3_700, 0),
        (150_000, -131_800, 3_700, 7),
    ],
    ids=["cell", "too fast for the cell", "backwards", "far backwards", "a little", "the least that drives"],
)
def test_the_voltage_lies_between_none_and_the_cell(
    set_mhz: int, rate_mhz: int, cell_mv: int, voltage_mv: int
) -> None:
    state = regulated(set_mhz, rate_mhz, CELL_MV=cell_mv)
    assert state[p.VOLTAGE_MV] == voltage_mv


def test_a_limited_voltage_lets_the_integral_go_back_only() -> None:
    """Anti-windup, at the upper limit and at the lower one, and none where a limit is just reached."""
    free_mv = regulated(100_000, 99_000)[p.VOLTAGE_MV]
    for cell_mv, moves in ((free_mv, True), (free_mv - 1, False)):
        assert (regulated(100_000, 99_000, CELL_MV=cell_mv)[p.INTEGRAL_Q10] != 0) is moves, cell_mv
    back = regulated(100_000, 101_000, CELL_MV=1_000)
    assert back[p.VOLTAGE_MV] == 1_000 and back[p.INTEGRAL_Q10] == -1_000 * 1_678 // 1_024
    slower = regulated(100_000, 150_000)
    assert slower[p.INTEGRAL_Q10] == 0, "at the lower limit, where it would go further down"
    for error_mhz, by in ((1_000, 1_638), (1, 1)):
        up = regulated(100_000, 100_000 - error_mhz, INTEGRAL_Q10=-INTEGRAL_MOST, CURRENT_LIMIT_MA=100)
        assert up[p.INTEGRAL_Q10] == by - INTEGRAL_MOST, "at the lower limit, where it goes up again"


def test_at_the_lower_limit_itself_the_integral_is_free() -> None:
    limited = regulated(100_000, 101_000, CURRENT_LIMIT_MA=0)
    exact = regulated(100_000, 101_000, CURRENT_LIMIT_MA=0, INTEGRAL_Q10=50 * 1_024 + 17 * 1_024)
    assert limited[p.INTEGRAL_Q10] == 0 and limited[p.VOLTAGE_MV] == exact[p.VOLTAGE_MV]
    assert exact[p.INTEGRAL_Q10] == 67 * 1_024 - 1_639


@pytest.mark.parametrize(
    ("set_mhz", "cell_mv", "on"), [(100_000, 0, 0), (100_000, 1, PERIOD), (100_000, 1_000, PERIOD)]
)
def test_a_cell_that_is_too_low_is_switched_on_for_the_whole_period(
    set_mhz: int, cell_mv: int, on: int
) -> None:
    state = regulated(set_mhz, set_mhz, CELL_MV=cell_mv)
    assert (state[p.ON_COUNTS], state[p.VOLTAGE_MV]) == (on, cell_mv)


def test_the_share_of_the_period_is_that_of_the_cell() -> None:
    state = regulated(100_000, 100_000, CELL_MV=3_700)
    assert state[p.ON_COUNTS] == state[p.VOLTAGE_MV] * PERIOD // 3_700
    assert state[p.ON_COUNTS] == pytest.approx(PERIOD * 100_000 * MV_PER_MHZ / 3_700, abs=3)


# ---------------------------------------------------------------------- an edge
def after_edge(quarter_us: int = 2_500, turn_us: int = 10_000, **places: int) -> list[int]:
    """The state after an edge; by back-EMF the motor turns at 100 Hz unless said otherwise."""
    state = made(**{"EDGES": 100, "EMF_SUM_MHZ": 100_000, "EMF_COUNT": 1, **places})
    control.edge(state, quarter_us, turn_us)
    return state


def test_an_edge_is_counted_and_its_times_kept() -> None:
    state = after_edge(2_300, QUARTER_US=2_600)
    assert [state[place] for place in (p.EDGES, p.QUARTER_US, p.HALF_US)] == [101, 2_300, 4_900]
    assert [state[place] for place in (p.EMF_SUM_MHZ, p.EMF_COUNT)] == [0, 0], "summed up for the next"


@pytest.mark.parametrize(("edges", "turn_us"), [(3, 0), (4, 10_000)])
def test_a_turn_is_known_from_the_fifth_edge_on(edges: int, turn_us: int) -> None:
    state = after_edge(EDGES=edges)
    assert (state[p.TURN_US], state[p.AHEAD_US]) == (turn_us, turn_us)


@pytest.mark.parametrize(
    ("before_us", "ahead_us"),
    [(10_200, 9_800), (10_001, 9_999), (10_000, 10_000), (9_800, 10_000), (10_624, 9_376), (10_625, 10_000)],
)
def test_a_turn_that_gets_faster_is_expected_to_go_on_so_up_to_a_sixteenth(
    before_us: int, ahead_us: int
) -> None:
    """More follows a lost edge."""
    state = after_edge(TURN_US=before_us)
    assert (state[p.TURN_US], state[p.AHEAD_US]) == (10_000, ahead_us)


@pytest.mark.parametrize(("emf_sum_mhz", "count"), [(96_000, 0), (96_000, 1), (192_001, 2), (288_000, 3)])
def test_the_rate_of_an_edge_is_compared_with_the_mean_back_emf_since_the_last(
    emf_sum_mhz: int, count: int
) -> None:
    state = after_edge(EMF_SUM_MHZ=emf_sum_mhz, EMF_COUNT=count)
    assert state[p.BIAS_MHZ] == 1_000


def test_the_bias_takes_a_quarter_of_what_is_left() -> None:
    state = after_edge(EMF_SUM_MHZ=90_000, BIAS_MHZ=2_000, REJECTED=3)
    assert (state[p.BIAS_MHZ], state[p.REJECTED]) == (4_000, 0)


@pytest.mark.parametrize(
    ("edges", "quarter_us", "judged"), [(0, 2_500, False), (1, 2_500, True), (9, 499, False)]
)
def test_the_first_edge_and_one_that_comes_too_soon_say_nothing(
    edges: int, quarter_us: int, judged: bool
) -> None:
    state = after_edge(quarter_us, EDGES=edges, EMF_SUM_MHZ=96_000, REJECTED=2)
    assert (state[p.BIAS_MHZ], state[p.REJECTED]) == ((1_000, 0) if judged else (0, 2))
    assert (state[p.EMF_SUM_MHZ], state[p.EMF_COUNT]) == (0, 0)


def test_an_edge_after_half_a_millisecond_is_judged() -> None:
    assert after_edge(500, REJECTED=2)[p.REJECTED] == 3


@pytest.mark.parametrize(("emf_mhz", "rejected"), [(146_666, 0), (146_668, 1), (72_000, 0), (71_999, 1)])
def test_an_edge_is_implausible_beyond_a_quarter_and_10_hz(emf_mhz: int, rejected: int) -> None:
    state = after_edge(EMF_SUM_MHZ=emf_mhz)
    assert state[p.REJECTED] == rejected
    assert state[p.BIAS_MHZ] == (0 if rejected else (100_000 - emf_mhz) // 4)


@pytest.mark.parametrize(("before", "then", "bias_mhz"), [(2, 3, 0), (3, 4, 0), (4, 0, -20_000)])
def test_the_fifth_implausible_edge_in_a_row_is_believed_as_a_whole(
    before: int, then: int, bias_mhz: int
) -> None:
    state = after_edge(25_000, 50_000, EMF_SUM_MHZ=30_000, REJECTED=before)
    assert (state[p.REJECTED], state[p.BIAS_MHZ]) == (then, bias_mhz)


@pytest.mark.parametrize(
    ("emf_mhz", "bias_mhz"), [(74_999, 25_000), (75_001, 24_999), (125_001, -25_000), (124_999, -24_999)]
)
def test_the_bias_is_limited_to_25_hz(emf_mhz: int, bias_mhz: int) -> None:
    assert after_edge(EMF_SUM_MHZ=emf_mhz, REJECTED=4)[p.BIAS_MHZ] == bias_mhz


# ---------------------------------------------------------------------- at rest
@pytest.mark.parametrize(
    ("edges", "quarter_us", "since_us", "rate_mhz"),
    [
        (2, 2_500, 1_000, 100_000),
        (1, 2_500, 1_000, 0),
        (2, 2_500, 2_501, 250_000_000 // 2_501),
        (2, 2_500, 12_999, 250_000_000 // 12_999),
        (2, 2_500, 13_000, 0),
        (2, 500, 100, 0),
        (2, 501, 100, 250_000_000 // 501),
        (2, 1_681, 100, 148_720),  # 250,000,000 / 1,681 is 148,720.999
    ],
)
def test_a_braked_motor_has_the_rate_of_its_longest_quarter_until_the_stall_time(
    edges: int, quarter_us: int, since_us: int, rate_mhz: int
) -> None:
    state = made(EDGES=edges, QUARTER_US=quarter_us, NOW_US=90_000, EDGE_US=90_000 - since_us, TURN_US=7)
    state[p.RATE_MHZ] = 123
    control.estimate_rest(state)
    assert (state[p.RATE_MHZ], state[p.TURN_US]) == (rate_mhz, 7 if rate_mhz else 0)
