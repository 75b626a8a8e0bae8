"""Rules for the PIO allocation of a board file. Each yields (dotted key, reason with remedy)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from needlepen.board import rp2040
from needlepen.board.model import Board, PioProgram

Problem = tuple[str, str]


def pio_machines(board: Board) -> Iterator[Problem]:
    """Each machine once, 32 instructions in a block, a clock that the divider can make."""
    owner: dict[int, str] = {}
    used = [0] * rp2040.PIO_BLOCKS
    sys_hz = board.board.sys_clock_hz
    lowest_hz = sys_hz // rp2040.PIO_MAX_DIVIDER + 1
    for name, program in board.pio.items():
        block = f"PIO{program.block}"
        first = owner.setdefault(program.state_machine, name)
        if first != name:
            yield (
                f"pio.{name}.machine",
                f"{block} machine {program.machine} already runs {first}; use a free one",
            )
        before = used[program.block]
        used[program.block] += program.max_instructions
        if before <= rp2040.PIO_INSTRUCTIONS < used[program.block]:
            yield (
                f"pio.{name}.max_instructions",
                f"with this program {block} needs {used[program.block]} instructions and has "
                f"{rp2040.PIO_INSTRUCTIONS}; shorten a program or use the other block",
            )
        if not lowest_hz <= program.clock_hz <= sys_hz:
            yield f"pio.{name}.clock_hz", f"{program.clock_hz} Hz cannot be made; use {lowest_hz} to {sys_hz}"


def pio_pins(board: Board) -> Iterator[Problem]:
    """A machine moves pins given to its block, and every pin given to a block is moved by a machine."""
    for name, program in board.pio.items():
        yield from _signals_exist(board, name, program)
        known = [(signal, board.pins[signal]) for signal in program.outputs if signal in board.pins]
        for signal, pin in known:
            if pin.function != f"pio{program.block}" or not pin.is_driven:
                yield (
                    f"pio.{name}.outputs",
                    f"{signal} is '{pin.direction}' with function '{pin.function}', so PIO{program.block} "
                    f"cannot move it; make it an output with function 'pio{program.block}'",
                )
        if program.adjacent and any(b.gpio - a.gpio != 1 for (_, a), (_, b) in pairwise(known)):
            wiring = ", ".join(f"{signal} on GP{pin.gpio}" for signal, pin in known)
            yield (
                f"pio.{name}.outputs",
                f"{wiring}: not adjacent, so that one instruction cannot move them all; rewire or reorder "
                "them, lowest GPIO first",
            )
    moved = {signal for program in board.pio.values() for signal in program.outputs}
    for name, pin in board.pins.items():
        if pin.function in ("pio0", "pio1") and pin.is_driven and name not in moved:
            yield (
                f"pins.{name}.function",
                f"'{pin.function}', but no [pio] program moves it; add it to its outputs",
            )


def _signals_exist(board: Board, name: str, program: PioProgram) -> Iterator[Problem]:
    for role in ("inputs", "outputs"):
        for signal in getattr(program, role):
            if signal not in board.pins:
                yield f"pio.{name}.{role}", f"no signal {signal!r}; name a table of [pins]"
