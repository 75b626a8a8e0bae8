"""What surrounds the chip besides the motor: depth axis, heat, charge of the cell, and what the nose touches.

A slow clock brings them up to date every 50 ms of device time, whether anybody looks or not; a moving depth axis
keeps its own time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from needlepen.emulator.battery import Battery
from needlepen.emulator.depth_axis import COILS, SLEEP, DepthAxis
from needlepen.emulator.front_end import AdcModel, SensorInput
from needlepen.emulator.logic_supply import LogicSupply
from needlepen.emulator.physics import PROTRUSION_MIN_MM
from needlepen.emulator.thermal import Thermal
from needlepen.errors import UsageError

if TYPE_CHECKING:
    from needlepen.board import Board
    from needlepen.emulator.chip import Chip
    from needlepen.emulator.electronics import Electronics
    from needlepen.emulator.power import Power

SLOW_NS = 50_000_000
WINDING_STEP_K = 1.0  # the motor circuit hears of the winding's temperature in such steps


class Plant:
    """Depth axis, temperatures and cell of one pen.

    Attributes:
        axis: the depth axis.
        thermal: the temperatures.
        battery: charge of the cell.
    """

    def __init__(
        self, chip: Chip, electronics: Electronics, power: Power, board: Board, adc: AdcModel, seed: int
    ) -> None:
        p = electronics.physics.parameters
        self._chip, self._electronics = chip, electronics
        self._seated = 0
        self._load_needles: int | None = None
        self._load_mm: float | None = None
        self._in_contact = False
        self._hall = SensorInput(adc, 0.0, p.hall_noise_v, f"hall {seed}")
        self._ntc = SensorInput(adc, 0.0, p.ntc_noise_v, f"nose {seed}")
        home = board.gpio("HOME_N")
        self.axis = DepthAxis(
            chip, p, seed, lambda level: chip.drive(home, level), self._protrusion_changed, self._hall_changed
        )
        chip.drive(home, self.axis.home_n)
        self.thermal = Thermal(p)
        self._ntc.volts = self.thermal.ntc_v
        self.battery = Battery(p)
        self._power = power
        self._logic = LogicSupply(chip, electronics, power)
        self._coil_a = p.stepper_coil_a
        self._logic_a = p.logic_a
        self._told_winding_c = p.winding_reference_c
        self._then = electronics.physics.peek(0.0)
        self._protrude(self.axis.protrusion_mm)
        self._connect(board)
        self._clock = chip.create_alarm(self._slow)
        self._clock.schedule_at(SLOW_NS)

    def _connect(self, board: Board) -> None:
        for name in (*COILS, SLEEP):
            self._chip.on_output(board.gpio(name), self._pin(name))
        channels = board.converters
        self._chip.set_adc_source(channels["DEPTH_POSITION"].channel, self._hall.code)
        self._chip.set_adc_source(channels["NOSE_TEMPERATURE"].channel, self._ntc.code)

    def _pin(self, name: str) -> Callable[[int, int | None], None]:
        return lambda t_ns, level: self.axis.set_pin(name, t_ns, level)

    # ------------------------------------------------------------------ needles
    @property
    def needles(self) -> int:
        """Needles that skin would meet now."""
        return self._seated if self._load_needles is None else self._load_needles

    def seat(self, needles: int) -> None:
        """The needles of the cartridge that is seated now, 0 without one."""
        self._seated = needles
        if self._load_needles is None:
            self._set_skin()

    def touch(self, needles: int | None, protrusion_mm: float | None, in_contact: bool) -> None:
        """The nose on skin or off it. None for the needles: those that are seated, from now on; None for their
        protrusion: where the axis stands, from now on. Raises UsageError for what the pen cannot have."""
        before = self._load_needles, self._load_mm, self._in_contact
        self._load_needles, self._load_mm, self._in_contact = needles, protrusion_mm, in_contact
        try:
            self._set_skin()
        except UsageError:
            self._load_needles, self._load_mm, self._in_contact = before
            raise

    def _set_skin(self) -> None:
        mm = max(0.0, self.axis.protrusion_mm) if self._load_mm is None else self._load_mm
        self._electronics.set_skin(self._chip.now_ns, self.needles, mm, self._in_contact)
        self._protrusion_changed(self.axis.protrusion_mm)

    def _protrusion_changed(self, mm: float) -> None:
        if self._load_mm is None:
            self._protrude(mm)

    def _hall_changed(self, volts: float) -> None:
        self._hall.volts = volts

    def _protrude(self, mm: float) -> None:
        self._electronics.set_protrusion(self._chip.now_ns, max(mm, PROTRUSION_MIN_MM))

    # ------------------------------------------------------------------ surroundings
    def set_nose_c(self, nose_c: float | None) -> None:
        """Hold the nose at a temperature; None lets it follow the housing again."""
        self.thermal.fix_nose(nose_c)
        self._warm_nose()

    def set_ambient_c(self, ambient_c: float, soaked: bool = False) -> None:
        """Surroundings; `soaked`: the whole pen has that temperature already."""
        heat = self.thermal
        heat.ambient_c = ambient_c
        if soaked:
            heat.winding_c = heat.housing_c = ambient_c
            self.set_nose_c(ambient_c)
            self.set_nose_c(None)
            self._warm_winding()

    # ------------------------------------------------------------------ slow clock
    def _slow(self) -> None:
        now_ns = self._chip.now_ns
        self._clock.schedule_at(now_ns + SLOW_NS)
        physics = self._electronics.physics
        physics.advance(now_ns)  # of a long rest nothing needs to be kept
        then, now = self._then, physics.peek(now_ns)
        self._then = now
        seconds = (now.t_ns - then.t_ns) * 1e-9
        strokes = abs(now.strokes - then.strokes)
        self.thermal.advance(seconds, now.heat_a2s - then.heat_a2s, strokes)
        self._warm_nose()
        self.axis.vibrate(now_ns, strokes)
        self._warm_winding()
        other_a = self._logic_a + self._coil_a * self.axis.coils_on(now_ns) if self._power.on else 0.0
        ocv_v = self.battery.use(now.charge_as - then.charge_as + other_a * seconds)
        if ocv_v is not None:
            self._electronics.set_cell(now_ns, ocv_v)
        self._logic.look()

    def _warm_nose(self) -> None:
        self.axis.set_nose_c(self.thermal.nose_c)
        self._ntc.volts = self.thermal.ntc_v

    def _warm_winding(self) -> None:
        heat = self.thermal
        if abs(heat.winding_c - self._told_winding_c) >= WINDING_STEP_K:
            self._told_winding_c = heat.winding_c
            self._electronics.set_winding(self._chip.now_ns, heat.winding_ohm)
