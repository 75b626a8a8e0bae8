"""From readings to the curve that the pen gets: travel of the axis to needle protrusion, rising, piecewise linear.

The knots are the travels at which readings were taken. Their heights are the least-squares solution whose pieces keep
what the firmware asks of a calibration (`pen.store.calibration`): rising, and a slope between 50 and 200 %.

Two things of the axis shape the curve besides:

- Home is reached inward, every depth outward. On the first part of the way out the nut only takes up its play and the
  needles stay, so the curve begins flat and then bends. A straight first piece would be wrong by up to the play, where
  small depths are set. Where the second piece, drawn back to home, lies lower than home does, a knot is put at the
  bend, unless a reading between home and the second point speaks against it.
- The pen takes the travel of the last knot for its largest setting, so that one is moved along its piece to 2.50 mm.
  The firmware draws the last piece on beyond its end anyway: the curve stays what it is. A pen that goes out so far
  that it would lie beyond the hard stop, where no pen takes a point, gets a flatter end behind its last setting.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np

from needlepen.calibration.model import FitResult, Phase, Taken
from needlepen.calibration.tolerances import DEPTH_MAX_UM, HARD_STOP_UM, SETTINGS_UM
from needlepen.errors import Refused
from needlepen.firmware_modules import firmware_module

Sample = tuple[float, float]
"""(travel_um, true_um) of one reading."""
Points = Sequence[tuple[float, float]]

SLOPE_MIN, SLOPE_MAX = 0.5, 2.0
"""The firmware's own bounds; a test compares them with `pen.store.calibration`."""
_ROUNDING = 1.5
"""um by which a piece stays clear of the bounds, so that rounding its ends to whole um cannot break them."""
_LEAST = SLOPE_MIN + 0.02
"""The flattest piece that is put in, with room for rounding."""
_NARROW_UM = 20.0
"""No piece that is put in is narrower: rounding would turn it."""
_PLAY_MIN_UM = 8.0
"""Less play than that is not worth a knot: it is what the periodic error of a good screw does to a piece."""
_TURN_UM = 500.0
"""Travel for a turn of the screw: 20 full steps."""
_TAKEN_UP_UM = 250.0
"""From here on the play of any pen that can be calibrated is taken up."""
_FINE_SAMPLES = 12
"""Twice as many as the finer curve has terms."""
_HALL_SPAN_UM = 1000.0
"""A gain from readings over less than that would be noise."""


def fit(
    samples: Sequence[Sample],
    between: Sequence[Sample] = (),
    *,
    directions: Sequence[str] = (),
    hall: Sequence[Sample] = (),
    hall_uv_per_mm: int | None = None,
) -> FitResult:
    """The curve through readings, and how well they agree with it and with each other.

    Args:
        samples: (travel_um, true_um) of the readings that make the curve.
        between: the same of readings that only prove it: the as-found ones, between the knots.
        directions: "up" or "down" of each sample, for the reversal; without them it is 0.
        hall: (true_um, hall_um) of readings, for the gain of the hall sensor.
        hall_uv_per_mm: gain that the pen used then; None is a pen without calibration.

    Raises Refused if there are fewer than 3 travels, or if the axis did not move.
    """
    travel, groups = _groups(samples)
    means = np.array([fmean(group) for group in groups])
    counts = np.array([len(group) for group in groups], float)
    heights = _heights(travel, means, counts)
    points = _points(travel, heights, between)
    fine_errors, leftover_um = _fine(points, [*zip(travel, means, strict=True)], between)
    return FitResult(
        points_um=points,
        residual_um=residual_um(points, [*zip(travel, means, strict=True)]),
        between=[(round(at), round(float(um - curve_at(points, at)), 2)) for at, um in between],
        fine_errors_um=fine_errors,
        leftover_um=leftover_um,
        repeatability_um=repeatability_um(samples, directions),
        reversal_um=reversal_um(samples, directions),
        hall_uv_per_mm=hall_gain(hall, hall_uv_per_mm),
    )


