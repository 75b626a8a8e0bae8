"""Starts the pen. Everything else is in the package `pen` of the program that boot.py has chosen."""

import gc
import time

started_ms = time.ticks_ms()

# Importing leaves garbage between what stays. Collected often, what stays lies together and the rest of the heap is
# free in one piece; left to itself it would be in pieces of 1 KiB.
gc.threshold(32_768)

try:
    from pen import app

    app.run(started_ms)
except Exception as error:
    import pen_shelf

    pen_shelf.rest()
    import pen_loader

    pen_loader.give_up(error)
