"""A PIO block of the emulated chip set up through its registers alone, with the CPU halted."""

from __future__ import annotations

from dataclasses import dataclass, field

from needlepen.emulator.chip import Chip

PIO0 = 0x50200000
SET, CLEAR = 0x2000, 0x3000  # atomic aliases
CTRL, TXF0, RXF0, INSTR_MEM0, SM0, SM_SIZE = 0x00, 0x10, 0x20, 0x48, 0xC8, 0x18
FUNCTION_PIO0 = 6
CYCLE_NS = 8


@dataclass
class Setup:
    """Configuration of one state machine, by the names of the datasheet."""

    program: list[int]
    start: int = 0
    divider: float = 1.0
    set_base: int = 0
    set_count: int = 5
    side_base: int = 0
    side_count: int = 0
    out_base: int = 0
    out_count: int = 0
    in_base: int = 0
    jump_pin: int = 0
    shift: int = 3 << 18  # both to the right, no autopush, no autopull
    words: list[int] = field(default_factory=list)

    @property
    def pin_control(self) -> int:
        return (
            self.side_count << 29
            | self.set_count << 26
            | self.out_count << 20
            | self.in_base << 15
            | self.side_base << 10
            | self.set_base << 5
            | self.out_base
        )


def write(chip: Chip, offset: int, value: int) -> None:
    chip.mcu.write_uint32(PIO0 + offset, value)


def read(chip: Chip, offset: int) -> int:
    return int(chip.mcu.read_uint32(PIO0 + offset))


def connect_pins(chip: Chip, gpios: list[int], outputs: list[int]) -> None:
    """Give pads to PIO0, with input buffers on, and make some of them its outputs."""
    for gpio in gpios:
        chip.mcu.write_uint32(0x4001C004 + 4 * gpio, 0x40)
        chip.mcu.write_uint32(0x40014004 + 8 * gpio, FUNCTION_PIO0)
    for gpio in outputs:
        write(chip, SM0 + 0x14, 1 << 26 | gpio << 5)
        write(chip, SM0 + 0x10, 0xE081)  # set(pindirs, 1)


def prepare(chip: Chip, machine: int, setup: Setup) -> None:
    """Load a program and configure a machine, without starting it."""
    base = SM0 + SM_SIZE * machine
    for index, opcode in enumerate(setup.program):
        write(chip, INSTR_MEM0 + 4 * (setup.start + index), opcode)
    top = setup.start + len(setup.program) - 1
    write(chip, base + 0x00, int(setup.divider * 256) << 8)
    write(chip, base + 0x04, setup.jump_pin << 24 | top << 12 | setup.start << 7)
    write(chip, base + 0x08, setup.shift)
    write(chip, base + 0x14, setup.pin_control)
    write(chip, base + 0x10, setup.start)  # jmp(start)
    for word in setup.words:
        write(chip, TXF0 + 4 * machine, word)


def start(chip: Chip, *machines: int) -> int:
    """Enable machines together; returns the device time in ns at which their first instruction runs."""
    write(chip, CTRL + SET, sum(0x101 << machine for machine in machines))
    return chip.now_ns // CYCLE_NS * CYCLE_NS + CYCLE_NS