def fit_taken(taken: Iterable[Taken], present: Any = None) -> FitResult:
    """`fit` of the readings of a calibration. `present`: the firmware's Calibration that the pen used, or None."""
    readings = list(taken)
    main = [t for t in readings if t.point.phase is Phase.CALIBRATION]
    found = [t for t in readings if t.point.phase is Phase.AS_FOUND]
    return fit(
        [(t.travel_um, t.value_um) for t in main],
        [(t.travel_um, t.value_um) for t in found],
        directions=[t.point.direction for t in main],
        hall=[(t.value_um, t.hall_um) for t in main],
        hall_uv_per_mm=None if present is None else present.hall_uv_per_mm,
    )


# ---------------------------------------------------------------- curve
def _groups(samples: Sequence[Sample]) -> tuple[np.ndarray, list[list[float]]]:
    """Travels that occur, rising, and the readings at each."""
    by_travel: dict[float, list[float]] = {}
    for travel_um, true_um in samples:
        by_travel.setdefault(travel_um, []).append(true_um)
    travel = sorted(by_travel)
    if len(travel) < 3:
        raise Refused(
            f"readings at {len(travel)} places of the axis are no curve: at least 3 are needed; see that the pen "
            "moves, and measure again"
        )
    return np.array(travel, float), [by_travel[um] for um in travel]


