"""A block device between MicroPython's file system and the flash that refuses to write while the motor may turn.

A flash operation stops the CPU for tens of ms. `install` puts this device under "/", so the rule holds for whatever
uses files: the store, a module's open(), os, mpremote. Reads go straight to the port's own code. Whoever writes
with rp2.Flash itself goes around the guard; the heartbeat cut-off (SR-10) then ends the run within 10 ms.
"""

import rp2
import vfs
from machine import mem32
from micropython import const

from pen.board import PIN_RUN_N

_GPIO_IN = const(0xD000_0004)
_RUN_N = 1 << PIN_RUN_N
_EBUSY = const(16)
_ERASE = const(6)
_PROGRAM_BYTES = const(256)


class GuardedFlash:
    """`may_write()` says whether the drive rests; the permission line is read besides. `blocked` counts refusals."""

    def __init__(self, may_write):
        flash = rp2.Flash()
        self._flash = flash
        self._may_write = may_write
        self.readblocks = flash.readblocks
        self.blocked = 0

    @property
    def open(self):
        """True while writing is allowed: the drive rests and RUN_N does not permit to drive."""
        return bool(mem32[_GPIO_IN] & _RUN_N) and self._may_write()

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
        file_system = vfs.VfsLfs2(self, progsize=_PROGRAM_BYTES, mtime=False)
        vfs.umount("/")
        vfs.mount(file_system, "/")
