"""The daily check of a calibrated pen: zero, three depths, two minutes. Knows no terminal and no page.

    checking = Checking.begin(pen, gauge, operator, conditions)
    while checking.stage.point is not None:
        checking.prepare()
        checking.take(checking.read())       doubtful: repeat(), or keep()
        checking.next()
    checking.finish(store)                   judged, kept, noted in the pen

Nothing is written to the pen but the note that it was checked, and nothing is kept of a check that was left: it takes
two minutes to begin anew. It needs no service access: with the dummy cartridge in it no pen starts its motor.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Self

from needlepen import __version__
from needlepen.calibration import plan, preconditions, signing, stages
from needlepen.calibration.gauges import Gauge
from needlepen.calibration.model import (
    Budget,
    Check,
    Conditions,
    DailyCheck,
    Decision,
    Finding,
    Phase,
    Point,
    Reading,
    Taken,
    now,
)
from needlepen.calibration.pen_port import PenPort
from needlepen.calibration.stages import Stage
from needlepen.calibration.tolerances import TOLERANCE_UM
from needlepen.errors import InfrastructureError, Refused, UsageError


class Checking:
    """A daily check under way; use `begin`."""

    def __init__(
        self, pen: PenPort, gauge: Gauge, operator: str, conditions: Conditions, calibration: str
    ) -> None:
        self._pen = pen
        self._gauge = gauge
        self._operator = operator
        self._conditions = conditions
        self._calibration = calibration
        self._taken: dict[int, Taken] = {}
        self._findings: dict[int, list[Finding]] = {}
        self._kept: set[int] = set()
        self._view = 0
        self._prepared = False

    @classmethod
    def begin(
        cls,
        pen: PenPort,
        gauge: Gauge,
        operator: str,
        conditions: Conditions,
        calibration: str = "",
        today: date | None = None,
    ) -> Self:
        """Judge the preconditions and begin. `calibration`: number of the one that is checked, if it is known.

        Raises Refused that names every condition that is not met.
        """
        if not operator.strip():
            raise UsageError("a check has an operator: say who you are")
        if pen.state().service:
            raise Refused(
                "the pen is open for service, as a calibration that was not ended leaves it; a check is of the stored "
                "record: end that one (`needlepen calibrate --resume`), or switch the pen off and on"
            )
        preconditions.require(
            preconditions.judge(pen, gauge.identity, today or now().date(), steady_s=0.0), "checked"
        )
        stored, state = pen.stored(), pen.state()
        if stored.state not in ("valid", "due"):
            raise Refused(
                f"not checked: the pen's calibration is {stored.state}, so there is nothing to check; calibrate it "
                "with `needlepen calibrate`"
            )
        if state.cap_um < max(plan.CHECK_UM):
            raise Refused(
                f"not checked: the pen allows {state.cap_um / 1e3:.2f} mm now, and {max(plan.CHECK_UM) / 1e3:.2f} mm "
                "has to be measured; choose a profile that allows it with `needlepen config set profile=...`"
            )
        seen = conditions.model_copy(update={"nose_c": state.nose_c, "cell_v": state.cell_v})
        return cls(pen, gauge, operator.strip(), seen, calibration)

    # ------------------------------------------------------------------ where it is
    @property
    def stage(self) -> Stage:
        """What to do now; without a point when all readings are there."""
        points = _points()
        if self._view >= len(points):
            return stages.of_decision(len(points))
        return stages.of_check(points[self._view], len(self._taken), len(points))

    @property
    def present(self) -> Taken | None:
        """The reading of this stage's point, None if there is none yet."""
        return self._taken.get(self._view)

    @property
    def findings(self) -> list[Finding]:
        """What the rules say of that reading."""
        return self._findings.get(self._view, [])

    @property
    def is_doubtful(self) -> bool:
        """Whether that reading waits for `repeat` or `keep`."""
        return self._view not in self._kept and any(f.severity != "note" for f in self.findings)

    # ------------------------------------------------------------------ a reading
    def prepare(self) -> None:
        """Bring gauge and pen to the present point. Raises InfrastructureError; call it again then."""
        point = self._point()
        self._prepared = False
        if point.phase is Phase.ZERO:
            self._gauge.place("plate")
        else:
            self._gauge.place("pen")
            if self._pen.state().set_um == point.set_um:
                self._pen.set_depth(point.set_um - plan.ASIDE_UM)
            self._pen.set_depth(point.set_um)
        self._prepared = True

    def read(self, timeout_s: float = 5.0) -> Reading:
        """The reading of an automatic gauge. Raises what the gauge raises."""
        return self._gauge.read(timeout_s)

    def take(self, reading: Reading) -> list[Finding]:
        """Keep a reading at the present point, and say what the rules find about it."""
        point = self._point()
        state = self._pen.state()
        if not self._prepared:
            raise UsageError("the pen is not at this point: prepare it first")
        if point.phase is not Phase.ZERO and state.set_um != point.set_um:
            self._prepared = False
            raise InfrastructureError("the pen was reset, or its depth was changed; prepare it again")
        taken = Taken(
            point=point,
            reading=reading,
            travel_um=0 if point.phase is Phase.ZERO else self._travel_um(point.set_um),
            hall_um=state.hall_um,
            nose_c=state.nose_c,
            cell_v=state.cell_v,
        )
        so_far = [other for number, other in sorted(self._taken.items()) if number != point.number]
        self._taken[point.number] = taken
        self._kept.discard(point.number)
        self._findings[point.number] = [
            *preconditions.during(self._conditions.nose_c, taken),
            *_look_at(so_far, taken, self._gauge),
        ]
        return self.findings

    def keep(self) -> None:
        """Keep a doubtful reading knowingly. Raises UsageError for one that cannot be kept."""
        if any(finding.severity == "stop" for finding in self.findings):
            raise UsageError("this reading cannot be kept: repeat it")
        self._kept.add(self._view)

    def repeat(self) -> None:
        """The same point once more; the pen comes to it anew."""
        self._prepared = False

    def next(self) -> None:
        """To the next point. Raises UsageError while this one's reading is missing or doubtful."""
        self._point()
        if self.present is None or self.is_doubtful:
            raise UsageError("this point has no reading that counts yet: take, repeat or keep it")
        self._view += 1
        self._prepared = False

    # ------------------------------------------------------------------ the end
    @property
    def budget(self) -> Budget:
        """Uncertainty of one reading."""
        from needlepen.calibration import uncertainty

        return uncertainty.depth_budget(self._gauge.identity)

    def finish(self, store: Callable[[DailyCheck], object]) -> DailyCheck:
        """Judge, keep, take the needles in, note it in the pen."""
        if self._view < len(_points()):
            raise UsageError("readings are missing: take all of them")
        check = self._result()
        store(check)
        self._pen.set_depth(0)
        self._pen.note_check(check.at.date(), round(check.worst_error_um), check.decision.accepted)
        return check

    def _result(self) -> DailyCheck:
        taken = [t for _, t in sorted(self._taken.items()) if t.point.phase is not Phase.ZERO]
        zero = next(t for t in self._taken.values() if t.point.phase is Phase.ZERO)
        note = Finding(
            rule="zero", severity="note", text=f"The gauge showed {zero.value_um:+.0f} um on the plate."
        )
        kept = [finding for number in sorted(self._findings) for finding in self._findings[number]]
        return DailyCheck(
            pen=self._pen.identity,
            gauge=self._gauge.identity,
            operator=self._operator,
            conditions=self._conditions,
            at=now(),
            calibration=self._calibration,
            taken=taken,
            findings=[note, *kept],
            decision=decide(taken, self.budget),
            software=f"needlepen {__version__}",
        )

    def _point(self) -> Point:
        if self._view >= len(_points()):
            raise UsageError("no reading is wanted any more")
        return _points()[self._view]

    def _travel_um(self, set_um: int) -> int:
        """By the pen's own record where this computer can read it; else the setting itself is the best guess."""
        try:
            key = self._pen.signing_key()
        except Refused:
            return set_um
        return signing.DepthMap(
            self._pen.read_calibration() or b"", key, self._pen.identity.unique_id
        ).travel_um(set_um)


