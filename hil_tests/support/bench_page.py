"""The technicians' page with pens that have no chip, in a process of its own: quick, and to be disturbed from outside.

    python -m support.bench_page FOLDER

The engine is the real one, procedure, gauge text, database and certificates too. The pen's side is `BenchPen`: its axis by
the emulator's geometry, its map by the firmware. FOLDER holds what the test says to pen and gauge while the page runs:
`offset_um` is added to the next reading and removed, while `no_gauge` is there the gauge is lost.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from support.calibrating import BenchPen

from needlepen.bench_page.calibrating import Engine
from needlepen.bench_page.connecting import PageEngine
from needlepen.bench_page.server import serve
from needlepen.bench_page.workbench import Choice, Workbench
from needlepen.calibration.gauges import Gauge, SimulatedGauge
from needlepen.calibration.model import Reading
from needlepen.calibration.pen_port import PenPort
from needlepen.calibration.preconditions import Precondition, judge
from needlepen.devices.model import PEN, Device
from needlepen.errors import InfrastructureError


class DisturbedGauge(SimulatedGauge):
    """A simulated gauge that does what the files in a folder say."""

    def __init__(self, pen: BenchPen, folder: Path) -> None:
        super().__init__(lambda: pen.protrusion_mm, seed=1)
        self._folder = folder

    def read(self, timeout_s: float = 5.0) -> Reading:
        if (self._folder / "no_gauge").exists():
            raise InfrastructureError("the gauge's port has gone; plug its cable in")
        return super().read(timeout_s)


class BenchEngine(PageEngine):
    """The page's engine with such a pen and gauge."""

    pen: BenchPen
    folder: Path

    @contextmanager
    def connect(self) -> Iterator[tuple[PenPort, Gauge]]:
        yield self.pen, DisturbedGauge(self.pen, self.folder)

    def conditions(self, pen: PenPort, gauge: Gauge) -> list[Precondition]:
        return judge(pen, gauge.identity, date.today(), steady_s=0.0)


def main(folder: Path) -> None:
    """Serve until the process ends."""
    BenchEngine.pen, BenchEngine.folder = BenchPen(seed=1), folder
    who = BenchEngine.pen.identity.unique_id

    def engine(device: Device, choice: Choice) -> Engine:
        return BenchEngine(device, choice)

    def find() -> list[Device]:
        return [Device(PEN, "bench", unique_id=who, name="bench", emulated=True)]

    serve(Workbench(engine, find), 0, lambda url: print(json.dumps({"url": url}), flush=True))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
