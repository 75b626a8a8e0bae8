"""SR-25: what a comparison of tags costs on the chip does not say where they differ."""

from __future__ import annotations

from pathlib import Path

from support.store_rig import StoreRig

PLACES = (None, 0, 1, 15, 30, 31)
ROUNDS = 40
CODE = f"""
from pen.store.auth import same
def cost(place):
    given = bytearray(32)
    if place is not None:
        given[place] = 255
    right, given = bytes(32), bytes(given)
    gc.collect()
    begun = time.ticks_us()
    for k in range({ROUNDS}):
        same(right, given)
    return time.ticks_diff(time.ticks_us(), begun)
cost(0)
print([cost(place) for place in {PLACES!r}])
"""


def test_a_comparison_takes_as_long_wherever_two_tags_differ(runtime: Path, tmp_path: Path) -> None:
    rig = StoreRig(runtime, tmp_path)
    out, error = rig.chip.console.exec("import gc, time\n" + CODE)
    assert not error, error
    costs_us = dict(zip(PLACES, eval(out), strict=True))
    spread = (max(costs_us.values()) - min(costs_us.values())) / min(costs_us.values())
    print(
        f"{ROUNDS} comparisons, us by the place of the difference: {costs_us}; spread {spread:.4f}, limit 0.01"
    )
    assert spread <= 0.01
