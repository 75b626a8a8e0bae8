"""Calibrations of reduced pens by numbers alone, thousands of them: what the procedure measures, fits and decides,
and what the pen then really does at each of its settings."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from needlepen.calibration import decision, fit as curve, plan, uncertainty
from needlepen.calibration.gauges.simulated import SimulatedGauge, simulated_identity
from needlepen.calibration.model import Decision, FitResult, Phase, Point, Reading, Taken
from needlepen.calibration.tolerances import (
    DRIFT_UM as DRIFT_LIMIT_UM,
    REPEATABILITY_UM,
    REVERSAL_UM,
    SETTINGS_UM,
    TOLERANCE_UM,
)
from needlepen.emulator.axis_parameters import AxisParameters
from needlepen.emulator.factory import factory_calibration
from needlepen.emulator.reduced_pen import ReducedPen

POINTS = [(point.phase, point.set_um, point.direction) for point in plan.points()]
"""The whole procedure."""

INSIDE_UM = 70.0
"""A pen whose errors keep within that shall not be refused."""

HOME_FROM = 20
"""Full steps from which home is looked for."""

GAUGE = simulated_identity(error_um=3.0, repeatability_um=3.0, resolution_um=1.0)


class SetUpGauge:
    """A gauge on a pen with all that the budget holds against it, drawn anew: its error curve, its zero, how contact
    and needles give way, how it stands askew, its scatter and its last digit."""

    def __init__(self, pen: ReducedPen, seed: int) -> None:
        self._pen = pen
        draw = random.Random(f"set-up {seed}")
        self._curve = SimulatedGauge(lambda: 0.0, seed, GAUGE.error_um).error_um
        self._off_um = draw.gauss(0.0, GAUGE.repeatability_um)
        self._off_um += draw.uniform(-uncertainty.DEFLECTION_UM, uncertainty.DEFLECTION_UM)
        self._tilt = uncertainty.tilt_um(draw.uniform(0.0, uncertainty.TILT_DEG), 1.0)
        self._random = draw

    def read_um(self) -> float:
        true_um = self._pen.protrusion_um
        shown = true_um * (1.0 + self._tilt) + self._off_um + self._curve(true_um * 1e-3)
        return float(round(shown + self._random.gauss(0.0, GAUGE.repeatability_um)))


@dataclass(frozen=True)
class Outcome:
    """What came of a calibration, and the truth. Lengths in um."""

    seed: int
    fit: FitResult
    decision: Decision
    expected_um: dict[int, float]
    """Mean error of the pen then, by setting: of both directions the farther one."""
    scatter_um: dict[int, float]
    """By setting two standard deviations, which the home switch causes."""
    reversal_um: float
    drift_um: float
    expanded_um: float
    """U of a reading."""

    @property
    def worst_um(self) -> float:
        """Largest mean error of any setting."""
        return max(abs(um) for um in self.expected_um.values())

    @property
    def worst_with_scatter_um(self) -> float:
        """The same with two standard deviations on top."""
        return max(abs(um) + self.scatter_um[at] for at, um in self.expected_um.items())

    @property
    def truly_out(self) -> bool:
        return self.worst_um > TOLERANCE_UM

    @property
    def truly_in(self) -> bool:
        """Within 0.07 mm with its scatter, and within the same share of what else PR-06 asks."""
        share = INSIDE_UM / TOLERANCE_UM
        others = (
            (max(self.scatter_um.values()), REPEATABILITY_UM),
            (self.reversal_um, REVERSAL_UM),
            (abs(self.drift_um), DRIFT_LIMIT_UM),
        )
        inside = self.worst_with_scatter_um <= INSIDE_UM
        return inside and all(value <= share * limit for value, limit in others)

    @property
    def failed(self) -> list[str]:
        return [check.name for check in self.decision.checks if not check.passed]


def calibrate(
    pen: ReducedPen, seed: int, *, drift_um: float = 0.0, warm_k: float = 0.0, present: Any = None
) -> Outcome:
    """The procedure of CR-01 on a pen that has `present` as its calibration.

    `drift_um`: by so much the needles work themselves loose from its begin to its end, evenly; `warm_k`: the nose
    becomes so much warmer.
    """
    gauge = SetUpGauge(pen, seed)
    step_um, step_k = drift_um / len(POINTS), warm_k / len(POINTS)

    def read(set_um: int) -> tuple[int, float]:
        pen.set_depth(set_um)
        pen.loose_um += step_um
        pen.nose_c += step_k
        return pen.travel_um, gauge.read_um()

    found = [read(um) for um in _settings(Phase.AS_FOUND)]
    samples, ways, hall = [], [], []
    for phase, um, direction in POINTS:
        if phase is Phase.CALIBRATION:
            samples.append(read(um))
            ways.append(direction)
            hall.append((samples[-1][1], float(pen.hall_um)))
    made = curve.fit(
        samples,
        found,
        directions=ways,
        hall=hall,
        hall_uv_per_mm=present.hall_uv_per_mm if present else None,
    )
    budget = uncertainty.depth_budget(GAUGE, made.repeatability_um / 2)
    candidate = Candidate(made.points_um, made.hall_uv_per_mm)
    pen.use(candidate)
    fresh = [_taken(um, *read(um)) for um in _settings(Phase.VERIFICATION)]
    late_travel, late_um = read(plan.drift_um())
    drift = late_um - float(curve.curve_at(made.points_um, late_travel))
    decided = decision.decide(
        made,
        budget,
        fresh,
        drift,
        as_found=[_taken(um, *at) for um, at in zip(_settings(Phase.AS_FOUND), found, strict=True)],
    )
    expected, scatter, reversal = truth(pen)
    return Outcome(seed, made, decided, expected, scatter, reversal, drift_um, budget.expanded)


def _settings(phase: Phase) -> list[int]:
    return [um for at, um, _ in POINTS if at is phase]


@dataclass(frozen=True)
class Candidate:
    """What DepthMap needs of a calibration."""

    points: list[tuple[int, int]]
    hall_uv_per_mm: int


_AT = datetime(2026, 1, 15, tzinfo=UTC)


def _taken(set_um: int, travel_um: int, value_um: float) -> Taken:
    """A verification reading. Its parts are what they are, so nothing is checked: there are many."""
    point = Point.model_construct(phase=Phase.VERIFICATION, number=0, set_um=set_um, run=1, direction="up")
    reading = Reading.model_construct(raw="", value_mm=value_um / 1e3, unit="mm", at=_AT)
    return Taken.model_construct(
        point=point, reading=reading, travel_um=travel_um, hall_um=0, nose_c=22.0, cell_v=3.9
    )


# ---------------------------------------------------------------- truth
def truth(pen: ReducedPen) -> tuple[dict[int, float], dict[int, float], float]:
    """What a pen does with the map that it has: mean error and 2 s by setting, reversal; in um.

    By the geometry, without any move: the mean over the places at which home may be found, and for each the nut
    behind which the carriage lies by its play after a move outward, and after the way back from behind.
    """
    errors, scatter, worst_reversal = {}, {}, 0.0
    homes = _homes(pen)
    for set_um in SETTINGS_UM:
        steps = pen.map.steps(set_um)
        ups = [_tip_um(pen, home, steps, False) for home, _share in homes]
        downs = [_tip_um(pen, home, steps, True) for home, _share in homes]
        up, down = (
            sum(um * share for um, (_, share) in zip(ums, homes, strict=True)) for ums in (ups, downs)
        )
        var = sum(share * (um - up) ** 2 for um, (_, share) in zip(ups, homes, strict=True))
        scatter[set_um] = 2.0 * math.sqrt(var)
        worst_reversal = max(worst_reversal, abs(down - up))
        errors[set_um] = max(up - set_um, down - set_um, key=abs)
    return errors, scatter, worst_reversal


def _homes(pen: ReducedPen) -> list[tuple[int, float]]:
    """Full steps at which home is found, each with its probability: coming in, the first one inside of which the nut is
    where the switch closes this time."""
    g, rms = pen.geometry, pen.geometry.pen.home_scatter_um
    if not rms:
        return [(pen.closes_at(g.home_um, HOME_FROM), 1.0)]

    def not_yet(inmost_um: float) -> float:
        """Probability that the switch closes farther in than the nut has been."""
        return 0.5 * (1.0 + math.erf((inmost_um - g.home_um) / rms / math.sqrt(2.0)))

    found, inmost_um, left = [], math.inf, 1.0
    for step in range(HOME_FROM, -HOME_FROM, -1):
        inmost_um = min(inmost_um, pen.nut_um(step))
        share = left - not_yet(inmost_um)
        left -= share
        if share > 1e-6:
            found.append((step, share))
        if left < 1e-6:
            break
    return found


def _tip_um(pen: ReducedPen, home: int, steps: int, from_outside: bool) -> float:
    g = pen.geometry
    play_um = g.pen.backlash_um
    inner_um = pen.nut_um(home)
    if from_outside and steps >= pen.under:
        inner_um = pen.nut_um(home + steps - pen.under)
    carriage_um = min(max(inner_um, pen.nut_um(home + steps) - play_um), g.front_um)
    return g.tip_um(carriage_um + pen.loose_um, pen.nose_c)


# ---------------------------------------------------------------- populations
def production(seeds: range) -> Iterator[Outcome]:
    """Pens as they are made: new ones without a calibration, every third comes with its factory calibration."""
    parameters = AxisParameters()
    for seed in seeds:
        present = factory_calibration(parameters, seed) if seed % 3 == 0 else None
        draw = random.Random(f"production {seed}")
        pen = ReducedPen(parameters, seed, present)
        pen.nose_c = draw.uniform(20.0, 26.0)
        yield calibrate(pen, seed, warm_k=draw.uniform(-1.0, 1.0), present=present)


SPOILT = (
    "offset",
    "play",
    "gain",
    "bow",
    "screw",
    "home",
    "drift",
    "home and screw",
    "play and offset",
    "all",
)
"""What is wrong with a pen of the mixed population, in turn."""


def spoilt(seed: int) -> tuple[AxisParameters, float]:
    """Parameters of a pen whose mechanics are worse than they are made, and its drift in um."""
    draw = random.Random(f"spoilt {seed}")
    kind = SPOILT[seed % len(SPOILT)]
    changes: dict[str, float] = {}
    drift_um = 0.0
    everything = kind == "all"
    if everything or "offset" in kind:
        changes |= {
            "tip_offset_um": draw.choice((-1, 1)) * draw.uniform(20, 220),
            "tip_offset_um_spread": 0.0,
        }
    if everything or "play" in kind:
        changes |= {"backlash_um": draw.uniform(20, 500), "backlash_um_spread": 0.0}
    if everything or kind == "gain":
        changes |= {"tip_gain": draw.uniform(-0.03, 0.03), "screw_gain": draw.uniform(-0.02, 0.02)}
    if everything or kind == "bow":
        changes |= {"tip_bow_um": draw.uniform(-100, 100), "tip_bow_um_spread": 0.0}
    if everything or "screw" in kind:
        changes |= {"screw_periodic_um": draw.uniform(4, 150)}
    if everything or "home" in kind:
        changes |= {"home_scatter_um": draw.uniform(1, 20), "home_off_um": draw.uniform(-40, 40)}
    if everything or kind == "drift":
        drift_um = draw.uniform(-150, 150)
    changes |= {"hall_gain": draw.uniform(-0.1, 0.1), "hall_noise_v": draw.uniform(0.5e-3, 5e-3)}
    return AxisParameters().but(**changes), drift_um


def mixed(seeds: range) -> Iterator[Outcome]:
    """Pens with one defect or several, with no calibration, or one of a pen that was better then."""
    for seed in seeds:
        parameters, drift_um = spoilt(seed)
        draw = random.Random(f"mixed {seed}")
        present = factory_calibration(AxisParameters(), seed) if draw.random() < 0.5 else None
        pen = ReducedPen(parameters, seed, present)
        pen.nose_c = draw.uniform(18.0, 28.0)
        yield calibrate(pen, seed, drift_um=drift_um, warm_k=draw.uniform(-1.0, 1.0), present=present)


def upper_bound(events: int, trials: int, confidence: float = 0.95) -> float:
    """One-sided upper bound of a probability by Clopper and Pearson; with no event it is the rule of three."""
    from scipy import stats

    if events >= trials:
        return 1.0
    return float(stats.beta.ppf(confidence, events + 1, trials - events))
