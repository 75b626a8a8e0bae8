"""`needlepen flash`, step by step: into BOOTSEL mode, UF2, application, and the proof that it runs.

Every step can be interrupted and the whole repeated: a board in BOOTSEL mode, at MicroPython's prompt or running a
pen's firmware is a good beginning, and so is one whose UF2 was written half. What a pen keeps about itself
(calibration, keys, settings, counters, log) lies in the file system, so that is left alone unless it is to be erased:
a board of which nothing is known gets the runtime alone, and then says itself whether there are records.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from needlepen.board import Board
from needlepen.build import AppImage, uf2
from needlepen.build.firmware_uf2 import (
    application_hash,
    files_of,
    firmware_uf2,
    prepared_filesystem,
    runtime_segments,
)
from needlepen.devices.model import Device
from needlepen.errors import InfrastructureError, ProductFailure, Refused
from needlepen.flashing import drive, enter, install as files
from needlepen.flashing.arrival import Arrival
from needlepen.flashing.prompt import prompt, wait_for_prompt
from needlepen.link.client import messages
from needlepen.link.pen import Pen
from needlepen.link.values import Identity, starting_up
from needlepen.runtime.progress import TerminalProgress

SETTLED_S = 15.0
DRIVE_S = 30.0
_RESTS = ("safe", "locked_out")
_HASH_DIGITS = 12


@dataclass(frozen=True)
class Plan:
    """What is to run on the board. `erase_records`: the file system is written anew, with nothing of the old one."""

    board: Board
    runtime: Path
    application: AppImage
    erase_records: bool = False
    person_s: float = 120.0
    """How long to wait for a person who has to press a button."""

    def differences(self, found: Identity) -> list[str]:
        """In what a pen's program is not this one: what is there, and what was built. The hash is of the sources, which
        both kinds of build share."""
        kind = "development" if found.development else "production"
        pairs = (
            ("application", found.application_hash, application_hash(self.application)[:_HASH_DIGITS]),
            ("build", kind, self.application.kind),
        )
        return [f"{what} {there}, not {wanted}" for what, there, wanted in pairs if there != wanted]


@dataclass
class FlashResult:
    """What was done, and what runs now. `uf2_blocks`, `files_written`: how much was written."""

    unique_id: str
    port: str
    micropython: str
    application_hash: str
    state: str
    blockers: tuple[str, ...]
    records: str
    uf2_blocks: int = 0
    files_written: int = 0
    steps: list[str] = field(default_factory=list)


def flash(plan: Plan, device: Device | None, shown: TerminalProgress) -> FlashResult:
    """Bring `plan` onto a board; with `device` None onto the one that a person puts into BOOTSEL mode.

    Raises Refused if it is not clear which board or drive is meant or if the pen does not agree, InfrastructureError
    for a step that did not work (the text says how to go on), ProductFailure if something else runs than was built.
    """
    return _Flashing(plan, shown).run(device)


class _Flashing:
    def __init__(self, plan: Plan, shown: TerminalProgress) -> None:
        self._plan = plan
        self._shown = shown
        self._steps: list[str] = []
        self._blocks = self._files = 0
        self._records = "kept"

    def _step(self, text: str) -> None:
        self._steps.append(text)
        self._shown.step(text)

    def run(self, device: Device | None) -> FlashResult:
        plan = self._plan
        arrival = Arrival(device)
        self._step("entering BOOTSEL mode")
        path = enter.to_bootsel(device, plan.board.name, arrival, plan.person_s, self._shown.note)
        if plan.erase_records:
            self._records = "erased"
            self._write(
                path, firmware_uf2(plan.board, plan.runtime, plan.application), "runtime and application"
            )
        else:
            self._write(path, uf2.encode(runtime_segments(plan.runtime, plan.board.flash)), "runtime")
        port, is_pen = self._wait(arrival)
        if not (is_pen and self._has_it(port)):
            port = self._install(port, is_pen, arrival)
        return self._proof(port)

    def _write(self, path: Path, data: bytes, what: str) -> None:
        self._step(f"writing the {what} to {path}")
        drive.write_uf2(path, data, self._shown.amount)
        self._blocks += len(data) // uf2.BLOCK_BYTES

    def _wait(self, arrival: Arrival) -> tuple[str, bool]:
        self._step("waiting for the board to come back")
        return arrival.wait()

    def _has_it(self, port: str) -> bool:
        """Whether the wanted build runs already, and is sound with the new runtime."""
        with Pen.open(port, SETTLED_S) as pen:
            if pen.identity.board != self._plan.board.name:
                raise Refused(
                    f"{port} is a pen of board {pen.identity.board}, this build is for {self._plan.board.name}; "
                    "give --board."
                )
            return not self._plan.differences(pen.identity) and settled(pen)[0] != "locked_out"

    def _install(self, port: str, is_pen: bool, arrival: Arrival) -> str:
        plan = self._plan
        if plan.erase_records:
            raise ProductFailure(
                f"{port}: the whole flash was written, but the build does not run on it; the flash may be worn: take "
                "another board."
            )
        self._step("installing the application")
        image = prepared_filesystem(plan.application.image, plan.board.flash, plan.runtime)
        if is_pen:
            self._leave_port_to_micropython(port)
        with prompt(port) as board:
            arrival.unique_id = board.unique_id
            if not is_pen and not files.has_records(board.files()):
                self._records = "none there"
                board.leave("import machine\nmachine.bootloader()")
            else:
                wanted = files.portable(files_of(image, plan.board.flash))
                self._files = files.install(board, wanted, plan.board.flash, self._shown.amount)
                board.leave("import machine\nmachine.reset()")
        if self._records == "none there":
            path = arrival.drive(DRIVE_S, self._shown.note)
            self._write(
                path, firmware_uf2(plan.board, plan.runtime, plan.application), "runtime and application"
            )
        port, _ = self._wait(arrival)
        return port

    def _leave_port_to_micropython(self, port: str) -> None:
        """A production build ignores Ctrl-C; for an engineer it stops."""
        with Pen.open(port, SETTLED_S) as pen:
            if not pen.identity.development:
                settled(pen)  # not while it tests itself
                enter.become_engineer(pen)
                pen.command(messages.OPEN_REPL)
                pen.close()
                wait_for_prompt(port)

    def _proof(self, port: str) -> FlashResult:
        plan = self._plan
        self._step("checking what runs")
        with Pen.open(port, SETTLED_S) as pen:
            found, about = pen.identity, pen.about()
            state, fault = settled(pen)
            wrong = plan.differences(found)
            if about.micropython != plan.board.micropython.version:
                wrong.append(f"MicroPython {about.micropython}, not {plan.board.micropython.version}")
            if wrong:
                raise ProductFailure(
                    f"{port}: what runs is not what was built ({'; '.join(wrong)}); run this again, with "
                    "--erase-records if it comes back."
                )
            if state == "locked_out":
                raise ProductFailure(
                    f"{port}: the build runs, but locks the pen out ({fault}); see `needlepen explain {fault}`."
                )
            blockers = pen.status.blockers if pen.status else ()
        return FlashResult(
            found.unique_id, port, about.micropython, found.application_hash, state, blockers, self._records,
            self._blocks, self._files, self._steps,
        )  # fmt: skip


def settled(pen: Pen) -> tuple[str, str]:
    """State and fault of a pen after its self-tests, the test of its flash against the reference among them.

    Raises InfrastructureError if it does not get there within 15 s.
    """
    pen.subscribe(period_ms=100)
    end_s: float | None = None
    for frame in pen.telemetry():
        end_s = end_s if end_s is not None else frame.time_ms / 1e3 + SETTLED_S
        rests = frame.state in _RESTS  # its blockers stand for as long as it does
        if pen.status is not None and (rests or not starting_up(frame, pen.status)):
            return frame.state, frame.fault
        if frame.time_ms / 1e3 > end_s:
            break
    raise InfrastructureError(
        f"{pen.url}: the pen does not come out of its self-tests; let go of its trigger, then run this again."
    )
