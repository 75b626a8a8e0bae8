"""The actions that break the pen: all are faults of the one vocabulary in `needlepen.emulator.injection`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from needlepen.emulator import injection
from needlepen.errors import UsageError
from needlepen.scenario.base import ActionBase

REPAIRS: dict[str, tuple[str, str | None]] = {
    "jam": ("motor", "stuck"),
    "winding": ("motor", "short"),
}
"""What `repair` also knows by the name of its action: target and kind."""


class FaultAction(ActionBase):
    """An action that puts one fault into the pen."""

    @property
    def fault(self) -> injection.Fault:
        """The fault, to begin now."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _is_possible(self) -> FaultAction:
        try:
            injection.check(self.fault)
        except UsageError as error:
            raise ValueError(str(error)) from None
        return self


class Inject(FaultAction):
    """Something breaks; `needlepen faults` lists every target with its kinds, their values and what they provoke."""

    do: Literal["inject"]
    target: str = Field(description="what breaks")
    kind: str = Field(description=f"how it breaks: {', '.join(injection.KINDS)}")
    value: float | str | None = Field(
        default=None, description="how much, or which way; the usual one if not given"
    )
    duration_s: float | None = Field(
        default=None, gt=0, le=600, description="sound again after this time; it stays if not given"
    )
    seed: int = Field(default=0, ge=0, lt=2**32, description="of what is random in it")

    @property
    def fault(self) -> injection.Fault:
        return injection.Fault(self.target, self.kind, self.value, duration_s=self.duration_s, seed=self.seed)


class ShortWinding(FaultAction):
    """Most turns of the motor winding are shorted; what is left is a parameter of the pen model."""

    do: Literal["short_winding"]

    @property
    def fault(self) -> injection.Fault:
        return injection.Fault("motor", "short")


class Jam(FaultAction):
    """The rotor is locked at the angle where it is, at once."""

    do: Literal["jam"]

    @property
    def fault(self) -> injection.Fault:
        return injection.Fault("motor", "stuck")


class StickBridge(FaultAction):
    """The bridge drives fully and no longer follows its input: a high-side transistor is shorted."""

    do: Literal["stick_bridge"]

    @property
    def fault(self) -> injection.Fault:
        return injection.Fault("bridge", "short")


class StickRunN(FaultAction):
    """The drive permission line RUN_N is shorted to ground: withdrawing it has no effect at the gate."""

    do: Literal["stick_run_n"]

    @property
    def fault(self) -> injection.Fault:
        return injection.Fault("run_n", "short")


class StickIndex(FaultAction):
    """The INDEX line stays at one level: the sensor or its wire is broken."""

    do: Literal["stick_index"]
    level: Literal["low", "high"] = Field(default="low", description="level that stays")

    @property
    def fault(self) -> injection.Fault:
        return injection.Fault("index", "stuck", self.level)


class HaltCpu(FaultAction):
    """The CPU executes nothing more until the chip is reset; PIO, PWM and timers go on."""

    do: Literal["halt_cpu"]

    @property
    def fault(self) -> injection.Fault:
        return injection.Fault("cpu", "off")


class SpinCpu(FaultAction):
    """The firmware spins for ever with interrupts disabled."""

    do: Literal["spin_cpu"]

    @property
    def fault(self) -> injection.Fault:
        return injection.Fault("cpu", "stuck")


class SilenceHost(FaultAction):
    """The host stops reading and polling the USB port."""

    do: Literal["silence_host"]
    duration_s: float = Field(default=1.0, gt=0, le=60, description="how long")

    @property
    def fault(self) -> injection.Fault:
        return injection.Fault("usb", "off", duration_s=self.duration_s)


class FloodHost(FaultAction):
    """The host sends bytes that are no frames as fast as USB carries them."""

    do: Literal["flood_host"]
    duration_s: float = Field(default=1.0, gt=0, le=60, description="how long")

    @property
    def fault(self) -> injection.Fault:
        return injection.Fault("usb", "garbage", duration_s=self.duration_s)


class GlitchIndex(ActionBase):
    """A burst of short pulses on the INDEX line, all alike; `inject` index garbage makes random ones."""

    do: Literal["glitch_index"]
    period_us: float = Field(ge=10, le=100_000, description="from pulse to pulse")
    width_us: float = Field(ge=0.1, le=50_000, description="pulse width, shorter than the period")
    duration_ms: float = Field(gt=0, le=10_000, description="length of the burst")
    mode: Literal["or", "and", "xor"] = Field(
        default="xor", description="or adds high pulses, and low ones, xor inverts the line"
    )

    @model_validator(mode="after")
    def _pulse_fits_period(self) -> GlitchIndex:
        if self.width_us >= self.period_us:
            raise ValueError(
                f"width_us = {self.width_us:g} must be shorter than period_us = {self.period_us:g}"
            )
        return self


class Repair(ActionBase):
    """Takes away the faults of one target, or all of them. A hung CPU needs a reset and is not repaired by `all`."""

    do: Literal["repair"]
    what: str = Field(default="all", description="a target of `inject`, or all, jam, winding")

    @model_validator(mode="after")
    def _is_known(self) -> Repair:
        known = ("all", *REPAIRS, *injection.TARGETS)
        if self.what not in known:
            raise ValueError(f"there is nothing {self.what!r} to repair; possible: {', '.join(known)}")
        return self
