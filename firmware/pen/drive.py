"""The motor drive as one piece: sampling, index supervision, control tick, cut-off machines, start and stop."""

import time

import rp2
from machine import PWM, Pin
from micropython import const

from pen import control, proof
from pen.board import (
    INDEX_PER_REV,
    PIN_CARTRIDGE_N,
    PIN_LATCH_CLR,
    PIN_PWM_N,
    PIN_TICK,
    PIN_TRIGGER_N,
    PIN_TRIP_N,
    PIN_VBUS_SENSE,
    PIN_WDT_KICK,
    PIO_INDEX_WINDOW_HZ,
    PIO_TICK_HZ,
    PIO_TICK_SM,
    PWM_N_HZ,
    WATCHDOG_MAX_US,
)
from pen.control import state
from pen.cutoff import CUT_TRIP, CUT_WINDOW, CutOff
from pen.faults import (
    CARTRIDGE_LOST,
    CURRENT_SENSOR,
    DEPTH_RUNAWAY,
    EXTERNAL_POWER,
    HEARTBEAT_LOST,
    MAIN_LOOP_LATE,
    NONE,
    OVERCURRENT,
    OVERSPEED,
    PROOF_FAILED,
    STALL,
    START_REFUSED,
    SUPERVISION_LOST,
)
from pen.index import Index
from pen.limits import PR01_RATE_DEFAULT_HZ, SR06_THRESHOLD_HZ
from pen.pio_programs import every_millisecond
from pen.places import (
    ADC_RING,
    BIAS_MHZ,
    CURRENT_LIMIT_MA,
    CUT_AGE_US,
    DEPTH_HIGH_SUM,
    DRIVE,
    EDGE_RING,
    EDGE_SLOT,
    EDGE_US,
    EDGE_WRITE,
    EDGES,
    EMF_COUNT,
    EMF_SUM_MHZ,
    HEARTBEAT_AT,
    I2_SUM,
    INTEGRAL_Q10,
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
    STOP_ASKED,
    STOP_DEPTH,
    STOP_HARDWARE_CUT,
    STOP_LINE,
    STOP_MAIN_LATE,
    STOP_OVERSPEED,
    STOP_REASON,
    STOP_STALL,
    STOP_UNSUPERVISED,
    STOPPED_LINES,
    TARGET_MHZ,
    TICKS,
    TURN_US,
    VOLTAGE_MV,
    WATCHED,
)
from pen.sampling import Sampling

