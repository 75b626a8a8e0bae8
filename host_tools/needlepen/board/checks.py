"""Rules that involve several tables of a board file. Each yields (dotted key, reason with remedy)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

from needlepen.board import rp2040
from needlepen.board.model import Board

Problem = tuple[str, str]

# Signals, converters and PIO programs that the firmware and the emulated pen name.
REQUIRED_PINS = {
    "INDEX_CLEAN": "out", "PWM_N": "out", "RUN_N": "out", "SUPPLY_EN": "out", "TRIP_N": "in", "LATCH_CLR": "out",
    "WDT_KICK": "out", "INDEX": "in", "TDC": "in", "TRIGGER_N": "in", "MOTOR_CURRENT": "in", "BATTERY": "in",
}  # fmt: skip
REQUIRED_CONVERTERS = ("MOTOR_CURRENT", "BATTERY")
REQUIRED_PROGRAMS = ("cut_trip", "heartbeat", "index_window", "index_debounce", "index_capture", "tick")


def problems(board: Board) -> list[Problem]:
    """Everything wrong with a board whose tables are well-formed, in the order of the file."""
    return [problem for rule in RULES for problem in rule(board)]


def required_names(board: Board) -> Iterator[Problem]:
    for name, direction in REQUIRED_PINS.items():
        pin = board.pins.get(name)
        if pin is None:
            yield f"pins.{name}", "missing signal, which the firmware uses; describe it in a table of its own"
        elif pin.direction != direction:
            yield f"pins.{name}.direction", f"'{pin.direction}', but the firmware needs '{direction}'; change it"
    for name in REQUIRED_CONVERTERS:
        if name not in board.converters:
            yield f"converters.{name}", "missing converter, which the firmware reads; describe its scale"
    for name in REQUIRED_PROGRAMS:
        if name not in board.pio:
            yield f"pio.{name}", "missing program, which the firmware loads; give it a block and a machine"


def pin_capabilities(board: Board) -> Iterator[Problem]:
    for name, pin in board.pins.items():
        problem = rp2040.use_problem(pin.gpio, pin.direction, pin.function)
        if problem:
            yield f"pins.{name}.gpio", problem
        needed = {"pwm": "out", "adc": "in", "onewire": "io"}.get(pin.function)
        if needed and pin.direction != needed:
            yield f"pins.{name}.direction", f"'{pin.function}' needs direction '{needed}', not '{pin.direction}'"
        if (pin.function == "pwm") != (pin.pwm_hz is not None):
            yield f"pins.{name}.pwm_hz", "goes with function 'pwm' only, and is needed there; add or remove it"


def pins_used_once(board: Board) -> Iterator[Problem]:
    owner: dict[int, str] = {}
    for name, pin in board.pins.items():
        if pin.gpio in owner:
            yield f"pins.{name}.gpio", f"GP{pin.gpio} is already used by {owner[pin.gpio]}; give each signal its own"
        owner.setdefault(pin.gpio, name)


def safe_levels(board: Board) -> Iterator[Problem]:
    for name, pin in board.pins.items():
        key = f"pins.{name}.safe"
        if pin.is_driven and pin.safe is None:
            yield key, "missing safe level; say which level of this output leaves the pen harmless (low, high)"
        elif not pin.is_driven and pin.safe is not None:
            yield key, "an input has no safe level; remove it, or correct the direction"
        elif pin.safe == "float" and pin.direction != "io":
            yield key, "only an 'io' signal may float; use low or high"
        elif pin.is_driven and pin.safe != "float" and pin.external_pull:
            if pin.external_pull != {"low": "down", "high": "up"}[str(pin.safe)]:
                yield (f"pins.{name}.external_pull",
                       f"pulls '{pin.external_pull}' against the safe level '{pin.safe}', so that a chip in reset "
                       "would not be safe; change the resistor or the safe level")
        if pin.active is None and pin.function != "adc":
            yield f"pins.{name}.active", "missing; say which level, low or high, means what the name says"


def pwm_slices(board: Board) -> Iterator[Problem]:
    pwm = [(name, pin) for name, pin in board.pins.items() if pin.function == "pwm" and pin.pwm_hz]
    for index, (name, pin) in enumerate(pwm):
        top = board.board.sys_clock_hz / (pin.pwm_hz or 1)
        if not 2 <= top <= (rp2040.PWM_MAX_TOP + 1) * rp2040.PWM_MAX_DIVIDER:
            yield f"pins.{name}.pwm_hz", f"{pin.pwm_hz} Hz cannot be made from {board.board.sys_clock_hz} Hz; change it"
        for other_name, other in pwm[:index]:
            if other.pwm_slice != pin.pwm_slice or other.gpio == pin.gpio:
                continue
            if other.pwm_channel == pin.pwm_channel:
                yield (f"pins.{name}.gpio", f"GP{pin.gpio} is the same PWM output, slice {pin.pwm_slice} channel "
                       f"{'AB'[pin.pwm_channel]}, as {other_name} on GP{other.gpio}; move one of them")
            elif other.pwm_hz != pin.pwm_hz:
                yield (f"pins.{name}.pwm_hz", f"PWM slice {pin.pwm_slice} is shared with {other_name} and has one "
                       f"frequency, {pin.pwm_hz} Hz against {other.pwm_hz} Hz; use another slice or one frequency")


def converters(board: Board) -> Iterator[Problem]:
    owner: dict[int, str] = {}
    for name, converter in board.converters.items():
        key = f"converters.{name}"
        if converter.channel in owner:
            yield f"{key}.channel", f"ADC{converter.channel} is already read by {owner[converter.channel]}; use a free one"
        owner.setdefault(converter.channel, name)
        pin = board.pins.get(name)
        if pin is None:
            yield key, f"no signal of this name; add [pins.{name}] with function 'adc'"
        elif pin.function != "adc":
            yield f"pins.{name}.function", f"'{pin.function}', but [{key}] reads it; use 'adc'"
        elif rp2040.adc_channel(pin.gpio) not in (None, converter.channel):
            yield f"{key}.channel", f"{name} is on GP{pin.gpio}, which is ADC{rp2040.adc_channel(pin.gpio)}; correct one"
    for name, pin in board.pins.items():
        if pin.function == "adc" and name not in board.converters:
            yield f"pins.{name}", f"function 'adc' without a scale; add [converters.{name}]"


def adc_sampling(board: Board) -> Iterator[Problem]:
    adc, channels = board.adc, len(board.converters)
    if adc.ring_samples & (adc.ring_samples - 1) or adc.ring_samples < 2:
        yield "adc.ring_samples", f"{adc.ring_samples} is not a power of two, which the DMA ring needs; change it"
    if channels * adc.samples_per_mean != adc.ring_samples:
        yield ("adc.ring_samples", f"{adc.ring_samples}, but {channels} channels x {adc.samples_per_mean} samples are "
               f"averaged; use {channels * adc.samples_per_mean}")
    pwm = board.pins.get("PWM_N")
    if pwm is None or not pwm.pwm_hz or not channels:
        return
    period, remainder = divmod(adc.clock_hz, pwm.pwm_hz)
    phases = {k * channels * adc.cycles_per_conversion % period for k in range(adc.samples_per_mean)}
    gaps = {b - a for a, b in pairwise(sorted([*phases, min(phases) + period]))}
    if remainder or len(phases) != adc.samples_per_mean or len(gaps) != 1:
        yield ("adc.cycles_per_conversion", f"{adc.samples_per_mean} samples, {channels} x {adc.cycles_per_conversion} "
               f"clocks apart, do not cover the PWM period ({period} clocks) evenly, so that their mean depends on the "
               "duty; choose a conversion that steps through the period")


def pio_programs(board: Board) -> Iterator[Problem]:
    owner: dict[int, str] = {}
    used = [0] * rp2040.PIO_BLOCKS
    for name, program in board.pio.items():
        key = f"pio.{name}"
        if program.state_machine in owner:
            yield (f"{key}.machine", f"PIO{program.block} machine {program.machine} already runs "
                   f"{owner[program.state_machine]}; use a free one of the 4")
        owner.setdefault(program.state_machine, name)
        used[program.block] += program.max_instructions
        if used[program.block] > rp2040.PIO_INSTRUCTIONS >= used[program.block] - program.max_instructions:
            yield (f"{key}.max_instructions", f"PIO{program.block} would need {used[program.block]} instructions with "
                   f"this program, it has {rp2040.PIO_INSTRUCTIONS}; shorten a program or use the other block")
        sys_hz = board.board.sys_clock_hz
        if not sys_hz / rp2040.PIO_MAX_DIVIDER <= program.clock_hz <= sys_hz:
            yield (f"{key}.clock_hz", f"{program.clock_hz} Hz cannot be made from {sys_hz} Hz; use "
                   f"{sys_hz // rp2040.PIO_MAX_DIVIDER + 1} to {sys_hz}")


def pio_pins(board: Board) -> Iterator[Problem]:
    driven: set[str] = set()
    for name, program in board.pio.items():
        for role in ("inputs", "outputs"):
            for signal in getattr(program, role):
                if signal not in board.pins:
                    yield f"pio.{name}.{role}", f"no signal {signal!r}; name a table of [pins]"
        known = [signal for signal in program.outputs if signal in board.pins]
        driven |= set(known)
        for signal in known:
            pin = board.pins[signal]
            if pin.function != f"pio{program.block}" or not pin.is_driven:
                yield (f"pio.{name}.outputs", f"{signal} is {pin.direction} with function '{pin.function}', but a machine "
                       f"of PIO{program.block} moves it; make it an output with function 'pio{program.block}'")
        gpios = [board.pins[signal].gpio for signal in known]
        if gpios != list(range(gpios[0], gpios[0] + len(gpios))) if gpios else False:
            yield (f"pio.{name}.outputs", f"{', '.join(f'{s} on GP{g}' for s, g in zip(known, gpios, strict=True))}: one "
                   "machine moves only adjacent GPIOs, lowest first; rewire or reorder them")
    for name, pin in board.pins.items():
        if pin.function in ("pio0", "pio1") and pin.is_driven and name not in driven:
            yield f"pins.{name}.function", f"'{pin.function}', but no [pio] program lists it in outputs; add it there"


def plausible_numbers(board: Board) -> Iterator[Problem]:
    flash, cell, protection = board.flash, board.cell, board.protection
    if flash.filesystem_offset + flash.filesystem_bytes > flash.size_bytes:
        yield ("flash.filesystem_blocks", f"the file system ends {flash.filesystem_offset + flash.filesystem_bytes - flash.size_bytes}"
               " bytes behind the flash; use fewer blocks")
    if flash.filesystem_offset % flash.block_bytes:
        yield "flash.filesystem_offset", f"not a multiple of the {flash.block_bytes} byte block; align it"
    if not cell.min_v < cell.nominal_v < cell.max_v:
        yield "cell.nominal_v", "min_v < nominal_v < max_v does not hold; correct the voltages"
    if protection.watchdog_min_ms >= protection.watchdog_max_ms:
        yield "protection.watchdog_min_ms", "the watchdog's window is empty; min has to be below max"
    if protection.latch_brake_delay_us <= protection.supply_open_us:
        yield ("protection.latch_brake_delay_us", "the latch would brake before the supply is open, which shorts the cell "
               "through a shorted high side; make it longer than supply_open_us")
    if board.mechanics.protrusion_max_mm >= board.mechanics.hard_stop_mm:
        yield "mechanics.hard_stop_mm", "has to be beyond protrusion_max_mm; correct one of them"


Rule = Callable[[Board], Iterator[Problem]]
RULES: tuple[Rule, ...] = (
    required_names, pin_capabilities, pins_used_once, safe_levels, pwm_slices, converters, adc_sampling,
    pio_programs, pio_pins, plausible_numbers,
)  # fmt: skip
