"""The physical pen: independent of who looks and of its step, and faithful to the reference figures.

The figures are the expected behaviour of the reference pen; each is met within 10 %. "Stops" in them is the
first instant without forward motion; the needles then still rock about top dead centre, inside the nose.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import math
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from needlepen.emulator import native_build
from needlepen.emulator.parameters import PenParameters
from needlepen.emulator.pen_state import PenState
from needlepen.emulator.physics import BRAKE, COAST, DRIVE, PenPhysics
from needlepen.errors import UsageError

MS = 1e6
TURN = 2 * math.pi
WITHIN = 0.10  # of the expected figures
QUARTERS_DEG = (0, 90, 180, 270)  # release angles: bottom dead centre, rising, top dead centre, falling


def spinning(
    duty: float,
    pen: PenParameters | None = None,
    needles: int = 0,
    ms: float = 300.0,
    step_ns: float = 20_000.0,
) -> PenPhysics:
    """A pen driven at a fixed duty until it runs steadily."""
    physics = PenPhysics(pen or PenParameters(), seed=1, step_ns=step_ns)
    physics.set_supply(0.0, True)
    physics.set_skin(0.0, needles, 1.5, needles > 0)
    physics.set_drive(0.0, DRIVE, 1.0)
    physics.advance(20 * MS)
    physics.set_drive(20 * MS, DRIVE, duty)
    physics.advance(ms * MS)
    return physics


def mean_rate_hz(physics: PenPhysics, ms: float = 300.0) -> float:
    start_ns, start_rad = physics.now.t_ns, physics.now.theta_rad
    physics.advance(start_ns + ms * MS)
    return (physics.now.theta_rad - start_rad) / TURN / (ms * 1e-3)


@functools.cache
def duty_for(rate_hz: float, pen: PenParameters | None = None) -> float:
    """Fixed duty that turns the free pen at a rate (secant method)."""
    p = pen or PenParameters()
    duties = [p.torque_constant_nm_a * rate_hz * TURN * k / p.cell_ocv_v for k in (1.0, 1.1)]
    errors = [mean_rate_hz(spinning(d, pen)) - rate_hz for d in duties]
    for _ in range(3):
        slope = (errors[-1] - errors[-2]) / (duties[-1] - duties[-2])
        duties.append(duties[-1] - errors[-1] / slope)
        errors.append(mean_rate_hz(spinning(duties[-1], pen)) - rate_hz)
    assert abs(errors[-1]) < 0.2
    return duties[-1]


def history(physics: PenPhysics, ms: float, every_us: float = 50.0) -> list[PenState]:
    start_ns = physics.now.t_ns
    states = []
    for k in range(int(ms * 1e3 / every_us)):
        physics.advance(start_ns + (k + 1) * every_us * 1e3)
        states.append(physics.peek(physics.now.t_ns))
    return states


def at_angle(physics: PenPhysics, angle_deg: float) -> float:
    """Run on to a cam angle; returns the time."""
    goal = (math.floor(physics.now.strokes) + 1 + angle_deg / 360.0) * TURN
    while physics.now.theta_rad < goal - 1e-6:
        left_ns = (goal - physics.now.theta_rad) / max(1.0, physics.now.omega_rad_s) * 1e9
        physics.advance(physics.now.t_ns + min(0.5 * MS, max(10.0, 0.9 * left_ns)))
    return float(physics.now.t_ns)


class Stop:
    """What follows a release: first stop, last time with needles out, final rest."""

    def __init__(self, physics: PenPhysics, mode: int, limit_ms: float = 900.0) -> None:
        t_ns = start_ns = physics.now.t_ns
        start_rad = physics.now.theta_rad
        self.first_ms = math.nan
        self.out_ms = 0.0
        physics.set_drive(start_ns, mode)
        what = None
        while what != "STANDSTILL" and t_ns < start_ns + limit_ms * MS:
            crossing = physics.next_crossing(t_ns, t_ns + 0.1 * MS)
            t_ns, what, _ = crossing or (t_ns + 0.1 * MS, None, 0)
            physics.advance(t_ns)
            if math.isnan(self.first_ms) and physics.now.omega_rad_s <= 0.0:
                self.first_ms = (t_ns - start_ns) / MS
                self.first_strokes = (physics.now.theta_rad - start_rad) / TURN
            if physics.now.needle_mm > 0.0:
                self.out_ms = (t_ns - start_ns) / MS
        self.final_ms = (t_ns - start_ns) / MS
        self.needle_mm = physics.now.needle_mm
        self.strokes = (physics.now.theta_rad - start_rad) / TURN


def stops(
    rate_hz: float, mode: int, needles: int = 0, angles_deg: tuple[int, ...] = QUARTERS_DEG
) -> list[Stop]:
    found = []
    for angle_deg in angles_deg:
        physics = spinning(duty_for(rate_hz))
        at_angle(physics, angle_deg)
        physics.set_skin(physics.now.t_ns, needles or 12, 1.5, needles > 0)
        found.append(Stop(physics, mode))
    return found


# ---------------------------------------------------------------- looking and step change nothing
def treatment(physics: PenPhysics, look: random.Random | None) -> tuple[float, ...]:
    """A run with every kind of input change, looked at or not; the final state."""
    changes = {
        3.3: lambda t: physics.set_supply(t, True),
        4.111: lambda t: physics.set_drive(t, DRIVE, 0.7),
        60.000001: lambda t: physics.set_skin(t, 24, 1.5, True),
        90.0: lambda t: physics.set_drive(t, DRIVE, 0.9),
        120.5: lambda t: physics.set_cell(t, 4.1),
        130.25: lambda t: physics.set_supply(t, False),
        140.0: lambda t: physics.set_supply(t, True),
        150.0: lambda t: physics.short_high_side(t, True),
        160.0: lambda t: physics.short_high_side(t, False),
        170.3: lambda t: physics.set_skin(t, 24, 1.5, False),
        190.0: lambda t: physics.set_drive(t, BRAKE),
        400.0: lambda t: physics.set_drive(t, DRIVE, 0.5),
        430.0: lambda t: physics.jam(t, True),
        440.0: lambda t: physics.set_drive(t, COAST),
    }
    t_ns = 0.0
    for due_ms, change in changes.items():
        while look is not None and t_ns < due_ms * MS:
            t_ns = min(due_ms * MS, t_ns + look.uniform(100.0, 3 * MS))
            physics.advance(t_ns)
            physics.peek(t_ns + look.uniform(0.0, 2 * MS))
            physics.sensed_current_a(t_ns)
            physics.next_crossing(t_ns, t_ns + look.uniform(0.0, 1 * MS))
        change(due_ms * MS)
    physics.advance(500 * MS)
    s = physics.now
    return (s.theta_rad, s.omega_rad_s, s.current_a, s.polarisation_v, s.supply_v, s.needle_mm)


@pytest.mark.parametrize("seed", range(5))
def test_results_are_identical_to_the_bit_however_often_somebody_looks(seed: int) -> None:
    unseen = treatment(PenPhysics(PenParameters()), None)
    seen = treatment(PenPhysics(PenParameters()), random.Random(seed))
    assert seen == unseen, f"seed {seed}"


@pytest.mark.parametrize(("rate_hz", "needles"), [(50, 0), (100, 0), (150, 0), (150, 12), (150, 36)])
def test_halving_the_step_changes_rate_and_current_by_less_than_a_tenth_of_a_percent(
    rate_hz: float, needles: int
) -> None:
    duty = duty_for(rate_hz)
    means = []
    for step_ns in (20_000.0, 10_000.0):
        states = history(spinning(duty, needles=needles, step_ns=step_ns), ms=500)
        turned = states[-1].strokes - states[0].strokes
        means.append((turned, sum(s.current_a for s in states) / len(states)))
    (turns, current_a), (finer_turns, finer_current_a) = means
    assert turns == pytest.approx(finer_turns, rel=1e-3), f"{turns} and {finer_turns} turns"
    assert current_a == pytest.approx(finer_current_a, rel=1e-3), f"{current_a} and {finer_current_a} A"


SCRIPT = """
import json, sys
sys.path.insert(0, sys.argv[1])
from test_physics import treatment
from needlepen.emulator import physics
from needlepen.emulator.parameters import PenParameters
print(json.dumps([physics.__file__, *treatment(physics.PenPhysics(PenParameters()), None)]))
"""


def test_compiled_and_plain_give_the_same_results() -> None:
    if native_build.built() is None:
        pytest.skip("the compiled engine is not built here")
    results = {}
    for engine in ("compiled", "python"):
        environment = {**os.environ, "NEEDLEPEN_ENGINE": engine}
        command = [sys.executable, "-c", SCRIPT, str(Path(__file__).parent)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        file, *results[engine] = json.loads(done.stdout)
        assert file.endswith(".py") == (engine == "python"), f"{engine} ran {file}"
    assert results["compiled"] == pytest.approx(results["python"], rel=1e-12)


# ---------------------------------------------------------------- laws of physics
def test_energy_is_conserved_without_friction_and_current() -> None:
    p = PenParameters().but(bearing_friction_nm=0.0, cam_friction_nm=0.0)
    physics = spinning(0.5, p)

    def energy_j() -> float:
        theta, omega = physics.now.theta_rad, physics.now.omega_rad_s
        ecc_m = p.eccentric_mm * 1e-3
        moment = p.inertia_kg_m2 + p.reciprocating_mass_kg * (ecc_m * math.sin(theta)) ** 2
        travel_m = ecc_m * (1 + math.cos(theta))
        spring_j = p.spring_preload_n * travel_m + 0.5 * p.spring_n_m * travel_m**2
        return 0.5 * moment * omega**2 + spring_j

    physics.set_drive(physics.now.t_ns, COAST)
    physics.advance(physics.now.t_ns + 1 * MS)  # the current has died
    energies = [energy_j()]
    for _ in range(200):
        physics.advance(physics.now.t_ns + 5.3 * MS)
        energies.append(energy_j())
    spread = (max(energies) - min(energies)) / energies[0]
    assert spread < 2e-3, f"energy varies by {100 * spread:.3f} % in 100 revolutions"


def test_locked_rotor_current_follows_the_analytic_exponential() -> None:
    p = PenParameters()
    physics = PenPhysics(p)
    physics.jam(0.0, True)
    physics.set_supply(7_777.0, True)
    physics.set_drive(7_777.0, DRIVE, 1.0)
    ohm = p.drive_ohm + p.cell_r0_ohm
    for t_us in (0.3, 5.0, 14.9, 33.3, 90.0):
        exact_a = p.cell_ocv_v / ohm * -math.expm1(-t_us * 1e-6 * ohm / p.winding_h)
        assert physics.peek(7_777.0 + t_us * 1e3).current_a == pytest.approx(exact_a, rel=1e-4), f"{t_us} us"


@pytest.mark.parametrize("duty", [0.2, 0.5, 0.8])
def test_mean_and_ripple_agree_with_every_pwm_edge_simulated(duty: float) -> None:
    period_ns = 40_000.0
    averaged, switched = spinning(duty), spinning(duty)
    start_ns, start_strokes = averaged.now.t_ns, averaged.now.strokes
    for k in range(2500):
        t_ns = start_ns + k * period_ns
        switched.set_drive(t_ns, BRAKE)
        switched.set_drive(t_ns + (1 - duty) * period_ns, DRIVE, 1.0)
    end_ns = start_ns + 2500 * period_ns
    for physics in (averaged, switched):
        physics.advance(end_ns)
    turned, turned_switched = (p.now.strokes - start_strokes for p in (averaged, switched))
    assert turned == pytest.approx(turned_switched, rel=3e-3), "mean speed"
    assert averaged.now.peak_current_a == pytest.approx(switched.now.current_a, abs=0.02), "top of the ripple"


def test_sensed_current_is_the_switched_one_behind_one_pole() -> None:
    """Locked rotor, every PWM edge simulated and filtered numerically, against the closed form."""
    p, period_ns, duty = PenParameters(), 40_000.0, 0.4
    averaged, switched = PenPhysics(p), PenPhysics(p)
    for physics in (averaged, switched):
        physics.jam(0.0, True)
        physics.set_supply(0.0, True)
    averaged.set_drive(0.0, DRIVE, duty, period_ns)
    tau_ns, step_ns, filtered_a = 1e9 / (TURN * p.amplifier_hz), 50.0, 0.0
    for k in range(20):
        switched.set_drive(k * period_ns, BRAKE)
        for n in range(int(period_ns / step_ns)):
            t_ns = k * period_ns + n * step_ns
            if t_ns >= k * period_ns + (1 - duty) * period_ns:
                switched.set_drive(k * period_ns + (1 - duty) * period_ns, DRIVE, 1.0)
            middle_a = switched.peek(t_ns + step_ns / 2).current_a
            filtered_a = middle_a + (filtered_a - middle_a) * math.exp(-step_ns / tau_ns)
            if k == 19:
                seen_a = averaged.sensed_current_a(t_ns + step_ns)
                assert seen_a == pytest.approx(filtered_a, abs=0.03), (
                    f"{n * step_ns / 1e3} us into the period"
                )


def test_a_pen_at_rest_does_not_creep() -> None:
    """Held by friction 5 degrees from top dead centre, where the spring pulls."""
    physics = PenPhysics(PenParameters(), theta_rad=math.pi + math.radians(5))
    physics.advance(1 * MS)
    start_rad = physics.now.theta_rad
    physics.advance(10_000 * MS)
    assert physics.now.theta_rad == start_rad and physics.now.settled


def test_the_spring_retracts_the_needles_from_just_off_bottom_dead_centre() -> None:
    """Friction holds within 2.5 degrees of it; the spring wins outside, in both directions."""
    for angle_deg in (0.0, 2.0, -2.0, 3.5, -3.5, 90.0):
        moves = abs(angle_deg) > 2.5
        physics = PenPhysics(PenParameters(), theta_rad=math.radians(angle_deg))
        physics.advance(500 * MS)
        distance_deg = abs(math.degrees(physics.now.theta_rad) - angle_deg)
        assert (distance_deg > 60) == moves, f"from {angle_deg} deg it moved {distance_deg:.1f} deg"
        assert physics.now.standing


def test_a_hole_that_is_there_already_is_rubbed_and_not_cut_anew() -> None:
    """Where a cam turns back in skin and in again, up to the depth that this insertion had reached before."""
    spec = importlib.util.spec_from_file_location(
        "plain_cam", Path(native_build.__file__).with_name("cam.py")
    )
    assert spec is not None and spec.loader is not None
    plain = importlib.util.module_from_spec(spec)  # compiled, the force can only be asked for by its work
    spec.loader.exec_module(plain)
    p = PenParameters()
    model, depth_mm = plain.Cam(p), p.puncture_until_mm
    model.needles = 24.0
    rubbed_n = 24 * p.friction_in_n_mm * depth_mm + p.bulk_n_mm * depth_mm
    cut_n = 24 * p.puncture_n + p.bulk_n_mm * depth_mm
    assert model.skin_n(1.01e-3 * depth_mm, 1e-3 * depth_mm, True) == pytest.approx(rubbed_n)
    assert model.skin_n(0.99e-3 * depth_mm, 1e-3 * depth_mm, True) == pytest.approx(cut_n)


def test_skin_holds_needles_coming_out_less_than_going_in() -> None:
    """Work of one stroke into skin, from the loss of energy of a coasting pen, against the force law."""
    p = PenParameters().but(bearing_friction_nm=0.0, cam_friction_nm=0.0, reciprocating_mass_kg=0.0)
    physics = spinning(0.7, p)
    at_angle(physics, 180.0)
    physics.set_drive(physics.now.t_ns, COAST)
    physics.set_skin(physics.now.t_ns, 24, 1.5, True)
    at_angle(physics, 180.0)
    before = physics.now.omega_rad_s
    at_angle(physics, 180.0)
    lost_mj = 0.5e3 * p.inertia_kg_m2 * (before**2 - physics.now.omega_rad_s**2)

    depth, steps, work = 1.5, 30_000, 0.0
    for k in range(steps):
        z = depth * (k + 0.5) / steps
        cut = p.puncture_n * p.puncture_residual + p.friction_in_n_mm * z
        if z < p.puncture_reached_mm:
            cut = p.puncture_n * z / p.puncture_reached_mm
        elif z < p.puncture_until_mm:
            cut = p.puncture_n
        inward = 24 * cut + p.bulk_n_mm * z
        outward = p.bulk_n_mm * p.bulk_return * z - 24 * p.friction_out_n_mm * z
        work += (inward - outward) * depth / steps
    assert lost_mj == pytest.approx(work, rel=0.02), f"{lost_mj:.3f} mJ lost, force law {work:.3f} mJ"


def test_lifting_off_frees_the_motor_at_once() -> None:
    physics = spinning(duty_for(100), needles=24)
    loaded_hz = mean_rate_hz(physics)
    physics.set_skin(physics.now.t_ns, 24, 1.5, False)
    physics.advance(physics.now.t_ns + 200 * MS)
    assert mean_rate_hz(physics) == pytest.approx(100, rel=0.01) and loaded_hz < 80


# ---------------------------------------------------------------- prediction
def test_predicted_crossings_come_true_and_commit_nothing() -> None:
    physics, watched = spinning(0.5), spinning(0.5)
    t_ns = physics.now.t_ns
    seen = []
    while len(seen) < 100:
        before = physics.peek(t_ns)
        crossing = physics.next_crossing(t_ns, t_ns + 1 * MS)
        assert physics.peek(t_ns).theta_rad == before.theta_rad
        if crossing is None:
            t_ns += 1 * MS
        else:
            t_ns, line, level = crossing
            seen.append(line)
            edge = min(
                (abs(watched.peek(t_ns).theta_rad % TURN - a), a, name, new)
                for a, name, new in physics.parameters.rotation_edges(1)
            )
            assert edge[0] < 1e-8 and edge[2:] == (line, level)
            watched.advance(t_ns)
        physics.advance(t_ns)
    assert seen.count("INDEX") == pytest.approx(80, abs=2) and seen.count("TDC") == pytest.approx(20, abs=2)


def test_comparator_crossing_is_found_in_both_directions() -> None:
    p = PenParameters().but(cell_ocv_v=4.2)
    physics = PenPhysics(p)
    physics.jam(0.0, True)
    physics.set_supply(0.0, True)
    physics.set_drive(0.0, DRIVE, 1.0)
    crossing = physics.next_crossing(0.0, 1 * MS)
    assert crossing is not None and crossing[1:] == ("OVERCURRENT", 1)
    ohm = p.drive_ohm + p.cell_r0_ohm
    exact_ns = -math.log1p(-p.overcurrent_a * ohm / p.cell_ocv_v) * p.winding_h / ohm * 1e9
    assert crossing[0] == pytest.approx(exact_ns, rel=1e-3)
    physics.set_drive(200_000.0, BRAKE)
    crossing = physics.next_crossing(200_000.0, 1 * MS)
    assert crossing is not None and crossing[1:] == ("OVERCURRENT", 0)


def test_index_disc_is_that_of_its_seed() -> None:
    p = PenParameters()
    assert p.rotation_edges(1) == p.rotation_edges(1) != p.rotation_edges(2)
    for angle_rad, line, _ in p.rotation_edges(7):
        if line == "INDEX":
            off_deg = (math.degrees(angle_rad) - p.index_offset_deg + 22.5) % 45.0 - 22.5
            assert abs(off_deg) <= p.index_placement_deg


# ---------------------------------------------------------------- expected behaviour of the reference pen
def test_spin_up_takes_34_ms_and_2_2_ampere_at_3_3_volt() -> None:
    p = PenParameters().but(cell_ocv_v=3.3)
    final_hz = mean_rate_hz(spinning(1.0, p))
    physics = PenPhysics(p)
    physics.set_supply(0.0, True)
    physics.set_drive(0.0, DRIVE, 1.0)
    states = history(physics, ms=60)
    reached_ms = next(s.t_ns for s in states if s.rate_hz >= 0.9 * final_hz) / MS
    peak_a = max(s.current_a for s in states)
    assert reached_ms == pytest.approx(34, rel=WITHIN), f"{reached_ms:.1f} ms to 90 %"
    assert peak_a == pytest.approx(2.2, rel=WITHIN), f"peak {peak_a:.2f} A"


@pytest.mark.parametrize(("rate_hz", "ripple_pct"), [(150, 2.4), (100, 5), (50, 20)])
def test_no_contact_current_and_ripple_within_a_stroke(rate_hz: float, ripple_pct: float) -> None:
    """Amplitude of the first harmonic over the stroke; the reference gives 2 / 5 / 20 %, rounded."""
    physics = spinning(duty_for(rate_hz))
    at_angle(physics, 180.0)
    start_ns = physics.now.t_ns
    for _ in range(20):
        end_ns = at_angle(physics, 180.0)
    stroke_ns = (end_ns - start_ns) / 20
    physics = spinning(duty_for(rate_hz))
    at_angle(physics, 180.0)
    states = history(physics, ms=20 * stroke_ns / MS, every_us=stroke_ns / 1e3 / 200)
    angles = [k * TURN / 200 for k in range(1, len(states) + 1)]
    cosine = 2 * sum(s.rate_hz * math.cos(a) for s, a in zip(states, angles, strict=True)) / len(states)
    sine = 2 * sum(s.rate_hz * math.sin(a) for s, a in zip(states, angles, strict=True)) / len(states)
    measured_pct = 100 * math.hypot(sine, cosine) / rate_hz
    assert measured_pct == pytest.approx(ripple_pct, rel=WITHIN), f"{measured_pct:.2f} % at {rate_hz} Hz"
    mean_a = sum(s.current_a for s in states) / len(states)
    assert mean_a == pytest.approx(0.09, rel=WITHIN), f"{mean_a:.3f} A at {rate_hz} Hz"


@pytest.mark.parametrize(("needles", "droop_pct"), [(12, 8), (24, 16), (36, 23)])
def test_droop_at_fixed_voltage_from_150_hz(needles: int, droop_pct: float) -> None:
    rate_hz = mean_rate_hz(spinning(duty_for(150), needles=needles))
    measured_pct = 100 * (1 - rate_hz / 150)
    assert measured_pct == pytest.approx(droop_pct, rel=WITHIN), f"{needles} needles: {measured_pct:.1f} %"


def test_24_needles_stall_at_50_hz_and_fixed_voltage() -> None:
    physics = spinning(duty_for(50))
    physics.set_skin(physics.now.t_ns, 24, 1.5, True)
    physics.advance(physics.now.t_ns + 300 * MS)
    assert physics.now.standing and physics.now.needle_mm > 0


@pytest.mark.parametrize(
    ("rate_hz", "most_ms", "angles_deg"),
    [(150, 58, QUARTERS_DEG), (100, 43, QUARTERS_DEG), (50, 23, (0, 90, 180))],
)
def test_short_brake_stops_forward_motion(
    rate_hz: float, most_ms: float, angles_deg: tuple[int, ...]
) -> None:
    """From 50 Hz and 270 degrees the needles just about reach bottom dead centre and tip over it slowly: that
    angle is not in the reference's figure, and has its own test."""
    slowest_ms = max(s.first_ms for s in stops(rate_hz, BRAKE, angles_deg=angles_deg))
    assert slowest_ms == pytest.approx(most_ms, rel=WITHIN), f"from {rate_hz} Hz {slowest_ms:.1f} ms"


