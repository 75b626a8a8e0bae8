# cython: infer_types=True, annotation_typing=False
"""A PIO block: four state machines, their shared instruction memory, flags and pins, and its registers.

Runs plain and compiled (with pio_block.pxd). The run loop calls `run_due` at `due_cycle`, the earliest
clk_sys cycle at which a machine has something to do; a block whose machines all stall has none and costs
nothing.
"""

from __future__ import annotations

from typing import Any

from rp2040py.peripherals.dma import DREQChannel
from rp2040py.peripherals.peripheral import ATOMIC_NORMAL, atomic_update

from needlepen.emulator.pio_machine import PioMachine
from needlepen.emulator.pio_shared import PioShared

NEVER = 1 << 62
CTRL, FSTAT, FDEBUG, FLEVEL, TXF0, RXF0 = 0x00, 0x04, 0x08, 0x0C, 0x10, 0x20
IRQ, IRQ_FORCE, SYNC_BYPASS, DBG_PADOUT, DBG_PADOE, DBG_CFGINFO = 0x30, 0x34, 0x38, 0x3C, 0x40, 0x44
INSTR_MEM0, SM0, SM_SIZE, SM_INSTR, INTR = 0x48, 0xC8, 0x18, 0x10, 0x128
IRQ0_INTE, IRQ0_INTF, IRQ0_INTS, IRQ1_INTE, IRQ1_INTF, IRQ1_INTS = range(0x12C, 0x144, 4)


