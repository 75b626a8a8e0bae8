"""The depth axis of a pen in numbers alone: no chip, no time, and therefore thousands of pens in seconds.

What counts for a calibration is the one of the emulated pen: AxisGeometry with the tolerances of a seed, the play of
the screw, the scatter of the home switch, the growth with heat, the hall sensor with its noise, and the firmware's own
DepthMap with its full steps. Moves end as the firmware ends them: outward; to 0.00 mm, and to depths nearer than the
way that it goes behind a depth, by way of the home switch.
"""

from __future__ import annotations

import random
from typing import Any

from needlepen.emulator.axis_geometry import AxisGeometry
from needlepen.emulator.axis_parameters import AxisParameters
from needlepen.firmware_modules import firmware_module

_HALL_SAMPLES = 8
_FAR_STEPS = 20


class ReducedPen:
    """One pen of a seed, homed.

    Args:
        parameters: the type; PenParameters may be given too.
        calibration: a firmware Calibration (or anything with `points` and `hall_uv_per_mm`), None for a new pen.

    Attributes:
        nose_c: temperature of the nose.
        loose_um: by how much the needles have come out besides: a cartridge or a nut that works itself loose.
        under: full steps that a move inward goes behind its depth.
        carriage_um, zero: where the carriage stands, and the rotor's full step that counts as home.
    """

    def __init__(self, parameters: AxisParameters, seed: int = 0, calibration: Any = None) -> None:
        board = firmware_module("pen.board")
        self.seed = seed
        self.geometry = g = AxisGeometry(parameters, seed)
        self._step_um: int = board.DEPTH_STEP_UM
        self.under = board.DEPTH_BACKLASH_UM // board.DEPTH_STEP_UM + 2
        self._random = random.Random(f"reduced pen {seed}")
        self._nut_um: dict[int, float] = {}
        self._hall_v_rms = g.pen.hall_noise_v / _HALL_SAMPLES**0.5
        self.nose_c = g.pen.reference_c
        self.loose_um = 0.0
        self.carriage_um = max(g.home_um, 0.0)
        self.zero = self.closes_at(g.home_um, _FAR_STEPS)
        self._steps = 0  # from home
        self.use(calibration)

    # ---------------------------------------------------------------- what a host does
    def use(self, calibration: Any) -> None:
        """Take a calibration, or None, and find home, as after a restart."""
        self.map = firmware_module("pen.depth").DepthMap(calibration)
        self.home()

    def home(self) -> None:
        """Out by 0.3 mm, in until the switch closes; the hall sensor's zero is taken there."""
        self._to(12)
        self._to_home()
        self._zero_v = self._volts()

    def set_depth(self, depth_um: int) -> None:
        """Move to a setting, 0 to 2500 um, in steps of 50."""
        goal = self.map.steps(depth_um)
        if goal < self._steps:
            if goal >= self.under:
                self._to(goal - self.under)
            else:
                self._to_home()
        self._to(goal)

    # ---------------------------------------------------------------- what can be read
    @property
    def travel_um(self) -> int:
        """Of the axis from home, as the pen counts it."""
        return self._steps * self._step_um

    @property
    def protrusion_um(self) -> float:
        """True needle protrusion now."""
        return self.geometry.tip_um(self.carriage_um + self.loose_um, self.nose_c)

    @property
    def hall_um(self) -> int:
        """Protrusion that the pen reports by its own sensor: `pen.depth_sensor.DepthSensor.um`."""
        code_v = 3.3 / 4096
        change = round((self._volts() - self._zero_v) / code_v * _HALL_SAMPLES)
        return int(self.map.home_um + self.map.um_off(change))

    # ---------------------------------------------------------------- axis
    def nut_um(self, rotor: int) -> float:
        """The nut with the rotor at a full step; asked for often, so it is worked out once."""
        um = self._nut_um.get(rotor)
        if um is None:
            um = self._nut_um[rotor] = self.geometry.nut_um(rotor)
        return um

    def closes_at(self, home_um: float, rotor: int) -> int:
        """The full step, coming in from `rotor`, at which a home switch that closes at `home_um` is closed."""
        while self.nut_um(rotor) > home_um:
            rotor -= 1
        return rotor

    def _to(self, steps: int) -> None:
        self._steps = steps
        self._turn(self.zero + steps)

    def _turn(self, rotor: int) -> None:
        """The nut takes the carriage along, up to its play behind it; the nose stops it."""
        nut_um = self.nut_um(rotor)
        low_um = nut_um - self.geometry.pen.backlash_um
        self.carriage_um = min(max(self.carriage_um, low_um), nut_um, self.geometry.front_um)

    def _to_home(self) -> None:
        """Inward to the full step at which the home switch is closed; it closes a little elsewhere each time.

        From within the play the firmware goes back by its count alone.
        """
        if self._steps > self.under:
            scatter_um = self.geometry.pen.home_scatter_um
            off_um = self._random.gauss(0.0, scatter_um) if scatter_um else 0.0
            self.zero = self.closes_at(self.geometry.home_um + off_um, self.zero + self._steps)
        self._to(0)

    def _volts(self) -> float:
        noise_v = self._random.gauss(0.0, self._hall_v_rms) if self._hall_v_rms else 0.0
        return self.geometry.hall_v(self.carriage_um, self.nose_c) + noise_v
