"""The modules of the running program, for `import`: mounted at /app, it knows from the list of the set what is where.

A file system would be asked for three names of each module, also of MicroPython's own, and walk its directories for
each, 2 ms a time. The list answers at once, and says where in the flash the file lies (PR-09). After the start `rest`
frees the list; for what is imported later it is read again.
"""

import errno
import io
import sys
from binascii import crc32

import machine
import uctypes
import vfs
from micropython import const
from pen.board import FLASH_RUNTIME_BYTES

_PLACE = "/app"
_ANYWHERE = (_PLACE, "", ".frozen", "/lib")
_XIP = const(0x1000_0000)
_NOWHERE = "ffffffff"
_FOLDER = (0x4000, 0, 0, 0, 0, 0, 0, 0, 0, 0)
_FILE = (0x8000, 0, 0, 0, 0, 0, 0, 0, 0, 0)

program = ""  # the set
came = 0  # how it was chosen, see pen_loader
timer = None  # runs while the set is on trial
_lines = None
_found = ("", "")  # the module that was looked up last, and its line
_folders: tuple = ()


class Shelf:
    """A file system for `import`."""

    def stat(self, path):
        if path in _folders:
            return _FOLDER
        if _line(path):
            return _FILE
        raise OSError(errno.ENOENT)

    def open(self, path, mode):
        line = _line(path)
        if not line:
            raise OSError(errno.ENOENT)
        crc, size, place, name = line.split()[:4]
        if place != _NOWHERE:
            data = uctypes.bytearray_at(_XIP + FLASH_RUNTIME_BYTES + int(place, 16), int(size))
            if crc32(data) == int(crc, 16):
                return io.BytesIO(data)
        return open("/code/" + name[:16], mode)

    def mount(self, readonly, mkfs):
        pass

    def umount(self):
        pass

    def chdir(self, path):
        pass


def _line(path):
    """What the list says of a module; None if the set does not have it."""
    global _found
    if _lines is not None:
        return _lines.get(path)
    if path == _found[0]:  # `open` after `stat`
        return _found[1]
    if not path.endswith(".mpy") or path.rfind("/") < 1:
        return None
    with open("/sets/" + program, "rb") as file:
        data = file.read()
    end = data.find(b" " + path[1:].encode() + b"\n")
    if end < 0:
        return None
    end += len(path)
    _found = (path, str(data[data.rfind(b"\n", 0, end) + 1 : end], "ascii"))
    return _found[1]


def _by_module(data):
    """The lines of a list by path of the module."""
    lines = {}
    for line in str(data, "ascii").split("\n"):
        lines["/" + line[line.rfind(" ") + 1 :]] = line
    return lines


def put_up(name, data, how):
    """From now on imports find the modules of the set `name`, whose list is `data`, and nothing else."""
    global program, came, _lines, _folders
    program, came, _lines = name, how, _by_module(data)
    first = str(data[: data.find(b"\n")], "ascii")
    _folders = tuple(["/" + folder for folder in first.split(" ")[-1].split(",")])
    vfs.mount(Shelf(), _PLACE)
    sys.path[:] = _ANYWHERE


def hurry():
    """While the program starts, imports look in no file system."""
    sys.path[:] = (_PLACE, ".frozen")


def rest():
    """The program runs: free the list. Imports may look elsewhere again."""
    global _lines
    _lines = None
    sys.path[:] = _ANYWHERE


def forget(*names):
    """Free modules of the package `pen` that were wanted for a time, and the loader."""
    import pen

    # What is deleted from a table stays in its memory, and so alive, until the place is needed again: None goes first.
    modules: dict = sys.modules
    for name in names:
        if modules.get("pen." + name):
            modules["pen." + name] = None
            del modules["pen." + name]
            setattr(pen, name, None)
            delattr(pen, name)
    modules["pen_loader"] = None
    del modules["pen_loader"]


def give_up(error):
    """The program ended by an error: one that is on trial is taken back at once."""
    rest()
    if timer is not None and isinstance(error, Exception):
        sys.print_exception(error)
        machine.reset()


def settled():
    """The set on trial has shown that it works."""
    global timer, came
    if timer is not None:
        timer.deinit()
    timer = None
    came = 0
