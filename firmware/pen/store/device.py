"""The pen's own store: guarded flash under MicroPython's files, the chip's unique ID, its watchdog.

A flash operation stops the CPU for tens of ms, so nothing is written while the motor may turn. GuardedFlash under "/"
makes that hold for whatever uses files: the store, a module's open(), os, mpremote. Whoever writes with rp2.Flash
itself goes around the guard; the heartbeat cut-off (SR-10) then ends the run within 10 ms.
"""

import os
import time

import machine
import rp2
import vfs
from machine import mem32
from micropython import const

from pen.board import PIN_RUN_N
from pen.build_info import BUILD_KIND
from pen.store.store import Store

_GPIO_IN = const(0xD000_0004)
_RUN_N = 1 << PIN_RUN_N
_REST_MS = const(200)
_ERASE = const(6)
_PROGRAM_BYTES = const(256)
_ENOENT = const(2)
_EBUSY = const(16)
_EEXIST = const(17)
_WATCHDOG_CTRL = const(0x4005_8000)
_WATCHDOG_ENABLE = const(1 << 30)
_WRITING_MS = const(2_000)  # one change may take two sector erases of up to 400 ms each


class GuardedFlash:
    """`may_write()` says whether the drive rests; the permission line is read besides. `blocked` counts refusals.

    After permission was seen it takes 200 ms of rest: a braked motor stops in 60 ms at most, and then the spring swings
    the cam to its resting place. `open` has to be asked in every pass of the main loop while the drive is awake.
    """

    def __init__(self, may_write):
        flash = rp2.Flash()
        self._flash = flash
        self._may_write = may_write
        self.readblocks = flash.readblocks
        self.blocked = 0
        self._at_rest = True
        self._permitted_ms = 0

    @property
    def open(self):
        """True while writing is allowed."""
        if not mem32[_GPIO_IN] & _RUN_N:
            self._at_rest = False
            self._permitted_ms = time.ticks_ms()
            return False
        if not self._at_rest:
            self._at_rest = time.ticks_diff(time.ticks_ms(), self._permitted_ms) >= _REST_MS
        return self._at_rest and self._may_write()

    def writeblocks(self, block, data, offset=0):
        if not self.open:
            self.blocked += 1
            return -_EBUSY
        return self._flash.writeblocks(block, data, offset)

    def ioctl(self, operation, argument):
        if operation == _ERASE and not self.open:
            self.blocked += 1
            return -_EBUSY
        return self._flash.ioctl(operation, argument)

    def mount(self):
        """(Re)mount "/" over this device. After a refusal littlefs has a half-made change in its RAM: this drops it."""
        file_system = vfs.VfsLfs2(self, progsize=_PROGRAM_BYTES, mtime=False)  # type: ignore[arg-type]
        vfs.umount("/")
        vfs.mount(file_system, "/")


class Files:
    """MicroPython's own file functions. Tests and the host use the same calls on a file system image."""

    def read(self, path, size=-1):
        try:
            with open(path, "rb") as file:
                return file.read(size)
        except OSError as error:
            if error.errno == _ENOENT:
                return None
            raise

    def write(self, path, data):
        """Replace the contents: littlefs shows the old or the new ones, never a mixture."""
        with open(path, "wb") as file:
            file.write(data)

    def create(self, path):
        """An empty file, open for writing; what was there stays until it is closed."""
        return open(path, "wb")

    def append(self, path, data):
        """Append; whole or not at all."""
        with open(path, "ab") as file:
            file.write(data)

    def rename(self, old, new):
        os.rename(old, new)

    def remove(self, path):
        os.remove(path)

    def names(self, folder):
        """Names of the entries of a folder, sorted."""
        return sorted(os.listdir(folder))

    def make_folder(self, path):
        try:
            os.mkdir(path)
        except OSError as error:
            if error.errno != _EEXIST:
                raise


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
        if mem32[_WATCHDOG_CTRL] & _WATCHDOG_ENABLE:
            machine.WDT(timeout=ms)


def open_store(may_write, watchdog_ms):
    """The pen's Store, with "/" guarded from now on.

    `may_write()`: True while the drive rests; `watchdog_ms`: the watchdog's time outside of writes.
    """
    guard = GuardedFlash(may_write)
    guard.mount()
    return Store(Device(guard, watchdog_ms), machine.unique_id(), BUILD_KIND == "development")
