"""Starts the pen. Everything else is in the package `pen` of the program that boot.py has chosen."""

import micropython

# Again: MicroPython lets Ctrl-C in anew for each file that it runs, and USB begins after boot.py (SR-25).
micropython.kbd_intr(-1)

import gc  # noqa: E402
import time  # noqa: E402

import machine  # noqa: E402

started_ms = time.ticks_ms()
development = False

# Importing leaves garbage between what stays. Collected often, what stays lies together and the rest of the heap is
# free in one piece; left to itself it would be in pieces of 1 KiB.
gc.threshold(32_768)

try:
    import pen_shelf

    pen_shelf.hurry()
    from pen.build_info import BUILD_KIND

    development = BUILD_KIND == "development"
    if development:
        micropython.kbd_intr(3)

    from pen import app

    app.run(started_ms)
except BaseException as error:
    try:
        pen_shelf.give_up(error)
    finally:
        if not development:
            # Never the REPL. The watchdog, if it runs, comes first: the pen then says what happened (SR-10).
            time.sleep_ms(400)
            machine.reset()
    raise
