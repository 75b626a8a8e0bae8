"""Requirements that the reference design does not keep everywhere, each with its reason and a day by which to decide.

Such a test runs and measures as any other; its failure is reported as expected until that day, and fails after it.
"""

from __future__ import annotations

from datetime import date

import pytest

SPRING_AGAINST_SKIN = pytest.mark.xfail(
    date.today() < date(2027, 6, 30),
    reason="design: with the assumed spring and skin friction a braked pen leaves needles in skin near their deepest "
    "point, and the trigger gate forbids driving them out; needs a stronger spring or another gate (by 2027-06-30)",
)

PRESS_DURING_AN_ERASE = pytest.mark.xfail(
    date.today() < date(2027, 6, 30),
    reason="firmware: a press of a depth button that is shorter than the erase of a flash sector (90 ms) is lost if it "
    "falls into one; the log has to wait with its tidying until nobody presses (by 2027-06-30)",
)

HEAP_IN_PIECES = pytest.mark.xfail(
    date.today() < date(2027, 6, 30),
    reason="firmware: the buffer for a file of an update does not always find room in the heap of a pen that was not "
    "restarted; files have to be written as they come (by 2027-06-30)",
)
