"""One moment of a pen as it is recorded and printed: telemetry and status together, under names with units."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from needlepen import supervision
from needlepen.link import Telemetry
from needlepen.link.client import Status
from needlepen.supervision import Condition, Fault


@dataclass(frozen=True)
class Frame:
    """A telemetry frame with the last status. `host_s`: when it arrived, seconds since the monitor began.

    `status` is None until the pen has sent one.
    """

    host_s: float
    telemetry: Telemetry
    status: Status | None

    def values(self) -> dict[str, Any]:
        """All of it by column name; None where it is not known yet."""
        found: dict[str, Any] = {"host_s": round(self.host_s, 3)}
        found |= {name: get(self.telemetry) for name, get in _FAST.items()}
        found |= {name: get(self.status) if self.status else None for name, get in _SLOW.items()}
        return found


@dataclass(frozen=True)
class Gap:
    """The pen was lost, or is back. `text` says why, for people."""

    host_s: float
    back: bool
    text: str

    @property
    def event(self) -> str:
        """LOST or BACK with the reason, one line."""
        return f"{BACK if self.back else LOST}: {' '.join(self.text.split())}"

    def values(self) -> dict[str, Any]:
        """For the recording: time and event only."""
        return {"host_s": round(self.host_s, 3), EVENT: self.event}


LOST, BACK = "lost", "back"
EVENT = "event"

_FAST: Mapping[str, Callable[[Telemetry], Any]] = {
    "time_ms": lambda t: t.time_ms,
    "state": lambda t: t.state,
    "fault": lambda t: "" if t.fault == "none" else t.fault,
    "set_rate_hz": lambda t: t.set_hz,
    "rate_hz": lambda t: t.rate_hz,
    "estimate_rate_hz": lambda t: t.estimate_hz,
    "current_a": lambda t: t.current_a,
    "cell_v": lambda t: t.cell_v,
    "duty_pct": lambda t: round(100 * t.duty, 1),
    "depth_set_mm": lambda t: t.depth_set_mm,
    "depth_mm": lambda t: t.depth_mm,
}
_SLOW: Mapping[str, Callable[[Status], Any]] = {
    "nose_c": lambda s: s.nose_c,
    "winding_c": lambda s: s.winding_c,
    "depth_cap_mm": lambda s: s.depth_cap_mm,
    "profile": lambda s: s.profile,
    "needles": lambda s: s.needles,
    "cartridge_left_s": lambda s: s.cartridge_left_s,
    "session_left_s": lambda s: s.session_left_s,
    "service": lambda s: int(s.service),
    "blockers": lambda s: " ".join(s.blockers),
    "warnings": lambda s: " ".join(s.warnings),
    "note": lambda s: s.note,
}
COLUMNS = ("host_s", *_FAST, *_SLOW, EVENT)
"""Of a recording, in this order. What they mean: needlepen/monitor/README.md."""
TEXTS = ("state", "fault", "blockers", "warnings", "note", EVENT)
"""The columns that hold words; all others hold numbers."""


def conditions(frame: Frame, kind: str) -> list[Condition]:
    """The blockers or warnings of a frame (`kind` names which) with text and remedy."""
    names = getattr(frame.status, kind) if frame.status else ()
    table = getattr(supervision.load(), kind)
    return [table[name.upper()] for name in names if name.upper() in table]


def fault_of(frame: Frame) -> Fault | None:
    """The fault that a frame reports, with requirement and remedy; None without one, or for one of newer firmware."""
    return supervision.load().fault_named(frame.telemetry.fault)
