"""A scenario: what is set up, and its steps in order. Frozen; made by `needlepen.scenario.load`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from needlepen.scenario.actions import Action, CellV, Lift, PressTrigger, RateHz, ReleaseTrigger, TouchSkin


class StepError(ValueError):
    """A step that is right by itself but does not fit its place. `number` counts from 1, `key` is what to
    look at."""

    def __init__(self, number: int, key: str, reason: str) -> None:
        super().__init__(reason)
        self.number, self.key = number, key


class Timing(BaseModel):
    """When a step is due; exactly one of the three is set."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    at_s: float | None = Field(default=None, ge=0, description="device time since power-on")
    after_s: float | None = Field(default=None, ge=0, description="device time since the previous step")
    when: str | None = Field(default=None, description="condition to wait for")
    timeout_s: float | None = Field(default=None, gt=0, le=60, description="longest wait for the condition")


class Step(BaseModel):
    """One action with its time. `number` counts from 1, `line` is its line in the file (0 if unknown)."""

    model_config = ConfigDict(frozen=True)

    number: int
    line: int
    timing: Timing
    timeout_requirement: str = ""
    """The requirement whose limit `timeout_s` is; "" when it was written as a number."""
    action: Action


class Header(BaseModel):
    """What the run starts with."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    title: str = Field(min_length=1, max_length=80, description="one line for the report's head")
    description: str = Field(default="", description="what the run shows")
    board: str = Field(default="pico_pen", pattern=r"^[A-Za-z0-9_.-]+$", description="name of a board file")
    seed: int = Field(default=1, ge=0, lt=2**32, description="of everything random in the emulated pen")
    cell_v: CellV = Field(default=3.7, description="open-circuit voltage of the cell")
    rate_hz: RateHz | None = Field(default=None, description="stroke rate set before the first step")
    judged_by: Literal["everything", "safety"] = Field(
        default="everything",
        description="safety: only unsafe outcomes and asserts count, as in a run with faults",
    )
    duration_limit_s: float = Field(
        default=20.0, gt=0, le=600, description="device time after which the run stops"
    )


class Scenario(BaseModel):
    """A checked scenario with its source text, which goes into the report."""

    model_config = ConfigDict(frozen=True)

    name: str
    path: Path
    text: str
    header: Header
    steps: tuple[Step, ...]


def check_order(header: Header, steps: tuple[Step, ...]) -> None:
    """Refuse steps that can not follow each other. Raises StepError."""
    _check_times(header, steps)
    pressed = touching = False
    for step in steps:
        action = step.action
        if isinstance(action, PressTrigger):
            if pressed:
                raise StepError(step.number, "do", "the trigger is already pressed; release it first")
            pressed = True
        elif isinstance(action, ReleaseTrigger):
            if not pressed:
                raise StepError(step.number, "do", "the trigger is not pressed at this point; press it first")
            pressed = False
        elif isinstance(action, TouchSkin):
            if touching:
                raise StepError(step.number, "do", "the needles are already in skin; lift first")
            touching = True
        elif isinstance(action, Lift):
            if not touching:
                raise StepError(step.number, "do", "the pen is not on skin at this point; touch_skin first")
            touching = False


def _check_times(header: Header, steps: tuple[Step, ...]) -> None:
    earliest_s = 0.0
    for step in steps:
        timing = step.timing
        if timing.at_s is not None:
            if timing.at_s < earliest_s:
                reason = (
                    f"the steps before it end at {earliest_s:g} s at the earliest; steps are in order of time"
                )
                raise StepError(step.number, "at_s", reason)
            earliest_s = timing.at_s
        else:
            earliest_s += timing.after_s or 0.0
        if earliest_s > header.duration_limit_s:
            reason = (
                f"it is due after duration_limit_s = {header.duration_limit_s:g}; raise that or move the step"
            )
            raise StepError(step.number, "at_s", reason)
