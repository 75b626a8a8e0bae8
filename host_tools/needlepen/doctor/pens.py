"""Checks of what is connected: does it answer, does it fit these tools, is it sound."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from needlepen import explanation, supervision
from needlepen.devices import find_devices, open_pen
from needlepen.devices.model import BOOTSEL, BUSY, FOREIGN, MICROPYTHON, PEN, SILENT, Device
from needlepen.doctor.model import NOTE, OK, PROBLEM, WARNING, Finding
from needlepen.errors import NeedlepenError
from needlepen.link.pen import Pen
from needlepen.records import log

EVENTS_READ = 200
"""The log is read over the link, two events at a time; a doctor does not read all of it."""
_OTHER = {
    BOOTSEL: (NOTE, "is in BOOTSEL mode", "needlepen flash --device {at}"),
    MICROPYTHON: (
        NOTE,
        "shows MicroPython's prompt: it holds no pen's firmware",
        "needlepen flash --device {at}",
    ),
    BUSY: (NOTE, "is in use by another program, so it was not examined", "end that program"),
    FOREIGN: (NOTE, "is no pen, so it was left alone", ""),
    SILENT: (
        PROBLEM,
        "does not answer",
        "switch it off and on; if that does not help: host_tools/docs/recovery.md",
    ),
}


def pens(device: str | None = None) -> Iterator[Finding]:
    """Every device that is connected, or the one that is meant."""
    from needlepen.devices import choose_device

    every = (PEN, BOOTSEL, MICROPYTHON, SILENT, FOREIGN)
    found = [choose_device(device, every)] if device else find_devices()
    if not found:
        yield Finding("pens", NOTE, "nothing is connected", ("plug a pen in, or run: needlepen emulate",))
    for one in found:
        yield from _pen(one) if one.kind == PEN else _no_pen(one)


def _no_pen(device: Device) -> Iterator[Finding]:
    level, text, action = _OTHER[device.kind]
    if device.kind == SILENT and "speaks protocol" in device.note:
        cause, _, remedy = device.note.rpartition(";")
        yield Finding("pens", PROBLEM, cause, (remedy.strip(" ."),), device.unique_id or "")
        return
    why = f" ({device.held_by})" if device.held_by else ""
    actions = (action.format(at=device.volume or device.port),) if action else ()
    yield Finding("pens", level, f"{device} {text}{why}", actions, device.unique_id or "")


def _pen(device: Device) -> Iterator[Finding]:
    try:
        with open_pen(device, purpose="doctor") as pen:
            findings = [*_build(pen, device), *_records(pen), *_state(pen), *_log(pen)]
    except NeedlepenError as error:
        yield Finding("pens", PROBLEM, str(error), pen=device.unique_id or "")
        return
    if all(finding.level in (OK, NOTE) for finding in findings):
        yield Finding("pens", OK, f"{device} is sound", pen=pen.identity.unique_id)
    yield from findings


def _build(pen: Pen, device: Device) -> Iterator[Finding]:
    from needlepen import board
    from needlepen.build import app_image
    from needlepen.build.firmware_uf2 import application_hash

    identity, about = pen.identity, pen.about()
    where = f"--device {device.unique_id or device.port}"
    kind = "development" if identity.development else "production"
    facts = f"{kind} build {identity.application_hash} of version {identity.version}, MicroPython {about.micropython}"
    wanted = board.load()
    if identity.board == wanted.name:
        if about.micropython != wanted.micropython.version:
            yield _about(
                pen, "build", WARNING,
                f"MicroPython {about.micropython} runs, these tools are for {wanted.micropython.version}",
                f"needlepen flash {where}",
            )  # fmt: skip
        ours = application_hash(app_image(wanted))[: len(identity.application_hash)]
        if identity.application_hash != ours:
            yield _about(
                pen, "build", NOTE, f"another firmware runs than these sources would give: {facts}, not {ours}",
                f"needlepen flash {where}",
            )  # fmt: skip
            return
    yield _about(pen, "build", OK, facts)


def _records(pen: Pen) -> Iterator[Finding]:
    about, where = pen.about(), f"--device {pen.identity.unique_id}"
    if not about.provisioned:
        yield _about(
            pen, "keys", WARNING, "the pen has no keys: it starts nothing", f"needlepen provision {where}"
        )
    if about.calibration in ("none", "expired", "refused"):
        why = f" ({about.calibration_reason})" if about.calibration_reason else ""
        yield _about(
            pen, "calibration", WARNING, f"calibration: {about.calibration}{why}; the pen starts nothing without",
            "have the depth calibrated by a technician",
        )  # fmt: skip
    elif about.calibration == "due":
        yield _about(
            pen,
            "calibration",
            NOTE,
            "the calibration is due soon",
            "have the depth calibrated by a technician",
        )


def _state(pen: Pen) -> Iterator[Finding]:
    from needlepen.flashing.flash import settled

    state, fault = settled(pen)
    if fault != "none":
        known = supervision.load().fault_named(fault)
        remedy = known.remedy if known else ""
        yield _about(
            pen, "state", PROBLEM, f"{state}: {fault}{f' ({known.text})' if known else ''}",
            *(action for action in (remedy, f"needlepen explain {fault}") if action),
        )  # fmt: skip
        return
    blockers = pen.status.blockers if pen.status else ()
    texts = [found.text for name in blockers for found in explanation.find(name) if found.kind == "blocker"]
    yield _about(pen, "state", NOTE if blockers else OK, f"{state}{': ' if texts else ''}{' '.join(texts)}")
    for warning in pen.status.warnings if pen.status else ():
        yield _about(pen, "warning", NOTE, f"the pen warns: {warning}", f"needlepen explain {warning}")


def _log(pen: Pen) -> Iterator[Finding]:
    raw = list(islice(pen.events(), EVENTS_READ))
    lost = [
        gap for gap in log.gaps(log.decode(raw, bytes.fromhex(pen.identity.unique_id))) if not gap.at_boot
    ]
    if lost:
        count = sum(gap.count for gap in lost)
        first = lost[0].first_sequence
        yield _about(
            pen,
            "log",
            WARNING,
            f"{count} events are missing in the log, from number {first} on",
            "needlepen log",
        )
    else:
        yield _about(pen, "log", OK, f"no gap in the first {len(raw)} events of the log")


def _about(pen: Pen, check: str, level: str, cause: str, *actions: str) -> Finding:
    return Finding(check, level, cause, actions, pen.identity.unique_id)
