"""Starts the pen. Everything else is in the package `pen`."""

import gc
import time

started_ms = time.ticks_ms()

# Importing leaves garbage between what stays. Collected often, what stays lies together and the rest of the heap is
# free in one piece; left to itself it would be in pieces of 1 KiB.
gc.threshold(32_768)

from pen import shelf  # noqa: E402

shelf.put_up()

from pen import app  # noqa: E402

app.run(started_ms)
