"""What the tests do with an emulated pen on the bench, and what they read off its lines."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from needlepen import board, paths, requirements
from needlepen.build import Kind, app_image, integrity
from needlepen.emulator.factory_image import factory_image
from needlepen.emulator.parameters import PenParameters
from needlepen.emulator.pen import EmulatedPen
from needlepen.link.client import messages
from support import seeds
from support.trace import Trace, record

MS = 1e6
US = 1e3
LIMIT = requirements.load().limit
PROTRUSION_MM = float(LIMIT("SR-01", "default_cap_mm"))
RATES_HZ = (
    int(LIMIT("PR-01", "rate_min_hz")),
    int(LIMIT("PR-01", "rate_default_hz")),
    int(LIMIT("PR-01", "rate_max_hz")),
)
CELLS_V = (3.55, 3.7, 4.2)  # SR-20: no start below 3.50 V
NEEDLES = (0, 12, 24, 36)
CPU_STATES = ("running", "halted", "spinning")


def minimum_rate_hz(needles: int) -> float:
    """SR-24: below it a stroke lacks the energy to leave the skin; the pen is not specified there."""
    return float(LIMIT("SR-24", f"rate_{needles}_needles_hz")) if needles else 0.0


class Pens:
    """Booted pens by cell voltage, seed and firmware, made when first asked for. Never change one: fork it."""

    def __init__(self, runtime: Path, scratch: Path, phase_ms: float = 0.0) -> None:
        self._runtime = runtime
        self._scratch = scratch
        self._phase_ms = phase_ms
        self._board = board.load()
        self._ready: dict[tuple[float, int, str], EmulatedPen] = {}

    def new(
        self,
        cell_v: float = 3.7,
        seed: int = 0,
        firmware: Path | None = None,
        kind: Kind = "development",
        worn: Mapping[str, float] | None = None,
        **records: Any,
    ) -> EmulatedPen:
        """A calibrated pen at the moment of power-on; `records` as for `provisioned`, e.g. calibration=None.

        `worn`: parameters of the physical pen that have changed since it was calibrated.
        """
        seeds.asked(seed)
        application = app_image(self._board, kind, firmware).image
        parameters = PenParameters().but(cell_ocv_v=cell_v)
        files = {integrity.REFERENCE: integrity.reference(self._runtime, self._board.flash)}
        image = factory_image(application, self._board, parameters, seed, **({"files": files} | records))
        return EmulatedPen(self._board, self._runtime, image, parameters.but(**(worn or {})), seed)

    def ready(self, cell_v: float = 3.7, seed: int = 0, firmware: Path | None = None) -> EmulatedPen:
        """A pen that has booted to ready, with telemetry flowing."""
        seeds.asked(seed)
        key = (cell_v, seed, str(firmware))
        if key not in self._ready:
            self._ready[key] = self.new(cell_v, seed, firmware)
            self._ready[key].power_up()
            self._ready[key].run_for(self._phase_ms * MS)
        return self._ready[key]

    def variant(self, name: str, changes: Mapping[str, tuple[str, str]]) -> Path:
        """A firmware folder with one text replaced in each of some files: a seeded violation, or extra load."""
        folder = self._scratch / name
        if not folder.exists():
            shutil.copytree(paths.firmware_dir(), folder)
            for file, (old, new) in changes.items():
                text = (folder / file).read_text()
                assert text.count(old) == 1, f"{file} holds {old!r} {text.count(old)} times, not once"
                (folder / file).write_text(text.replace(old, new))
        return folder


# ---------------------------------------------------------------------- operating a pen
def press(pen: EmulatedPen, rate_hz: int) -> float:
    """Set the rate and press the trigger; returns the instant of the press in ns."""
    pen.command(messages.SET_RATE, rate_hz)
    pen.run_for(250 * MS)  # the trigger has to be up for 200 ms before a press counts
    pressed_ns = pen.now_ns
    pen.press()
    return float(pressed_ns)


def start(pen: EmulatedPen, rate_hz: int, settle_ms: float = 200.0, needles: int = 0) -> None:
    """Run at a rate, then on skin if there are needles, until nothing changes any more."""
    press(pen, rate_hz)
    reached = pen.run_until(lambda: rate(pen) > 0.95 * rate_hz, 400 * MS, 0.5 * MS)
    assert reached, f"no start at {rate_hz} Hz: {rate(pen):.1f} Hz, {pen.telemetry}"
    pen.run_for(settle_ms * MS)
    if needles:
        pen.touch_skin(needles, PROTRUSION_MM)
        pen.run_for(settle_ms * MS)


def rate(pen: EmulatedPen) -> float:
    """True stroke rate of this instant, Hz."""
    return float(pen.physics.peek(pen.now_ns).rate_hz)


def strokes(pen: EmulatedPen) -> float:
    """True cam angle in revolutions since bottom dead centre."""
    return float(pen.physics.peek(pen.now_ns).strokes)


def to_angle(pen: EmulatedPen, turn: float) -> None:
    """Run on to the next time that the cam stands at this fraction of a turn after bottom dead centre."""
    now = strokes(pen)
    target = math.floor(now) + turn
    target += 1.0 if target <= now else 0.0
    assert pen.run_until(lambda: strokes(pen) >= target, 100 * MS, 10 * US), (
        f"the cam does not turn: {pen.telemetry}"
    )


def hang(pen: EmulatedPen, cpu: str) -> None:
    """Bring the CPU into one of CPU_STATES."""
    if cpu == "halted":
        pen.chip.halt_cpu()
    elif cpu == "spinning":
        pen.chip.spin_cpu()


def stop_and_acknowledge(pen: EmulatedPen, wait_ms: float = 300.0) -> str | None:
    """Release the trigger, wait, acknowledge; returns the pen's refusal, or None."""
    pen.release()
    pen.run_for(wait_ms * MS)
    return pen.request(messages.ACKNOWLEDGE).refused