@pytest.mark.parametrize("rate_hz", [50, 100, 150])
def test_a_free_pen_rests_from_any_release_angle_and_nearly_always_retracted(rate_hz: float) -> None:
    """Within 150 ms and 2.1 strokes; at most 2 % of the angles end balanced on bottom dead centre."""
    found = stops(rate_hz, BRAKE, angles_deg=tuple(range(0, 360, 5)))
    assert max(s.final_ms for s in found) < 150 and max(s.strokes for s in found) < 2.1
    assert sum(s.needle_mm > 0 for s in found) <= 0.02 * len(found)


def test_every_stop_is_announced_even_if_the_last_current_still_moves_the_force_balance() -> None:
    """24 needles on the edge of being held: what holds them is settled only after the current has died."""
    for k in range(21):
        physics = spinning(0.34, PenParameters().but(cell_ocv_v=4.2), needles=24)
        at_angle(physics, 276.0 + 0.05 * k)
        stop = Stop(physics, BRAKE, limit_ms=250)
        assert stop.final_ms < 250, f"released at {276.0 + 0.05 * k:.2f} deg: no standstill announced"


@pytest.mark.parametrize("needles", [0, 12])
def test_short_brake_from_150_hz_takes_1_9_strokes_and_has_the_tips_out_in_37_ms(needles: int) -> None:
    found = stops(150, BRAKE, needles)
    strokes, out_ms = max(s.strokes for s in found), max(s.out_ms for s in found)
    assert strokes <= 1.9 * (1 + WITHIN), f"{strokes:.2f} strokes with {needles} needles"
    assert out_ms <= 37 * (1 + WITHIN), f"tips out after {out_ms:.1f} ms with {needles} needles"


