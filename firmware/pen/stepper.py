"""The stepper of the depth axis: a machine of PIO1 moves the coils, DMA brings it the words; the CPU only looks on.

Times between steps are exact to the microsecond, whatever the CPU does, and a hung CPU cannot add a step: a move ends
with its last word. A move towards home has HOME_N as its gate: the machine itself stops when the switch closes.
"""

import rp2
from machine import Pin, mem32
from micropython import const

from pen.board import (
    PIN_DEPTH_A1,
    PIN_DEPTH_SLEEP_N,
    PIN_HOME_N,
    PIO_DEPTH_STEPS_HZ,
    PIO_DEPTH_STEPS_SM,
)
from pen.pio_programs import depth_steps

_MACHINE = const(PIO_DEPTH_STEPS_SM - 4)  # in PIO1
_FLEVEL = const(0x5030_000C)
_TXF = const(0x5030_0010 + 4 * _MACHINE)
_PADOUT = const(0x5030_003C)
_SM_SHIFTCTRL = const(0x5030_00D0 + 0x18 * _MACHINE)
_SM_ADDR = const(0x5030_00D4 + 0x18 * _MACHINE)
_SM_PINCTRL = const(0x5030_00DC + 0x18 * _MACHINE)
_FJOIN_RX = const(1 << 31)
_IN_BASE = const(0x1F << 15)
_DREQ_TX = const(8 + _MACHINE)
_COIL_MASK = const(15)


def _left(dma):
    """Words that a channel has still to bring."""
    return dma.count


class Stepper:
    """Asleep until `wake`. `run` starts a schedule; `executed` and `finished` tell how far it is."""

    def __init__(self):
        self._sleep_n = Pin(PIN_DEPTH_SLEEP_N, Pin.OUT, value=0)
        self._home_n = Pin(PIN_HOME_N, Pin.IN, Pin.PULL_UP)
        self._machine = rp2.StateMachine(
            PIO_DEPTH_STEPS_SM,
            depth_steps,
            freq=PIO_DEPTH_STEPS_HZ,
            in_base=self._sleep_n,
            out_base=Pin(PIN_DEPTH_A1),
        )
        self._begin = mem32[_SM_ADDR]  # of the program: the gate; the next instruction takes a word
        self._dma = rp2.DMA()
        self._control = self._dma.pack_ctrl(
            size=2, inc_read=True, inc_write=False, treq_sel=_DREQ_TX, irq_quiet=True
        )
        self._schedule = None
        self._until_home = False

    @property
    def asleep(self):
        return self._sleep_n() == 0

    def wake(self):
        """Give the coils current, in the pattern that they have; 1 ms later it flows."""
        self._sleep_n(1)

    def sleep(self):
        """Take the current away; the axis is then held by friction alone."""
        self._sleep_n(0)

    @property
    def at_home(self):
        """True while the home switch is closed."""
        return self._home_n() == 0

    @property
    def running(self):
        """True from `run` to `stop`."""
        return self._schedule is not None

    def run(self, schedule, until_home=False):
        """Start a schedule from rest. `until_home`: the step after the home switch has closed does not come."""
        self.stop()
        self._schedule = schedule
        self._until_home = until_home
        gate = PIN_HOME_N if until_home else PIN_DEPTH_SLEEP_N
        mem32[_SM_PINCTRL] = mem32[_SM_PINCTRL] & ~_IN_BASE | gate << 15
        self._dma.config(
            read=schedule.words, write=_TXF, count=schedule.count, ctrl=self._control, trigger=True
        )
        self._machine.active(1)

    def executed(self):
        """Words of the schedule whose pattern the coils have had.

        Of those that the machine has taken the last may still wait in its shift register: the coils tell.
        """
        schedule = self._schedule
        if schedule is None:
            return 0
        taken = schedule.count - _left(self._dma) - (mem32[_FLEVEL] >> 8 * _MACHINE & 15)
        if taken and (mem32[_PADOUT] >> PIN_DEPTH_A1 ^ schedule.words[taken - 1]) & _COIL_MASK:
            taken -= 1
        return taken

    @property
    def finished(self):
        """True when the last word's time is over, or the home switch has ended the move."""
        schedule = self._schedule
        if schedule is None:
            return True
        at = mem32[_SM_ADDR] - self._begin
        if at == 0:
            return self._until_home and self.at_home
        return at == 1 and self.executed() == schedule.count

    def stop(self):
        """Stop at once, in the pattern that the coils have; returns how many words were executed."""
        self._machine.active(0)
        executed = self.executed()
        self._dma.active(0)
        mem32[_SM_SHIFTCTRL] ^= _FJOIN_RX  # joining the FIFOs and separating them empties them
        mem32[_SM_SHIFTCTRL] ^= _FJOIN_RX
        self._machine.restart()
        self._schedule = None
        return executed

    def close(self):
        """Coils without current, DMA channel given back (end of the program in a development build)."""
        self.stop()
        self.sleep()
        self._dma.close()
