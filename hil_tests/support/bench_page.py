"""The technicians' page with pens that have no chip, in a process of its own: quick, and to be disturbed from outside.

    python -m support.bench_page FOLDER [AXIS_PARAMETER=VALUE]...

The engine is the real one, and so are procedure, gauge text, database and certificates. The pen's side is `BenchPen`:
its axis by the emulator's geometry, its map by the firmware. FOLDER holds what the test says to the gauge while
the page runs: `offset_um` is added to each reading, while `no_gauge` is there the gauge is lost, and while `typed` is
there it is one whose readings a person types, on a pen that passes for a real one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from needlepen.bench_page import connecting
from needlepen.bench_page.measuring import Measurement
from needlepen.bench_page.server import serve
from needlepen.bench_page.workbench import CHECK, Choice, Workbench
from needlepen.calibration.gauges import Gauge, SimulatedGauge, open_gauge
from needlepen.calibration.model import Reading
from needlepen.calibration.pen_port import PenPort
from needlepen.devices.model import PEN, Device
from needlepen.errors import InfrastructureError
from support.calibrating import BenchPen

UNSEEN_S = 3.0


class DisturbedGauge(SimulatedGauge):
    """A simulated gauge that does what the files in a folder say."""

    def __init__(self, pen: BenchPen, folder: Path) -> None:
        super().__init__(lambda: pen.protrusion_mm + self._offset_mm(), seed=1)
        self._folder = folder

    def _offset_mm(self) -> float:
        file = self._folder / "offset_um"
        return float(file.read_text()) / 1e3 if file.exists() else 0.0

    def read(self, timeout_s: float = 5.0) -> Reading:
        if (self._folder / "no_gauge").exists():
            raise InfrastructureError("the gauge's port has gone; plug its cable in")
        return super().read(timeout_s)


class IdlePen(BenchPen):
    """Moves without service access, too, as an idle pen does for a daily check."""

    def set_depth(self, depth_um: int) -> None:
        was, self.service = self.service, True
        super().set_depth(depth_um)
        self.service = was


def main(folder: Path, axis: dict[str, float]) -> None:
    """Serve until the process ends."""
    pen = IdlePen(seed=1, **axis)
    who = pen.identity.unique_id

    @contextmanager
    def connect(_self: object) -> Iterator[tuple[PenPort, Gauge]]:
        yield pen, DisturbedGauge(pen, folder) if pen.emulated else open_gauge("manual")

    def measurement(kind: str, device: Device, choice: Choice) -> Measurement:
        base = connecting.CheckOf if kind == CHECK else connecting.CalibrationOf
        made: Measurement = type("OnBench", (base,), {"connect": connect})(device, choice)
        return made

    def find() -> list[Device]:
        pen.emulated = not (folder / "typed").exists()
        return [Device(PEN, "bench", unique_id=who, name="bench", emulated=pen.emulated)]

    serve(
        Workbench(measurement, find, unseen_s=UNSEEN_S),
        0,
        lambda url: print(json.dumps({"url": url}), flush=True),
    )


if __name__ == "__main__":
    given = (text.split("=") for text in sys.argv[2:])
    main(Path(sys.argv[1]), {name: float(value) for name, value in given})
