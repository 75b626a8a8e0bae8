"""The actions of a scenario step: frozen values that the runner dispatches on.

Each class is one action; its `do` is its name in a scenario file, its docstring the reference text. Limits
come from the requirements, so that a scenario can not ask for what the pen does not offer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from needlepen import requirements
from needlepen.scenario.base import ActionBase, PassiveAction
from needlepen.scenario.checking import Assert

CELL_MIN_V, CELL_MAX_V = 3.0, 4.2
"""Terminal voltage of one Li-ion cell; below it the pen's logic supply is not specified."""


def _between(requirement: str, low: str | float, high: str) -> Callable[[float], float]:
    """A check against a requirement's limits, looked up when used so that importing reads no file."""

    def check(value: float) -> float:
        limits = requirements.load()[requirement].limits
        low_value = limits[low] if isinstance(low, str) else low
        if not low_value <= value <= limits[high]:
            raise ValueError(f"possible: {low_value:g} to {limits[high]:g} ({requirement})")
        return value

    return check


def _on_rate_grid(value: float) -> float:
    step_hz = requirements.load()["PR-01"].limits["rate_step_hz"]
    if value % step_hz:
        raise ValueError(f"the rate is set in steps of {step_hz:g} Hz (PR-01)")
    return value


RateHz = Annotated[
    float, AfterValidator(_between("PR-01", "rate_min_hz", "rate_max_hz")), AfterValidator(_on_rate_grid)
]
ProtrusionMm = Annotated[float, AfterValidator(_between("PR-05", 0.0, "depth_max_mm"))]
CellV = Annotated[float, Field(ge=CELL_MIN_V, le=CELL_MAX_V)]
DurationS = Annotated[float, Field(gt=0, le=60)]


class SetRate(ActionBase):
    """The host commands a stroke rate (a command over USB)."""

    do: Literal["set_rate"]
    rate_hz: RateHz = Field(description="stroke rate")


class PressTrigger(ActionBase):
    """The operator presses the trigger and holds it."""

    do: Literal["press_trigger"]


class ReleaseTrigger(ActionBase):
    """The operator lets go of the trigger."""

    do: Literal["release_trigger"]


class TouchSkin(ActionBase):
    """The nose is set on skin, so that the needles enter it with every stroke."""

    do: Literal["touch_skin"]
    needles: Literal[12, 24, 36] = Field(description="needles of the cartridge")
    protrusion_mm: ProtrusionMm = Field(description="needle protrusion at bottom dead centre")


class Lift(ActionBase):
    """The pen is lifted off the skin."""

    do: Literal["lift"]


class ShortWinding(ActionBase):
    """Most turns of the motor winding are shorted; what is left is a parameter of the pen model."""

    do: Literal["short_winding"]


class Jam(ActionBase):
    """The rotor is locked at the angle where it is, at once."""

    do: Literal["jam"]


class StickBridge(ActionBase):
    """The bridge drives fully and no longer follows its input: a high-side transistor is shorted."""

    do: Literal["stick_bridge"]


class StickRunN(ActionBase):
    """The drive permission line RUN_N is shorted to ground: withdrawing it has no effect at the gate."""

    do: Literal["stick_run_n"]


class GlitchIndex(ActionBase):
    """A burst of short pulses on the INDEX line."""

    do: Literal["glitch_index"]
    period_us: float = Field(ge=10, le=100_000, description="from pulse to pulse")
    width_us: float = Field(ge=0.1, le=50_000, description="pulse width, shorter than the period")
    duration_ms: float = Field(gt=0, le=10_000, description="length of the burst")
    mode: Literal["or", "xor"] = Field(default="xor", description="or adds high pulses, xor inverts the line")

    @model_validator(mode="after")
    def _pulse_fits_period(self) -> GlitchIndex:
        if self.width_us >= self.period_us:
            raise ValueError(
                f"width_us = {self.width_us:g} must be shorter than period_us = {self.period_us:g}"
            )
        return self


class StickIndex(ActionBase):
    """The INDEX line stays at one level: the sensor or its wire is broken."""

    do: Literal["stick_index"]
    level: Literal["low", "high"] = Field(default="low", description="level that stays")


class HaltCpu(ActionBase):
    """The CPU executes nothing more until the chip is reset; PIO, PWM and timers go on."""

    do: Literal["halt_cpu"]


class SpinCpu(ActionBase):
    """The firmware spins for ever with interrupts disabled."""

    do: Literal["spin_cpu"]


class SilenceHost(ActionBase):
    """The host stops reading and polling the USB port."""

    do: Literal["silence_host"]
    duration_s: DurationS = Field(default=1.0, description="how long")


class FloodHost(ActionBase):
    """The host sends bytes that are no frames as fast as USB carries them."""

    do: Literal["flood_host"]
    duration_s: DurationS = Field(default=1.0, description="how long")


class SetCell(ActionBase):
    """The cell's open-circuit voltage changes."""

    do: Literal["set_cell"]
    cell_v: CellV = Field(description="open-circuit voltage")


class PowerCycle(ActionBase):
    """The pen is switched off and on again."""

    do: Literal["power_cycle"]
    off_ms: float = Field(default=500.0, ge=1, le=10_000, description="time without power")


class ResetChip(ActionBase):
    """The RUN pin of the RP2040 is pulsed; the motor's electronics stay powered."""

    do: Literal["reset_chip"]


class Repair(ActionBase):
    """Takes away one injected fault, or all of them. A halted CPU needs a reset and is not repaired."""

    do: Literal["repair"]
    what: Literal["all", "jam", "winding", "bridge", "run_n", "index"] = Field(
        default="all", description="what to repair"
    )


class Acknowledge(ActionBase):
    """The operator acknowledges the fault."""

    do: Literal["acknowledge"]
    expect: Literal["accepted", "refused"] = Field(
        default="accepted", description="what the firmware must answer"
    )


class Wait(PassiveAction):
    """Nothing is done: time passes, or a condition is waited for."""

    do: Literal["wait"]


class Mark(PassiveAction):
    """A label in the report; a new phase of the run begins here."""

    do: Literal["mark"]
    text: str = Field(min_length=1, max_length=60, description="label")


Action = Annotated[
    SetRate | PressTrigger | ReleaseTrigger | TouchSkin | Lift | ShortWinding | Jam | StickBridge | StickRunN
    | GlitchIndex | StickIndex | HaltCpu | SpinCpu | SilenceHost | FloodHost | SetCell
    | PowerCycle | ResetChip | Repair | Acknowledge | Wait | Mark | Assert,
    Field(discriminator="do"),
]  # fmt: skip

NOT_MODELLED = {
    "depth": "the depth actuator is not part of the emulated pen yet",
    "cartridge": "the cartridge and its memory are not part of the emulated pen yet",
    "temperature": "temperatures are not part of the emulated pen yet",
    "charg": "the charger is not part of the emulated pen yet",
    "drop": "acceleration is not part of the emulated pen",
    "tilt": "acceleration is not part of the emulated pen",
}
"""Word in an action's name: why the model can not do it."""
