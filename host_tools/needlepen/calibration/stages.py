"""What a technician does at each point, why, and which picture shows it."""

from __future__ import annotations

from dataclasses import dataclass

from needlepen.calibration.model import Phase, Point

DECISION, FINISHED = "decision", "finished"


@dataclass(frozen=True)
class Stage:
    """What to do now. `picture`: key of the picture of the set-up; `done` of `total` points have their reading.

    `point` is None when no reading is wanted: then `name` is "decision" or "finished".
    """

    name: str
    title: str
    instruction: str
    why: str
    picture: str
    point: Point | None
    done: int
    total: int


@dataclass(frozen=True)
class _Text:
    title: str
    instruction: str
    why: str
    picture: str


_TEXTS = {
    Phase.ZERO: _Text(
        "Zero the gauge",
        "Set the gauge on the flat plate without the pen, press its zero key, and take the reading.",
        "Every later reading counts from here. An error of the zero would be in all of them.",
        "gauge_on_plate",
    ),
    Phase.AS_FOUND: _Text(
        "As found",
        "Set the pen's nose on the gauge, straight and without pressing, and take the reading at {set_mm:.2f} mm.",
        "This is how the pen has been treating until today. Nothing was changed yet; the certificate says it.",
        "pen_on_gauge",
    ),
    Phase.CALIBRATION: _Text(
        "Calibration, run {run} {direction}",
        "Leave the pen on the gauge, and take the reading at {set_mm:.2f} mm.",
        "Runs up and down take turns: together they show the true curve, the scatter, and the play of the screw.",
        "pen_on_gauge",
    ),
    Phase.VERIFICATION: _Text(
        "Verification, run {run} {direction}",
        "Leave the pen on the gauge, and take the reading at {set_mm:.2f} mm.",
        "The pen tries its new curve, at depths that the curve was not made from. The decision rests on these.",
        "pen_on_gauge",
    ),
    Phase.DRIFT: _Text(
        "Drift",
        "Leave the pen on the gauge, and take the last reading at {set_mm:.2f} mm.",
        "The same depth as before: if it has moved meanwhile, pen or gauge was not steady.",
        "pen_on_gauge",
    ),
}


def of_point(point: Point, done: int, total: int) -> Stage:
    """The stage of a point."""
    text = _TEXTS[point.phase]
    values = {"set_mm": point.set_um / 1e3, "run": point.run, "direction": point.direction}
    return Stage(
        point.phase.value,
        text.title.format(**values),
        text.instruction.format(**values),
        text.why,
        text.picture,
        point,
        done,
        total,
    )


def of_check(point: Point, done: int, total: int) -> Stage:
    """The stage of a point of the daily check."""
    if point.phase is Phase.ZERO:
        return of_point(point, done, total)
    return Stage(
        "check",
        f"Check at {point.set_um / 1e3:.2f} mm",
        f"Set the pen's nose on the gauge, straight and without pressing, and take the reading at "
        f"{point.set_um / 1e3:.2f} mm.",
        "A pen that has moved since its calibration is found before it treats.",
        "pen_on_gauge",
        point,
        done,
        total,
    )


def of_decision(total: int) -> Stage:
    """All readings are there."""
    return Stage(
        DECISION,
        "Decision",
        "Leave the pen connected: it is judged now, and what the decision says is written to it.",
        "Accepted only if every error keeps its limit with the uncertainty taken off, so that a bad pen cannot pass "
        "by an error of the gauge.",
        "pen_connected",
        None,
        total,
        total,
    )


def of_end(accepted: bool | None, total: int) -> Stage:
    """Nothing is left to do. `accepted`: None for a session that was given up."""
    title = {True: "PASS", False: "FAIL", None: "Abandoned"}[accepted]
    return Stage(FINISHED, title, "Take the pen off the gauge.", "", "pen_off_gauge", None, total, total)
