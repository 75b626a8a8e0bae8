"""What truly happened to a pen, seen from outside of it: the pins of layer 0, the mechanics, the world, and its words.

Nothing here changes the pen. What the pen says about itself is kept apart from what is true.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from needlepen.emulator.injection import Injected
    from needlepen.emulator.pen import EmulatedPen
    from needlepen.link import Telemetry

PERIOD_NS = 1_000_000
USED_HZ = 20.0
"""A motor that turns so fast has brought needles out."""
COLUMNS = (
    *("t_ns", "needle_mm", "protrusion_mm", "shaft_hz", "turns", "cell_v", "nose_c", "winding_c"),
    *("seated", "allowed", "charger", "powered"),
)
FloatArray = npt.NDArray[np.float64]
_AT_POWER_ON = {"BRAKE": 1.0, "SUPPLY": 0.0, "DUTY": 0.0, "TRIGGER_N": 1.0}


@dataclass(frozen=True)
class Said:
    """What the pen told its host at a time; warnings and blockers by name."""

    t_ns: float
    state: str
    fault: str
    set_hz: float
    depth_set_mm: float
    warnings: frozenset[str]
    blockers: tuple[str, ...]


@dataclass
class Witnessed:
    """A run as it was. Times are device times in ns.

    Attributes:
        columns: samples of what is true, every ms; see COLUMNS.
        lines: (t_ns, signal, level) of BRAKE, SUPPLY, DUTY and TRIGGER_N, in order.
        resets_ns: resets of the chip.
        said: what the pen told, in order.
        faults: what was injected.
        eccentric_mm: half the stroke.
    """

    columns: FloatArray
    lines: list[tuple[float, str, float]]
    resets_ns: list[float]
    said: list[Said]
    faults: list[Injected] = field(default_factory=list)
    from_ns: float = 0.0

    def column(self, name: str) -> FloatArray:
        """One of COLUMNS."""
        return self.columns[:, COLUMNS.index(name)]

    @property
    def end_ns(self) -> float:
        """The last sample."""
        return float(self.columns[-1, 0]) if len(self.columns) else self.from_ns

    def driven(self) -> Iterator[tuple[float, float]]:
        """Intervals in which the cell could drive the motor, by the gate and the supply switch, or past them.

        A shorted high-side transistor drives whatever PWM says, and even against the brake.
        """
        shorts = [f for f in self.faults if (f.fault.target, f.fault.kind) == ("bridge", "short")]
        moments = [(t, s, v) for t, s, v in self.lines]
        for f in shorts:
            moments.append((f.begun_ns, "SHORT", 1.0))
            moments.append((f.ended_ns if f.ended_ns is not None else math.inf, "SHORT", 0.0))
        now, since = {**_AT_POWER_ON, "SHORT": 0.0}, math.inf
        for t_ns, signal, level in sorted(moments, key=lambda m: m[0]):
            now[signal] = level
            drives = now["SUPPLY"] and (now["SHORT"] or (not now["BRAKE"] and now["DUTY"] > 0))
            if drives and since == math.inf:
                since = t_ns
            elif not drives and since != math.inf:
                yield since, t_ns
                since = math.inf
        if since != math.inf and since < self.end_ns:
            yield since, self.end_ns


class Witness:
    """Watches a pen from now on; `seen()` is what it has seen so far."""

    def __init__(self, pen: EmulatedPen) -> None:
        self._pen = pen
        self._rows: list[tuple[float, ...]] = []
        self._resets_ns: list[float] = []
        self._said: list[Said] = []
        self._from_ns = pen.now_ns
        self._seat = pen.board.gpio("CARTRIDGE_N")
        self._vbus = pen.board.gpio("VBUS_SENSE")
        self._ecc_mm = pen.parameters.eccentric_mm
        self._alarm = pen.chip.create_alarm(self._sample)
        self._used: set[bytes] = set()
        self._spent: set[bytes] = set()
        pen.chip.on_reset(self._reset)
        pen.link.on_telemetry(self._hear)
        self._sample()

    def forbid(self, rom: bytes) -> None:
        """Nobody may be treated with the cartridge of this ID, whatever the pen thinks of it."""
        self._spent.add(rom)

    def _reset(self, t_ns: int, _cause: str) -> None:
        """A session does not outlive a reset: a cartridge that was used before is spent (SR-15)."""
        self._resets_ns.append(t_ns)
        self._spent |= self._used

    def _is_allowed(self, rate_hz: float) -> bool:
        """Whether the cartridge in the pen may be used; a turning motor uses it."""
        cartridge = self._pen.socket.cartridge
        if cartridge is None:
            return True  # there is nothing to judge: `seated` does that
        rom = cartridge.chip.rom
        if rate_hz > USED_HZ:
            self._used.add(rom)
        return rom not in self._spent

    def _sample(self) -> None:
        pen = self._pen
        now_ns = pen.now_ns
        state = pen.physics.peek(max(now_ns, pen.physics.now.t_ns))
        pins, heat = pen.chip.pins, pen.plant.thermal
        bottom_mm = state.needle_mm + self._ecc_mm * (1.0 - math.cos(state.theta_rad))
        self._rows.append(
            (
                *(now_ns, state.needle_mm, bottom_mm, state.rate_hz, state.strokes, state.supply_v),
                *(heat.nose_c, heat.winding_c, pins.meant(self._seat) == 0, self._is_allowed(state.rate_hz)),
                *(pins.meant(self._vbus) == 1, pen.power.on),
            )
        )
        self._alarm.schedule(PERIOD_NS)

    def _hear(self, telemetry: Telemetry) -> None:
        status = self._pen.link.status
        self._said.append(
            Said(
                self._pen.now_ns, telemetry.state, telemetry.fault, telemetry.set_hz, telemetry.depth_set_mm,
                frozenset(status.warnings) if status else frozenset(), status.blockers if status else (),
            )
        )  # fmt: skip

    def seen(self) -> Witnessed:
        """Everything until now."""
        wanted = ("BRAKE", "SUPPLY", "DUTY", "TRIGGER_N")
        lines = [entry for entry in self._pen.electronics.timeline if entry[1] in wanted]
        return Witnessed(
            np.array(self._rows, dtype=np.float64), lines, list(self._resets_ns), list(self._said),
            list(self._pen.faults.history), self._from_ns,
        )  # fmt: skip
