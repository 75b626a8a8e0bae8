# mypy: disable-error-code="arg-type"
# Viper converts the array to a pointer where a function asks for one; the type checker does not know.
"""The 1 ms control tick: speed estimate, regulator, limit checks, heartbeat. Hard interrupt, viper, no allocation.

Everything it knows is in `state`, an array of 32 bit integers whose places are named in places.py. `step`, `edge` and
`estimate_rest` touch nothing else and run under CPython too; `tick` alone touches registers. The tick calls little
and divides little: a call costs it 4 us, a division 1 us.
Times are us, rates mHz, voltages mV, currents mA unless the name says otherwise.
"""

import array

import micropython
from micropython import const

from pen.board import (
    ADC_BATTERY_MV_PER_LSB_Q16,
    ADC_MOTOR_CURRENT_MA_PER_LSB_Q16,
    LOOP_R_MOHM,
    MOTOR_KE_UV_PER_HZ,
    PIN_TICK,
    PIN_TRIGGER_N,
    PIN_WDT_KICK,
    PIO_DEPTH_STEPS_SM,
    PWM_N_PERIOD_CLOCKS,
)
from pen.limits import SR02_TRIP_MS, SR06_THRESHOLD_HZ, SR08_BRAKE_MS
from pen.places import (
    ADC_RING,
    AHEAD_US,
    BIAS_MHZ,
    CELL_MV,
    COST_US,
    CURRENT_LIMIT_MA,
    CURRENT_MA,
    CUT_AGE_US,
    DEPTH_BAD_MS,
    DEPTH_HIGH_SUM,
    DEPTH_LOW_SUM,
    DEPTH_SUM,
    DRIVE,
    EDGE_RING,
    EDGE_SLOT,
    EDGE_US,
    EDGE_WRITE,
    EDGES,
    EMF_COUNT,
    EMF_SUM_MHZ,
    GRID_US,
    HALF_US,
    HEARTBEAT_AT,
    I2_SUM,
    INTEGRAL_Q10,
    JITTER_US,
    LINE_MASK,
    LINE_MS,
    MAIN_AGE_MS,
    NOW_US,
    ON_COUNTS,
    QUARTER_US,
    RAMP_MHZ,
    RATE_MHZ,
    REJECTED,
    SET_MHZ,
    SIZE,
    STOP_DEPTH,
    STOP_HARDWARE_CUT,
    STOP_LINE,
    STOP_MAIN_LATE,
    STOP_OVERSPEED,
    STOP_REASON,
    STOP_RELEASED,
    STOP_STALL,
    STOP_UNSUPERVISED,
    STOPPED_LINES,
    SUPERVISED,
    TARGET_MHZ,
    TICKS,
    TURN_US,
    VOLTAGE_MV,
    WATCHED,
)