@pytest.mark.parametrize(("needles", "expected_ms", "strokes"), [(0, 233, 21), (12, 109, 9)])
def test_coasting_from_150_hz_takes_many_strokes(needles: int, expected_ms: float, strokes: int) -> None:
    """Free, and with 12 needles at 1.5 mm: the case that matches the reference's "in skin"."""
    found = stops(150, COAST, needles)
    mean_ms = sum(s.first_ms for s in found) / len(found)
    most = max(s.first_strokes for s in found)
    assert mean_ms == pytest.approx(expected_ms, rel=WITHIN), f"{mean_ms:.0f} ms"
    assert most == pytest.approx(strokes, rel=WITHIN), f"{most:.2f} strokes"


def test_brake_time_constant_is_13_7_ms() -> None:
    """Of a motor without friction, spring and moving mass."""
    p = PenParameters().but(
        bearing_friction_nm=0, cam_friction_nm=0, spring_preload_n=0, spring_n_m=0, reciprocating_mass_kg=0
    )
    physics = spinning(0.7, p)
    physics.set_drive(physics.now.t_ns, BRAKE)
    physics.advance(physics.now.t_ns + 1 * MS)
    start = physics.now.omega_rad_s
    physics.advance(physics.now.t_ns + 10 * MS)
    tau_ms = 10 / math.log(start / physics.now.omega_rad_s)
    assert tau_ms == pytest.approx(13.7, rel=0.01), f"{tau_ms:.2f} ms"


