"""Is this the board that is meant, with the firmware of this checkout, wired and fed as it should be?

Asked once, before the first test, of every board that is not emulated in this process. Nothing is changed on it and
nothing moves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from needlepen import board, requirements
from needlepen.build import app_image
from needlepen.build.firmware_uf2 import application_hash
from needlepen.errors import InfrastructureError, Refused
from needlepen.flashing.flash import settled
from needlepen.link.pen import Pen
from needlepen.link.values import About, Identity, Status, Telemetry

_LIMIT = requirements.load().limit
CELL_V = (float(_LIMIT("SR-20", "start_v")), 4.3)
"""From where a pen starts to a full lithium cell with the tolerance of its charger. Outside: no cell, or the wrong
one, or a divider that is wired wrongly."""
NOSE_C = (5.0, float(_LIMIT("SR-18", "warn_c")))
WINDING_C = (5.0, float(_LIMIT("SR-19", "warn_c")))
"""A room, to where the pen warns. Outside: a sensor that is not wired, or a pen that has to cool."""
_BUSY = ("running", "stopping")


@dataclass(frozen=True)
class Wanted:
    """What this checkout would put on a board."""

    board: str
    build: str
    application_hash: str
    micropython: str


@dataclass(frozen=True)
class Seen:
    """What a board says of itself, at rest."""

    identity: Identity
    about: About
    state: str
    fault: str
    latest: Telemetry
    status: Status


def wanted(board_name: str = "pico_pen") -> Wanted:
    """Builds the firmware of this checkout to know its hash; some seconds the first time."""
    described = board.load(board_name)
    image = app_image(described)
    return Wanted(described.name, image.kind, application_hash(image), described.micropython.version)


def look(pen: Pen) -> Seen:
    """What the pen says, after its self-tests. Raises InfrastructureError if it does not come out of them."""
    state, fault = settled(pen)
    if pen.latest is None or pen.status is None:
        raise InfrastructureError(f"{pen.url}: the pen sends no telemetry; reset it, and try again.")
    return Seen(pen.identity, pen.about(), state, fault, pen.latest, pen.status)


def check(seen: Seen, meant: Wanted, unique_id: str | None = None) -> None:
    """Raises Refused with everything that is wrong, each with what to do."""
    problems = list(problems_of(seen, meant, unique_id))
    if problems:
        raise Refused(f"Pen {seen.identity.unique_id} is not tested: {' '.join(problems)}")


def problems_of(seen: Seen, meant: Wanted, unique_id: str | None = None) -> Iterator[str]:
    """What is wrong with a bench, in sentences."""
    identity = seen.identity
    if unique_id is not None and identity.unique_id != unique_id:
        yield f"It is not {unique_id}: connect that one, or name this one."
        return
    if identity.board != meant.board:
        yield f"It is a pen of board {identity.board}, these tests are for {meant.board}: take another one."
        return
    yield from _firmware(seen, meant)
    yield from _supplies(seen)
    yield from _state(seen)


def _firmware(seen: Seen, meant: Wanted) -> Iterator[str]:
    identity, ours = seen.identity, meant.application_hash[: len(seen.identity.application_hash)]
    build = "development" if identity.development else "production"
    if (build, identity.application_hash) != (meant.build, ours):
        yield (
            f"It runs the {build} build {identity.application_hash}, this checkout gives the {meant.build} build "
            f"{ours}: run `needlepen flash --device {identity.unique_id}`, or test from the checkout of that build."
        )
    if seen.about.micropython != meant.micropython:
        yield (
            f"It runs MicroPython {seen.about.micropython}, this checkout is for {meant.micropython}: "
            f"run `needlepen flash --device {identity.unique_id}`."
        )


def _supplies(seen: Seen) -> Iterator[str]:
    found = (
        ("cell", seen.latest.cell_v, CELL_V, "V", "charge it, and check the divider of BATTERY"),
        ("nose", seen.status.nose_c, NOSE_C, "C", "let it cool, and check the sensor of the nose"),
        ("winding", seen.status.winding_c, WINDING_C, "C", "let it cool"),
    )
    for what, value, (least, most), unit, remedy in found:
        if not least <= value <= most:
            yield f"Its {what} is at {value:.2f} {unit}, outside {least:g} to {most:g} {unit}: {remedy}."


def _state(seen: Seen) -> Iterator[str]:
    if seen.state in _BUSY:
        yield "Its motor turns: somebody treats with it, or its trigger is stuck."
    elif seen.fault != "none" or seen.state == "locked_out":
        yield f"It is {seen.state.replace('_', ' ')} with the fault {seen.fault}: see `needlepen explain {seen.fault}`."