def _heights(travel: np.ndarray, means: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Heights of the knots: least squares over all readings, every piece within the slopes that a pen takes.

    Unknown are the height at the first knot and the rise of each piece, so the bounds are simple ones:
    scipy.optimize.lsq_linear. The weight of a mean is the root of its number of readings.
    """
    runs = np.diff(travel)
    margin = np.minimum(_ROUNDING, 0.1 * runs)
    low, high = SLOPE_MIN * runs + margin, SLOPE_MAX * runs - margin
    rises = np.diff(means)
    if np.all((rises >= low) & (rises <= high)):
        return means  # the knots may be where the means are: nothing is nearer to them
    from scipy.optimize import lsq_linear

    size = len(travel)
    weight = np.sqrt(counts)
    matrix = np.tril(np.ones((size, size))) * weight[:, None]
    bounds = (np.concatenate(([-np.inf], low)), np.concatenate(([np.inf], high)))
    found = lsq_linear(matrix, means * weight, bounds)
    return np.asarray(np.cumsum(found.x))


def _points(travel: np.ndarray, heights: np.ndarray, between: Sequence[Sample]) -> list[tuple[int, int]]:
    """The knots as the record holds them, in whole um, with the bend near home and the last one at 2.50 mm."""
    knots = [(float(t), float(h)) for t, h in zip(travel, heights, strict=True)]
    bend = _bend(knots)
    if bend:
        bent = [knots[0], bend, *knots[1:]]
        near = [sample for sample in between if 0 < sample[0] < knots[1][0]]
        if not near or residual_um(bent, near) < residual_um(knots, near):
            knots = bent
    return _rounded(_ended(knots))


def _rounded(knots: Sequence[Sample]) -> list[tuple[int, int]]:
    """In whole um; a short piece of the least or the greatest slope is kept within its bounds."""
    points = [(round(knots[0][0]), round(knots[0][1]))]
    for travel_um, true_um in knots[1:]:
        t0, h0 = points[-1]
        t1 = round(travel_um)
        low, high = math.ceil(SLOPE_MIN * (t1 - t0)), math.floor(SLOPE_MAX * (t1 - t0))
        points.append((t1, h0 + min(max(round(true_um) - h0, low), high)))
    return points


def _ended(knots: list[Sample]) -> list[Sample]:
    """The last knot at a travel of 2.50 mm, and not beyond the hard stop.

    A curve that would end beyond the stop is left where it meets the line that reaches the stop there by the least
    slope.
    """
    while len(knots) > 2 and knots[-2][0] >= DEPTH_MAX_UM:
        del knots[-1]
    (t1, h1), (t2, h2) = knots[-2:]
    ended = [*knots[:-1], (float(DEPTH_MAX_UM), h1 + (h2 - h1) / (t2 - t1) * (DEPTH_MAX_UM - t1))]
    if ended[-1][1] <= HARD_STOP_UM:
        return ended

    def room_um(knot: Sample) -> float:
        return HARD_STOP_UM - _LEAST * (DEPTH_MAX_UM - knot[0]) - knot[1]

    last = ended.pop()
    while len(ended) > 1 and room_um(ended[-1]) <= 0.0:
        last = ended.pop()
    first = ended[-1]
    share = room_um(first) / (room_um(first) - room_um(last))
    meets = first[0] + share * (last[0] - first[0]), first[1] + share * (last[1] - first[1])
    if first[0] + _NARROW_UM < meets[0] < DEPTH_MAX_UM - _NARROW_UM:
        ended.append(meets)
    return [*ended, (float(DEPTH_MAX_UM), float(HARD_STOP_UM))]


def _bend(knots: Sequence[Sample]) -> Sample | None:
    """Where the play has been taken up, or None: there the steepest curve meets the flattest that the pen takes.

    From home it rises by the least slope s of the firmware; the second piece, of slope m, drawn back to home lies
    lower by the play p. They meet at t = p / (m - s).
    """
    (t0, h0), (t1, h1), (t2, h2) = knots[:3]
    slope = (h2 - h1) / (t2 - t1)
    play_um = h0 - (h1 - slope * (t1 - t0))
    if t0 != 0 or play_um < _PLAY_MIN_UM or slope <= _LEAST + 0.1:
        return None
    at = math.ceil(play_um / (slope - _LEAST))
    if not _NARROW_UM <= at <= t1 - _NARROW_UM:
        return None
    return float(at), h0 + _LEAST * at + 0.5


def curve_at(points: Points, travel_um: float | np.ndarray) -> Any:
    """Protrusion in um at a travel, by the points of a calibration; the end pieces go on beyond their ends.

    Like the firmware's DepthMap but in fractions of a um, for numbers and arrays.
    """
    t, h = np.array(points, float).T
    at = np.asarray(travel_um, float)
    piece = np.clip(np.searchsorted(t, at, side="left"), 1, len(t) - 1)
    slope = (h[piece] - h[piece - 1]) / (t[piece] - t[piece - 1])
    found = h[piece - 1] + slope * (at - t[piece - 1])
    return float(found) if found.ndim == 0 else found


# ---------------------------------------------------------------- how good it is
def residual_um(points: Points, samples: Sequence[Sample]) -> float:
    """Largest distance of a reading, or a mean, from the curve."""
    travel, true_um = np.array(samples, float).T
    return float(np.max(np.abs(true_um - curve_at(points, travel))))


def repeatability_um(samples: Sequence[Sample], directions: Sequence[str] = ()) -> float:
    """Two pooled standard deviations of a reading about the mean of its point and direction.

    s^2 = sum of squares / degrees of freedom over all groups, ISO 5725-2:2019, 7.4.5. The difference between the
    directions is not in it: that is the reversal, which has its own limit. 0 if no point was measured twice.
    """
    squares, freedom = 0.0, 0
    for values in _by_point_and_direction(samples, directions).values():
        mean = math.fsum(values) / len(values)
        squares += math.fsum((value - mean) ** 2 for value in values)
        freedom += len(values) - 1
    return 2.0 * math.sqrt(squares / freedom) if freedom else 0.0


def reversal_um(samples: Sequence[Sample], directions: Sequence[str]) -> float:
    """Largest difference between the means of the runs down and up at a point (ISO 230-2: reversal value B)."""
    if not directions:
        return 0.0
    groups = _by_point_and_direction(samples, directions)
    both = {travel for travel, way in groups if way == "up" and (travel, "down") in groups}
    offs = [abs(fmean(groups[t, "down"]) - fmean(groups[t, "up"])) for t in both]
    return max(offs, default=0.0)


def _by_point_and_direction(
    samples: Sequence[Sample], directions: Sequence[str]
) -> Mapping[tuple[float, str], list[float]]:
    ways = directions or ["up"] * len(samples)
    groups: dict[tuple[float, str], list[float]] = {}
    for (travel_um, true_um), way in zip(samples, ways, strict=True):
        groups.setdefault((travel_um, way), []).append(true_um)
    return groups


def _fine(
    points: Points, means: Sequence[Sample], between: Sequence[Sample]
) -> tuple[list[tuple[int, float]], float]:
    """What the pen will do at each setting by a finer curve, and how far the as-found readings are from that.

    A screw that runs unevenly makes a wave with its turn. The points of the calibration are half a turn apart, so they
    may lie where the wave is zero, or all at its peaks. Together with the as-found readings, which lie at other phases,
    they give it: least squares of a cubic and a wave, over the readings at which the play is taken up for certain. Near
    home the needles stay where home left them until that curve comes farther out.
    """
    home_um = next((true_um for travel_um, true_um in means if travel_um == 0), -math.inf)
    known = [sample for sample in (*means, *between) if sample[0] >= _TAKEN_UP_UM]
    if len(known) < _FINE_SAMPLES:
        return [], 0.0
    travel, true_um = np.array(known, float).T
    wave = np.linalg.lstsq(_terms(travel), true_um, rcond=None)[0]

    def fine(travel_um: Any) -> np.ndarray:
        return np.maximum(_terms(np.asarray(travel_um, float)) @ wave, home_um)

    pen_map, step_um = depth_map(points), firmware_module("pen.board").DEPTH_STEP_UM
    settings = SETTINGS_UM[1:]
    found = fine([step_um * pen_map.steps(um) for um in settings])
    errors = [(0, round(home_um, 2))] if home_um > -math.inf else []
    errors += [(um, round(float(is_um) - um, 2)) for um, is_um in zip(settings, found, strict=True)]
    seen = [sample for sample in between if sample[0] > 0]
    if not seen:
        return errors, 0.0
    at, was_um = np.array(seen, float).T
    return errors, round(float(np.max(np.abs(fine(at) - was_um))), 2)


def _terms(travel_um: np.ndarray) -> np.ndarray:
    """A cubic and a wave of the screw's turn."""
    x = travel_um / DEPTH_MAX_UM
    turn_rad = 2.0 * math.pi * travel_um / _TURN_UM
    return np.stack([np.ones_like(x), x, x**2, x**3, np.sin(turn_rad), np.cos(turn_rad)], axis=1)


def predicted_errors(points: Points) -> list[tuple[int, int]]:
    """(setting, error) in um of all 51 settings of PR-05, as the curve foretells them.

    The firmware's own DepthMap turns the setting into full steps; the error is what rounding to them leaves. 0.00 mm
    is home itself.
    """
    step_um = firmware_module("pen.board").DEPTH_STEP_UM
    pen_map = depth_map(points)
    return [(um, pen_map.protrusion_um(step_um * pen_map.steps(um)) - um) for um in SETTINGS_UM]


def depth_map(points: Points | None, hall_uv_per_mm: int = 640_000) -> Any:
    """The firmware's DepthMap with these points; None is a pen without calibration."""
    depth, calibrations = firmware_module("pen.depth"), firmware_module("pen.store.calibration")
    return depth.DepthMap(None if points is None else calibrations.Calibration(points, hall_uv_per_mm, 0, 0))


# ---------------------------------------------------------------- hall sensor
def hall_gain(hall: Sequence[Sample], present_uv_per_mm: int | None) -> int:
    """Gain of the hall sensor in uV/mm, from (true_um, hall_um) of readings.

    The pen reports protrusion = home + change of voltage / present gain (`pen.depth_sensor`). The slope b of what it
    reports against what the gauge found, by least squares, is therefore gain / present gain: the gain is b times the
    present one. Without readings over at least 1 mm it stays what it was.
    """
    present = nominal_hall_uv_per_mm() if present_uv_per_mm is None else present_uv_per_mm
    if not hall:
        return present
    true_um, hall_um = np.array(hall, float).T
    if np.ptp(true_um) < _HALL_SPAN_UM:
        return present
    off = true_um - true_um.mean()
    return round(present * float(off @ hall_um / (off @ off)))


def nominal_hall_uv_per_mm() -> int:
    """The gain that a pen without a calibration assumes, in uV/mm."""
    board = firmware_module("pen.board")
    um_per_code = board.ADC_DEPTH_POSITION_UM_PER_LSB_Q16 / 65536
    return round(1000 * board.ADC_REFERENCE_UV / 4096 / um_per_code)
