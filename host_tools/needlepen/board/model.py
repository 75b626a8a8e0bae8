"""The board description as data: one class for each table of a board file.

The classes check types, spelling and ranges; what involves several tables (clashes, budgets) is in `checks`.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Level = Literal["low", "high"]
Pull = Literal["up", "down"]
Names = Annotated[tuple[str, ...], Field(strict=False)]
SignalName = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]
ProgramName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(gt=0)]

KELVIN_AT_0_C = 273.15
NTC_REFERENCE_K = 298.15


class Table(BaseModel):
    """A table of the board file; `assumed` names its numbers that no datasheet or measurement backs yet."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    assumed: Names = ()

    @model_validator(mode="after")
    def _assumed_names_exist(self) -> Table:
        for name in self.assumed:
            if name not in type(self).model_fields:
                raise ValueError(f"'assumed' names {name!r}, which is not a key of this table")
        return self


class Identity(Table):
    """[board]: which board this is."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    title: str
    description: str = ""
    mcu: Literal["rp2040"]
    module: Literal["pico"]
    sys_clock_hz: Count
    unique_id: Literal["flash"]


class Micropython(Table):
    """[micropython]: the runtime that the firmware is built for."""

    board: str
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]


class Flash(Table):
    """[flash]: where the file system lies in the flash, given by the runtime."""

    size_bytes: Count
    filesystem_offset: Count
    filesystem_blocks: Count
    block_bytes: Count

    @property
    def filesystem_bytes(self) -> int:
        return self.filesystem_blocks * self.block_bytes


class Pin(Table):
    """[pins.NAME]: one signal. `safe` is the level that leaves the pen harmless ("float": released)."""

    gpio: int
    direction: Literal["in", "out", "io"]
    function: Literal["sio", "pwm", "pio0", "pio1", "adc", "onewire"]
    active: Level | None = None
    safe: Literal["low", "high", "float"] | None = None
    pull: Pull | None = None
    external_pull: Pull | None = None
    pwm_hz: Count | None = None
    note: str = ""

    @property
    def is_driven(self) -> bool:
        """Whether the RP2040 drives this pin, at least at times."""
        return self.direction != "in"

    @property
    def active_level(self) -> int:
        """Level (0 or 1) with which the signal says what its name says; 1 where the file gives none."""
        return 0 if self.active == "low" else 1

    @property
    def safe_level(self) -> int | None:
        """Level (0 or 1) that leaves the pen harmless; None: not driven."""
        return {"low": 0, "high": 1}.get(self.safe or "")

    @property
    def pwm_slice(self) -> int:
        """PWM slice 0-7 of this GPIO (RP2040 datasheet, 4.5.2)."""
        return (self.gpio >> 1) & 7

    @property
    def pwm_channel(self) -> int:
        """PWM channel of the slice: 0 for A, 1 for B."""
        return self.gpio & 1


class Adc(Table):
    """[adc]: how the converter samples. Channels are those of [converters], round robin."""

    clock_hz: Count
    bits: Annotated[int, Field(ge=8, le=12)]
    reference_v: Positive
    cycles_per_conversion: Annotated[int, Field(ge=96, le=65536)]
    samples_per_mean: Annotated[int, Field(ge=1, le=4096)]
    ring_samples: Annotated[int, Field(ge=2, le=16384)]  # DMA rings hold at most 32 KiB
    jump_codes: Annotated[tuple[int, ...], Field(strict=False)] = ()
    jump_lsb: NotNegative = 0.0

    @property
    def conversion_us(self) -> float:
        return self.cycles_per_conversion * 1e6 / self.clock_hz

    @property
    def volts_per_lsb(self) -> float:
        return self.reference_v / (1 << self.bits)


class LinearConverter(Table):
    """[converters.NAME] of a linear sensor: value = (volts - zero_v) x units_per_v."""

    kind: Literal["linear"]
    channel: Annotated[int, Field(ge=0, le=3)]
    unit: Literal["A", "V", "mm"]
    zero_v: float
    units_per_v: Positive
    valid_min_v: NotNegative | None = None
    valid_max_v: Positive | None = None
    source: str

    def value(self, volts: float, reference_v: float) -> float:
        """The measured quantity, in `unit`, at this voltage of the pin."""
        return (volts - self.zero_v) * self.units_per_v

    def volts(self, value: float, reference_v: float) -> float:
        """The voltage of the pin at this value of the measured quantity, limited to the converter's range."""
        return min(max(self.zero_v + value / self.units_per_v, 0.0), reference_v)


class NtcConverter(Table):
    """[converters.NAME] of an NTC to ground with a divider resistor to the reference voltage."""

    kind: Literal["ntc"]
    channel: Annotated[int, Field(ge=0, le=3)]
    unit: Literal["C"]
    r25_ohm: Positive
    beta_k: Positive
    divider_ohm: Positive
    valid_min_c: float
    valid_max_c: float
    source: str

    def value(self, volts: float, reference_v: float) -> float:
        """Temperature in C at this voltage of the pin (beta equation); +-infinite at its ends."""
        if volts <= 0:
            return math.inf
        if volts >= reference_v:
            return -math.inf
        ratio = volts * self.divider_ohm / (reference_v - volts) / self.r25_ohm
        return 1 / (1 / NTC_REFERENCE_K + math.log(ratio) / self.beta_k) - KELVIN_AT_0_C

    def volts(self, value: float, reference_v: float) -> float:
        """The voltage of the pin at this temperature in C."""
        kelvin = value + KELVIN_AT_0_C
        ohm = self.r25_ohm * math.exp(self.beta_k * (1 / kelvin - 1 / NTC_REFERENCE_K))
        return reference_v * ohm / (ohm + self.divider_ohm)


