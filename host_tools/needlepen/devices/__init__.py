"""Which devices are there, which one is meant, who holds it: identity comes before everything else.

Nothing but an identification is written to a board before it is known, and at most one frame of that.
What is named here is imported when it is used: the options of commands must not cost the modules of the link.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from needlepen.devices.choice import choose_device
    from needlepen.devices.model import Device, Holder
    from needlepen.devices.opening import open_pen
    from needlepen.devices.option import device_option
    from needlepen.devices.search import find_devices

__all__ = ["Device", "Holder", "choose_device", "device_option", "find_devices", "open_pen"]
_MODULES = {
    "choice": ("choose_device",),
    "model": ("Device", "Holder"),
    "opening": ("open_pen",),
    "option": ("device_option",),
    "search": ("find_devices",),
}


def __getattr__(name: str) -> Any:
    module = next((module for module, names in _MODULES.items() if name in names), None)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{module}"), name)
