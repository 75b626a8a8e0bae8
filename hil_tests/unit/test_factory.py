"""The factory calibration of emulated pens: every pen of the type can be calibrated, and its sensor then agrees."""

from __future__ import annotations

from hypothesis import given, settings, strategies as st

from needlepen import requirements
from needlepen.emulator.axis_geometry import AxisGeometry
from needlepen.emulator.factory import factory_calibration
from needlepen.emulator.parameters import PenParameters

LIMIT = requirements.load().limit


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 100_000))
def test_the_sensor_of_a_calibrated_pen_agrees_with_its_points(seed: int) -> None:
    """With the zero taken at home; what is left of the walk limit of SR-03 is for heat and walk themselves."""
    parameters = PenParameters()
    made = factory_calibration(parameters, seed)
    geometry = AxisGeometry(parameters, seed)
    home_um = geometry.nut_um(geometry.zero_steps())
    zero_v = geometry.hall_v(home_um, geometry.pen.reference_c)
    for set_um, true_um in made.points:
        carriage_um = max(
            home_um, geometry.nut_um(geometry.zero_steps() + set_um / 25.0) - geometry.pen.backlash_um
        )
        volts = geometry.hall_v(carriage_um, geometry.pen.reference_c)
        measured_um = made.points[0][1] + 1e9 * (volts - zero_v) / made.hall_uv_per_mm
        assert abs(measured_um - true_um) < 0.3e3 * float(LIMIT("SR-03", "error_mm")), (
            set_um,
            measured_um,
            true_um,
        )
    assert factory_calibration(parameters, seed) is made
