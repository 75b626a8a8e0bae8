"""Pens and gauges for tests of the calibration: emulated ones as ports of this process, and what breaks on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from needlepen.calibration import plan
from needlepen.calibration.gauges import SimulatedGauge
from needlepen.calibration.model import Calibration, Conditions, Finding, PenIdentity
from needlepen.calibration.pen_port import TELEMETRY_MS, LinkPen, PenState, Stored
from needlepen.calibration.procedure import Procedure
from needlepen.calibration.signing import DepthMap
from needlepen.emulator.axis_geometry import AxisGeometry
from needlepen.emulator.axis_parameters import AxisParameters
from needlepen.emulator.factory import factory_calibration
from needlepen.emulator.factory_image import unique_id as serial_id
from needlepen.emulator.pen import EmulatedPen
from needlepen.errors import InfrastructureError, NotInTime
from needlepen.link.client import Reply, kinds, messages
from needlepen.link.operations import Operations
from needlepen.link.values import Identity, Status, Telemetry
from needlepen.records import making
from needlepen.records.calibration import ACCEPTED

LEASE_MS = 60_000
ROOM = Conditions(room_c=23.0, nose_c=0.0, cell_v=0.0)


class InProcess(Operations):
    """The link to an emulated pen of this process, as `LinkPen` wants it; time is the pen's. Survives its resets."""

    def __init__(self, pen: EmulatedPen) -> None:
        self.pen = pen
        self.reconnections = 0
        self._reset = False
        self._renew_ns = 0.0
        pen.chip.on_reset(lambda _t_ns, _cause: setattr(self, "_reset", True))
        self.identity = Identity.of(pen.command(messages.HELLO, kinds.PROTOCOL_VERSION))

    def request(self, kind: int, *values: Any, timeout_s: float | None = None) -> Reply:
        try:
            reply = self.pen.request(kind, *values)
        except NotInTime as error:  # a program on a port cannot know why a pen is silent
            raise InfrastructureError(str(error)) from error
        if reply.refused == kinds.NOT_GREETED:
            self._connect()
            raise InfrastructureError("the pen was reset")
        return reply

    def command(self, kind: int, *values: Any, timeout_s: float | None = None) -> dict[str, Any]:
        try:
            return self.pen.command(kind, *values)
        except NotInTime as error:
            raise InfrastructureError(str(error)) from error

    @property
    def status(self) -> Status | None:
        return self.pen.link.status

    @property
    def latest(self) -> Telemetry | None:
        return self.pen.link.telemetry

    def attend(self, timeout_s: float) -> None:
        self.pen.run_for(timeout_s * 1e9)
        if self._reset:
            self._connect()
        if self.pen.now_ns >= self._renew_ns:
            self.subscribe()

    def subscribe(self, period_ms: int = TELEMETRY_MS) -> None:
        self.pen.command(messages.SUBSCRIBE, period_ms, LEASE_MS)
        self._renew_ns = self.pen.now_ns + LEASE_MS * 1e6 / 2

    def reconnect(self, timeout_s: float = 15.0, boots: int | None = None) -> None:
        self.pen.run_until(lambda: self._reset, timeout_s * 1e9)
        self._connect()

    def _connect(self) -> None:
        self._reset = False
        self.reconnections += 1
        self.pen.connect()
        self.subscribe()


def port(pen: EmulatedPen) -> LinkPen:
    """An emulated pen of this process, with a dummy cartridge in it."""
    if pen.socket.cartridge is not None:
        pen.unseat_cartridge()
        pen.run_for(0.3e9)
        pen.seat_dummy()
        pen.run_for(3e9)
    return LinkPen(InProcess(pen), emulated=True, now_s=lambda: pen.now_ns / 1e9)


def gauge_on(pen: EmulatedPen, seed: int = 0, **errors: float) -> SimulatedGauge:
    """A simulated gauge at the needles of an emulated pen."""
    return SimulatedGauge(lambda: float(pen.axis.protrusion_mm), seed=seed, **errors)


