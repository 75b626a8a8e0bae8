"""After a start that was not an ordinary one: confirms the program that was on trial, then tidies the flash up. Pure.

A program has reached ready. If it was on trial it becomes the confirmed one, and the one before stays beside it for the
case that a list gets damaged, unless its security counter is too low by now. What no set names is removed.
"""

import struct

import pen_loader

from pen.events import PROGRAM_CONFIRMED, PROGRAM_ROLLED_BACK, PROGRAM_SAVED
from pen.store.numbers import KIND_RELEASE, OK, RELEASE_FORMAT
from pen.store.pair import Pair


def counter_pair(files, unique_id):
    """The record of the highest security counter that was confirmed."""
    return Pair(files, KIND_RELEASE, RELEASE_FORMAT, unique_id)


def read_counter(pair):
    """The lowest security counter that the pen accepts; 0 for a pen that never confirmed one."""
    payload = pair.load()
    return struct.unpack("<I", payload)[0] if payload is not None and len(payload) == 4 else 0


def settle(files, unique_id, program, came, log, settled):
    """Generator: confirm and tidy up, a few ms a step. `settled()` is called as soon as the program is confirmed."""
    other, mark = pen_loader.NONE, pen_loader.NONE
    record = pen_loader.parse(files.read(pen_loader.RECORD))
    if came == pen_loader.TRIAL:
        counter = _counter_of(files, program)
        pair = counter_pair(files, unique_id)
        confirmed = read_counter(pair)
        yield
        if counter > confirmed:  # first: else a cut could leave it behind for ever
            files.begin()
            try:
                reason = pair.save_both(struct.pack("<I", counter))
            finally:
                files.end()
            if reason != OK:
                return  # not confirmed: the old program comes back
            yield
        if record and record[0] != program and _counter_of(files, record[0]) >= counter:
            other, mark = record[0], pen_loader.OLD
    _write(files, pen_loader.RECORD, pen_loader.pack(program, other, mark))
    if came == pen_loader.TRIAL:
        log.add(PROGRAM_CONFIRMED, _short(program), counter)
    elif came == pen_loader.ROLLED_BACK:
        log.add(PROGRAM_ROLLED_BACK, _short(record[1]) if record else 0, _short(program))
    else:
        log.add(PROGRAM_SAVED, _short(program))
    settled()
    yield
    for _ in tidy(files, (program, other)):
        yield


def _counter_of(files, name):
    data = files.read("/sets/" + name)
    return int(data[: data.find(b"\n")].split(b" ")[7]) if pen_loader.is_sound(data) else -1


def _short(name):
    """The first seven digits of a set's name, as the log keeps it."""
    return int(name[:7], 16) if name != pen_loader.NONE else 0


def tidy(files, sets):
    """Generator: remove the sets but these, and the files that none of these names."""
    named = set()
    for name in sets:
        data = None if name == pen_loader.NONE else files.read("/sets/" + name)
        yield
        at = data.find(b"\n") + 1 if data else 0
        number = 0
        while data and at < len(data) - 9:
            end = data.find(b"\n", at)
            named.add(data[at:end].split(b" ")[3][:16])
            at = end + 1
            number += 1
            if number % 16 == 0:
                yield
    for folder, kept in (("/sets", [name.encode() for name in sets]), ("/code", named)):
        names = files.names(folder)
        yield
        for name in names:
            if name.encode() not in kept:
                _remove(files, folder + "/" + name)
                yield


def _write(files, path, data):
    files.begin()
    try:
        files.write(path, data)
    finally:
        files.end()


def _remove(files, path):
    files.begin()
    try:
        files.remove(path)
    finally:
        files.end()
