# cython: infer_types=True, annotation_typing=False
"""What the four state machines of a PIO block have in common: programs, pins, interrupt flags.

Runs plain and compiled (with pio_shared.pxd).
"""

from __future__ import annotations

WORD = 0xFFFFFFFF  # a named constant gets a C type in the .pxd, a literal of this size none


class PioShared:
    """What the four machines of a block have in common."""

    def __init__(self) -> None:
        self.reset()
        self.inputs = 0  # levels of all pads behind their synchronisers

    def reset(self) -> None:
        self.instructions = [0] * 32
        self.pin_values = self.pin_directions = 0
        self.irq = self.irq_before = self.debug = 0
        self.irq_cycle = -1
        self.irq_changed = self.fifo_changed = False

    def visible_irq(self, cycle: int) -> int:
        """The interrupt flags as an instruction in this cycle sees them."""
        return self.irq_before if self.irq_cycle >= cycle else self.irq

    def change_irq(self, raised: int, cleared: int, cycle: int) -> None:
        """Raise and clear flags in this cycle."""
        if cycle != self.irq_cycle:
            self.irq_before = self.irq
            self.irq_cycle = cycle
        self.irq = (self.irq | raised) & ~cleared & 0xFF
        self.irq_changed = True

    def write_pins(self, value: int, base: int, count: int, directions: bool) -> None:
        mask = (1 << count) - 1 if count < 32 else WORD
        value &= mask
        if base:  # a rotation: pins beyond 31 wrap around
            mask = ((mask << base) | (mask >> (32 - base))) & WORD
            value = ((value << base) | (value >> (32 - base))) & WORD
        if directions:
            self.pin_directions = ((self.pin_directions & ~mask) | value) & 0x3FFFFFFF
        else:
            self.pin_values = ((self.pin_values & ~mask) | value) & 0x3FFFFFFF
