"""The technicians' page with pens that have no chip, in a process of its own: quick, and to be disturbed from outside.

    python -m support.bench_page FOLDER

The engine is the real one, and so are procedure, gauge text, database and certificates. The pen's side is `BenchPen`:
its axis by the emulator's geometry, its map by the firmware. FOLDER holds what the test says to the gauge while
the page runs: `offset_um` is added to each reading, while `no_gauge` is there the gauge is lost, and with `typed` there from
the beginning it is one whose readings a person types, on a pen that passes for a real one.
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
        super().__init__(lambda: pen.protrusion_mm, seed=1)
        self._folder = folder

    def read(self, timeout_s: float = 5.0) -> Reading:
        if (self._folder / "no_gauge").exists():
            raise InfrastructureError("the gauge's port has gone; plug its cable in")
        reading = super().read(timeout_s)
        file = self._folder / "offset_um"
        offset_mm = float(file.read_text()) / 1e3 if file.exists() else 0.0
        return reading.model_copy(update={"value_mm": round(reading.value_mm + offset_mm, 3)})


def main(folder: Path) -> None:
    """Serve until the process ends."""
    pen, typed = BenchPen(seed=1), (folder / "typed").exists()
    pen.emulated = not typed
    who = pen.identity.unique_id

    @contextmanager
    def connect(_self: object) -> Iterator[tuple[PenPort, Gauge]]:
        yield pen, open_gauge("manual") if typed else DisturbedGauge(pen, folder)

    def measurement(kind: str, device: Device, choice: Choice) -> Measurement:
        base = connecting.CheckOf if kind == CHECK else connecting.CalibrationOf
        made: Measurement = type("OnBench", (base,), {"connect": connect})(device, choice)
        return made

    def find() -> list[Device]:
        return [Device(PEN, "bench", unique_id=who, name="bench", emulated=not typed)]

    serve(
        Workbench(measurement, find, unseen_s=UNSEEN_S),
        0,
        lambda url: print(json.dumps({"url": url}), flush=True),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
