"""How the depth axis finds home, and how it brings the needles in after a fault. Each is a generator: one step a poll.

Home is found by the switch alone, inward, slowly enough for the rotor to settle in each place; the place where the
switch closes is a different one of each pen, and the same one each time.
"""

from micropython import const

from pen.axis_profile import LONGEST_LEG, SAFE
from pen.board import DEPTH_STEP_UM
from pen.faults import DEPTH_HOME, DEPTH_SENSOR

NEAR_HOME_UM = const(350)  # a sensor without calibration may say so much at home
_ZERO_OFF_UM = const(300)  # and a sound one so much

# In half steps.
_SWEEP = 2 * LONGEST_LEG
_BACK_OFF = const(24)  # 0.30 mm: the sensor has to follow (SR-04)
_CREEP = const(8)
_BEYOND = const(16)
_FOLLOWED_UM = const(_BACK_OFF * DEPTH_STEP_UM // 2 * 6 // 10)  # play and tolerance may take the rest
_AT_HOME = const(2)  # where a sound switch closes
_ZERO_SUMS = const(4)


class Failed(Exception):
    """A sequence of the axis cannot go on; its argument is the fault."""


def _to_rest(schedule, stepper, half):
    """Begin a schedule with what brings the rotor to an even place, from `half` or, after sleep, from anywhere.

    A rotor that happens to stand two steps from the place feels no force: coming from the pattern of the next step,
    it stands so with one of the two at most.
    """
    if stepper.asleep:
        stepper.wake()
        schedule.begin(half + 3)
        half &= ~1
    else:
        schedule.begin(half)
    schedule.creep_to(half & ~1)


def find(axis):
    """Home from anywhere: inward until the switch closes, out by 0.3 mm, slowly in again; then the sensor's zero."""
    schedule, stepper = axis.schedule, axis.stepper
    axis.abort()
    axis.homed = False
    axis.sensor.allow_sound()
    _to_rest(schedule, stepper, axis.half)
    yield from axis.go()
    schedule.begin(axis.half)
    schedule.to(axis.half - _SWEEP, SAFE)
    yield from axis.go(True)
    if not stepper.at_home or axis.sensor.nominal_um > NEAR_HOME_UM:
        raise Failed(DEPTH_HOME)
    yield from axis.at_home_now()
    yield
    before_um = axis.sensor.nominal_um
    schedule.begin(0)
    schedule.to(_BACK_OFF, SAFE)
    yield from axis.go()
    yield
    if stepper.at_home:
        raise Failed(DEPTH_HOME)
    if axis.sensor.nominal_um - before_um < _FOLLOWED_UM:
        raise Failed(DEPTH_SENSOR)

    schedule.begin(_BACK_OFF)
    schedule.to(_CREEP, SAFE)
    schedule.creep_to(-_BEYOND)
    yield from axis.go(True)
    if not stepper.at_home:
        raise Failed(DEPTH_HOME)
    yield from axis.at_home_now()
    yield
    if not -_ZERO_OFF_UM <= axis.sensor.nominal_um <= _ZERO_OFF_UM:
        raise Failed(DEPTH_SENSOR)
    total = 0
    for _ in range(_ZERO_SUMS):
        total += axis.sensor.sum
        yield
    axis.found_home(total // _ZERO_SUMS)


def retract(axis):
    """Needles in, whatever else is broken: until the switch closes, and on if it cannot be right.

    If steps were lost and the switch was right after all, the rest ends at the rear stop, which does no harm.
    """
    axis.abort()
    axis.sensor.allow_any()
    axis.target_um = axis.goal = 0
    yield from _inward(axis, _SWEEP, True)
    if axis.stepper.at_home:
        if axis.fault == DEPTH_HOME or (axis.sensor.sound and axis.sensor.nominal_um > NEAR_HOME_UM):
            yield from _inward(axis, _SWEEP, False)
        elif axis.half > _AT_HOME:
            yield from _inward(axis, axis.half, False)
    yield from axis.at_home_now()


def _inward(axis, half_steps, until_home):
    schedule = axis.schedule
    axis.homed = False
    _to_rest(schedule, axis.stepper, axis.half)
    schedule.to(schedule.end_half - (half_steps & ~1), SAFE)
    yield from axis.go(until_home)
