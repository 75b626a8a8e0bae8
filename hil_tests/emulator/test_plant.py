"""What surrounds the chip, at its pins: a guest program turns the stepper, reads hall, NTC and home switch."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest

from needlepen import board
from needlepen.emulator.battery import ocv_v
from needlepen.emulator.chip import Chip
from needlepen.emulator.electronics import Electronics
from needlepen.emulator.front_end import AdcModel
from needlepen.emulator.parameters import PenParameters
from needlepen.emulator.pen import EmulatedPen
from needlepen.emulator.physics import PenPhysics
from needlepen.emulator.plant import Plant
from needlepen.emulator.power import Power

MS = 1e6
PEN = board.load()
STEP = """
import time
from machine import Pin, ADC
names = {names}
coils = [Pin(n, Pin.OUT, value=0) for n in names]
sleep_n = Pin({sleep}, Pin.OUT, value=0)
home_n = Pin({home}, Pin.IN, Pin.PULL_UP)
hall, ntc = ADC({hall}), ADC({ntc})
at = 0
def pattern(k):
    for i, c in enumerate(coils):
        c((k % 4) == (0, 2, 1, 3)[i])
def go(count, us=2500):
    global at
    for _ in range(abs(count)):
        at += 1 if count > 0 else -1
        pattern(at)
        time.sleep_us(us)
    time.sleep_ms(20)
def mean(adc):
    return sum(adc.read_u16() >> 4 for _ in range(64)) / 64
