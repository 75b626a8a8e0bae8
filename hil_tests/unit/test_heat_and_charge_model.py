"""Heat of motor and nose, charge of the cell and the brown-out of the emulated pen, against closed formulas."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest

from needlepen import board
from needlepen.emulator.battery import CHARGE_LEFT, OCV_V, Battery, ocv_v
from needlepen.emulator.logic_supply import LogicSupply
from needlepen.emulator.parameters import PenParameters
from needlepen.emulator.physics import DRIVE, PenPhysics
from needlepen.emulator.thermal import Thermal, ntc_ohm, ntc_volts
from needlepen.errors import UsageError

MS = 1e6
CONSTANT_OHM = PenParameters().but(winding_per_k=0.0)  # heat that does not grow with the temperature


def heated(watts: float, seconds: float, step_s: float = 1.0, p: PenParameters = CONSTANT_OHM) -> Thermal:
    """Constant heat in the cold winding resistance, no strokes."""
    model = Thermal(p)
    for _ in range(round(seconds / step_s)):
        model.advance(step_s, watts / p.winding_ohm * step_s, 0.0)
    return model


# ---------------------------------------------------------------- motor
@pytest.mark.parametrize("watts", [0.1, 0.5, 2.0])
def test_steady_rises_are_those_of_the_thermal_resistances(watts: float) -> None:
    model = heated(watts, 3000.0, 10.0)
    assert model.housing_c - 22.0 == pytest.approx(29.0 * watts, rel=1e-3)
    assert model.winding_c - model.housing_c == pytest.approx(10.0 * watts, rel=1e-3)


def test_time_constants_are_those_of_the_data_sheet() -> None:
    """The winding follows the housing with 5.6 s; the housing has 220 s by itself, and with the winding's heat to
    store on the way C1 (R1 + R2) = 22 s more."""
    fast, slow = heated(1.0, 5.6, 0.1), heated(1.0, 220.0)
    assert fast.winding_c - fast.housing_c == pytest.approx(10.0 * (1.0 - math.exp(-1.0)), rel=0.05)
    together_s = 220.0 + 5.6 / 10.0 * 39.0
    assert slow.housing_c - 22.0 == pytest.approx(29.0 * (1.0 - math.exp(-220.0 / together_s)), rel=0.01)


def test_the_length_of_the_steps_does_not_matter() -> None:
    ends = [heated(1.5, 60.0, step_s) for step_s in (0.05, 1.0, 60.0)]
    for end in ends[1:]:
        assert end.winding_c == pytest.approx(ends[0].winding_c, abs=1e-6)
        assert end.housing_c == pytest.approx(ends[0].housing_c, abs=1e-6)


def test_heat_is_stored_or_given_off_but_never_lost() -> None:
    """Over 100 s: what came in = C1 dTw + C2 dTh + the integral of what leaves through R2."""
    model, out_j = Thermal(CONSTANT_OHM), 0.0
    for _ in range(10_000):
        before_c = model.housing_c
        model.advance(0.01, 0.01 * 2.0 / 1.1, 0.0)
        out_j += 0.01 * (0.5 * (before_c + model.housing_c) - 22.0) / 29.0
    stored_j = 0.56 * (model.winding_c - 22.0) + 220.0 / 29.0 * (model.housing_c - 22.0)
    assert stored_j + out_j == pytest.approx(200.0, rel=1e-4)


def test_copper_gains_0_39_percent_per_kelvin_and_heats_the_more() -> None:
    model = Thermal(PenParameters())
    model.winding_c = 122.0
    assert model.winding_ohm == pytest.approx(1.1 * 1.39)
    warm = heated(1.0, 1000.0, 1.0, PenParameters())
    assert warm.winding_c > heated(1.0, 1000.0).winding_c + 3.0


def test_friction_warms_the_housing() -> None:
    model = Thermal(PenParameters())
    for _ in range(3000):
        model.advance(1.0, 0.0, 150.0)
    watts = (0.08e-3 + 0.15e-3) * 2 * math.pi * 150.0
    assert model.housing_c - 22.0 == pytest.approx(29.0 * watts, rel=1e-3)


def test_a_pen_cools_down_to_its_surroundings() -> None:
    model = heated(2.0, 100.0)
    model.ambient_c = 10.0
    model.advance(3000.0, 0.0, 0.0)
    assert (model.winding_c, model.housing_c) == pytest.approx((10.0, 10.0), abs=0.1)


# ---------------------------------------------------------------- nose
def test_the_nose_takes_its_share_with_its_time_constant() -> None:
    model = heated(1.0, 3000.0, 1.0)
    assert model.nose_c - 22.0 == pytest.approx(0.35 * 29.0, rel=1e-3)
    start_c = model.nose_c
    model.ambient_c = model.housing_c = model.winding_c = 22.0
    model.advance(60.0, 0.0, 0.0)
    assert (model.nose_c - 22.0) / (start_c - 22.0) == pytest.approx(math.exp(-1.0), rel=0.01)


def test_a_held_nose_stays_until_it_is_let_go() -> None:
    model = Thermal(PenParameters())
    model.fix_nose(43.0)
    model.advance(100.0, 50.0, 0.0)
    assert model.nose_c == 43.0
    model.fix_nose(None)
    model.advance(600.0, 0.0, 0.0)
    assert model.nose_c < 30.0


@pytest.mark.parametrize("nose_c", [-20.0, 0.0, 25.0, 41.0, 43.0, 80.0])
def test_ntc_volts_are_what_the_board_file_expects(nose_c: float) -> None:
    p = PenParameters()
    ohm = 10_000.0 * math.exp(3435.0 * (1.0 / (nose_c + 273.15) - 1.0 / 298.15))
    assert ntc_ohm(p, nose_c) == pytest.approx(ohm)
    converter = board.load().converters["NOSE_TEMPERATURE"]
    assert converter.value(ntc_volts(p, nose_c), p.adc_reference_v) == pytest.approx(nose_c, abs=0.01)


# ---------------------------------------------------------------- current and charge of the physics
def jammed(duty: float, **changes: float) -> PenPhysics:
    physics = PenPhysics(PenParameters().but(**changes))
    physics.jam(0.0, True)
    physics.set_supply(0.0, True)
    physics.set_drive(0.0, DRIVE, duty)
    physics.advance(20 * MS)
    return physics


@pytest.mark.parametrize("duty", [0.1, 0.5, 0.9, 1.0])
def test_squared_current_counts_the_ripple(duty: float) -> None:
    """Against the instantaneous current, sampled finely behind an amplifier without a pole."""
    physics = jammed(duty, amplifier_hz=1e10)
    base_ns, points = physics.now.t_ns, 4000
    squares = [physics.sensed_current_a(base_ns + 1000 + 40_000.0 * k / points) ** 2 for k in range(points)]
    then = physics.peek(base_ns)
    physics.advance(base_ns + 100 * MS)
    mean_square = (physics.now.heat_a2s - then.heat_a2s) / 0.1
    assert mean_square == pytest.approx(sum(squares) / points, rel=0.005)
    if duty == 0.1:
        assert mean_square > 1.3 * then.current_a**2, "there was no ripple to count"


@pytest.mark.parametrize("duty", [0.3, 1.0])
def test_charge_out_of_the_cell_is_what_its_resistance_sees(duty: float) -> None:
    physics = jammed(duty)
    then = physics.peek(physics.now.t_ns)
    physics.advance(physics.now.t_ns + 100 * MS)
    now = physics.now
    sag_v = 3.7 - now.polarisation_v - now.supply_v
    assert (now.charge_as - then.charge_as) / 0.1 == pytest.approx(sag_v / 0.06, rel=1e-3)


def test_a_braked_pen_at_rest_takes_and_heats_nothing() -> None:
    physics = PenPhysics(PenParameters())
    physics.advance(1e9)
    assert physics.now.heat_a2s == physics.now.charge_as == 0.0


def test_a_warm_winding_draws_less() -> None:
    physics = jammed(1.0)
    cold_a = physics.now.current_a
    physics.set_winding(physics.now.t_ns, 1.1 * 1.39)
    physics.advance(physics.now.t_ns + 20 * MS)
    cold_ohm = 3.7 / cold_a
    assert physics.now.current_a == pytest.approx(3.7 / (cold_ohm + 1.1 * 0.39), rel=0.01)


# ---------------------------------------------------------------- battery
def test_voltage_by_charge_rises_through_its_points() -> None:
    assert [ocv_v(c) for c in CHARGE_LEFT] == pytest.approx(OCV_V)
    assert all(b > a for a, b in itertools.pairwise(OCV_V))
    assert ocv_v(-1.0) == OCV_V[0] and ocv_v(2.0) == OCV_V[-1]


def test_800_mah_empty_a_full_cell() -> None:
    cell, told = Battery(PenParameters()), []
    assert cell.set_charge(1.0) == OCV_V[-1]
    for _ in range(1000):
        volts = cell.use(0.8 * 3.6)
        if volts is not None:
            told.append(volts)
    assert cell.used_mah == pytest.approx(800.0)
    assert cell.charge_left == pytest.approx(0.0, abs=1e-9)
    assert told == sorted(told, reverse=True) and told[-1] == pytest.approx(OCV_V[0], abs=1e-3)


def test_a_cell_of_given_voltage_keeps_it() -> None:
    cell = Battery(PenParameters())
    assert all(cell.use(100.0) is None for _ in range(100))


@pytest.mark.parametrize("charge", [-0.01, 1.01])
def test_a_charge_that_no_cell_has_is_refused(charge: float) -> None:
    with pytest.raises(UsageError, match="give 0 to 1"):
        Battery(PenParameters()).set_charge(charge)


# ---------------------------------------------------------------- logic supply
class FakePen:
    """Cell voltage by hand; stands for chip, electronics, physics and power."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.supply_v = 3.7
        self.settled = True
        self.parameters = PenParameters()
        self.physics = self
        self.on = True
        self.is_scheduled = False
        self.due_ns = 0.0
        self.events: list[tuple[float, bool]] = []
        self.logic = LogicSupply(self, self, self)  # type: ignore[arg-type]

    def create_alarm(self, fn: Callable[[], None]) -> Any:
        self.fn = fn
        return self

    def schedule(self, delta_ns: float) -> None:
        self.is_scheduled, self.due_ns = True, self.now_ns + delta_ns

    def on_output(self, _signal: str, _fn: Callable[[float, float], None]) -> None: ...

    def peek(self, _t_ns: float) -> Any:
        return self

    def cut(self) -> None:
        self.on = False
        self.events.append((self.now_ns / MS, False))

    def restore(self) -> None:
        self.on = True
        self.events.append((self.now_ns / MS, True))

    def at(self, volts: float, ms: float) -> None:
        """The cell has that voltage for a time."""
        self.supply_v = volts
        end_ns = self.now_ns + ms * MS
        self.logic.look()
        while self.is_scheduled and self.due_ns <= end_ns:
            self.now_ns, self.is_scheduled = int(self.due_ns), False
            self.fn()
        self.now_ns = int(end_ns)


