"""Drive permission, owned by PIO0: three machines that withdraw it without the CPU, one way to get it back.

RUN_N (low permits) and SUPPLY_EN are driven by PIO0 and by nothing else. Each machine can take permission
away; only the heartbeat machine can give it, and only while it then counts down. A cut sets LATCH_FLAG and
its machine stands still until the CPU clears the flag, so a cut stays a cut whatever arrives later.

The order of a slow cut is supply first, brake 16 us later: braking a bridge whose high-side transistor is
shorted would put a short across the cell, and the supply switch needs 5 us to open (SR-06, SR-10). The
overcurrent cut does both at once: nothing is faster, and the latch of the board opens the supply anyway (SR-09).
"""

import time

import rp2
from machine import Pin, mem32
from micropython import const

from pen.board import (
    PIN_INDEX_CLEAN,
    PIN_RUN_N,
    PIN_SUPPLY_EN,
    PIN_TRIP_N,
    PIO_CUT_TRIP_HZ,
    PIO_CUT_TRIP_SM,
    PIO_HEARTBEAT_HZ,
    PIO_HEARTBEAT_SM,
    PIO_INDEX_WINDOW_HZ,
    PIO_INDEX_WINDOW_SM,
)
from pen.pio_programs import (
    ARM_FLAG,
    HEARTBEAT_CUT,
    LATCH_FLAG,
    TRIP_CUT,
    cut_on_trip,
    heartbeat,
    index_window,
)

_IRQ = const(0x5020_0030)
_IRQ_FORCE = const(0x5020_0034)
_SM_ADDR_TRIP = const(0x5020_00D4 + 0x18 * PIO_CUT_TRIP_SM)
_SM_ADDR_HEARTBEAT = const(0x5020_00D4 + 0x18 * PIO_HEARTBEAT_SM)

_ARM_US = const(150)  # the heartbeat machine needs 5 instructions of 16 us

CUT_TRIP = const(1)
CUT_HEARTBEAT = const(2)
CUT_WINDOW = const(3)


class CutOff:
    """The three machines and the explicit steps that re-arm them."""

    def __init__(self):
        run_n = Pin(PIN_RUN_N)
        supply_en = Pin(PIN_SUPPLY_EN)
        index_clean = Pin(PIN_INDEX_CLEAN)
        self._trip_n = Pin(PIN_TRIP_N, Pin.IN, Pin.PULL_UP)
        self._trip = rp2.StateMachine(
            PIO_CUT_TRIP_SM,
            cut_on_trip,
            freq=PIO_CUT_TRIP_HZ,
            in_base=self._trip_n,
            set_base=run_n,
            sideset_base=supply_en,
        )
        self._heartbeat = rp2.StateMachine(
            PIO_HEARTBEAT_SM, heartbeat, freq=PIO_HEARTBEAT_HZ, set_base=run_n, sideset_base=supply_en
        )
        self._window = rp2.StateMachine(
            PIO_INDEX_WINDOW_SM,
            index_window,
            freq=PIO_INDEX_WINDOW_HZ,
            in_base=index_clean,
            jmp_pin=index_clean,
            set_base=run_n,
            sideset_base=supply_en,
        )
        self._machines = (self._trip, self._heartbeat, self._window)
        self._run_n = run_n
        self._supply_en = supply_en
        self._trip_cut_at = mem32[_SM_ADDR_TRIP] + TRIP_CUT
        self._heartbeat_cut_at = mem32[_SM_ADDR_HEARTBEAT] + HEARTBEAT_CUT
        # Assembling a text takes 3 ms, and `clear` is on the way from the trigger to the first stroke.
        self._drain = rp2.asm_pio_encode("pull(noblock)", 1, True)
        self._take = rp2.asm_pio_encode("mov(isr, osr)", 1, True)
        self._withdraw = rp2.asm_pio_encode("set(pins, 1).side(0)", 1, True)
        self.clear()

    def clear(self):
        """Put all machines at their start with permission withdrawn, then clear the latch flag.

        The index window stays off until `watch`. The heartbeat machine is restarted before the flag is cleared: it
        must not find an old arm request.
        """
        for machine in self._machines:
            machine.active(0)
            machine.restart()
            for _ in range(4):
                machine.exec(self._drain)
        self._heartbeat.exec(self._withdraw)
        mem32[_IRQ] = (1 << LATCH_FLAG) | (1 << ARM_FLAG)
        self._trip.active(1)
        self._heartbeat.active(1)

    def watch(self, window_counts):
        """Load the index window, the longest time for two periods in counts, and let it watch.

        For a motor that has made a turn: the first periods of a start are longer than any stall may last.
        """
        window = self._window
        window.put(window_counts)
        window.exec(self._drain)
        window.exec(self._take)
        window.active(1)

    def watch_trip(self, watching):
        """Stop the machine that watches TRIP_N, for the proof of the latch, or let it go on; `clear` does so too."""
        self._trip.active(watching)

    def arm(self):
        """Give permission. Returns None, or the reason why the hardware refused, as text.

        The control tick must already be sending heartbeats: the first has to arrive within 1.5 ms.
        """
        if self._trip_n.value() == 0:
            return "overcurrent latch is set"
        if self.latched():
            return "a cut is latched"
        mem32[_IRQ_FORCE] = 1 << ARM_FLAG
        time.sleep_us(_ARM_US)
        if not self.permitted():
            return "permission line did not follow"
        return None

    def latched(self):
        return mem32[_IRQ] & (1 << LATCH_FLAG) != 0

    def cause(self, heartbeat_at):
        """CUT_* of the machine that cut. `heartbeat_at`: address of the heartbeat machine when the tick saw the cut.

        The tick answers every cut by ending the heartbeats, so that the heartbeat machine follows any other one:
        it was the cause only if it stood at its cut already then.
        """
        if mem32[_SM_ADDR_TRIP] == self._trip_cut_at:
            return CUT_TRIP
        return CUT_HEARTBEAT if heartbeat_at == self._heartbeat_cut_at else CUT_WINDOW

    def permitted(self):
        """True while RUN_N permits, read back at the pin."""
        return self._run_n.value() == 0

    def supply_enabled(self):
        """True while SUPPLY_EN closes the switch, read back at the pin."""
        return self._supply_en.value() == 1
