"""Pen and gauge of a bench, both open and fitting each other, for the commands that measure."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from needlepen.calibration.gauges import Gauge
from needlepen.calibration.pen_port import LinkPen, PenPort
from needlepen.calibration.preconditions import SIMULATED


@dataclass(frozen=True)
class Bench:
    """What a measurement is made with. `name`: what the user calls the pen, or its unique ID."""

    pen: PenPort
    gauge: Gauge
    name: str

    @property
    def simulated(self) -> bool:
        """Whether the gauge is a simulated one, which needs nobody to set it up."""
        return self.gauge.identity.kind == SIMULATED


@contextlib.contextmanager
def open_bench(
    device: str | None, gauge: str | None, gauge_port: str | None, purpose: str, role: str = "technician"
) -> Iterator[Bench]:
    """The pen and the gauge that are meant, open inside the block.

    `gauge`: a name of the user's gauges.toml, or a kind; by default the simulated one for an emulated pen, else the
    only own one, else manual. Raises what opening a pen or a gauge raises.
    """
    from needlepen.calibration.gauges.shelf import load_gauges, open_named
    from needlepen.devices.choice import choose_device
    from needlepen.devices.opening import open_pen

    chosen = choose_device(device)
    own = list(load_gauges())
    wanted = gauge or (SIMULATED if chosen.emulated else own[0] if len(own) == 1 else "manual")
    port = gauge_port or (chosen.unique_id if wanted == SIMULATED and chosen.emulated else None)
    with open_pen(chosen, purpose) as link:
        opened = open_named(wanted, port)
        try:
            name = chosen.name or chosen.emulated_name or ""
            yield Bench(
                LinkPen(link, name, chosen.emulated, role=role), opened, name or str(chosen.unique_id)
            )
        finally:
            opened.close()


def store() -> Callable[[Any], object]:
    """What keeps a calibration: the database, opened for each."""

    def add(calibration: Any) -> None:
        from needlepen.calibration.database import open_database

        with open_database() as database:
            database.add(calibration)

    return add


def new_number(operator: str) -> str:
    """A number of the database that no other calibration gets."""
    from needlepen.calibration.database import open_database

    with open_database() as database:
        return database.next_number(who=operator)
