# cython: infer_types=True, annotation_typing=False
"""The state of one PIO state machine: configuration registers, FIFOs, and when it has something to do.

Runs plain and compiled (with pio_state.pxd). Times are clk_sys cycles, or 1/256 of them (`_fp`). A machine
that stalls sleeps: it costs nothing until `poke` finds that its condition may hold, and then looks again at
its own next clock tick, so that its divider keeps its phase.
"""

from __future__ import annotations

from typing import Any

from needlepen.emulator.pio_shared import PioShared

WORD = 0xFFFFFFFF
NO_OPCODE = -1
CLKDIV, EXECCTRL, SHIFTCTRL, ADDR, INSTR, PINCTRL = range(0, 0x18, 4)
EXEC_STALLED = 1 << 31
DEBUG_TXOVER, DEBUG_RXUNDER = 1 << 16, 1 << 8


class PioState:
    """A state machine without its instructions."""

    def __init__(self, shared: PioShared, index: int, dma: Any, dreq_tx: int, dreq_rx: int) -> None:
        self.shared = shared
        self.index = index
        self.dma = dma
        self.dreq_tx, self.dreq_rx = dreq_tx, dreq_rx
        self.waiting = False  # asked by rp2040py's pads; waiting is ours
        self.wait_type = self.wait_index = 0
        self.reset()

    def reset(self) -> None:
        self.enabled = False
        self.clock_register, self.exec_register = 1 << 16, 0x1F << 12
        self.shift_register, self.pin_register = 3 << 18, 5 << 26
        self.next_fp, self.divider_fp = 0, 256
        self.pc = self.x = self.y = self.osr = 0
        self.forced = NO_OPCODE
        self.tx: list[int] = []
        self.rx: list[int] = []
        self.decode()
        self.restart()
        self.is_tx_told, self.is_rx_told = False, True  # the opposite of what is so
        self.publish()

    def restart(self) -> None:
        """What CTRL.SM_RESTART clears: shift state, delays, and instructions that stall."""
        self.isr = self.isr_count = 0
        self.osr_count = 32
        self.is_asleep = self.is_irq_raised = self.has_jumped = self.is_loading = False
        self.forced = self.stalled_force = NO_OPCODE
        self.exec_register &= ~EXEC_STALLED

    def decode(self) -> None:
        """Unpack the configuration registers."""
        pins, control, shift = self.pin_register, self.exec_register, self.shift_register
        self.side_count = (pins >> 29) & 7
        self.set_count = (pins >> 26) & 7
        self.out_count = (pins >> 20) & 0x3F
        self.in_base = (pins >> 15) & 0x1F
        self.side_base = (pins >> 10) & 0x1F
        self.set_base = (pins >> 5) & 0x1F
        self.out_base = pins & 0x1F
        self.side_optional = (control >> 30) & 1 == 1
        self.side_directions = (control >> 29) & 1 == 1
        self.jump_pin = (control >> 24) & 0x1F
        self.wrap_top = (control >> 12) & 0x1F
        self.wrap_bottom = (control >> 7) & 0x1F
        self.autopush = (shift >> 16) & 1 == 1
        self.autopull = (shift >> 17) & 1 == 1
        self.in_right = (shift >> 18) & 1 == 1
        self.out_right = (shift >> 19) & 1 == 1
        self.push_threshold = (shift >> 20) & 0x1F or 32
        self.pull_threshold = (shift >> 25) & 0x1F or 32
        self.tx_depth = 0 if (shift >> 31) & 1 else (8 if (shift >> 30) & 1 else 4)
        self.rx_depth = 8 if (shift >> 31) & 1 else (0 if (shift >> 30) & 1 else 4)

    # clock

    def is_ready(self) -> bool:
        """True if it has something to do at its next tick."""
        return not self.is_asleep and (self.enabled or self.stalled_force >= 0)

    def poke(self, visible_cycle: int) -> int:
        """Something changed that is visible from this cycle on: wake at the first own tick that sees it."""
        if self.is_asleep:
            self.is_asleep = False
            behind_fp = ((visible_cycle - 1) << 8) + 1 - self.next_fp
            if behind_fp > 0:
                self.next_fp += (behind_fp + self.divider_fp - 1) // self.divider_fp * self.divider_fp
        return 0

    # FIFOs

    def take_word(self) -> int:
        self.shared.fifo_changed = True
        value: int = self.tx.pop(0)
        self.publish()
        return value

    def put_word(self, value: int) -> int:
        self.shared.fifo_changed = True
        self.rx.append(value)
        self.publish()
        return 0

    def publish(self) -> int:
        """Tell DMA, if that has changed, whether it may write and read."""
        has_room = len(self.tx) < self.tx_depth
        if has_room != self.is_tx_told:
            self.is_tx_told = has_room
            (self.dma.set_dreq if has_room else self.dma.clear_dreq)(self.dreq_tx)
        has_word = len(self.rx) > 0
        if has_word != self.is_rx_told:
            self.is_rx_told = has_word
            (self.dma.set_dreq if has_word else self.dma.clear_dreq)(self.dreq_rx)
        return 0

    def write_tx(self, value: int, cycle: int) -> None:
        """A word from the CPU or DMA."""
        if len(self.tx) >= self.tx_depth:
            self.shared.debug |= DEBUG_TXOVER << self.index
            return
        self.tx.append(value)
        self.publish()
        if self.is_asleep:
            self.poke(cycle + 1)
        elif self.autopull and self.osr_count >= self.pull_threshold:
            self.osr = self.take_word()
            self.osr_count = 0

    def read_rx(self, cycle: int) -> int:
        """A word for the CPU or DMA."""
        if not self.rx:
            self.shared.debug |= DEBUG_RXUNDER << self.index
            return 0
        value: int = self.rx.pop(0)
        self.publish()
        if self.is_asleep:
            self.poke(cycle + 1)
        return value

    # registers

    def read(self, offset: int) -> int:
        if offset == CLKDIV:
            return self.clock_register
        if offset == EXECCTRL:
            return self.exec_register
        if offset == SHIFTCTRL:
            return self.shift_register
        if offset == ADDR:
            return self.pc
        if offset == INSTR:
            return int(self.shared.instructions[self.pc])
        return self.pin_register

    def write(self, offset: int, value: int) -> None:
        """Write a register; INSTR, which executes, is the block's business."""
        if offset == CLKDIV:
            self.clock_register = value & 0xFFFFFF00
            # An integer part of 0 divides by 65536.
            self.divider_fp = (value >> 8) & 0xFFFFFF if value >> 16 else (65536 << 8) | ((value >> 8) & 0xFF)
        elif offset == EXECCTRL:
            self.exec_register = (value & ~EXEC_STALLED) | (self.exec_register & EXEC_STALLED)
        elif offset == SHIFTCTRL:
            if (value ^ self.shift_register) >> 30:  # joining or parting the FIFOs empties them
                self.tx.clear()
                self.rx.clear()
            self.shift_register = value
        elif offset == PINCTRL:
            self.pin_register = value
        self.decode()
        if offset == SHIFTCTRL:
            self.publish()
