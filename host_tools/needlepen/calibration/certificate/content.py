"""From a calibration to the content of its certificate, or of its refusal report."""

from __future__ import annotations

from collections.abc import Sequence

from needlepen.calibration.certificate import results, words
from needlepen.calibration.certificate.blocks import Block, Document, Facts, Section, Signatures, Table, Text
from needlepen.calibration.certificate.code import Code
from needlepen.calibration.database.content import worst
from needlepen.calibration.model import Calibration, Phase


def document(made: Calibration, code: Code, history: Sequence[Calibration] = ()) -> Document:
    """All texts of the certificate. `history`: former calibrations of the pen; later ones are left out."""
    accepted = made.decision.accepted
    sections = [
        Section("Pen", [_pen(made)]),
        Section("Gauge", [_gauge(made), words.traceability(made.gauge, made.day)]),
        Section("Procedure and conditions", [_conditions(made), *_notes(made)]),
        Section("Decision", results.checks(made)),
        Section("Error against depth", results.plot(made)),
        Section("As found, before anything was changed", results.as_found(made)),
        Section("As left, fresh verification" if accepted else "Fresh verification", results.as_left(made)),
        Section("Calibration runs and curve", results.measured(made)),
        Section("Uncertainty of a reading", results.budget(made.budget)),
    ]
    former = [one for one in history if one.ended < made.ended and one.number != made.number]
    if former:
        sections.append(Section("Former calibrations of this pen", [_history(former)]))
    standing: list[Block] = [Text(words.SCOPE), Text(words.STANDING)]
    if not accepted:
        standing.insert(0, Text(words.REFUSAL, "fail"))
    sections.append(Section("What this document is", standing))
    sections.append(
        Section(
            "Signatures",
            [
                Signatures(
                    [("Calibrated by" if accepted else "Measured by", made.operator), ("Reviewed by", "")]
                )
            ],
        )
    )
    simulated = made.gauge.kind == words.SIMULATED
    what = "needle protrusion of a microneedling pen, in-house calibration"
    kind = "Simulated" if simulated and accepted else "" if accepted else "Not a certificate"
    return Document(
        title="Calibration certificate" if accepted else "Refusal report",
        subtitle=f"{kind}: {what}" if kind else what.capitalize(),
        number=made.number,
        accepted=accepted,
        verdict="ACCEPTED" if accepted else "REFUSED",
        summary=_summary(made),
        sections=sections,
        across="NOT A CERTIFICATE" if not accepted else "SIMULATED" if simulated else "",
        code=code.text,
        code_note=code.note,
        footer=words.software(made.software),
    )


def _summary(made: Calibration) -> str:
    left = worst(made.taken, Phase.VERIFICATION)
    error = "not measured" if left is None else f"{words.mm(left, sign=True)} mm"
    if made.decision.accepted:
        known = f"U = {words.mm(made.budget.expanded)} mm ({words.coverage(made.budget)})"
        return (
            f"Every criterion was met. Largest error of the fresh verification {error}, {known}. "
            f"Calibration due on {made.due}."
        )
    failed = ", ".join(check.name for check in made.decision.checks if not check.passed)
    then = (
        "The pen's former calibration was withdrawn: it does not run until it is calibrated."
        if made.record_hex
        else "Nothing was written to the pen; its former calibration stays as it is."
    )
    return f"Not met: {failed}. Largest error of the fresh verification {error}. {then}"


def _pen(made: Calibration) -> Facts:
    pen = made.pen
    strokes = f"{pen.strokes:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    return Facts([
        ("Unique ID", pen.unique_id),
        ("Name", pen.name or "none"),
        ("Board", pen.board),
        ("Firmware", pen.version),
        ("Hash of the firmware", pen.application_hash),
        ("Running time, strokes", f"{pen.run_s / 3600:.1f} h, {strokes}"),
    ])  # fmt: skip


def _gauge(made: Calibration) -> Facts:
    gauge = made.gauge
    return Facts([
        ("Model", gauge.model or "not given"),
        ("Serial number", gauge.serial or "not given"),
        ("Read by", gauge.kind),
        ("Resolution", f"{words.mm(gauge.resolution_um)} mm"),
        ("Error of indication", f"±{words.mm(gauge.error_um)} mm"),
        ("Repeatability (s)", f"{words.mm(gauge.repeatability_um)} mm"),
        ("Certificate of the gauge", gauge.certificate or "none"),
        ("Gauge due", str(gauge.due or "not known")),
    ])  # fmt: skip


def _conditions(made: Calibration) -> Facts:
    found = made.conditions
    noses = [taken.nose_c for taken in made.taken]
    spread = f" ({min(noses):.1f} to {max(noses):.1f})" if noses else ""
    humidity = "not measured" if found.humidity_pct is None else f"{found.humidity_pct:.0f} %"
    return Facts([
        ("Operator", made.operator),
        ("Date of calibration", str(made.day)),
        ("Begun", words.moment(made.begun)),
        ("Ended", words.moment(made.ended)),
        ("Room, humidity", f"{words.degrees(found.room_c)}, {humidity}"),
        ("Nose of the pen", f"{words.degrees(found.nose_c)}{spread}"),
        ("Cell of the pen", f"{found.cell_v:.2f} V"),
        ("Calibration due", str(made.due)),
        ("Software", words.software(made.software)),
        ("Readings", f"{len(made.taken)}, {len(made.replaced)} repeated"),
    ])  # fmt: skip


def _notes(made: Calibration) -> list[Block]:
    noted = [("Note", made.conditions.note)] if made.conditions.note else []
    kept = [("Kept knowingly" if one.severity == "doubt" else "Note", one.text) for one in made.findings]
    return [Text(f"{name}: {text}", "note") for name, text in [*noted, *kept]]


def _history(former: Sequence[Calibration]) -> Table:
    def text(um: float | None) -> str:
        return "" if um is None else words.mm(um, sign=True)

    rows = [
        (one.number, str(one.day), one.operator, text(worst(one.taken, Phase.AS_FOUND)),
         text(worst(one.taken, Phase.VERIFICATION)), f"{one.pen.run_s / 3600:.1f}",
         "accepted" if one.decision.accepted else "refused")
        for one in former
    ]  # fmt: skip
    headers = ("number", "date", "operator", "as found mm", "as left mm", "running h", "result")
    return Table(headers, rows, "lllrrrr", (32, 20, 38, 20, 20, 16, 18))
