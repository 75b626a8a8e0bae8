# cython: infer_types=True, annotation_typing=False
"""One PIO state machine, instruction by instruction and cycle by cycle (RP2040 datasheet chapter 3).

Runs plain and compiled (with pio_machine.pxd). Times are clk_sys cycles; where fractions of the divider
count, 1/256 of a cycle (`_fp`). An instruction that runs in cycle n takes effect at n; what another machine
or the bus changes in cycle n is seen from n + 1 on. A machine that stalls sleeps: it costs nothing until
`poke` finds that its condition may hold, and then looks again at its own next clock tick, so that its
divider keeps its phase.
"""

from __future__ import annotations

from typing import Any

WORD = 0xFFFFFFFF  # a named constant gets a C type in the .pxd, a literal of this size none
NO_OPCODE = -1
FIFO_DEPTH = 4
CLKDIV, EXECCTRL, SHIFTCTRL, ADDR, INSTR, PINCTRL = range(0, 0x18, 4)
EXEC_STALLED = 1 << 31
DEBUG_TXSTALL, DEBUG_TXOVER, DEBUG_RXUNDER, DEBUG_RXSTALL = 1 << 24, 1 << 16, 1 << 8, 1 << 0


def reversed_bits(value: int) -> int:
    """A word with its bits in reverse order."""
    value = ((value & 0x55555555) << 1) | ((value >> 1) & 0x55555555)
    value = ((value & 0x33333333) << 2) | ((value >> 2) & 0x33333333)
    value = ((value & 0x0F0F0F0F) << 4) | ((value >> 4) & 0x0F0F0F0F)
    value = ((value & 0x00FF00FF) << 8) | ((value >> 8) & 0x00FF00FF)
    return ((value << 16) | (value >> 16)) & WORD


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