@pytest.mark.parametrize(
    ("volts", "ms", "dies"), [(2.81, 100.0, False), (2.79, 0.9, False), (2.79, 1.3, True)]
)
def test_the_logic_dies_below_2_8_v_for_longer_than_its_charge_lasts(
    volts: float, ms: float, dies: bool
) -> None:
    pen = FakePen()
    pen.at(volts, ms)
    pen.at(3.7, 50.0)
    assert (pen.events[:1] != []) == dies
    if dies:
        assert pen.events[0] == (pytest.approx(1.0, abs=0.01), False)


def test_gaps_do_not_add_up() -> None:
    pen = FakePen()
    for _ in range(20):
        pen.at(2.5, 0.7)
        pen.at(3.2, 0.7)
    assert pen.events == []


def test_it_returns_when_the_cell_has_recovered() -> None:
    pen = FakePen()
    pen.at(2.5, 20.0)
    pen.at(2.99, 50.0)
    assert not pen.on
    pen.at(3.01, 10.0)
    assert [on for _, on in pen.events] == [False, True]


def test_a_sound_cell_is_not_watched() -> None:
    pen = FakePen()
    pen.at(3.0, 10.0)
    assert not pen.is_scheduled
    pen.settled = False
    pen.at(3.6, 10.0)
    assert not pen.is_scheduled
    pen.at(3.4, 10.0)
    assert pen.is_scheduled
