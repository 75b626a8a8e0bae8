"""Calibrations as the procedure makes them, without a procedure: readings of a modelled axis by a gauge with noise.

Fast: for tests of what comes after a calibration (database, certificate). What a pen has is a real, signed record.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal

from needlepen import __version__
from needlepen.calibration import fit, tolerances, uncertainty
from needlepen.calibration.database.numbers import ALPHABET, check_character
from needlepen.calibration.decision import decide, drift_um
from needlepen.calibration.model import (
    Budget,
    Calibration,
    Check,
    Conditions,
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

    def __init__(self, seed: int, begun: datetime) -> None:
        self._geometry = AxisGeometry(PenParameters(), seed)
        self._random = random.Random(f"gauge {seed}")
        self._off_um = 0.0
        self.at = begun

    def bend(self, by_um: float) -> None:
        """From now on the axis gives way by that much, mid-range."""
        self._off_um = by_um

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
    bench = Bench(seed, begun)
    points = _points()
    before = [bench.take(point, _rounded(point.set_um)) for point in points if not _is_after(point)]
    fitted = fit.fit_taken(before)
    depths = fit.depth_map(fitted.points_um, fitted.hall_uv_per_mm)
    bench.bend(bent_after_um)
    taken = before + [bench.take(p, depths.steps(p.set_um) * _STEP_UM) for p in points if _is_after(p)]
    budget = uncertainty.depth_budget(gauge, fitted.repeatability_um / 2)
    found, verified = (
        [one for one in taken if one.point.phase is phase] for phase in (Phase.AS_FOUND, Phase.VERIFICATION)
    )
    decision = decide(fitted, budget, verified, drift_um(taken), as_found=found)
    name, identity = number(serial, day), pen_identity(pen, run_s)
    signed = _signed(fitted, budget, taken, identity, name, day, decision.accepted, gauge, operator, key)
    return Calibration(
        number=name, pen=identity, gauge=gauge, operator=operator,
        conditions=Conditions(room_c=22.1, nose_c=22.5, cell_v=3.98, humidity_pct=45.0, note="bench 2"),
        begun=begun, ended=bench.at, day=day, due=date(day.year + 1, day.month, day.day), taken=taken,
        replaced=[taken[3].model_copy(update={"reading": Reading(raw="01A+0009.990", value_mm=9.99, at=begun)})],
        fit=fitted, budget=budget, decision=decision, record_hex=signed.hex(), software=__version__,
    )  # fmt: skip


def daily_check(
    of: Calibration, day: date, *, off_um: float = 0.0, run_s: int | None = None, seed: int = 5
) -> DailyCheck:
    """A daily check of the pen with that calibration."""
    bench = Bench(seed, datetime(day.year, day.month, day.day, 7, 30, tzinfo=UTC))
    taken = []
    for place, set_um in enumerate((500, 1000, 1500)):
        point = Point(phase=Phase.VERIFICATION, number=place, set_um=set_um)
        one = bench.take(point, _rounded(set_um))
        value_mm = round(set_um + off_um + place) / 1000
        reading = Reading(raw=f"{value_mm}", value_mm=value_mm, at=one.reading.at)
        taken.append(one.model_copy(update={"reading": reading}))
    worst = max(abs(one.error_um) for one in taken)
    check = Check(name="largest error", requirement="PR-06", value=worst, limit=tolerances.TOLERANCE_UM, relation="<=",
                  unit="um", passed=worst <= tolerances.TOLERANCE_UM)  # fmt: skip
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


def _signed(
    fitted: FitResult, budget: Budget, taken: list[Taken], pen: PenIdentity, name: str, day: date, accepted: bool,
    gauge: GaugeIdentity, operator: str, key: bytes | None,
) -> bytes:  # fmt: skip
    unique_id = bytes.fromhex(pen.unique_id)
    made = making.calibration(
        fitted.points_um, hall_uv_per_mm=fitted.hall_uv_per_mm, day=day, run_s=pen.run_s, temperature_dc=225,
        uncertainty_um=round(budget.expanded), firmware=pen.application_hash.encode()[:8], gauge=gauge.serial,
        as_found=tuple((t.point.set_um, round(t.value_um)) for t in taken if t.point.phase is Phase.AS_FOUND),
        operator=operator, certificate=name, status="accepted" if accepted else "withdrawn",
    )  # fmt: skip
    published = making.technician_key(making.development_keys(unique_id).pen)
    return making.calibration_record(made, key or published, unique_id)
