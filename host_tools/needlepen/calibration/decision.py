"""Accept or refuse: every criterion with its value, its limit and, where it failed, what that means.

The rule is simple acceptance inside a guard band as wide as the expanded uncertainty: a reading counts as within the
tolerance T only if |error| <= T - U (JCGM 106:2012, 8.3.2, guarded acceptance; ILAC-G8:09/2019, 4.2.2, w = U). For one
reading with a normal error that leaves a risk below 2.5 % at the limit itself and far less beyond it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from needlepen.calibration import fit as curve, tolerances as limits, uncertainty
from needlepen.calibration.model import Budget, Check, Decision, FitResult, Phase, Taken
from needlepen.errors import Refused
from needlepen.firmware_modules import firmware_module

AS_FOUND_MIN = 6
"""With so many of them there is one at each of five phases of a turn of the screw, and one at home."""


def accept_um(budget: Budget) -> float:
    """Largest error in um that is accepted: the tolerance less the guard band U."""
    return limits.TOLERANCE_UM - budget.expanded


def rule(budget: Budget) -> str:
    """The decision rule in words, for the certificate."""
    return (
        f"Simple acceptance with a guard band (ILAC-G8:09/2019, 4.2.2; JCGM 106:2012, 8.3.2): the pen is accepted if "
        f"every error lies within the tolerance of ±{limits.TOLERANCE_UM / 1e3:.2f} mm reduced on both sides by the "
        f"expanded uncertainty U = {budget.expanded / 1e3:.3f} mm (k = {budget.coverage_factor:.2g}), that is within "
        f"±{accept_um(budget) / 1e3:.3f} mm, and every other criterion is met."
    )


def decide(
    fit: FitResult,
    budget: Budget,
    verification: Sequence[Taken],
    drift_um: float,
    *,
    as_found: Sequence[Taken],
    points: int = 5,
) -> Decision:
    """Judge a calibration. All lengths in um.

    Args:
        fit: the curve and its residual, repeatability and reversal.
        budget: of one reading of the verification.
        verification: the readings taken with the new curve; `points` settings, each VERIFY_REPEATS times (CR-01).
        drift_um: the drift check's reading less the mean of the calibration at that setting; see `drift_um`.
        as_found: the readings of AS_FOUND: without them nothing is known between the points of the curve.
    """
    checks = [
        *_readings(verification, points * limits.VERIFY_REPEATS, as_found),
        *_errors(fit, verification, accept_um(budget), drift_um),
        _at_least(
            "test uncertainty ratio", "CR-02", uncertainty.tur(limits.TOLERANCE_UM, budget), limits.TUR_MIN,
            "The gauge is too coarse for this tolerance. Use a better one.",
        ),
        *_mechanics(fit, drift_um),
        _record(fit),
    ]  # fmt: skip
    return Decision(accepted=all(check.passed for check in checks), checks=checks, rule=rule(budget))


def _readings(verification: Sequence[Taken], wanted: int, as_found: Sequence[Taken]) -> list[Check]:
    return [
        _at_least(
            "as-found readings", "CR-01", len(as_found), AS_FOUND_MIN,
            "Too little was measured before the calibration to know the pen between its points; measure it as found.",
        ),
        _at_least(
            "verification readings", "CR-01", len(verification), wanted,
            "Readings of the verification are missing; take all of them.",
        ),
    ]  # fmt: skip


def _errors(fit: FitResult, verification: Sequence[Taken], accept: float, drift_um: float) -> list[Check]:
    """What is judged with the guard band: errors measured, foreseen, and between the points.

    0.00 mm is home itself, which no curve can move and no verification measures: what the pen drifted since the runs
    is counted on top there.
    """
    checks = []
    if verification:
        worst = max(verification, key=lambda t: abs(t.error_um))
        checks.append(
            _at_most(
                "largest error of the verification",
                "CR-02",
                abs(worst.error_um),
                accept,
                f"At {_mm(worst.point.set_um)} the pen gave {_mm(worst.value_um, 3)}: too far off to be sure that it "
                "keeps its tolerance. Repeat the calibration; if it fails again, the axis needs repair.",
            )
        )  # fmt: skip
    errors: list[tuple[int, float]] = [*curve.predicted_errors(fit.points_um)]
    errors += [(at, um + drift_um) for at, um in errors if at == 0]
    at, foreseen = max(errors, key=lambda each: abs(each[1]))
    place = (
        "the home switch is not where it should be, or the axis moved since"
        if at == 0
        else "the axis cannot come nearer"
    )
    checks += [
        _at_most(
            "largest error foreseen at any setting", "PR-06", abs(foreseen), accept,
            f"At {_mm(at)} the pen will be off by {_mm(abs(foreseen), 3)}: {place}. The axis needs adjustment.",
        ),
        _at_most(
            "largest error between the points", "PR-06", between(fit), accept,
            f"Between the calibration points the needles are up to {_mm(fit.between_um, 3)} off the curve: the screw "
            "runs unevenly or has too much play, or a reading is wrong. Repeat; if it fails again, the axis needs "
            "repair.",
        ),
    ]  # fmt: skip
    return checks


def _mechanics(fit: FitResult, drift_um: float) -> list[Check]:
    return [
        _at_most(
            "fit residual", "CR-02", fit.residual_um, limits.RESIDUAL_UM,
            "No curve that a pen takes goes through the readings: it is too flat or too steep somewhere, as with too "
            "much play near home, or a reading is wrong. Repeat; if it fails again, the axis needs repair.",
        ),
        _at_most(
            "repeatability (2 s)", "PR-06", fit.repeatability_um, limits.REPEATABILITY_UM,
            "The same setting gives different depths. See that cartridge and gauge sit firmly and repeat; if it fails "
            "again, the axis needs repair.",
        ),
        _at_most(
            "reversal", "PR-06", fit.reversal_um, limits.REVERSAL_UM,
            "The depth depends on the direction that one comes from: the play of the screw is too large. The axis "
            "needs repair.",
        ),
        _at_most(
            "drift", "PR-06", abs(drift_um), limits.DRIFT_UM,
            "The depth moved during the calibration. Let pen and gauge reach the temperature of the room, see that "
            "nothing is loose, and repeat.",
        ),
    ]  # fmt: skip


def between(fit: FitResult) -> float:
    """Largest error in um to be reckoned with at a setting between the points of the calibration.

    It is the largest that the finer curve foretells, with the wave of the screw, and what the as-found readings are off
    that curve on top: see `fit.FitResult`. Without a finer curve it is the largest error foreseen, with what the
    as-found readings are off the curve of the pen.
    """
    if not fit.fine_errors_um:
        return max(abs(um) for _, um in curve.predicted_errors(fit.points_um)[1:]) + fit.between_um
    return max(abs(um) for set_um, um in fit.fine_errors_um if set_um) + fit.leftover_um


def within_as_found(as_found: Sequence[Taken], budget: Budget) -> Decision:
    """Whether the pen, as it came, is inside the guard band at every as-found setting: its old record may stay then.

    Raises Refused without as-found readings.
    """
    if not as_found:
        raise Refused(
            "no as-found reading: nobody can say whether the old calibration is right; measure it first"
        )
    worst = max(as_found, key=lambda t: abs(t.error_um))
    check = _at_most(
        "largest error as found", "CR-02", abs(worst.error_um), accept_um(budget),
        f"As it came, the pen gave {_mm(worst.value_um, 3)} at {_mm(worst.point.set_um)}: treatments since the last "
        "calibration may have been that far off.",
    )  # fmt: skip
    return Decision(accepted=check.passed, checks=[check], rule=rule(budget))


def drift_um(taken: Sequence[Taken]) -> float:
    """The drift of a calibration: error of the DRIFT reading, less that of the means of its setting before.

    The readings before were taken with the old map, so what is compared is the distance from the new curve's
    foreseen value: the same steps give the same depth. Needs at least one reading of CALIBRATION; raises Refused if
    there is no DRIFT reading.
    """
    late = [t for t in taken if t.point.phase is Phase.DRIFT]
    before = [t for t in taken if t.point.phase is Phase.CALIBRATION]
    if not late or not before:
        raise Refused("the reading of the drift check is missing; take it")
    fitted = curve.fit_taken(taken).points_um
    return max((t.value_um - curve.curve_at(fitted, t.travel_um) for t in late), key=abs)


def _record(fit: FitResult) -> Check:
    """Whether a pen takes such a record at all, by the firmware's own check."""
    calibrations = firmware_module("pen.store.calibration")
    reason = calibrations.Calibration(fit.points_um, fit.hall_uv_per_mm, 0, 0).check()
    text = firmware_module("pen.store.reason_texts").text(reason) if reason else ""
    return _at_most(
        "record refused by the pen", "PR-06", float(bool(reason)), 0.0,
        f"No pen can have such a curve or hall sensor ({text}). Cartridge, gauge or axis is not what it should be.",
        unit="",
    )  # fmt: skip


def _at_most(name: str, requirement: str, value: float, limit: float, reason: str, unit: str = "um") -> Check:
    return _check(name, requirement, value, limit, "<=", unit, reason)


def _at_least(name: str, requirement: str, value: float, limit: float, reason: str, unit: str = "") -> Check:
    return _check(name, requirement, value, limit, ">=", unit, reason)


def _check(
    name: str,
    requirement: str,
    value: float,
    limit: float,
    relation: Literal["<=", ">="],
    unit: str,
    reason: str,
) -> Check:
    passed = value <= limit if relation == "<=" else value >= limit
    return Check(
        name=name, requirement=requirement, value=value, limit=limit, relation=relation, unit=unit, passed=passed,
        reason="" if passed else reason,
    )  # fmt: skip


def _mm(um: float, digits: int = 2) -> str:
    return f"{um / 1e3:.{digits}f} mm"
