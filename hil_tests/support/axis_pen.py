"""The firmware's depth axis on the emulated pen, with a main loop in the app's place: for tests of the axis alone.

The loop keeps the app's rhythm: a pass every 10 ms while the drive is awake, at rest a look at the sensor every 8 ms
and a pass every 250 ms. A fault is shown on the LED pin in the moment it is found, and answered by a retraction.
"""

from __future__ import annotations

import ast
import shutil
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from needlepen import board, paths
from needlepen.build import app_image
from needlepen.emulator.factory import factory_calibration
from needlepen.emulator.injection.vocabulary import Fault
from needlepen.emulator.parameters import PenParameters
from needlepen.emulator.pen import EmulatedPen
from needlepen.emulator.stepper import COILS

MS = 1e6
PATTERNS = (1, 5, 4, 6, 2, 10, 8, 9)
"""Coil ends A1 A2 B1 B2 (bits 0 to 3) of the eight half steps, outward."""

LOOP = """
import gc, time
from machine import ADC, Pin
from pen import control, places
from pen.board import SAFE_OUTPUTS
for pin, level in SAFE_OUTPUTS:
    Pin(pin, Pin.OUT, value=level)
from pen.drive import Drive
from pen.axis import Axis
class Calibration:
    points = %(points)s
    hall_uv_per_mm = %(hall)d
led = Pin(25, Pin.OUT, value=0)
drive = Drive()
axis = Axis(control.state)
axis.set_calibration(Calibration)
adc = ADC(1)
longest_us = 0
def quiet():
    low, high = axis.window_codes
    return low <= adc.read_u16() >> 4 <= high
def run(ms, until_idle=True, retract=True, keep_awake=False):
    global longest_us
    begun = passed = time.ticks_ms()
    while time.ticks_diff(time.ticks_ms(), begun) < ms:
        now = time.ticks_ms()
        control.state[places.MAIN_AGE_MS] = 0
        if axis.wants_drive or keep_awake:
            drive.wake()
        else:
            drive.rest()
        if drive.awake or axis.busy or time.ticks_diff(now, passed) >= 250 or not quiet():
            passed = now
            us = time.ticks_us()
            axis.poll(now, drive.awake)
            longest_us = max(longest_us, time.ticks_diff(time.ticks_us(), us))
            if axis.fault and not led():
                led(1)
                if retract:
                    axis.retract()
            if until_idle and not axis.moving:
                break
        time.sleep_ms(10 if drive.awake else 8)
    took = time.ticks_diff(time.ticks_ms(), begun)
    return (took, axis.fault, axis.homed, axis.half, axis.depth_um, axis.measured_um, axis.warnings, axis.blockers,
            axis.lost_steps, axis.moving, longest_us)
"""


@dataclass(frozen=True)
class Report:
    """What the firmware says of its axis after `AxisPen.run`."""

    took_ms: int
    fault: int
    homed: bool
    half: int
    depth_um: int
    measured_um: int
    warnings: int
    blockers: int
    lost_steps: bool
    moving: bool
    longest_pass_us: int


class AxisPen:
    """A pen whose firmware runs its depth axis only, calibrated like a new pen; not homed."""

    def __init__(self, runtime: Path, firmware: Path, seed: int = 0, **parameters: float) -> None:
        values = PenParameters().but(**parameters)
        reference = board.load()
        self.pen = _ConsolePen(
            reference, runtime, app_image(reference, firmware=firmware).image, values, seed
        )
        self.chip, self.truth = self.pen.chip, self.pen.plant.axis
        self.calibration = factory_calibration(values, seed)
        self.fault_ns: list[int] = []
        self.home_mm = 0.0
        self.chip.on_output(
            reference.gpio("LED"), lambda t_ns, level: self.fault_ns.append(t_ns) if level else None
        )
        self.chip.console.wait_connected()
        self.exec(LOOP % {"points": self.calibration.points, "hall": self.calibration.hall_uv_per_mm})

    def exec(self, code: str) -> str:
        """Run code on the pen; what it printed."""
        out, error = self.chip.console.exec(code)
        assert not error, error
        return out.strip()

    def run(self, first: str = "", ms: int = 10_000, **how: bool) -> Report:
        """Do something and run the loop until the axis is idle again, or for `ms`."""
        options = "".join(f", {name}={value}" for name, value in how.items())
        out = self.exec(f"{first}\nprint(run({ms}{options}))")
        return Report(*ast.literal_eval(out.splitlines()[-1]))

    def home(self) -> Report:
        """Find home; fails the test if that fails."""
        report = self.run("axis.home()")
        assert report.homed and not report.fault, report
        self.home_mm = self.truth.protrusion_mm
        return report

    @property
    def out_mm(self) -> float:
        """True protrusion now, in mm beyond where it is at home."""
        return float(self.truth.protrusion_mm - self.home_mm)

    def to(self, depth_um: int, slow: bool = False) -> Report:
        """Go to a depth that must not be refused."""
        return self.run(f"assert axis.move_to({depth_um}, {slow}) is None")

    def break_in(
        self, ms: float, target: str, kind: str, value: Any = None, for_ms: float | None = None
    ) -> float:
        """Put a fault of the injection catalogue in `ms` from now; returns that time in ns."""
        fault = Fault(target, kind, value, duration_s=None if for_ms is None else for_ms / 1e3)
        return self.at(ms, lambda: self.pen.faults.inject(fault))

    def at(self, ms: float, action: Any) -> float:
        """Call action() `ms` from now; returns that time in ns."""
        t_ns = self.chip.now_ns + ms * MS
        self.chip.call_at(t_ns, action)
        return float(t_ns)


class _ConsolePen(EmulatedPen):
    """Its port speaks the REPL, not the pen's protocol."""

    def _from_pen(self, data: bytes) -> None:
        pass


class Coils:
    """What the coils of a pen were told, from now on.

    Attributes:
        words: (time in ns, pattern) of each change; ends that change in the same cycle are one change.
    """

    def __init__(self, pen: AxisPen) -> None:
        self.words: list[tuple[int, int]] = []
        gpio = pen.pen.board.gpio
        self._first = self._pattern = sum(
            (pen.chip.output(gpio(name)) or 0) << bit for bit, name in enumerate(COILS)
        )
        for bit, name in enumerate(COILS):
            pen.chip.on_output(gpio(name), lambda t_ns, level, bit=bit: self._changed(t_ns, bit, level or 0))

    def _changed(self, t_ns: int, bit: int, level: int) -> None:
        if self.words and self.words[-1][0] == t_ns:
            self.words.pop()
        self._pattern = self._pattern & ~(1 << bit) | level << bit
        self.words.append((t_ns, self._pattern))

    @property
    def half_steps(self) -> int:
        """Half steps since the first pattern, outward positive."""
        patterns = [self._first, *(pattern for _, pattern in self.words)]
        return sum((PATTERNS.index(b) - PATTERNS.index(a) + 4) % 8 - 4 for a, b in pairwise(patterns))


def axis_firmware(scratch: Path) -> Path:
    """The project's firmware without its main program."""
    folder = scratch / "axis_firmware"
    if not folder.exists():
        shutil.copytree(paths.firmware_dir(), folder)
        (folder / "main.py").write_text("# The test drives the axis over the REPL.\n")
    return folder
