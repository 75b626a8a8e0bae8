"""Records in flash: event log, settings, counters, calibration, keys. `device.open_store` makes the pen's Store.

Everything but `device` is pure: it gets a `files` object (see `device.Device`) and runs on CPython as well.
Rules of this package: nothing is written while the motor turns (GuardedFlash enforces it), a record is either whole or
refused with a reason, a refused one is kept aside before its place is used again, a newer format is never overwritten.
"""
