# cython: infer_types=True, annotation_typing=False
"""The instructions of a PIO state machine, cycle by cycle (RP2040 datasheet chapter 3).

Runs plain and compiled (with pio_machine.pxd). An instruction that runs in cycle n takes effect at n; what
another machine or the bus changes in cycle n is seen from n + 1 on.
"""

from __future__ import annotations

from needlepen.emulator.pio_state import PioState

WORD = 0xFFFFFFFF
NO_OPCODE = -1
EXEC_STALLED = 1 << 31
DEBUG_TXSTALL, DEBUG_RXSTALL = 1 << 24, 1 << 0


def reversed_bits(value: int) -> int:
    """A word with its bits in reverse order."""
    value = ((value & 0x55555555) << 1) | ((value >> 1) & 0x55555555)
    value = ((value & 0x33333333) << 2) | ((value >> 2) & 0x33333333)
    value = ((value & 0x0F0F0F0F) << 4) | ((value >> 4) & 0x0F0F0F0F)
    value = ((value & 0x00FF00FF) << 8) | ((value >> 8) & 0x00FF00FF)
    return ((value << 16) | (value >> 16)) & WORD


class PioMachine(PioState):
    """A state machine."""

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
