"""The store of the pen itself: guarded flash, MicroPython's files, the chip's unique ID and its watchdog."""

import machine
from micropython import const

from pen.build_info import BUILD_KIND
from pen.store.files import Files
from pen.store.guard import GuardedFlash
from pen.store.store import Store

_WATCHDOG_CTRL = const(0x4005_8000)
_WATCHDOG_ENABLE = const(1 << 30)
_WRITING_MS = const(2_000)  # one change may take two sector erases of up to 400 ms each


class Device(Files):
    """Files, and what a write needs around it."""

    def __init__(self, guard, watchdog_ms):
        self._guard = guard
        self._watchdog_ms = watchdog_ms

    @property
    def may_write(self):
        return self._guard.open

    @property
    def blocked(self):
        return self._guard.blocked

    def begin(self):
        """Before a write: the watchdog waits for the slowest flash. Only without permission, so no motor turns."""
        self._patience(_WRITING_MS)

    def end(self):
        """After a write."""
        self._patience(self._watchdog_ms)

    def recover(self):
        """After a blocked write."""
        self._guard.mount()
        self._guard.blocked = 0

    def _patience(self, ms):
        if machine.mem32[_WATCHDOG_CTRL] & _WATCHDOG_ENABLE:
            machine.WDT(timeout=ms)


def open_store(may_write, watchdog_ms):
    """The pen's Store, with "/" guarded from now on.

    `may_write()`: True while the drive rests; `watchdog_ms`: the watchdog's time outside of writes.
    """
    guard = GuardedFlash(may_write)
    guard.mount()
    return Store(Device(guard, watchdog_ms), machine.unique_id(), BUILD_KIND == "development")
