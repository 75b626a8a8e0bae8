"""Which kinds of gauges there are: those that come with the tools, and those of other packages."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping

from needlepen.calibration.gauges.digimatic import DigimaticGauge
from needlepen.calibration.gauges.emulated import EmulatedGauge
from needlepen.calibration.gauges.interface import Gauge, Plugin, Unit
from needlepen.calibration.gauges.mitutoyo import MitutoyoGauge
from needlepen.calibration.gauges.typed import TypedGauge
from needlepen.calibration.model import GaugeIdentity
from needlepen.errors import InfrastructureError, UsageError

ENTRY_POINTS = "needlepen.gauges"

_OWN = (
    Plugin("manual", "you type what the gauge shows", TypedGauge),
    Plugin("digimatic", "Mitutoyo Digimatic frames from an adapter at a serial port", DigimaticGauge, True),
    Plugin("mitutoyo", "Mitutoyo text from a serial port (USB or RS-232)", MitutoyoGauge, True),
    Plugin("keyboard", "the gauge types what it shows, as a keyboard does", TypedGauge),
    Plugin("simulated", "the gauge of an emulated pen, with errors of its own", EmulatedGauge),
)
KINDS: Mapping[str, str] = {plugin.kind: plugin.description for plugin in _OWN}
"""The kinds that come with the tools, each with its description."""


def kinds() -> dict[str, str]:
    """All kinds that are installed, each with its description. None of other packages is imported."""
    return dict(KINDS) | {
        point.name: f"of the package {_package(point)}" for point in _others() if point.name not in KINDS
    }


def open_gauge(
    kind: str, port: str | None = None, identity: GaugeIdentity | None = None, unit: Unit = "mm"
) -> Gauge:
    """Open a gauge.

    Args:
        kind: one of `kinds()`.
        port: a serial port or a URL of pyserial; for the simulated gauge what means its pen, None the only
            one.
        identity: what its papers say; without them the model's assumptions are taken.
        unit: what its display shows, for kinds whose text does not say.

    Raises UsageError for an unknown kind or a missing port, InfrastructureError if the port cannot be opened.
    """
    return plugin(kind).open(port, identity or GaugeIdentity(kind=kind), unit)


def plugin(kind: str) -> Plugin:
    """The plug-in of a kind. Raises UsageError if there is none, InfrastructureError if it cannot be imported."""
    for own in _OWN:
        if own.kind == kind:
            return own
    for point in _others():
        if point.name == kind:
            return _loaded(point)
    raise UsageError(f"{kind!r} is no kind of gauge; there are: {', '.join(kinds())}.")


def _others() -> list[importlib.metadata.EntryPoint]:
    return sorted(importlib.metadata.entry_points(group=ENTRY_POINTS), key=lambda point: point.name)


def _package(point: importlib.metadata.EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.module


def _loaded(point: importlib.metadata.EntryPoint) -> Plugin:
    """Another package may raise anything while it is imported; that says something about it alone."""
    try:
        found = point.load()
    except Exception as error:
        raise InfrastructureError(
            f"The gauge {point.name!r} of the package {_package(point)} cannot be used ({error!r}): "
            "install it again, or choose another kind."
        ) from error
    if not isinstance(found, Plugin) or found.kind != point.name:
        raise InfrastructureError(
            f"The gauge {point.name!r} of the package {_package(point)} is no Plugin of this kind: ask its makers."
        )
    return found
