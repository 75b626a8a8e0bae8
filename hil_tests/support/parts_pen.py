"""Drive and self-tests on the emulated pen with a main loop in the app's place: for tests of these parts alone."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path
from typing import Any

from needlepen import board, paths
from needlepen.build import app_image, integrity
from needlepen.emulator.chip_faults import ChipFaults
from needlepen.emulator.factory_image import factory_image
from needlepen.emulator.parameters import PenParameters
from needlepen.emulator.pen import EmulatedPen

MS = 1e6
US = 1e3

PROGRAM = """
import gc, pen_shelf, time
gc.threshold(32_768)
from machine import Pin
from pen.board import PIN_LED, SAFE_OUTPUTS
for pin, level in SAFE_OUTPUTS:
    Pin(pin, Pin.OUT, value=level)
from pen import clock_watch, faults
from pen.control import state
from pen.drive import Drive
from pen.places import MAIN_AGE_MS, RATE_MHZ, STOP_REASON
pen_shelf.rest()
gc.collect()
gc.threshold(-1)
led = Pin(PIN_LED, Pin.OUT, value=0)
drive = Drive()

def boot():
    # The self-tests as at boot: fault, detail, time in us.
    global tests
    begun = time.ticks_us()
    from pen.selftest import SelfTest
    tests = SelfTest()
    fault = tests.boot()
    led(fault != 0)
    return fault, tests.detail, time.ticks_diff(time.ticks_us(), begun)

def rest(ms):
    # The app's loop at rest: a look every 8 ms, a full pass every 250 ms or if a part is busy. The LED shows a fault.
    begun = passed = time.ticks_ms()
    longest = 0
    while time.ticks_diff(time.ticks_ms(), begun) < ms and not tests.fault:
        now = time.ticks_ms()
        if clock_watch.look() or tests.busy or time.ticks_diff(now, passed) >= 250:
            passed = now
            us = time.ticks_us()
            tests.poll(now, False)
            longest = max(longest, time.ticks_diff(time.ticks_us(), us))
        time.sleep_ms(8)
    led(tests.fault != 0)
    return tests.fault, tests.detail, tests.rounds, longest, tests.blockers

def awake(ms):
    # The app's loop while the motor runs: a full pass every 10 ms.
    begun = time.ticks_ms()
    longest = 0
    while time.ticks_diff(time.ticks_ms(), begun) < ms and not tests.fault:
        state[MAIN_AGE_MS] = 0
        drive.settle()
        us = time.ticks_us()
        tests.poll(time.ticks_ms(), True)
        longest = max(longest, time.ticks_diff(time.ticks_us(), us))
        time.sleep_ms(10)
    led(tests.fault != 0)
    return tests.fault, tests.detail, tests.ram.address, longest, tests.blockers

def wake():
    # As on a press: the proof of the watchdog, and the time until the drive may start.
    begun = time.ticks_us()
    drive.wake(True)
    took = time.ticks_diff(time.ticks_us(), begun)
    while not drive.woken:
        state[MAIN_AGE_MS] = 0
        time.sleep_ms(1)
    return took

def start():
    # Refusal, fault, time in us.
    begun = time.ticks_us()
    refused = drive.start()
    return refused, drive.start_fault, time.ticks_diff(time.ticks_us(), begun)

def run(ms):
    # Let it run; then whether it still runs, rate in mHz, fault of the stop.
    begun = time.ticks_ms()
    while time.ticks_diff(time.ticks_ms(), begun) < ms:
        state[MAIN_AGE_MS] = 0
        if drive.running:
            drive.settle()
        time.sleep_ms(10)
    return drive.running, state[RATE_MHZ], drive.stop_fault()

def prove():
    # Refusal, time in us.
    begun = time.ticks_us()
    refused = drive.prove()
    return refused, time.ticks_diff(time.ticks_us(), begun)
"""


class PartsPen(EmulatedPen):
    """A pen whose main program is the REPL. `exec` runs code there, `ask` gives the value of an expression.

    `spare_address` and `spare_flash` are for a test: places that nothing uses.
    """

    spare_address = 0
    spare_flash = 0

    def __init__(
        self, runtime: Path, firmware: Path, cell_v: float = 3.7, seed: int = 0, has_reference: bool = True
    ) -> None:
        reference = board.load()
        values = PenParameters().but(cell_ocv_v=cell_v)
        record = {integrity.REFERENCE: integrity.reference(runtime, reference.flash)} if has_reference else {}
        application = app_image(reference, firmware=firmware).image
        image = factory_image(application, reference, values, seed, files=record)
        super().__init__(reference, runtime, image, values, seed)
        self.broken = ChipFaults(self.chip)
        self.chip.console.wait_connected()
        self.exec(PROGRAM)

    def _from_pen(self, data: bytes) -> None:
        """Its port speaks the REPL, not the pen's protocol."""

    def exec(self, code: str) -> str:
        """Run code on the pen; what it printed. Fails the test with the pen's traceback."""
        out, error = self.chip.console.exec(code, timeout_ns=300e9)
        assert not error, error
        return out.strip()

    def ask(self, expression: str) -> Any:
        """The value of an expression on the pen: numbers, texts, tuples."""
        return ast.literal_eval(self.exec(f"print(repr({expression}))").splitlines()[-1])


def parts_firmware(scratch: Path) -> Path:
    """The project's firmware without its main program."""
    folder = scratch / "parts_firmware"
    if not folder.exists():
        shutil.copytree(paths.firmware_dir(), folder)
        (folder / "main.py").write_text("# The test drives the parts over the REPL.\n")
    return folder
