"""One emulated RP2040 that runs a real firmware image, synchronous and deterministic.

Device time moves only inside `run_for` and `run_until`. The same image, inputs and calls give the same
results to the nanosecond, with either engine.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from needlepen.build import uf2
from needlepen.emulator import boot_rom, engine as engines
from needlepen.emulator.faults import Fault
from needlepen.errors import NotInTime, UsageError

if TYPE_CHECKING:
    from needlepen.emulator.clocks_block import ClocksBlock
    from needlepen.emulator.flash_timing import FlashOperation

FLASH_BASE = 0x10000000
FLASH_SIZE = 2 * 1024 * 1024
CYCLE_NS = 8

ResetCause = Literal["power_on", "run_pin", "watchdog"]


@dataclass
class Stats:
    """What has been done since the chip was made."""

    instructions: int
    pio_steps: int
    alarms: int


class Chip:
    """One emulated RP2040 with its flash, pads and USB console.

    `flash` is what its flash holds, from its start on (blank by default); `runtime` (a UF2) and `filesystem` are
    put over it. `bootsel_held` says whether the BOOTSEL button is held: it counts when the chip starts.
    """

    def __init__(
        self,
        runtime: Path | None,
        *,
        flash: bytes = b"",
        bootsel_held: bool = False,
        filesystem: bytes | None = None,
        unique_id: bytes = bytes.fromhex("e660000000000001"),
        engine: str = "auto",
        filesystem_offset: int = 0xA0000,
        flash_timing: Any = None,
    ) -> None:
        if len(unique_id) != 8:
            raise UsageError(f"The unique ID has {len(unique_id)} bytes, but the flash chip's has 8.")
        self._engine_module = engines.load(engine)
        from needlepen.emulator import assembly  # imports rp2040py, so only after the engine is chosen

        parts = assembly.assemble(self._engine_module, unique_id, self._stall, flash_timing)
        self.mcu, self._clock, self.pins, self._flash = parts.mcu, parts.clock, parts.pins, parts.flash
        self._pwm, self._adc = parts.pwm, parts.adc
        self.clocks: ClocksBlock = parts.mcu.clocks
        self.fault: Fault | None = None
        parts.log.on_fault = self._locked_up
        self.mcu.on_break = lambda code: self._locked_up(f"Breakpoint {code}")
        self._run_loop = self._engine_module.Lockstep(self.mcu, self.pins.apply_inputs)
        self.pins.set_engine(self._run_loop)
        self._reset_listeners: list[Callable[[int, str], None]] = []
        self.mcu.watchdog.on_watchdog_trigger = lambda: self.reset("watchdog")
        self.console = parts.make_console(self)
        if len(flash) > FLASH_SIZE:
            raise UsageError(f"The flash content has {len(flash)} bytes, but the flash only {FLASH_SIZE}.")
        self.mcu.flash[: len(flash)] = flash
        for segment in uf2.read(Path(runtime)) if runtime else ():
            start = segment.address - FLASH_BASE
            self.mcu.flash[start : start + len(segment.data)] = segment.data
        if filesystem is not None:
            self._load_filesystem(filesystem, filesystem_offset)
        self.mcu.core.pc = FLASH_BASE
        self.bootsel_held = bootsel_held
        self.in_bootsel = False
        self._start()

    def _load_filesystem(self, image: bytes, offset: int) -> None:
        if offset + len(image) > FLASH_SIZE:
            raise UsageError(
                f"The file system ({len(image)} bytes at {offset:#x}) exceeds the flash ({FLASH_SIZE})."
            )
        self.mcu.flash[offset : offset + len(image)] = image

    # time

    @property
    def engine_name(self) -> str:
        """`compiled` or `python`."""
        return str(self._engine_module.NAME)

    @property
    def now_ns(self) -> int:
        """Device time since power-on."""
        return math.floor(self._clock.nanos + 0.5)

    @property
    def stats(self) -> Stats:
        """Counts of what the run loop has done."""
        loop = self._run_loop
        return Stats(loop.instructions, loop.pio_steps, loop.alarms)

    def run_for(self, ns: float) -> None:
        """Let `ns` of device time pass, or less if a callback calls `request_stop`."""
        self._run_loop.run(self._clock.nanos + ns)

    def run_until(self, condition: Callable[[], bool], timeout_ns: float, slice_ns: float = 100_000) -> bool:
        """Run until condition() holds, tested every slice_ns and whenever a callback calls `request_stop`.

        Returns False when timeout_ns of device time have passed without it.
        """
        end_ns = self._clock.nanos + timeout_ns
        while not condition():
            if self._clock.nanos >= end_ns:
                return False
            self._run_loop.run(min(end_ns, self._clock.nanos + slice_ns))
        return True

    def require(
        self, condition: Callable[[], bool], what: str, timeout_ns: float, slice_ns: float = 100_000
    ) -> None:
        """`run_until`, but raises NotInTime that names device time, program counter and `what`."""
        if not self.run_until(condition, timeout_ns, slice_ns):
            raise NotInTime(
                f"Waited {timeout_ns / 1e9:.3f} s of device time for {what}, in vain; the firmware may hang "
                f"({self.situation})."
            )

    def request_stop(self) -> None:
        """From a callback: make the running `run_for` or `run_until` look up now."""
        self._run_loop.stopped = True

    def create_alarm(self, fn: Callable[[], None]) -> Any:
        """An alarm with .schedule_at(t_ns), .schedule(delta_ns) and .cancel() that calls fn at that device
        time."""
        return self._clock.create_alarm(fn)

    def call_at(self, t_ns: float, fn: Callable[[], None]) -> Any:
        """Call fn() at device time t_ns; returns the alarm, see `create_alarm`."""
        alarm = self._clock.create_alarm(fn)
        alarm.schedule_at(t_ns)
        return alarm

    # pins

    def drive(self, gpio: int, level: bool | int | None) -> None:
        """Drive a pad from outside from now on; the chip's logic sees it through the input synchroniser."""
        self.pins.drive(gpio, level)

    def output(self, gpio: int) -> int | None:
        """The level that the chip drives on a pad, None for high impedance."""
        return self.pins.output(gpio)

    def pin_level(self, gpio: int) -> int:
        """The electrical level of a pad: the chip's output, else the outside's, else the pull."""
        return self.pins.level(gpio)

    def on_output(self, gpio: int, fn: Callable[[int, int | None], None]) -> None:
        """Call fn(t_ns, level or None) at each change of the chip's output, at exact device time.

        A pad driven by PWM has each of its edges simulated from then on; see `on_pwm` for the cheap way.
        """
        self._pwm.follow_edges(gpio)
        self.pins.on_output(gpio, fn)

    def on_pwm(self, gpio: int, fn: Callable[[int, float | None, float], None]) -> None:
        """Call fn(t_ns, duty, frequency_hz) now and at each change of the waveform that the chip puts on a
        pad.

        duty is the fraction of time at high level. A constant level, whoever drives it, is duty 0 or 1 with
        frequency 0; duty None is high impedance. PWM changes are reported when they take effect, at the wrap.
        """
        self._pwm.on_pwm(gpio, fn)

    def on_level(self, gpio: int, fn: Callable[[int, int], None]) -> None:
        """Call fn(t_ns, level) at each change of a pad's electrical level."""
        self.pins.on_level(gpio, fn)

    # converter

    def set_adc_source(self, channel: int, fn: Callable[[int], int]) -> None:
        """Have fn(t_ns) give the 12-bit code of each conversion of a channel (0-3: GP26-29, 4: temperature).

        t_ns is the instant of sampling, which is now. Without a source a channel reads 0, channel 4 27 C.
        """
        self._adc.sources[channel] = fn

    def adc_source(self, channel: int) -> Callable[[int], int]:
        """What gives the codes of a channel now, see `set_adc_source`."""
        source: Callable[[int], int] = self._adc.sources[channel]
        return source

    @property
    def adc_sources(self) -> list[Callable[[int], int]]:
        """What `set_adc_source` has set, by channel 0 to 4; change it to disturb the inputs."""
        return self._adc.sources

    # CPU and reset

    @property
    def situation(self) -> str:
        """Device time and what the CPU is doing, for error messages."""
        where = f"CPU {self.cpu_state} at {self.mcu.core.pc:#010x}"
        return f"now {self.now_ns / 1e9:.6f} s, {where}" + (f": {self.fault}" if self.fault else "")

    def _locked_up(self, reason: str) -> None:
        if self.fault is None:
            self.fault = Fault(self.now_ns, self.mcu.core.pc & ~1, reason)
        self._run_loop.locked = True

    @property
    def cpu_state(self) -> str:
        """`running`, `asleep` (WFI or WFE), `halted`, `spinning`, `in BOOTSEL mode`, or `locked up` after a fault
        until a reset."""
        if self.in_bootsel:
            return "in BOOTSEL mode"
        if self._run_loop.locked:
            return "locked up"
        if self._run_loop.halted:
            return "halted"
        if self._run_loop.spinning:
            return "spinning"
        return "asleep" if self.mcu.core.waiting else "running"

    @property
    def cpu_halted(self) -> bool:
        """True while the core does not fetch."""
        return bool(self._run_loop.halted)

    def halt_cpu(self) -> None:
        """Stop the core at once, as if its clock were gated; PIO, PWM, converter, DMA and timers go on."""
        self._run_loop.halted = True

    def resume_cpu(self) -> None:
        """Let a halted or spinning core go on where it was."""
        self._run_loop.halted = False
        self._run_loop.spinning = False

    def spin_cpu(self) -> None:
        """Put the core into an endless loop with interrupts masked, as a runaway program does."""
        self._run_loop.spinning = True

    def break_rotation(self, stuck_bits: int) -> None:
        """A fault of the CPU: these bits of every result of RORS are set. 0 mends it."""
        self._run_loop.break_rotation(stuck_bits)

    def on_reset(self, fn: Callable[[int, str], None]) -> None:
        """Call fn(t_ns, cause) after every reset of the chip, whoever caused it."""
        self._reset_listeners.append(fn)

    def reset(self, cause: ResetCause = "run_pin") -> None:
        """Reset the chip: all peripherals, pads to high impedance, off the USB bus, and start from flash."""
        from needlepen.emulator import assembly

        assembly.reset(self.mcu, cause)
        self._run_loop.spinning = self._run_loop.locked = False
        self._run_loop.stall_cycle = 0
        self.fault = None
        self.pins.after_reset()
        self._start()
        for listener in self._reset_listeners:
            listener(self.now_ns, cause)

    def _start(self) -> None:
        """The boot ROM decides: from flash, or BOOTSEL mode, in which nothing of the flash runs."""
        self.in_bootsel = boot_rom.wants_bootsel(self.mcu, self.bootsel_held)
        self._run_loop.locked = self.in_bootsel

    def leave_bootsel(self) -> None:
        """The boot ROM restarts the chip, as it does when a UF2 file is complete. Without effect elsewhere."""
        if self.in_bootsel:
            boot_rom.prepare_restart(self.mcu)
            self.reset("watchdog")

    # flash

    @property
    def flash_bytes(self) -> int:
        """Size of the flash chip."""
        return FLASH_SIZE

    @property
    def flash(self) -> bytes:
        """All that the flash holds."""
        return bytes(self.mcu.flash[:FLASH_SIZE])

    def _stall(self, duration_ns: int) -> None:
        self._run_loop.stall_cycle = math.ceil((self._clock.nanos + duration_ns) / CYCLE_NS)

    def on_flash_write(self, fn: Callable[[int, str, int, int], None]) -> None:
        """Call fn(t_ns, "erase" or "program", address, length) when a flash operation begins."""
        self._flash.listeners.append(fn)

    @property
    def flash_operation(self) -> FlashOperation | None:
        """The flash operation that began last, None after a loss of power."""
        return self._flash.last_operation

    def lose_flash_power(self, rng: np.random.Generator) -> FlashOperation | None:
        """The flash loses its supply now: an operation under way stays half done, and is returned."""
        return self._flash.lose_power(self._clock.nanos, rng)