Converter = Annotated[LinearConverter | NtcConverter, Field(discriminator="kind")]


class PioProgram(Table):
    """[pio.NAME]: one state machine. `adjacent`: its outputs are neighbouring GPIOs, lowest first."""

    block: Annotated[int, Field(ge=0, le=1)]
    machine: Annotated[int, Field(ge=0, le=3)]
    max_instructions: Annotated[int, Field(ge=1, le=32)]
    clock_hz: Count
    outputs: Names = ()
    inputs: Names = ()
    adjacent: bool = False

    @property
    def state_machine(self) -> int:
        """The number that `rp2.StateMachine` takes, 0-7."""
        return self.block * 4 + self.machine


class Protection(Table):
    """[protection]: the hardware layer L0, which works without the RP2040."""

    overcurrent_a: Positive
    overcurrent_delay_us: NotNegative
    supply_open_us: NotNegative
    latch_brake_delay_us: NotNegative
    watchdog_min_ms: NotNegative
    watchdog_max_ms: Positive


class Mechanics(Table):
    """[mechanics]: cam, spring, sensors on the shaft, depth actuator."""

    index_pulses_per_rev: Count
    tdc_pulses_per_rev: Literal[1]
    eccentric_mm: Positive
    reciprocating_mass_kg: Positive
    spring_preload_n: NotNegative
    spring_n_m: NotNegative
    protrusion_max_mm: Positive
    hard_stop_mm: Positive
    depth_steps_per_rev: Count
    depth_pitch_mm: Positive
    depth_step_rate_hz: Count
    depth_start_rate_hz: Count
    depth_acceleration_hz_s: Positive
    depth_backlash_um: NotNegative
    depth_behind_home_um: NotNegative

    @property
    def depth_step_mm(self) -> float:
        """Needle protrusion of one step of the depth actuator."""
        return self.depth_pitch_mm / self.depth_steps_per_rev


class Motor(Table):
    """[motor]: nominal values of the drive motor at 25 C."""

    name: str
    resistance_ohm: Positive
    inductance_h: Positive
    torque_constant_nm_a: Positive
    rotor_inertia_kg_m2: Positive
    inertia_kg_m2: Positive
    no_load_current_a: NotNegative
    friction_nm: NotNegative
    cam_friction_nm: NotNegative
    winding_rth_k_w: Positive
    housing_rth_k_w: Positive
    winding_tau_s: Positive
    housing_tau_s: Positive
    winding_max_c: Positive
    winding_reference_c: float
    winding_per_k: NotNegative

    @property
    def ke_v_per_hz(self) -> float:
        """Back-EMF per stroke rate: Ke = Kt, and one stroke is one revolution."""
        return self.torque_constant_nm_a * 2 * math.pi


class Nose(Table):
    """[nose]: how far the nose, with its temperature sensor, follows the motor housing."""

    housing_share: Annotated[float, Field(ge=0, lt=1)]
    tau_s: Positive


class Bridge(Table):
    """[bridge]: resistances in the motor's loop besides the winding."""

    name: str
    bridge_ohm: NotNegative
    shunt_ohm: Positive
    wiring_ohm: NotNegative

    @property
    def total_ohm(self) -> float:
        return self.bridge_ohm + self.shunt_ohm + self.wiring_ohm


class Cell(Table):
    """[cell]: the battery."""

    name: str
    min_v: Positive
    nominal_v: Positive
    max_v: Positive
    r0_ohm: NotNegative
    r0_aged_ohm: NotNegative
    r1_ohm: NotNegative
    c1_f: Positive
    capacity_mah: Positive


class Board(BaseModel):
    """A whole board file, valid as far as one table can tell; `needlepen.board.load` applies all checks."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    board: Identity
    micropython: Micropython
    flash: Flash
    pins: dict[SignalName, Pin]
    adc: Adc
    converters: dict[SignalName, Converter]
    pio: dict[ProgramName, PioProgram]
    protection: Protection
    mechanics: Mechanics
    motor: Motor
    nose: Nose
    bridge: Bridge
    cell: Cell

    @property
    def name(self) -> str:
        return self.board.name

    def gpio(self, signal: str) -> int:
        """GPIO number of a signal; KeyError if the board has no such signal."""
        return self.pins[signal].gpio

    def converter_pin(self, signal: str) -> Pin:
        """The pin that carries a converter's signal."""
        return self.pins[signal]

    def named_tables(self) -> list[tuple[str, Table]]:
        """Every table with its name as in the file."""
        found: list[tuple[str, Table]] = []
        for name in type(self).model_fields:
            value = getattr(self, name)
            entries = value.items() if isinstance(value, dict) else [("", value)]
            found += [(f"{name}.{key}".rstrip("."), table) for key, table in entries]
        return found

    def tables(self) -> list[Table]:
        return [table for _, table in self.named_tables()]

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return self.model_dump(mode="json", exclude_none=True)
