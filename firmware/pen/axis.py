"""The depth axis: finds home, moves to a protrusion, holds it, and watches with the hall sensor that it stays there.

Each move is a schedule that DMA and PIO carry out; `poll` only starts it, follows it with the window that the control
tick keeps the sensor to, and judges the end. Every depth is reached outward, from the retracted side, so that the play
of the screw is always on the same side; 0.00 mm is where the home switch closes. The hall sensor never steers: it is
the independent second opinion (SR-02), with its zero taken at home and its gain from the calibration.
"""

import time

from machine import ADC
from micropython import const

from pen import axis_homing
from pen.axis_homing import Failed
from pen.axis_profile import FAST, SLOW, Schedule
from pen.board import (
    ADC_DEPTH_POSITION_CHANNEL,
    ADC_DEPTH_POSITION_OFFSET_UM,
    ADC_DEPTH_POSITION_UM_PER_LSB_Q16,
    ADC_DEPTH_POSITION_VALID_MAX_RAW,
    ADC_DEPTH_POSITION_VALID_MIN_RAW,
    DEPTH_BACKLASH_UM,
    DEPTH_STEP_UM,
)
from pen.depth import RUNAWAY_UM, DepthMap, Drift, Follower
from pen.faults import DEPTH_HOME, DEPTH_RUNAWAY, DEPTH_SENSOR, DEPTH_WALK, NONE
from pen.limits import SR02_TRIP_MS
from pen.places import DEPTH_BAD_MS, DEPTH_HIGH_SUM, DEPTH_LOW_SUM, DEPTH_SUM, TICKS
from pen.states import BLOCK_DEPTH_MOVING, BLOCK_DEPTH_NOT_HOMED, BLOCK_DEPTH_SENSOR, WARN_DEPTH_DRIFT
from pen.stepper import Stepper

_SAMPLES = const(8)
_LEAST_SUM = const(_SAMPLES * ADC_DEPTH_POSITION_VALID_MIN_RAW)
_MOST_SUM = const(_SAMPLES * ADC_DEPTH_POSITION_VALID_MAX_RAW)
_ANY_SUM = const(_SAMPLES * 4096)
_RING_TICKS = const(3)  # after waking until the ring holds new samples only