def test_runaway_on_a_full_cell_passes_from_150_to_165_hz_and_ends_near_240_hz() -> None:
    """3.6 ms is the reference's slowest: an aged cell, and the cam at its hardest angle."""
    p = PenParameters().but(cell_ocv_v=4.2, cell_r0_ohm=0.12)
    times_ms = []
    for angle_deg in range(0, 360, 30):
        physics = spinning(duty_for(150, p), p)
        start_ns = at_angle(physics, angle_deg)
        physics.short_high_side(start_ns, True)
        while physics.now.rate_hz < 165:
            physics.advance(physics.now.t_ns + 10_000)
        times_ms.append((physics.now.t_ns - start_ns) / MS)
    assert max(times_ms) == pytest.approx(3.6, rel=WITHIN), f"{min(times_ms):.1f} to {max(times_ms):.1f} ms"
    physics.advance(physics.now.t_ns + 500 * MS)
    assert mean_rate_hz(physics) == pytest.approx(240, rel=WITHIN)


@pytest.mark.parametrize(("cell_v", "expected_a"), [(3.3, 2.2), (4.2, 2.8)])
def test_locked_rotor_passes_1_5_ampere_within_20_microseconds(cell_v: float, expected_a: float) -> None:
    physics = PenPhysics(PenParameters().but(cell_ocv_v=cell_v))
    physics.jam(0.0, True)
    physics.set_supply(0.0, True)
    physics.set_drive(0.0, DRIVE, 1.0)
    assert physics.peek(20_000.0).current_a > 1.5
    physics.advance(1 * MS)
    assert physics.now.current_a == pytest.approx(expected_a, rel=WITHIN)


# ---------------------------------------------------------------- bad input
@pytest.mark.parametrize(
    "changes",
    [
        {"cell_ocv_v": 5.0},
        {"winding_ohm": -1.0},
        {"inertia_kg_m2": math.nan},
        {"no_such_thing": 1.0},
        {"diode_v": "x"},
    ],
)
def test_parameters_outside_the_model_are_refused_in_one_line(changes: dict[str, float]) -> None:
    with pytest.raises(UsageError) as error:
        PenParameters().but(**changes)
    message = str(error.value)
    assert next(iter(changes)) in message and "\n" not in message


def test_impossible_skin_and_cell_are_refused() -> None:
    physics = PenPhysics(PenParameters())
    for needles, protrusion_mm in ((13, 1.0), (12, 2.61), (12, -0.1)):
        with pytest.raises(UsageError):
            physics.set_skin(0.0, needles, protrusion_mm, True)
    with pytest.raises(UsageError):
        physics.set_cell(0.0, 6.0)


def test_time_cannot_run_backwards() -> None:
    physics = spinning(0.5)
    with pytest.raises(ValueError, match="past"):
        physics.set_drive(10 * MS, BRAKE)
    with pytest.raises(ValueError, match="past"):
        physics.peek(10 * MS)