def record_pin(pen: EmulatedPen, signal: str) -> list[tuple[int, int | None]]:
    """All changes of one output of the chip from now on: (device time in ns, level)."""
    changes: list[tuple[int, int | None]] = []
    pen.chip.on_output(pen.board.gpio(signal), lambda t_ns, level: changes.append((t_ns, level)))
    return changes


# ---------------------------------------------------------------------- reading the timeline
def held_since(pen: EmulatedPen, holds: Callable[[dict[str, float]], bool], after_ns: float) -> float:
    """Since when, at or after an instant, the lines have met a condition without a break; infinity if they do not."""
    lines: dict[str, float] = {"BRAKE": 1, "DUTY": 0, "SUPPLY": 0, "RUN_N": 1, "SUPPLY_EN": 0, "TRIGGER_N": 1}
    since = after_ns if holds(lines) else math.inf
    for t_ns, signal, level in pen.electronics.timeline:
        lines[signal] = level
        since = min(since, max(t_ns, after_ns)) if holds(lines) else math.inf
    return since


def braked_ns(pen: EmulatedPen, after_ns: float) -> float:
    """When the bridge was braked for good: by a term of the gate, or by PWM_N high all the time."""
    return held_since(pen, lambda lines: lines["BRAKE"] == 1 or lines["DUTY"] == 0, after_ns) - after_ns


def gated_ns(pen: EmulatedPen, after_ns: float) -> float:
    """When a term of the gate other than PWM_N braked the bridge for good."""
    return held_since(pen, lambda lines: lines["BRAKE"] == 1, after_ns) - after_ns


def supply_open_ns(pen: EmulatedPen, after_ns: float) -> float:
    """When the supply switch was open for good."""
    return held_since(pen, lambda lines: lines["SUPPLY"] == 0, after_ns) - after_ns


def undriven_ns(pen: EmulatedPen, after_ns: float) -> float:
    """When no current could come from the cell any more: braked, or the supply switch open."""
    return (
        held_since(pen, lambda x: x["BRAKE"] == 1 or x["DUTY"] == 0 or x["SUPPLY"] == 0, after_ns) - after_ns
    )


def standstill_ns(pen: EmulatedPen, after_ns: float) -> float:
    """Until the rotor first stopped; infinity if it still turns, 0 if it did not turn."""
    stopped_ns = pen.electronics.stopped(after_ns)
    if stopped_ns is not None:
        return stopped_ns - after_ns
    return math.inf if pen.physics.peek(pen.now_ns).omega_rad_s != 0.0 else 0.0


def never_driven(pen: EmulatedPen, from_ns: float = 0.0) -> bool:
    """Whether the bridge stayed without drive all the time since an instant."""
    return undriven_ns(pen, from_ns) == 0.0


def observe(pen: EmulatedPen, cause_ns: float, ms: float = 200.0) -> dict[str, Any]:
    """Let time pass after a cause, then say what happened: times in ns from the cause, strokes, rates, angles."""
    begun = pen.physics.peek(pen.now_ns).strokes
    trace: Trace = record(pen, ms, 100.0)
    state = pen.physics.peek(pen.now_ns)
    return {
        "braked_ns": braked_ns(pen, cause_ns),
        "gated_ns": gated_ns(pen, cause_ns),
        "supply_open_ns": supply_open_ns(pen, cause_ns),
        "undriven_ns": undriven_ns(pen, cause_ns),
        "standstill_ns": standstill_ns(pen, cause_ns),
        "strokes": float(trace.strokes.max()) - begun,
        "peak_hz": float(trace.rate_hz.max()),
        "end_turn": float(state.strokes % 1.0),
        "needle_mm": float(state.needle_mm),
        "tdc": pen.electronics.level("TDC"),
        "damage": list(pen.physics.damage),
        "telemetry": pen.telemetry,
        "trace": trace,
    }
