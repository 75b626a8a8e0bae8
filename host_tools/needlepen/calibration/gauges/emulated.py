"""The gauge port of an emulated pen, from the side of the tools: Mitutoyo text, and what only a simulated gauge can.

1<CR>   a reading, as from any Mitutoyo output
P<CR>   put the gauge onto the plate; answered with P<CR>
N<CR>   put it onto the pen's nose; answered with N<CR>
I<CR>   its papers, as one line of JSON
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from pydantic import ValidationError

from needlepen.calibration.gauges.interface import GaugeError, Place, Unit
from needlepen.calibration.gauges.mitutoyo import MitutoyoGauge
from needlepen.calibration.model import GaugeIdentity
from needlepen.devices import registry
from needlepen.errors import InfrastructureError, Refused

PLATE, NOSE, PAPERS = "P", "N", "I"
_WHERE: dict[Place, str] = {"plate": PLATE, "pen": NOSE}
ANSWER_S = 2.0


class EmulatedGauge(MitutoyoGauge):
    """The simulated gauge of an emulated pen, at its port. `port`: see `gauge_port`."""

    longest_bytes = 1024  # its papers

    def __init__(self, port: str | None, identity: GaugeIdentity, unit: Unit = "mm") -> None:
        super().__init__(gauge_port(port), identity, unit)
        self._where: Place | None = None
        self._has_own_papers = not identity.serial
        if self._has_own_papers:
            with contextlib.ExitStack() as on_failure:
                on_failure.callback(self.close)
                self.identity = self._papers()
                on_failure.pop_all()

    def place(self, where: Place) -> None:
        """Put it there. Raises InfrastructureError if it does not confirm that."""
        wanted = _WHERE[where]
        said = self.exchange(f"{wanted}\r".encode(), ANSWER_S)
        if said != wanted:
            raise GaugeError(
                "error reply", f"The gauge answered {said!r} instead of {wanted!r}: it is no simulated one."
            )
        self._where = where

    def reopened(self) -> None:
        """It is the same gauge, where it was put."""
        if self._has_own_papers and (found := self._papers()) != self.identity:
            self.close()
            raise GaugeError(
                "another gauge",
                f"Gauge {found.serial} is there now instead of {self.identity.serial}, so that its readings do not "
                "belong to those before: bring the other one back, or begin anew.",
            )
        if self._where is not None:
            self.place(self._where)

    def _papers(self) -> GaugeIdentity:
        said = self.exchange(f"{PAPERS}\r".encode(), ANSWER_S)
        try:
            return GaugeIdentity.model_validate_json(said)
        except ValidationError:
            raise GaugeError(
                "error reply",
                f"The gauge answered {said[:40]!r} instead of its papers: it is no simulated one.",
            ) from None


def gauge_port(pen: str | None) -> str:
    """The gauge port of an emulated pen, by its name, unique ID, port, or gauge port; with None of the only one.

    A path or URL that no emulated pen has is taken as it is. Raises InfrastructureError if there is none, Refused if
    several could be meant.
    """
    there = [entry for entry in registry.entries() if entry.gauge is not None]
    if pen is None:
        if len(there) > 1:
            names = ", ".join(entry.name for entry in there)
            raise Refused(f"Several emulated pens have a gauge, say which with --port: {names}.")
        fitting = there
    else:
        fitting = [entry for entry in there if _is_meant(pen, entry)]
    if fitting:
        return str(fitting[0].gauge)
    if pen is not None and ("://" in pen or os.sep in pen):
        return pen
    what = "No emulated pen runs" if pen is None else f"No emulated pen {pen!r} runs"
    raise InfrastructureError(
        f"{what}, so there is no simulated gauge: `needlepen emulate --cartridge dummy` starts one; a real pen needs a "
        "real gauge."
    )


def _is_meant(text: str, entry: registry.Entry) -> bool:
    if text in (entry.name, entry.unique_id):
        return True
    if entry.tcp_port is not None and text == f"socket://127.0.0.1:{entry.tcp_port}":
        return True
    return os.sep in text and Path(text).absolute() in (Path(entry.link), Path(str(entry.gauge)))
