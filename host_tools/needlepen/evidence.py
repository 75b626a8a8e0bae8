"""What a run leaves behind: measurements with their verdicts, recorded signals, cut-offs and events.

A measurement compares one number with one limit of a requirement. It has three verdicts: a value that was
never measured is `unset`, and unset is not a pass. Times of a record are device time, counted from power-on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

Relation = Literal["<=", ">=", "==", "in"]
Verdict = Literal["pass", "fail", "unset"]
FloatArray = npt.NDArray[np.float64]

MARGINAL_FRACTION = 0.10
"""A pass that leaves less than this fraction of its limit is shown as marginal (not a limit, a hint to
look)."""

NS_PER: Mapping[str, float] = {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}
"""Nanoseconds per unit of time."""


@dataclass(frozen=True)
class Measurement:
    """One measured number against one limit.

    `value` is None when it was not measured; infinity when the awaited thing did not happen at all, which
    fails. `limit` and `lower` are in `unit`; `lower` belongs to the relation "in" only (lower <= value <=
    limit). `time_s` is the device time at which the value was known. `cases`: where the value is the worst of
    many, the name and the value of each. Raises ValueError for a relation that cannot be judged.
    """

    name: str
    value: float | None
    unit: str
    limit: float
    relation: Relation
    requirement: str
    note: str = ""
    lower: float | None = None
    time_s: float | None = None
    cases: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        if self.relation not in get_args(Relation):
            raise ValueError(
                f"{self.name}: relation {self.relation!r} is none of {', '.join(get_args(Relation))}"
            )
        if (self.lower is not None) != (self.relation == "in"):
            raise ValueError(f"{self.name}: a lower bound and the relation 'in' belong together")
        if self.lower is not None and not self.lower <= self.limit:
            raise ValueError(f"{self.name}: the lower bound {self.lower} is above the limit {self.limit}")
        if not math.isfinite(self.limit):
            raise ValueError(f"{self.name}: a limit of {self.limit} can not fail")

    @property
    def is_set(self) -> bool:
        """True when there is a value to judge; a NaN is no value."""
        return self.value is not None and not math.isnan(self.value)

    @property
    def margin(self) -> float | None:
        """Distance to the nearest limit in `unit`: negative beyond it, None when unset."""
        if self.value is None or not self.is_set:
            return None
        if self.relation == "<=":
            return self.limit - self.value
        if self.relation == ">=":
            return self.value - self.limit
        if self.lower is not None:
            return min(self.value - self.lower, self.limit - self.value)
        return -abs(self.value - self.limit)

    @property
    def margin_fraction(self) -> float | None:
        """`margin` as a fraction of the limit; of half the band for "in". None where that has no meaning."""
        margin = self.margin
        scale = abs(self.limit) if self.lower is None else (self.limit - self.lower) / 2
        if margin is None or scale == 0 or self.relation == "==":
            return None
        return margin / scale

    @property
    def verdict(self) -> Verdict:
        margin = self.margin
        if margin is None:
            return "unset"
        return "pass" if margin >= 0 else "fail"

    @property
    def marginal(self) -> bool:
        """A pass with less than MARGINAL_FRACTION of its limit left."""
        fraction = self.margin_fraction
        return self.verdict == "pass" and fraction is not None and fraction < MARGINAL_FRACTION

    def as_dict(self) -> dict[str, Any]:
        """The JSON form. JSON has no infinity: a value that never came is null with the verdict `fail`."""
        return {
            "name": self.name,
            "value": finite(self.value),
            "unit": self.unit,
            "lower": self.lower,
            "limit": self.limit,
            "relation": self.relation,
            "verdict": self.verdict,
            "requirement": self.requirement,
            "margin": finite(self.margin),
            "margin_fraction": finite(self.margin_fraction),
            "marginal": self.marginal,
            "note": self.note,
            "time_s": self.time_s,
            **({"cases": [[name, finite(value)] for name, value in self.cases]} if self.cases else {}),
        }


def finite(value: float | None) -> float | None:
    """The value as JSON can hold it: None in place of infinity and NaN."""
    return None if value is None or not math.isfinite(value) else float(value)


def overall(verdicts: Sequence[Verdict]) -> Verdict:
    """One failure fails all; one unset, or nothing measured at all, leaves the whole unset."""
    if "fail" in verdicts:
        return "fail"
    return "pass" if verdicts and "unset" not in verdicts else "unset"


@dataclass(frozen=True)
class Event:
    """Something that happened at one moment. Kinds: action, state, fault, cutoff, check, mark, info."""

    t_s: float
    kind: str
    text: str


@dataclass(frozen=True)
class Span:
    """Something that lasted: kind `state` (what the pen was doing), `skin` (contact) or `injected` (a fault
    held)."""

    kind: str
    t0_s: float
    t1_s: float
    text: str


@dataclass(frozen=True)
class Series:
    """A sampled quantity; times ascend but need no fixed step."""

    t_s: FloatArray
    values: FloatArray
    unit: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "t_s", np.asarray(self.t_s, dtype=np.float64))
        object.__setattr__(self, "values", np.asarray(self.values, dtype=np.float64))
        if self.t_s.shape != self.values.shape:
            raise ValueError(f"{len(self.t_s)} times do not fit {len(self.values)} values")

    def window(self, t0_s: float, t1_s: float) -> Series:
        """The part inside a window, with one sample more on each side so that a drawn line reaches the
        border."""
        first = max(int(np.searchsorted(self.t_s, t0_s)) - 1, 0)
        last = int(np.searchsorted(self.t_s, t1_s, side="right")) + 1
        return Series(self.t_s[first:last], self.values[first:last], self.unit)


@dataclass(frozen=True)
class Digital:
    """The level changes of one signal: `levels[i]` (0 or 1) holds from `t_ns[i]` to the next change."""

    t_ns: Sequence[int]
    levels: Sequence[int]

    def __post_init__(self) -> None:
        if len(self.t_ns) != len(self.levels):
            raise ValueError(f"{len(self.t_ns)} times do not fit {len(self.levels)} levels")

    def steps(self, t0_ns: int, t1_ns: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int8]]:
        """Changes inside a window, with the level held at its start and at its end (empty if nothing is known
        yet)."""
        times = np.asarray(self.t_ns, dtype=np.int64)
        levels = np.asarray(self.levels, dtype=np.int8)
        before = int(np.searchsorted(times, t0_ns, side="right")) - 1
        end = int(np.searchsorted(times, t1_ns, side="right"))
        inside_t, inside_v = times[before + 1 : end], levels[before + 1 : end]
        if before >= 0:
            inside_t = np.concatenate(([t0_ns], inside_t))
            inside_v = np.concatenate((levels[before : before + 1], inside_v))
        if len(inside_t):
            inside_t = np.concatenate((inside_t, [t1_ns]))
            inside_v = np.concatenate((inside_v, inside_v[-1:]))
        return inside_t, inside_v


@dataclass(frozen=True)
class CutOff:
    """One protection that acted: from its cause to the moment the drive was gone, drawn as a zoom.

    `value` is the reaction time in `unit` (ns, us, ms or s), infinite when there was no reaction. `signals`
    and `series` name what the zoom shows, in this order; `detail` holds finer series for the window,
    preferred to the record's. `steps` are moments in between, for example the supply switch opening before
    the brake.
    """

    name: str
    requirement: str
    cause_t_ns: int
    cause_text: str
    reaction_t_ns: int | None
    reaction_text: str
    limit: float
    unit: str
    window_s: tuple[float, float]
    signals: tuple[str, ...] = ()
    series: tuple[str, ...] = ()
    detail: Mapping[str, Series] = field(default_factory=dict)
    steps: tuple[tuple[int, str], ...] = ()
    note: str = ""

    def __post_init__(self) -> None:
        if self.unit not in NS_PER:
            raise ValueError(f"{self.name}: a reaction time in {self.unit!r}; possible: {', '.join(NS_PER)}")
        if not self.limit > 0:
            raise ValueError(f"{self.name}: a limit of {self.limit} {self.unit} can not be kept")

    @property
    def value(self) -> float:
        if self.reaction_t_ns is None:
            return math.inf
        return (self.reaction_t_ns - self.cause_t_ns) / NS_PER[self.unit]

    def as_measurement(self) -> Measurement:
        return Measurement(
            name=f"{self.name}: {self.reaction_text}",
            value=self.value,
            unit=self.unit,
            limit=self.limit,
            relation="<=",
            requirement=self.requirement,
            note=self.note or f"from: {self.cause_text}",
            time_s=None if self.reaction_t_ns is None else self.reaction_t_ns / 1e9,
        )


@dataclass
class RunRecord:
    """Everything a run leaves. Filled while it runs; `complete` becomes True only at the scenario's own
    end."""

    title: str
    description: str = ""
    scenario_name: str = ""
    scenario_text: str = ""
    seed: int = 0
    board: str = ""
    firmware_build: str = ""
    runtime_version: str = ""
    runtime_sha256: str = ""
    emulator_version: str = ""
    engine: str = ""
    started: str = ""
    """Wall time of the start, ISO 8601."""
    device_s: float = 0.0
    wall_s: float = 0.0
    complete: bool = False
    stopped_because: str = ""
    """Why an incomplete run ended, for example "interrupted with Ctrl-C"."""
    facts: dict[str, str] = field(default_factory=dict)
    """Further lines of the identity block, already with units."""
    events: list[Event] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    series: dict[str, Series] = field(default_factory=dict)
    digital: dict[str, Digital] = field(default_factory=dict)
    cutoffs: list[CutOff] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)

    def add_cutoff(self, cutoff: CutOff) -> Measurement:
        """Keep a cut-off together with the measurement that judges it."""
        measurement = cutoff.as_measurement()
        self.cutoffs.append(cutoff)
        self.measurements.append(measurement)
        return measurement

    @property
    def verdict(self) -> Verdict:
        """Of all measurements; an incomplete run never passes."""
        verdict = overall([m.verdict for m in self.measurements])
        return "unset" if verdict == "pass" and not self.complete else verdict

    @property
    def exit_code(self) -> int:
        """0 pass, 1 a limit missed or a planned measurement not made, 2 stopped before its end."""
        if self.verdict == "pass":
            return 0
        return 2 if self.verdict == "unset" and not self.complete else 1

    def as_dict(self) -> dict[str, Any]:
        """Identity, verdict and measurements, without the recorded signals."""
        return {
            "format": 1,
            **{name: getattr(self, name) for name in _IDENTITY},
            "verdict": self.verdict,
            "exit_code": self.exit_code,
            "measurements": [m.as_dict() for m in self.measurements],
            "events": [{"t_s": e.t_s, "kind": e.kind, "text": e.text} for e in self.events],
        }


_IDENTITY = (
    *("title", "scenario_name", "seed", "board", "firmware_build", "runtime_version", "runtime_sha256"),
    *("emulator_version", "engine", "started", "device_s", "wall_s", "complete", "stopped_because", "facts"),
)