class PioMachine:
    """A state machine with its FIFOs."""

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

    def step(self, cycle: int) -> int:
        """Run the instruction that is due in this cycle."""
        if self.stalled_force >= 0:
            opcode = self.stalled_force
        elif self.forced >= 0:
            opcode = self.forced
        else:
            opcode = self.shared.instructions[self.pc]
        was_forced = self.stalled_force >= 0 or self.forced >= 0
        self.has_jumped = False
        previous = self.forced
        self.forced = NO_OPCODE
        if not self.execute(opcode, cycle):
            self.forced = previous
            if self.is_loading:
                self.is_loading = False
                self.next_fp += self.divider_fp
            else:
                self.is_asleep = True
            return 0
        if self.stalled_force >= 0:
            self.stalled_force = NO_OPCODE
            self.exec_register &= ~EXEC_STALLED
        if not was_forced and not self.has_jumped:
            self.pc = self.wrap_bottom if self.pc == self.wrap_top else (self.pc + 1) & 0x1F
        delay = 0
        if self.forced < 0:  # an instruction that another one supplies comes without delay
            delay = (opcode >> 8) & ((1 << (5 - self.side_count)) - 1)
        self.next_fp += (1 + delay) * self.divider_fp
        return 0

    def force(self, opcode: int, cycle: int) -> int:
        """Execute an instruction that the CPU wrote; if it stalls, it is tried again until it is done."""
        self.has_jumped = False
        self.is_irq_raised = False
        if self.execute(opcode, cycle):
            self.stalled_force = NO_OPCODE
            self.exec_register &= ~EXEC_STALLED
            self.poke(cycle + 1)  # what it interrupted looks again
        else:
            self.stalled_force = opcode
            self.exec_register |= EXEC_STALLED
            self.is_asleep = True
            self.next_fp = cycle << 8
        return 0

    def poke(self, visible_cycle: int) -> int:
        """Something changed that is visible from this cycle on: wake at the first own tick that sees it."""
        if self.is_asleep:
            self.is_asleep = False
            behind_fp = ((visible_cycle - 1) << 8) + 1 - self.next_fp
            if behind_fp > 0:
                self.next_fp += (behind_fp + self.divider_fp - 1) // self.divider_fp * self.divider_fp
        return 0

    # instructions: each returns False if it stalls, without any effect so far

    def execute(self, opcode: int, cycle: int) -> bool:
        kind = opcode >> 13
        argument = opcode & 0xFF
        done = True
        if kind == 0:
            done = self.jump(argument)
        elif kind == 1:
            done = self.wait(argument, cycle)
        elif kind == 2:
            done = self.shift_in(argument)
        elif kind == 3:
            done = self.shift_out(argument)
        elif kind == 4:
            done = self.push_or_pull(argument)
        elif kind == 5:
            done = self.move(argument)
        elif kind == 6:
            done = self.interrupt(argument, cycle)
        else:
            self.assign(argument)
        if self.side_count:
            self.set_sides((opcode >> 8) & 0x1F)  # also while it stalls, and it wins over OUT and SET
        return done

    def set_sides(self, field: int) -> None:
        count = self.side_count
        value = field >> (5 - count)
        if self.side_optional:
            if not field & 0x10:
                return
            count -= 1
        self.shared.write_pins(value, self.side_base, count, self.side_directions)

    def jump(self, argument: int) -> bool:
        condition = argument >> 5
        taken = True
        if condition == 1:
            taken = self.x == 0
        elif condition == 2:
            taken = self.x != 0
            self.x = (self.x - 1) & WORD
        elif condition == 3:
            taken = self.y == 0
        elif condition == 4:
            taken = self.y != 0
            self.y = (self.y - 1) & WORD
        elif condition == 5:
            taken = self.x != self.y
        elif condition == 6:
            taken = (self.shared.inputs >> self.jump_pin) & 1 == 1
        elif condition == 7:
            taken = self.osr_count < self.pull_threshold
        if taken:
            self.pc = argument & 0x1F
            self.has_jumped = True
        return True

    def wait(self, argument: int, cycle: int) -> bool:
        polarity = argument >> 7
        source = (argument >> 5) & 3
        if source == 2:
            mask = self.irq_mask(argument & 0x1F)
            level = 1 if self.shared.visible_irq(cycle) & mask else 0
            if level == polarity and polarity:
                self.shared.change_irq(0, mask, cycle)
            return level == polarity
        pin = argument & 0x1F
        if source == 1:
            pin = (pin + self.in_base) & 0x1F
        return (self.shared.inputs >> pin) & 1 == polarity

    def shift_in(self, argument: int) -> bool:
        count = argument & 0x1F or 32
        pushes = self.autopush and self.isr_count + count >= self.push_threshold
        if pushes and len(self.rx) >= self.rx_depth:
            self.shared.debug |= DEBUG_RXSTALL << self.index
            return False
        value = self.value_of(argument >> 5)
        if count == 32:
            self.isr = value
        elif self.in_right:
            self.isr = (self.isr >> count) | ((value << (32 - count)) & WORD)
        else:
            self.isr = ((self.isr << count) & WORD) | (value & ((1 << count) - 1))
        self.isr_count = min(32, self.isr_count + count)
        if pushes:
            self.put_word(self.isr)
            self.isr = self.isr_count = 0
        return True

    def shift_out(self, argument: int) -> bool:
        if self.autopull and self.osr_count >= self.pull_threshold:
            # The OSR is empty: a word that is there takes this cycle to load, and OUT runs in the next one.
            if self.tx:
                self.osr = self.take_word()
                self.osr_count = 0
                self.is_loading = True
            else:
                self.shared.debug |= DEBUG_TXSTALL << self.index
            return False
        count = argument & 0x1F or 32
        if count == 32:
            value, self.osr = self.osr, 0
        elif self.out_right:
            value = self.osr & ((1 << count) - 1)
            self.osr >>= count
        else:
            value = self.osr >> (32 - count)
            self.osr = (self.osr << count) & WORD
        self.osr_count = min(32, self.osr_count + count)
        self.store(argument >> 5, value, count, False)
        if self.autopull and self.osr_count >= self.pull_threshold and self.tx:
            self.osr = self.take_word()
            self.osr_count = 0
        return True

    def push_or_pull(self, argument: int) -> bool:
        blocks, conditional = argument & 0x20, argument & 0x40
        if argument & 0x80:
            if conditional and self.osr_count < self.pull_threshold:
                return True
            if self.autopull and self.osr_count == 0:
                return True  # a barrier: the OSR is full already
            if self.tx:
                self.osr = self.take_word()
            elif blocks:
                self.shared.debug |= DEBUG_TXSTALL << self.index
                return False
            else:
                self.osr = self.x
            self.osr_count = 0
            return True
        if conditional and self.isr_count < self.push_threshold:
            return True
        if len(self.rx) < self.rx_depth:
            self.put_word(self.isr)
        else:
            self.shared.debug |= DEBUG_RXSTALL << self.index
            if blocks:
                return False
        self.isr = self.isr_count = 0
        return True

    def move(self, argument: int) -> bool:
        value = self.value_of(argument & 7)
        operation = (argument >> 3) & 3
        if operation == 1:
            value = ~value & WORD
        elif operation == 2:
            value = reversed_bits(value)
        self.store(argument >> 5, value, 32, True)
        return True

    def interrupt(self, argument: int, cycle: int) -> bool:
        mask = self.irq_mask(argument & 0x1F)
        if argument & 0x40:
            self.shared.change_irq(0, mask, cycle)
        elif not self.is_irq_raised:
            self.shared.change_irq(mask, 0, cycle)
            if argument & 0x20:
                self.is_irq_raised = True
                return False
        elif self.shared.visible_irq(cycle) & mask:
            return False
        self.is_irq_raised = False
        return True

    def assign(self, argument: int) -> None:
        destination, value = argument >> 5, argument & 0x1F
        if destination == 0:
            self.shared.write_pins(value, self.set_base, self.set_count, False)
        elif destination == 1:
            self.x = value
        elif destination == 2:
            self.y = value
        elif destination == 4:
            self.shared.write_pins(value, self.set_base, self.set_count, True)

    # operands

    def in_pins(self) -> int:
        """The pads as seen from the first input pin."""
        value, base = self.shared.inputs, self.in_base
        return ((value >> base) | (value << (32 - base))) & WORD if base else value

    def value_of(self, source: int) -> int:
        if source == 0:
            return self.in_pins()
        if source == 1:
            return self.x
        if source == 2:
            return self.y
        if source == 5:
            level = len(self.rx) if self.exec_register & 0x10 else len(self.tx)
            return WORD if level < self.exec_register & 0xF else 0
        if source == 6:
            return self.isr
        return self.osr if source == 7 else 0

    def store(self, destination: int, value: int, count: int, is_move: bool) -> None:
        """Destinations of OUT and MOV; two of them differ."""
        if destination == 0:
            self.shared.write_pins(value, self.out_base, self.out_count, False)
        elif destination == 1:
            self.x = value
        elif destination == 2:
            self.y = value
        elif destination == 4:
            if is_move:
                self.forced = value & 0xFFFF
            else:
                self.shared.write_pins(value, self.out_base, self.out_count, True)
        elif destination == 5:
            self.pc = value & 0x1F
            self.has_jumped = True
        elif destination == 6:
            self.isr = value
            self.isr_count = 0 if is_move else count
        elif destination == 7:
            if is_move:
                self.osr = value
                self.osr_count = 0
            else:
                self.forced = value & 0xFFFF

    def irq_mask(self, field: int) -> int:
        """The flag of a WAIT or IRQ instruction; a relative one counts from the machine's own number."""
        number = (field & 4) | ((field + self.index) & 3) if field & 0x10 else field & 7
        return 1 << number

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

    def write(self, offset: int, value: int, cycle: int) -> None:
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
        elif offset == INSTR:
            self.force(value & 0xFFFF, cycle)
        self.decode()
        if offset == SHIFTCTRL:
            self.publish()
