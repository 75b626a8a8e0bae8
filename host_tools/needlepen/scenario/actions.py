"""The actions of a scenario step: frozen values that the runner dispatches on.

Each class is one action; its `do` is its name in a scenario file, its docstring the reference text. Limits
come from the requirements, so that a scenario can not ask for what the pen does not offer.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from needlepen import requirements
from needlepen.cartridges.tables import load_profiles
from needlepen.scenario.base import ActionBase, PassiveAction
from needlepen.scenario.checking import Assert
from needlepen.scenario.fault_actions import (
    FaultAction,
    FloodHost,
    GlitchIndex,
    HaltCpu,
    Inject,
    Jam,
    Repair,
    ShortWinding,
    SilenceHost,
    SpinCpu,
    StickBridge,
    StickIndex,
    StickRunN,
)

__all__ = ["FaultAction"]

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
Button = Literal["up", "down"]
Expected = Literal["accepted", "refused", "either"]
ANSWER = "what the firmware must answer; either also lets it be silent"


class SetRate(ActionBase):
    """The host commands a stroke rate (a command over USB)."""

    do: Literal["set_rate"]
    rate_hz: RateHz = Field(description="stroke rate")
    expect: Expected = Field(default="accepted", description=ANSWER)


class PressTrigger(ActionBase):
    """The operator presses the trigger and holds it."""

    do: Literal["press_trigger"]


class ReleaseTrigger(ActionBase):
    """The operator lets go of the trigger."""

    do: Literal["release_trigger"]


class TouchSkin(ActionBase):
    """The nose is set on skin, so that the needles enter it with every stroke."""

    do: Literal["touch_skin"]
    needles: Literal[12, 24, 36] | None = Field(
        default=None, description="needles that enter it; those of the seated cartridge if not given"
    )
    protrusion_mm: ProtrusionMm | None = Field(
        default=None,
        description="a load: protrusion at bottom dead centre until `lift`, wherever the depth axis goes",
    )


class Lift(ActionBase):
    """The pen is lifted off the skin."""

    do: Literal["lift"]


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


class Acknowledge(ActionBase):
    """The operator acknowledges the fault."""

    do: Literal["acknowledge"]
    expect: Expected = Field(default="accepted", description=ANSWER)


class Wait(PassiveAction):
    """Nothing is done: time passes, or a condition is waited for."""

    do: Literal["wait"]


class Mark(PassiveAction):
    """A label in the report; a new phase of the run begins here."""

    do: Literal["mark"]
    text: str = Field(min_length=1, max_length=60, description="label")


class PressButton(ActionBase):
    """The operator presses a depth button and holds it."""

    do: Literal["press_button"]
    button: Button = Field(description="which one")
    bounce_ms: float = Field(default=0.0, ge=0, le=10, description="its contact bounces for so long")


class ReleaseButton(ActionBase):
    """The operator lets go of a depth button."""

    do: Literal["release_button"]
    button: Button = Field(description="which one")
    bounce_ms: float = Field(default=0.0, ge=0, le=10, description="its contact bounces for so long")


class SetDepth(ActionBase):
    """The host commands a needle protrusion."""

    do: Literal["set_depth"]
    depth_mm: float = Field(ge=0, le=10, description="needle protrusion at bottom dead centre")
    expect: Expected = Field(default="accepted", description=ANSWER)


class SetTime(ActionBase):
    """The host tells the pen the date and time."""

    do: Literal["set_time"]
    time: datetime.datetime = Field(description="date and time in UTC, such as 2026-11-23T10:00:00")


class SelectProfile(ActionBase):
    """The host selects a treatment profile."""

    do: Literal["select_profile"]
    profile: str = Field(description="its name in firmware/profiles.toml")
    expect: Expected = Field(default="accepted", description=ANSWER)

    @property
    def number(self) -> int:
        """The number by which the pen knows it. Raises ValueError for a profile that there is not."""
        known = {profile.name: profile.number for profile in load_profiles()}
        if self.profile not in known:
            raise ValueError(f"there is no profile {self.profile!r}; possible: {', '.join(known)}")
        return known[self.profile]

    @model_validator(mode="after")
    def _is_known(self) -> SelectProfile:
        assert self.number >= 0
        return self


class SeatCartridge(ActionBase):
    """A cartridge is pushed in: a new one, or one that must not be used."""

    do: Literal["seat_cartridge"]
    needles: Literal[12, 24, 36] = Field(default=24, description="needles of the cartridge")
    record: Literal["fresh", "foreign", "copied", "used", "empty"] = Field(
        default="fresh", description="what its chip holds"
    )


class RemoveCartridge(ActionBase):
    """The cartridge is taken out, or falls out."""

    do: Literal["remove_cartridge"]


class ConnectCharger(ActionBase):
    """External power is plugged in."""

    do: Literal["connect_charger"]


class DisconnectCharger(ActionBase):
    """External power is unplugged."""

    do: Literal["disconnect_charger"]


class SetNose(ActionBase):
    """The nose has a temperature from now on, whatever heats or cools it."""

    do: Literal["set_nose"]
    nose_c: float = Field(ge=-20, le=120, description="temperature of the nose")


class SetAmbient(ActionBase):
    """The surroundings have another temperature."""

    do: Literal["set_ambient"]
    ambient_c: float = Field(ge=-20, le=60, description="temperature of the surroundings")
    soaked: bool = Field(default=False, description="the whole pen has it already")


class CutPower(ActionBase):
    """The power goes: now, or within a flash operation to come; it returns after a while."""

    do: Literal["cut_power"]
    flash_operation: int | None = Field(
        default=None, ge=1, le=10_000, description="within this flash operation from now on; now if not given"
    )
    done: float = Field(default=0.5, ge=0, le=1, description="how much of that operation is done, 0 to 1")
    off_ms: float = Field(default=500.0, ge=1, le=10_000, description="time without power")


Action = Annotated[
    SetRate | SetDepth | SelectProfile | SetTime | PressTrigger | ReleaseTrigger | PressButton | ReleaseButton
    | TouchSkin | Lift | SeatCartridge | RemoveCartridge
    | Inject | Repair | ShortWinding | Jam | StickBridge | StickRunN | GlitchIndex | StickIndex | HaltCpu | SpinCpu
    | SilenceHost | FloodHost | SetCell | ConnectCharger | DisconnectCharger | SetNose | SetAmbient
    | CutPower | PowerCycle | ResetChip | Acknowledge | Wait | Mark | Assert,
    Field(discriminator="do"),
]  # fmt: skip

NOT_MODELLED = {
    "drop": "acceleration is not part of the emulated pen",
    "tilt": "acceleration is not part of the emulated pen",
}
"""Word in an action's name: why the model can not do it."""
