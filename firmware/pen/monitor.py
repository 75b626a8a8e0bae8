"""Power, heat, rate and time of the pen: SR-07, SR-13, SR-18, SR-19, SR-20, SR-22 and the session. Pure.

How the App uses it:

    monitor = Monitor(control.state, Inputs(drive.sampling.ring_address), time.ticks_diff, counters' heat)
    monitor.poll(now_ms, drive.awake)    awake every 40 ms at least, at rest every 500 ms, each pass while `busy`

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

from pen import analogue, ripple
from pen.board import (
    ADC_BATTERY_CHANNEL,
    ADC_BATTERY_VALID_MAX_RAW,
    ADC_BATTERY_VALID_MIN_RAW,
    ADC_MOTOR_CURRENT_CHANNEL,
    ADC_MOTOR_CURRENT_VALID_MAX_RAW,
    ADC_NOSE_TEMPERATURE_CHANNEL,
    ADC_NOSE_TEMPERATURE_VALID_MAX_RAW,
    ADC_NOSE_TEMPERATURE_VALID_MIN_RAW,
)
from pen.faults import (
    BATTERY_EMPTY,
    BATTERY_SENSOR,
    CURRENT_SENSOR,
    EXTERNAL_POWER,
    NONE,
    NOSE_HOT,
    NOSE_SENSOR,
    WINDING_HOT,
)
from pen.limits import (
    SR18_STOP_C,
    SR18_WARN_C,
    SR19_STOP_C,
    SR19_WARN_C,
    SR20_START_V,
    SR20_STOP_V,
    SR20_WARN_V,
)
from pen.places import DRIVE, I2_SUM, SET_MHZ
from pen.run_watch import RunWatch
from pen.states import (
    BLOCK_BATTERY_LOW,
    BLOCK_BATTERY_SENSOR,
    BLOCK_EXTERNAL_POWER,
    BLOCK_NOSE_TEMPERATURE,
    BLOCK_SESSION_OVER,
    BLOCK_WINDING_HOT,
    NOTE_NONE,
    NOTE_SESSION_OVER,
    WARN_BATTERY_LOW,
    WARN_NOSE_WARM,
    WARN_SESSION_TIME,
    WARN_UNDERSPEED,
    WARN_WINDING_WARM,
)
from pen.thermal import Winding

_CELL_MS = const(100)
_HEAT_MS = const(250)
_READ_MS = const(35)  # the inputs are slow, and reading them takes 0.5 ms
_BROKEN_MS = const(500)  # SR-18 allows 1 s; at rest the inputs are read every 500 ms, and then again at once
_SATURATED_MS = const(150)
_NOSE_SPREAD = const(150)  # codes: noise is 15, the erratum 15
_CELL_SPREAD = const(250)  # PWM ripple on an aged cell is 100
_CURRENT_AT_REST = const(100)  # codes, 80 mA
_ANY_CODES = const(4096)
_CELL_HYSTERESIS_MV = const(20)
_SESSION_WARN_MS = const(300_000)


class Monitor:
    def __init__(self, state, inputs, elapsed_ms, heat=0):
        self.fault = NONE
        self.blockers = BLOCK_BATTERY_SENSOR | BLOCK_NOSE_TEMPERATURE  # until both were read
        self.warnings = 0
        self.busy = False
        self.stop_note = NOTE_NONE
        self.allow_external_power = False
        self.session_limit_ms = 0
        self.nose_dc = self.winding_dc = self.cell_mv = 0
        self.session_ms = 0
        self.winding = Winding(max(heat, inputs.kept_heat()))
        self._was_hot = self.winding.heat > 0  # perhaps: no start before it is known to be below the warning
        self._state = state
        self._inputs = inputs
        self._elapsed_ms = elapsed_ms
        self._running = False
        self._was_awake = False
        self._last_ms = None
        self._read_ms = None
        self._run = RunWatch(state)
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
        self._heat_ms = 0
        self._heat_from = state[I2_SUM]

    @property
    def heat(self):
        return self.winding.heat

    @property
    def run_ms(self):
        return self._run.run_ms

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
            self._run.begin()
            self.stop_note = NOTE_NONE
            self._in_session = self._in_session or running
        elif running:
            self._look(elapsed_ms)
        if self._in_session:
            self.session_ms += elapsed_ms
        if self._read(now_ms, awake) or changed or self._run.fault or self._run.warning:
            self._conclude()
        self._was_awake = awake
        self.busy = (
            self._run.dipping
            or self._nose_check.doubtful
            or self._cell_check.doubtful
            or self._rest_check.doubtful
        )

    def _look(self, elapsed_ms):
        run = self._run
        run.look(elapsed_ms, self.cell_mv)
        if self._external and not self.allow_external_power:
            run.fail(EXTERNAL_POWER)
        if not self.stop_note:
            self.stop_note = run.note() or (NOTE_SESSION_OVER if self._session_left_ms() <= 0 else 0)

    def _session_left_ms(self):
        return self.session_limit_ms - self.session_ms if self.session_limit_ms else _SESSION_WARN_MS + 1

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
                self._run.fail(BATTERY_EMPTY)

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
        self._heat_from = state[I2_SUM]
        duty, driven_ms = self._run.take_duty()
        share = driven_ms / elapsed_ms
        current_a2 += share * ripple.heat_a2(duty, self.cell_mv / 1000)
        rate_hz = share * state[SET_MHZ] / 1000
        shown = not self._running and not self._nose_check.broken
        self.winding.step(elapsed_ms / 1000, current_a2, rate_hz, self.nose_dc / 10 if shown else None)
        self.winding_dc = round(10 * self.winding.winding_c)
        self._winding_warm.judge(self.winding_dc)
        self._winding_hot.judge(self.winding_dc)
        self._was_hot = self._was_hot and self.winding_dc >= 10 * SR19_WARN_C
        self._inputs.keep_heat(self.winding.heat)

    # ------------------------------------------------------------------ what follows
    def _conclude(self):
        warnings = 0 if self._cell_fine.on or not self.cell_mv else WARN_BATTERY_LOW
        if self._nose_warm.on:
            warnings |= WARN_NOSE_WARM
        if self._winding_warm.on:
            warnings |= WARN_WINDING_WARM
        if self._run.warning:
            warnings |= WARN_UNDERSPEED
        left_ms = self._session_left_ms()
        if left_ms < _SESSION_WARN_MS:
            warnings |= WARN_SESSION_TIME
        self.warnings = warnings

        blockers = 0
        if not self.cell_mv or self._cell_check.broken:
            blockers |= BLOCK_BATTERY_SENSOR
        elif not self._cell_starts.on:
            blockers |= BLOCK_BATTERY_LOW
        if not self._nose_known or self._nose_check.broken or self._nose_hot.on:
            blockers |= BLOCK_NOSE_TEMPERATURE
        if self._winding_hot.on or self._was_hot:
            blockers |= BLOCK_WINDING_HOT
        if self._external and not self.allow_external_power:
            blockers |= BLOCK_EXTERNAL_POWER
        if left_ms <= 0:
            blockers |= BLOCK_SESSION_OVER
        self.blockers = blockers

        if self._run.fault:
            self.fault = self._run.fault
        elif self._nose_check.broken:
            self.fault = NOSE_SENSOR
        elif self._cell_check.broken:
            self.fault = BATTERY_SENSOR
        elif self._high_check.broken or self._rest_check.broken:
            self.fault = CURRENT_SENSOR
        elif self._nose_hot.on:
            self.fault = NOSE_HOT
        elif self._winding_hot.on:
            self.fault = WINDING_HOT
        else:
            self.fault = NONE
