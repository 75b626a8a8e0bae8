"""Leaving the program on purpose: a restart, or BOOTSEL mode, in which the boot ROM takes a new runtime over USB.

Imported only when a host asks for it. In BOOTSEL mode nothing of this program runs: the pull resistors brake the
motor, and the needles stay where they are; so the depth has to be at 0.00 mm before.
"""

import time

import machine

from pen.states import ARMED, BOOT, IDLE, LOCKED_OUT, SAFE, SELF_TEST, SERVICE

_AT_REST = (IDLE, ARMED, SAFE, LOCKED_OUT, SERVICE)
_ANSWER_MS = 50  # the answer has to leave first


def refusal(app, to_bootsel):
    """Why the pen does not leave now, None if it does."""
    state = app.supervisor.state
    if state in (BOOT, SELF_TEST):
        return "busy with its tests: wait"
    if state not in _AT_REST or app.drive.awake or app.sequence.parking:
        return "not at rest: end the run"
    if to_bootsel and state != LOCKED_OUT and not app.axis.retracted:
        return "set the depth to 0.00 mm first"
    return None


def leave(app, to_bootsel):
    """Motor off, records stored, then restart or BOOTSEL mode. Does not return."""
    app.drive.shut_down()
    app.axis.close()
    app.store.flush()
    time.sleep_ms(_ANSWER_MS)
    if to_bootsel:
        machine.bootloader()
    machine.reset()
