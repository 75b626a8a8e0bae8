"""Every fault of the pen: number, requirement, what happened, what to do. Data; firmware, host and documents read it.

`latched_ms` is the time for which a fault cannot be acknowledged.
"""

from pen.limits import SR09_LATCHED_S

NONE = 0
OVERCURRENT = 1
OVERSPEED = 2
STALL = 3
HEARTBEAT_LOST = 4
MAIN_LOOP_LATE = 5
SUPERVISION_LOST = 6
WATCHDOG_RESET = 7
PROOF_FAILED = 8
START_REFUSED = 9

# number: (name, requirement, what happened, what to do, latched_ms)
FAULTS = {
    OVERCURRENT: (
        "overcurrent",
        "SR-09",
        "The motor current passed the limit of the hardware latch: the needles jammed, or there is a short.",
        "Lift the pen, wait 10 s, acknowledge. If it comes back, winding or bridge is damaged: do not use the pen.",
        1000 * SR09_LATCHED_S,
    ),
    OVERSPEED: (
        "overspeed",
        "SR-06",
        "The motor ran faster than the pen allows.",
        "Acknowledge. If it comes back, the bridge is damaged: do not use the pen.",
        0,
    ),
    STALL: (
        "stall",
        "SR-08",
        "The needles stopped moving, or the rotation sensor sent nothing.",
        "Lift the pen, check the cartridge, acknowledge.",
        0,
    ),
    HEARTBEAT_LOST: (
        "heartbeat lost",
        "SR-10",
        "The control tick did not run in time.",
        "Acknowledge. If it comes back, reinstall the firmware.",
        0,
    ),
    MAIN_LOOP_LATE: (
        "main loop late",
        "SR-10",
        "The supervising program did not run in time.",
        "Acknowledge. If it comes back, reinstall the firmware.",
        0,
    ),
    SUPERVISION_LOST: (
        "supervision lost",
        "SR-10",
        "A cut-off or index machine was not running.",
        "Switch the pen off and on. If it comes back, reinstall the firmware.",
        0,
    ),
    WATCHDOG_RESET: (
        "watchdog reset",
        "SR-10",
        "The firmware hung and the watchdog restarted the pen.",
        "Acknowledge. If it comes back, reinstall the firmware.",
        0,
    ),
    PROOF_FAILED: (
        "cut-off proof failed",
        "SR-10",
        "A cut-off channel did not work when it was tried.",
        "Switch the pen off and on. If it comes back, the pen needs repair.",
        0,
    ),
    START_REFUSED: (
        "start refused",
        "SR-11",
        "The hardware did not give permission to drive.",
        "Release the trigger, acknowledge, try again.",
        0,
    ),
}


def name(number):
    return FAULTS[number][0] if number in FAULTS else "none" if number == NONE else "fault %d" % number


def latched_ms(number):
    return FAULTS[number][4] if number in FAULTS else 0