# ---- back-EMF, and the regulator with 0.05 V/Hz and 1.6 V/(Hz s). Fixed point (Q10 = times 1024): shifts for divisions
_R_Q10 = const(LOOP_R_MOHM * 1024 // 1000)
_MHZ_PER_MV_Q6 = const(64_000_000 // MOTOR_KE_UV_PER_HZ)
_MV_PER_64_MHZ_Q14 = const(MOTOR_KE_UV_PER_HZ * 10486 // 10000)  # 64 x 16384 / 1e6 = 1.0486
_KP_Q10 = const(51)  # mV per mHz
_KI_Q20 = const(1678)  # mV per mHz and tick
_INTEGRAL_LIMIT_Q10 = const(1200 * 1024)  # mV
_BEND_SHIFT = const(4)
_BEND_LEAST_MHZ = const(50)

# ---- estimate
_EDGE_GATE_SHIFT = const(2)  # a quarter
_EDGE_GATE_MHZ = const(10_000)
_REJECT_MAX = const(4)
_BIAS_LIMIT_MHZ = const(25_000)
_QUARTER_HZ_US = const(250_000_000)  # mHz of the stroke rate x us of an index period
_SHORTEST_US = const(500)
_SPAN = const(0x1FFF_FFFF)  # us; two of them still make a small integer

# ---- supervision
# The mean of a turn is half a turn old when the turn ends, so a slow overspeed is seen by a lower threshold over the
# whole turn; a fast one over half a turn, by a higher threshold, because of ripple and marks. Where skin makes the rate
# ripple, half a turn may not show one between them: that one is seen by the turn that the next edge will end (SR-06).
_OVERSPEED_TURN_US = const(100_000_000 // (100 * SR06_THRESHOLD_HZ - 80))
_OVERSPEED_HALF_US = const(50_000_000 // (100 * SR06_THRESHOLD_HZ + 20))
_OVERSPEED_AHEAD_US = const(100_000_000 // (100 * SR06_THRESHOLD_HZ + 20))
# A turn that gets faster by more than a sixteenth from one edge to the next follows a lost edge.
_AHEAD_SHIFT = const(4)
_STALL_US = const(1000 * SR08_BRAKE_MS - 2_000)  # glitch filter, tick and heartbeat machine take the rest
_FIRST_EDGES_US = const(24_000)  # a quarter turn from rest takes 13 ms at most
_WATCH_EDGES = const(40)  # by then the main loop has started the index window
_MAIN_LIMIT_MS = const(100)
_DEPTH_MACHINE = const(PIO_DEPTH_STEPS_SM - 4)  # of PIO1
_DEPTH_LIMIT_MS = const(
    SR02_TRIP_MS // 2
)  # an error counts after 10 ms and has to stop the pen within 20 (SR-02)
_LINE_LIMIT_MS = const(2)  # a spike on a wire does not end a treatment; SR-14 allows 10 ms
_BEAT_COUNTS = const(62)  # 48 us each: 3 ms to live

state = array.array("i", [0] * SIZE)


@micropython.viper
def edge(s: ptr32, quarter_us: int, turn_us: int):
    """Correct the estimate with a rising index edge, so long after the last one and after the fourth before it; an
    implausible one is ignored (SR-27).

    One index period is a quarter of a stroke. An edge that moves the rate by more than 25 % of what the
    back-EMF says is a glitch or follows a lost edge; after four of them in a row the edges are believed, as far
    as the bias may go.
    """
    s[HALF_US] = quarter_us + s[QUARTER_US]
    s[QUARTER_US] = quarter_us
    s[EDGES] += 1
    if s[EDGES] > 4:
        faster_us = s[TURN_US] - turn_us
        s[TURN_US] = turn_us
        if faster_us > 0 and faster_us < turn_us >> _AHEAD_SHIFT:
            turn_us -= faster_us
        s[AHEAD_US] = turn_us
    count = s[EMF_COUNT]
    emf_mhz = s[EMF_SUM_MHZ]
    if count > 1:
        emf_mhz = emf_mhz // count
    s[EMF_SUM_MHZ] = 0
    s[EMF_COUNT] = 0
    if s[EDGES] < 2 or quarter_us < _SHORTEST_US:
        return
    expected_mhz = emf_mhz + s[BIAS_MHZ]
    rate_mhz = _QUARTER_HZ_US // quarter_us
    difference_mhz = rate_mhz - expected_mhz
    distance_mhz = difference_mhz
    if distance_mhz < 0:
        distance_mhz = 0 - distance_mhz
    if distance_mhz > (expected_mhz >> _EDGE_GATE_SHIFT) + _EDGE_GATE_MHZ and s[REJECTED] < _REJECT_MAX:
        s[REJECTED] += 1
        return
    bias_mhz = s[BIAS_MHZ]
    if s[REJECTED] == _REJECT_MAX:
        bias_mhz += difference_mhz
    else:
        bias_mhz += difference_mhz >> 2
    # What heat and the amplifier can do to the back-EMF. More than that is a disturbed index, not to be followed.
    if bias_mhz > _BIAS_LIMIT_MHZ:
        bias_mhz = _BIAS_LIMIT_MHZ
    elif bias_mhz < 0 - _BIAS_LIMIT_MHZ:
        bias_mhz = 0 - _BIAS_LIMIT_MHZ
    s[BIAS_MHZ] = bias_mhz
    s[REJECTED] = 0


@micropython.viper
def step(s: ptr32):
    """One control step: estimate the rate, follow the ramp, regulate; sets VOLTAGE_MV and ON_COUNTS.

    Estimate: back-EMF E = V - I R between index edges, plus the bias that the last edges showed.
    Regulator: feed-forward + PI. The current is (V - E) / R, so limiting V to E +- I_max R limits the current
    without a current loop. Anti-windup: the integral stands still during a ramp, where the feed-forward does the
    work, and while the voltage is limited in the direction of the error.
    """
    drop_mv = s[CURRENT_MA] * _R_Q10 >> 10
    emf_mhz = (s[VOLTAGE_MV] - drop_mv) * _MHZ_PER_MV_Q6 >> 6
    s[EMF_SUM_MHZ] += emf_mhz
    s[EMF_COUNT] += 1
    rate_mhz = s[RATE_MHZ]
    rate_mhz += (emf_mhz + s[BIAS_MHZ] - rate_mhz) >> 1
    s[RATE_MHZ] = rate_mhz

    target_mhz = s[TARGET_MHZ]
    set_mhz = s[SET_MHZ]
    if set_mhz != target_mhz:
        step_mhz = s[RAMP_MHZ]
        if set_mhz < target_mhz:
            # The ramp bends into its end: a rotor at full current cannot follow a corner and would overshoot.
            bend_mhz = ((target_mhz - set_mhz) >> _BEND_SHIFT) + _BEND_LEAST_MHZ
            if bend_mhz < step_mhz:
                step_mhz = bend_mhz
            set_mhz += step_mhz
            if set_mhz > target_mhz:
                set_mhz = target_mhz
        else:
            set_mhz -= step_mhz
            if set_mhz < target_mhz:
                set_mhz = target_mhz
        s[SET_MHZ] = set_mhz

    error_mhz = set_mhz - rate_mhz
    integral_q10 = s[INTEGRAL_Q10]
    forward_mv = (set_mhz >> 6) * _MV_PER_64_MHZ_Q14 >> 14
    voltage_mv = forward_mv + (error_mhz * _KP_Q10 + integral_q10 >> 10)

    emf_mv = (rate_mhz >> 6) * _MV_PER_64_MHZ_Q14 >> 14
    span_mv = s[CURRENT_LIMIT_MA] * _R_Q10 >> 10
    cell_mv = s[CELL_MV]
    high_mv = emf_mv + span_mv
    if high_mv > cell_mv:
        high_mv = cell_mv
    if high_mv < 0:
        high_mv = 0
    low_mv = emf_mv - span_mv
    if low_mv < 0:
        low_mv = 0
    elif low_mv > high_mv:
        low_mv = high_mv
    if voltage_mv > high_mv:
        voltage_mv = high_mv
        free = error_mhz < 0
    elif voltage_mv < low_mv:
        voltage_mv = low_mv
        free = error_mhz > 0
    else:
        free = True
    if free and set_mhz == target_mhz:
        integral_q10 += error_mhz * _KI_Q20 >> 10
        if integral_q10 > _INTEGRAL_LIMIT_Q10:
            integral_q10 = _INTEGRAL_LIMIT_Q10
        elif integral_q10 < 0 - _INTEGRAL_LIMIT_Q10:
            integral_q10 = 0 - _INTEGRAL_LIMIT_Q10
        s[INTEGRAL_Q10] = integral_q10

    on = 0
    if cell_mv > voltage_mv:
        on = voltage_mv * PWM_N_PERIOD_CLOCKS // cell_mv
    elif cell_mv > 0:
        on = PWM_N_PERIOD_CLOCKS
    s[VOLTAGE_MV] = voltage_mv
    s[ON_COUNTS] = on


@micropython.viper
def estimate_rest(s: ptr32):
    """While braked the back-EMF cannot be seen: the rate follows the index edges and runs out with the stall time."""
    rate_mhz = 0
    since_us = s[NOW_US] - s[EDGE_US]
    if s[EDGES] > 1 and since_us < _STALL_US:
        longest_us = s[QUARTER_US]
        if since_us > longest_us:
            longest_us = since_us
        if longest_us > _SHORTEST_US:
            rate_mhz = _QUARTER_HZ_US // longest_us
    s[RATE_MHZ] = rate_mhz
    if rate_mhz == 0:
        s[TURN_US] = 0


@micropython.viper
def tick(machine):
    """Interrupt handler of the tick machine, every 1 ms (PR-07)."""
    s = ptr32(state)
    start_us = int(ptr32(0x40054028)[0])
    ptr32(0xD0000014)[0] = 1 << PIN_TICK
    s[NOW_US] = start_us
    ticks = s[TICKS]
    if ticks > 0:
        late_us = start_us - s[GRID_US] - 1000
        if late_us < 0:
            late_us = 0 - late_us
        if late_us > s[JITTER_US] and s[DRIVE]:  # while braked, the used mark may delay it by 70 us
            s[JITTER_US] = late_us
    s[GRID_US] = start_us
    s[TICKS] = ticks + 1
    s[MAIN_AGE_MS] += 1

    # Means of the last 8 conversions; written out, since a loop costs 5 us more.
    ring = ptr16(s[ADC_RING])
    current = ring[0] + ring[4] + ring[8] + ring[12] + ring[16] + ring[20] + ring[24] + ring[28]
    cell = ring[3] + ring[7] + ring[11] + ring[15] + ring[19] + ring[23] + ring[27] + ring[31]
    depth = ring[1] + ring[5] + ring[9] + ring[13] + ring[17] + ring[21] + ring[25] + ring[29]
    current_ma = current * ADC_MOTOR_CURRENT_MA_PER_LSB_Q16 >> 19
    s[CURRENT_MA] = current_ma
    s[I2_SUM] += current_ma * current_ma >> 10
    s[CELL_MV] = (cell >> 3) * ADC_BATTERY_MV_PER_LSB_Q16 >> 16
    s[DEPTH_SUM] = depth
    if depth < s[DEPTH_LOW_SUM] or depth > s[DEPTH_HIGH_SUM]:
        s[DEPTH_BAD_MS] += 1
    else:
        s[DEPTH_BAD_MS] = 0

    # Index edges since the last tick.
    slot = (ptr32(s[EDGE_WRITE])[0] - s[EDGE_RING]) >> 2
    at = s[EDGE_SLOT]
    if at != slot:
        times = ptr32(s[EDGE_RING])
        while at != slot:
            at_us = times[at]
            # Differences, since an argument of more than 30 bits is allocated, which a hard interrupt cannot: times
            # have that many from 18 min after power-on.
            edge(state, (at_us - s[EDGE_US]) & _SPAN, (at_us - times[(at - 4) & 15]) & _SPAN)
            s[EDGE_US] = at_us
            at = (at + 1) & 15
        s[EDGE_SLOT] = at

    # The machines of PIO0 (the index window once it watches) and both index machines of PIO1 must be enabled.
    wanted = 3 | s[WATCHED] << 2
    s[SUPERVISED] = int((ptr32(0x50200000)[0] & wanted) == wanted and (ptr32(0x50300000)[0] & 3) == 3)
    if s[DRIVE]:
        since_us = start_us - s[EDGE_US]
        reason = s[STOP_REASON]
        lines = int(ptr32(0xD0000004)[0]) & s[LINE_MASK]
        if lines:
            s[LINE_MS] += 1
            if lines & (1 << PIN_TRIGGER_N):
                reason = STOP_RELEASED
            elif s[LINE_MS] > _LINE_LIMIT_MS:
                reason = STOP_LINE
                s[STOPPED_LINES] = lines
        else:
            s[LINE_MS] = 0
        if reason:
            pass
        elif ptr32(0x50200030)[0] & 0x10:
            reason = STOP_HARDWARE_CUT
            s[CUT_AGE_US] = since_us
            s[HEARTBEAT_AT] = ptr32(0x502000EC)[0]
        elif s[SUPERVISED] == 0:
            reason = STOP_UNSUPERVISED
        elif s[MAIN_AGE_MS] > _MAIN_LIMIT_MS:
            reason = STOP_MAIN_LATE
        elif s[DEPTH_BAD_MS] > _DEPTH_LIMIT_MS:
            reason = STOP_DEPTH
        elif s[EDGES] > _WATCH_EDGES and s[WATCHED] == 0:
            reason = STOP_UNSUPERVISED
        elif s[EDGES] > 4:
            if (
                s[TURN_US] < _OVERSPEED_TURN_US
                or s[HALF_US] < _OVERSPEED_HALF_US
                or s[AHEAD_US] < _OVERSPEED_AHEAD_US
            ):
                reason = STOP_OVERSPEED
            elif since_us > _STALL_US:
                reason = STOP_STALL
        elif since_us > _FIRST_EDGES_US:
            reason = STOP_STALL
        if reason:
            ptr32(0x50200014)[0] = 0  # the heartbeat machine opens the supply, then brakes
            if reason != STOP_OVERSPEED:
                ptr32(0x40050020)[0] = PWM_N_PERIOD_CLOCKS  # PWM_N high: brake at once
            s[STOP_REASON] = reason
            s[DRIVE] = 0
        else:
            step(state)
            ptr32(0x50200014)[0] = _BEAT_COUNTS
            ptr32(0x40050020)[0] = PWM_N_PERIOD_CLOCKS - s[ON_COUNTS]
    else:
        ptr32(0x40050020)[0] = PWM_N_PERIOD_CLOCKS
        if s[DEPTH_BAD_MS] > _DEPTH_LIMIT_MS:
            ptr32(0x50303000)[0] = 1 << _DEPTH_MACHINE  # PIO1: no step follows, whatever the main loop does
        estimate_rest(state)

    # External window watchdog: an edge every 8 ms, only while the whole chain is alive.
    if s[SUPERVISED] and s[MAIN_AGE_MS] <= _MAIN_LIMIT_MS:
        if ticks & 7 == 0:
            ptr32(0xD0000014)[0] = 1 << PIN_WDT_KICK
        elif ticks & 7 == 4:
            ptr32(0xD0000018)[0] = 1 << PIN_WDT_KICK
    ptr32(0xD0000018)[0] = 1 << PIN_TICK
    cost_us = int(ptr32(0x40054028)[0]) - start_us
    if cost_us > s[COST_US]:
        s[COST_US] = cost_us
