"""Starts the pen. Everything else is in the package `pen`."""

import gc

# Importing leaves garbage between what stays. Collected often, what stays lies together, and the rest of the heap is
# free in one piece; left to itself the heap would be in pieces of 1 KiB.
gc.threshold(4096)

from pen import app  # noqa: E402

app.run()