class PioBlock:
    """PIO0 or PIO1 as the bus, the pads, DMA and the run loop see it."""

    def __init__(self, mcu: Any, name: str, first_irq: int, index: int) -> None:
        self.rp2040 = mcu
        self.name = name
        self.index = index
        self.first_irq = first_irq
        self.raw_write_value = 0
        self.shared = PioShared()
        tx, rx = (
            (int(DREQChannel.DREQ_PIO1_TX0), int(DREQChannel.DREQ_PIO1_RX0))
            if index
            else (int(DREQChannel.DREQ_PIO0_TX0), int(DREQChannel.DREQ_PIO0_RX0))
        )
        self.machines = [PioMachine(self.shared, i, mcu.dma, tx + i, rx + i) for i in range(4)]
        self.due_cycle = NEVER
        self.int_enable0 = self.int_force0 = self.int_enable1 = self.int_force1 = 0
        self.old_values = self.old_directions = 0

    def reset(self) -> None:
        """Everything to its power-on value, instruction memory included; the pads' levels stay what they
        are."""
        inputs = self.shared.inputs
        self.shared.reset()
        self.shared.inputs = inputs
        for machine in self.machines:
            machine.reset()
        self.int_enable0 = self.int_force0 = self.int_enable1 = self.int_force1 = 0
        self.old_values = self.old_directions = 0
        self.plan()
        self.check_interrupts()

    @property
    def pin_values(self) -> int:
        return self.shared.pin_values

    @property
    def pin_directions(self) -> int:
        return self.shared.pin_directions

    def _cycle(self) -> int:
        return int(self.rp2040.clock.nanos / 8.0)

    # running

    def run_due(self, cycle: int) -> int:
        """Run every instruction that is due in this cycle, all machines at once."""
        due_fp = cycle << 8
        for machine in self.machines:
            if machine.next_fp <= due_fp and machine.is_ready():
                machine.step(cycle)
        return self.settle(cycle + 1)

    def settle(self, visible_cycle: int) -> int:
        """Let pads, interrupts and the other machines see what has changed."""
        shared = self.shared
        if shared.irq_changed:
            shared.irq_changed = False
            shared.fifo_changed = True
            for machine in self.machines:
                machine.poke(visible_cycle)
        if shared.fifo_changed:
            shared.fifo_changed = False
            self.check_interrupts()
        self.plan()
        if shared.pin_values != self.old_values or shared.pin_directions != self.old_directions:
            self.show_pins()
        return 0

    def plan(self) -> int:
        """Find the next cycle in which a machine has something to do."""
        due_fp = NEVER
        for machine in self.machines:
            if machine.next_fp < due_fp and machine.is_ready():
                due_fp = machine.next_fp
        self.due_cycle = NEVER if due_fp == NEVER else (due_fp + 255) >> 8
        return 0

    def input_changed(self, inputs: int, cycle: int) -> int:
        """The pads' levels that an instruction in this cycle sees have changed."""
        self.shared.inputs = inputs
        for machine in self.machines:
            machine.poke(cycle)
        self.plan()
        return 0

    def show_pins(self) -> int:
        shared = self.shared
        changed = (self.old_values ^ shared.pin_values) | (self.old_directions ^ shared.pin_directions)
        self.old_values = shared.pin_values
        self.old_directions = shared.pin_directions
        gpio = 0
        while changed:
            if changed & 1:
                self.rp2040.gpio[gpio].check_for_updates()
            changed >>= 1
            gpio += 1
        return 0

    # interrupts

    def raw_interrupts(self) -> int:
        raw = (self.shared.irq & 0xF) << 8
        for machine in self.machines:
            if machine.rx:
                raw |= 1 << machine.index
            if len(machine.tx) < machine.tx_depth:
                raw |= 0x10 << machine.index
        return raw

    def check_interrupts(self) -> int:
        if self.int_enable0 or self.int_enable1 or self.int_force0 or self.int_force1:
            raw = self.raw_interrupts()
            self.rp2040.set_interrupt(self.first_irq, bool((raw & self.int_enable0) | self.int_force0))
            self.rp2040.set_interrupt(self.first_irq + 1, bool((raw & self.int_enable1) | self.int_force1))
        else:
            self.rp2040.set_interrupt(self.first_irq, False)
            self.rp2040.set_interrupt(self.first_irq + 1, False)
        return 0

    # registers

    def read_uint32(self, offset: int) -> int:
        if RXF0 <= offset < IRQ:
            value = self.machines[(offset - RXF0) >> 2].read_rx(self._cycle())
            self.settle(self._cycle() + 1)
            self.check_interrupts()
            return int(value)
        if offset == IRQ:
            return self.shared.irq
        if offset in (INTR, IRQ0_INTS, IRQ1_INTS):
            return self._read_interrupts(offset)
        if SM0 <= offset < INTR:
            return int(self.machines[(offset - SM0) // SM_SIZE].read((offset - SM0) % SM_SIZE))
        if offset == CTRL:
            return sum(machine.enabled << machine.index for machine in self.machines)
        if offset == FSTAT:
            return sum(self._fifo_status(machine) << machine.index for machine in self.machines)
        if offset == FLEVEL:
            return sum((len(m.tx) | len(m.rx) << 4) << 8 * m.index for m in self.machines)
        return self._read_rarely(offset)

    def _read_interrupts(self, offset: int) -> int:
        raw = self.raw_interrupts()
        if offset == INTR:
            return raw
        if offset == IRQ0_INTS:
            return (raw & self.int_enable0) | self.int_force0
        return (raw & self.int_enable1) | self.int_force1

    def _read_rarely(self, offset: int) -> int:
        return {
            FDEBUG: self.shared.debug,
            DBG_PADOUT: self.shared.pin_values,
            DBG_PADOE: self.shared.pin_directions,
            DBG_CFGINFO: 0x200404,
            IRQ0_INTE: self.int_enable0,
            IRQ0_INTF: self.int_force0,
            IRQ1_INTE: self.int_enable1,
            IRQ1_INTF: self.int_force1,
        }.get(offset, 0)

    def _fifo_status(self, machine: Any) -> int:
        status = 0 if machine.rx else 1 << 8
        status |= 1 << 0 if len(machine.rx) >= machine.rx_depth else 0
        status |= 1 << 16 if len(machine.tx) >= machine.tx_depth else 0
        return status | (0 if machine.tx else 1 << 24)

    def write_uint32(self, offset: int, value: int) -> None:
        cycle = self._cycle()
        value &= 0xFFFFFFFF
        if TXF0 <= offset < RXF0:
            self.machines[(offset - TXF0) >> 2].write_tx(value, cycle)
            self.check_interrupts()
        elif offset == IRQ:
            self.shared.change_irq(0, self.raw_write_value & 0xFF, cycle)
        elif offset == IRQ_FORCE:
            self.shared.change_irq(value & 0xFF, 0, cycle)
        elif offset == CTRL:
            self._write_control(value, cycle)
        elif INSTR_MEM0 <= offset < SM0:
            self.shared.instructions[(offset - INSTR_MEM0) >> 2] = value & 0xFFFF
        elif SM0 <= offset < INTR:
            self._write_machine(
                self.machines[(offset - SM0) // SM_SIZE], (offset - SM0) % SM_SIZE, value, cycle
            )
            self.check_interrupts()
        elif offset == FDEBUG:
            self.shared.debug &= ~self.raw_write_value
        else:
            self._write_interrupts(offset, value & 0xFFF)
        self.settle(cycle + 1)

    def _write_machine(self, machine: Any, register: int, value: int, cycle: int) -> None:
        if register == SM_INSTR:
            machine.force(value & 0xFFFF, cycle)
        else:
            machine.write(register, value)

    def _write_interrupts(self, offset: int, value: int) -> None:
        if offset == IRQ0_INTE:
            self.int_enable0 = value
        elif offset == IRQ0_INTF:
            self.int_force0 = value
        elif offset == IRQ1_INTE:
            self.int_enable1 = value
        elif offset == IRQ1_INTF:
            self.int_force1 = value
        self.check_interrupts()

    def _write_control(self, value: int, cycle: int) -> None:
        for machine in self.machines:
            enable = bool(value & (1 << machine.index))
            if value & (0x10 << machine.index):
                machine.restart()
            if (enable and not machine.enabled) or value & (0x100 << machine.index):
                machine.next_fp = (cycle + 1) << 8
                machine.is_asleep = False  # look again, things may have changed meanwhile
            machine.enabled = enable

    def write_uint32_atomic(self, offset: int, value: int, atomic_type: int) -> None:
        self.raw_write_value = value & 0xFFFFFFFF
        if atomic_type != ATOMIC_NORMAL:
            value = atomic_update(self.read_uint32(offset), atomic_type, value)
        self.write_uint32(offset, value)
