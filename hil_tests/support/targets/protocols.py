"""What a test may ask of a target: small protocols. A target offers some of them, and says why not the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from needlepen.emulator.injection.vocabulary import Fault
from needlepen.errors import BoardLost, NeedlepenError
from needlepen.link.values import About, Identity, Reply, Status, Telemetry


class Link(Protocol):
    """The pen's protocol: requests with answers, telemetry. `needlepen.Pen` has it."""

    identity: Identity
    reconnections: int

    @property
    def latest(self) -> Telemetry | None: ...
    @property
    def status(self) -> Status | None: ...
    @property
    def lost_frames(self) -> int: ...
    def request(self, kind: int, *values: Any, timeout_s: float | None = ...) -> Reply: ...
    def command(self, kind: int, *values: Any, timeout_s: float | None = ...) -> dict[str, Any]: ...
    def subscribe(self, period_ms: int = ..., lease_ms: int = ...) -> None: ...
    def telemetry(self) -> Iterator[Telemetry]: ...
    def take_frames(self) -> list[Telemetry]: ...
    def attend(self, timeout_s: float) -> None: ...
    def reconnect(self, timeout_s: float = ..., boots: int | None = ...) -> None: ...
    def about(self) -> About: ...
    def statistics(self) -> dict[str, int]: ...
    def counters(self) -> dict[str, int]: ...
    def events(self, since: int = ...) -> Iterator[bytes]: ...
    def read_calibration(self) -> bytes | None: ...
    def read_black_box(self) -> bytes | None: ...


class Console(Protocol):
    """The bytes of the pen's port. It is the link's port: a test has one of the two at a time."""

    def read(self, timeout_s: float) -> bytes:
        """What has come, waiting at most `timeout_s` for the first byte."""
        ...

    def write(self, data: bytes) -> None: ...
    def now_s(self) -> float:
        """The clock by which it waits: wall time, or device time of an emulated pen in this process."""
        ...


class Power(Protocol):
    """The pen's supply."""

    def off(self) -> None: ...
    def on(self) -> None:
        """Switch on. The connection is then got back with `link.reconnect`."""
        ...


class Pins(Protocol):
    """The pins of the chip, by the board file's names."""

    def level(self, signal: str) -> int: ...
    def record(self, signal: str) -> list[tuple[int, int | None]]:
        """A list that fills with the changes from now on: device time in ns, level (None: not driven)."""
        ...


class Plant(Protocol):
    """A hand, skin, and what the pen truly does. It can start the motor."""

    def press(self) -> None: ...
    def release(self) -> None: ...
    def touch_skin(self) -> None: ...
    def lift(self) -> None: ...
    def wait(self, ms: float) -> None:
        """Let device time pass."""
        ...

    @property
    def now_ns(self) -> int: ...
    @property
    def strokes(self) -> float:
        """True angle of the cam in turns."""
        ...

    @property
    def turns(self) -> bool:
        """Whether the shaft moves now."""
        ...

    @property
    def protrusion_mm(self) -> float:
        """Where the depth axis truly has the needles."""
        ...


class Faults(Protocol):
    """Breaks something of the pen; see needlepen.emulator.injection."""

    def inject(self, fault: Fault) -> object: ...
    def repair(self, target: str = ..., kind: str | None = ...) -> None: ...


class Probe(Protocol):
    """A debug probe at the chip."""

    resets_ns: list[int]
    """When the chip was reset, device time since the probe was attached."""

    @property
    def cpu_state(self) -> str: ...
    def halt(self) -> None: ...
    def resume(self) -> None: ...


CAPABILITIES: Mapping[str, str] = {
    "link": "requests and telemetry of the pen's protocol",
    "console": "the bytes of the pen's port",
    "power": "switching the pen off and on",
    "pins": "levels and edges of the chip's pins",
    "plant": "a trigger to press, skin to touch, and what the pen truly does",
    "faults": "breaking something of the pen",
    "probe": "halting the CPU",
}
"""Each has a fixture of its name."""
IN_PROCESS = "in_process"
"""What the fixtures `pens` and `runtime` need besides: pens that this process emulates, to fork and to change."""


@dataclass(frozen=True)
class BoardIdentity:
    """Which board a result is of. `build`: development or production; `emulator`: its version, "" for a real pen."""

    target: str
    unique_id: str
    board: str
    version: str
    build: str
    application_hash: str
    runtime: str
    emulator: str = ""

    def as_dict(self) -> dict[str, str]:
        """For results."""
        return asdict(self)

    def __str__(self) -> str:
        where = f", {self.emulator}" if self.emulator else ""
        return (
            f"pen {self.unique_id} at {self.target}: {self.board}, {self.build} build {self.application_hash} "
            f"of {self.version}, {self.runtime}{where}"
        )


class Missing(NeedlepenError):
    """The target has no such capability: the test is skipped, and the text says why."""


class Lost(BoardLost):
    """The board went away in the middle of a run. Neither a pass nor a failure of the product."""


class Target(Protocol):
    """A board that tests run on, found, held and identified.

    `lost`: why it is of no use any more; None while it is. `offers`: names of CAPABILITIES.
    """

    name: str
    lost: str | None

    @property
    def identity(self) -> BoardIdentity: ...
    @property
    def offers(self) -> frozenset[str]: ...
    def use(self, capability: str) -> AbstractContextManager[Any]:
        """The object of a capability, inside the block. Raises Missing, Lost."""
        ...

    def is_there(self) -> bool:
        """Whether the board still answers as the one that it was."""
        ...

    def noticed(self) -> str | None:
        """What the bench has said meanwhile that ends the session, e.g. that its place was taken away."""
        ...

    def close(self) -> None: ...
