"""The results of a calibration as blocks of its certificate."""

from __future__ import annotations

from statistics import fmean

from needlepen.calibration import fit
from needlepen.calibration.certificate.blocks import Block, Facts, Figure, Mark, Table, Text
from needlepen.calibration.certificate.words import MINUS, judged, mm, number, uncertainty
from needlepen.calibration.decision import accept_um
from needlepen.calibration.model import Budget, Calibration, Check, Phase, Taken
from needlepen.calibration.tolerances import TOLERANCE_UM


def of_phase(made: Calibration, phase: Phase) -> list[Taken]:
    """The readings of a phase."""
    return [taken for taken in made.taken if taken.point.phase is phase]


def as_found(made: Calibration) -> list[Block]:
    """What the pen gave before anything was changed."""
    readings = of_phase(made, Phase.AS_FOUND)
    if not readings:
        return [Text("No reading was taken before the pen was changed.", "note")]
    worst = max(readings, key=lambda taken: abs(taken.error_um))
    verdict, mark = judged(worst.error_um, made.budget)
    told = {
        "within": f"within the acceptance limits of ±{mm(accept_um(made.budget))} mm.",
        "in guard band": "in the guard band: treatments since the last calibration may have been out of tolerance.",
        "outside": "outside the tolerance: judge the treatments since the last calibration.",
    }
    rows, marks = [], []
    for taken in readings:
        text, its_mark = judged(taken.error_um, made.budget)
        rows.append((mm(taken.point.set_um, 2), taken.reading.raw.strip(), mm(taken.value_um),
                     mm(taken.error_um, sign=True), mm(made.budget.expanded), text))  # fmt: skip
        marks.append(its_mark)
    headers = ("setting mm", "reading as it came", "protrusion mm", "error mm", "U mm", "judged")
    return [
        Text(
            f"Largest error {mm(worst.error_um, sign=True)} mm at {mm(worst.point.set_um, 2)} mm: {told[verdict]}",
            mark,
        ),
        Table(headers, rows, "rrrrrr", (16, 34, 20, 18, 14, 22), marks),
    ]


def measured(made: Calibration) -> list[Block]:
    """The runs up and down, and the curve that was fitted to them."""
    groups: dict[int, list[Taken]] = {}
    for taken in of_phase(made, Phase.CALIBRATION):
        groups.setdefault(taken.point.set_um, []).append(taken)
    headers = (
        "setting mm",
        "travel mm",
        "readings",
        "mean up mm",
        "mean down mm",
        "reversal mm",
        "2 s mm",
        "curve mm",
    )
    rows = [_measured_row(made, set_um, group) for set_um, group in sorted(groups.items())]
    points = made.fit.points_um
    curve = Table(
        ("", *(str(place) for place in range(1, len(points) + 1))),
        [("travel mm", *(mm(travel, 3) for travel, _ in points)),
         ("protrusion mm", *(mm(true, 3) for _, true in points))],
        "l" + "r" * len(points),
        (22, *(13 for _ in points)),
    )  # fmt: skip
    drift = of_phase(made, Phase.DRIFT)
    again = ", ".join(
        f"{mm(taken.point.set_um, 2)} mm: {mm(taken.error_um, sign=True)} mm" for taken in drift
    )
    return [
        Table(headers, rows, "rrrrrrrr", (15, 15, 13, 17, 17, 16, 14, 15)),
        Text(
            "The curve from travel of the axis to protrusion, monotone and piecewise linear, given to the pen:"
        ),
        curve,
        Facts(
            [
                ("Fit residual", f"{mm(made.fit.residual_um)} mm"),
                ("Between the points", f"{mm(made.fit.between_um)} mm"),
                ("Repeatability (2 s)", f"{mm(made.fit.repeatability_um)} mm"),
                ("Reversal", f"{mm(made.fit.reversal_um)} mm"),
                ("Drift reading, error", again or "not taken"),
                ("Hall sensor", f"{made.fit.hall_uv_per_mm / 1000:.1f} mV/mm"),
            ]
        ),
    ]


