"""The depth gauge on an emulated pen: a Mitutoyo output at a port of its own, which can be put on plate and nose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from needlepen.calibration.gauges import mitutoyo
from needlepen.calibration.gauges.emulated import NOSE, PAPERS, PLATE
from needlepen.calibration.gauges.simulated import SimulatedGauge
from needlepen.emulator.server import Terminal

_LONGEST_REQUEST = 64


class GaugePort:
    """A gauge at a pseudo-terminal. What is no request is not answered, as a real output does not.

    Args:
        gauge: what it reads.
        link: path at which its port appears. Raises UsageError if it cannot be made.
    """

    def __init__(self, gauge: SimulatedGauge, link: Path) -> None:
        self._gauge = gauge
        self._terminal = Terminal(link)
        self._request = bytearray()
        self._answers: dict[bytes, Callable[[], str]] = {
            mitutoyo.REQUEST.strip(): self._value,
            PLATE.encode(): self._to_plate,
            NOSE.encode(): self._to_nose,
            PAPERS.encode(): lambda: self._gauge.identity.model_dump_json(),
        }
        self.link = self._terminal.link

    def fileno_to_watch(self) -> list[int]:
        """For `select`: readable when a program has sent something."""
        return self._terminal.fileno_to_watch()

    def serve(self) -> None:
        """Answer what has come."""
        for byte in self._terminal.receive():
            if byte == mitutoyo.END[0]:
                answer = self._answers.get(bytes(self._request))
                self._request.clear()
                if answer is not None:
                    self._terminal.send(answer().encode() + mitutoyo.END)
            elif len(self._request) < _LONGEST_REQUEST:
                self._request.append(byte)

    def unplug(self) -> None:
        """The cable is pulled: a program that has the port open reads an error."""
        self._terminal.unplug()

    def plug(self, gauge: SimulatedGauge | None = None) -> None:
        """The cable is plugged in again, into another gauge if one is given."""
        self._gauge = gauge or self._gauge
        self._request.clear()
        self._terminal.plug()

    def press_data(self) -> None:
        """Somebody presses the gauge's DATA key: it sends a reading without being asked."""
        self._terminal.send(self._value().encode() + mitutoyo.END)

    def close(self) -> None:
        """The port goes."""
        self._terminal.close()

    def _value(self) -> str:
        return mitutoyo.encode(self._gauge.shown())

    def _to_plate(self) -> str:
        self._gauge.place("plate")
        return PLATE

    def _to_nose(self) -> str:
        self._gauge.place("pen")
        return NOSE
