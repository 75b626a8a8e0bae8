"""Calibrations as the procedure makes them, without a procedure: readings of a modelled axis by a gauge with noise.

Fast: for tests of what comes after a calibration (database, certificate). What a pen has is a real, signed record.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from statistics import fmean
from typing import Any, Literal

from needlepen import __version__
from needlepen.calibration.database.numbers import ALPHABET, check_character
from needlepen.calibration.model import (
    Budget,
    Calibration,
    Check,
    Conditions,
    Contribution,
    DailyCheck,
    Decision,
    FitResult,
    GaugeIdentity,
    PenIdentity,
    Phase,
    Point,
    Reading,
    Taken,
)
from needlepen.emulator.axis_geometry import AxisGeometry
from needlepen.emulator.parameters import PenParameters
from needlepen.firmware_modules import firmware_module
from needlepen.records import making

Direction = Literal["up", "down"]
PEN = "e660000000000001"
GAUGE = GaugeIdentity(
    kind="mitutoyo",
    model="543-700 Ø8",
    serial="A17-0042",
    resolution_um=1.0,
    error_um=3.0,
    repeatability_um=3.0,
    certificate="DAkkS-D-K 2026/0815",
    due=date(2027, 1, 31),
)
DAY = date(2026, 1, 15)
TOLERANCE_UM = 100.0
_STEP_UM = 25
_FITTED = tuple(range(0, 2501, 250))
_AS_FOUND = (0, 150, 450, 750, 1050, 1350, 1650, 1950, 2250, 2500)
_FRESH = (300, 800, 1300, 1800, 2300)


def number(serial: int, day: date = DAY) -> str:
    """A number with a sound check character, the same for the same `serial`."""
    random_part = "".join(ALPHABET[serial // len(ALPHABET) ** place % len(ALPHABET)] for place in range(5))
    return f"NP-{day:%y%m%d}-{random_part}{check_character(f'{day:%y%m%d}' + random_part)}"


def pen_identity(pen: str = PEN, run_s: int = 36_000) -> PenIdentity:
    """A pen with the shipped firmware."""
    return PenIdentity(
        unique_id=pen, board="pico_pen", version=__version__, application_hash="3f9a61c2d07be845",
        name="left", run_s=run_s, strokes=150 * run_s,
    )  # fmt: skip


class Bench:
    """An axis of a seed, and a gauge that reads it with noise, one reading every 4 s."""

    def __init__(self, seed: int, begun: datetime, off_um: float) -> None:
        self._geometry = AxisGeometry(PenParameters(), seed)
        self._random = random.Random(f"gauge {seed}")
        self._off_um = off_um
        self.at = begun

    def take(self, point: Point, travel_um: int) -> Taken:
        """One reading."""
        self.at += timedelta(seconds=4)
        true_um = 0.0 if point.phase == Phase.ZERO else self._true(travel_um)
        found = round(true_um + self._random.gauss(0, 1.5))
        sign = "-" if found < 0 else "+"
        raw = f"01A{sign}{abs(found) // 1000:04d}.{abs(found) % 1000:03d}"
        return Taken(
            point=point,
            reading=Reading(raw=raw, value_mm=found / 1000, at=self.at),
            travel_um=travel_um,
            hall_um=round(true_um) + self._random.randint(-8, 8),
            nose_c=round(22.4 + self._random.random() / 5, 1),
            cell_v=3.98,
        )

    def _true(self, travel_um: int) -> float:
        bent_um = self._off_um * math.sin(math.pi * travel_um / 2500)
        return self._geometry.static_curve([float(travel_um)])[0] + bent_um


@lru_cache
def calibration(
    serial: int = 1,
    *,
    seed: int = 1,
    pen: str = PEN,
    day: date = DAY,
    bent_after_um: float = 0.0,
    run_s: int = 36_000,
    operator: str = "Ines Müller-Ødegård",
    gauge: GaugeIdentity = GAUGE,
    key: bytes | None = None,
) -> Calibration:
    """A whole calibration of the pen `pen` with the axis of `seed`.

    `bent_after_um`: the axis gives way by that much, mid-range, after the fit: the verification then refuses it.
    `key`: of the pen's technicians; None is the published one of a development pen.
    """
    begun = datetime(day.year, day.month, day.day, 9, 12, 5, tzinfo=UTC)
    bench = Bench(seed, begun, 0.0)
    points = _points()
    before = [bench.take(point, _rounded(point.set_um)) for point in points if not _is_after(point)]
    fitted = _fit(before)
    depths = firmware_module("pen.depth").DepthMap(_record_of(fitted, day))
    bench._off_um = bent_after_um
    after = [bench.take(p, depths.steps(p.set_um) * _STEP_UM) for p in points if _is_after(p)]
    taken = before + after
    budget = _budget(gauge, fitted.repeatability_um / 2)
    decision = _decide(taken, fitted, budget)
    name = number(serial, day)
    due = date(day.year + 1, day.month, day.day)
    identity = pen_identity(pen, run_s)
    signed = _signed(fitted, identity, name, day, decision.accepted, gauge, operator, key)
    return Calibration(
        number=name, pen=identity, gauge=gauge, operator=operator,
        conditions=Conditions(room_c=22.1, nose_c=22.5, cell_v=3.98, humidity_pct=45.0, note="bench 2"),
        begun=begun, ended=bench.at, day=day, due=due, taken=taken,
        replaced=[taken[3].model_copy(update={"reading": Reading(raw="01A+0009.990", value_mm=9.99, at=begun)})],
        fit=fitted, budget=budget, decision=decision, record_hex=signed.hex(), software=__version__,
    )  # fmt: skip


def daily_check(
    of: Calibration, day: date, *, off_um: float = 0.0, run_s: int | None = None, seed: int = 5
) -> DailyCheck:
    """A daily check of the pen with that calibration."""
    bench = Bench(seed, datetime(day.year, day.month, day.day, 7, 30, tzinfo=UTC), 0.0)
    taken = []
    for place, set_um in enumerate((500, 1000, 1500)):
        point = Point(phase=Phase.VERIFICATION, number=place, set_um=set_um)
        one = bench.take(point, _rounded(set_um))
        value_mm = round(set_um + off_um + place) / 1000
        reading = Reading(raw=f"{value_mm}", value_mm=value_mm, at=one.reading.at)
        taken.append(one.model_copy(update={"reading": reading}))
    worst = max(abs(one.error_um) for one in taken)
    check = _at_most("largest error", "PR-06", worst, TOLERANCE_UM)
    return DailyCheck(
        pen=of.pen.model_copy(update={"run_s": of.pen.run_s if run_s is None else run_s}), gauge=of.gauge,
        operator=of.operator, conditions=of.conditions, at=taken[-1].reading.at, calibration=of.number, taken=taken,
        decision=Decision(accepted=check.passed, checks=[check], rule="|error| <= 0.10 mm"), software=__version__,
    )  # fmt: skip


# ---------------------------------------------------------------------- how it is made
def _points() -> list[Point]:
    rows: list[tuple[Phase, Iterable[int], int, Direction]] = [(Phase.ZERO, (0,), 1, "up")]
    rows.append((Phase.AS_FOUND, _AS_FOUND, 1, "up"))
    for run in range(1, 11):
        direction: Direction = "up" if run % 2 else "down"
        rows.append((Phase.CALIBRATION, _FITTED if run % 2 else _FITTED[::-1], run, direction))
    for run in range(1, 4):
        rows.append(
            (Phase.VERIFICATION, _FRESH if run % 2 else _FRESH[::-1], run, "up" if run % 2 else "down")
        )
    rows.append((Phase.DRIFT, (1250,), 1, "up"))
    return list(_numbered(rows))


def _numbered(rows: Any) -> Iterator[Point]:
    place = 0
    for phase, settings, run, direction in rows:
        for set_um in settings:
            yield Point(phase=phase, number=place, set_um=set_um, run=run, direction=direction)
            place += 1


def _is_after(point: Point) -> bool:
    return point.phase in (Phase.VERIFICATION, Phase.DRIFT)


def _rounded(set_um: int) -> int:
    return round(set_um / _STEP_UM) * _STEP_UM


def _fit(taken: list[Taken]) -> FitResult:
    groups: dict[int, list[Taken]] = {}
    for one in taken:
        if one.point.phase == Phase.CALIBRATION:
            groups.setdefault(one.travel_um, []).append(one)
    means = {travel: fmean(one.value_um for one in group) for travel, group in groups.items()}
    spread = [one.value_um - means[one.travel_um] for group in groups.values() for one in group]
    reversal = max(
        abs(fmean(one.value_um for one in group if one.point.direction == "up")
            - fmean(one.value_um for one in group if one.point.direction == "down"))
        for group in groups.values()
    )  # fmt: skip
    points = [(travel, round(mean)) for travel, mean in sorted(means.items())]
    return FitResult(
        points_um=points,
        residual_um=max(abs(true - means[travel]) for travel, true in points),
        repeatability_um=2 * math.sqrt(sum(d * d for d in spread) / (len(spread) - len(groups))),
        reversal_um=reversal,
        hall_uv_per_mm=640_000,
    )


def _budget(gauge: GaugeIdentity, scatter_um: float) -> Budget:
    third = math.sqrt(3)
    lines = [
        Contribution(name="indication", source="certificate of the gauge", value=gauge.error_um,
                     distribution="rectangular", divisor=third),
        Contribution(name="resolution", source="half of the last digit", value=gauge.resolution_um / 2,
                     distribution="rectangular", divisor=third),
        Contribution(name="repeatability", source="readings of this calibration",
                     value=max(scatter_um, gauge.repeatability_um), distribution="normal", divisor=1.0,
                     degrees_of_freedom=99.0),
        Contribution(name="zero", source="one reading on the flat plate", value=gauge.repeatability_um,
                     distribution="normal", divisor=1.0),
        Contribution(name="contact deflection", source="assumed: needles and contact give way", value=5.0,
                     distribution="rectangular", divisor=third),
        Contribution(name="temperature", source="growth of the nose over 1.5 K", value=0.8,
                     distribution="rectangular", divisor=third, sensitivity=1.5),
    ]  # fmt: skip
    combined = math.sqrt(sum(line.u**2 for line in lines))
    freedom = combined**4 / (lines[2].u ** 4 / 99.0)
    return Budget(unit="um", contributions=lines, combined=combined, effective_dof=freedom, coverage_factor=2.0,
                  expanded=2 * combined)  # fmt: skip


def _decide(taken: list[Taken], fitted: FitResult, budget: Budget) -> Decision:
    worst = max(abs(one.error_um) for one in taken if one.point.phase == Phase.VERIFICATION)
    drift = next(abs(one.error_um) for one in taken if one.point.phase == Phase.DRIFT)
    tur = TOLERANCE_UM / budget.expanded
    checks = [
        _at_most("largest error of the verification", "CR-02", worst, TOLERANCE_UM - budget.expanded),
        _judged("test uncertainty ratio", "CR-02", tur, ">=", 4.0, "", tur >= 4),
        _at_most("fit residual", "CR-02", fitted.residual_um, 30.0),
        _at_most("repeatability (2 s)", "PR-06", fitted.repeatability_um, 30.0),
        _at_most("reversal", "PR-06", fitted.reversal_um, 50.0),
        _at_most("drift", "PR-06", drift, 50.0),
    ]
    rule = (
        "Simple acceptance with a guard band (ILAC-G8:09/2019, 4.2.2): the pen is accepted if every error lies within "
        f"±0.10 mm reduced on both sides by U = {budget.expanded / 1e3:.3f} mm (k = 2), and all else is met."
    )
    return Decision(accepted=all(check.passed for check in checks), checks=checks, rule=rule)


def _at_most(name: str, requirement: str, value: float, limit: float) -> Check:
    return _judged(name, requirement, value, "<=", limit, "um", value <= limit)


def _judged(
    name: str, requirement: str, value: float, relation: Literal["<=", ">="], limit: float, unit: str, passed: bool
) -> Check:  # fmt: skip
    reason = (
        ""
        if passed
        else f"The {name} is not what it should be; repeat, and if it stays have the axis repaired."
    )
    return Check(
        name=name, requirement=requirement, value=value, limit=limit, relation=relation, unit=unit, passed=passed,
        reason=reason,
    )  # fmt: skip


def _record_of(fitted: FitResult, day: date, **details: Any) -> Any:
    return making.calibration(fitted.points_um, day=day, hall_uv_per_mm=fitted.hall_uv_per_mm, **details)


def _signed(
    fitted: FitResult, pen: PenIdentity, name: str, day: date, accepted: bool, gauge: GaugeIdentity, operator: str,
    key: bytes | None,
) -> bytes:  # fmt: skip
    unique_id = bytes.fromhex(pen.unique_id)
    who = operator.encode("ascii", "replace").decode()[:24]
    made = _record_of(
        fitted, day, run_s=pen.run_s, temperature_dc=225, gauge=gauge.serial, operator=who,
        firmware=pen.application_hash.encode()[:8],
    )  # fmt: skip
    return making.calibration_record(made, making.development_keys(unique_id), unique_id)
