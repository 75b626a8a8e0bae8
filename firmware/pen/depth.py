"""Needle protrusion as numbers: what may be set, which step gives it, what the hall sensor says. Pure.

All lengths are um of needle protrusion, or um of axis travel from home where the name says `travel`.
"""

from micropython import const

from pen.board import (
    ADC_DEPTH_POSITION_UM_PER_LSB_Q16,
    ADC_REFERENCE_UV,
    DEPTH_STEP_UM,
    PROTRUSION_MAX_UM,
)
from pen.limits import PR05_DEPTH_STEP_MM, SR02_ERROR_MM, SR03_ERROR_MM, SR03_STOP_S, SR03_WARN_S

DEPTH_GRID_UM = round(1000 * PR05_DEPTH_STEP_MM)
RUNAWAY_UM = round(1000 * SR02_ERROR_MM)

_WALK_UM = round(1000 * SR03_ERROR_MM)
_BIN_MS = const(96)
_BINS = const(1000 * SR03_WARN_S // _BIN_MS - 1)  # full ones; with the one being filled never more than 1 s
_WALK_STOP_MS = const(500 * SR03_STOP_S)  # from the warning, which itself takes up to 1 s

_FOLLOW_UM = const(250)  # a move that has to show (SR-04)
_FOLLOWED_UM = const(
    100
)  # and by how much at least: less than play, lag and the sensor's tolerance leave of it
_STILL_UM = const(50)

_SUM_SAMPLES = const(8)
_CODES = const(4096)
_NOMINAL_GAIN_OFF_UM = const(100)  # at the ends of travel, until a calibration has measured the sensor's gain


def mm_text(um):
    """0.05 for 50."""
    return "%s%d.%02d" % ("-" if um < 0 else "", abs(um) // 1000, abs(um) % 1000 // 10)


def refusal(depth_um, running, present_um, caps):
    """None, or why a depth may not be set now (SR-01, SR-23).

    `caps`: (name, um) of everything that limits the depth besides the pen itself: cartridge, profile, calibrated range.
    `present_um`: the depth that is set now.
    """
    name, cap_um = "pen", PROTRUSION_MAX_UM
    for other, um in caps:
        if um < cap_um:
            name, cap_um = other, um
    if depth_um < 0:
        return "depth below 0.00 mm"
    if depth_um > cap_um:
        return "%s mm is above the %s limit %s mm" % (mm_text(depth_um), name, mm_text(cap_um))
    if depth_um % DEPTH_GRID_UM:
        return "depth not a multiple of %s mm" % mm_text(DEPTH_GRID_UM)
    if running and depth_um > present_um:
        return "no deeper setting while running"
    return None


class DepthMap:
    """Protrusion for axis travel and back, through the points of a calibration; without one, travel is protrusion.

    `home_um`: protrusion at home. `cap_um`: the largest setting that was calibrated, by its travel or its
    protrusion. `tolerance_um`: how far the measured protrusion may be off. `um_per_sum_q16`: protrusion for one LSB of
    the sum of 8 codes.
    """

    def __init__(self, calibration=None):
        if calibration is None:
            self._points = ((0, 0), (PROTRUSION_MAX_UM, PROTRUSION_MAX_UM))
            self.um_per_sum_q16 = ADC_DEPTH_POSITION_UM_PER_LSB_Q16 // _SUM_SAMPLES
            self.tolerance_um = RUNAWAY_UM + _NOMINAL_GAIN_OFF_UM
        else:
            self._points = calibration.points
            um_per_code = 1000 * ADC_REFERENCE_UV / _CODES / calibration.hall_uv_per_mm
            self.um_per_sum_q16 = round(um_per_code * 65536 / _SUM_SAMPLES)
            self.tolerance_um = RUNAWAY_UM
        last_um = max(self._points[-1])
        self.cap_um = min((last_um + DEPTH_GRID_UM // 2) // DEPTH_GRID_UM * DEPTH_GRID_UM, PROTRUSION_MAX_UM)
        self.home_um = self.protrusion_um(0)

    def _along(self, value, at, to):
        """Piecewise linear from column `at` to column `to` of the points; the end pieces go on beyond their ends."""
        points = self._points
        i = 1
        while i < len(points) - 1 and value > points[i][at]:
            i += 1
        low, high = points[i - 1], points[i]
        run = high[at] - low[at]
        return low[to] + ((value - low[at]) * (high[to] - low[to]) + run // 2) // run

    def protrusion_um(self, travel_um):
        """Protrusion at a travel of the axis, reached outward."""
        return self._along(travel_um, 0, 1)

    def travel_um(self, protrusion_um):
        """Travel that gives a protrusion."""
        return self._along(protrusion_um, 1, 0)

    def steps(self, depth_um):
        """Full steps from home whose protrusion is nearest to a setting; 0.00 mm is home itself."""
        if depth_um <= 0:
            return 0
        return max(0, (self.travel_um(depth_um) + DEPTH_STEP_UM // 2) // DEPTH_STEP_UM)

    def sum_off(self, um):
        """Change of the sum of 8 codes for a change of the protrusion."""
        return (um << 16) // self.um_per_sum_q16

    def um_off(self, sum_change):
        """Change of the protrusion for a change of the sum of 8 codes."""
        return sum_change * self.um_per_sum_q16 >> 16


class Drift:
    """Mean of the depth error over the last second (SR-03): `warns` when it is too large, `stops` when it stays so.

    Kept in bins, so that a slow main loop and a fast one give the same mean; judged at the end of each bin.
    """

    def __init__(self):
        self._sums = [0] * (_BINS + 1)
        self._counts = [0] * (_BINS + 1)
        self.forget()

    def forget(self):
        """Begin anew: the axis has moved."""
        self.warns = self.stops = False
        self.mean_um = 0
        self._age_ms = 0
        self._warned_ms = 0
        for i in range(_BINS + 1):
            self._sums[i] = self._counts[i] = 0

    def take(self, error_um, elapsed_ms):
        """An error, `elapsed_ms` after the one before."""
        before = self._age_ms // _BIN_MS
        self._age_ms += elapsed_ms
        now = self._age_ms // _BIN_MS
        for number in range(max(before + 1, now - _BINS), now + 1):
            self._sums[number % (_BINS + 1)] = self._counts[number % (_BINS + 1)] = 0
        place = now % (_BINS + 1)
        self._sums[place] += error_um
        self._counts[place] += 1
        if now == before or now < _BINS:
            return
        self.mean_um = sum(self._sums) // sum(self._counts)
        if abs(self.mean_um) <= _WALK_UM:
            self.warns = self.stops = False
        elif not self.warns:
            self.warns = True
            self._warned_ms = self._age_ms
        elif self._age_ms - self._warned_ms >= _WALK_STOP_MS:
            self.stops = True


class Follower:
    """Whether the sensor follows the axis: every 0.25 mm of travel has to show (SR-04)."""

    def __init__(self):
        self.begin(0, 0)

    def begin(self, set_um, measured_um):
        """Where both stand now."""
        self._set_um = set_um
        self._measured_um = measured_um

    def moved(self, set_um):
        """How far the axis has been moved since the sensor was last seen to follow."""
        return abs(set_um - self._set_um)

    def stood_still(self, measured_um):
        """Whether the sensor has hardly moved since then."""
        return abs(measured_um - self._measured_um) < _STILL_UM

    def stuck(self, set_um, measured_um):
        """True when the axis has moved 0.25 mm and the sensor has not."""
        if self.moved(set_um) < _FOLLOW_UM:
            return False
        if abs(measured_um - self._measured_um) < _FOLLOWED_UM:
            return True
        self.begin(set_um, measured_um)
        return False
