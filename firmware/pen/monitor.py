"""Power, heat, rate and time of the pen: SR-07, SR-13, SR-18, SR-19, SR-20, SR-22 and the session. Pure.

How the App uses it:

    monitor = Monitor(control.state, Inputs(drive.sampling.ring_address), time.ticks_diff, counters' heat)
    every main-loop pass while awake, every full pass at rest:   monitor.poll(now_ms, drive.awake)

`fault`, `blockers`, `warnings` as of every part. A fault stands while its cause does: those of a run (underspeed,
empty battery, external power, dead current sensor) until the motor is no longer driven, heat and sensors until they are
good again, so that `fault == 0` means "cause gone". `stop_note` is a note of pen.states while the run has to end
without a fault: stop the drive and show it. A run is recognised by state[DRIVE]. External power brakes through the tick
(LINE_MASK) before this part sees it; the stop's reason then says so.
`session_limit_ms` comes from the treatment profile (0: none); a session begins with its first run and lasts, pauses
included, until `new_session()`, which is for a new cartridge. `allow_external_power`: True for the bench profile in
service.
For telemetry: `nose_dc`, `winding_dc` (0.1 C), `cell_mv`, `run_ms`, `session_ms`. `heat`: store it with the counters
at standstill and give it to the constructor after the next start; resets other than power-on keep it by themselves.
"""

from micropython import const

from pen import analogue, faults, ripple, states
from pen.board import (
    ADC_BATTERY_CHANNEL,
    ADC_BATTERY_VALID_MAX_RAW,
    ADC_BATTERY_VALID_MIN_RAW,
    ADC_MOTOR_CURRENT_CHANNEL,
    ADC_MOTOR_CURRENT_VALID_MAX_RAW,
    ADC_NOSE_TEMPERATURE_CHANNEL,
    ADC_NOSE_TEMPERATURE_VALID_MAX_RAW,
    ADC_NOSE_TEMPERATURE_VALID_MIN_RAW,
    MOTOR_FRICTION_MA,
    PWM_N_PERIOD_CLOCKS,
)
from pen.contact import LIMIT_MS, WINDOW_MS, Contact, most_free_ma, root_ma
from pen.limits import (
    SR13_RUN_MIN,
    SR18_STOP_C,
    SR18_WARN_C,
    SR19_STOP_C,
    SR19_WARN_C,
    SR20_START_V,
    SR20_STOP_V,
    SR20_WARN_V,
)
from pen.places import DRIVE, EDGE_US, I2_SUM, ON_COUNTS, SET_MHZ, TARGET_MHZ, TICKS, TURN_US
from pen.speed import Underspeed
from pen.thermal import Winding

