"""The words of fault injection: nine kinds of fault, what one fault is, and how it is written in one line.

TARGET:KIND[=VALUE]@START[+DURATION][#SEED]      depth_position:wrong=0.3@1.5+0.2    index:garbage@800ms#7
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from needlepen.errors import UsageError

KINDS: Mapping[str, str] = {
    "off": "has no power, or is not there",
    "stuck": "stays as it is, or at a given value",
    "garbage": "says or does random things",
    "wrong": "works, but with a wrong value",
    "slow": "follows too slowly",
    "delayed": "is right, but too late",
    "intermittent": "loses contact at random moments",
    "short": "is shorted",
    "open": "has a broken wire",
}

_TIMES_S: Mapping[str, float] = {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}
_NUMBER = r"\d+(?:\.\d*)?(?:e-?\d+)?"
_FORM = re.compile(
    r"(?P<target>[a-z_]+):(?P<kind>[a-z]+)(?:=(?P<value>[^@]+))?"
    rf"@(?P<start>{_NUMBER})(?P<start_unit>[a-z]*)"
    rf"(?:\+(?P<duration>{_NUMBER})(?P<duration_unit>[a-z]*))?(?:#(?P<seed>\d+))?"
)
FORM = "TARGET:KIND[=VALUE]@START[+DURATION][#SEED], times in s, ms or us, for example motor:stuck@1.5+200ms"


@dataclass(frozen=True)
class Fault:
    """One fault of one target. Not checked here whether there is such a pair: `catalogue.find` does that.

    Attributes:
        target: what breaks, a name of the catalogue.
        kind: how, a key of KINDS.
        value: how much, or which way; a number or a word, its meaning is the catalogue's. None: the usual.
        start_s: device time at which it breaks.
        duration_s: after so long it is sound again; None: it stays.
        seed: of everything random in it.
    """

    target: str
    kind: str
    value: float | str | None = None
    start_s: float = 0.0
    duration_s: float | None = None
    seed: int = 0

    @property
    def name(self) -> str:
        """Target, kind and value, without times."""
        if self.value is None:
            return f"{self.target}:{self.kind}"
        value = self.value if isinstance(self.value, str) else f"{self.value:.10g}"
        return f"{self.target}:{self.kind}={value}"

    def __str__(self) -> str:
        """The form that `parse` reads."""
        duration = "" if self.duration_s is None else f"+{self.duration_s:.10g}"
        return f"{self.name}@{self.start_s:.10g}{duration}" + (f"#{self.seed}" if self.seed else "")


def parse(text: str) -> Fault:
    """A fault from its written form. Raises UsageError for another form, an unknown pair or value."""
    from needlepen.emulator.injection import catalogue

    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"{text!r} is no fault: write {FORM}")
    duration = found["duration"]
    duration_s = None if duration is None else _time_s(text, duration, found["duration_unit"])
    if duration_s == 0.0:
        raise UsageError(f"{text!r}: a fault of no duration does nothing; leave out +0 or give a time")
    fault = Fault(
        target=found["target"],
        kind=found["kind"],
        value=_value(found["value"]),
        start_s=_time_s(text, found["start"], found["start_unit"]),
        duration_s=duration_s,
        seed=int(found["seed"] or 0),
    )
    catalogue.check(fault)
    return fault


def _time_s(text: str, number: str, unit: str) -> float:
    if unit not in _TIMES_S:
        raise UsageError(f"{text!r}: {unit!r} is no unit of time here; write s, ms or us")
    return round(float(number) * _TIMES_S[unit], 12)


def _value(text: str | None) -> float | str | None:
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        return text.strip()
