"""From the readings of a session to curve, record, verdict and the data of its certificate."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from needlepen import __version__
from needlepen.calibration import signing
from needlepen.calibration.model import Budget, Calibration, Decision, FitResult, Phase, now
from needlepen.calibration.session import Session
from needlepen.errors import UsageError
from needlepen.firmware_modules import firmware_module
from needlepen.records import making


@dataclass(frozen=True)
class Keys:
    """What signs the records of this pen, and the record with which it came."""

    technician: bytes
    present: signing.DepthMap


def fitted(session: Session, keys: Keys) -> tuple[FitResult, bytes]:
    """The curve, and the signed record to try: b"" if no pen can have such a curve."""
    from needlepen.calibration import fit

    found = fit.fit_taken(session.of(Phase.AS_FOUND, Phase.CALIBRATION), keys.present.calibration)
    try:
        record = _record(session, keys, found, "accepted")
    except UsageError:
        return found, b""
    return found, record


def judged(session: Session, keys: Keys) -> Calibration:
    """Everything decided: accepted, with the record that was tried and verified, or refused, with what to do to the
    old record."""
    from needlepen.calibration import decision

    assert session.fit is not None, "the curve comes before the decision"
    begun, fit = session.begun, session.fit
    budget = _budget(session, fit)
    as_found = session.of(Phase.AS_FOUND)
    taken = session.of(*Phase)
    drift_um = decision.drift_um(taken) if session.of(Phase.DRIFT) else 0.0
    verdict = decision.decide(fit, budget, session.of(Phase.VERIFICATION), drift_um, as_found=as_found)
    if verdict.accepted:
        record_hex = session.trial_hex
    elif begun.record_in_use and not decision.within_as_found(as_found, budget).accepted:
        record_hex = _withdrawal(session, keys, fit).hex()
    else:
        record_hex = ""
    return _calibration(session, fit, budget, verdict, record_hex)


def _calibration(
    session: Session, fit: FitResult, budget: Budget, verdict: Decision, record_hex: str
) -> Calibration:
    begun = session.begun
    return Calibration(
        number=begun.number,
        pen=begun.pen,
        gauge=begun.gauge,
        operator=begun.operator,
        conditions=begun.conditions,
        begun=session.begun_at,
        ended=now(),
        day=begun.day,
        due=due_day(begun.day),
        taken=session.of(*Phase),
        replaced=session.replaced,
        findings=session.kept_findings(),
        fit=fit,
        budget=budget,
        decision=verdict,
        record_hex=record_hex,
        software=__version__,
    )


def due_day(day: date) -> date:
    """When the next calibration is due: as the record says it to the pen."""
    months_later = firmware_module("pen.store.dates").months_later
    number = making.day_number(day)
    return day + timedelta(days=months_later(number, 12) - number)


def _budget(session: Session, fit: FitResult) -> Budget:
    """Of one reading, with the scatter that this calibration found."""
    from needlepen.calibration import uncertainty

    readings = session.of(Phase.CALIBRATION)
    groups = {(taken.point.set_um, taken.point.direction) for taken in readings}
    freedom = len(readings) - len(groups)
    return uncertainty.depth_budget(session.begun.gauge, fit.repeatability_um / 2, readings=freedom)


def _withdrawal(session: Session, keys: Keys, fit: FitResult) -> bytes:
    """The old curve, marked as one that must not be used any more: the pen then does not run."""
    old = keys.present.calibration
    assert old is not None, "only a record that is in use can be withdrawn"
    points = [(int(travel), int(depth)) for travel, depth in old.points]
    former = fit.model_copy(update={"points_um": points, "hall_uv_per_mm": old.hall_uv_per_mm})
    return _record(session, keys, former, "withdrawn")


def _record(session: Session, keys: Keys, fit: FitResult, status: Literal["accepted", "withdrawn"]) -> bytes:
    begun = session.begun
    found = [(t.point.set_um, round(t.value_um)) for t in session.of(Phase.AS_FOUND)]
    return signing.record(
        fit,
        begun.pen,
        keys.technician,
        number=begun.number,
        day=begun.day,
        status=status,
        nose_c=begun.conditions.nose_c,
        uncertainty_um=_budget(session, fit).expanded,
        as_found=found,
        gauge=f"{begun.gauge.model or begun.gauge.kind} {begun.gauge.serial}".strip(),
        operator=begun.operator,
    )
