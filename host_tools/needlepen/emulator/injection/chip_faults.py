"""Faults inside the processor, and of what hangs on its USB port."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from needlepen.emulator.injection import analogue
from needlepen.emulator.injection.entry import Act, Entry, Undo, Value, number
from needlepen.emulator.injection.vocabulary import Fault

if TYPE_CHECKING:
    from needlepen.emulator.chip_faults import ChipFaults
    from needlepen.emulator.pen import EmulatedPen

FLOOD_BYTES_S = 1.0e6
"""About what full-speed USB carries."""


FLASH_BASE, SRAM_BASE, SRAM_SIZE = 0x1000_0000, 0x2000_0000, 264 * 1024
_RUNTIME_FROM, _RUNTIME_TO = 0x1000, 0x50000
"""Part of the flash in front of the file system that every MicroPython for this board fills."""


def _hung(change: Callable[[EmulatedPen], None]) -> Act:
    """A CPU that hangs comes back with the next reset of the chip, or with the end of the fault."""

    def act(pen: EmulatedPen, fault: Fault) -> Undo:
        is_over = False

        def revive() -> None:
            nonlocal is_over
            is_over = True
            pen.chip.resume_cpu()

        def after_reset(_t_ns: int, _cause: str) -> None:
            if not is_over:
                pen.faults.repair(fault.target, fault.kind)

        pen.chip.on_reset(after_reset)
        change(pen)
        return revive

    return act


def _silent(pen: EmulatedPen, _fault: Fault) -> Undo:
    pen.chip.console.pause_reading()
    return pen.chip.console.resume_reading


def _flooded(pen: EmulatedPen, _fault: Fault) -> Undo:
    pen.chip.console.flood(FLOOD_BYTES_S)
    return lambda: pen.chip.console.flood(0)


def _inside(pen: EmulatedPen) -> ChipFaults:
    from needlepen.emulator.chip_faults import ChipFaults  # after the engine is chosen

    return ChipFaults(pen.chip)


def _rotation(pen: EmulatedPen, _fault: Fault) -> Undo:
    return _inside(pen).break_rotation()


def _stuck_bit(pen: EmulatedPen, fault: Fault) -> Undo:
    draw = random.Random(f"memory {fault.seed}")
    address = SRAM_BASE + draw.randrange(SRAM_SIZE)
    return _inside(pen).stick_ram_bit(address, draw.randrange(8), draw.randrange(2))


def _flipped_bit(pen: EmulatedPen, fault: Fault) -> Undo:
    """In the runtime: the files lie behind it, and the file system tells by itself when it is damaged."""
    draw = random.Random(f"flash {fault.seed}")
    address = FLASH_BASE + draw.randrange(_RUNTIME_FROM, _RUNTIME_TO)
    return _inside(pen).flip_flash_bit(address, draw.randrange(8))


def _clock(pen: EmulatedPen, fault: Fault) -> Undo:
    def set_error(error: float) -> None:
        pen.chip.clocks.crystal_error = error

    set_error(number(fault) / 100.0)
    return lambda: set_error(0.0)


def _no_second_clock(pen: EmulatedPen, _fault: Fault) -> Undo:
    before_khz = pen.chip.clocks.rosc_khz
    pen.chip.clocks.rosc_khz = 0.0

    def undo() -> None:
        pen.chip.clocks.rosc_khz = before_khz

    return undo


def _reference(pen: EmulatedPen, fault: Fault) -> Undo:
    return analogue.insert_everywhere(pen, analogue.scaled(1.0 / (1.0 + number(fault) / 100.0)))


def _multiplexer(pen: EmulatedPen, fault: Fault) -> Undo:
    always = pen.faults.chain(round(number(fault))).sound
    return analogue.insert_everywhere(pen, lambda t_ns, _sound: always(t_ns))


ENTRIES: tuple[Entry, ...] = (
    Entry(
        "cpu", "off", "SR-10", "executes nothing until the chip is reset; PIO, PWM and timers go on",
        _hung(lambda pen: pen.chip.halt_cpu()), cutoff="halt", lasts=False,
    ),
    Entry(
        "cpu", "stuck", "SR-10", "spins with interrupts disabled until the chip is reset",
        _hung(lambda pen: pen.chip.spin_cpu()), cutoff="spin", lasts=False,
    ),
    Entry("cpu", "wrong", "SR-26", "an instruction computes wrong results", _rotation),
    Entry("ram", "stuck", "SR-26", "one bit of the memory cannot change", _stuck_bit),
    Entry("flash", "wrong", "SR-26", "one bit of the runtime in flash has turned over", _flipped_bit),
    Entry(
        "clock", "wrong", "SR-26", "the crystal is too fast, or too slow",
        _clock, Value("error", 6.0, "%", -20.0, 20.0), told_within="SR-26.clock_detect_ms", told_above=5.0,
    ),
    Entry("clock", "off", "SR-26", "the second clock, to compare with, stands still", _no_second_clock),
    Entry(
        "adc_reference", "wrong", "SR-26", "the converter's reference voltage is wrong",
        _reference, Value("error", 10.0, "%", -50.0, 50.0),
    ),
    Entry(
        "adc_multiplexer", "stuck", "SR-26", "the converter converts one channel, whichever is selected",
        _multiplexer, Value("channel", 0.0, "", 0.0, 4.0),
    ),
    Entry("usb", "off", "PR-07", "the host stops reading and polling the port", _silent),
    Entry("usb", "garbage", "PR-07", "the host sends bytes that are no frames as fast as USB carries them", _flooded),
)  # fmt: skip
