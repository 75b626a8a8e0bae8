"""The depth axis: finds home, moves to a protrusion, holds it, and watches with the hall sensor that it stays there.

Each move is a schedule that DMA and PIO carry out; `poll` only starts it, follows it with the window that the control
tick keeps the sensor to, and judges the end. Every depth is reached outward, from the retracted side, so that the play
of the screw is always on the same side; 0.00 mm is where the home switch closes.
"""

import time

from micropython import const

from pen import axis_homing
from pen.axis_homing import Failed
from pen.axis_profile import FAST, SLOW, Schedule
from pen.board import DEPTH_BACKLASH_UM, DEPTH_STEP_UM
from pen.depth import DepthMap
from pen.depth_sensor import DepthSensor
from pen.faults import DEPTH_HOME, DEPTH_WALK, NONE
from pen.limits import PR06_DRIFT_MM
from pen.states import BLOCK_DEPTH_MOVING, BLOCK_DEPTH_NOT_HOMED, BLOCK_DEPTH_SENSOR, WARN_DEPTH_DRIFT
from pen.stepper import Stepper

# In half steps.
_UNDER = const(2 * (DEPTH_BACKLASH_UM // DEPTH_STEP_UM + 2))  # overshoot behind a depth, then outward to it
_CREEP = const(4)  # the last of the way home
_BEYOND = const(16)  # how far behind home it is still looked for

_WALKED_UM = round(500 * PR06_DRIFT_MM)

# The window follows a move in steps of a pass, so it looks ahead by most of one; slowly it can for longer, and a motor
# may be running then, which does not wait for a pass that comes late.
_LOOK_AHEAD_US = const(8_000)
_LOOK_AHEAD_SLOW_US = const(25_000)


class Axis:
    """Part of the app. `state`: the array of the control tick. Depths are um of needle protrusion.

    `target_um`: the depth that was asked for. `depth_um`: where the axis stands, `target_um` once it is there.
    `measured_um`: what the hall sensor says. `window_codes`: (lowest, highest) single code that needs no pass at rest.
    `wants_drive`: the tick has to watch; the app wakes the drive. `lost_steps`: the next move finds home anew first.
    """

    def __init__(self, state):
        self.fault = NONE
        self.warnings = 0
        self.homed = False
        self.lost_steps = False
        self.target_um = 0
        self.sensor = DepthSensor(state)
        self.stepper = Stepper()
        self.schedule = Schedule()
        self.half = 0  # place of the rotor in half steps from home; meaningful once homed
        self.goal = 0  # where it has to go
        self._stands_um = 0  # protrusion at `half`, while at rest
        self._rested_um = 0  # what the sensor said when it came to rest there
        self._begun = False  # a schedule was started in this pass
        self._sequence = None  # generator of what is going on, one step for each poll
        self._unwatched = False  # it must not wait for the drive: the needles have to come in
        self._slow = False
        self._polled_ms = time.ticks_ms()

    # ---------------------------------------------------------------- what the app asks
    def set_calibration(self, calibration):
        """Take `points` and `hall_uv_per_mm` of a calibration, or None. Home has to be found anew: call `home`."""
        self.sensor.map = DepthMap(calibration)
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
        if depth_um > self.sensor.map.cap_um or depth_um < 0 or (slow and depth_um > self.target_um):
            return "depth not allowed"
        self.target_um = depth_um
        self.goal = 2 * self.sensor.map.steps(depth_um)
        self._slow = slow
        if self._sequence is None:
            self._begin(self._moving(), False)
        return None

    def set_anew(self):
        """After a run: where vibration has moved the carriage within the play of the screw, come to the depth anew."""
        if self.homed and not self.moving and abs(self.sensor.um - self._rested_um) > _WALKED_UM:
            self._begin(self._again(), False)

    def _again(self):
        yield from self._stretch(0)
        yield from self._moving()

    def retract(self):
        """Stop what is going on and bring the needles in at once, by the home switch alone; after a fault."""
        self._begin(axis_homing.retract(self), True)
        self._step()

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
        return self._sequence is not None

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
        return mask if self.sensor.sound else mask | BLOCK_DEPTH_SENSOR

    @property
    def depth_um(self):
        if self._sequence is None and self.half == self.goal:
            return self.target_um
        return self._protrusion_um(self._place())

    @property
    def measured_um(self):
        return self.sensor.um if self.homed else self.sensor.nominal_um

    @property
    def window_codes(self):
        return self.sensor.window_codes

    def stopped_fault(self):
        """Which fault it is that the tick has stopped the motor for: the sensor has left its window."""
        self.sensor.read(True)
        return self._window_fault()

    def _window_fault(self):
        return self.sensor.fault(self._protrusion_um(self._place()), self.stepper.at_home)

    def _protrusion_um(self, half):
        return self.sensor.map.protrusion_um(half * DEPTH_STEP_UM // 2)

    def _place(self):
        """Where the coils hold the rotor now, in half steps."""
        if self.stepper.running:
            return self.schedule.half_at(self.stepper.executed())
        return self.half

    # ---------------------------------------------------------------- one pass
    def poll(self, now_ms, awake):
        elapsed_ms = time.ticks_diff(now_ms, self._polled_ms)
        self._polled_ms = now_ms
        sensor = self.sensor
        executed = self.stepper.executed()  # before the reading: a collection of garbage may come after it
        self._begun = False
        sensor.read(awake)
        if self._sequence is not None and (self._unwatched or (awake and sensor.known)):
            self._step()
        if self.homed and sensor.known:
            if self.stepper.running:
                self._follow(0 if self._begun else executed)
            elif self._sequence is None:
                self._judge_drift(elapsed_ms)
        if not self.fault and (sensor.left_window(now_ms, awake) or sensor.raves):
            self.fail(self._window_fault())

    def _step(self):
        """The next step of what is going on."""
        sequence = self._sequence
        if sequence is None:
            return
        try:
            next(sequence)
        except StopIteration:
            self._sequence = None
        except Failed as failed:
            self.fail(failed.args[0])

    def _follow(self, executed):
        """Keep the window around where the axis is and where it goes (SR-02), and see that the sensor goes with it.

        `executed`: words of the schedule when the sensor was read.
        """
        us = _LOOK_AHEAD_SLOW_US if self._slow else _LOOK_AHEAD_US
        low, high = self.schedule.span(self.schedule.ahead(executed, us))
        sensor = self.sensor
        sensor.allow(self._protrusion_um(low), self._protrusion_um(high))
        if sensor.follower.stuck(self._protrusion_um(self.schedule.half_at(executed)), sensor.um):
            self.fail(self._window_fault())

    def _judge_drift(self, elapsed_ms):
        drift = self.sensor.drift
        drift.take(self.sensor.um - self._stands_um, elapsed_ms)
        self.warnings = WARN_DEPTH_DRIFT if drift.warns else 0
        if drift.stops:
            self.fail(DEPTH_WALK)

    # ---------------------------------------------------------------- moves
    def _begin(self, sequence, unwatched):
        self._sequence = sequence
        self._unwatched = unwatched
        self.sensor.drift.forget()
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

    def go(self, until_home=False):
        """Carry out the schedule; the rotor has settled at its end."""
        self.stepper.run(self.schedule, until_home)
        self._begun = True
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

    def found_home(self, zero_sum):
        """Home is found; `zero_sum` is the sensor's reading there."""
        self.sensor.zero_sum = zero_sum
        self.homed = True
        self.lost_steps = False
        self.target_um = self.goal = 0
        self._rest()

    def _rest(self):
        """The axis stands: from now on the sensor has to stay where it is."""
        um = self._stands_um = self._protrusion_um(self.half)
        self.sensor.allow(um, um)
        self._rested_um = self.sensor.um
        self.sensor.follower.begin(um, self._rested_um)

    def _moving(self):
        self.sensor.follower.begin(self._protrusion_um(self.half), self.sensor.um)
        while self.half != self.goal:
            if self.lost_steps and not self._slow:
                depth_um, goal = self.target_um, self.goal
                yield from axis_homing.find(self)
                self.target_um, self.goal = depth_um, goal
            else:
                yield from self._stretch(self.goal)
        yield
        self._rest()
        if abs(self.sensor.um - self._stands_um) > self.sensor.map.tolerance_um // 2:
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
        if not self.stepper.at_home or (found > _CREEP and self.sensor.nominal_um > axis_homing.NEAR_HOME_UM):
            raise Failed(DEPTH_HOME)  # no switch, or one that closes far out where the sensor does not agree
        yield from self.at_home_now()
        self.lost_steps = not 0 <= found <= 1
