"""The settings of a pen: their names, what they may be, and how a person writes them.

The limits are those of the firmware, from the same files. What depends on the moment (the cartridge, the
calibration, the state) only the pen can say, and it refuses then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from needlepen import requirements
from needlepen.cartridges.tables import load_profiles
from needlepen.errors import UsageError
from needlepen.firmware_modules import firmware_module

Settings = dict[str, int]
"""Settings by their name, all of them or some."""


@dataclass(frozen=True)
class Range:
    """What a number may be, in its unit, and why."""

    least: int
    most: int
    step: int
    unit: str
    reason: str

    def holds(self, value: int) -> bool:
        return self.least <= value <= self.most and (value - self.least) % self.step == 0

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        step = f" in steps of {self.step}" if self.step > 1 else ""
        return f"{self.least} to {self.most}{unit}{step} ({self.reason})"


def _rate() -> Range:
    limit = requirements.load().limit
    least, most, step = (int(limit("PR-01", f"rate_{name}_hz")) for name in ("min", "max", "step"))
    return Range(least, most, step, "Hz", "PR-01")


def _depth() -> Range:
    limit = requirements.load().limit
    most, step = (round(1000 * limit("PR-05", f"depth_{name}_mm")) for name in ("max", "step"))
    return Range(0, most, step, "um", "PR-05")


def _volume() -> Range:
    most = int(firmware_module("pen.store.settings").VOLUME_MAX)
    return Range(0, most, 1, "", "the buzzer, 0 is silent; alarms are always loud")


_RANGES: Mapping[str, Callable[[], Range]] = {"rate_hz": _rate, "depth_um": _depth, "volume": _volume}
NAMES = ("rate_hz", "depth_um", "volume", "profile")


def parse_assignments(texts: Iterable[str]) -> Settings:
    """Settings from texts like "rate_hz=120"; a profile by its number or name.

    Raises UsageError that says what may be given.
    """
    found: Settings = {}
    for text in texts:
        name, sign, value = (part.strip() for part in text.partition("="))
        if not sign:
            raise UsageError(f"{text!r} sets nothing; write NAME=VALUE, for example rate_hz=120")
        if name in found:
            raise UsageError(f"{name} is given twice; give it once")
        found[known_name(name)] = profile_number(value) if name == "profile" else _number(name, value)
    if not found:
        raise UsageError(f"nothing to set; give NAME=VALUE, possible: {', '.join(NAMES)}")
    return found


def known_name(name: str) -> str:
    """The name, if it is one of a setting. Raises UsageError."""
    if name not in NAMES:
        raise UsageError(f"{name!r} is no setting of a pen; possible: {', '.join(NAMES)}")
    return name


def profile_number(text: str) -> int:
    """The number of a treatment profile that is given by number or name. Raises UsageError that lists them."""
    profiles = list(load_profiles())
    for entry in profiles:
        if text == str(entry.number) or text.casefold() == entry.name.casefold():
            return entry.number
    known = ", ".join(f"{entry.number} ({entry.name})" for entry in profiles)
    raise UsageError(f"profile={text}: there is no such treatment profile; possible: {known}")


def validated(wanted: Mapping[str, int], now: Mapping[str, int]) -> Settings:
    """`wanted` where the limits allow it on a pen that has the settings `now` (all of them).

    Raises UsageError with the allowed range; nothing has been sent to the pen then.
    """
    for name, value in wanted.items():
        if name == "profile":
            profile_number(str(value))
            continue
        allowed = _RANGES[known_name(name)]()
        if not allowed.holds(value):
            raise UsageError(f"{name}={value}: a pen takes {allowed}; give one of these")
    if "depth_um" in wanted:
        profile = load_profiles().numbered(wanted.get("profile", now["profile"]))
        if wanted["depth_um"] > profile.depth_cap_um:
            raise UsageError(
                f"depth_um={wanted['depth_um']}: the profile {profile.number} ({profile.name}) allows at most "
                f"{profile.depth_cap_um} um (SR-01); give less, or select another profile"
            )
    return dict(wanted)


def described(name: str, value: int) -> str:
    """A setting with its unit, as people read it."""
    if name == "profile":
        found = [entry.name for entry in load_profiles() if entry.number == value]
        return f"{value} ({found[0]})" if found else f"{value} (unknown to these tools)"
    if name == "depth_um":
        return f"{value} um ({value / 1000:.2f} mm)"
    return f"{value} Hz" if name == "rate_hz" else str(value)


def _number(name: str, text: str) -> int:
    known_name(name)
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{name}={text}: not a whole number; a pen takes {_RANGES[name]()}") from None