pattern(0)
sleep_n(1)
time.sleep_ms(20)
"""


class Rig:
    """A chip with bare MicroPython and the plant on its pins."""

    def __init__(self, chip: Chip, **parameters: float) -> None:
        p = PenParameters().but(**parameters)
        self.chip = chip
        self.physics = PenPhysics(p)
        self.electronics = Electronics(chip, self.physics)
        self.power = Power(chip, self.electronics)
        self.plant = Plant(chip, self.electronics, self.power, PEN, AdcModel(p, 1), seed=1)
        names = ("DEPTH_A1", "DEPTH_A2", "DEPTH_B1", "DEPTH_B2")
        self.run(
            STEP.format(
                names=[PEN.gpio(n) for n in names],
                sleep=PEN.gpio("DEPTH_SLEEP_N"),
                home=PEN.gpio("HOME_N"),
                hall=PEN.gpio("DEPTH_POSITION"),
                ntc=PEN.gpio("NOSE_TEMPERATURE"),
            )
        )

    def run(self, code: str) -> str:
        out, errors = self.chip.console.exec(code)
        assert not errors, errors
        return out.strip()

    def volts(self, name: str) -> float:
        return float(ast.literal_eval(self.run(f"print(mean({name}))"))) * 3.3 / 4096

    @property
    def bottom_mm(self) -> float:
        """Protrusion that the physics have at bottom dead centre; the pen stands at top dead centre."""
        return float(self.physics.peek(self.chip.now_ns).needle_mm) + 3.0


@pytest.fixture
def rig(boot: Callable[..., Chip]) -> Callable[..., Rig]:
    return lambda **parameters: Rig(boot(), **parameters)


@pytest.fixture
def pen(runtime: Path) -> EmulatedPen:
    """A whole pen without firmware."""
    return EmulatedPen(PEN, runtime, None, seed=3)


def test_patterns_at_the_pins_move_the_needles(rig: Callable[..., Rig]) -> None:
    r = rig()
    begin_mm, steps = r.bottom_mm, r.plant.axis.steps
    assert r.run("print(home_n())") == "0"
    r.run("go(40)")
    assert r.plant.axis.steps - steps == pytest.approx(40, abs=0.3)
    assert 0.9 < r.bottom_mm - begin_mm < 1.03
    assert r.bottom_mm == pytest.approx(r.plant.axis.protrusion_mm, abs=1.1e-3)
    assert r.run("print(home_n())") == "1"


def test_the_hall_sensor_at_the_converter_follows_the_carriage(rig: Callable[..., Rig]) -> None:
    r = rig(hall_offset_v_spread=0.0, hall_gain_spread=0.0, hall_bow_mm_spread=0.0)
    for count in (0, 20, 20, -10):
        r.run(f"go({count})")
        mm = PEN.converters["DEPTH_POSITION"].value(r.volts("hall"), 3.3)
        erratum_mm = 15 * 3.3 / 4096 / 0.64
        assert mm == pytest.approx(r.plant.axis.carriage_um * 1e-3, abs=erratum_mm + 0.005)


@pytest.mark.parametrize("nose_c", [10.0, 41.0, 43.0])
def test_the_ntc_at_the_converter_says_the_temperature_of_the_nose(
    rig: Callable[..., Rig], nose_c: float
) -> None:
    r = rig()
    r.plant.set_nose_c(nose_c)
    assert PEN.converters["NOSE_TEMPERATURE"].value(r.volts("ntc"), 3.3) == pytest.approx(nose_c, abs=0.6)


def test_a_reset_puts_the_stepper_to_sleep(rig: Callable[..., Rig]) -> None:
    r = rig()
    assert r.plant.axis.energised(r.chip.now_ns)
    r.chip.reset("run_pin")
    assert not r.plant.axis.energised(r.chip.now_ns)


def test_an_imposed_protrusion_stays_while_the_axis_moves_and_ends_with_the_lift(pen: EmulatedPen) -> None:
    def bottom_mm() -> float:
        return float(pen.physics.peek(pen.now_ns).needle_mm) + 3.0

    pen.touch_skin(24, 1.5)
    pen.axis.push(pen.now_ns, 400.0)
    pen.run_for(60 * MS)
    assert bottom_mm() == pytest.approx(1.5)
    pen.lift()
    assert bottom_mm() == pytest.approx(pen.axis.protrusion_mm, abs=1e-3)
    pen.touch_skin()
    pen.axis.push(pen.now_ns, 100.0)
    assert bottom_mm() == pytest.approx(pen.axis.protrusion_mm, abs=1.1e-3)


def test_external_power_shows_at_its_pin(pen: EmulatedPen) -> None:
    gpio = PEN.gpio("VBUS_SENSE")
    for present in (True, False):
        pen.set_vbus(present)
        assert pen.chip.pin_level(gpio) == present


def test_a_locked_rotor_heats_its_winding_and_the_winding_draws_less(rig: Callable[..., Rig]) -> None:
    r = rig()
    now_ns = r.chip.now_ns
    r.electronics.jam(now_ns, True)
    r.physics.set_supply(now_ns, True)
    r.physics.set_drive(now_ns, 2, 0.5)  # past the gate, which is not what this is about
    r.chip.run_for(20 * MS)
    cold_a = r.physics.peek(r.chip.now_ns).current_a
    r.chip.run_for(20e9)
    heat = r.plant.thermal
    watts = cold_a**2 * 1.1
    assert 15.0 * watts > heat.winding_c - heat.housing_c > 6.0 * watts
    ratio = r.physics.peek(r.chip.now_ns).current_a / cold_a
    assert ratio == pytest.approx(1.54 / (1.54 + heat.winding_ohm - 1.1), rel=0.02)


def test_a_cell_by_charge_falls_with_use(runtime: Path) -> None:
    """45 mA of the logic take an eighth of a cell of 1 mAh in 10 s."""
    pen = EmulatedPen(PEN, runtime, None, PenParameters().but(cell_capacity_mah=1.0))
    pen.set_charge(0.5)
    pen.run_for(10e9)
    assert pen.plant.battery.used_mah == pytest.approx(0.125, rel=0.01)
    assert pen.plant.battery.charge_left == pytest.approx(0.375, abs=2e-3)
    assert pen.physics.cell_ocv_v == pytest.approx(ocv_v(0.375), abs=1.5e-3)


@pytest.mark.parametrize(("cell_v", "on"), [(2.81, True), (2.79, False)])
def test_the_pen_browns_out_below_2_8_v(pen: EmulatedPen, cell_v: float, on: bool) -> None:
    pen.run_for(5 * MS)
    pen.electronics.set_cell(pen.now_ns, cell_v)
    pen.run_for(2 * MS)
    assert pen.power.on == on
    pen.electronics.set_cell(pen.now_ns, 3.7)
    pen.run_for(10 * MS)
    assert pen.power.on


def test_a_pen_at_rest_costs_a_few_calls_a_second(pen: EmulatedPen) -> None:
    """The chip is held, so that only what surrounds it makes any."""
    pen.chip.run_for(10 * MS)
    pen.cut_power()
    pen.chip.run_for(100 * MS)
    before = pen.chip.stats.alarms
    pen.chip.run_for(10e9)
    assert pen.chip.stats.alarms - before <= 10 * 45


def test_a_cartridge_pulled_out_of_skin_takes_its_needles_along(pen: EmulatedPen) -> None:
    pen.touch_skin()
    assert pen.plant.needles == 24
    cartridge = pen.unseat_cartridge()
    assert pen.plant.needles == 0
    pen.seat_cartridge(cartridge)
    assert pen.plant.needles == 24
    pen.touch_skin(36, 1.0)
    pen.unseat_cartridge()
    assert pen.plant.needles == 36, "a load for tests stays"
