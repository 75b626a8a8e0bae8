"""The emulated pen of this process: offers everything.

Its link is `needlepen.Pen` on a port of pyserial in the same process, so that a test of the link runs the same code
as on a board; time passes while the test waits. The pen is made when the first test asks for it. A test that breaks it,
cuts its supply or runs its motor gets a pen of its own: the next test begins with a new one.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

from needlepen.emulator import serial_handler
from needlepen.emulator.bench import emulator_version
from needlepen.emulator.pen import EmulatedPen
from needlepen.errors import InfrastructureError, NotInTime
from needlepen.link.pen import Pen
from needlepen.link.transport import Transport
from support.bench import rate, record_pin, strokes
from support.targets.boards import RECONNECT_S, TIMEOUT_S
from support.targets.protocols import BoardIdentity, Lost, Missing
from support.targets.specification import EMULATED, Specification

MS = 1e6
SEED = 1
_HARMLESS = ("link", "console", "pins")
_numbers = itertools.count(1)


class EmulatedTarget:
    """`make` gives a pen at the moment of power-on, `runtime` says which MicroPython it runs."""

    def __init__(self, make: Callable[[], EmulatedPen], runtime: str) -> None:
        self.name = EMULATED
        self.lost: str | None = None
        self._make = make
        self._runtime = runtime
        self._pen: EmulatedPen | None = None
        self._link: Pen | None = None
        self._name = f"hil-target-{next(_numbers)}"
        self._url = ""
        self._makers: Mapping[str, Callable[[], Any]] = {
            "link": self._linked,
            "console": self._console,
            "power": lambda: _Power(self._powered()),
            "pins": lambda: _Pins(self._powered()),
            "plant": lambda: _Plant(self._powered()),
            "faults": lambda: self._powered().faults,
            "probe": lambda: _Probe(self._powered()),
        }

    @property
    def offers(self) -> frozenset[str]:
        """Everything."""
        return Specification(EMULATED).offers

    @cached_property
    def identity(self) -> BoardIdentity:
        """As the pen says when it is asked for the first time, which boots it."""
        link = self._linked()
        found = link.identity
        return BoardIdentity(
            target=self.name,
            unique_id=found.unique_id,
            board=found.board,
            version=found.version,
            build="development" if found.development else "production",
            application_hash=found.application_hash,
            runtime=f"MicroPython {link.about().micropython} ({self._runtime})",
            emulator=f"{emulator_version()}, {self._powered().chip.engine_name} engine",
        )

    @contextlib.contextmanager
    def use(self, capability: str) -> Iterator[Any]:
        """The object of a capability. Several at a time are of the same pen. Raises Missing, Lost."""
        if capability not in self._makers:
            raise Missing(f"{self.name} has no {capability}")
        if self.lost is not None:
            raise Lost(self.lost)
        try:
            yield self._makers[capability]()
        finally:
            if capability not in _HARMLESS:
                self._throw_away()

    def is_there(self) -> bool:
        """Whether the firmware answers; if it does not, the next test has a new pen all the same."""
        try:
            self._linked().counters()
        except (InfrastructureError, NotInTime):
            self._throw_away()
        return True

    def noticed(self) -> str | None:
        """Nobody can take it away."""
        return None

    def close(self) -> None:
        """No more time passes for it."""
        self._throw_away()

    # ------------------------------------------------------------------ the pen
    def _powered(self) -> EmulatedPen:
        if self._pen is None:
            pen = self._make()
            pen.power_up()
            pen.link.feed = lambda data: None  # type: ignore[method-assign]  # two hosts would confirm twice
            self._url = serial_handler.publish(self._name, pen.chip)
            self._pen = pen
        return self._pen

    def _linked(self) -> Pen:
        self._powered()
        if self._link is None:
            self._link = Pen.open(self._url, TIMEOUT_S, RECONNECT_S)
        return self._link

    def _console(self) -> Transport:
        self._powered()
        self._hang_up()
        return Transport(self._url)

    def _hang_up(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None

    def _throw_away(self) -> None:
        if self._pen is not None:
            self._hang_up()
            serial_handler.withdraw(self._name)
            self._pen = None


class _Power:
    def __init__(self, pen: EmulatedPen) -> None:
        self._pen = pen

    def off(self) -> None:
        self._pen.cut_power()

    def on(self) -> None:
        self._pen.restore_power()
        self._pen.chip.console.wait_connected()


class _Pins:
    def __init__(self, pen: EmulatedPen) -> None:
        self._pen = pen

    def level(self, signal: str) -> int:
        return self._pen.chip.pin_level(self._pen.board.gpio(signal))

    def record(self, signal: str) -> list[tuple[int, int | None]]:
        return record_pin(self._pen, signal)


class _Plant:
    def __init__(self, pen: EmulatedPen) -> None:
        self._pen = pen
        self.press = pen.press
        self.release = pen.release
        self.touch_skin = pen.touch_skin
        self.lift = pen.lift

    def wait(self, ms: float) -> None:
        self._pen.run_for(ms * MS)

    @property
    def now_ns(self) -> int:
        return self._pen.now_ns

    @property
    def strokes(self) -> float:
        return strokes(self._pen)

    @property
    def turns(self) -> bool:
        return rate(self._pen) != 0.0

    @property
    def protrusion_mm(self) -> float:
        return float(self._pen.axis.protrusion_mm)


class _Probe:
    def __init__(self, pen: EmulatedPen) -> None:
        self._chip = pen.chip
        self.resets_ns: list[int] = []
        self._chip.on_reset(lambda t_ns, _cause: self.resets_ns.append(t_ns))

    @property
    def cpu_state(self) -> str:
        return self._chip.cpu_state

    def halt(self) -> None:
        self._chip.halt_cpu()

    def resume(self) -> None:
        self._chip.resume_cpu()
