"""Chooses the program that the pen runs, and takes back one that does not reach ready.

A program is a set: a list under /sets whose lines say which file of /code is which module. /boot names the confirmed
set and another one, with a mark: new (never booted), tried (booted once, not confirmed), old (the one before).

    new    -> it is marked as tried and booted; it confirms itself when it is ready (pen.settle)
    tried  -> it was not confirmed: the confirmed set is booted again
    else   -> the confirmed set
    A damaged list or record -> the other set.

Neither this file nor boot.py, main.py and pen_shelf belong to a set: an update leaves them alone. `choose` and the
records are pure; `files` reads and writes.
"""

from binascii import crc32

from micropython import const

RECORD = "/boot"
SETS = "/sets"
NONE = "-"
NEW = "new"
TRIED = "tried"
OLD = "old"
# How the running set came to be chosen.
ORDINARY = const(0)
TRIAL = const(1)
ROLLED_BACK = const(2)
DAMAGED = const(3)
FORMAT = b"needlepen-set 1 "
_TRIAL_MS = const(10_000)  # a sound pen is ready after 2.5 s
_WATCHDOG_MS = const(8_000)  # the longest of the RP2040; an import that hangs feeds nobody


def pack(confirmed, other, mark):
    """The record as bytes: two sets (NONE for none) and the mark of the other one."""
    text = "boot 1 %s %s %s\n" % (confirmed, other, mark)
    return b"%s%08x\n" % (text.encode(), crc32(text.encode()))


def parse(data):
    """(confirmed, other, mark), or None if these bytes are no record."""
    words = data.split() if data else ()
    if len(words) != 6 or words[:2] != [b"boot", b"1"]:
        return None
    try:
        record = tuple([str(word, "ascii") for word in words[2:5]])
    except ValueError:
        return None
    return record if data == pack(*record) else None


def is_sound(data):
    """Whether these bytes are the list of a set: format, and the CRC in the last line."""
    if not data or not data.startswith(FORMAT):
        return False
    end = data.rfind(b"\n", 0, len(data) - 1) + 1
    return data[end:] == b"%08x\n" % crc32(memoryview(data)[:end])


def choose(files):
    """(set, its list, how it came to be chosen), or None without any sound set."""
    record = parse(files.read(RECORD))
    came = ORDINARY
    if record is None:
        order, came = files.names(SETS), DAMAGED
    else:
        confirmed, other, mark = record
        order = (confirmed, other)
        if mark == TRIED:
            came = ROLLED_BACK
        elif mark == NEW:
            try:
                files.write(RECORD, pack(confirmed, other, TRIED))
                order, came = (other, confirmed), TRIAL
            except OSError:  # better an old program than one that is never taken back
                order = (confirmed,)
    for place, name in enumerate(order):
        data = None if name == NONE else files.read("%s/%s" % (SETS, name))
        if is_sound(data):
            if place:
                came = ROLLED_BACK if came == TRIAL else DAMAGED
            return name, data, came
    return None


class _Files:
    def read(self, path):
        try:
            with open(path, "rb") as file:
                return file.read()
        except OSError:
            return None

    def write(self, path, data):
        with open(path, "wb") as file:  # littlefs shows the old contents or the new ones
            file.write(data)

    def names(self, folder):
        import os

        try:
            return sorted(os.listdir(folder))
        except OSError:
            return ()


def begin():
    """Choose, and mount what was chosen for `import`. The loader itself is forgotten then."""
    import sys

    import pen_shelf

    chosen = choose(_Files())
    if chosen is None:
        print("the pen holds no program: install one with 'needlepen flash'")
        return
    pen_shelf.put_up(*chosen)
    if chosen[2] == TRIAL:
        _watch_trial(pen_shelf)
    del sys.modules["pen_loader"]


def _watch_trial(shelf):
    """The pen restarts, and the old set runs again, unless the new one calls `settled` in time."""
    import machine

    machine.WDT(timeout=_WATCHDOG_MS)
    shelf.timer = machine.Timer(
        -1, period=_TRIAL_MS, mode=machine.Timer.PERIODIC, callback=lambda _: machine.reset()
    )