def _measured_row(made: Calibration, set_um: int, group: list[Taken]) -> tuple[str, ...]:
    up = [taken.value_um for taken in group if taken.point.direction == "up"]
    down = [taken.value_um for taken in group if taken.point.direction == "down"]
    samples = [(float(taken.travel_um), taken.value_um) for taken in group]
    scatter = fit.repeatability_um(samples, [taken.point.direction for taken in group])
    reversal = mm(fmean(down) - fmean(up), sign=True) if up and down else MINUS
    curve = float(fit.curve_at(made.fit.points_um, group[0].travel_um))
    return (
        mm(set_um, 2), mm(group[0].travel_um, 3), str(len(group)), mm(fmean(up)) if up else MINUS,
        mm(fmean(down)) if down else MINUS, reversal, mm(scatter), mm(curve),
    )  # fmt: skip


def as_left(made: Calibration) -> list[Block]:
    """The fresh verification with the new curve."""
    groups: dict[int, list[Taken]] = {}
    for taken in of_phase(made, Phase.VERIFICATION):
        groups.setdefault(taken.point.set_um, []).append(taken)
    runs = max((len(group) for group in groups.values()), default=0)
    rows, marks = [], []
    for set_um, group in sorted(groups.items()):
        group.sort(key=lambda taken: taken.point.number)
        worst = max((taken.error_um for taken in group), key=abs)
        text, mark = judged(worst, made.budget)
        found = [mm(taken.value_um) for taken in group]
        rows.append((mm(set_um, 2), *found, *[""] * (runs - len(found)),
                     mm(fmean(taken.error_um for taken in group), sign=True), mm(worst, sign=True),
                     mm(made.budget.expanded), text))  # fmt: skip
        marks.append(mark)
    directions = [taken.point.direction for taken in next(iter(groups.values()), [])]
    headers = ("setting mm", *(f"run {place} {way} mm" for place, way in enumerate(directions, 1)),
               "mean error mm", "worst error mm", "U mm", "judged")  # fmt: skip
    return [
        Table(headers, rows, "r" + "r" * runs + "rrrr", (15, *[17] * runs, 20, 20, 13, 22), marks),
        Text(uncertainty(made.budget)),
    ]


def plot(made: Calibration) -> list[Block]:
    """Error against depth."""
    return [
        Figure(
            "error",
            "Error of the needle protrusion against the set depth, as found and as left, runs up and down; limits "
            f"±{mm(TOLERANCE_UM, 2)} mm and, shaded, the guard band beyond ±{mm(accept_um(made.budget))} mm.",
        )
    ]


def checks(made: Calibration) -> list[Block]:
    """Every criterion of the decision, the reasons of those that failed, and the rule."""
    rows = [_check_row(check) for check in made.decision.checks]
    marks: list[Mark] = ["pass" if check.passed else "fail" for check in made.decision.checks]
    headers = ("criterion", "requirement", "value", "limit", "result")
    reasons: list[Block] = [
        Text(f"{check.name}: {check.reason}", "fail") for check in made.decision.checks if not check.passed
    ]
    return [Table(headers, rows, "llrrr", (52, 22, 22, 24, 16), marks), *reasons, Text(made.decision.rule)]


def _check_row(check: Check) -> tuple[str, ...]:
    sign = "≤" if check.relation == "<=" else "≥"
    limit = f"{sign} {number(check.limit, check.unit)}"
    result = "passed" if check.passed else "failed"
    return check.name, check.requirement, number(check.value, check.unit), limit, result


def budget(result: Budget) -> list[Block]:
    """The uncertainty budget, line by line."""
    unit = "µm" if result.unit == "um" else result.unit
    names = (
        "contribution",
        "source",
        "distribution",
        f"value {unit}",
        "divisor",
        "sensitivity",
        "ν",
        f"u {unit}",
    )
    rows: list[tuple[str, ...]] = [
        (line.name, line.source, line.distribution, f"{line.value:.2f}", f"{line.divisor:.3f}",
         f"{line.sensitivity:g}", _freedom(line.degrees_of_freedom), f"{line.u:.2f}")
        for line in result.contributions
    ]  # fmt: skip
    effective = _freedom(result.effective_dof)
    rows.append(("combined standard uncertainty", "root of the sum of squares", "normal", "", "", "", effective,
                 f"{result.combined:.2f}"))  # fmt: skip
    rows.append(("expanded uncertainty U", f"k = {result.coverage_factor:g}", "", "", "", "", "",
                 f"{result.expanded:.2f}"))  # fmt: skip
    return [Table(names, rows, "lllrrrrr", (36, 48, 18, 14, 13, 16, 9, 11), total_rows=2)]


def _freedom(value: float | None) -> str:
    return "∞" if value is None or value > 9999 else f"{value:.0f}"