# In half steps.
_UNDER = const(2 * (DEPTH_BACKLASH_UM // DEPTH_STEP_UM + 2))  # overshoot behind a depth, then outward to it
_CREEP = const(4)  # the last of the way home
_BEYOND = const(16)  # how far behind home it is still looked for

_LOOK_AHEAD_US = const(5_000)  # half a pass of the main loop: the window follows the move in steps of a pass
_LIMIT_MS = const(SR02_TRIP_MS // 2)  # an error counts after 10 ms and has to stop the pen within 20 (SR-02)
_MAY_WAIT_MS = const(4)


class Axis:
    """Part of the app. `state`: the array of the control tick. Depths are um of needle protrusion.

    `target_um`: the depth that was asked for. `depth_um`: where the axis stands, `target_um` once it is there.
    `measured_um`: what the hall sensor says. `window_codes`: (lowest, highest) single code that is right at rest.
    `wants_drive`: the tick has to watch; the app wakes the drive.
    """

    def __init__(self, state):
        self.fault = NONE
        self.warnings = 0
        self.homed = False
        self.target_um = 0
        self.window_codes = (0, 4096)
        self.lost_steps = False  # home has to be found anew before the next move
        self.stepper = Stepper()
        self.schedule = Schedule()
        self.half = 0  # place of the rotor in half steps from home; meaningful once homed
        self.sum = -1  # of 8 codes of the sensor; -1 not known
        self._state = state
        self._adc = ADC(ADC_DEPTH_POSITION_CHANNEL)
        self._sequence = None  # generator of what is going on, one step for each poll
        self._unwatched = False  # it must not wait for the drive: the needles have to come in
        self._slow = False
        self.goal = 0
        self._zero_sum = 0
        self._outside_ms = None  # since when the sensor has been outside its window, at rest
        self._polled_ms = time.ticks_ms()
        self._drift = Drift()
        self._follower = Follower()
        self.map = DepthMap()
        self.let_sensor_be(True)

    # ---------------------------------------------------------------- what the app asks
    def set_calibration(self, calibration):
        """Take `points` and `hall_uv_per_mm` of a calibration, or None. Home has to be found anew: call `home`."""
        self.map = DepthMap(calibration)
        self.homed = False

    def home(self):
        """Find home, take the sensor's zero there; clears a fault of the axis. Then at 0.00 mm."""
        self._begin(axis_homing.find(self), False)
        self.fault = NONE

    def move_to(self, depth_um, slow=False):
        """Go to a depth that `depth.refusal` has let pass; returns None or why not. `slow`: the motor runs (SR-23).

        A move under way is finished first.
        """
        if not self.homed:
            return "the depth axis has not found home"
        if depth_um > self.map.cap_um or depth_um < 0 or (slow and depth_um > self.target_um):
            return "depth not allowed"
        self.target_um = depth_um
        self.goal = 2 * self.map.steps(depth_um)
        self._slow = slow
        if self._sequence is None:
            self._begin(self._moving(), False)
        return None

    def retract(self):
        """Stop what is going on and bring the needles in at once, by the home switch alone; after a fault."""
        sequence = axis_homing.retract(self)
        self._begin(sequence, True)
        next(sequence)

    def stop(self):
        """Stop at once, wherever that is; home has to be found anew."""
        self._sequence = None
        self.abort()

    def close(self):
        """Coils off (end of the program in a development build)."""
        self._sequence = None
        self.stepper.close()

    @property
    def moving(self):
        """True while anything is going on, homing and retraction too."""
        return self._sequence is not None

    @property
    def busy(self):
        return self._sequence is not None or self._outside_ms is not None

    @property
    def wants_drive(self):
        return self._sequence is not None and not self._unwatched

    @property
    def retracted(self):
        """True while the axis stands at 0.00 mm and the home switch says so too."""
        return self._sequence is None and self.half == 0 and self.stepper.at_home

    @property
    def blockers(self):
        mask = 0 if self.homed else BLOCK_DEPTH_NOT_HOMED
        if self._sequence is not None:
            mask |= BLOCK_DEPTH_MOVING
        return mask if self.sensor_sound else mask | BLOCK_DEPTH_SENSOR

    @property
    def depth_um(self):
        if self._sequence is None and self.half == self.goal:
            return self.target_um
        return self.protrusion_um(self._place())

    @property
    def measured_um(self):
        return self.um_of(self.sum) if self.homed else self.nominal_um

    def window_fault(self):
        """Which fault it is that the sensor has left its window: the sensor's, if it cannot be the axis."""
        if not self.sensor_sound:
            return DEPTH_SENSOR
        set_um = self.protrusion_um(self._place())
        stood_still = (
            self._follower.stood_still(self.measured_um) and self._follower.moved(set_um) >= RUNAWAY_UM
        )
        stayed_at_home = set_um > RUNAWAY_UM and self.stepper.at_home
        return DEPTH_SENSOR if stood_still and not stayed_at_home else DEPTH_RUNAWAY

    # ---------------------------------------------------------------- numbers
    @property
    def sensor_sound(self):
        """False when the last reading lay outside what the sensor can give (SR-04)."""
        return self.sum < 0 or _LEAST_SUM <= self.sum <= _MOST_SUM

    @property
    def nominal_um(self):
        """What a sensor without tolerances would mean with the last reading."""
        return (self.sum // _SAMPLES * ADC_DEPTH_POSITION_UM_PER_LSB_Q16 >> 16) + ADC_DEPTH_POSITION_OFFSET_UM

    def um_of(self, total):
        return self.map.home_um + self.map.um_off(total - self._zero_sum)

    def protrusion_um(self, half):
        return self.map.protrusion_um(half * DEPTH_STEP_UM // 2)

    def _place(self):
        """Where the coils hold the rotor now, in half steps."""
        if self.stepper.running:
            return self.schedule.half_at(self.stepper.executed())
        return self.half

    # ---------------------------------------------------------------- one pass
    def poll(self, now_ms, awake):
        elapsed_ms = time.ticks_diff(now_ms, self._polled_ms)
        self._polled_ms = now_ms
        self._read(awake)
        if self._sequence is not None and (self._unwatched or (awake and self.sum >= 0)):
            try:
                next(self._sequence)
            except StopIteration:
                self._sequence = None
            except Failed as failed:
                self.fail(failed.args[0])
        if self.homed:
            self._watch_place(elapsed_ms)
        if not self.fault:
            self._watch_window(now_ms, awake)

    def _read(self, awake):
        if not awake:
            total = 0
            for _ in range(_SAMPLES):
                total += self._adc.read_u16() >> 4
            self.sum = total
        elif self._state[TICKS] > _RING_TICKS:
            self.sum = self._state[DEPTH_SUM]
        else:
            self.sum = -1

    def _watch_place(self, elapsed_ms):
        """Keep the window around where the axis is and goes, and the sensor's mean near it."""
        if self.stepper.running:
            executed = self.schedule.ahead(self.stepper.executed(), _LOOK_AHEAD_US)
            self._keep_between(*self.schedule.span(executed))
            if self.sum >= 0 and self._follower.stuck(self.protrusion_um(self._place()), self.measured_um):
                self.fail(self.window_fault())
        elif self._sequence is None and self.sum >= 0:
            drift = self._drift
            drift.take(self.measured_um - self.protrusion_um(self.half), elapsed_ms)
            self.warnings = WARN_DEPTH_DRIFT if drift.warns else 0
            if drift.stops:
                self.fail(DEPTH_WALK)

    def _keep_between(self, low_half, high_half):
        off = self.map.tolerance_um
        low = self._zero_sum + self.map.sum_off(self.protrusion_um(low_half) - off - self.map.home_um)
        high = self._zero_sum + self.map.sum_off(self.protrusion_um(high_half) + off - self.map.home_um)
        self._set_window(max(low, _LEAST_SUM), min(high, _MOST_SUM))

    def _set_window(self, low, high):
        self._state[DEPTH_LOW_SUM] = low
        self._state[DEPTH_HIGH_SUM] = high
        self.window_codes = (low // _SAMPLES, high // _SAMPLES)

    def let_sensor_be(self, sound):
        """No place to compare with: any reading is right, or (`sound`) any that a sound sensor can give."""
        if sound:
            self._set_window(_LEAST_SUM, _MOST_SUM)
        else:
            self._set_window(0, _ANY_SUM)

    def _watch_window(self, now_ms, awake):
        """The tick counts how long the sensor is outside; this is what follows when it did not stop a motor."""
        state = self._state
        if awake:
            self._outside_ms = None
            until_ms = time.ticks_add(now_ms, _MAY_WAIT_MS)
            # The next pass comes after 10 ms and would be too late (SR-02), so wait for the few that are left.
            while _LIMIT_MS - _MAY_WAIT_MS < state[DEPTH_BAD_MS] <= _LIMIT_MS:
                if time.ticks_diff(until_ms, time.ticks_ms()) < 0:
                    break
            if state[DEPTH_BAD_MS] > _LIMIT_MS:
                self._read(True)
                self.fail(self.window_fault())
            return
        if self._inside():
            self._outside_ms = None
        elif self._outside_ms is None:
            self._outside_ms = now_ms
        else:
            left_ms = _LIMIT_MS - time.ticks_diff(now_ms, self._outside_ms)
            if left_ms <= _MAY_WAIT_MS:
                time.sleep_ms(max(0, left_ms))
                self._read(False)
                if not self._inside():
                    self.fail(self.window_fault())

    def _inside(self):
        return self._state[DEPTH_LOW_SUM] <= self.sum <= self._state[DEPTH_HIGH_SUM]

    # ---------------------------------------------------------------- moves
    def _begin(self, sequence, unwatched):
        self._sequence = sequence
        self._unwatched = unwatched
        self._drift.forget()
        self.warnings = 0

    def fail(self, fault):
        """Stop where it is; the app answers with `retract`."""
        if not self.fault:
            self.fault = fault
        self.stop()

    def abort(self):
        """End the move under way in the pattern that the coils have."""
        if self.stepper.running:
            self.half = self.schedule.half_at(self.stepper.stop())
            self.homed = False
        self._outside_ms = None

    def go(self, until_home=False):
        """Carry out the schedule; the rotor has settled at its end."""
        self.stepper.run(self.schedule, until_home)
        while not self.stepper.finished:
            yield
        self.half = self.schedule.half_at(self.stepper.stop())

    def at_home_now(self):
        """Call at the place where the home switch has closed: the next resting place inward becomes 0."""
        if self.half & 1:
            self.schedule.begin(self.half)
            self.schedule.creep_to(self.half - 1)
            yield from self.go()
        self.half = 0

    def take_zero(self, zero_sum):
        """The sensor's reading at home, which has just been found."""
        self._zero_sum = zero_sum
        self.homed = True
        self.lost_steps = False
        self.target_um = self.goal = 0
        self._rest()

    def _rest(self):
        self._keep_between(self.half, self.half)
        self._follower.begin(self.protrusion_um(self.half), self.measured_um)

    def _moving(self):
        self._follower.begin(self.protrusion_um(self.half), self.measured_um)
        while self.half != self.goal:
            if self.lost_steps and not self._slow:
                depth_um, goal = self.target_um, self.goal
                yield from axis_homing.find(self)
                self.target_um, self.goal = depth_um, goal
                self._follower.begin(self.protrusion_um(0), self.measured_um)
                continue
            yield from self._stretch(self.goal)
        yield
        self._rest()
        if abs(self.measured_um - self.protrusion_um(self.half)) > self.map.tolerance_um // 2:
            self.lost_steps = True

    def _stretch(self, goal):
        """Towards a place in one schedule: outward at once, inward past it and back, or home."""
        schedule = self.schedule
        times = SLOW if self._slow else FAST
        schedule.begin(self.half)
        if goal > self.half:
            schedule.to(goal, times)
        elif goal >= _UNDER:
            schedule.to(goal - _UNDER, times)
            schedule.to(goal, times)
        else:
            yield from self._go_home(times)
            return
        yield from self.go()

    def _go_home(self, times):
        if self.half <= _UNDER:  # within the play the switch may still be closed
            self.schedule.creep_to(0)
            yield from self.go()
            self.lost_steps = not self.stepper.at_home
            return
        self.schedule.to(_CREEP, times)
        self.schedule.creep_to(-_BEYOND)
        yield from self.go(True)
        found = self.half
        if not self.stepper.at_home or (found > _CREEP and self.nominal_um > axis_homing.NEAR_HOME_UM):
            raise Failed(DEPTH_HOME)  # no switch, or one that closes far out where the sensor does not agree
        yield from self.at_home_now()
        self.lost_steps = not 0 <= found <= 1
