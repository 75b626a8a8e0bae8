"""Rules that involve several tables of a board file. Each yields (dotted key, reason with remedy)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

from needlepen.board import rp2040
from needlepen.board.model import Board
from needlepen.board.pio_checks import pio_machines, pio_pins

Problem = tuple[str, str]

# Signals and converters that the firmware and the emulated pen name.
MOTOR_OUTPUTS = ("INDEX_CLEAN", "PWM_N", "RUN_N", "SUPPLY_EN", "LATCH_CLR", "WDT_KICK")
DEPTH_COILS = ("DEPTH_A1", "DEPTH_A2", "DEPTH_B1", "DEPTH_B2")
REQUIRED_OUTPUTS = (*MOTOR_OUTPUTS, *DEPTH_COILS, "DEPTH_SLEEP_N", "BUZZER", "PIXEL")
REQUIRED_INPUTS = ("TRIP_N", "INDEX", "TDC", "TRIGGER_N", "HOME_N", "DEPTH_UP_N", "DEPTH_DOWN_N")
REQUIRED_CONVERTERS = ("MOTOR_CURRENT", "BATTERY", "DEPTH_POSITION")
REQUIRED_PROGRAMS = (
    *("cut_trip", "heartbeat", "index_window"),
    *("index_debounce", "index_capture", "tick", "depth_steps"),
)

_DIRECTION_OF = {"pwm": "out", "adc": "in", "onewire": "io"}
_SAFE_PULL = {"low": "down", "high": "up"}


def problems(board: Board) -> list[Problem]:
    """Everything wrong with a board whose tables are well-formed."""
    return [problem for rule in RULES for problem in rule(board)]


def required_names(board: Board) -> Iterator[Problem]:
    for direction, names in (("out", REQUIRED_OUTPUTS), ("in", REQUIRED_INPUTS)):
        for name in names:
            pin = board.pins.get(name)
            if pin is None:
                yield f"pins.{name}", "missing signal, which the firmware uses; add a table for it"
            elif pin.direction != direction:
                yield (
                    f"pins.{name}.direction",
                    f"'{pin.direction}', but the firmware needs '{direction}'; change it",
                )
    for name in REQUIRED_CONVERTERS:
        if name not in board.converters:
            yield f"converters.{name}", "missing converter, which the firmware reads; add a table for it"
    for name in REQUIRED_PROGRAMS:
        if name not in board.pio:
            yield f"pio.{name}", "missing program, which the firmware loads; give it a block and a machine"


def pin_capabilities(board: Board) -> Iterator[Problem]:
    for name, pin in board.pins.items():
        if problem := rp2040.use_problem(pin.gpio, pin.direction, pin.function):
            yield f"pins.{name}.gpio", problem
        needed = _DIRECTION_OF.get(pin.function, pin.direction)
        if needed != pin.direction:
            yield (
                f"pins.{name}.direction",
                f"'{pin.direction}', but '{pin.function}' needs '{needed}'; change one",
            )
        if (pin.function == "pwm") != (pin.pwm_hz is not None):
            remedy = "add the frequency" if pin.function == "pwm" else "remove it, or use function 'pwm'"
            yield f"pins.{name}.pwm_hz", f"belongs to function 'pwm' and to no other; {remedy}"


def pins_used_once(board: Board) -> Iterator[Problem]:
    owner: dict[int, str] = {}
    for name, pin in board.pins.items():
        first = owner.setdefault(pin.gpio, name)
        if first != name:
            yield f"pins.{name}.gpio", f"GP{pin.gpio} is already used by {first}; give each signal its own"


def levels(board: Board) -> Iterator[Problem]:
    for name, pin in board.pins.items():
        key = f"pins.{name}.safe"
        if pin.is_driven and pin.safe is None:
            yield (
                key,
                "missing safe level; say which level of this output, low or high, leaves the pen harmless",
            )
        elif not pin.is_driven and pin.safe is not None:
            yield key, "an input has no safe level; remove it, or correct the direction"
        elif pin.safe == "float" and pin.direction != "io":
            yield key, "only an 'io' signal may float; use low or high"
        elif pin.external_pull and pin.external_pull != _SAFE_PULL.get(pin.safe or "", pin.external_pull):
            yield (
                f"pins.{name}.external_pull",
                f"'{pin.external_pull}' pulls against the safe level '{pin.safe}', so that the pen would not "
                "be safe while the chip is in reset; change the resistor or the safe level",
            )
        if pin.active is None and pin.function != "adc":
            yield f"pins.{name}.active", "missing; say which level, low or high, means what the name says"
        elif name.endswith("_N") and pin.active == "high":
            yield f"pins.{name}.active", "'high', but a name that ends in _N means active low; change one"
        elif name in (*REQUIRED_OUTPUTS, *REQUIRED_INPUTS) and pin.active_level == name.endswith("_N"):
            yield (
                f"pins.{name}.active",
                "'low', but the firmware's PIO programs take it as active high; change it",
            )


def pwm_slices(board: Board) -> Iterator[Problem]:
    sys_hz = board.board.sys_clock_hz
    lowest_hz = sys_hz // ((rp2040.PWM_MAX_TOP + 1) * rp2040.PWM_MAX_DIVIDER) + 1
    pwm = [(name, pin) for name, pin in board.pins.items() if pin.function == "pwm" and pin.pwm_hz]
    for index, (name, pin) in enumerate(pwm):
        if not lowest_hz <= (pin.pwm_hz or 0) <= sys_hz // 2:
            yield f"pins.{name}.pwm_hz", f"{pin.pwm_hz} Hz cannot be made; use {lowest_hz} to {sys_hz // 2}"
        for other_name, other in pwm[:index]:
            if other.pwm_slice != pin.pwm_slice or other.gpio == pin.gpio:
                continue
            if other.pwm_channel == pin.pwm_channel:
                output = f"slice {pin.pwm_slice} channel {'AB'[pin.pwm_channel]}"
                yield (
                    f"pins.{name}.gpio",
                    f"PWM {output} also drives {other_name} on GP{other.gpio}; move one of them",
                )
            elif other.pwm_hz != pin.pwm_hz:
                yield (
                    f"pins.{name}.pwm_hz",
                    f"PWM slice {pin.pwm_slice} has one frequency, but {other_name} needs {other.pwm_hz} Hz "
                    f"and {name} {pin.pwm_hz} Hz; move one of them to another slice",
                )


def converters(board: Board) -> Iterator[Problem]:
    owner: dict[int, str] = {}
    for name, converter in board.converters.items():
        key, channel = f"converters.{name}", converter.channel
        first = owner.setdefault(channel, name)
        if first != name:
            yield f"{key}.channel", f"ADC{channel} is already read by {first}; give each converter its own"
        pin = board.pins.get(name)
        if pin is None:
            yield key, f"no signal of this name; add [pins.{name}] with function 'adc'"
        elif pin.function != "adc":
            yield f"pins.{name}.function", f"'{pin.function}', but [{key}] reads it; use 'adc'"
        elif rp2040.adc_channel(pin.gpio) not in (None, channel):
            yield (
                f"{key}.channel",
                f"ADC{channel} is GP{26 + channel}, but {name} is on GP{pin.gpio}; correct one",
            )
    for name, pin in board.pins.items():
        if pin.function == "adc" and name not in board.converters:
            yield f"pins.{name}", f"function 'adc' without a scale; add [converters.{name}]"


def adc_sampling(board: Board) -> Iterator[Problem]:
    """The samples of one mean have to cover the PWM period evenly (stroboscopic averaging)."""
    adc, channels = board.adc, len(board.converters)
    samples = channels * adc.samples_per_mean
    if samples != adc.ring_samples or samples & (samples - 1):
        yield (
            "adc.ring_samples",
            f"{adc.ring_samples}, but it has to be channels x samples_per_mean = {samples} and, for the DMA "
            "ring, a power of two; change them together",
        )
    pwm = board.pins.get("PWM_N")
    if pwm is None or not pwm.pwm_hz or not channels:
        return
    step = channels * adc.cycles_per_conversion
    period, remainder = divmod(adc.clock_hz, pwm.pwm_hz)
    phases = {k * step % max(period, 1) for k in range(adc.samples_per_mean)}
    gaps = {b - a for a, b in pairwise(sorted([*phases, min(phases) + period]))}
    if remainder or len(phases) != adc.samples_per_mean or len(gaps) != 1:
        yield (
            "adc.cycles_per_conversion",
            f"{adc.samples_per_mean} samples {step} clocks apart do not cover the PWM period of {period} "
            "clocks evenly, so that their mean depends on the duty; step through the period",
        )


def plausible_numbers(board: Board) -> Iterator[Problem]:
    flash, cell, protection = board.flash, board.cell, board.protection
    excess = flash.filesystem_offset + flash.filesystem_bytes - flash.size_bytes
    if excess > 0:
        yield (
            "flash.filesystem_blocks",
            f"the file system ends {excess} bytes behind the flash; use fewer blocks",
        )
    if flash.filesystem_offset % flash.block_bytes:
        yield "flash.filesystem_offset", f"not a multiple of the {flash.block_bytes} byte block; align it"
    if not cell.min_v < cell.nominal_v < cell.max_v:
        yield "cell.nominal_v", "has to lie between min_v and max_v; correct the voltages"
    if protection.watchdog_min_ms >= protection.watchdog_max_ms:
        yield (
            "protection.watchdog_min_ms",
            "leaves the watchdog no window; it has to be below watchdog_max_ms",
        )
    if protection.latch_brake_delay_us <= protection.supply_open_us:
        yield (
            "protection.latch_brake_delay_us",
            "the latch would brake before the supply is open, and short the cell through a shorted high "
            "side; make it longer than supply_open_us",
        )
    if board.mechanics.protrusion_max_mm >= board.mechanics.hard_stop_mm:
        yield "mechanics.hard_stop_mm", "has to lie beyond protrusion_max_mm; correct one of them"
    if board.mechanics.depth_start_rate_hz > board.mechanics.depth_step_rate_hz:
        yield (
            "mechanics.depth_start_rate_hz",
            "above depth_step_rate_hz, but a move starts slowly and gets faster; correct one of them",
        )


RULES: tuple[Callable[[Board], Iterator[Problem]], ...] = (
    required_names,
    pin_capabilities,
    pins_used_once,
    levels,
    pwm_slices,
    converters,
    adc_sampling,
    pio_machines,
    pio_pins,
    plausible_numbers,
)