class BenchPen:
    """A pen as the procedure sees it, without a chip: its axis by the emulator's geometry, its map by the firmware.

    For tests of what the procedure does with a pen; what the firmware does, the emulated pen shows. `on_call(name)` is
    called before each thing that it is asked for, and may raise.
    """

    emulated = True

    def __init__(
        self, seed: int = 0, calibrated: bool = True, worn: Mapping[str, float] | None = None, **axis: float
    ) -> None:
        """`axis`: parameters of the type; `worn`: what has changed since the factory calibrated the pen."""
        parameters = AxisParameters().but(**axis)
        self.geometry = AxisGeometry(parameters.but(**(worn or {})), seed)
        unique_id = serial_id(seed)
        self.identity = PenIdentity(
            unique_id=unique_id.hex(), board="pico_pen", version="0.1.0", application_hash="0123456789ab"
        )
        self._key = making.technician_key(making.development_keys(unique_id).pen)
        factory = factory_calibration(parameters, seed)
        self.record = making.calibration_record(factory, self._key, unique_id) if calibrated else b""
        self.trial: bytes | None = None
        self._maps: dict[bytes, DepthMap] = {}
        self.service = False
        self.set_um = 0
        self.nose_c, self.cell_v, self.fault = 23.0, 3.9, "none"
        self.blockers: tuple[str, ...] = ("cartridge_unreadable",)
        self.cap_um = plan.DEPTH_MAX_UM
        self.moves = 0
        self.moves_in_service_only = True
        self.hall_gain = 1.0
        self.loose_um = 0.0  # by which the needles have come out besides
        self.checks: list[tuple[date, int, bool]] = []
        self.on_call: Callable[[str], None] = lambda name: None

    # ------------------------------------------------------------------ truth
    @property
    def protrusion_mm(self) -> float:
        """Where the needles truly are."""
        return (self.geometry.static_curve([float(self._travel_um())])[0] + self.loose_um) / 1e3

    def _map(self) -> DepthMap:
        record = self.trial if self.trial is not None else self.record
        if record not in self._maps:
            used = record if self._in_use(record) else b""
            self._maps[record] = DepthMap(used, self._key, self.identity.unique_id)
        return self._maps[record]

    def _in_use(self, record: bytes) -> bool:
        if not record:
            return False
        unique_id = bytes.fromhex(self.identity.unique_id)
        return bool(making.read_calibration(record, self._key, unique_id).status == ACCEPTED)

    def _travel_um(self) -> int:
        return self._map().travel_um(self.set_um)

    def reset(self) -> None:
        """It starts anew by itself."""
        self.service, self.trial, self.set_um = False, None, 0

    # ------------------------------------------------------------------ port
    def state(self) -> PenState:
        self.on_call("state")
        hall_um = round(1e3 * self.hall_gain * self.protrusion_mm)
        return PenState(
            self.set_um,
            hall_um,
            self.nose_c,
            self.cell_v,
            self.service,
            self.fault,
            self.blockers,
            self.cap_um,
        )

    def watch_nose(self, duration_s: float) -> list[float]:
        self.on_call("watch_nose")
        return [self.nose_c] * 3

    def enter_service(self) -> None:
        self.on_call("enter_service")
        self.service = True

    def restart(self) -> None:
        self.on_call("restart")
        self.reset()

    def set_depth(self, depth_um: int) -> None:
        self.on_call("set_depth")
        assert self.service or not self.moves_in_service_only, "moved outside of service"
        assert depth_um <= self._map().cap_um, "deeper than the pen allows"
        self.moves += 1
        self.set_um = depth_um

    def stored(self) -> Stored:
        used = self._in_use(self.record)
        return Stored(self.record, "valid" if used else "refused" if self.record else "none", used)

    def read_calibration(self) -> bytes | None:
        self.on_call("read_calibration")
        return self.record or None

    def try_calibration(self, record: bytes) -> None:
        self.on_call("try_calibration")
        assert self.service, "a trial outside of service"
        self.trial, self.set_um = record, 0

    def put_calibration(self, record: bytes) -> None:
        self.on_call("put_calibration")
        assert self.service, "written outside of service"
        self.record, self.trial, self.set_um = record, None, 0

    def note_check(self, day: date, worst_error_um: int, passed: bool) -> None:
        self.on_call("note_check")
        self.checks.append((day, worst_error_um, passed))

    def signing_key(self) -> bytes:
        return self._key


# ---------------------------------------------------------------------- leading a procedure
def gauge_of(pen: BenchPen, repeatability_um: float = 1.0) -> SimulatedGauge:
    """A simulated gauge at the needles of a pen without a chip."""
    return SimulatedGauge(lambda: pen.protrusion_mm, seed=5, repeatability_um=repeatability_um)


def begin(pen: BenchPen, folder: Path, **options: Any) -> Procedure:
    """A new procedure with such a gauge."""
    return Procedure.begin(pen, gauge_of(pen), "A. Technician", ROOM, folder, **options)


def take(procedure: Procedure) -> list[Finding]:
    """The reading of the present point, as the gauge gives it."""
    procedure.prepare()
    return procedure.take(procedure.read())


def step(procedure: Procedure) -> None:
    """One point, doubts kept; or the decision."""
    if procedure.stage.point is not None:
        procedure.prepare()
        if procedure.stage.point is not None:
            procedure.take(procedure.read())
            if procedure.is_doubtful:
                procedure.keep()
    procedure.next()


def finish(procedure: Procedure) -> Calibration:
    """To the end."""
    while not procedure.is_finished:
        step(procedure)
    procedure.close()
    assert procedure.result is not None
    return procedure.result