_RAMP_START_MHZ = const(2500)  # per ms: the start is limited by the current
_RAMP_CHANGE_MHZ = const(49)  # per ms: the motor follows a ramp to within 1 %; 50 Hz/s are allowed (SR-23)
_START_CURRENT_MA = const(950)  # PR-04 allows 1.2 A; the rest is the estimate's error
_RUN_CURRENT_MA = const(1500)
_WAKE_TICKS = const(17)
_WATCHDOG_REST_MS = const(WATCHDOG_MAX_US // 1000 + 5)
# Until it has made a stroke a motor draws 0.8 A and more, which is 9,900 in I2_SUM at the lowest rate; a sensor that is
# off by as much as it may be at rest (80 mA) makes 600 of it, if it takes the motor 0.1 s. This is 0.4 A for 10 ms.
_SEEN_I2 = const(400 * 400 // 1024 * 10)
_ANY_DEPTH_SUM = const(8 * 4096)  # until the depth axis sets its window
_WINDOW_MARGIN_PERMILLE = const(6)  # index marks half a turn apart are placed within 0.6 %
_FAST_TURN_US = const(
    10_000
)  # the last whole turn of a motor that runs away is shorter, also from the lowest rate
_EARLY_US = const(6_000)
_WINDOW_TOP = const(1024)  # see cutoff.index_window
_WINDOW_OVERHEAD_COUNTS = const(2)  # counts that the machine spends between edge and reload

_FAULT_OF_STOP = {
    STOP_STALL: STALL,
    STOP_MAIN_LATE: MAIN_LOOP_LATE,
    STOP_UNSUPERVISED: SUPERVISION_LOST,
    STOP_DEPTH: DEPTH_RUNAWAY,
}


def window_counts():
    """Longest time for two index periods in counts of the index window; its part above 1024 is the shortest."""
    two_periods_hz = INDEX_PER_REV // 2 * SR06_THRESHOLD_HZ
    shortest = PIO_INDEX_WINDOW_HZ // 3 * 1000 // (two_periods_hz * (1000 + _WINDOW_MARGIN_PERMILLE))
    return _WINDOW_TOP + shortest - _WINDOW_OVERHEAD_COUNTS


class Drive:
    """Braked and without permission from the first line on; `start` is the only way to make the motor turn."""

    def __init__(self):
        self.awake = False  # True from `wake` to `rest`: the tick runs
        self.start_fault = NONE  # of the last `start`: a proof that failed, or a refusal of the hardware
        self._press_refusal = None
        self._rested_ms = time.ticks_add(time.ticks_ms(), -_WATCHDOG_REST_MS)
        self._current_missing = False
        self._i2_before = 0
        self.cutoff = CutOff()
        self._pwm = PWM(Pin(PIN_PWM_N), freq=PWM_N_HZ, duty_u16=65535)
        self._trip_n = Pin(PIN_TRIP_N, Pin.IN, Pin.PULL_UP)
        self._trigger_n = Pin(PIN_TRIGGER_N, Pin.IN, Pin.PULL_UP)
        self._latch_clear = Pin(PIN_LATCH_CLR, Pin.OUT, value=0)
        Pin(PIN_WDT_KICK, Pin.OUT, value=0)
        Pin(PIN_TICK, Pin.OUT, value=0)
        self._index = Index()
        self.sampling = Sampling()
        for place in range(SIZE):
            state[place] = 0
        state[EDGE_RING] = self._index.ring_address
        state[EDGE_WRITE] = self._index.write_register
        state[EDGE_SLOT] = self._index.next_slot()
        state[ADC_RING] = self.sampling.ring_address
        state[DEPTH_HIGH_SUM] = _ANY_DEPTH_SUM
        self.set_stop_lines(True)
        self.set_rate_hz(PR01_RATE_DEFAULT_HZ)
        self._tick = rp2.StateMachine(PIO_TICK_SM, every_millisecond, freq=PIO_TICK_HZ)
        self._tick.irq(control.tick, hard=True)

    def set_stop_lines(self, external_power):
        """Lines that stop the motor when high. `external_power`: whether the charger's is one (SR-22)."""
        mask = 1 << PIN_TRIGGER_N | 1 << PIN_CARTRIDGE_N
        state[LINE_MASK] = mask | 1 << PIN_VBUS_SENSE if external_power else mask

    def wake(self, starting=False):
        """Start conversions, index supervision and tick, still braked; `woken` says when `start` may follow.

        `starting`: for a start, the trigger is pressed. After a rest that let the external watchdog expire, that one is
        proven then (3 ms).
        """
        if not self.awake:
            self.sampling.start()
            self._index.start()
            state[TICKS] = 0
            state[MAIN_AGE_MS] = 0
            state[WATCHED] = 0
            self._tick.active(1)
            self.awake = True
            self._press_refusal = None
            rested = time.ticks_diff(time.ticks_ms(), self._rested_ms) >= _WATCHDOG_REST_MS
            if starting and rested and not self._trigger_n() and not self.tripped:
                self._press_refusal = proof.at_press(self)

    @property
    def woken(self):
        """True once the external watchdog has had the two kicks, 8 ms apart, after which it lets go."""
        return self.awake and state[TICKS] > _WAKE_TICKS

    def rest(self):
        """Stop all that; call at standstill. Without the tick there is no heartbeat, so no permission."""
        if self.awake:
            self.awake = False
            self._rested_ms = time.ticks_ms()
            self._tick.active(0)
            self._index.stop()
            self.sampling.stop()

    def set_rate_hz(self, rate_hz):
        """Set rate; a running motor follows it at 50 Hz/s."""
        self.rate_hz = rate_hz
        state[TARGET_MHZ] = 1000 * rate_hz

    @property
    def running(self):
        return state[DRIVE] == 1

    @property
    def standstill(self):
        return state[DRIVE] == 0 and state[RATE_MHZ] == 0

    @property
    def tripped(self):
        """True while the overcurrent latch of the board is set."""
        return self._trip_n.value() == 0

    def start(self):
        """Prove the channels that need a pressed trigger (3 ms), arm and drive.

        Returns None, or what did not work, as text; `start_fault` is then the fault that it means.
        """
        self.start_fault = START_REFUSED
        if self.tripped:
            return "overcurrent latch is set"
        if not self.woken:
            return "the drive is not awake"
        self.start_fault = PROOF_FAILED
        self._disarm()
        refused = self._press_refusal or proof.at_start(self)
        if refused:
            return refused
        self.start_fault = NONE
        self._current_missing = False
        self._prepare(_RAMP_START_MHZ)
        state[DRIVE] = (
            1  # the last proof has left permission given: the next tick goes on with the heartbeats
        )
        return None

    def _disarm(self):
        """All cut-off machines at their start; the index window does not watch any more."""
        state[WATCHED] = 0
        self.cutoff.clear()

    def _prepare(self, ramp_mhz):
        for place in (
            EDGES,
            QUARTER_US,
            TURN_US,
            BIAS_MHZ,
            EMF_SUM_MHZ,
            EMF_COUNT,
            RATE_MHZ,
            REJECTED,
            SET_MHZ,
            INTEGRAL_Q10,
            VOLTAGE_MV,
            ON_COUNTS,
            STOP_REASON,
            MAIN_AGE_MS,
            LINE_MS,
        ):
            state[place] = 0
        state[EDGE_US] = state[NOW_US]
        self._i2_before = state[I2_SUM]
        state[RAMP_MHZ] = ramp_mhz
        state[CURRENT_LIMIT_MA] = _START_CURRENT_MA

    def settle(self):
        """Call while running: starts the index window after a turn, slows the ramp when the start is over."""
        if not state[WATCHED] and state[EDGES] > INDEX_PER_REV:
            self.cutoff.watch(window_counts())
            state[WATCHED] = 1
            # The proofs look for current: without a sensor they are worth nothing. The tick's sum tells: the current of
            # a start at 50 Hz lasts 20 ms, as long as two passes are apart.
            if (state[I2_SUM] - self._i2_before) & 0x3FFFFFFF < _SEEN_I2:
                self._current_missing = True
                self.stop()
        if state[SET_MHZ] == state[TARGET_MHZ]:
            state[RAMP_MHZ] = _RAMP_CHANGE_MHZ
            state[CURRENT_LIMIT_MA] = _RUN_CURRENT_MA

    def stop(self):
        """Ask the tick to brake; it does so within 1 ms."""
        if state[DRIVE]:
            state[STOP_REASON] = STOP_ASKED

    def stop_fault(self):
        """The fault behind the last stop; NONE for a release or a stop that was asked for."""
        reason = state[STOP_REASON]
        if self._current_missing:
            return CURRENT_SENSOR
        if reason == STOP_OVERSPEED:
            return self._too_fast()
        if reason == STOP_HARDWARE_CUT:
            cause = self.cutoff.cause(state[HEARTBEAT_AT])
            if self.tripped or cause == CUT_TRIP:
                return OVERCURRENT
            if cause == CUT_WINDOW:
                # The window does not say which side: an edge that came just before was too early.
                return self._too_fast() if state[CUT_AGE_US] < _EARLY_US else STALL
            return HEARTBEAT_LOST
        if reason == STOP_LINE:
            lost = state[STOPPED_LINES] & 1 << PIN_CARTRIDGE_N
            return CARTRIDGE_LOST if lost else EXTERNAL_POWER
        return _FAULT_OF_STOP.get(reason, NONE)

    def _too_fast(self):
        """Edges in quick succession: too fast, or a rotor that turns back just after it has stopped."""
        return OVERSPEED if 0 < state[TURN_US] < _FAST_TURN_US else STALL

    def clear_latch(self):
        """Pulse the board's overcurrent latch; only after an acknowledgement."""
        self._latch_clear.value(1)
        time.sleep_us(50)
        self._latch_clear.value(0)
        time.sleep_us(50)

    def prove(self):
        """Prove the cut-off channels that can be tried with the trigger up (25 ms). Returns None, or what did not work.

        `proof.AGAIN` is no failure: the drive was not at rest, or the trigger not up; ask again later.
        """
        refused = proof.before_arming(self)
        self._rested_ms = time.ticks_ms()  # it has kicked the external watchdog
        return refused

    def shut_down(self):
        """Leave everything braked and the tick stopped (end of the program in a development build)."""
        self.stop()
        time.sleep_ms(3)
        self.rest()
        self._disarm()
        self._pwm.duty_u16(65535)
        self._index.close()
        self.sampling.close()
