"""Ways into BOOTSEL mode: by command, by MicroPython's prompt, by the 1200 baud touch, by a person's hand."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import serial

from needlepen.devices import find_devices
from needlepen.devices.model import BOOTSEL, MICROPYTHON, PEN, Device
from needlepen.errors import InfrastructureError, Refused
from needlepen.flashing import drive
from needlepen.flashing.arrival import Arrival
from needlepen.flashing.prompt import prompt
from needlepen.link.client import messages
from needlepen.link.pen import Pen

DRIVE_S = 20.0
TOUCH_S = 3.0
_PATIENCE_S = 8.0
_NEEDLES_OUT = "set the depth to 0.00 mm first"
_TESTING = "busy with its tests: wait"
Hint = Callable[[str], None]


def to_bootsel(device: Device | None, board: str, arrival: Arrival, person_s: float, hint: Hint) -> Path:
    """The drive of the board, after it was brought into BOOTSEL mode. `board`: name of the board file it is meant for.

    Raises Refused if the pen does not agree or is another board, InfrastructureError if no drive appears.
    """
    if device is None:
        return _by_hand(arrival, person_s, hint)
    if device.kind == BOOTSEL:
        assert device.volume is not None
        drive.require_rp2040(device.volume)
        return device.volume
    assert device.port is not None
    if device.kind == PEN:
        _ask_pen(device.port, board)
    elif device.kind == MICROPYTHON:
        _ask_prompt(device.port, arrival)
    elif not _prompt_answers(device.port, arrival):
        _touch(device.port)
        path = drive.wait_for(arrival.find_drive, TOUCH_S, hint)
        if path is not None:
            return path
        hint(f"{device.port} says nothing: {drive.waiting_hint()}")
        return arrival.drive(person_s, hint)
    return arrival.drive(DRIVE_S, hint)


def _ask_pen(port: str, board: str) -> None:
    with Pen.open(port, reconnect_s=0) as pen:
        if pen.identity.board != board:
            raise Refused(
                f"{port} is a pen of board {pen.identity.board}, this build is for {board}; give --board."
            )
        end_s = time.monotonic() + _PATIENCE_S
        become_engineer(pen)
        try:
            refused = pen.request(messages.ENTER_BOOTSEL).refused
            if refused == _NEEDLES_OUT:
                pen.set_depth(0.0)
            while refused in (_NEEDLES_OUT, _TESTING) and time.monotonic() < end_s:
                time.sleep(0.2)
                refused = pen.request(messages.ENTER_BOOTSEL).refused
        except InfrastructureError:
            return  # it left before its answer had arrived; if not, no drive appears
    if refused:
        raise Refused(f"{port}: the pen does not go to BOOTSEL mode: {refused}. Nothing was changed.")


def become_engineer(pen: Pen) -> None:
    """Get the role that may bring other code onto a pen, with the key that this computer keeps for it.

    Raises Refused with the reason and the remedy without such a key; a development build asks for none.
    """
    if pen.identity.development:
        return
    from needlepen.access import Role, unlock

    unlock(pen, Role.ENGINEER)


def _ask_prompt(port: str, arrival: Arrival) -> None:
    with prompt(port) as board:
        if not board.is_rp2040:
            raise Refused(f"{port} runs MicroPython, but is no RP2040: nothing is written to it.")
        arrival.unique_id = board.unique_id
        board.leave("import machine\nmachine.bootloader()")


def _prompt_answers(port: str, arrival: Arrival) -> bool:
    """A board that says nothing may wait at its prompt for the rest of what a program sent that was ended."""
    try:
        _ask_prompt(port, arrival)
    except InfrastructureError:
        return False
    return True


def _touch(port: str) -> None:
    """Set 1200 baud and close: some firmware takes that as the wish for BOOTSEL mode (this MicroPython does not)."""
    with contextlib.suppress(serial.SerialException, OSError, ValueError):
        touched = serial.serial_for_url(port, baudrate=1200)
        with contextlib.suppress(OSError):
            touched.dtr = False
        touched.close()


def _by_hand(arrival: Arrival, person_s: float, hint: Hint) -> Path:
    """Nothing is connected that could be asked: the one board that a person brings into BOOTSEL mode."""
    hint(f"no board is connected: {drive.waiting_hint()} (waiting {person_s:.0f} s)")
    end_s = time.monotonic() + person_s
    while time.monotonic() < end_s:
        ready = [device for device in find_devices(identify=False) if _is_ready(device)]
        if len(ready) > 1:
            listed = "; ".join(str(device) for device in ready)
            raise Refused(f"Several boards are in BOOTSEL mode, say which with --device: {listed}.")
        if ready:
            arrival.recognise(ready[0])
            assert ready[0].volume is not None
            drive.require_rp2040(ready[0].volume)
            return ready[0].volume
        time.sleep(0.3)
    raise InfrastructureError(
        f"No board came into BOOTSEL mode within {person_s:.0f} s: {drive.waiting_hint()}; then run this again."
    )


def _is_ready(device: Device) -> bool:
    return device.kind == BOOTSEL and device.volume is not None and not device.note