def decide(taken: list[Taken], budget: Budget) -> Decision:
    """Every error within the tolerance of PR-06; the guard band warns, since the next check is tomorrow."""
    checks = []
    for one in taken:
        off_um = abs(one.error_um)
        where = f"{one.point.set_um / 1e3:.2f} mm"
        checks.append(
            Check(
                name=f"error at {where}",
                requirement="PR-06",
                value=off_um,
                limit=TOLERANCE_UM,
                relation="<=",
                unit="um",
                passed=off_um <= TOLERANCE_UM,
                reason=""
                if off_um <= TOLERANCE_UM
                else f"At {where} the needles stand at {one.value_um / 1e3:.3f} mm. Do not treat with this pen; have "
                "it calibrated.",
            )
        )
    rule = (
        f"Every error within {TOLERANCE_UM / 1e3:.2f} mm; beyond {(TOLERANCE_UM - budget.expanded) / 1e3:.3f} mm, the "
        f"tolerance less U = {budget.expanded / 1e3:.3f} mm (k = {budget.coverage_factor:g}), it warns."
    )
    return Decision(accepted=all(check.passed for check in checks), checks=checks, rule=rule)


def _points() -> tuple[Point, ...]:
    depths = [Point(phase=Phase.VERIFICATION, number=1 + i, set_um=um) for i, um in enumerate(plan.CHECK_UM)]
    return (Point(phase=Phase.ZERO, number=0, set_um=0), *depths)


def _look_at(so_far: list[Taken], taken: Taken, gauge: Gauge) -> list[Finding]:
    from needlepen.calibration import plausibility

    return plausibility.look_at(so_far, taken, gauge.identity)
