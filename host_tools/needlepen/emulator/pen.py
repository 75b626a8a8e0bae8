"""The emulated pen: the chip with our firmware, the electronics and the physics, wired as the board file says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from needlepen.board import Board
from needlepen.cartridges.emulated import emulated_cartridge
from needlepen.emulator.cartridge_socket import Cartridge, CartridgeSocket
from needlepen.emulator.chip import Chip
from needlepen.emulator.depth_axis import DepthAxis
from needlepen.emulator.electronics import Electronics
from needlepen.emulator.factory_image import unique_id as serial_id
from needlepen.emulator.front_end import AdcModel, CurrentAmplifier, battery_adc_volts
from needlepen.emulator.front_panel import FrontPanel
from needlepen.emulator.injection.injector import Injector
from needlepen.emulator.parameters import PenParameters
from needlepen.emulator.physics import PenPhysics
from needlepen.emulator.plant import Plant
from needlepen.emulator.power import Power
from needlepen.errors import NotInTime, Refused
from needlepen.link import LinkClient, Telemetry
from needlepen.link.client import Reply, kinds, messages

READY_TIMEOUT_NS = 5e9
REPLY_TIMEOUT_NS = 1e9
TELEMETRY_PERIOD_MS = 20
TELEMETRY_LEASE_MS = 60_000
FIRMWARE_OUTPUTS = ("RUN_N", "SUPPLY_EN", "LATCH_CLR", "WDT_KICK", "TRIP_N")  # TRIP_N: pulled low in a proof


class EmulatedPen:
    """One pen on the bench. Device time moves only in `run_for`, `run_until` and what waits for an answer.

    Args:
        board: pins and converters.
        runtime: MicroPython UF2, None for what `flash` holds.
        image: file system with the application.
        parameters: the physical pen; `parameters.but(cell_ocv_v=3.5)` for another cell.
        seed: converter noise, index disc and the tolerances of the depth axis.
        engine: "auto", "compiled" or "python".
        flash: what the flash holds before `runtime` and `image`; without all three the board is blank.
        bootsel_held: the BOOTSEL button is held at power-on.
    """

    def __init__(
        self,
        board: Board,
        runtime: Path | None,
        image: bytes | None,
        parameters: PenParameters | None = None,
        seed: int = 0,
        engine: str = "auto",
        unique_id: bytes | None = None,
        flash: bytes = b"",
        bootsel_held: bool = False,
    ) -> None:
        self.board = board
        self.seed = seed
        self.parameters = parameters or PenParameters()
        self.chip: Chip = Chip(
            runtime,
            flash=flash,
            bootsel_held=bootsel_held,
            filesystem=image,
            unique_id=unique_id or serial_id(seed),
            engine=engine,
            filesystem_offset=board.flash.filesystem_offset,
        )
        self.physics = PenPhysics(self.parameters, seed=seed)
        self.electronics: Electronics = Electronics(self.chip, self.physics)
        self.power = Power(self.chip, self.electronics, seed)
        adc = AdcModel(self.parameters, seed)
        self.plant = Plant(self.chip, self.electronics, self.power, board, adc, seed)
        self.faults: Injector = Injector(self)
        self.link = LinkClient(self.chip.console.write)
        self.chip.console.on_received(self._from_pen)
        self.chip.on_reset(lambda _t_ns, _cause: self.link.lost())
        self._wire(adc)

    # ------------------------------------------------------------------ wiring
    def _wire(self, adc: AdcModel) -> None:
        chip, electronics, gpio = self.chip, self.electronics, self.board.gpio
        for name in FIRMWARE_OUTPUTS:
            chip.on_output(gpio(name), self._to_electronics(name))
        chip.on_pwm(
            gpio("PWM_N"),
            lambda t, high, hz: electronics.set_pwm(t, None if high is None else 1.0 - high, hz),
        )
        for line in ("INDEX", "TDC", "TRIP_N", "TRIGGER_N"):
            electronics.on_output(line, self._to_chip(gpio(line)))
            chip.drive(gpio(line), electronics.level(line))
        self.panel = FrontPanel(chip, gpio, self.seed)
        self.power.on_change(self.panel.power)
        self.socket = CartridgeSocket(chip, gpio("CARTRIDGE_BUS"), gpio("CARTRIDGE_N"))
        self.power.on_change(self.socket.power)
        self._cartridges = 0
        self.seat_cartridge()
        chip.drive(gpio("VBUS_SENSE"), 0)
        self._connect_converters(adc)

    def _to_electronics(self, name: str) -> Callable[[int, int | None], None]:
        return lambda t_ns, level: self.electronics.set_pin(name, t_ns, level)

    def _to_chip(self, gpio: int) -> Callable[[float, float], None]:
        return lambda _t_ns, level: self.chip.drive(gpio, int(level))

    def _connect_converters(self, adc: AdcModel) -> None:
        physics = self.physics
        converters = self.board.converters
        amplifier = CurrentAmplifier(physics)
        channel = converters["MOTOR_CURRENT"].channel
        self.chip.set_adc_source(channel, lambda t: adc.code(amplifier.volts(t)))
        channel = converters["BATTERY"].channel
        self.chip.set_adc_source(channel, lambda t: adc.code(battery_adc_volts(physics, t)))

    def _from_pen(self, data: bytes) -> None:
        self.chip.console.read_available()
        self.link.feed(data)

    # ------------------------------------------------------------------ time
    @property
    def now_ns(self) -> int:
        """Device time since power-on."""
        return self.chip.now_ns

    def run_for(self, ns: float) -> None:
        """Let device time pass."""
        self.chip.run_for(ns)

    def run_until(self, condition: Callable[[], bool], timeout_ns: float, slice_ns: float = 100_000) -> bool:
        """Run until the condition holds; False when device time ran out first."""
        return self.chip.run_until(condition, timeout_ns, slice_ns)

    # ------------------------------------------------------------------ operator
    def press(self) -> None:
        """Press the trigger now."""
        self.electronics.press_trigger(self.now_ns)

    def release(self) -> None:
        """Release the trigger now."""
        self.electronics.release_trigger(self.now_ns)

    def press_button(self, name: str, bounce_ms: float = 0.0) -> None:
        """Close "DEPTH_UP_N" or "DEPTH_DOWN_N" now. Raises UsageError for another name, or a bounce over 10 ms."""
        self.panel.press(name, bounce_ms)

    def release_button(self, name: str, bounce_ms: float = 0.0) -> None:
        """Open a button now; as `press_button`."""
        self.panel.release(name, bounce_ms)

    @property
    def pixel(self) -> tuple[int, int, int]:
        """Red, green and blue that the pixel shows now, 0 to 255 each."""
        return self.panel.pixel.rgb

    @property
    def buzzer(self) -> float | None:
        """Frequency of the tone that sounds now, Hz; None for silence."""
        return self.panel.buzzer.hz

    def touch_skin(self, needles: int | None = None, protrusion_mm: float | None = None) -> None:
        """Put the nose on skin now, with the needles of the seated cartridge where the depth axis has them.

        A number instead of None is a load for tests: it stays until `lift`, wherever the axis goes.
        Raises UsageError for a cartridge or protrusion that the pen cannot have.
        """
        self.plant.touch(needles, protrusion_mm, True)

    def lift(self) -> None:
        """Take the nose off the skin now; the needles are where the depth axis has them."""
        self.plant.touch(None, None, False)

    @property
    def needles(self) -> int:
        """Needles that the seated cartridge really has; 0 without one."""
        return self.socket.cartridge.needles if self.socket.cartridge else 0

    def seat_cartridge(self, cartridge: Cartridge | None = None) -> Cartridge:
        """Push a cartridge in now, by default a new authentic one with 24 needles; returns it.

        Raises UsageError if one is in already.
        """
        if cartridge is None:
            self._cartridges += 1
            cartridge = emulated_cartridge(serial=self.seed << 16 | self._cartridges, seed=self.seed)
        self.socket.seat(cartridge)
        self.plant.seat(self.needles)
        return cartridge

    def seat_dummy(self) -> None:
        """Push the dummy cartridge for calibration in now. Raises UsageError if one is in already."""
        self.socket.seat_dummy()
        self.plant.seat(0)

    def unseat_cartridge(self) -> Cartridge | None:
        """Take the cartridge out now; returns it. Without one nothing happens."""
        cartridge = self.socket.cartridge
        self.socket.unseat()
        self.plant.seat(0)
        return cartridge

    @property
    def axis(self) -> DepthAxis:
        """The depth axis: where it truly stands, and its faults."""
        return self.plant.axis

    def set_nose_c(self, nose_c: float | None) -> None:
        """Hold the nose at a temperature; None lets it follow the motor's heat."""
        self.plant.set_nose_c(nose_c)

    def set_ambient_c(self, ambient_c: float, soaked: bool = False) -> None:
        """Temperature of the surroundings; `soaked`: the whole pen has it already."""
        self.plant.set_ambient_c(ambient_c, soaked)

    # ------------------------------------------------------------------ power
    def set_vbus(self, present: bool) -> None:
        """Connect external power, or take it away; the console works without."""
        self.chip.drive(self.board.gpio("VBUS_SENSE"), present)

    def set_charge(self, charge_left: float) -> None:
        """Charge of the cell, 0 to 1: its voltage follows it from now on. Raises UsageError outside."""
        self.electronics.set_cell(self.now_ns, self.plant.battery.set_charge(charge_left))

    def cut_power(
        self, at_ns: float | None = None, at_flash_operation: int | None = None, done: float = 0.5
    ) -> None:
        """The power goes: now, at a device time, or in the n-th flash operation from now (see Power).

        Raises UsageError for a time that is over, or an operation or fraction that cannot be.
        """
        if at_flash_operation is not None:
            self.power.cut_at_flash_operation(at_flash_operation, done)
        elif at_ns is not None:
            self.power.cut_at(at_ns)
        else:
            self.power.cut()

    def restore_power(self) -> None:
        """The power returns and the pen boots."""
        self.power.restore()

    # ------------------------------------------------------------------ host
    def request(self, kind: int, *values: Any) -> Reply:
        """Send a request and wait for its answer in device time.

        Raises NotInTime if none comes within 1 s.
        """
        sequence = self.link.request(kind, *values)
        if not self.chip.run_until(lambda: self.link.reply(sequence) is not None, REPLY_TIMEOUT_NS):
            raise NotInTime(
                f"The pen did not answer request {messages.MESSAGES[kind][0]!r} within "
                f"{REPLY_TIMEOUT_NS / 1e6:.0f} ms of device time (now {self.now_ns / 1e9:.3f} s, "
                f"CPU {self.chip.cpu_state}); the firmware may hang or not be a needlepen build."
            )
        reply = self.link.reply(sequence)
        assert reply is not None
        return reply

    def command(self, kind: int, *values: Any) -> dict[str, Any]:
        """A request that must not be refused; returns the fields of the answer. Raises Refused with the reason."""
        reply = self.request(kind, *values)
        if reply.refused:
            raise Refused(f"The pen refused {messages.MESSAGES[kind][0]!r}: {reply.refused}.")
        return reply.fields

    def connect(self) -> dict[str, Any]:
        """Wait for the USB port, identify the pen and subscribe to telemetry. Returns the identity."""
        self.chip.console.wait_connected()
        if not self.chip.run_until(lambda: self._answers(), READY_TIMEOUT_NS, 10e6):
            raise NotInTime("The emulated pen's firmware did not answer; does its image hold needlepen?")
        identity = self.command(messages.HELLO, kinds.PROTOCOL_VERSION)
        self.command(messages.SUBSCRIBE, TELEMETRY_PERIOD_MS, TELEMETRY_LEASE_MS)
        return identity

    def _answers(self) -> bool:
        try:
            return self.request(messages.HELLO, kinds.PROTOCOL_VERSION).refused is None
        except NotInTime:
            return False

    @property
    def telemetry(self) -> Telemetry | None:
        """The last telemetry frame."""
        return self.link.telemetry

    def wait_state(self, state: str, timeout_ns: float = READY_TIMEOUT_NS) -> Telemetry:
        """Run until telemetry reports a session state; connects again after a reset of the chip.

        Raises NotInTime that names what telemetry reports instead.
        """
        if self.telemetry is None:
            self.connect()

        def reached() -> bool:
            return self.telemetry is not None and self.telemetry.state == state

        if not self.chip.run_until(reached, timeout_ns):
            raise NotInTime(
                f"The pen did not reach state {state!r} within {timeout_ns / 1e9:.1f} s of device time; "
                f"last telemetry: {self.telemetry}."
            )
        assert self.telemetry is not None
        return self.telemetry

    def power_up(self) -> None:
        """Boot to ready with telemetry flowing."""
        self.connect()
        self.wait_state("armed")
