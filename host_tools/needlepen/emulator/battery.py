"""Charge of the cell: its open-circuit voltage falls as the pen uses it, if the test asks for that."""

from __future__ import annotations

from bisect import bisect_right

from needlepen.emulator.parameters import PenParameters
from needlepen.errors import UsageError

# Open-circuit voltage of a LiCoO2 cell at rest, by charge left. Assumed: a typical curve.
CHARGE_LEFT = (0.0, 0.02, 0.05, 0.10, 0.20, 0.30, 0.40, 0.50, 0.60, 0.70, 0.80, 0.90, 1.0)
OCV_V = (3.00, 3.27, 3.42, 3.55, 3.65, 3.70, 3.74, 3.79, 3.86, 3.93, 4.01, 4.10, 4.20)
TOLD_V = 0.5e-3


def ocv_v(charge_left: float) -> float:
    """Open-circuit voltage at a charge of 0 (empty) to 1 (full); the ends hold beyond."""
    left = min(max(charge_left, 0.0), 1.0)
    k = min(bisect_right(CHARGE_LEFT, left), len(OCV_V) - 1)
    part = (left - CHARGE_LEFT[k - 1]) / (CHARGE_LEFT[k] - CHARGE_LEFT[k - 1])
    return OCV_V[k - 1] + part * (OCV_V[k] - OCV_V[k - 1])


class Battery:
    """The cell's charge. Until `set_charge` the cell keeps the voltage that it was given (`cell_ocv_v`).

    Attributes:
        charge_left: 0 (empty) to 1 (full); None while the voltage is kept.
        used_mah: what the pen has taken since power-on.
    """

    def __init__(self, parameters: PenParameters) -> None:
        self._capacity_as = parameters.cell_capacity_mah * 3.6
        self._told_v = 0.0
        self.charge_left: float | None = None
        self.used_mah = 0.0

    def set_charge(self, charge_left: float) -> float:
        """From now on the voltage follows the charge; returns the open-circuit voltage.

        Raises UsageError for a charge outside 0 to 1.
        """
        if not 0.0 <= charge_left <= 1.0:
            raise UsageError(f"A cell with {charge_left:g} of its charge does not exist: give 0 to 1.")
        self.charge_left = charge_left
        self._told_v = ocv_v(charge_left)
        return self._told_v

    def use(self, charge_as: float) -> float | None:
        """The pen has taken a charge; returns the open-circuit voltage if it has changed by 0.5 mV."""
        self.used_mah += charge_as / 3.6
        if self.charge_left is None:
            return None
        self.charge_left = max(0.0, self.charge_left - charge_as / self._capacity_as)
        volts = ocv_v(self.charge_left)
        if abs(volts - self._told_v) < TOLD_V:
            return None
        self._told_v = volts
        return volts