_CELL_MS = const(100)
_HEAT_MS = const(250)
_READ_MS = const(45)  # every fifth pass while awake: the inputs are slow, and reading them takes 0.5 ms
_BROKEN_MS = const(500)  # SR-18 allows 1 s; at rest the inputs are read every 250 ms
_SATURATED_MS = const(150)
_NOSE_SPREAD = const(150)  # codes: noise is 15, the erratum 15
_CELL_SPREAD = const(250)  # PWM ripple on an aged cell is 100
_CURRENT_AT_REST = const(100)  # codes, 80 mA
_ANY_CODES = const(4096)
_LEAST_FREE_MA = const(MOTOR_FRICTION_MA // 2)
_CELL_HYSTERESIS_MV = const(20)
_RUN_LIMIT_MS = const(60_000 * SR13_RUN_MIN)
_SESSION_WARN_MS = const(300_000)
_STARTING_MS = const(300)  # by then the current is that of the set rate (PR-04: 150)


class Monitor:
    def __init__(self, state, inputs, elapsed_ms, heat=0):
        self.fault = faults.NONE
        self.blockers = states.BLOCK_BATTERY_SENSOR | states.BLOCK_NOSE_TEMPERATURE  # until both were read
        self.warnings = 0
        self.busy = False
        self.stop_note = states.NOTE_NONE
        self.allow_external_power = False
        self.session_limit_ms = 0
        self.nose_dc = self.winding_dc = self.cell_mv = 0
        self.run_ms = self.session_ms = 0
        self.underspeed = Underspeed()
        self.contact = Contact()
        self.winding = Winding(max(heat, inputs.kept_heat()))
        self._was_hot = (
            self.winding.heat > 0
        )  # perhaps; then no start before it is known to be below the warning
        self._state = state
        self._inputs = inputs
        self._elapsed_ms = elapsed_ms
        self._running = False
        self._was_awake = False
        self._last_ms = None
        self._read_ms = None
        self._run_fault = faults.NONE
        self._external = False
        self._in_session = False
        self._nose_check = analogue.Plausibility(
            ADC_NOSE_TEMPERATURE_VALID_MIN_RAW, ADC_NOSE_TEMPERATURE_VALID_MAX_RAW, _NOSE_SPREAD, _BROKEN_MS
        )
        self._cell_check = analogue.Plausibility(
            ADC_BATTERY_VALID_MIN_RAW, ADC_BATTERY_VALID_MAX_RAW, _CELL_SPREAD, _BROKEN_MS
        )
        self._rest_check = analogue.Plausibility(0, _CURRENT_AT_REST, _ANY_CODES, _BROKEN_MS)
        self._high_check = analogue.Plausibility(
            0, ADC_MOTOR_CURRENT_VALID_MAX_RAW, _ANY_CODES, _SATURATED_MS
        )
        self._nose_warm = analogue.Threshold(10 * SR18_WARN_C, 10 * SR18_WARN_C - 5)
        self._nose_hot = analogue.Threshold(10 * SR18_STOP_C, 10 * SR18_STOP_C - 5)
        self._winding_warm = analogue.Threshold(10 * SR19_WARN_C, 10 * SR19_WARN_C - 20)
        self._winding_hot = analogue.Threshold(10 * SR19_STOP_C, 10 * SR19_WARN_C)
        self._cell_fine = analogue.Threshold(1000 * SR20_WARN_V + _CELL_HYSTERESIS_MV, 1000 * SR20_WARN_V)
        self._cell_starts = analogue.Threshold(1000 * SR20_START_V, 1000 * SR20_START_V)
        self._cell_total = self._cell_count = self._cell_ms = 0
        self._nose_total = self._nose_count = 0
        self._nose_known = False
        self._on_total = self._on_count = self._driven_ms = 0
        self._heat_ms = 0
        self._heat_from = state[I2_SUM]
        self._window_from = self._window_ticks = self._window_set = 0

    @property
    def heat(self):
        return self.winding.heat

    def new_session(self):
        """Another cartridge, so another person: session time begins anew with the next run."""
        self._in_session = False
        self.session_ms = 0
        self._conclude()

    def poll(self, now_ms, awake):
        """One main-loop pass; times in ms of device time, which wraps around."""
        elapsed_ms = 0 if self._last_ms is None else self._elapsed_ms(now_ms, self._last_ms)
        self._last_ms = now_ms
        external = self._inputs.external_power()
        changed = external != self._external
        self._external = external
        running = self._state[DRIVE] == 1
        if running != self._running:
            self._running = running
            changed = True
            if running:
                self._begin()
            else:
                self._end()
        elif running:
            self._run(elapsed_ms)
        if self._in_session:
            self.session_ms += elapsed_ms
        if self._read(now_ms, awake) or changed or self._run_fault or self.underspeed.warning:
            self._conclude()
        self._was_awake = awake

    # ------------------------------------------------------------------ a run
    def _begin(self):
        self.run_ms = 0
        self._in_session = True
        self.underspeed.start()
        self.contact.start()
        self._restart_window()

    def _end(self):
        self._run_fault = faults.NONE
        self.stop_note = states.NOTE_NONE
        self.underspeed.start()

    def _run(self, elapsed_ms):
        state = self._state
        self.run_ms += elapsed_ms
        self.contact.without_ms += elapsed_ms
        self.underspeed.judge(self.run_ms, state[SET_MHZ], state[TARGET_MHZ], state[EDGE_US], state[TURN_US])
        if self.underspeed.fault:
            self._fail(faults.UNDERSPEED)
        if self._external and not self.allow_external_power:
            self._fail(faults.EXTERNAL_POWER)
        self._on_total += state[ON_COUNTS]
        self._on_count += 1
        self._driven_ms += elapsed_ms
        set_mhz = state[SET_MHZ]
        if set_mhz != state[TARGET_MHZ] or set_mhz != self._window_set or self.run_ms < _STARTING_MS:
            self.contact.restart()
            self._restart_window()
        elif state[TICKS] - self._window_ticks >= WINDOW_MS:
            self._window()
        if not self.stop_note:
            self.stop_note = self._note()

    def _fail(self, fault):
        if not self._run_fault:
            self._run_fault = fault

    def _note(self):
        if self.contact.without_ms >= LIMIT_MS:
            return states.NOTE_NO_CONTACT
        if self.run_ms >= _RUN_LIMIT_MS:
            return states.NOTE_RUN_TOO_LONG
        if self._session_left_ms() <= 0:
            return states.NOTE_SESSION_OVER
        return states.NOTE_NONE

    def _session_left_ms(self):
        return self.session_limit_ms - self.session_ms if self.session_limit_ms else _SESSION_WARN_MS + 1

    def _restart_window(self):
        self._window_from = self._state[I2_SUM]
        self._window_ticks = self._state[TICKS]
        self._window_set = self._state[SET_MHZ]

    def _window(self):
        state = self._state
        ticks = state[TICKS] - self._window_ticks
        seen_ma = root_ma((state[I2_SUM] - self._window_from) & 0x3FFFFFFF, ticks)
        if seen_ma < _LEAST_FREE_MA:
            self._fail(faults.CURRENT_SENSOR)  # it would hide heat, and skin
        self.contact.window(seen_ma, most_free_ma(state[SET_MHZ] / 1000, max(self.cell_mv, 1) / 1000))
        self._restart_window()

    # ------------------------------------------------------------------ inputs
    def _read(self, now_ms, awake):
        """Look at the inputs, if it is time; True then."""
        elapsed_ms = _CELL_MS if self._read_ms is None else self._elapsed_ms(now_ms, self._read_ms)
        if elapsed_ms < _READ_MS or (awake and not self._was_awake):  # the ring is not filled yet
            return False
        self._read_ms = now_ms
        self._inputs.read(awake)
        self._read_current(elapsed_ms)
        self._read_nose(elapsed_ms)
        self._read_cell(elapsed_ms)
        self._heat_ms += elapsed_ms
        if self._heat_ms >= _HEAT_MS or not self._nose_known:
            self._warm()
        return True

    def _read_current(self, elapsed_ms):
        inputs, channel = self._inputs, ADC_MOTOR_CURRENT_CHANNEL
        self._high_check.judge(inputs.least[channel], inputs.least[channel], elapsed_ms)
        if not self._running:
            mean = inputs.total[channel] // inputs.count
            self._rest_check.judge(mean, mean, elapsed_ms)

    def _read_nose(self, elapsed_ms):
        inputs, channel = self._inputs, ADC_NOSE_TEMPERATURE_CHANNEL
        if self._nose_check.judge(inputs.least[channel], inputs.most[channel], elapsed_ms):
            self._nose_total += inputs.total[channel]
            self._nose_count += inputs.count

    def _read_cell(self, elapsed_ms):
        inputs, channel = self._inputs, ADC_BATTERY_CHANNEL
        most = inputs.most[channel]
        if self._external:  # the charger lifts the supply above the cell
            most = min(most, ADC_BATTERY_VALID_MAX_RAW)
        if self._cell_check.judge(inputs.least[channel], most, elapsed_ms):
            self._cell_total += inputs.total[channel]
            self._cell_count += inputs.count
        self._cell_ms += elapsed_ms
        if self._cell_ms >= _CELL_MS and self._cell_count:
            self.cell_mv = analogue.cell_mv(analogue.mean_q4(self._cell_total, self._cell_count))
            self._cell_total = self._cell_count = self._cell_ms = 0
            self._cell_fine.judge(self.cell_mv)
            if not self._running:
                self._cell_starts.judge(self.cell_mv)
            elif self.cell_mv < 1000 * SR20_STOP_V:
                self._fail(faults.BATTERY_EMPTY)

    def _warm(self):
        elapsed_ms, self._heat_ms = self._heat_ms, 0
        if self._nose_count:
            self.nose_dc = analogue.nose_dc(analogue.mean_q4(self._nose_total, self._nose_count))
            self._nose_total = self._nose_count = 0
            self._nose_known = True
            self._nose_warm.judge(self.nose_dc)
            self._nose_hot.judge(self.nose_dc)
        state = self._state
        current_a2 = ((state[I2_SUM] - self._heat_from) & 0x3FFFFFFF) * 1024e-6 / elapsed_ms
        rate_hz = 0.0
        self._heat_from = state[I2_SUM]
        if self._on_count:
            share = self._driven_ms / elapsed_ms
            duty = self._on_total / self._on_count / PWM_N_PERIOD_CLOCKS
            current_a2 += share * ripple.heat_a2(duty, self.cell_mv / 1000)
            rate_hz = share * state[SET_MHZ] / 1000
            self._on_total = self._on_count = self._driven_ms = 0
        shown = not self._running and not self._nose_check.broken
        self.winding.step(elapsed_ms / 1000, current_a2, rate_hz, self.nose_dc / 10 if shown else None)
        self.winding_dc = round(10 * self.winding.winding_c)
        self._winding_warm.judge(self.winding_dc)
        self._winding_hot.judge(self.winding_dc)
        self._was_hot = self._was_hot and self.winding_dc >= 10 * SR19_WARN_C
        self._inputs.keep_heat(self.winding.heat)

    # ------------------------------------------------------------------ what follows
    def _conclude(self):
        warnings = 0 if self._cell_fine.on or not self.cell_mv else states.WARN_BATTERY_LOW
        if self._nose_warm.on:
            warnings |= states.WARN_NOSE_WARM
        if self._winding_warm.on:
            warnings |= states.WARN_WINDING_WARM
        if self.underspeed.warning:
            warnings |= states.WARN_UNDERSPEED
        left_ms = self._session_left_ms()
        if left_ms < _SESSION_WARN_MS:
            warnings |= states.WARN_SESSION_TIME
        self.warnings = warnings

        blockers = 0
        if not self.cell_mv or self._cell_check.broken:
            blockers |= states.BLOCK_BATTERY_SENSOR
        elif not self._cell_starts.on:
            blockers |= states.BLOCK_BATTERY_LOW
        if not self._nose_known or self._nose_check.broken or self._nose_hot.on:
            blockers |= states.BLOCK_NOSE_TEMPERATURE
        if self._winding_hot.on or self._was_hot:
            blockers |= states.BLOCK_WINDING_HOT
        if self._external and not self.allow_external_power:
            blockers |= states.BLOCK_EXTERNAL_POWER
        if left_ms <= 0:
            blockers |= states.BLOCK_SESSION_OVER
        self.blockers = blockers

        if self._run_fault:
            self.fault = self._run_fault
        elif self._nose_check.broken:
            self.fault = faults.NOSE_SENSOR
        elif self._cell_check.broken:
            self.fault = faults.BATTERY_SENSOR
        elif self._high_check.broken or self._rest_check.broken:
            self.fault = faults.CURRENT_SENSOR
        elif self._nose_hot.on:
            self.fault = faults.NOSE_HOT
        elif self._winding_hot.on:
            self.fault = faults.WINDING_HOT
        else:
            self.fault = faults.NONE
