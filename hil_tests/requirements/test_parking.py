"""SR-12, SR-08: where the spring cannot take the needles out of the skin, the depth axis does.

With the assumed spring and skin a braked cam can rest with the needles out, held by the skin (see support/known.py).
The pen then sees that top dead centre does not come, and takes the protrusion back to 0.00 mm; freed of the skin the
cam turns to top dead centre after all.
"""

from __future__ import annotations

from typing import Any

import pytest
from support.bench import LIMIT, MS, PROTRUSION_MM, Pens, rate, to_angle
from support.forks import each_in_fork, in_fork
from support.nights import mostly_nightly

from needlepen.cartridges.emulated import emulated_cartridge
from needlepen.emulator.pen import EmulatedPen
from needlepen.link.client import messages

ANGLES = [k / 18 for k in range(18)]
OUT_MM = 0.1  # PR-06: the zero of a calibrated pen may be off by this
IN_SKIN_MS = float(LIMIT("SR-12", "standstill_ms")) + float(LIMIT("SR-08", "tips_out_ms"))
ALLOWED_MS = IN_SKIN_MS + float(LIMIT("PR-05", "full_move_ms"))


def _release(pen: EmulatedPen, _turn: float) -> dict[str, Any]:
    pen.release()
    pen.run_for(ALLOWED_MS * MS)
    state = pen.physics.peek(pen.now_ns)
    kept_mm = pen.telemetry.depth_set_mm if pen.telemetry else None
    return {"needle_mm": state.needle_mm, "at_tdc": pen.electronics.level("TDC") == 1, "set_mm": kept_mm}


def _sweep(pen: EmulatedPen, needles: int) -> list[dict[str, Any]]:
    pen.unseat_cartridge()
    pen.run_for(300 * MS)
    pen.seat_cartridge(emulated_cartridge(needles=needles, serial=7))
    pen.command(messages.SET_RATE, 150)
    pen.command(messages.SET_DEPTH, round(1e3 * PROTRUSION_MM))
    pen.wait_state("idle")
    pen.wait_state("armed")
    pen.run_for(250 * MS)
    pen.press()
    assert pen.run_until(lambda: rate(pen) > 140, 500 * MS, MS)
    pen.touch_skin()
    pen.run_for(300 * MS)
    return each_in_fork(pen, _release, ANGLES, prepare=to_angle)


@pytest.mark.parametrize("needles", mostly_nightly([12, 36], 36))
def test_after_a_release_in_skin_no_needle_stays_out(pens: Pens, needles: int) -> None:
    seen = dict(zip(ANGLES, in_fork(_sweep, pens.ready(), needles), strict=True))
    taken_in = [angle for angle, o in seen.items() if o["set_mm"] == 0.0]
    print(f"{needles} needles: the depth axis helped after {len(taken_in)} of {len(seen)} angles")
    left = {
        f"{360 * angle:.0f} deg": o for angle, o in seen.items() if o["needle_mm"] > OUT_MM or not o["at_tdc"]
    }
    assert not left, "within the time of spring and depth axis"
    if needles == 12:
        assert len(taken_in) < len(seen) / 4, "an ordinary release keeps the depth"
    else:
        assert taken_in, "no angle tries what this test is about"
