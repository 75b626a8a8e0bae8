"""Whether a reading can be right: rules by name, looked at as soon as the reading is there.

Each rule says for a technician what it saw, why it matters and what to do. `stop` cannot be kept, `doubt` is repeated
or kept knowingly, `note` is for information. A rule compares readings of one phase only: the pen's map is the same
then.

    range      -0.60 to 2.75 mm: the nose lets no needle further out, and no calibration starts deeper inside
    zero       on the flat plate |reading| <= 5 um
    unit       from 0.25 mm on: more than 0.25 mm off, but within 0.10 mm once multiplied or divided by 25.4
    sign       the same, once its sign is turned
    stuck      the axis went 0.10 mm or more and the reading changed by less than a fifth of it
    monotony   farther out by 0.10 mm or more of travel and yet not a larger reading
    outlier    modified z-score 0.6745 |x - median| / MAD > 3.5 among the readings of its point (Iglewicz and Hoaglin,
               How to Detect and Handle Outliers, ASQC 1993; NIST/SEMATECH e-Handbook 1.3.5.17), where MAD is at least
               0.6745 times the gauge's own standard deviation: a quiet gauge shall raise no alarm
    reversal   down and up differ at a point by more than 0.05 mm (PR-06)
    repeatability  two standard deviations of its point and direction above 0.03 mm (PR-06), from 3 readings on
    hall       gauge and the pen's hall sensor tell of moves that differ by more than 60 um plus 10 % of the move
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from needlepen.calibration import tolerances as limits
from needlepen.calibration.model import Finding, GaugeIdentity, Phase, Taken
from needlepen.calibration.plan import ZERO_LIMIT_UM

INCH = 25.4
OUTLIER_SCORE = 3.5
NORMAL_MAD = 0.6745
"""MAD of a normal distribution by its standard deviation."""
OUTLIER_READINGS = 4
"""With fewer at a point, a median says nothing of the newest."""
LOWEST_UM, HIGHEST_UM = -600.0, 2750.0
FAR_OFF_UM = 250.0
"""No pen that can be calibrated is farther from its setting, so something else is wrong."""
NEAR_UM = 100.0
STUCK_SHARE = 0.2
HALL_OFF_UM, HALL_OFF_SHARE = 60.0, 0.1
"""Sensor before its calibration: 4 % of gain, 10 um of bow, noise and the play near home."""
REPEATABILITY_READINGS = 3

Severity = Literal["note", "doubt", "stop"]
Rule = Callable[[Sequence[Taken], Taken, GaugeIdentity], Iterator[Finding]]


def look_at(
    taken_so_far: Sequence[Taken], newest: Taken, gauge: GaugeIdentity | None = None
) -> list[Finding]:
    """What the rules say of the newest reading, given those that count so far (without it), in their order.

    If a rule stops the reading, the doubts that follow from the same mistake are left out.
    """
    which = gauge or GaugeIdentity(kind="manual")
    before = [t for t in taken_so_far if t.point.phase is newest.point.phase]
    findings: list[Finding] = []
    for rule in _RULES:
        findings += rule(before, newest, which)
        if any(finding.severity == "stop" for finding in findings):
            break
    return findings


# ---------------------------------------------------------------- a reading by itself
def _zero(_before: Sequence[Taken], newest: Taken, _gauge: GaugeIdentity) -> Iterator[Finding]:
    if newest.point.phase is Phase.ZERO and abs(newest.value_um) > ZERO_LIMIT_UM:
        yield _finding(
            "zero", "stop", newest,
            f"The gauge shows {_mm(newest.value_um)} on the flat plate, and at most {_mm(ZERO_LIMIT_UM)} is allowed: "
            "all depths would be off by that. Clean tip and plate, set the gauge to zero there and read again.",
        )  # fmt: skip


def _unit(_before: Sequence[Taken], newest: Taken, _gauge: GaugeIdentity) -> Iterator[Finding]:
    set_um, value = newest.point.set_um, newest.value_um
    if set_um < FAR_OFF_UM or abs(value - set_um) <= FAR_OFF_UM:
        return
    for factor, what in ((INCH, "inches"), (1 / INCH, "mm although it says inches")):
        if abs(value * factor - set_um) <= NEAR_UM:
            yield _finding(
                "unit", "stop", newest,
                f"The reading is {_mm(value)} where {_mm(set_um)} is set, a factor of 25.4: the gauge seems to show "
                f"{what}. Set its unit to mm and read again.",
            )  # fmt: skip
            return
    if abs(value + set_um) <= NEAR_UM:
        yield _finding(
            "sign", "stop", newest,
            f"The reading is {_mm(value)} where {_mm(set_um)} is set: the gauge counts the wrong way round. Turn its "
            "counting direction and read again.",
        )  # fmt: skip


def _range(_before: Sequence[Taken], newest: Taken, _gauge: GaugeIdentity) -> Iterator[Finding]:
    if not LOWEST_UM <= newest.value_um <= HIGHEST_UM:
        yield _finding(
            "range", "stop", newest,
            f"The reading {_mm(newest.value_um)} cannot be a depth of this pen ({_mm(LOWEST_UM)} to "
            f"{_mm(HIGHEST_UM)}). See that the gauge stands on the needles' plate and was set to zero, and read again.",
        )  # fmt: skip


# ---------------------------------------------------------------- against the reading before
def _stuck(before: Sequence[Taken], newest: Taken, _gauge: GaugeIdentity) -> Iterator[Finding]:
    if not before:
        return
    last = before[-1]
    went = abs(newest.travel_um - last.travel_um)
    if went < limits.STEADY_SPAN_UM or abs(newest.value_um - last.value_um) >= STUCK_SHARE * went:
        return
    if abs(newest.hall_um - last.hall_um) >= 0.5 * went:
        yield _finding(
            "stuck gauge", "stop", newest,
            f"The pen went {_mm(went)} and its own sensor followed, but the gauge still shows {_mm(newest.value_um)}. "
            "See that the gauge is not on HOLD, its spindle moves freely and touches the needles, and read again.",
        )  # fmt: skip
    else:
        yield _finding(
            "axis", "doubt", newest,
            f"The pen was told to go {_mm(went)}, but neither gauge nor the pen's own sensor saw it move. Set the "
            "depth once more; if it stays so, the depth axis is blocked or has too much play.",
        )  # fmt: skip


def _hall(before: Sequence[Taken], newest: Taken, _gauge: GaugeIdentity) -> Iterator[Finding]:
    if not before or newest.point.phase is Phase.ZERO:
        return
    last = before[-1]
    by_gauge, by_pen = newest.value_um - last.value_um, newest.hall_um - last.hall_um
    if abs(by_gauge - by_pen) > HALL_OFF_UM + HALL_OFF_SHARE * abs(by_pen):
        yield _finding(
            "hall sensor", "doubt", newest,
            f"Since the reading before, the gauge moved by {_mm(by_gauge)} and the pen's own sensor by {_mm(by_pen)}. "
            "One of them slipped: see that pen, cartridge and gauge sit firmly, and read again.",
        )  # fmt: skip


# ---------------------------------------------------------------- against the readings of its phase
def _monotony(before: Sequence[Taken], newest: Taken, _gauge: GaugeIdentity) -> Iterator[Finding]:
    for other in before:
        went = newest.travel_um - other.travel_um
        rose = newest.value_um - other.value_um
        if abs(went) >= limits.STEADY_SPAN_UM and went * rose <= 0:
            yield _finding(
                "monotony", "doubt", newest,
                f"The axis is {'farther out' if went > 0 else 'farther in'} than at {_mm(other.point.set_um)}, but "
                f"{_mm(newest.value_um)} is {'not more' if went > 0 else 'not less'} than the {_mm(other.value_um)} "
                "read there. One of the two is wrong: read again.",
            )  # fmt: skip
            return


def _outlier(before: Sequence[Taken], newest: Taken, gauge: GaugeIdentity) -> Iterator[Finding]:
    values = [t.value_um for t in before if _same_place(t, newest)] + [newest.value_um]
    if len(values) < OUTLIER_READINGS:
        return
    score = modified_z_score(values, gauge.repeatability_um)
    if score > OUTLIER_SCORE:
        yield _finding(
            "outlier", "doubt", newest,
            f"The reading {_mm(newest.value_um)} is far from the others at {_mm(newest.point.set_um)}, whose median is "
            f"{_mm(statistics.median(values))} (score {score:.1f}, from {OUTLIER_SCORE} on it counts as an outlier). "
            "See that nothing was touched, and read again.",
        )  # fmt: skip


def modified_z_score(values: Sequence[float], least_deviation: float) -> float:
    """Of the last of `values`: 0.6745 |x - median| / MAD (Iglewicz and Hoaglin 1993).

    MAD, the median of the distances from the median, is at least what a normal scatter of `least_deviation` has.
    """
    middle = statistics.median(values)
    mad = statistics.median(abs(value - middle) for value in values)
    return NORMAL_MAD * abs(values[-1] - middle) / max(mad, NORMAL_MAD * least_deviation, 1e-9)


def _reversal(before: Sequence[Taken], newest: Taken, _gauge: GaugeIdentity) -> Iterator[Finding]:
    other = [
        t.value_um for t in before if _same_place(t, newest) and t.point.direction != newest.point.direction
    ]
    if not other:
        return
    own = [
        t.value_um for t in before if _same_place(t, newest) and t.point.direction == newest.point.direction
    ]
    off = statistics.fmean([*own, newest.value_um]) - statistics.fmean(other)
    if abs(off) > limits.REVERSAL_UM:
        yield _finding(
            "reversal", "doubt", newest,
            f"At {_mm(newest.point.set_um)} the runs up and down differ by {_mm(abs(off))}; at most "
            f"{_mm(limits.REVERSAL_UM)} is allowed. Either the screw has too much play or something slipped: read "
            "again.",
        )  # fmt: skip


def _repeatability(before: Sequence[Taken], newest: Taken, _gauge: GaugeIdentity) -> Iterator[Finding]:
    values = [
        t.value_um
        for t in [*before, newest]
        if _same_place(t, newest) and t.point.direction == newest.point.direction
    ]
    if len(values) < REPEATABILITY_READINGS:
        return
    two_s = 2.0 * statistics.stdev(values)
    if two_s > limits.REPEATABILITY_UM:
        yield _finding(
            "repeatability", "note", newest,
            f"The readings at {_mm(newest.point.set_um)} scatter by {_mm(two_s)} (two standard deviations); more than "
            f"{_mm(limits.REPEATABILITY_UM)} over all points, and the pen is refused. See that nothing is loose.",
        )  # fmt: skip


_RULES: tuple[Rule, ...] = (
    _zero, _unit, _range, _stuck, _hall, _monotony, _outlier, _reversal, _repeatability,
)  # fmt: skip


def _same_place(one: Taken, other: Taken) -> bool:
    return one.point.set_um == other.point.set_um and one.travel_um == other.travel_um


def _finding(rule: str, severity: Severity, taken: Taken, text: str) -> Finding:
    return Finding(rule=rule, severity=severity, text=text, point=taken.point.number)


def _mm(um: float) -> str:
    return f"{um / 1e3:.3f} mm"
